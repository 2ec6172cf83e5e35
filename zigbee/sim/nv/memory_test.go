package nv

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"
)

func TestOSALRules(t *testing.T) {
	m := New(true)
	check := func(what string, got, want uint8) {
		t.Helper()
		if got != want {
			t.Errorf("%s: status %#02x, want %#02x", what, got, want)
		}
	}
	status, _ := m.Read(0x60, 0)
	check("read of an absent item", status, InvalidParameter)
	check("write of an absent item", m.Write(0x60, 0, []byte{1}), InvalidParameter)
	check("write of nothing to an absent item", m.Write(0x60, 0, nil), OperFailed)
	check("first init", m.Init(0x60, 3, []byte{1, 2}), ItemUninit)
	check("second init", m.Init(0x60, 3, []byte{9, 9, 9}), Success)
	check("init with another length", m.Init(0x60, 4, nil), BadItemLen)
	check("init of nothing", m.Init(0x62, 0, nil), OperFailed)
	check("init beyond the flash", m.Init(0x62, 0xFFFF, nil), OperFailed)
	status, value := m.Read(0x60, 1)
	check("read", status, Success)
	if want := []byte{2, 0}; !bytes.Equal(value, want) {
		t.Errorf("read %x, want %x", value, want)
	}
	status, _ = m.Read(0x60, 3)
	check("read past the end", status, InvalidParameter)
	check("write past the end", m.Write(0x60, 2, []byte{1, 2}), InvalidParameter)
	check("write at an offset", m.Write(0x60, 1, []byte{7}), Success)
	if got, want := m.Get(Legacy(0x60)), []byte{7, 2, 0}; !bytes.Equal(got, want) {
		t.Errorf("an aligned stick ignores the offset: have %x, want %x", got, want)
	}
	check("delete with a wrong length", m.Delete(0x60, 2), BadItemLen)
	check("delete", m.Delete(0x60, 3), Success)
	check("delete again", m.Delete(0x60, 3), ItemUninit)
	m.Set(Legacy(0x69), []byte{1})
	status, _ = m.Read(0x69, 0)
	check("read of a certificate", status, InvalidParameter)

	p := New(false)
	p.Init(0x60, 3, nil)
	p.Write(0x60, 1, []byte{7})
	if got, want := p.Get(Legacy(0x60)), []byte{0xFF, 7, 0xFF}; !bytes.Equal(got, want) {
		t.Errorf("a packed stick honours the offset: have %x, want %x", got, want)
	}
	p.Init(0x61, 300, nil)
	if _, v := p.Read(0x61, 0); len(v) != MaxRead {
		t.Errorf("a read answers %d bytes, want %d", len(v), MaxRead)
	}
}

func TestExtendedRules(t *testing.T) {
	m := New(true)
	id := Table(TableTCLK, 3)
	steps := []struct {
		what      string
		got, want uint8
	}{
		{"delete of an absent item", m.DeleteExt(id), ExtNotFound},
		{"create of nothing", m.Create(id, 0), ExtBadLength},
		{"create beyond the flash", m.Create(id, 0xFFFFFFFF), ExtBadLength},
		{"create", m.Create(id, 20), Success},
		{"create again", m.Create(id, 20), ExtFailure},
		{"write at an offset", m.WriteExt(id, 1, []byte{1}), ExtBadParam},
		{"write of nothing", m.WriteExt(id, 0, nil), ExtBadLength},
		{"write", m.WriteExt(id, 0, []byte{1, 2, 3}), Success},
	}
	for _, s := range steps {
		if s.got != s.want {
			t.Errorf("%s: status %#02x, want %#02x", s.what, s.got, s.want)
		}
	}
	for _, c := range []struct {
		offset, n int
		status    uint8
		value     []byte
	}{
		{0, 3, Success, []byte{1, 2, 3}},
		{1, 1, Success, []byte{2}},
		{3, 0, ExtBadOffset, nil},
		{0, 4, ExtBadLength, nil},
	} {
		if status, value := m.ReadExt(id, c.offset, c.n); status != c.status || !bytes.Equal(value, c.value) {
			t.Errorf("read of %d at %d: %#02x %x, want %#02x %x", c.n, c.offset, status, value, c.status, c.value)
		}
	}
}

