package mt

import (
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// ZDONwkAddrReq asks the network for a device's short address.
type ZDONwkAddrReq struct {
	IEEE       zb.IEEEAddress
	Kind       uint8 // 0 single, 1 extended: with its children
	StartIndex uint8
}

// Command implements Message.
func (m *ZDONwkAddrReq) Command() Command { return sreq(unpi.ZDO, 0x00) }

func (m *ZDONwkAddrReq) fields(c *codec) {
	u64(c, &m.IEEE)
	u8(c, &m.Kind)
	u8(c, &m.StartIndex)
}

// ZDOIEEEAddrReq asks a device for its IEEE address.
type ZDOIEEEAddrReq struct {
	Nwk        zb.NetworkAddress
	Kind       uint8 // 0 single, 1 extended: with its children
	StartIndex uint8
}

// Command implements Message.
func (m *ZDOIEEEAddrReq) Command() Command { return sreq(unpi.ZDO, 0x01) }

func (m *ZDOIEEEAddrReq) fields(c *codec) {
	u16(c, &m.Nwk)
	u8(c, &m.Kind)
	u8(c, &m.StartIndex)
}

// ZDONwkAddrRsp answers ZDONwkAddrReq.
type ZDONwkAddrRsp struct {
	Status     Status
	IEEE       zb.IEEEAddress
	Nwk        zb.NetworkAddress
	StartIndex uint8
	Children   []zb.NetworkAddress
}

// Command implements Message.
func (m *ZDONwkAddrRsp) Command() Command { return areq(unpi.ZDO, 0x80) }

func (m *ZDONwkAddrRsp) fields(c *codec) {
	u8(c, &m.Status)
	u64(c, &m.IEEE)
	u16(c, &m.Nwk)
	u8(c, &m.StartIndex)
	list8(c, &m.Children, u16[zb.NetworkAddress])
	c.excuse(m.Status)
}

// ZDOIEEEAddrRsp answers ZDOIEEEAddrReq.
type ZDOIEEEAddrRsp struct {
	Status     Status
	IEEE       zb.IEEEAddress
	Nwk        zb.NetworkAddress
	StartIndex uint8
	Children   []zb.NetworkAddress
}

// Command implements Message.
func (m *ZDOIEEEAddrRsp) Command() Command { return areq(unpi.ZDO, 0x81) }

func (m *ZDOIEEEAddrRsp) fields(c *codec) {
	u8(c, &m.Status)
	u64(c, &m.IEEE)
	u16(c, &m.Nwk)
	u8(c, &m.StartIndex)
	list8(c, &m.Children, u16[zb.NetworkAddress])
	c.excuse(m.Status)
}

// ZDONodeDescReq asks for a node descriptor.
type ZDONodeDescReq struct {
	Dst zb.NetworkAddress
	Nwk zb.NetworkAddress // address of interest
}

// Command implements Message.
func (m *ZDONodeDescReq) Command() Command { return sreq(unpi.ZDO, 0x02) }

func (m *ZDONodeDescReq) fields(c *codec) {
	u16(c, &m.Dst)
	u16(c, &m.Nwk)
}

// ZDONodeDescRsp answers ZDONodeDescReq.
type ZDONodeDescRsp struct {
	Src        zb.NetworkAddress
	Status     Status
	Nwk        zb.NetworkAddress
	Descriptor []byte // 13 bytes of R22 section 2.3.2.3; absent on errors
}

// Command implements Message.
func (m *ZDONodeDescRsp) Command() Command { return areq(unpi.ZDO, 0x82) }

func (m *ZDONodeDescRsp) fields(c *codec) {
	u16(c, &m.Src)
	u8(c, &m.Status)
	u16(c, &m.Nwk)
	rest(c, &m.Descriptor)
	c.excuse(m.Status)
}

// ZDOSimpleDescReq asks for an endpoint's simple descriptor.
type ZDOSimpleDescReq struct {
	Dst      zb.NetworkAddress
	Nwk      zb.NetworkAddress // address of interest
	Endpoint zb.Endpoint
}

// Command implements Message.
func (m *ZDOSimpleDescReq) Command() Command { return sreq(unpi.ZDO, 0x04) }

func (m *ZDOSimpleDescReq) fields(c *codec) {
	u16(c, &m.Dst)
	u16(c, &m.Nwk)
	u8(c, &m.Endpoint)
}

// ZDOSimpleDescRsp answers ZDOSimpleDescReq.
type ZDOSimpleDescRsp struct {
	Src        zb.NetworkAddress
	Status     Status
	Nwk        zb.NetworkAddress
	Descriptor []byte // R22 section 2.3.2.5; empty on errors
}

// Command implements Message.
func (m *ZDOSimpleDescRsp) Command() Command { return areq(unpi.ZDO, 0x84) }

func (m *ZDOSimpleDescRsp) fields(c *codec) {
	u16(c, &m.Src)
	u8(c, &m.Status)
	u16(c, &m.Nwk)
	bytes8(c, &m.Descriptor)
	c.excuse(m.Status)
}

// ZDOActiveEPReq asks for the active endpoints.
type ZDOActiveEPReq struct {
	Dst zb.NetworkAddress
	Nwk zb.NetworkAddress // address of interest
}

// Command implements Message.
func (m *ZDOActiveEPReq) Command() Command { return sreq(unpi.ZDO, 0x05) }

func (m *ZDOActiveEPReq) fields(c *codec) {
	u16(c, &m.Dst)
	u16(c, &m.Nwk)
}

// ZDOActiveEPRsp answers ZDOActiveEPReq.
type ZDOActiveEPRsp struct {
	Src       zb.NetworkAddress
	Status    Status
	Nwk       zb.NetworkAddress
	Endpoints []zb.Endpoint
}

// Command implements Message.
func (m *ZDOActiveEPRsp) Command() Command { return areq(unpi.ZDO, 0x85) }

func (m *ZDOActiveEPRsp) fields(c *codec) {
	u16(c, &m.Src)
	u8(c, &m.Status)
	u16(c, &m.Nwk)
	list8(c, &m.Endpoints, u8[zb.Endpoint])
	c.excuse(m.Status)
}

// ZDOBindReq adds a binding.
type ZDOBindReq struct {
	Dst            zb.NetworkAddress // node that holds the binding
	Src            zb.IEEEAddress
	SrcEndpoint    zb.Endpoint
	Cluster        zb.ClusterID
	Mode           AddrMode // AddrIEEE or AddrGroup
	Target         uint64   // IEEE address, or group in its low 16 bits
	TargetEndpoint zb.Endpoint
}

// Command implements Message.
func (m *ZDOBindReq) Command() Command { return sreq(unpi.ZDO, 0x21) }

func (m *ZDOBindReq) fields(c *codec) {
	u16(c, &m.Dst)
	u64(c, &m.Src)
	u8(c, &m.SrcEndpoint)
	u16(c, &m.Cluster)
	u8(c, &m.Mode)
	u64(c, &m.Target)
	u8(c, &m.TargetEndpoint)
}

// ZDOUnbindReq removes a binding.
type ZDOUnbindReq struct {
	Dst            zb.NetworkAddress // node that holds the binding
	Src            zb.IEEEAddress
	SrcEndpoint    zb.Endpoint
	Cluster        zb.ClusterID
	Mode           AddrMode // AddrIEEE or AddrGroup
	Target         uint64   // IEEE address, or group in its low 16 bits
	TargetEndpoint zb.Endpoint
}

// Command implements Message.
func (m *ZDOUnbindReq) Command() Command { return sreq(unpi.ZDO, 0x22) }

func (m *ZDOUnbindReq) fields(c *codec) {
	u16(c, &m.Dst)
	u64(c, &m.Src)
	u8(c, &m.SrcEndpoint)
	u16(c, &m.Cluster)
	u8(c, &m.Mode)
	u64(c, &m.Target)
	u8(c, &m.TargetEndpoint)
}
