package mt

import (
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// NVItemInit creates an item of Length bytes when it does not exist: status Success says it existed, NVItemCreated that it was created.
type NVItemInit struct {
	Item   uint16
	Length uint16
	Value  []byte // first bytes; big items need NVWriteExt afterwards
}

// Command implements Message.
func (m *NVItemInit) Command() Command { return sreq(unpi.SYS, 0x07) }

func (m *NVItemInit) fields(c *codec) {
	u16(c, &m.Item)
	u16(c, &m.Length)
	bytes8(c, &m.Value)
}

// NVRead reads an item from Offset.
type NVRead struct {
	Item   uint16
	Offset uint8
}

// Command implements Message.
func (m *NVRead) Command() Command { return sreq(unpi.SYS, 0x08) }

func (m *NVRead) fields(c *codec) {
	u16(c, &m.Item)
	u8(c, &m.Offset)
}

// NVReadRsp answers NVRead.
type NVReadRsp struct {
	Status Status
	Value  []byte
}

// Command implements Message.
func (m *NVReadRsp) Command() Command { return srsp(unpi.SYS, 0x08) }

func (m *NVReadRsp) fields(c *codec) {
	u8(c, &m.Status)
	bytes8(c, &m.Value)
	c.excuse(m.Status)
}

// NVWrite writes an item. Some firmware ignores Offset; use NVWriteExt for parts.
type NVWrite struct {
	Item   uint16
	Offset uint8
	Value  []byte
}

// Command implements Message.
func (m *NVWrite) Command() Command { return sreq(unpi.SYS, 0x09) }

func (m *NVWrite) fields(c *codec) {
	u16(c, &m.Item)
	u8(c, &m.Offset)
	bytes8(c, &m.Value)
}

// NVDelete deletes an item; Length must be its length.
type NVDelete struct {
	Item   uint16
	Length uint16
}

// Command implements Message.
func (m *NVDelete) Command() Command { return sreq(unpi.SYS, 0x12) }

func (m *NVDelete) fields(c *codec) {
	u16(c, &m.Item)
	u16(c, &m.Length)
}

// NVLength asks for an item's length.
type NVLength struct {
	Item uint16
}

// Command implements Message.
func (m *NVLength) Command() Command { return sreq(unpi.SYS, 0x13) }

func (m *NVLength) fields(c *codec) {
	u16(c, &m.Item)
}

// NVLengthRsp answers NVLength.
type NVLengthRsp struct {
	Length uint16 // 0: no such item
}

// Command implements Message.
func (m *NVLengthRsp) Command() Command { return srsp(unpi.SYS, 0x13) }

func (m *NVLengthRsp) fields(c *codec) {
	u16(c, &m.Length)
}

// NVReadExt reads an item from Offset, up to 248 bytes.
type NVReadExt struct {
	Item   uint16
	Offset uint16
}

// Command implements Message.
func (m *NVReadExt) Command() Command { return sreq(unpi.SYS, 0x1C) }

func (m *NVReadExt) fields(c *codec) {
	u16(c, &m.Item)
	u16(c, &m.Offset)
}

// NVReadExtRsp answers NVReadExt.
type NVReadExtRsp struct {
	Status Status
	Value  []byte
}

// Command implements Message.
func (m *NVReadExtRsp) Command() Command { return srsp(unpi.SYS, 0x1C) }

func (m *NVReadExtRsp) fields(c *codec) {
	u8(c, &m.Status)
	bytes8(c, &m.Value)
	c.excuse(m.Status)
}

// NVWriteExt writes a part of an item, up to 240 bytes.
type NVWriteExt struct {
	Item   uint16
	Offset uint16
	Value  []byte
}

// Command implements Message.
func (m *NVWriteExt) Command() Command { return sreq(unpi.SYS, 0x1D) }

func (m *NVWriteExt) fields(c *codec) {
	u16(c, &m.Item)
	u16(c, &m.Offset)
	bytes16(c, &m.Value)
}

// ExtNVCreate creates an item of the extended NV.
type ExtNVCreate struct {
	System uint8 // 1: Z-Stack
	Item   uint16
	Sub    uint16
	Length uint32
}

// Command implements Message.
func (m *ExtNVCreate) Command() Command { return sreq(unpi.SYS, 0x30) }

func (m *ExtNVCreate) fields(c *codec) {
	u8(c, &m.System)
	u16(c, &m.Item)
	u16(c, &m.Sub)
	u32(c, &m.Length)
}

// ExtNVDelete deletes an item of the extended NV.
type ExtNVDelete struct {
	System uint8 // 1: Z-Stack
	Item   uint16
	Sub    uint16
}

// Command implements Message.
func (m *ExtNVDelete) Command() Command { return sreq(unpi.SYS, 0x31) }

func (m *ExtNVDelete) fields(c *codec) {
	u8(c, &m.System)
	u16(c, &m.Item)
	u16(c, &m.Sub)
}

// ExtNVLength asks for the length of an item of the extended NV.
type ExtNVLength struct {
	System uint8 // 1: Z-Stack
	Item   uint16
	Sub    uint16
}

// Command implements Message.
func (m *ExtNVLength) Command() Command { return sreq(unpi.SYS, 0x32) }

func (m *ExtNVLength) fields(c *codec) {
	u8(c, &m.System)
	u16(c, &m.Item)
	u16(c, &m.Sub)
}

// ExtNVLengthRsp answers ExtNVLength.
type ExtNVLengthRsp struct {
	Length uint32 // 0: no such item
}

// Command implements Message.
func (m *ExtNVLengthRsp) Command() Command { return srsp(unpi.SYS, 0x32) }

func (m *ExtNVLengthRsp) fields(c *codec) {
	u32(c, &m.Length)
}

// ExtNVRead reads Length bytes of an item of the extended NV.
type ExtNVRead struct {
	System uint8 // 1: Z-Stack
	Item   uint16
	Sub    uint16
	Offset uint16
	Length uint8
}

// Command implements Message.
func (m *ExtNVRead) Command() Command { return sreq(unpi.SYS, 0x33) }

func (m *ExtNVRead) fields(c *codec) {
	u8(c, &m.System)
	u16(c, &m.Item)
	u16(c, &m.Sub)
	u16(c, &m.Offset)
	u8(c, &m.Length)
}

// ExtNVReadRsp answers ExtNVRead.
type ExtNVReadRsp struct {
	Status Status
	Value  []byte
}

// Command implements Message.
func (m *ExtNVReadRsp) Command() Command { return srsp(unpi.SYS, 0x33) }

func (m *ExtNVReadRsp) fields(c *codec) {
	u8(c, &m.Status)
	bytes8(c, &m.Value)
	c.excuse(m.Status)
}

// ExtNVWrite writes an item of the extended NV. Offset must be 0 on Z-Stack 3.x.0.
type ExtNVWrite struct {
	System uint8 // 1: Z-Stack
	Item   uint16
	Sub    uint16
	Offset uint16
	Value  []byte
}

// Command implements Message.
func (m *ExtNVWrite) Command() Command { return sreq(unpi.SYS, 0x34) }

func (m *ExtNVWrite) fields(c *codec) {
	u8(c, &m.System)
	u16(c, &m.Item)
	u16(c, &m.Sub)
	u16(c, &m.Offset)
	bytes8(c, &m.Value)
}

// ExtNVUpdate writes an item of the extended NV, creating it when needed.
type ExtNVUpdate struct {
	System uint8 // 1: Z-Stack
	Item   uint16
	Sub    uint16
	Value  []byte
}

// Command implements Message.
func (m *ExtNVUpdate) Command() Command { return sreq(unpi.SYS, 0x35) }

func (m *ExtNVUpdate) fields(c *codec) {
	u8(c, &m.System)
	u16(c, &m.Item)
	u16(c, &m.Sub)
	bytes8(c, &m.Value)
}

// ExtNVCompact compacts the extended NV when fewer than Threshold bytes are free.
type ExtNVCompact struct {
	Threshold uint16
}

// Command implements Message.
func (m *ExtNVCompact) Command() Command { return sreq(unpi.SYS, 0x36) }

func (m *ExtNVCompact) fields(c *codec) {
	u16(c, &m.Threshold)
}
