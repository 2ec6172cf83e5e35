package mt

import (
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// UtilGetDeviceInfo asks for the stick's addresses and state.
type UtilGetDeviceInfo struct{}

// Command implements Message.
func (m *UtilGetDeviceInfo) Command() Command { return sreq(unpi.UTIL, 0x00) }

func (m *UtilGetDeviceInfo) fields(*codec) {}

// UtilGetDeviceInfoRsp answers UtilGetDeviceInfo.
type UtilGetDeviceInfoRsp struct {
	Status   Status
	IEEE     zb.IEEEAddress
	Nwk      zb.NetworkAddress
	Kind     uint8 // bit 0 coordinator, 1 router, 2 end device capable
	State    DeviceState
	Children []zb.NetworkAddress
}

// Command implements Message.
func (m *UtilGetDeviceInfoRsp) Command() Command { return srsp(unpi.UTIL, 0x00) }

func (m *UtilGetDeviceInfoRsp) fields(c *codec) {
	u8(c, &m.Status)
	u64(c, &m.IEEE)
	u16(c, &m.Nwk)
	u8(c, &m.Kind)
	u8(c, &m.State)
	list8(c, &m.Children, u16[zb.NetworkAddress])
	c.excuse(m.Status)
}

// UtilLEDControl switches an LED.
type UtilLEDControl struct {
	LED  uint8 // 0xFF: all
	Mode uint8 // 0 off, 1 on, 2 blink, 3 flash, 4 toggle
}

// Command implements Message.
func (m *UtilLEDControl) Command() Command { return sreq(unpi.UTIL, 0x0A) }

func (m *UtilLEDControl) fields(c *codec) {
	u8(c, &m.LED)
	u8(c, &m.Mode)
}

// UtilAssocCount counts associated devices of a range of relations.
type UtilAssocCount struct {
	First uint8
	Last  uint8
}

// Command implements Message.
func (m *UtilAssocCount) Command() Command { return sreq(unpi.UTIL, 0x48) }

func (m *UtilAssocCount) fields(c *codec) {
	u8(c, &m.First)
	u8(c, &m.Last)
}

// UtilAssocCountRsp answers UtilAssocCount.
type UtilAssocCountRsp struct {
	Count uint16
}

// Command implements Message.
func (m *UtilAssocCountRsp) Command() Command { return srsp(unpi.UTIL, 0x48) }

func (m *UtilAssocCountRsp) fields(c *codec) {
	u16(c, &m.Count)
}

// UtilAssocFindDevice reads an associated device by index.
type UtilAssocFindDevice struct {
	Index uint8
}

// Command implements Message.
func (m *UtilAssocFindDevice) Command() Command { return sreq(unpi.UTIL, 0x49) }

func (m *UtilAssocFindDevice) fields(c *codec) {
	u8(c, &m.Index)
}

// UtilAssocFindDeviceRsp answers UtilAssocFindDevice.
type UtilAssocFindDeviceRsp struct {
	Device []byte // 28 bytes packed, 36 aligned
}

// Command implements Message.
func (m *UtilAssocFindDeviceRsp) Command() Command { return srsp(unpi.UTIL, 0x49) }

func (m *UtilAssocFindDeviceRsp) fields(c *codec) {
	rest(c, &m.Device)
}

// UtilAssocGetWithAddress reads an associated device by address.
type UtilAssocGetWithAddress struct {
	IEEE zb.IEEEAddress
	Nwk  zb.NetworkAddress
}

// Command implements Message.
func (m *UtilAssocGetWithAddress) Command() Command { return sreq(unpi.UTIL, 0x4A) }

func (m *UtilAssocGetWithAddress) fields(c *codec) {
	u64(c, &m.IEEE)
	u16(c, &m.Nwk)
}

// UtilAssocGetWithAddressRsp answers UtilAssocGetWithAddress.
type UtilAssocGetWithAddressRsp struct {
	Device []byte
}

// Command implements Message.
func (m *UtilAssocGetWithAddressRsp) Command() Command { return srsp(unpi.UTIL, 0x4A) }

func (m *UtilAssocGetWithAddressRsp) fields(c *codec) {
	rest(c, &m.Device)
}

// UtilAssocRemove removes an associated device, so that a child that moved is routed to again (builds from 20200805).
type UtilAssocRemove struct {
	IEEE zb.IEEEAddress
}

// Command implements Message.
func (m *UtilAssocRemove) Command() Command { return sreq(unpi.UTIL, 0x63) }

func (m *UtilAssocRemove) fields(c *codec) {
	u64(c, &m.IEEE)
}

// UtilAssocAdd adds an associated device (builds from 20201026).
type UtilAssocAdd struct {
	IEEE     zb.IEEEAddress
	Nwk      zb.NetworkAddress
	Relation uint8
}

// Command implements Message.
func (m *UtilAssocAdd) Command() Command { return sreq(unpi.UTIL, 0x64) }

func (m *UtilAssocAdd) fields(c *codec) {
	u64(c, &m.IEEE)
	u16(c, &m.Nwk)
	u8(c, &m.Relation)
}
