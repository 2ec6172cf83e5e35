package sim

import (
	"encoding/binary"
	"slices"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/zdo"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// Clusters of the device profile. Bit 15 marks the answer (R22 section 2.4.2).
const (
	zdoNwkAddr       uint16 = 0x0000
	zdoIEEEAddr      uint16 = 0x0001
	zdoNodeDesc      uint16 = 0x0002
	zdoPowerDesc     uint16 = 0x0003
	zdoSimpleDesc    uint16 = 0x0004
	zdoActiveEP      uint16 = 0x0005
	zdoMatchDesc     uint16 = 0x0006
	zdoDeviceAnnce   uint16 = 0x0013
	zdoBind          uint16 = 0x0021
	zdoUnbind        uint16 = 0x0022
	zdoMgmtLqi       uint16 = 0x0031
	zdoMgmtRtg       uint16 = 0x0032
	zdoMgmtBind      uint16 = 0x0033
	zdoMgmtLeave     uint16 = 0x0034
	zdoMgmtPermit    uint16 = 0x0036
	zdoMgmtNwkUpdate uint16 = 0x0038 // of the notification; the request shares its number with nothing here
	zdoResponse      uint16 = 0x8000

	// mtDefaultRsp is the AREQ TI's code sends for a simple descriptor it found too short: an error.
	mtDefaultRsp = 0x40

	zdoDirectCallback uint16 = 0x8F // the item that switches AREQs for answers on
)

// Ids of ZDO commands outside the mt table.
const (
	mtPowerDescReq  = 0x03
	mtMatchDescReq  = 0x06
	mtEndDevAnnce   = 0x0A
	mtMgmtBindReq   = 0x33
	mtMsgCbRemove   = 0x3F
	mtRouteCheck    = 0x46
	mtRemoveGroup   = 0x47
	mtRemoveGroups  = 0x48
	mtFindGroups    = 0x49
	mtFindGroup     = 0x4A
	mtCountGroups   = 0x4C
	mtRxIdle        = 0x4D
	mtForceConcentr = 0x52
	mtSetParams     = 0x53
)

func zdoHandlers() table {
	t := table{}
	on(t, func(s *Stick, m *mt.ZDONwkAddrReq) {
		s.status(m.Command(), nv.Success)
		s.addressRequest(zdoNwkAddr, s.byIEEE(m.IEEE), m.IEEE == s.mem.IEEE())
	})
	on(t, func(s *Stick, m *mt.ZDOIEEEAddrReq) {
		s.status(m.Command(), nv.Success)
		s.addressRequest(zdoIEEEAddr, s.byNwk(m.Nwk), m.Nwk == zdo.AddressCoordinator)
	})
	on(t, func(s *Stick, m *mt.ZDONodeDescReq) {
		s.ask(m.Command(), m.Dst, zdoNodeDesc, func(d *sensor) []byte {
			return s.ofInterest(d, m.Nwk, func(b []byte) []byte { return s.nodeDescriptor(d).Append(b) })
		})
	})
	raw(t, unpi.ZDO, mtPowerDescReq, 4, func(s *Stick, cmd mt.Command, b []byte) {
		s.ask(cmd, nwkAt(b), zdoPowerDesc, func(d *sensor) []byte {
			return s.ofInterest(d, nwkAt(b[2:]), func(b []byte) []byte { return append(b, d.powerDescriptor()...) })
		})
	})
	on(t, func(s *Stick, m *mt.ZDOSimpleDescReq) {
		s.ask(m.Command(), m.Dst, zdoSimpleDesc, func(d *sensor) []byte {
			return simpleAnswer(s.descriptors(d), m.Nwk, m.Endpoint)
		})
	})
	on(t, func(s *Stick, m *mt.ZDOActiveEPReq) {
		s.ask(m.Command(), m.Dst, zdoActiveEP, func(d *sensor) []byte {
			return s.ofInterest(d, m.Nwk, func(b []byte) []byte { return appendEndpoints(b, s.descriptors(d)) })
		})
	})
	raw(t, unpi.ZDO, mtMatchDescReq, 8, func(s *Stick, cmd mt.Command, b []byte) { s.matchRequest(cmd, slices.Clone(b)) })
	on(t, func(s *Stick, m *mt.ZDOBindReq) {
		s.ask(m.Command(), m.Dst, zdoBind, func(d *sensor) []byte { return []byte{byte(s.bind(d, *m))} })
	})
	on(t, func(s *Stick, m *mt.ZDOUnbindReq) {
		s.ask(m.Command(), m.Dst, zdoUnbind, func(d *sensor) []byte { return []byte{byte(s.unbind(d, mt.ZDOBindReq(*m)))} })
	})
	on(t, func(s *Stick, m *mt.ZDOMsgCbRegister) {
		s.callbacks[uint16(m.Cluster)] = true
		s.status(m.Command(), nv.Success)
	})
	raw(t, unpi.ZDO, mtMsgCbRemove, 2, func(s *Stick, cmd mt.Command, b []byte) {
		delete(s.callbacks, uint16(nwkAt(b)))
		s.status(cmd, nv.Success)
	})
	on(t, func(s *Stick, m *mt.ZDOExtRouteDisc) { s.status(m.Command(), nv.Success) })
	fixed(t, unpi.ZDO, mtEndDevAnnce, 11, 0)
	fixed(t, unpi.ZDO, mtRouteCheck, 4, 0)
	fixed(t, unpi.ZDO, mtRxIdle, 2, 0)
	fixed(t, unpi.ZDO, mtForceConcentr, 0, 0)
	fixed(t, unpi.ZDO, mtSetParams, 1, 0)
	return t
}

func nwkAt(b []byte) zb.NetworkAddress { return zb.NetworkAddress(binary.LittleEndian.Uint16(b)) }

// ask answers a ZDO request with success and, if the node is there and awake, sends its answer. A nil node stands
// for the stick itself.
func (s *Stick) ask(cmd mt.Command, dst zb.NetworkAddress, cluster uint16, answer func(*sensor) []byte) {
	s.status(cmd, nv.Success)
	if dst == zdo.AddressCoordinator {
		s.answer(zdo.AddressCoordinator, cluster|zdoResponse, answer(nil))
		return
	}
	s.sent()
	life := s.boot
	s.after(s.delays.Response, func() {
		d := s.byNwk(dst)
		if s.boot != life || s.state != stateRunning || d == nil || !d.awake(time.Now()) {
			return
		}
		if b := answer(d); b != nil {
			s.answer(d.nwk, cluster|zdoResponse, b)
		}
	})
}

// answer hands a ZDO message to the host: as the AREQ of its cluster, and raw if that was asked for. The message
// starts behind the sequence number.
func (s *Stick) answer(src zb.NetworkAddress, cluster uint16, asdu []byte) {
	if v := s.mem.Get(nv.Legacy(zdoDirectCallback)); len(v) == 1 && v[0] == 1 {
		s.direct(src, cluster, asdu)
	}
	if s.callbacks[cluster] || s.callbacks[0xFFFF] {
		s.send(&mt.ZDOMsgCbIncoming{Src: src, Cluster: zb.ClusterID(cluster), MACDst: zdo.AddressCoordinator, Data: asdu})
	}
}

// direct is TI's translation of answers to AREQs, exceptions included.
func (s *Stick) direct(src zb.NetworkAddress, cluster uint16, asdu []byte) {
	cmd := mt.Command{Type: unpi.AsyncRequest, Subsystem: unpi.ZDO, ID: byte(cluster) | 0x80}
	switch cluster &^ zdoResponse {
	case zdoNwkAddr, zdoIEEEAddr:
		if len(asdu) > 0 && asdu[0] == byte(zdo.StatusSuccess) {
			s.sendRaw(cmd, addressAnswer(asdu), false)
		}
		return
	case zdoSimpleDesc:
		if len(asdu) < 5 {
			cmd.ID, asdu = mtDefaultRsp, asdu[:1]
		}
	}
	s.sendRaw(cmd, append(binary.LittleEndian.AppendUint16(nil, uint16(src)), asdu...), false)
}

// addressAnswer gives start index and count of children their place: over the air they are missing or the other
// way round.
func addressAnswer(asdu []byte) []byte {
	return append(slices.Clone(asdu[:11]), 0, 0)
}

// addressRequest answers who has an address: the device, or the stick for itself.
func (s *Stick) addressRequest(cluster uint16, d *sensor, own bool) {
	nwk, ieee := zdo.AddressCoordinator, s.mem.IEEE()
	if !own {
		if d == nil || !d.awake(time.Now()) {
			return
		}
		nwk, ieee = d.nwk, d.ieee
	}
	life := s.boot
	s.after(s.delays.Response, func() {
		if s.boot != life {
			return
		}
		asdu := binary.LittleEndian.AppendUint64([]byte{byte(zdo.StatusSuccess)}, uint64(ieee))
		s.answer(nwk, cluster|zdoResponse, binary.LittleEndian.AppendUint16(asdu, uint16(nwk)))
	})
}

// ofInterest starts an answer about the node itself, or refuses one about another node.
func (s *Stick) ofInterest(d *sensor, nwk zb.NetworkAddress, more func([]byte) []byte) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{byte(zdo.StatusSuccess)}, uint16(nwk))
	if nwk != d.network() {
		b[0] = byte(zdo.StatusInvalidRequestType)
		return b
	}
	return more(b)
}