func TestNetworkOfARealDump(t *testing.T) {
	for _, c := range []struct {
		file    string
		network Network
		counter uint32
		devices int
	}{
		{"CC2652R-ZStack4.formed.json", Network{
			Channel: 15, ChannelMask: 1 << 15, PAN: 0x4402, ExtendedPAN: 0xa2ba38a8b5e683a0,
			Key: zb.NetworkKey{0x4c, 0x4e, 0x72, 0xb8, 0x41, 0x22, 0x51, 0x79, 0x9a, 0xbf, 0x35, 0x25, 0x12, 0x88, 0xca, 0x83},
		}, 7500, 8},
		{"CC2531-ZStack3.formed.json", Network{
			Channel: 15, ChannelMask: 1 << 15, PAN: 0xb6ab, ExtendedPAN: 0x629232463c772db2,
			Key: zb.NetworkKey{0x6d, 0xde, 0x24, 0xea, 0xe2, 0x85, 0x52, 0xb6, 0xde, 0x29, 0x56, 0xeb, 0x05, 0x85, 0x1a, 0xfa},
		}, 2501, 4},
	} {
		t.Run(c.file, func(t *testing.T) {
			m, err := Load(filepath.Join(shared(t), "zigbee", "nvram", c.file))
			if err != nil {
				t.Fatal(err)
			}
			n, on := m.Network()
			if !on {
				t.Fatal("the dump holds a network")
			}
			if diff := cmp.Diff(c.network, n); diff != "" {
				t.Error(diff)
			}
			if got := m.FrameCounter(n.ExtendedPAN); got != c.counter {
				t.Errorf("frame counter %d, want %d", got, c.counter)
			}
			if got := len(m.Devices()); got != c.devices {
				t.Errorf("%d devices, want %d: %v", got, c.devices, m.Devices())
			}
		})
	}
}

func TestFormAndDevices(t *testing.T) {
	for _, aligned := range []bool{true, false} {
		m := Blank(aligned, 0x00124b0001020304, [16]byte{1})
		if _, on := m.Network(); on {
			t.Fatal("a blank stick is on no network")
		}
		want := Network{Channel: 20, ChannelMask: 1 << 20, PAN: 0x1A62, ExtendedPAN: 0xDDDDDDDDDDDDDDDD, Key: zb.NetworkKey{1, 2, 3}}
		m.Form(want)
		got, on := m.Network()
		if diff := cmp.Diff(want, got); !on || diff != "" {
			t.Errorf("aligned %v: on %v %s", aligned, on, diff)
		}
		m.SetFrameCounter(want.ExtendedPAN, 1250)
		if c := m.FrameCounter(want.ExtendedPAN); c != 1250 {
			t.Errorf("frame counter %d", c)
		}
		a, b := Known{IEEE: 0x00158d0000000001, Network: 0x1234, Child: true}, Known{IEEE: 0x00158d0000000002, Network: 0x2345}
		if !m.AddDevice(a) || !m.AddDevice(b) || !m.AddDevice(a) {
			t.Error("no room for two devices")
		}
		if diff := cmp.Diff([]Known{a, b}, m.Devices()); diff != "" {
			t.Error(diff)
		}
		m.RemoveDevice(a.IEEE)
		if diff := cmp.Diff([]Known{b}, m.Devices()); diff != "" {
			t.Error(diff)
		}
		added := 0
		for i := range 400 {
			if m.AddDevice(Known{IEEE: zb.IEEEAddress(i + 100), Network: zb.NetworkAddress(i + 100)}) {
				added++
			}
		}
		if capacity := len(m.addrRows()); added != capacity-1 {
			t.Errorf("%d devices found room in %d rows", added, capacity)
		}
		m.ClearNetwork()
		if _, on := m.Network(); on || len(m.Devices()) != 0 {
			t.Error("a cleared stick still knows its network")
		}
	}
}
