package nv

import (
	"encoding/binary"

	zb "github.com/shimmeringbee/zigbee"
)

// Sizes of the tables of a stick with the stack's default build.
const (
	addrMgrRows        = 257
	packedAddrMgrRows  = 62
	deviceListRows     = 51
	tclkRows           = 200
	packedTCLKRows     = 40
	apsKeyRows         = 3
	secMaterialRows    = 5
	packedSecRows      = 2
	apsKeyLen          = 24
	secMaterialLen     = 12
	packedAddrMgrLen   = 11
	tclkKeyUnused      = 0xFF
	tclkKeyVerified    = 0x02
	addrUserUnused     = 0xFF
	addrUserAssoc      = 0x01
	addrUserSecurity   = 0x02
	bindingRowLen      = 14
	deviceListRowLen   = 16
	tclkCounterStart   = 1
	alignedAddrMgrLen  = 12
	alignedTCLKRowLen  = 20
	packedTCLKRowLen   = 19
	tclkIEEEOffset     = 8
	tclkAttributeShift = 16
)

// Known is a device of the address manager.
type Known struct {
	IEEE    zb.IEEEAddress
	Network zb.NetworkAddress
	Child   bool // associated with the stick itself
}

func (m *Memory) secMaterial() []ID {
	if m.Aligned {
		return rows(TableSecMaterial, m.Rows(TableSecMaterial))
	}
	return m.series(SecMaterialStart, 12)
}

func (m *Memory) tclk() []ID {
	if m.Aligned {
		return rows(TableTCLK, m.Rows(TableTCLK))
	}
	return m.series(TCLKTableStart, 239)
}

func rows(table uint16, n int) []ID {
	ids := make([]ID, n)
	for i := range ids {
		ids[i] = Table(table, uint16(i))
	}
	return ids
}

// series returns the items of a numbered range that exist.
func (m *Memory) series(start, n uint16) []ID {
	var ids []ID
	for id := start; id < start+n && m.Len(Legacy(id)) > 0; id++ {
		ids = append(ids, Legacy(id))
	}
	return ids
}

func (m *Memory) emptyTables() {
	for _, table := range []uint16{TableAddrMgr, TableBinding, TableDeviceList} {
		for _, id := range rows(table, m.Rows(table)) {
			m.Remove(id)
		}
	}
	m.Remove(Legacy(AddrMgr))
	for _, id := range m.tclk() {
		m.Set(id, m.unusedTCLK())
	}
	for _, id := range m.secMaterial() {
		m.Set(id, make([]byte, secMaterialLen))
	}
	keys := rows(TableAPSKeyData, m.Rows(TableAPSKeyData))
	if !m.Aligned {
		keys = m.series(APSKeyDataStart, 255)
	}
	for _, id := range keys {
		m.Set(id, make([]byte, apsKeyLen))
	}
}

// growTables creates the tables that only a stick on a network has, and those a bare dump lacks.
func (m *Memory) growTables() {
	if !m.Aligned {
		m.Set(Legacy(AddrMgr), m.unusedAddrMgr())
		m.ensure(m.tclk(), func(i uint16) ID { return Legacy(TCLKTableStart + i) }, packedTCLKRows, m.unusedTCLK())
		m.ensure(m.secMaterial(), func(i uint16) ID { return Legacy(SecMaterialStart + i) }, packedSecRows, make([]byte, secMaterialLen))
		m.ensure(m.series(APSKeyDataStart, 255), func(i uint16) ID { return Legacy(APSKeyDataStart + i) }, apsKeyRows, make([]byte, apsKeyLen))
		return
	}
	for _, t := range []struct {
		table, rows uint16
		empty       []byte
	}{
		{TableAddrMgr, addrMgrRows, filled(alignedAddrMgrLen, 0xFF)},
		{TableBinding, 1, filled(bindingRowLen, 0xFF)},
		{TableDeviceList, deviceListRows, filled(deviceListRowLen, 0xFF)},
		{TableTCLK, tclkRows, m.unusedTCLK()},
		{TableAPSKeyData, apsKeyRows, make([]byte, apsKeyLen)},
		{TableSecMaterial, secMaterialRows, make([]byte, secMaterialLen)},
	} {
		m.ensure(rows(t.table, m.Rows(t.table)), func(i uint16) ID { return Table(t.table, i) }, t.rows, t.empty)
	}
}

// ensure creates want rows of the given content unless some are there already.
func (m *Memory) ensure(have []ID, at func(uint16) ID, want uint16, empty []byte) {
	if len(have) > 0 {
		return
	}
	for i := range want {
		m.Set(at(i), empty)
	}
}

func (m *Memory) unusedTCLK() []byte {
	if m.Aligned {
		return append(make([]byte, tclkAttributeShift), tclkKeyUnused, 0, 0, 0)
	}
	return append(make([]byte, tclkAttributeShift), tclkKeyUnused, 0, 0)
}

