package nv

import (
	"encoding/binary"

	zb "github.com/shimmeringbee/zigbee"
)

// Blank returns the memory of a stick that was never on a network: the configuration items of TI's default
// build, its own address, and random bytes for the seed of link keys.
func Blank(aligned bool, ieee zb.IEEEAddress, seed [16]byte) *Memory {
	m := New(aligned)
	m.Set(Legacy(ExtAddr), binary.LittleEndian.AppendUint64(nil, uint64(ieee)))
	m.Set(Legacy(TCLKSeed), seed[:])
	m.ClearConfig()
	m.growTables()
	m.ClearNetwork()
	m.dirty = false
	return m
}

// ClearConfig resets the configuration items to their defaults, as start-up option 1 does.
func (m *Memory) ClearConfig() {
	own := m.Get(Legacy(ExtAddr))
	for id, value := range map[uint16][]byte{
		StartupOption: {0}, 0x04: {10}, 0x28: {2}, 0x29: {2}, 0x2A: {2}, 0x2B: {7}, 0x2C: {30},
		ExtendedPANID: own, 0x2E: {2}, 0x2F: {5}, 0x30: {30}, 0x32: {1}, 0x33: {120}, 0x34: {10}, 0x36: {1},
		0x37: {1}, 0x38: {0xFF}, 0x39: {5}, 0x3C: {0}, 0x3D: {1}, 0x3E: {0}, 0x43: {3}, 0x44: {0xB8, 0x0B}, 0x45: {2},
		0x46: {0x80, 0x3E}, APSUseExtPANID: make([]byte, 8), 0x48: {1}, 0x49: {0xFE, 0xFF}, 0x4B: {2},
		0x4D: {0xE8, 0x03}, 0x4E: {10}, 0x4F: {5, 0}, 0x51: {1}, 0x52: {8}, 0x53: {8}, 0x54: {0},
		PrecfgKey: make([]byte, 16), PrecfgKeysEnable: {0}, 0x65: {1}, 0x66: {1}, 0x67: {0}, 0x6D: {1}, 0x71: make([]byte, 8),
		0x81: make([]byte, 17), PANID: {0xFF, 0xFF}, ChanList: make([]byte, 4), 0x86: {4}, LogicalType: {0},
		0x88: {20}, 0x8F: {1}, 0xA1: {0xE0},
	} {
		m.Set(Legacy(id), value)
	}
	if m.Aligned {
		rates := make([]byte, 40)
		copy(rates, []byte{0xB8, 0x0B, 0, 0, 0xB8, 0x01, 0, 0, 0x64, 0, 0, 0, 0x64})
		m.Set(Legacy(PollRate), rates)
		return
	}
	m.Set(Legacy(PollRateOld16), []byte{0xE8, 0x03})
	m.Set(Legacy(PollRate), []byte{0xE8, 0x03, 0, 0})
	m.Set(Legacy(0x64), []byte{4})
}
