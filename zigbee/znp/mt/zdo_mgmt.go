package mt

import (
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// ZDOMgmtLqiReq asks for a part of a node's neighbour table.
type ZDOMgmtLqiReq struct {
	Dst        zb.NetworkAddress
	StartIndex uint8
}

// Command implements Message.
func (m *ZDOMgmtLqiReq) Command() Command { return sreq(unpi.ZDO, 0x31) }

func (m *ZDOMgmtLqiReq) fields(c *codec) {
	u16(c, &m.Dst)
	u8(c, &m.StartIndex)
}

// ZDOMgmtLqiRsp answers ZDOMgmtLqiReq.
type ZDOMgmtLqiRsp struct {
	Src        zb.NetworkAddress
	Status     Status
	Total      uint8
	StartIndex uint8
	Neighbours []Neighbour
}

// Command implements Message.
func (m *ZDOMgmtLqiRsp) Command() Command { return areq(unpi.ZDO, 0xb1) }

func (m *ZDOMgmtLqiRsp) fields(c *codec) {
	u16(c, &m.Src)
	u8(c, &m.Status)
	u8(c, &m.Total)
	u8(c, &m.StartIndex)
	list8(c, &m.Neighbours, neighbour)
	c.excuse(m.Status)
}

// ZDOMgmtRtgReq asks for a part of a node's routing table.
type ZDOMgmtRtgReq struct {
	Dst        zb.NetworkAddress
	StartIndex uint8
}

// Command implements Message.
func (m *ZDOMgmtRtgReq) Command() Command { return sreq(unpi.ZDO, 0x32) }

func (m *ZDOMgmtRtgReq) fields(c *codec) {
	u16(c, &m.Dst)
	u8(c, &m.StartIndex)
}

// ZDOMgmtRtgRsp answers ZDOMgmtRtgReq.
type ZDOMgmtRtgRsp struct {
	Src        zb.NetworkAddress
	Status     Status
	Total      uint8
	StartIndex uint8
	Routes     []Route
}

// Command implements Message.
func (m *ZDOMgmtRtgRsp) Command() Command { return areq(unpi.ZDO, 0xb2) }

func (m *ZDOMgmtRtgRsp) fields(c *codec) {
	u16(c, &m.Src)
	u8(c, &m.Status)
	u8(c, &m.Total)
	u8(c, &m.StartIndex)
	list8(c, &m.Routes, route)
	c.excuse(m.Status)
}

// ZDOMgmtLeaveReq asks a node to leave, or to make its child leave.
type ZDOMgmtLeaveReq struct {
	Dst     zb.NetworkAddress
	Device  zb.IEEEAddress
	Options uint8 // LeaveRejoin, LeaveRemoveChildren
}

// Command implements Message.
func (m *ZDOMgmtLeaveReq) Command() Command { return sreq(unpi.ZDO, 0x34) }

func (m *ZDOMgmtLeaveReq) fields(c *codec) {
	u16(c, &m.Dst)
	u64(c, &m.Device)
	u8(c, &m.Options)
}

// ZDOMgmtPermitJoinReq opens or closes joining.
type ZDOMgmtPermitJoinReq struct {
	Mode           AddrMode // AddrShort or AddrBroadcast
	Dst            zb.NetworkAddress
	Seconds        uint8 // 0 closes; at most 254
	TCSignificance uint8
}

// Command implements Message.
func (m *ZDOMgmtPermitJoinReq) Command() Command { return sreq(unpi.ZDO, 0x36) }

func (m *ZDOMgmtPermitJoinReq) fields(c *codec) {
	u8(c, &m.Mode)
	u16(c, &m.Dst)
	u8(c, &m.Seconds)
	u8(c, &m.TCSignificance)
}

// ZDOMgmtNwkUpdateReq scans energy, changes the channel or the network manager.
type ZDOMgmtNwkUpdateReq struct {
	Dst      zb.NetworkAddress
	Mode     AddrMode
	Channels uint32
	Duration uint8 // 0..5 energy scan, 0xFE channel change, 0xFF manager change
	Count    uint8
	Manager  zb.NetworkAddress
}

// Command implements Message.
func (m *ZDOMgmtNwkUpdateReq) Command() Command { return sreq(unpi.ZDO, 0x37) }

func (m *ZDOMgmtNwkUpdateReq) fields(c *codec) {
	u16(c, &m.Dst)
	u8(c, &m.Mode)
	u32(c, &m.Channels)
	u8(c, &m.Duration)
	u8(c, &m.Count)
	u16(c, &m.Manager)
}

// ZDOMgmtNwkUpdateNotify brings the result of an energy scan.
type ZDOMgmtNwkUpdateNotify struct {
	Src           zb.NetworkAddress
	Status        Status
	Channels      uint32
	Transmissions uint16
	Failures      uint16
	Energy        []byte // one value for each scanned channel
}

// Command implements Message.
func (m *ZDOMgmtNwkUpdateNotify) Command() Command { return areq(unpi.ZDO, 0xb8) }

func (m *ZDOMgmtNwkUpdateNotify) fields(c *codec) {
	u16(c, &m.Src)
	u8(c, &m.Status)
	u32(c, &m.Channels)
	u16(c, &m.Transmissions)
	u16(c, &m.Failures)
	bytes8(c, &m.Energy)
	c.excuse(m.Status)
}

// ZDOMsgCbRegister asks for ZDOMsgCbIncoming of a ZDO cluster; 0xFFFF for all.
type ZDOMsgCbRegister struct {
	Cluster zb.ClusterID
}

// Command implements Message.
func (m *ZDOMsgCbRegister) Command() Command { return sreq(unpi.ZDO, 0x3e) }

func (m *ZDOMsgCbRegister) fields(c *codec) {
	u16(c, &m.Cluster)
}

// ZDOStartupFromApp starts the network. Its SRSP has a status of its own: 0 restored, 1 new, 2 leave.
type ZDOStartupFromApp struct {
	Delay uint16 // milliseconds
}

// Command implements Message.
func (m *ZDOStartupFromApp) Command() Command { return sreq(unpi.ZDO, 0x40) }

func (m *ZDOStartupFromApp) fields(c *codec) {
	u16(c, &m.Delay)
}

// ZDOExtRouteDisc starts a route discovery.
type ZDOExtRouteDisc struct {
	Dst     zb.NetworkAddress
	Options uint8
	Radius  uint8
}

// Command implements Message.
func (m *ZDOExtRouteDisc) Command() Command { return sreq(unpi.ZDO, 0x45) }

func (m *ZDOExtRouteDisc) fields(c *codec) {
	u16(c, &m.Dst)
	u8(c, &m.Options)
	u8(c, &m.Radius)
}

// ZDOExtAddGroup puts an endpoint of the stick into a group.
type ZDOExtAddGroup struct {
	Endpoint zb.Endpoint
	Group    zb.GroupID
	Name     []byte
}

// Command implements Message.
func (m *ZDOExtAddGroup) Command() Command { return sreq(unpi.ZDO, 0x4b) }

func (m *ZDOExtAddGroup) fields(c *codec) {
	u8(c, &m.Endpoint)
	u16(c, &m.Group)
	bytes8(c, &m.Name)
}

// ZDOExtNwkInfo asks for the running network.
type ZDOExtNwkInfo struct{}

// Command implements Message.
func (m *ZDOExtNwkInfo) Command() Command { return sreq(unpi.ZDO, 0x50) }

func (m *ZDOExtNwkInfo) fields(*codec) {}

// ZDOExtNwkInfoRsp answers ZDOExtNwkInfo.
type ZDOExtNwkInfoRsp struct {
	Nwk         zb.NetworkAddress
	State       DeviceState
	PAN         zb.PANID
	Parent      zb.NetworkAddress
	ExtendedPAN zb.ExtendedPANID
	ParentIEEE  zb.IEEEAddress
	Channel     uint8
}

// Command implements Message.
func (m *ZDOExtNwkInfoRsp) Command() Command { return srsp(unpi.ZDO, 0x50) }

func (m *ZDOExtNwkInfoRsp) fields(c *codec) {
	u16(c, &m.Nwk)
	u8(c, &m.State)
	u16(c, &m.PAN)
	u16(c, &m.Parent)
	u64(c, &m.ExtendedPAN)
	u64(c, &m.ParentIEEE)
	u8(c, &m.Channel)
}

// Options of ZDOMgmtLeaveReq.
const (
	LeaveRemoveChildren uint8 = 0x40
	LeaveRejoin         uint8 = 0x80
)

// Neighbour is one row of a neighbour table (R22 table 2-126).
type Neighbour struct {
	ExtendedPAN zb.ExtendedPANID
	IEEE        zb.IEEEAddress
	Nwk         zb.NetworkAddress
	Flags       uint8 // bits 0-1 device type, 2-3 receiver on when idle, 4-6 relationship
	PermitJoin  uint8
	Depth       uint8
	LinkQuality uint8
}

func neighbour(c *codec, n *Neighbour) {
	u64(c, &n.ExtendedPAN)
	u64(c, &n.IEEE)
	u16(c, &n.Nwk)
	u8(c, &n.Flags)
	u8(c, &n.PermitJoin)
	u8(c, &n.Depth)
	u8(c, &n.LinkQuality)
}

// Route is one row of a routing table (R22 table 2-128).
type Route struct {
	Dst     zb.NetworkAddress
	Status  uint8 // bits 0-2: 0 active, 1 discovery underway, 2 discovery failed, 3 inactive
	NextHop zb.NetworkAddress
}

func route(c *codec, r *Route) {
	u16(c, &r.Dst)
	u8(c, &r.Status)
	u16(c, &r.NextHop)
}

// ZDOStatusRsp is the AREQ that ends requests answered by a status alone: bind, unbind, leave, permit join.
type ZDOStatusRsp struct {
	Of     Command // the SREQ it answers; not on the wire
	Src    zb.NetworkAddress
	Status Status
}

// Command implements Message.
func (m *ZDOStatusRsp) Command() Command { return areq(unpi.ZDO, m.Of.ID|0x80) }

func (m *ZDOStatusRsp) fields(c *codec) { u16(c, &m.Src); u8(c, &m.Status) }