// nodeDescriptor describes the sensor, or the stick.
func (s *Stick) nodeDescriptor(d *sensor) zdo.NodeDescriptor {
	n := zdo.NodeDescriptor{
		LogicalType: zb.Coordinator, FrequencyBand: zdo.FrequencyBand2400MHz, MaxBufferSize: 80,
		MaxIncomingTransfer: 160, MaxOutgoingTransfer: 160, ServerMask: 0x2C41,
		Capability: zdo.CapabilityFullFunction | zdo.CapabilityMainsPowered | zdo.CapabilityRxOnWhenIdle | zdo.CapabilityAllocateAddress,
	}
	if d != nil {
		n.LogicalType, n.Capability = d.kind.logicalType(), d.kind.capability()
		n.ManufacturerCode, n.ServerMask = zb.ManufacturerCode(d.kind.ManufacturerCode), 0x2C00
	}
	return n
}

// descriptors lists the endpoints of the sensor, or of the stick.
func (s *Stick) descriptors(d *sensor) []zdo.SimpleDescriptor {
	if d != nil {
		return d.kind.descriptors()
	}
	var out []zdo.SimpleDescriptor
	for _, e := range s.endpoints {
		out = append(out, zdo.SimpleDescriptor{
			Endpoint: e.Endpoint, Profile: e.Profile, DeviceType: e.DeviceType, DeviceVersion: e.Version,
			InClusters: e.InClusters, OutClusters: e.OutClusters,
		})
	}
	return out
}

