package mt

import (
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// ZDOStateChangeInd tells the stick's device state.
type ZDOStateChangeInd struct {
	State DeviceState
}

// Command implements Message.
func (m *ZDOStateChangeInd) Command() Command { return areq(unpi.ZDO, 0xc0) }

func (m *ZDOStateChangeInd) fields(c *codec) {
	u8(c, &m.State)
}

// ZDOEndDeviceAnnceInd is a device announce (R22 section 2.4.3.1.11).
type ZDOEndDeviceAnnceInd struct {
	Src          zb.NetworkAddress
	Nwk          zb.NetworkAddress
	IEEE         zb.IEEEAddress
	Capabilities uint8
}

// Command implements Message.
func (m *ZDOEndDeviceAnnceInd) Command() Command { return areq(unpi.ZDO, 0xc1) }

func (m *ZDOEndDeviceAnnceInd) fields(c *codec) {
	u16(c, &m.Src)
	u16(c, &m.Nwk)
	u64(c, &m.IEEE)
	u8(c, &m.Capabilities)
}

// ZDOSrcRtgInd tells the relays towards a device.
type ZDOSrcRtgInd struct {
	Dst    zb.NetworkAddress
	Relays []zb.NetworkAddress
}

// Command implements Message.
func (m *ZDOSrcRtgInd) Command() Command { return areq(unpi.ZDO, 0xc4) }

func (m *ZDOSrcRtgInd) fields(c *codec) {
	u16(c, &m.Dst)
	list8(c, &m.Relays, u16[zb.NetworkAddress])
}

// ZDOConcentratorInd tells of a concentrator heard.
type ZDOConcentratorInd struct {
	Src  zb.NetworkAddress
	IEEE zb.IEEEAddress
	Cost uint8
}

// Command implements Message.
func (m *ZDOConcentratorInd) Command() Command { return areq(unpi.ZDO, 0xc8) }

func (m *ZDOConcentratorInd) fields(c *codec) {
	u16(c, &m.Src)
	u64(c, &m.IEEE)
	u8(c, &m.Cost)
}

// ZDOLeaveInd tells that a device left.
type ZDOLeaveInd struct {
	Src            zb.NetworkAddress
	IEEE           zb.IEEEAddress
	Request        bool
	RemoveChildren bool
	Rejoin         bool // true: it comes back, this is not a leave
}

// Command implements Message.
func (m *ZDOLeaveInd) Command() Command { return areq(unpi.ZDO, 0xc9) }

func (m *ZDOLeaveInd) fields(c *codec) {
	u16(c, &m.Src)
	u64(c, &m.IEEE)
	flag(c, &m.Request)
	flag(c, &m.RemoveChildren)
	flag(c, &m.Rejoin)
}

// ZDOTCDevInd tells that the trust centre let a device in.
type ZDOTCDevInd struct {
	Nwk    zb.NetworkAddress
	IEEE   zb.IEEEAddress
	Parent zb.NetworkAddress
}

// Command implements Message.
func (m *ZDOTCDevInd) Command() Command { return areq(unpi.ZDO, 0xca) }

func (m *ZDOTCDevInd) fields(c *codec) {
	u16(c, &m.Nwk)
	u64(c, &m.IEEE)
	u16(c, &m.Parent)
}

// ZDOPermitJoinInd tells for how many seconds joining is open.
type ZDOPermitJoinInd struct {
	Seconds uint8
}

// Command implements Message.
func (m *ZDOPermitJoinInd) Command() Command { return areq(unpi.ZDO, 0xcb) }

func (m *ZDOPermitJoinInd) fields(c *codec) {
	u8(c, &m.Seconds)
}

// ZDOMsgCbIncoming is a raw ZDO message asked for with ZDOMsgCbRegister.
type ZDOMsgCbIncoming struct {
	Src       zb.NetworkAddress
	Broadcast bool
	Cluster   zb.ClusterID
	Security  uint8
	Sequence  uint8
	MACDst    zb.NetworkAddress
	Data      []byte
}

// Command implements Message.
func (m *ZDOMsgCbIncoming) Command() Command { return areq(unpi.ZDO, 0xff) }

func (m *ZDOMsgCbIncoming) fields(c *codec) {
	u16(c, &m.Src)
	flag(c, &m.Broadcast)
	u16(c, &m.Cluster)
	u8(c, &m.Security)
	u8(c, &m.Sequence)
	u16(c, &m.MACDst)
	rest(c, &m.Data)
}

// DeviceState is the stick's own state machine.
type DeviceState uint8

// Device states.
const (
	StateHold                DeviceState = 0 // initialised, not started
	StateInit                DeviceState = 1
	StateStartingCoordinator DeviceState = 8
	StateCoordinator         DeviceState = 9 // started as coordinator
	StateOrphan              DeviceState = 10
)
