package sim

import (
	"bytes"
	"encoding/hex"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/zcl"
	"github.com/peerbee/peerbee/zigbee/zdo"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// TestBytes holds bytes against bytes: requests and answers of a blank stick, written down by hand.
func TestBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{})
		h := plug(t, s)
		var wire []byte
		for _, c := range []struct{ name, in, out string }{
			{"ping after a call of the boot loader", "efefef" + "fe00210120", withFCS("6101", "5906")},
			{"version", "fe00210223", withFCS("6102", "0201020701"+"6bb13401")},
			{"unknown command", withFCS("2177", ""), withFCS("6000", "022177")},
			{"unknown subsystem", withFCS("2201", ""), withFCS("6000", "012201")},
			{"short request", withFCS("2113", "21"), withFCS("6000", "042113")},
			{"length of an absent item", "fe022113600050", withFCS("6113", "0000")},
			{"length of the key", withFCS("2113", "8200"), withFCS("6113", "1800")},
			{"init", withFCS("2107", "6000"+"0100"+"01"+"55"), withFCS("6107", "09")},
			{"read", withFCS("211c", "60000000"), withFCS("611c", "000155")},
			{"read of an absent item", "fe04211c000f000036", withFCS("611c", "0200")},
			{"extended read of an absent item", withFCS("2133", "01"+"0400"+"f000"+"0000"+"14"), withFCS("6133", "0a00")},
			{"reset", withFCS("4100", "01"), withFCS("4180", "010201020701")},
			{"unregistered endpoint", withFCS("2401", "3412"+"0101"+"0600"+"01"+"00"+"1e"+"00"), withFCS("6401", "02")},
		} {
			in, err := hex.DecodeString(c.in)
			if err != nil {
				t.Fatal(err)
			}
			h.write(in...)
			wire = wire[:0]
			for _, f := range h.all() {
				if wire, err = f.Append(wire); err != nil {
					t.Fatal(err)
				}
			}
			if got := hex.EncodeToString(wire); got != c.out {
				t.Errorf("%s: got %s, want %s", c.name, got, c.out)
			}
		}
	})
}

// withFCS writes a frame from its command bytes and payload, in hex.
func withFCS(cmd, payload string) string {
	b, err := hex.DecodeString(cmd + payload)
	if err != nil {
		panic(err)
	}
	length := byte(len(b) - 2)
	sum := length
	for _, c := range b {
		sum ^= c
	}
	return hex.EncodeToString(append(append([]byte{0xFE, length}, b...), sum))
}

func TestForming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: sensors("temperature")})
		h := plug(t, s)
		set := func(item uint16, value ...byte) {
			t.Helper()
			h.accepted(&mt.NVWriteExt{Item: item, Value: value}, mt.Success)
		}
		key := bytes.Repeat([]byte{0xA5}, 16)
		set(nv.StartupOption, 3)
		expect[mt.SysResetInd](h, h.ask(&mt.SysResetReq{Kind: 1}))
		set(nv.StartupOption, 0)
		set(nv.LogicalType, 0)
		set(nv.ChanList, 0, 0, 0, 2)
		set(nv.PANID, 0x62, 0x1A)
		set(nv.ExtendedPANID, 1, 2, 3, 4, 5, 6, 7, 8)
		set(nv.APSUseExtPANID, 1, 2, 3, 4, 5, 6, 7, 8)
		set(nv.PrecfgKey, key...)
		h.accepted(&mt.BDBSetChannel{Primary: true, Channels: 1 << 25}, mt.Success)
		h.accepted(&mt.BDBSetChannel{}, mt.Success)
		got := h.accepted(&mt.BDBStartCommissioning{Mode: 4}, mt.Success)
		if diff := cmp.Diff([]string{"ZDO_STATE_CHANGE_IND", "ZDO_STATE_CHANGE_IND", "APP_CNF_BDB_NOTIFICATION"}, names(got)); diff != "" {
			t.Error(diff)
		}
		if got[1].Payload[0] != 9 {
			t.Errorf("the second state is %d, want 9", got[1].Payload[0])
		}
		want := nv.Network{Channel: 25, ChannelMask: 1 << 25, PAN: 0x1A62, ExtendedPAN: 0x0807060504030201, Key: zb.NetworkKey(key)}
		network, on := s.Network()
		if diff := cmp.Diff(want, network); !on || diff != "" {
			t.Errorf("on %v: %s", on, diff)
		}
		info := expect[mt.ZDOExtNwkInfoRsp](h, h.ask(&mt.ZDOExtNwkInfo{}))
		if diff := cmp.Diff(&mt.ZDOExtNwkInfoRsp{State: 9, PAN: 0x1A62, ExtendedPAN: 0x0807060504030201, Channel: 25}, info); diff != "" {
			t.Error(diff)
		}
		if n := expect[mt.NVLengthRsp](h, h.ask(&mt.NVLength{Item: nv.NIB})).Length; n != 116 {
			t.Errorf("the NIB has %d bytes, want 116", n)
		}

		got = h.accepted(&mt.BDBStartCommissioning{Mode: 4}, mt.Success)
		if n := expect[mt.BDBNotification](h, got); n.Status != bdbFormationFailure {
			t.Errorf("forming again ended with %d, want a failure to form", n.Status)
		}

		h.ask(&mt.SysResetReq{Kind: 1})
		if state := expect[mt.UtilGetDeviceInfoRsp](h, h.ask(&mt.UtilGetDeviceInfo{})).State; state != mt.StateHold {
			t.Errorf("state %d after a reset, want 0", state)
		}
		got = h.accepted(&mt.ZDOStartupFromApp{Delay: 100}, mt.Success)
		if n := expect[mt.ZDOStateChangeInd](h, got[1:]); n.State != mt.StateCoordinator {
			t.Errorf("state %d after start-up, want 9", n.State)
		}
		if again, _ := s.Network(); again != network {
			t.Errorf("resumed %+v, formed %+v", again, network)
		}

		set(nv.StartupOption, 2)
		h.ask(&mt.SysResetReq{Kind: 1})
		if n := expect[mt.NVLengthRsp](h, h.ask(&mt.NVLength{Item: nv.NIB})).Length; n != 0 {
			t.Errorf("start-up option 2 left a NIB of %d bytes", n)
		}
	})
}

