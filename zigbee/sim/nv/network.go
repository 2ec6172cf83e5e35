package nv

import (
	"encoding/binary"
	"slices"

	zb "github.com/shimmeringbee/zigbee"
)

// Network is what the memory says of the network the stick is on.
type Network struct {
	Channel     uint8
	ChannelMask uint32
	PAN         zb.PANID
	ExtendedPAN zb.ExtendedPANID
	Key         zb.NetworkKey
	UpdateID    uint8
}

// nibLayout holds the offsets of the fields of the NIB that change between networks.
type nibLayout struct{ length, security, timings, channel, pan, state, mask, epid, keyLoaded, update int }

var (
	alignedNIB = nibLayout{116, 12, 16, 24, 36, 38, 40, 57, 65, 114}
	packedNIB  = nibLayout{110, 12, 15, 22, 33, 35, 36, 53, 61, 109}
)

const (
	nwkStateIdle   = 0x00
	nwkStateRouter = 0x08 // also a running coordinator's state
	securityLevel  = 5
	keyInfoLen     = 17 // sequence number and key
)

func (m *Memory) layout() nibLayout {
	if m.Aligned {
		return alignedNIB
	}
	return packedNIB
}

// Network returns the network of the memory and whether there is one.
func (m *Memory) Network() (Network, bool) {
	nib, l := m.items[Legacy(NIB)], m.layout()
	key := m.items[Legacy(NwkActiveKeyInfo)]
	if len(nib) < l.length || len(key) < keyInfoLen || !slices.Equal(m.items[Legacy(OnANetwork)], []byte{1}) {
		return Network{}, false
	}
	n := Network{
		Channel:     nib[l.channel],
		ChannelMask: binary.LittleEndian.Uint32(nib[l.mask:]),
		PAN:         zb.PANID(binary.LittleEndian.Uint16(nib[l.pan:])),
		ExtendedPAN: zb.ExtendedPANID(binary.LittleEndian.Uint64(nib[l.epid:])),
		Key:         zb.NetworkKey(key[1:keyInfoLen]),
		UpdateID:    nib[l.update],
	}
	return n, n.PAN != 0xFFFF && n.Channel != 0
}

// Form writes the items a stick writes when it founds a network, and empties the tables of the one before.
func (m *Memory) Form(n Network) {
	m.ClearNetwork()
	nib, l := m.nib(), m.layout()
	nib[l.security], nib[l.channel], nib[l.state], nib[l.keyLoaded] = securityLevel, n.Channel, nwkStateRouter, 1
	nib[l.update] = n.UpdateID
	binary.LittleEndian.PutUint16(nib[l.pan:], uint16(n.PAN))
	binary.LittleEndian.PutUint32(nib[l.mask:], n.ChannelMask)
	binary.LittleEndian.PutUint64(nib[l.epid:], uint64(n.ExtendedPAN))
	info := append([]byte{0}, n.Key[:]...)
	nwkKey := append(slices.Clone(info), make([]byte, m.nwkKeyLen()-keyInfoLen)...)
	for id, value := range map[uint16][]byte{
		NIB: nib, NwkActiveKeyInfo: info, NwkAlternKeyInfo: info, NwkKey: nwkKey, OnANetwork: {1},
		PrecfgKey: n.Key[:], APSLinkKeyTable: make([]byte, m.apsLinkKeyLen()), GroupTable: m.emptyGroups(),
	} {
		m.Set(Legacy(id), value)
	}
	m.growTables()
	m.SetFrameCounter(n.ExtendedPAN, 0)
}

// ClearNetwork forgets the network and its devices, as start-up option 2 does. The configuration stays.
func (m *Memory) ClearNetwork() {
	for _, id := range []uint16{NIB, APSLinkKeyTable, GroupTable} {
		m.Remove(Legacy(id))
	}
	m.Set(Legacy(NwkActiveKeyInfo), make([]byte, keyInfoLen))
	m.Set(Legacy(NwkAlternKeyInfo), make([]byte, keyInfoLen))
	m.Set(Legacy(NwkKey), make([]byte, m.nwkKeyLen()))
	m.Set(Legacy(OnANetwork), []byte{0})
	m.emptyTables()
}

// nib returns a NIB of a stick that is on no network, with TI's default timings.
func (m *Memory) nib() []byte {
	l := m.layout()
	nib := make([]byte, l.length)
	copy(nib, []byte{0x00, 0x05, 0x02, 0x33, 0x0F, 0x33, 0x00, 0x1E, 0x00, 0x00, 0x00, 0x01, securityLevel, 0x01, 0x8F})
	copy(nib[l.mask+4:], []byte{0x0F, 0x0F, 0x04, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01})
	copy(nib[l.timings:], []byte{0x07, 0x00, 0x02, 0x05, 0x1E})
	nib[l.state] = nwkStateIdle
	binary.LittleEndian.PutUint16(nib[l.pan:], 0xFFFF)
	return nib
}

// FrameCounter is the stored network frame counter.
func (m *Memory) FrameCounter(epid zb.ExtendedPANID) uint32 {
	for _, id := range m.secMaterial() {
		row := m.items[id]
		if len(row) == 12 && binary.LittleEndian.Uint64(row[4:]) == uint64(epid) {
			return binary.LittleEndian.Uint32(row)
		}
	}
	return 0
}

// SetFrameCounter stores the counter in the row of the network, or in the first one if it has none.
func (m *Memory) SetFrameCounter(epid zb.ExtendedPANID, counter uint32) {
	ids := m.secMaterial()
	if len(ids) == 0 {
		return
	}
	target := ids[0]
	for _, id := range ids {
		if row := m.items[id]; len(row) == 12 && binary.LittleEndian.Uint64(row[4:]) == uint64(epid) {
			target = id
			break
		}
	}
	row := binary.LittleEndian.AppendUint32(nil, counter)
	m.Set(target, binary.LittleEndian.AppendUint64(row, uint64(epid)))
	if key := m.Get(Legacy(NwkKey)); len(key) == m.nwkKeyLen() {
		binary.LittleEndian.PutUint32(key[len(key)-4:], counter)
		m.Set(Legacy(NwkKey), key)
	}
}

// IEEE is the stick's own address.
func (m *Memory) IEEE() zb.IEEEAddress {
	if v := m.items[Legacy(ExtAddr)]; len(v) == 8 {
		return zb.IEEEAddress(binary.LittleEndian.Uint64(v))
	}
	return 0
}

func (m *Memory) nwkKeyLen() int {
	if m.Aligned {
		return 24
	}
	return 21
}

// apsLinkKeyLen is a two-byte count and three rows of address index, key item and authentication.
func (m *Memory) apsLinkKeyLen() int {
	if m.Aligned {
		return 2 + 3*6
	}
	return 2 + 3*5
}

// emptyGroups is a two-byte count and one erased row.
func (m *Memory) emptyGroups() []byte {
	rows := 19
	if m.Aligned {
		rows = 20
	}
	return append([]byte{0, 0}, filled(rows, 0xFF)...)
}

func filled(n int, b byte) []byte { return slices.Repeat([]byte{b}, n) }

// SetChannel stores the channel, mask and update id of a network that moves.
func (m *Memory) SetChannel(n Network) {
	nib, l := m.Get(Legacy(NIB)), m.layout()
	if len(nib) < l.length {
		return
	}
	nib[l.channel], nib[l.update] = n.Channel, n.UpdateID
	binary.LittleEndian.PutUint32(nib[l.mask:], n.ChannelMask)
	m.Set(Legacy(NIB), nib)
}