func (m *Memory) unusedAddrMgr() []byte {
	out := make([]byte, 0, packedAddrMgrRows*packedAddrMgrLen)
	for range packedAddrMgrRows {
		out = append(out, 0)
		out = append(out, filled(packedAddrMgrLen-1, 0xFF)...)
	}
	return out
}

// addrRow is one row of the address manager in either layout.
type addrRow struct {
	user uint8
	Known
}

func (r addrRow) used() bool {
	return r.user != 0 && r.user != addrUserUnused && r.IEEE != 0 && r.IEEE != 0xFFFFFFFFFFFFFFFF
}

func (m *Memory) addrRows() []addrRow {
	var out []addrRow
	if !m.Aligned {
		for blob := m.items[Legacy(AddrMgr)]; len(blob) >= packedAddrMgrLen; blob = blob[packedAddrMgrLen:] {
			out = append(out, parseAddr(blob[0], blob[1:packedAddrMgrLen]))
		}
		return out
	}
	for _, id := range rows(TableAddrMgr, m.Rows(TableAddrMgr)) {
		row := m.items[id]
		if len(row) != alignedAddrMgrLen {
			row = filled(alignedAddrMgrLen, 0xFF)
		}
		out = append(out, parseAddr(row[0], row[2:]))
	}
	return out
}

func parseAddr(user uint8, b []byte) addrRow {
	return addrRow{user, Known{
		IEEE:    zb.IEEEAddress(binary.LittleEndian.Uint64(b[2:])),
		Network: zb.NetworkAddress(binary.LittleEndian.Uint16(b)),
		Child:   user&addrUserAssoc != 0,
	}}
}

func (m *Memory) setAddrRow(i int, user uint8, k Known) {
	b := binary.LittleEndian.AppendUint16(nil, uint16(k.Network))
	b = binary.LittleEndian.AppendUint64(b, uint64(k.IEEE))
	if m.Aligned {
		m.Set(Table(TableAddrMgr, uint16(i)), append([]byte{user, 0xFF}, b...))
		return
	}
	blob := m.Get(Legacy(AddrMgr))
	copy(blob[i*packedAddrMgrLen:], append([]byte{user}, b...))
	m.Set(Legacy(AddrMgr), blob)
}

// Devices lists the devices of the address manager.
func (m *Memory) Devices() []Known {
	var out []Known
	for _, r := range m.addrRows() {
		if r.used() {
			out = append(out, r.Known)
		}
	}
	return out
}

// AddDevice stores a joined device in the address manager and gives it a verified key of the trust centre.
// It reports whether there was room.
func (m *Memory) AddDevice(k Known) bool {
	free := -1
	user := uint8(addrUserSecurity)
	if k.Child {
		user |= addrUserAssoc
	}
	for i, r := range m.addrRows() {
		if r.used() && r.IEEE == k.IEEE {
			free = i
			break
		}
		if !r.used() && free < 0 {
			free = i
		}
	}
	if free < 0 {
		return false
	}
	m.setAddrRow(free, user, k)
	m.addKey(k.IEEE)
	return true
}

// addKey stores a verified trust-centre link key of seed shift 0 unless the device has one.
func (m *Memory) addKey(ieee zb.IEEEAddress) {
	var free ID
	found := false
	for _, id := range m.tclk() {
		row := m.items[id]
		if len(row) <= tclkAttributeShift {
			continue
		}
		if row[tclkAttributeShift] != tclkKeyUnused {
			if binary.LittleEndian.Uint64(row[tclkIEEEOffset:]) == uint64(ieee) {
				return
			}
			continue
		}
		if !found {
			free, found = id, true
		}
	}
	if !found {
		return
	}
	row := m.unusedTCLK()
	binary.LittleEndian.PutUint32(row, tclkCounterStart)
	binary.LittleEndian.PutUint64(row[tclkIEEEOffset:], uint64(ieee))
	row[tclkAttributeShift] = tclkKeyVerified
	m.Set(free, row)
}

// RemoveDevice frees the rows of a device that left.
func (m *Memory) RemoveDevice(ieee zb.IEEEAddress) {
	for i, r := range m.addrRows() {
		if r.used() && r.IEEE == ieee {
			user := uint8(0)
			if m.Aligned {
				user = addrUserUnused
			}
			m.setAddrRow(i, user, Known{IEEE: 0xFFFFFFFFFFFFFFFF, Network: 0xFFFF})
		}
	}
	for _, id := range m.tclk() {
		if row := m.items[id]; len(row) > tclkAttributeShift && row[tclkAttributeShift] != tclkKeyUnused &&
			binary.LittleEndian.Uint64(row[tclkIEEEOffset:]) == uint64(ieee) {
			m.Set(id, m.unusedTCLK())
		}
	}
}
