package znp_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/backup"
	"github.com/peerbee/peerbee/zigbee/sim"
	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/znp"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

// shared gives a recorded file, or skips the test.
func shared(t testing.TB, name ...string) string {
	t.Helper()
	dir := os.Getenv("PEERBEE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	path := filepath.Join(append([]string{dir, "zigbee"}, name...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skip("the recorded data is not here: set PEERBEE_SHARED to its folder")
	}
	return path
}

func loadNV(t testing.TB, name string) *nv.Memory {
	t.Helper()
	m, err := nv.Load(shared(t, "nvram", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func ptr[T any](v T) *T { return &v }

func key(t testing.TB, s string) backup.Key { return backup.Key(unhex(t, s)) }

// shownKeys lets a difference show keys, which hide themselves.
var shownKeys = cmp.Transformer("hex", func(k backup.Key) string { return hex.EncodeToString(k[:]) })

func diffDocuments(t *testing.T, want, got backup.Document) {
	t.Helper()
	if diff := cmp.Diff(want, got, shownKeys); diff != "" {
		t.Error(diff)
	}
}

func (s *simulated) backup(t *testing.T) backup.Document {
	t.Helper()
	s.set(nil)
	d, err := s.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.onlyRead(t)
	if _, err := backup.Append(nil, d); err != nil {
		t.Error(err)
	}
	return d
}

// linkKey is a key of the trust centre, computed apart from the code under test.
func linkKey(seed backup.Key, ieee zb.IEEEAddress, shift int) backup.Key {
	rotated := append(bytes.Clone(seed[shift:]), seed[:shift]...)
	for i := range 8 {
		b := byte(ieee >> (8 * i))
		rotated[i] ^= b
		rotated[i+8] ^= b
	}
	return backup.Key(rotated)
}

func cc2531(t testing.TB) backup.Document {
	device := func(ieee zb.IEEEAddress, nwk zb.NetworkAddress) backup.Device {
		return backup.Device{IEEE: ieee, Network: nwk, Child: ptr(true)}
	}
	return backup.Document{
		ZNPVersion: ptr(uint8(2)), Coordinator: 0x00124b000fea8e05, PAN: 0xb6ab, ExtendedPAN: 0x629232463c772db2,
		SecurityLevel: 5, Channel: 15, ChannelMask: 1 << 15,
		NetworkKey: backup.NetworkKey{Key: key(t, "6dde24eae28552b6de2956eb05851afa"), FrameCounter: 2501},
		TCLKSeed:   ptr(key(t, "c1de50b8bf52b2bdb491742ce49d88e9")),
		Devices: []backup.Device{
			device(0x00124b001c4b2159, 0x9ab3), device(0x00124b001c4b6e8e, 0x8c5c),
			device(0xd0cf5efffece3af2, 0x31c6), device(0xec1bbdfffe2f41a4, 0x1db7),
		},
	}
}

func cc2652(t testing.TB) backup.Document {
	seed := key(t, "c04884427c8a1ed7bb8412815ccce7aa")
	device := func(ieee zb.IEEEAddress, nwk zb.NetworkAddress, key *backup.LinkKey) backup.Device {
		return backup.Device{IEEE: ieee, Network: nwk, Child: ptr(false), LinkKey: key}
	}
	derived := func(ieee zb.IEEEAddress, shift int, tx, rx uint32) *backup.LinkKey {
		return &backup.LinkKey{Key: linkKey(seed, ieee, shift), TxCounter: tx, RxCounter: rx}
	}
	d := backup.Document{
		ZNPVersion: ptr(uint8(1)), Coordinator: 0x00124b001e17efa8, PAN: 0x4402, ExtendedPAN: 0xa2ba38a8b5e683a0,
		SecurityLevel: 5, Channel: 15, ChannelMask: 1 << 15,
		NetworkKey: backup.NetworkKey{Key: key(t, "4c4e72b8412251799abf35251288ca83"), FrameCounter: 7500},
		TCLKSeed:   &seed,
		Devices: []backup.Device{
			device(0x000b57fffe2bd457, 0x664b, &backup.LinkKey{Key: key(t, "6822d93c39c7d86085d999879e3fd7f4"), TxCounter: 7023, RxCounter: 7}),
			device(0x4b001c4b2159a231, 0x0012, nil),
			device(0x90fd9ffffe2bbbdd, 0x9697, derived(0x90fd9ffffe2bbbdd, 14, 0x5bc3, 0x3435)),
			device(0x90fd9ffffe329a0b, 0xc56b, derived(0x90fd9ffffe329a0b, 13, 0x33fe, 0x0105)),
			device(0xccccccfffeeec02a, 0x4c7c, derived(0xccccccfffeeec02a, 0, 0x5489, 0xe2dd)),
			device(0xd0cf5efffece3af2, 0x8f15, &backup.LinkKey{Key: key(t, "92e8c34c863fa70c0605380c3d985f03"), TxCounter: 6032, RxCounter: 18}),
			device(0xd0cf5efffeda9bbb, 0x22c0, derived(0xd0cf5efffeda9bbb, 8, 0x33e0, 0xf7)),
			device(0xec1bbdfffe544f40, 0x6d1c, derived(0xec1bbdfffe544f40, 0, 0x5960, 0x13806)),
		},
	}
	d.Devices[1].Child = ptr(true)
	return d
}

// TestBackupOfRealMemory reads the dumps of real sticks before and after their network is adopted.
func TestBackupOfRealMemory(t *testing.T) {
	for name, want := range map[string]func(testing.TB) backup.Document{
		"CC2531-ZStack3.formed": cc2531, "CC2652R-ZStack4.formed": cc2652,
	} {
		t.Run(name, func(t *testing.T) {
			memory := loadNV(t, name)
			simulate(t, sim.Options{NV: memory}, nil, func(t *testing.T, s *simulated) {
				s.until(t, "decision", func() bool { return s.State().Phase == znp.PhaseNeedsDecision })
				before := s.backup(t)
				diffDocuments(t, want(t), before)
				if _, err := s.Adopt(t.Context()); err != nil {
					t.Fatal(err)
				}
				after := s.backup(t)
				if !after.SameContent(before) || after.NetworkKey.FrameCounter < before.NetworkKey.FrameCounter {
					t.Errorf("running, it differs: %s", cmp.Diff(before, after, shownKeys))
				}
			})
		})
	}
}

func TestBackupOfNothing(t *testing.T) {
	for _, name := range []string{"CC2531-ZStack3.reset", "CC2652R-ZStack4.reset"} {
		t.Run(name, func(t *testing.T) {
			memory := loadNV(t, name)
			simulate(t, sim.Options{NV: memory}, nil, func(t *testing.T, s *simulated) {
				s.until(t, "decision", func() bool { return s.State().Phase == znp.PhaseNeedsDecision })
				s.set(nil)
				if _, err := s.Backup(t.Context()); !errors.Is(err, znp.ErrNoNetwork) {
					t.Errorf("got %v", err)
				}
				s.onlyRead(t)
			})
		})
	}
}

// TestBackupFollowsTheNetwork forms a network on either kind of stick and lets sensors join and leave.
func TestBackupFollowsTheNetwork(t *testing.T) {
	for _, version := range []sim.Version{sim.ZStack3x0, sim.ZStack30x} {
		seed := key(t, "000102030405060708090a0b0c0d0e0f")
		memory := nv.Blank(version.Aligned, 0x00124b0001020304, seed)
		sensors := []sim.SensorSpec{
			{Kind: "temperature", Name: "near", IEEE: 0x00158d0000000001, Network: 0x1234},
			{Kind: "contact", Name: "far", IEEE: 0x00158d0000000002, Network: 0x2345},
		}
		simulate(t, sim.Options{NV: memory, Version: version, Sensors: sensors}, nil, func(t *testing.T, s *simulated) {
			s.until(t, "decision", func() bool { return s.State().Phase == znp.PhaseNeedsDecision })
			formed, err := s.Form(t.Context(), znp.FormParams{Channel: 20})
			if err != nil {
				t.Fatal(err)
			}
			empty := s.backup(t)
			if empty.Channel != 20 || empty.ChannelMask != 1<<20 || empty.PAN != formed.PAN || len(empty.Devices) != 0 ||
				empty.ExtendedPAN != formed.ExtendedPAN || empty.Coordinator != 0x00124b0001020304 || *empty.TCLKSeed != seed {
				t.Errorf("formed %s, backed up %s", formed, empty)
			}
			if err := s.PermitJoin(t.Context(), 60, nil); err != nil {
				t.Fatal(err)
			}
			s.until(t, "two sensors", func() bool { return len(s.backup(t).Devices) == 2 })
			want := empty
			for _, d := range sensors {
				want.Devices = append(want.Devices, backup.Device{
					IEEE: d.IEEE, Network: d.Network, Child: ptr(true),
					LinkKey: &backup.LinkKey{Key: linkKey(seed, d.IEEE, 0), TxCounter: 1},
				})
			}
			got := s.backup(t)
			want.NetworkKey.FrameCounter = got.NetworkKey.FrameCounter
			diffDocuments(t, want, got)
			if err := s.stick.Leave("near"); err != nil {
				t.Fatal(err)
			}
			s.until(t, "one sensor", func() bool { return len(s.backup(t).Devices) == 1 })
		})
	}
}

// sampleMemory stores a published backup as the firmware of either kind of stick stores such a network. Keys that
// follow from the seed go where the trust centre has them, others where agreed keys are.
func sampleMemory(t *testing.T, d backup.Document, aligned bool) *nv.Memory {
	t.Helper()
	m := nv.Blank(aligned, d.Coordinator, *d.TCLKSeed)
	m.Form(nv.Network{
		Channel: d.Channel, ChannelMask: d.ChannelMask, PAN: d.PAN, ExtendedPAN: d.ExtendedPAN,
		Key: zb.NetworkKey(d.NetworkKey.Key), UpdateID: d.UpdateID,
	})
	m.SetFrameCounter(d.ExtendedPAN, d.NetworkKey.FrameCounter)
	tclk, aps := 0, 0
	index := m.Get(nv.Legacy(nv.APSLinkKeyTable))
	rowSize, keyBase := (len(index)-2)/3, 0
	tclkID := func(i int) nv.ID { return nv.Table(nv.TableTCLK, uint16(i)) }
	apsID := func(i int) nv.ID { return nv.Table(nv.TableAPSKeyData, uint16(i)) }
	if !aligned {
		keyBase = int(nv.APSKeyDataStart)
		tclkID = func(i int) nv.ID { return nv.Legacy(nv.TCLKTableStart + uint16(i)) }
		apsID = func(i int) nv.ID { return nv.Legacy(nv.APSKeyDataStart + uint16(i)) }
	}
	var addresses []byte
	for i, device := range d.Devices {
		address := binary.LittleEndian.AppendUint16(nil, uint16(device.Network))
		address = binary.LittleEndian.AppendUint64(address, uint64(device.IEEE))
		if aligned {
			m.Set(nv.Table(nv.TableAddrMgr, uint16(i)), append([]byte{2, 0xFF}, address...))
		}
		addresses = append(append(addresses, 2), address...)
		if device.LinkKey == nil {
			continue
		}
		counters := binary.LittleEndian.AppendUint32(nil, device.LinkKey.TxCounter)
		counters = binary.LittleEndian.AppendUint32(counters, device.LinkKey.RxCounter)
		shift := -1
		for s := range 16 {
			if linkKey(*d.TCLKSeed, device.IEEE, s) == device.LinkKey.Key {
				shift = s
			}
		}
		if shift >= 0 {
			b := m.Get(tclkID(tclk))
			copy(b, binary.LittleEndian.AppendUint64(counters, uint64(device.IEEE)))
			b[16], b[17], b[18] = 2, 0, byte(shift)
			m.Set(tclkID(tclk), b)
			tclk++
			continue
		}
		m.Set(apsID(aps), append(device.LinkKey.Key[:], counters...))
		entry := index[2+aps*rowSize:]
		binary.LittleEndian.PutUint16(entry, uint16(i))
		binary.LittleEndian.PutUint16(entry[2:], uint16(keyBase+aps))
		entry[4] = 1
		aps++
		binary.LittleEndian.PutUint16(index, uint16(aps))
	}
	m.Set(nv.Legacy(nv.APSLinkKeyTable), index)
	if !aligned {
		blob := m.Get(nv.Legacy(nv.AddrMgr))
		copy(blob, addresses)
		m.Set(nv.Legacy(nv.AddrMgr), blob)
	}
	if tclk != 3 || aps != 1 {
		t.Fatalf("%d keys follow from the seed and %d do not, want 3 and 1", tclk, aps)
	}
	return m
}

// TestPublishedBackupThroughAStick reads a published backup back from a stick that holds its network: the link keys
// another program wrote are those derived here.
func TestPublishedBackupThroughAStick(t *testing.T) {
	b, err := os.ReadFile(shared(t, "coordinator-backup-sample.json"))
	if err != nil {
		t.Fatal(err)
	}
	published, err := backup.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, aligned := range []bool{true, false} {
		simulate(t, sim.Options{NV: sampleMemory(t, published, aligned)}, nil, func(t *testing.T, s *simulated) {
			s.until(t, "decision", func() bool { return s.State().Phase == znp.PhaseNeedsDecision })
			got := s.backup(t)
			want := published
			want.Source, want.Written = got.Source, got.Written
			want.ZNPVersion = got.ZNPVersion
			want.Devices = slices.Clone(want.Devices)
			for i := range want.Devices {
				want.Devices[i].Child = ptr(false)
			}
			diffDocuments(t, want, got)
		})
	}
}

// TestBackupOfAlignedItems has a memory with aligned structures but without tables, as early 3.x.0 firmware keeps it.
func TestBackupOfAlignedItems(t *testing.T) {
	memory := loadNV(t, "CC2652R-ZStack4.formed")
	take := func(table uint16) (rows [][]byte) {
		for i := range uint16(memory.Rows(table)) {
			rows = append(rows, memory.Get(nv.Table(table, i)))
			defer memory.Remove(nv.Table(table, i))
		}
		return rows
	}
	memory.Set(nv.Legacy(nv.AddrMgr), bytes.Join(take(nv.TableAddrMgr), nil))
	for table, start := range map[uint16]uint16{
		nv.TableTCLK: nv.TCLKTableStart, nv.TableAPSKeyData: nv.APSKeyDataStart, nv.TableSecMaterial: nv.SecMaterialStart,
	} {
		for i, row := range take(table) {
			memory.Set(nv.Legacy(start+uint16(i)), row)
		}
	}
	simulate(t, sim.Options{NV: memory}, nil, func(t *testing.T, s *simulated) {
		s.until(t, "decision", func() bool { return s.State().Phase == znp.PhaseNeedsDecision })
		diffDocuments(t, cc2652(t), s.backup(t))
	})
}

// TestBackupKeepsKeysWithoutAddress has a device whose address the stick has lost.
func TestBackupKeepsKeysWithoutAddress(t *testing.T) {
	memory := loadNV(t, "CC2652R-ZStack4.formed")
	memory.Set(nv.Table(nv.TableAddrMgr, 2), bytes.Repeat([]byte{0xFF}, 12))
	simulate(t, sim.Options{NV: memory}, nil, func(t *testing.T, s *simulated) {
		s.until(t, "decision", func() bool { return s.State().Phase == znp.PhaseNeedsDecision })
		want := cc2652(t)
		lost := want.Devices[2]
		lost.Network = backup.NoAddress
		want.Devices = append(slices.Delete(want.Devices, 2, 3), lost)
		diffDocuments(t, want, s.backup(t))
	})
}

// TestIncompleteMemoryIsNoBackup takes away what a backup cannot be without.
func TestIncompleteMemoryIsNoBackup(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(*nv.Memory)
	}{
		{"seed", func(m *nv.Memory) { m.Remove(nv.Legacy(nv.TCLKSeed)) }},
		{"frame counter", func(m *nv.Memory) {
			for i := range uint16(5) {
				m.Set(nv.Table(nv.TableSecMaterial, i), make([]byte, 12))
			}
			m.Set(nv.Legacy(nv.NwkKey), make([]byte, 17))
		}},
	} {
		memory := loadNV(t, "CC2652R-ZStack4.formed")
		c.damage(memory)
		simulate(t, sim.Options{NV: memory}, nil, func(t *testing.T, s *simulated) {
			s.until(t, "decision", func() bool { return s.State().Phase == znp.PhaseNeedsDecision })
			if d, err := s.Backup(t.Context()); err == nil || len(d.Devices) != 0 || !d.NetworkKey.Key.IsZero() {
				t.Errorf("without the %s: %v, %v", c.name, d, err)
			}
		})
	}
}

// TestBackupOfADisturbedStick pulls the stick out, or restarts it, at many points of the reading: the backup fails,
// the host recovers, the next backup is whole.
func TestBackupOfADisturbedStick(t *testing.T) {
	want := cc2531(t)
	disturb := map[string]func(s *simulated, c net.Conn){
		"unplugged": func(_ *simulated, c net.Conn) { _ = c.Close() }, // a pipe's Close never fails
		"restarted": func(s *simulated, _ net.Conn) { s.stick.Reset() },
	}
	for name, act := range disturb {
		t.Run(name, func(t *testing.T) {
			memory := loadNV(t, "CC2531-ZStack3.formed")
			simulate(t, sim.Options{NV: memory}, nil, func(t *testing.T, s *simulated) {
				ready := func() bool { return s.State().Phase == znp.PhaseNeedsDecision }
				s.until(t, "decision", ready)
				s.backup(t)
				s.mu.Lock()
				frames := len(s.sent)
				s.mu.Unlock()
				for at := range frames {
					n := 0
					s.set(func(_ mt.Message, c net.Conn) {
						if n++; n == at+1 {
							act(s, c)
						}
					})
					d, err := s.Backup(t.Context())
					if err == nil && !d.SameContent(want) {
						t.Fatalf("at frame %d: %s", at, cmp.Diff(want, d, shownKeys))
					}
					s.set(nil)
					s.until(t, "recovery", func() bool { d, err = s.Backup(t.Context()); return err == nil })
				}
				diffDocuments(t, want, s.backup(t))
			})
		})
	}
}

func TestBackupWithoutAStick(t *testing.T) {
	s := formedStick(t)
	s.absent = true
	with(t, s, nil, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseNoStick, 0)
		if _, err := h.Backup(t.Context()); !errors.Is(err, znp.ErrNotRunning) {
			t.Errorf("got %v", err)
		}
	})
}

// FuzzDeviceTables gives the rows of any memory to the reader of devices.
func FuzzDeviceTables(f *testing.F) {
	f.Add(false, unhex(f, "01b39a59214b1c004b1200"), unhex(f, "21000000000000000000000000000000ff0000"), unhex(f, "0000000000000000000000000000000000"), make([]byte, 24))
	f.Add(true, unhex(f, "02ff9796ddbb2bfeff9ffd90"), unhex(f, "c35b000035340000ddbb2bfeff9ffd9002000e00"), unhex(f, "02000000000001ff0500010001ff000000000000"), unhex(f, "6822d93c39c7d86085d999879e3fd7f46f1b000007000000"))
	f.Fuzz(func(t *testing.T, aligned bool, address, tclk, index, key []byte) {
		list, err := znp.DevicesOf(!aligned, [][]byte{address, address}, [][]byte{tclk, tclk}, index, [][]byte{key})
		if err != nil {
			t.Fatal(err)
		}
		d := cc2531(t)
		d.Devices = list
		if err := d.Check(); err != nil {
			t.Error(err)
		}
	})
}
