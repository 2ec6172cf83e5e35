package zdo

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A battery sensor's: end device, 2.4 GHz, only "allocate address".
const nodeDescriptorHex = "02408035127f640000006400" + "00"

var nodeDescriptor = NodeDescriptor{
	LogicalType:         zb.EndDevice,
	FrequencyBand:       FrequencyBand2400MHz,
	Capability:          CapabilityAllocateAddress,
	ManufacturerCode:    4661,
	MaxBufferSize:       127,
	MaxIncomingTransfer: 100,
	MaxOutgoingTransfer: 100,
}

func TestNodeDescriptor(t *testing.T) {
	full := NodeDescriptor{
		LogicalType: zb.Router, ComplexDescriptor: true, UserDescriptor: true, Reserved: 1, APSFlags: 5, FrequencyBand: 8,
		Capability: CapabilityFullFunction | CapabilityMainsPowered | CapabilityRxOnWhenIdle, ManufacturerCode: 0x117c,
		MaxBufferSize: 82, MaxIncomingTransfer: 0x1234, ServerMask: 0x2c00, MaxOutgoingTransfer: 0x5678, DescriptorFlags: 3,
	}
	for want, d := range map[string]NodeDescriptor{nodeDescriptorHex: nodeDescriptor, "39450e7c11523412002c785603": full} {
		if b := d.Append(nil); hex.EncodeToString(b) != want || len(b) != NodeDescriptorSize {
			t.Errorf("encoded %x, want %s", b, want)
		}
		got, err := DecodeNodeDescriptor(unhex(t, want))
		if diff := cmp.Diff(d, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
	if _, err := DecodeNodeDescriptor(unhex(t, nodeDescriptorHex)[:12]); !errors.Is(err, ErrShort) {
		t.Errorf("cut: %v", err)
	}
}

// The first two were quoted in https://github.com/ioBroker/ioBroker.zigbee/issues/1527 and
// https://github.com/Koenkk/zigbee2mqtt/issues/4366, as endpoints of a coordinator.
var simpleDescriptors = map[string]SimpleDescriptor{
	"0201010500000000": {Endpoint: 2, Profile: 0x0101, DeviceType: 5},
	"f2e0a10500000000": {Endpoint: 242, Profile: 0xa1e0, DeviceType: 5},
	"0104010203010300000204050401" + "1900": {
		Endpoint: 1, Profile: zb.ProfileHomeAutomation, DeviceType: 0x0302, DeviceVersion: 1,
		InClusters: []zb.ClusterID{0x0000, 0x0402, 0x0405}, OutClusters: []zb.ClusterID{0x0019},
	},
}

func TestSimpleDescriptor(t *testing.T) {
	for want, d := range simpleDescriptors {
		if b := d.Append(nil); hex.EncodeToString(b) != want {
			t.Errorf("encoded %x, want %s", b, want)
		}
		b := unhex(t, want)
		got, err := DecodeSimpleDescriptor(append(b[:len(b):len(b)], 0xaa))
		if diff := cmp.Diff(d, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		for cut := range b {
			if _, err := DecodeSimpleDescriptor(b[:cut]); !errors.Is(err, ErrShort) {
				t.Errorf("%s cut to %d bytes: %v", want, cut, err)
			}
		}
	}
	// Cut within the input clusters: what was readable is kept.
	got, err := DecodeSimpleDescriptor(unhex(t, "01040102030103000002"))
	if !errors.Is(err, ErrShort) || got.DeviceType != 0x0302 || len(got.InClusters) != 1 {
		t.Errorf("cut descriptor: %+v, %v", got, err)
	}
	long := SimpleDescriptor{InClusters: make([]zb.ClusterID, 300)}
	got, err = DecodeSimpleDescriptor(long.Append(nil))
	if err != nil || len(got.InClusters) != 255 {
		t.Errorf("300 clusters: %d, %v", len(got.InClusters), err)
	}
}

func TestTables(t *testing.T) {
	n := Neighbour{
		ExtendedPAN: 0xdddddddddddddddd, IEEE: 0x00124b001ca1b846, Network: 0x5026, Type: zb.EndDevice,
		RxOnWhenIdle: No, Relationship: uint8(zb.RelationshipChild), PermitJoin: Unknown, Depth: 1, LQI: 101,
	}
	want := "dddddddddddddddd" + "46b8a11c004b1200" + "2650" + "12" + "02" + "01" + "65"
	if b := n.Append(nil); hex.EncodeToString(b) != want || len(b) != NeighbourSize {
		t.Errorf("neighbour %x, want %s", b, want)
	}
	gotN, rest, err := DecodeNeighbour(append(unhex(t, want), 7))
	if diff := cmp.Diff(n, gotN); err != nil || len(rest) != 1 || diff != "" {
		t.Errorf("%v, %d bytes left %s", err, len(rest), diff)
	}
	if _, _, err := DecodeNeighbour(unhex(t, want)[:21]); !errors.Is(err, ErrShort) {
		t.Errorf("cut neighbour: %v", err)
	}

	r := Route{Destination: 0x1234, Status: RouteInactive, MemoryConstrained: true, RouteRecordRequired: true, NextHop: 0xabcd}
	if b := r.Append(nil); hex.EncodeToString(b) != "34122bcdab" {
		t.Errorf("route %x", b)
	}
	gotR, rest, err := DecodeRoute(unhex(t, "34122bcdab"))
	if diff := cmp.Diff(r, gotR); err != nil || len(rest) != 0 || diff != "" {
		t.Errorf("%v, %d bytes left %s", err, len(rest), diff)
	}
	many := Route{ManyToOne: true}
	if got, _, err := DecodeRoute(many.Append(nil)); err != nil || got != many {
		t.Errorf("many to one: %+v, %v", got, err)
	}
	if _, _, err := DecodeRoute([]byte{1, 2, 3, 4}); !errors.Is(err, ErrShort) {
		t.Errorf("cut route: %v", err)
	}
}

func TestBindTarget(t *testing.T) {
	targets := map[string]BindTarget{
		"010500":                    {Mode: AddressModeGroup, Group: 5},
		"0346b8a11c004b1200" + "01": {Mode: AddressModeIEEE, IEEE: 0x00124b001ca1b846, Endpoint: 1},
	}
	for want, target := range targets {
		if b := target.Append(nil); hex.EncodeToString(b) != want {
			t.Errorf("encoded %x, want %s", b, want)
		}
		b := unhex(t, want)
		got, rest, err := DecodeBindTarget(append(b[:len(b):len(b)], 9))
		if err != nil || got != target || len(rest) != 1 {
			t.Errorf("%s: %+v, %d bytes left, %v", want, got, len(rest), err)
		}
		for cut := range b {
			if _, _, err := DecodeBindTarget(b[:cut]); !errors.Is(err, ErrShort) {
				t.Errorf("%s cut to %d bytes: %v", want, cut, err)
			}
		}
	}
	if _, _, err := DecodeBindTarget([]byte{2, 0, 0}); err == nil || errors.Is(err, ErrShort) {
		t.Errorf("address mode 2: %v", err)
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		StatusNotActive.String(): "endpoint not active",
		Status(0x42).String():    "status 0x42",
		(CapabilityFullFunction | CapabilityMainsPowered).String(): "full-function|mains",
		Capability(0).String(): "",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for address, want := range map[zb.NetworkAddress]bool{BroadcastAll: true, BroadcastRouters: true, 0xfff8: true, 0xfff7: false, AddressCoordinator: false} {
		if IsBroadcast(address) != want {
			t.Errorf("IsBroadcast(%04x) is %v", uint16(address), !want)
		}
	}
}

func FuzzNodeDescriptor(f *testing.F) {
	f.Add(unhex(f, nodeDescriptorHex))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeNodeDescriptor(b)
		if err != nil {
			return
		}
		if out := d.Append(nil); string(out) != string(b[:NodeDescriptorSize]) {
			t.Fatalf("%x became %x", b, out)
		}
	})
}

func FuzzSimpleDescriptor(f *testing.F) {
	for s := range simpleDescriptors {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeSimpleDescriptor(b)
		if err != nil {
			return
		}
		if out := d.Append(nil); string(out) != string(b[:len(out)]) {
			t.Fatalf("%x became %x", b, out)
		}
	})
}
