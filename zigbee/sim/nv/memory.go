// Package nv is the non-volatile memory of a simulated Z-Stack stick: numbered items, the status codes TI's
// handlers give for them, the layouts of the items a network consists of, and a JSON dump file to load and save.
// It must never know frames, ports or sensors.
package nv

import "slices"

// Status codes of the OSAL interface (commands 0x07 to 0x1D of the SYS subsystem).
const (
	Success          uint8 = 0x00
	InvalidParameter uint8 = 0x02
	ItemUninit       uint8 = 0x09 // by item init: created just now; by delete: was not there
	OperFailed       uint8 = 0x0A
	BadItemLen       uint8 = 0x0C
)

// Status codes of the extended interface (commands 0x30 to 0x36 of the SYS subsystem).
const (
	ExtFailure   uint8 = 0x01
	ExtNotReady  uint8 = 0x03
	ExtBadParam  uint8 = 0x04
	ExtBadLength uint8 = 0x05
	ExtBadOffset uint8 = 0x06
	ExtNotFound  uint8 = 0x0A
)

// MaxRead is how many bytes one read answer carries at most.
const MaxRead = 246

// capacity bounds the sum of all item lengths; a CC2652 has 5 pages of 8 KiB for them.
const capacity = 5 * 8192

// SysZStack is the system id of the stack's own items.
const SysZStack uint8 = 1

// ID names an item: the OSAL interface reaches only those of SysZStack and item 0.
type ID struct {
	System uint8
	Item   uint16
	Sub    uint16
}

// Legacy is the ID of an item of the OSAL interface.
func Legacy(id uint16) ID { return ID{System: SysZStack, Sub: id} }

// Table is the ID of one row of an extended table of the stack.
func Table(item, row uint16) ID { return ID{System: SysZStack, Item: item, Sub: row} }

// Memory holds the items. It is not safe for concurrent use.
type Memory struct {
	// Aligned tells the struct layout: true for ARM sticks (Z-Stack 3.x.0), false for the packed CC253x.
	Aligned bool

	items map[ID][]byte
	used  int
	dirty bool
}

// New returns an empty memory.
func New(aligned bool) *Memory {
	return &Memory{Aligned: aligned, items: map[ID][]byte{}}
}

// Get returns a copy of an item, nil if it is absent.
func (m *Memory) Get(id ID) []byte { return slices.Clone(m.items[id]) }

// Len returns the length of an item, 0 if it is absent.
func (m *Memory) Len(id ID) int { return len(m.items[id]) }

// Set stores an item as the stack itself does, whatever its length was. It reports whether there was room.
func (m *Memory) Set(id ID, value []byte) bool {
	if m.used-len(m.items[id])+len(value) > capacity {
		return false
	}
	m.used += len(value) - len(m.items[id])
	m.items[id] = slices.Clone(value)
	m.dirty = true
	return true
}

// Remove deletes an item.
func (m *Memory) Remove(id ID) {
	if v, ok := m.items[id]; ok {
		m.used -= len(v)
		delete(m.items, id)
		m.dirty = true
	}
}

// Rows counts the rows of an extended table, which has no holes.
func (m *Memory) Rows(item uint16) int {
	n := 0
	for m.Len(Table(item, uint16(n))) > 0 {
		n++
	}
	return n
}

// Clone gives a copy that does not change with the original.
func (m *Memory) Clone() *Memory {
	c := &Memory{Aligned: m.Aligned, items: make(map[ID][]byte, len(m.items)), used: m.used}
	for id, value := range m.items {
		c.items[id] = slices.Clone(value)
	}
	return c
}

// TakeDirty reports whether anything changed since it was last asked.
func (m *Memory) TakeDirty() bool {
	d := m.dirty
	m.dirty = false
	return d
}

// hidden are the certificate items whose reading is refused.
func hidden(id uint16) bool { return id >= 0x69 && id <= 0x6B }

// Read is OSAL NV read: status and the bytes from offset, at most MaxRead of them.
func (m *Memory) Read(id uint16, offset int) (uint8, []byte) {
	item := m.items[Legacy(id)]
	if hidden(id) || offset >= len(item) {
		return InvalidParameter, nil
	}
	return Success, slices.Clone(item[offset:min(len(item), offset+MaxRead)])
}

// Write is OSAL NV write. The newer stack ignores the offset once it is within the item.
func (m *Memory) Write(id uint16, offset int, data []byte) uint8 {
	item := m.items[Legacy(id)]
	if offset+len(data) > len(item) {
		return InvalidParameter
	}
	if len(item) == 0 {
		return OperFailed
	}
	if m.Aligned {
		offset = 0
	}
	copy(item[offset:], data)
	m.dirty = true
	return Success
}

// Init is OSAL NV item init: it creates an item of the given length whose first bytes are data.
func (m *Memory) Init(id uint16, length int, data []byte) uint8 {
	if item, ok := m.items[Legacy(id)]; ok {
		if len(item) != length {
			return BadItemLen
		}
		return Success
	}
	value := make([]byte, length)
	if !m.Aligned {
		for i := range value {
			value[i] = 0xFF // erased flash
		}
	}
	copy(value, data)
	if length == 0 || !m.Set(Legacy(id), value) {
		return OperFailed
	}
	return ItemUninit
}

// Delete is OSAL NV delete, which wants the right length.
func (m *Memory) Delete(id uint16, length int) uint8 {
	item, ok := m.items[Legacy(id)]
	switch {
	case !ok:
		return ItemUninit
	case len(item) != length:
		return BadItemLen
	}
	m.Remove(Legacy(id))
	return Success
}

// Create is the extended create: an item of zeros.
func (m *Memory) Create(id ID, length uint32) uint8 {
	switch {
	case length == 0 || length > capacity:
		return ExtBadLength
	case m.Len(id) > 0:
		return ExtFailure
	case !m.Set(id, make([]byte, length)):
		return ExtFailure
	}
	return Success
}

// ReadExt is the extended read of exactly n bytes, clipped to MaxRead.
func (m *Memory) ReadExt(id ID, offset, n int) (uint8, []byte) {
	item, ok := m.items[id]
	n = min(n, MaxRead)
	switch {
	case id.Item == 0 && hidden(id.Sub):
		return InvalidParameter, nil
	case !ok:
		return ExtNotFound, nil
	case offset >= len(item):
		return ExtBadOffset, nil
	case offset+n > len(item):
		return ExtBadLength, nil
	}
	return Success, slices.Clone(item[offset : offset+n])
}

// WriteExt is the extended write, which creates or replaces the item; the offset must be 0 since 3.x.0.
func (m *Memory) WriteExt(id ID, offset int, data []byte) uint8 {
	switch {
	case offset != 0:
		return ExtBadParam
	case len(data) == 0:
		return ExtBadLength
	case !m.Set(id, data):
		return ExtFailure
	}
	return Success
}

// DeleteExt is the extended delete.
func (m *Memory) DeleteExt(id ID) uint8 {
	if m.Len(id) == 0 {
		return ExtNotFound
	}
	m.Remove(id)
	return Success
}
