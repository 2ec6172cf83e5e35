package sim

import (
	"encoding/binary"
	"math/bits"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/zdo"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// Durations of a network update that are no scan (R22 table 2.87).
const (
	maxScan         = 5
	changeChannel   = 0xFE
	changeManager   = 0xFF
	tablePage       = 3 // rows of a table that fit an answer
	permanentPermit = 0xFF
)

func mgmtHandlers() table {
	t := table{}
	on(t, func(s *Stick, m *mt.ZDOMgmtLqiReq) {
		s.ask(m.Command(), m.Dst, zdoMgmtLqi, func(d *sensor) []byte { return page(s.neighbours(d), m.StartIndex) })
	})
	on(t, func(s *Stick, m *mt.ZDOMgmtRtgReq) {
		s.ask(m.Command(), m.Dst, zdoMgmtRtg, func(d *sensor) []byte { return page(s.routes(d), m.StartIndex) })
	})
	raw(t, unpi.ZDO, mtMgmtBindReq, 3, func(s *Stick, cmd mt.Command, b []byte) {
		start := b[2]
		s.ask(cmd, nwkAt(b), zdoMgmtBind, func(d *sensor) []byte { return page(d.bindingRows(), start) })
	})
	on(t, func(s *Stick, m *mt.ZDOMgmtLeaveReq) {
		s.ask(m.Command(), m.Dst, zdoMgmtLeave, func(d *sensor) []byte { return s.leaveRequest(d, *m) })
	})
	permit := (&mt.ZDOMgmtPermitJoinReq{}).Command()
	t[permit] = permitHandler
	on(t, func(s *Stick, m *mt.ZDOMgmtNwkUpdateReq) { s.nwkUpdate(*m) })
	return t
}

// page is the part of a table from start on, behind status, size, start and count.
func page(rows [][]byte, start uint8) []byte {
	part := rows[min(int(start), len(rows)):]
	part = part[:min(tablePage, len(part))]
	b := []byte{byte(zdo.StatusSuccess), byte(len(rows)), start, byte(len(part))}
	for _, row := range part {
		b = append(b, row...)
	}
	return b
}

// maxRows keeps the size of a table within its byte.
const maxRows = 255

// neighbours is the table of a node: the stick hears everybody, a sensor the stick.
func (s *Stick) neighbours(d *sensor) [][]byte {
	if d != nil {
		return [][]byte{zdo.Neighbour{
			ExtendedPAN: s.network.ExtendedPAN, IEEE: s.mem.IEEE(), Network: zdo.AddressCoordinator, Type: zb.Coordinator,
			RxOnWhenIdle: zdo.Yes, Relationship: uint8(zb.RelationshipParent), LQI: d.lqi,
		}.Append(nil)}
	}
	var rows [][]byte
	for _, d := range s.sensors {
		if !d.joined || len(rows) == maxRows {
			continue
		}
		n := zdo.Neighbour{
			ExtendedPAN: s.network.ExtendedPAN, IEEE: d.ieee, Network: d.nwk, Type: d.kind.logicalType(),
			Relationship: uint8(zb.RelationshipChild), Depth: 1, LQI: d.lqi,
		}
		if d.kind.Mains {
			n.RxOnWhenIdle, n.Relationship, n.PermitJoin = zdo.Yes, uint8(zb.RelationshipSibling), zdo.Unknown
		}
		rows = append(rows, n.Append(nil))
	}
	return rows
}

func (s *Stick) routes(d *sensor) [][]byte {
	if d != nil {
		return nil
	}
	var rows [][]byte
	for _, d := range s.sensors {
		if d.joined && d.kind.Mains && len(rows) < maxRows {
			rows = append(rows, zdo.Route{Destination: d.nwk, NextHop: d.nwk}.Append(nil))
		}
	}
	return rows
}

// leaveRequest makes the sensor leave behind its answer.
func (s *Stick) leaveRequest(d *sensor, m mt.ZDOMgmtLeaveReq) []byte {
	if d == nil || m.Device != 0 && m.Device != d.ieee {
		return []byte{byte(zdo.StatusNotSupported)}
	}
	rejoin := m.Options&mt.LeaveRejoin != 0
	s.answer(d.nwk, zdoMgmtLeave|zdoResponse, []byte{byte(zdo.StatusSuccess)})
	s.depart(d, rejoin)
	return nil
}

// permitHandler takes the old form of the command, too, which lacks the address mode.
func permitHandler(s *Stick, payload []byte) error {
	if len(payload) == 4 {
		payload = append([]byte{byte(mt.AddrShort)}, payload...)
	}
	var m mt.ZDOMgmtPermitJoinReq
	if err := mt.Decode(payload, &m); err != nil {
		return err //nolint:wrapcheck // looked at, not shown
	}
	s.status(m.Command(), nv.Success)
	src := zdo.AddressCoordinator
	if router := s.byNwk(m.Dst); router != nil {
		if !router.kind.Mains {
			s.answer(router.nwk, zdoMgmtPermit|zdoResponse, []byte{byte(zdo.StatusInvalidRequestType)})
			return nil
		}
		src = router.nwk
	}
	s.answer(src, zdoMgmtPermit|zdoResponse, []byte{byte(zdo.StatusSuccess)})
	s.permit(m.Seconds, src)
	return nil
}

func (s *Stick) permitted() bool { return time.Now().Before(s.permitUntil) }

// permit opens or closes joining. The host hears only of changes, and only of the stick's own.
func (s *Stick) permit(seconds uint8, via zb.NetworkAddress) {
	was := s.permitted()
	open := time.Duration(seconds) * time.Second
	if seconds == permanentPermit {
		open = 100 * 365 * 24 * time.Hour
	}
	until := time.Now().Add(open)
	s.permitUntil, s.permitVia = until, via
	if via == zdo.AddressCoordinator && was != (seconds > 0) {
		s.send(&mt.ZDOPermitJoinInd{Seconds: seconds})
	}
	if seconds == 0 || s.state != stateRunning {
		return
	}
	life := s.boot
	s.after(open, func() {
		if s.boot == life && s.permitUntil.Equal(until) && via == zdo.AddressCoordinator {
			s.send(&mt.ZDOPermitJoinInd{})
		}
	})
	if !s.manual {
		s.joinAll()
	}
}

// nwkUpdate scans for energy, or moves the network to another channel.
func (s *Stick) nwkUpdate(m mt.ZDOMgmtNwkUpdateReq) {
	s.status(m.Command(), nv.Success)
	switch {
	case m.Duration <= maxScan:
		if m.Dst != zdo.AddressCoordinator && s.byNwk(m.Dst) == nil {
			return
		}
		n := bits.OnesCount32(m.Channels & zigbeeChannels)
		b := binary.LittleEndian.AppendUint32([]byte{byte(zdo.StatusSuccess)}, m.Channels)
		b = binary.LittleEndian.AppendUint16(b, 0)
		b = append(binary.LittleEndian.AppendUint16(b, 0), byte(n))
		for range n {
			b = append(b, byte(20+s.rng.UintN(60)))
		}
		s.answer(m.Dst, zdoMgmtNwkUpdate|zdoResponse, b)
	case m.Duration == changeChannel && bits.OnesCount32(m.Channels&zigbeeChannels) == 1:
		s.network.Channel = uint8(bits.TrailingZeros32(m.Channels))
		s.network.ChannelMask = m.Channels
		s.network.UpdateID++
		s.mem.SetChannel(s.network)
	}
}

func groupHandlers() table {
	t := table{}
	on(t, func(s *Stick, m *mt.ZDOExtAddGroup) { s.status(m.Command(), s.addGroup(*m)) })
	raw(t, unpi.ZDO, mtFindGroup, 3, func(s *Stick, cmd mt.Command, b []byte) {
		answer := make([]byte, 1+2+groupNameLen)
		answer[0] = 1 // failure
		for _, g := range s.groups {
			if g.endpoint == zb.Endpoint(b[0]) && g.id == zb.GroupID(nwkAt(b[1:])) {
				answer[0] = nv.Success
				copy(answer[1:], b[1:3])
				answer[3] = byte(len(g.name))
				copy(answer[4:], g.name)
			}
		}
		s.sendRaw(cmd.Response(), answer, false)
	})
	raw(t, unpi.ZDO, mtRemoveGroup, 3, func(s *Stick, cmd mt.Command, b []byte) {
		s.status(cmd, s.removeGroups(func(g group) bool {
			return g.endpoint == zb.Endpoint(b[0]) && g.id == zb.GroupID(nwkAt(b[1:]))
		}))
	})
	raw(t, unpi.ZDO, mtRemoveGroups, 1, func(s *Stick, cmd mt.Command, b []byte) {
		s.removeGroups(func(g group) bool { return g.endpoint == zb.Endpoint(b[0]) })
		cmd.ID = mtRemoveGroup // TI answers under the other command's id
		s.status(cmd, nv.Success)
	})
	raw(t, unpi.ZDO, mtFindGroups, 1, func(s *Stick, cmd mt.Command, b []byte) {
		answer := []byte{0}
		for _, g := range s.groups {
			if g.endpoint == zb.Endpoint(b[0]) {
				answer[0]++
				answer = binary.LittleEndian.AppendUint16(answer, uint16(g.id))
			}
		}
		s.sendRaw(cmd.Response(), answer, false)
	})
	raw(t, unpi.ZDO, mtCountGroups, 0, func(s *Stick, cmd mt.Command, _ []byte) {
		s.sendRaw(cmd.Response(), []byte{byte(len(s.groups))}, false)
	})
	return t
}