func appendEndpoints(b []byte, descriptors []zdo.SimpleDescriptor) []byte {
	b = append(b, byte(len(descriptors)))
	for _, d := range descriptors {
		b = append(b, byte(d.Endpoint))
	}
	return b
}

func simpleAnswer(descriptors []zdo.SimpleDescriptor, nwk zb.NetworkAddress, endpoint zb.Endpoint) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{byte(zdo.StatusSuccess)}, uint16(nwk))
	for _, d := range descriptors {
		if d.Endpoint == endpoint {
			text := d.Append(nil)
			return append(append(b, byte(len(text))), text...)
		}
	}
	b[0] = byte(zdo.StatusNotActive)
	if endpoint == zdo.EndpointZDO || endpoint == zdo.EndpointBroadcast {
		b[0] = byte(zdo.StatusInvalidEndpoint)
	}
	return append(b, 0)
}

// matchRequest answers which endpoints of a node have one of the clusters.
func (s *Stick) matchRequest(cmd mt.Command, b []byte) {
	dst, nwk, profile := nwkAt(b), nwkAt(b[2:]), zb.ProfileID(nwkAt(b[4:]))
	in, rest := clusterList(b[6:])
	out, _ := clusterList(rest)
	s.ask(cmd, dst, zdoMatchDesc, func(d *sensor) []byte {
		return s.ofInterest(d, nwk, func(b []byte) []byte {
			match := slices.DeleteFunc(s.descriptors(d), func(e zdo.SimpleDescriptor) bool {
				return e.Profile != profile || !overlap(e.InClusters, in) && !overlap(e.OutClusters, out)
			})
			return appendEndpoints(b, match)
		})
	})
}

func clusterList(b []byte) (clusters []zb.ClusterID, rest []byte) {
	if len(b) == 0 {
		return nil, nil
	}
	n, b := int(b[0]), b[1:]
	for ; n > 0 && len(b) >= 2; n, b = n-1, b[2:] {
		clusters = append(clusters, zb.ClusterID(nwkAt(b)))
	}
	return clusters, b
}

func overlap(a, b []zb.ClusterID) bool {
	return slices.ContainsFunc(a, func(c zb.ClusterID) bool { return slices.Contains(b, c) })
}
