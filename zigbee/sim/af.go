package sim

import (
	"slices"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/zdo"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

const (
	afDelete     = 0x04
	afInterPAN   = 0x10
	afAPSFConfig = 0x13

	// The sizes at which TI's stack goes over to the long form of an indication, and to keeping the data.
	incomingHeader    = 20
	incomingExtHeader = 30
	maxIncoming       = unpi.MaxPayload - 10
	requestHeader     = 20

	// parkTime is how long an oversized message is kept for the host: 15 ticks of a second.
	parkTime  = 15 * time.Second
	maxParked = 8 // the heap of a stick holds no more
	// memFail is the answer when there is no message to store to.
	memFail = 0x10
	// stampUnit is the unit of time stamps: 20 symbols of a channel at 2.4 GHz.
	stampUnit = 320 * time.Microsecond
	radius    = 30
)

// parkedRequest is an oversized message of the host whose data is still to come.
type parkedRequest struct {
	mt.AFDataRequestExt
	until time.Time
}

// parkedMessage is an oversized message for the host that has been announced.
type parkedMessage struct {
	stamp uint32
	data  []byte
	until time.Time
}

func afHandlers() table {
	t := table{}
	on(t, func(s *Stick, m *mt.AFRegister) { s.status(m.Command(), s.register(*m)) })
	raw(t, unpi.AF, afDelete, 1, func(s *Stick, cmd mt.Command, b []byte) { s.status(cmd, s.unregister(zb.Endpoint(b[0]))) })
	on(t, func(s *Stick, m *mt.AFDataRequest) {
		s.dataRequest(m.Command(), mt.AFDataRequestExt{
			Mode: mt.AddrShort, Dst: uint64(m.Dst), DstEndpoint: m.DstEndpoint, SrcEndpoint: m.SrcEndpoint,
			Cluster: m.Cluster, TransID: m.TransID, Options: m.Options, Radius: m.Radius, Data: m.Data,
		})
	})
	on(t, func(s *Stick, m *mt.AFDataRequestSrcRtg) {
		s.dataRequest(m.Command(), mt.AFDataRequestExt{
			Mode: mt.AddrShort, Dst: uint64(m.Dst), DstEndpoint: m.DstEndpoint, SrcEndpoint: m.SrcEndpoint,
			Cluster: m.Cluster, TransID: m.TransID, Options: m.Options, Radius: m.Radius, Data: m.Data,
		})
	})
	t[(&mt.AFDataRequestExt{}).Command()] = dataRequestExt
	on(t, func(s *Stick, m *mt.AFDataStore) { s.status(m.Command(), s.store(m)) })
	on(t, func(s *Stick, m *mt.AFDataRetrieve) { s.retrieve(m) })
	fixed(t, unpi.AF, afInterPAN, 1, 0)
	fixed(t, unpi.AF, afAPSFConfig, 3, 0)
	return t
}

func (s *Stick) endpoint(id zb.Endpoint) bool {
	return slices.ContainsFunc(s.endpoints, func(e mt.AFRegister) bool { return e.Endpoint == id })
}

// register refuses endpoint 0, which is the stick's own, the broadcast one, and one that is there already.
func (s *Stick) register(e mt.AFRegister) uint8 {
	if e.Endpoint == zdo.EndpointZDO || e.Endpoint == zdo.EndpointBroadcast || s.endpoint(e.Endpoint) {
		return nv.InvalidParameter
	}
	s.endpoints = append(s.endpoints, e)
	s.cond.Broadcast()
	return nv.Success
}

func (s *Stick) unregister(id zb.Endpoint) uint8 {
	if !s.endpoint(id) {
		return nv.InvalidParameter
	}
	s.endpoints = slices.DeleteFunc(s.endpoints, func(e mt.AFRegister) bool { return e.Endpoint == id })
	return nv.Success
}

// dataRequestExt takes requests whose data comes later, too: those claim more than the frame holds.
func dataRequestExt(s *Stick, payload []byte) error {
	const lengthAt = 1 + 8 + 1 + 2 + 1 + 2 + 1 + 1 + 1
	if len(payload) < requestHeader {
		return errShort
	}
	length := int(payload[lengthAt]) | int(payload[lengthAt+1])<<8
	if length+requestHeader <= unpi.MaxPayload {
		var m mt.AFDataRequestExt
		if err := mt.Decode(payload, &m); err != nil {
			return err //nolint:wrapcheck // looked at, not shown
		}
		s.dataRequest(m.Command(), m)
		return nil
	}
	var m mt.AFDataRequestExt
	head := slices.Clone(payload[:requestHeader])
	head[lengthAt], head[lengthAt+1] = 0, 0
	if err := mt.Decode(head, &m); err != nil {
		return err //nolint:wrapcheck // looked at, not shown
	}
	if s.outgoing != nil && time.Now().After(s.outgoing.until) {
		s.outgoing = nil
	}
	if !s.endpoint(m.SrcEndpoint) || s.outgoing != nil {
		s.status(m.Command(), nv.InvalidParameter)
		return nil
	}
	m.Data = make([]byte, length)
	s.outgoing = &parkedRequest{m, time.Now().Add(parkTime)}
	s.status(m.Command(), nv.Success)
	return nil
}

// store takes a part of a parked request, and sends it at the end.
func (s *Stick) store(m *mt.AFDataStore) uint8 {
	p := s.outgoing
	if p == nil || time.Now().After(p.until) {
		s.outgoing = nil
		return memFail
	}
	if len(m.Data) == 0 {
		s.outgoing = nil
		s.transmit(p.AFDataRequestExt)
		return nv.Success
	}
	if int(m.Index)+len(m.Data) > len(p.Data) {
		return nv.InvalidParameter
	}
	copy(p.Data[m.Index:], m.Data)
	return nv.Success
}

// dataRequest answers a request to send, then sends.
func (s *Stick) dataRequest(cmd mt.Command, m mt.AFDataRequestExt) {
	m.Data = slices.Clone(m.Data) // the frame's bytes are the parser's
	switch f := &s.line.faults; {
	case f.RequestCount > 0:
		f.RequestCount--
		s.status(cmd, f.RequestStatus)
	case m.SrcEndpoint != zdo.EndpointZDO && !s.endpoint(m.SrcEndpoint):
		s.status(cmd, nv.InvalidParameter)
	case s.state != stateRunning:
		s.status(cmd, uint8(mt.NWKNoRoute))
	default:
		s.status(cmd, nv.Success)
		s.transmit(m)
	}
}

// transmit sends over the air; the confirmation comes before any answer.
func (s *Stick) transmit(m mt.AFDataRequestExt) {
	s.sent()
	life := s.boot
	s.after(s.delays.Response, func() {
		if s.boot != life {
			return
		}
		targets, status := s.targets(m)
		unicast := m.Mode == mt.AddrIEEE || m.Mode == mt.AddrShort && !zdo.IsBroadcast(zb.NetworkAddress(m.Dst))
		if f := &s.line.faults; f.ConfirmCount > 0 {
			f.ConfirmCount--
			status = mt.Status(f.ConfirmStatus)
			if status != mt.Success && !f.ConfirmDelivers {
				targets = nil
			}
		}
		s.send(&mt.AFDataConfirm{Status: status, Endpoint: m.SrcEndpoint, TransID: m.TransID})
		for _, d := range targets {
			s.deliver(d, delivery{m.SrcEndpoint, m.DstEndpoint, m.Cluster, m.Data, unicast})
		}
	})
}

// targets finds who hears a message, and what the stick learns of it.
func (s *Stick) targets(m mt.AFDataRequestExt) ([]*sensor, mt.Status) {
	nwk := zb.NetworkAddress(m.Dst)
	var one *sensor
	switch {
	case m.Mode == mt.AddrIEEE:
		one = s.byIEEE(zb.IEEEAddress(m.Dst))
	case m.Mode == mt.AddrShort && !zdo.IsBroadcast(nwk):
		if nwk == zdo.AddressCoordinator {
			return nil, mt.Success
		}
		one = s.byNwk(nwk)
	default:
		var all []*sensor
		for _, d := range s.sensors {
			if d.joined && d.awake(time.Now()) && m.Mode != mt.AddrGroup {
				all = append(all, d)
			}
		}
		return all, mt.Success
	}
	switch {
	case one == nil:
		return nil, mt.NWKNoRoute
	case !one.awake(time.Now()):
		return nil, mt.MACExpired
	}
	return []*sensor{one}, mt.Success
}

// incomingFrom hands a message of a device to the host, as TI's stack does: short, long, or announced only.
func (s *Stick) incomingFrom(m mt.AFIncomingMsg, report bool) {
	if report && s.line.faults.Broadcast && !m.Broadcast {
		m.Broadcast = true
		for _, e := range s.endpoints {
			m.DstEndpoint = e.Endpoint
			s.incomingFrom(m, report)
		}
		return
	}
	if !s.endpoint(m.DstEndpoint) {
		if report {
			s.line.stats.ReportsRefused++
		}
		return
	}
	m.Timestamp = s.stamp()
	m.Trailer = []byte{byte(m.Src), byte(m.Src >> 8), radius - 1}
	if incomingHeader+len(m.Data) <= maxIncoming {
		s.sendReport(&m, report)
		return
	}
	long := &mt.AFIncomingMsgExt{
		Group: m.Group, Cluster: m.Cluster, SrcMode: mt.AddrShort, Src: uint64(m.Src), SrcEndpoint: m.SrcEndpoint,
		DstEndpoint: m.DstEndpoint, Broadcast: m.Broadcast, LinkQuality: m.LinkQuality, Security: m.Security,
		Timestamp: m.Timestamp, Length: uint16(len(m.Data)), Trailer: m.Trailer,
	}
	if incomingExtHeader+len(m.Data) <= unpi.MaxPayload {
		long.Data = m.Data
	} else if !s.park(m) {
		return
	}
	s.sendReport(long, report)
}

func (s *Stick) sendReport(m mt.Message, report bool) {
	frame, err := mt.AppendFrame(nil, m)
	if err != nil {
		s.log.Warn("could not encode a message", "error", err)
		return
	}
	s.line.put(frame, report)
}

func (s *Stick) park(m mt.AFIncomingMsg) bool {
	now := time.Now()
	s.incoming = slices.DeleteFunc(s.incoming, func(p parkedMessage) bool { return now.After(p.until) })
	if len(s.incoming) >= maxParked {
		return false
	}
	s.incoming = append(s.incoming, parkedMessage{m.Timestamp, m.Data, now.Add(parkTime)})
	return true
}

func (s *Stick) retrieve(m *mt.AFDataRetrieve) {
	at := slices.IndexFunc(s.incoming, func(p parkedMessage) bool {
		return p.stamp == m.Timestamp && !time.Now().After(p.until)
	})
	switch {
	case at < 0:
		s.send(&mt.AFDataRetrieveRsp{Status: mt.Failure})
	case m.Length == 0:
		s.incoming = slices.Delete(s.incoming, at, at+1)
		s.send(&mt.AFDataRetrieveRsp{})
	default:
		data := s.incoming[at].data
		from := min(int(m.Index), len(data))
		to := min(from+int(m.Length), len(data), from+unpi.MaxPayload-2)
		s.send(&mt.AFDataRetrieveRsp{Data: data[from:to]})
	}
}

// stamp is the time of a message, different for each: the host asks for parked data by it.
func (s *Stick) stamp() uint32 {
	now := uint32(time.Since(s.started) / stampUnit)
	s.lastStamp = max(now, s.lastStamp+1)
	return s.lastStamp
}
