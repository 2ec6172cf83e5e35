package mt

import (
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// AFRegister registers an endpoint of the stick.
type AFRegister struct {
	Endpoint    zb.Endpoint
	Profile     zb.ProfileID
	DeviceType  uint16
	Version     uint8
	Latency     uint8 // 0: none
	InClusters  []zb.ClusterID
	OutClusters []zb.ClusterID
}

// Command implements Message.
func (m *AFRegister) Command() Command { return sreq(unpi.AF, 0x00) }

func (m *AFRegister) fields(c *codec) {
	u8(c, &m.Endpoint)
	u16(c, &m.Profile)
	u16(c, &m.DeviceType)
	u8(c, &m.Version)
	u8(c, &m.Latency)
	clusters(c, &m.InClusters)
	clusters(c, &m.OutClusters)
}

// AFDataRequest sends up to about 230 bytes to a short address; AFDataConfirm follows.
type AFDataRequest struct {
	Dst         zb.NetworkAddress
	DstEndpoint zb.Endpoint
	SrcEndpoint zb.Endpoint
	Cluster     zb.ClusterID
	TransID     uint8
	Options     uint8 // Option bits
	Radius      uint8
	Data        []byte
}

// Command implements Message.
func (m *AFDataRequest) Command() Command { return sreq(unpi.AF, 0x01) }

func (m *AFDataRequest) fields(c *codec) {
	u16(c, &m.Dst)
	u8(c, &m.DstEndpoint)
	u8(c, &m.SrcEndpoint)
	u16(c, &m.Cluster)
	u8(c, &m.TransID)
	u8(c, &m.Options)
	u8(c, &m.Radius)
	bytes8(c, &m.Data)
}

// AFDataRequestExt sends to any kind of address; AFDataConfirm follows.
type AFDataRequestExt struct {
	Mode        AddrMode
	Dst         uint64 // IEEE address, or short address or group in its low 16 bits
	DstEndpoint zb.Endpoint
	DstPAN      zb.PANID // 0: own PAN
	SrcEndpoint zb.Endpoint
	Cluster     zb.ClusterID
	TransID     uint8
	Options     uint8 // Option bits
	Radius      uint8
	Data        []byte
}

// Command implements Message.
func (m *AFDataRequestExt) Command() Command { return sreq(unpi.AF, 0x02) }

func (m *AFDataRequestExt) fields(c *codec) {
	u8(c, &m.Mode)
	u64(c, &m.Dst)
	u8(c, &m.DstEndpoint)
	u16(c, &m.DstPAN)
	u8(c, &m.SrcEndpoint)
	u16(c, &m.Cluster)
	u8(c, &m.TransID)
	u8(c, &m.Options)
	u8(c, &m.Radius)
	bytes16(c, &m.Data)
}

// AFDataRequestSrcRtg sends along the given relays; AFDataConfirm follows.
type AFDataRequestSrcRtg struct {
	Dst         zb.NetworkAddress
	DstEndpoint zb.Endpoint
	SrcEndpoint zb.Endpoint
	Cluster     zb.ClusterID
	TransID     uint8
	Options     uint8 // Option bits
	Radius      uint8
	Relays      []zb.NetworkAddress
	Data        []byte
}

// Command implements Message.
func (m *AFDataRequestSrcRtg) Command() Command { return sreq(unpi.AF, 0x03) }

func (m *AFDataRequestSrcRtg) fields(c *codec) {
	u16(c, &m.Dst)
	u8(c, &m.DstEndpoint)
	u8(c, &m.SrcEndpoint)
	u16(c, &m.Cluster)
	u8(c, &m.TransID)
	u8(c, &m.Options)
	u8(c, &m.Radius)
	list8(c, &m.Relays, u16[zb.NetworkAddress])
	bytes8(c, &m.Data)
}

// AFDataStore hands over a part of an oversized AFDataRequestExt; an empty one sends it.
type AFDataStore struct {
	Index uint16
	Data  []byte
}

// Command implements Message.
func (m *AFDataStore) Command() Command { return sreq(unpi.AF, 0x11) }

func (m *AFDataStore) fields(c *codec) {
	u16(c, &m.Index)
	bytes8(c, &m.Data)
}

// AFDataRetrieve reads a part of an oversized incoming message; Length 0 frees it.
type AFDataRetrieve struct {
	Timestamp uint32 // of the AFIncomingMsgExt
	Index     uint16
	Length    uint8 // at most 240
}

// Command implements Message.
func (m *AFDataRetrieve) Command() Command { return sreq(unpi.AF, 0x12) }

func (m *AFDataRetrieve) fields(c *codec) {
	u32(c, &m.Timestamp)
	u16(c, &m.Index)
	u8(c, &m.Length)
}

// AFDataRetrieveRsp answers AFDataRetrieve.
type AFDataRetrieveRsp struct {
	Status Status
	Data   []byte
}

// Command implements Message.
func (m *AFDataRetrieveRsp) Command() Command { return srsp(unpi.AF, 0x12) }

func (m *AFDataRetrieveRsp) fields(c *codec) {
	u8(c, &m.Status)
	bytes8(c, &m.Data)
	c.excuse(m.Status)
}

// AFDataConfirm tells how a data request ended. Endpoint is the source endpoint, so only TransID tells requests apart.
type AFDataConfirm struct {
	Status   Status
	Endpoint zb.Endpoint
	TransID  uint8
}

// Command implements Message.
func (m *AFDataConfirm) Command() Command { return areq(unpi.AF, 0x80) }

func (m *AFDataConfirm) fields(c *codec) {
	u8(c, &m.Status)
	u8(c, &m.Endpoint)
	u8(c, &m.TransID)
}

// AFIncomingMsg is a received application message.
type AFIncomingMsg struct {
	Group       zb.GroupID
	Cluster     zb.ClusterID
	Src         zb.NetworkAddress
	SrcEndpoint zb.Endpoint
	DstEndpoint zb.Endpoint
	Broadcast   bool
	LinkQuality uint8
	Security    bool
	Timestamp   uint32 // in units of 320 us
	TransSeq    uint8
	Data        []byte
	Trailer     []byte // MAC source and radius, on newer firmware
}

// Command implements Message.
func (m *AFIncomingMsg) Command() Command { return areq(unpi.AF, 0x81) }

func (m *AFIncomingMsg) fields(c *codec) {
	u16(c, &m.Group)
	u16(c, &m.Cluster)
	u16(c, &m.Src)
	u8(c, &m.SrcEndpoint)
	u8(c, &m.DstEndpoint)
	flag(c, &m.Broadcast)
	u8(c, &m.LinkQuality)
	flag(c, &m.Security)
	u32(c, &m.Timestamp)
	u8(c, &m.TransSeq)
	bytes8(c, &m.Data)
	rest(c, &m.Trailer)
}

// AFIncomingMsgExt is a received application message with a long header. Data is empty when it has to be fetched with AFDataRetrieve.
type AFIncomingMsgExt struct {
	Group       zb.GroupID
	Cluster     zb.ClusterID
	SrcMode     AddrMode
	Src         uint64 // IEEE address, or short address in its low 16 bits
	SrcEndpoint zb.Endpoint
	SrcPAN      zb.PANID
	DstEndpoint zb.Endpoint
	Broadcast   bool
	LinkQuality uint8
	Security    bool
	Timestamp   uint32 // in units of 320 us; the key for AFDataRetrieve
	TransSeq    uint8
	Length      uint16 // of the whole message
	Data        []byte
	Trailer     []byte
}

// Command implements Message.
func (m *AFIncomingMsgExt) Command() Command { return areq(unpi.AF, 0x82) }

func (m *AFIncomingMsgExt) fields(c *codec) {
	u16(c, &m.Group)
	u16(c, &m.Cluster)
	u8(c, &m.SrcMode)
	u64(c, &m.Src)
	u8(c, &m.SrcEndpoint)
	u16(c, &m.SrcPAN)
	u8(c, &m.DstEndpoint)
	flag(c, &m.Broadcast)
	u8(c, &m.LinkQuality)
	flag(c, &m.Security)
	u32(c, &m.Timestamp)
	u8(c, &m.TransSeq)
	u16(c, &m.Length)
	if c.decoding && len(c.buf) < int(m.Length) {
		m.Data = nil // parked in the stick
	} else {
		raw(c, &m.Data, int(m.Length))
	}
	rest(c, &m.Trailer)
}

// AddrMode tells what kind of address a field holds.
type AddrMode uint8

// Address modes.
const (
	AddrGroup     AddrMode = 1
	AddrShort     AddrMode = 2
	AddrIEEE      AddrMode = 3
	AddrBroadcast AddrMode = 15
)

// Option bits of the data requests.
const (
	OptionAPSAck        uint8 = 0x10
	OptionRouteDiscover uint8 = 0x20
	OptionAPSSecurity   uint8 = 0x40
	OptionSkipRouting   uint8 = 0x80
)

// DecodeIncoming is Decode for the one message that comes by the thousand: it does not allocate.
func DecodeIncoming(payload []byte) (AFIncomingMsg, error) {
	var m AFIncomingMsg
	c := codec{buf: payload, decoding: true}
	m.fields(&c)
	return m, c.err
}
