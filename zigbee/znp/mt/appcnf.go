package mt

import (
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// BDBAddInstallCode gives the trust centre the install code of one device.
type BDBAddInstallCode struct {
	Format uint8 // 1: code and CRC (18 bytes), 2: derived key (16 bytes)
	IEEE   zb.IEEEAddress
	Code   []byte
}

// Command implements Message.
func (m *BDBAddInstallCode) Command() Command { return sreq(unpi.AppCnf, 0x04) }

func (m *BDBAddInstallCode) fields(c *codec) {
	u8(c, &m.Format)
	u64(c, &m.IEEE)
	rest(c, &m.Code)
}

// BDBStartCommissioning starts commissioning; BDBNotification and ZDOStateChangeInd follow.
type BDBStartCommissioning struct {
	Mode uint8 // 4: formation
}

// Command implements Message.
func (m *BDBStartCommissioning) Command() Command { return sreq(unpi.AppCnf, 0x05) }

func (m *BDBStartCommissioning) fields(c *codec) {
	u8(c, &m.Mode)
}

// BDBJoinUsesInstallCode admits joiners with an install code only.
type BDBJoinUsesInstallCode struct {
	Enforce bool
}

// Command implements Message.
func (m *BDBJoinUsesInstallCode) Command() Command { return sreq(unpi.AppCnf, 0x06) }

func (m *BDBJoinUsesInstallCode) fields(c *codec) {
	flag(c, &m.Enforce)
}

// BDBSetChannel sets the channels to form on.
type BDBSetChannel struct {
	Primary  bool
	Channels uint32
}

// Command implements Message.
func (m *BDBSetChannel) Command() Command { return sreq(unpi.AppCnf, 0x08) }

func (m *BDBSetChannel) fields(c *codec) {
	flag(c, &m.Primary)
	u32(c, &m.Channels)
}

// BDBNotification tells how commissioning goes on.
type BDBNotification struct {
	Status    uint8 // 0 success, 1 in progress, 8 formation failure
	Mode      uint8
	Remaining uint8
}

// Command implements Message.
func (m *BDBNotification) Command() Command { return areq(unpi.AppCnf, 0x80) }

func (m *BDBNotification) fields(c *codec) {
	u8(c, &m.Status)
	u8(c, &m.Mode)
	u8(c, &m.Remaining)
}