// TestBackupTables reads everything a backup reads, the way it is read: until a length is 0.
func TestBackupTables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: []SensorSpec{{Kind: "temperature", Joined: true, IEEE: 0x00158d0001020304, Network: 0x1234}}})
		h := plug(t, s)
		h.form()
		for _, c := range []struct {
			table        uint16
			rows, length int
		}{{nv.TableAddrMgr, 257, 12}, {nv.TableTCLK, 200, 20}, {nv.TableAPSKeyData, 3, 24}, {nv.TableSecMaterial, 5, 12}} {
			rows := 0
			for {
				length := expect[mt.ExtNVLengthRsp](h, h.ask(&mt.ExtNVLength{System: 1, Item: c.table, Sub: uint16(rows)})).Length
				if length == 0 {
					break
				}
				row := expect[mt.ExtNVReadRsp](h, h.ask(&mt.ExtNVRead{System: 1, Item: c.table, Sub: uint16(rows), Length: uint8(length)}))
				if row.Status != mt.Success || len(row.Value) != c.length {
					t.Fatalf("row %d of table %d: %s % x", rows, c.table, row.Status, row.Value)
				}
				if want, err := hex.DecodeString("02ff" + "3412" + "04030201008d1500"); c.table == nv.TableAddrMgr && rows == 0 && (err != nil || !bytes.Equal(row.Value[1:], append([]byte{0xFF}, want[2:]...))) {
					t.Errorf("address of the sensor: % x", row.Value)
				}
				rows++
			}
			if rows != c.rows {
				t.Errorf("table %d has %d rows, want %d", c.table, rows, c.rows)
			}
		}
		for item, want := range map[uint16]uint16{nv.APSLinkKeyTable: 20, nv.NwkActiveKeyInfo: 17, nv.NwkAlternKeyInfo: 17, nv.TCLKSeed: 16, nv.PrecfgKey: 16} {
			if n := expect[mt.NVLengthRsp](h, h.ask(&mt.NVLength{Item: item})).Length; n != want {
				t.Errorf("item %#x has %d bytes, want %d", item, n, want)
			}
		}
	})
}

func TestEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plug(t, newStick(t, Options{}))
		h.form()
		h.accepted(&mt.AFRegister{Endpoint: 1}, mt.InvalidParameter)
		h.accepted(&mt.AFRegister{Endpoint: 242, Profile: 0xA1E0, DeviceType: 0x61, InClusters: []zb.ClusterID{0x21}}, mt.Success)
		got := h.accepted(&mt.ZDOActiveEPReq{}, mt.Success)
		if diff := cmp.Diff([]zb.Endpoint{1, 242}, expect[mt.ZDOActiveEPRsp](h, got).Endpoints); diff != "" {
			t.Error(diff)
		}
		got = h.accepted(&mt.ZDOSimpleDescReq{Endpoint: 242}, mt.Success)
		d, err := zdo.DecodeSimpleDescriptor(expect[mt.ZDOSimpleDescRsp](h, got).Descriptor)
		if diff := cmp.Diff(zdo.SimpleDescriptor{Endpoint: 242, Profile: 0xA1E0, DeviceType: 0x61, InClusters: []zb.ClusterID{0x21}}, d); err != nil || diff != "" {
			t.Error(err, diff)
		}
		got = h.accepted(&mt.ZDOSimpleDescReq{Endpoint: 9}, mt.Success)
		if len(got) != 1 || got[0].ID != mtDefaultRsp || !bytes.Equal(got[0].Payload, []byte{0, 0, byte(zdo.StatusNotActive)}) {
			t.Errorf("an endpoint that is not there: %v", got)
		}
		find := mt.Command{Type: unpi.SyncRequest, Subsystem: unpi.ZDO, ID: mtFindGroup}
		h.raw(find, 242, 0x84, 0x0B)
		if f := h.all()[0]; len(f.Payload) != 19 || f.Payload[0] != 1 {
			t.Errorf("a group that is not there: % x", f.Payload)
		}
		h.accepted(&mt.ZDOExtAddGroup{Endpoint: 242, Group: 0x0B84}, mt.Success)
		h.raw(find, 242, 0x84, 0x0B)
		if f := h.all()[0]; len(f.Payload) != 19 || !bytes.Equal(f.Payload[:4], []byte{0, 0x84, 0x0B, 0}) {
			t.Errorf("the group: % x", f.Payload)
		}
	})
}

func TestPermitJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: sensors("temperature"), ManualJoin: true})
		h := plug(t, s)
		h.form()
		if err := s.Join("temperature-1"); err == nil {
			t.Error("joined a closed network")
		}
		got := h.permit(60)
		if diff := cmp.Diff([]string{"ZDO_MGMT_PERMIT_JOIN_REQ AREQ", "ZDO_PERMIT_JOIN_IND"}, names(got)); diff != "" {
			t.Error(diff)
		}
		if want, _ := hex.DecodeString("000000"); !bytes.Equal(got[0].Payload, want) {
			t.Errorf("permit join answer % x", got[0].Payload)
		}
		time.Sleep(61 * time.Second)
		if got := h.all(); expect[mt.ZDOPermitJoinInd](h, got).Seconds != 0 {
			t.Errorf("expiry: %v", names(got))
		}
		if err := s.Join("temperature-1"); err == nil {
			t.Error("joined a network that closed by itself")
		}
		h.permit(60)
		h.permit(0)
		if err := s.Join("temperature-1"); err == nil {
			t.Error("joined a network that was closed")
		}
		h.raw((&mt.ZDOMgmtPermitJoinReq{}).Command(), 0xFC, 0xFF, 60, 0)
		h.all()
		if err := s.Join("temperature-1"); err != nil {
			t.Errorf("the old form of the command did not open: %v", err)
		}
	})
}

func TestInstallCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: []SensorSpec{{Kind: "plug", IEEE: 0x1122334455667788}}})
		h := plug(t, s)
		h.form()
		h.accepted(&mt.BDBJoinUsesInstallCode{Enforce: true}, mt.Success)
		h.permit(60)
		if joined(t, s, "plug-1").Joined {
			t.Error("a device without an install code was let in")
		}
		h.accepted(&mt.BDBAddInstallCode{Format: 1, IEEE: 0x1122334455667788, Code: make([]byte, 17)}, mt.InvalidParameter)
		h.accepted(&mt.BDBAddInstallCode{Format: 1, IEEE: 0x1122334455667788, Code: make([]byte, 18)}, mt.Success)
		if err := s.Join("plug-1"); err != nil {
			t.Error(err)
		}
	})
}

func TestLongMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{})
		h := plug(t, s)
		h.form()
		for _, n := range []int{220, 221, 225} {
			s.mu.Lock()
			s.incomingFrom(mt.AFIncomingMsg{Src: 0x1234, DstEndpoint: 1, Data: bytes.Repeat([]byte{7}, n)}, false)
			s.cond.Broadcast()
			s.mu.Unlock()
			got := h.all()
			switch {
			case n == 220 && len(expect[mt.AFIncomingMsg](h, got).Data) != n:
				t.Error("220 bytes fit the short form")
			case n == 221:
				if long := expect[mt.AFIncomingMsgExt](h, got); long.Src != 0x1234 || long.Length != 221 {
					t.Errorf("long form %+v", long)
				}
			case n == 225:
				long := expect[mt.AFIncomingMsgExt](h, got)
				if len(long.Data) != 0 && n+incomingExtHeader > unpi.MaxPayload {
					t.Errorf("%d bytes came at once", n)
				}
				first := expect[mt.AFDataRetrieveRsp](h, h.ask(&mt.AFDataRetrieve{Timestamp: long.Timestamp, Length: 200}))
				rest := expect[mt.AFDataRetrieveRsp](h, h.ask(&mt.AFDataRetrieve{Timestamp: long.Timestamp, Index: 200, Length: 200}))
				if len(first.Data) != 200 || len(rest.Data) != 25 {
					t.Errorf("retrieved %d and %d bytes", len(first.Data), len(rest.Data))
				}
				h.accepted(&mt.AFDataRetrieve{Timestamp: long.Timestamp}, mt.Success)
				h.accepted(&mt.AFDataRetrieve{Timestamp: long.Timestamp, Length: 1}, mt.Failure)
			}
		}
	})
}

func TestParkedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: []SensorSpec{{Kind: "temperature", Joined: true, Network: 0x1234}}})
		h := plug(t, s)
		h.form()
		ids := make([]uint16, 120)
		message := zcl.Frame{Seq: 9, Payload: zcl.AppendReadRequest(nil, ids...)}.Append(nil)
		request := &mt.AFDataRequestExt{Mode: mt.AddrShort, Dst: 0x1234, DstEndpoint: 1, SrcEndpoint: 1, Cluster: zb.ClusterID(zcl.ClusterBasic), TransID: 3}
		head, err := mt.Append(nil, request)
		if err != nil {
			t.Fatal(err)
		}
		head[18], head[19] = byte(len(message)), byte(len(message)>>8)
		cmd := request.Command()
		h.raw(cmd, head...)
		if got := h.all(); got[0].Payload[0] != 0 {
			t.Fatalf("parked with status %#x", got[0].Payload[0])
		}
		h.raw(cmd, head...)
		if got := h.all(); got[0].Payload[0] != nv.InvalidParameter {
			t.Errorf("a second one got status %#x", got[0].Payload[0])
		}
		h.accepted(&mt.AFDataStore{Data: message[:200]}, mt.Success)
		h.accepted(&mt.AFDataStore{Index: 200, Data: message[200:]}, mt.Success)
		got := h.ask(&mt.AFDataStore{})
		if c := expect[mt.AFDataConfirm](h, got); c.TransID != 3 || c.Status != mt.Success {
			t.Errorf("confirmed as %+v", c)
		}
		h.accepted(&mt.AFDataStore{}, mt.MemoryError)
	})
}

func TestPackedStick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Version: ZStack30x, Sensors: []SensorSpec{{Kind: "plug", Joined: true}}})
		h := plug(t, s)
		h.form()
		if v := expect[mt.SysVersionRsp](h, h.ask(&mt.SysVersion{})); v.Product != 2 {
			t.Errorf("product %d", v.Product)
		}
		if n := expect[mt.NVLengthRsp](h, h.ask(&mt.NVLength{Item: nv.NwkKey})).Length; n != 21 {
			t.Errorf("the key item has %d bytes", n)
		}
		if e := expect[mt.RPCError](h, h.ask(&mt.ExtNVLength{System: 1, Item: 4})); e.Code != mt.ErrorInvalidCommand {
			t.Errorf("extended memory: %+v", e)
		}
		if n := len(expect[mt.UtilAssocFindDeviceRsp](h, h.ask(&mt.UtilAssocFindDevice{})).Device); n != assocPacked {
			t.Errorf("an associated device has %d bytes", n)
		}
		if n := expect[mt.NVLengthRsp](h, h.ask(&mt.NVLength{Item: nv.AddrMgr})).Length; n != 62*11 {
			t.Errorf("the address manager has %d bytes", n)
		}
		if n, on := s.Network(); !on || n.Channel != 15 {
			t.Errorf("network %+v", n)
		}
	})
}
