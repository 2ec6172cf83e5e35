package mt

import (
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// SysResetReq restarts the stick; answered by SysResetInd.
type SysResetReq struct {
	Kind uint8 // 0 hard (through the bootloader), 1 soft
}

// Command implements Message.
func (m *SysResetReq) Command() Command { return areq(unpi.SYS, 0x00) }

func (m *SysResetReq) fields(c *codec) {
	u8(c, &m.Kind)
}

// SysPing asks for the capabilities; the cheapest sign of life.
type SysPing struct{}

// Command implements Message.
func (m *SysPing) Command() Command { return sreq(unpi.SYS, 0x01) }

func (m *SysPing) fields(*codec) {}

// SysPingRsp answers SysPing.
type SysPingRsp struct {
	Capabilities uint16 // bit per subsystem compiled in
}

// Command implements Message.
func (m *SysPingRsp) Command() Command { return srsp(unpi.SYS, 0x01) }

func (m *SysPingRsp) fields(c *codec) {
	u16(c, &m.Capabilities)
}

// SysVersion asks for the firmware's version.
type SysVersion struct{}

// Command implements Message.
func (m *SysVersion) Command() Command { return sreq(unpi.SYS, 0x02) }

func (m *SysVersion) fields(*codec) {}

// SysVersionRsp answers SysVersion.
type SysVersionRsp struct {
	Transport   uint8
	Product     uint8 // 0: Z-Stack 1.2, 2: 3.0.x, 1: 3.x.0
	Major       uint8
	Minor       uint8
	Maintenance uint8
	Revision    uint32 // build date as a number, 20230507; 0 where old firmware leaves it out
}

// Command implements Message.
func (m *SysVersionRsp) Command() Command { return srsp(unpi.SYS, 0x02) }

func (m *SysVersionRsp) fields(c *codec) {
	u8(c, &m.Transport)
	u8(c, &m.Product)
	u8(c, &m.Major)
	u8(c, &m.Minor)
	u8(c, &m.Maintenance)
	if len(c.buf) >= 4 && c.decoding || !c.decoding && m.Revision != 0 {
		u32(c, &m.Revision)
	}
}

// SysGetExtAddr asks for the stick's own IEEE address.
type SysGetExtAddr struct{}

// Command implements Message.
func (m *SysGetExtAddr) Command() Command { return sreq(unpi.SYS, 0x04) }

func (m *SysGetExtAddr) fields(*codec) {}

// SysGetExtAddrRsp answers SysGetExtAddr.
type SysGetExtAddrRsp struct {
	IEEE zb.IEEEAddress
}

// Command implements Message.
func (m *SysGetExtAddrRsp) Command() Command { return srsp(unpi.SYS, 0x04) }

func (m *SysGetExtAddrRsp) fields(c *codec) {
	u64(c, &m.IEEE)
}

// SysResetInd says that the stick has restarted.
type SysResetInd struct {
	Reason      uint8 // 0 power up, 1 external, 2 watchdog
	Transport   uint8
	Product     uint8
	Major       uint8
	Minor       uint8
	Maintenance uint8
}

// Command implements Message.
func (m *SysResetInd) Command() Command { return areq(unpi.SYS, 0x80) }

func (m *SysResetInd) fields(c *codec) {
	u8(c, &m.Reason)
	u8(c, &m.Transport)
	u8(c, &m.Product)
	u8(c, &m.Major)
	u8(c, &m.Minor)
	u8(c, &m.Maintenance)
}
