package sim

import (
	"encoding/binary"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/zdo"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

const (
	utilCallbackSub = 0x06
	deviceTypes     = 0x07 // coordinator, router and end device are compiled in
	// Sizes of an associated device in either struct layout.
	assocAligned = 36
	assocPacked  = 28
	// Relations of an associated device.
	relationChildRFD = 1
	relationChildFFD = 2
	maxUtilChildren  = 110 // what fits the answer
)

func utilHandlers() table {
	t := table{}
	on(t, func(s *Stick, _ *mt.UtilGetDeviceInfo) { s.deviceInfo() })
	on(t, func(s *Stick, m *mt.UtilLEDControl) { s.status(m.Command(), nv.Success) })
	raw(t, unpi.UTIL, utilCallbackSub, 3, func(s *Stick, cmd mt.Command, _ []byte) { s.status(cmd, nv.Success) })
	on(t, func(s *Stick, m *mt.UtilAssocCount) {
		count := uint16(0)
		for _, d := range s.associated() {
			if r := d.relation(); r >= m.First && r <= m.Last {
				count++
			}
		}
		s.send(&mt.UtilAssocCountRsp{Count: count})
	})
	on(t, func(s *Stick, m *mt.UtilAssocFindDevice) {
		var found *sensor
		if all := s.associated(); int(m.Index) < len(all) {
			found = all[m.Index]
		}
		s.send(&mt.UtilAssocFindDeviceRsp{Device: s.assocRow(found)})
	})
	on(t, func(s *Stick, m *mt.UtilAssocGetWithAddress) {
		found := s.byIEEE(m.IEEE)
		if m.IEEE == 0 {
			found = s.byNwk(m.Nwk)
		}
		s.send(&mt.UtilAssocGetWithAddressRsp{Device: s.assocRow(found)})
	})
	on(t, func(s *Stick, m *mt.UtilAssocRemove) { s.status(m.Command(), s.setAssociated(m.IEEE, false)) })
	on(t, func(s *Stick, m *mt.UtilAssocAdd) { s.status(m.Command(), s.setAssociated(m.IEEE, true)) })
	return t
}

func (s *Stick) deviceInfo() {
	info := &mt.UtilGetDeviceInfoRsp{IEEE: s.mem.IEEE(), Nwk: zdo.AddressUnknown, Kind: deviceTypes, State: s.state}
	if s.state == stateRunning {
		info.Nwk = zdo.AddressCoordinator
		for _, d := range s.associated() {
			if len(info.Children) < maxUtilChildren {
				info.Children = append(info.Children, d.nwk)
			}
		}
	}
	s.send(info)
}

// associated lists the children of the stick.
func (s *Stick) associated() []*sensor {
	var out []*sensor
	for _, d := range s.sensors {
		if d.joined && d.associated {
			out = append(out, d)
		}
	}
	return out
}

func (s *Stick) setAssociated(ieee zb.IEEEAddress, to bool) uint8 {
	d := s.byIEEE(ieee)
	if d == nil || d.associated == to {
		return uint8(mt.Failure)
	}
	d.associated = to
	return nv.Success
}

// assocRow is the struct of an associated device as the stick's memory holds it; nil gives one nobody is in.
func (s *Stick) assocRow(d *sensor) []byte {
	size := assocPacked
	if s.version.Aligned {
		size = assocAligned
	}
	row := make([]byte, size)
	binary.LittleEndian.PutUint16(row, uint16(zdo.AddressUnknown))
	if d != nil {
		binary.LittleEndian.PutUint16(row, uint16(d.nwk))
		row[4] = d.relation()
		row[10] = d.lqi // link info: counter, cost, quality
	}
	return row
}
