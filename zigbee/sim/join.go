package sim

import (
	"time"

	"github.com/peerbee/peerbee/zigbee/zdo"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

// joinAll lets every sensor that is no member join, one after the other.
func (s *Stick) joinAll() {
	life, wait := s.boot, time.Duration(0)
	for _, d := range s.sensors {
		if d.joined {
			continue
		}
		wait += s.delays.Join
		s.after(wait, func() {
			if s.boot == life && !d.joined && s.permitted() {
				s.join(d)
			}
		})
	}
}

// join goes through the association of a factory-new sensor. It reports whether the sensor is in.
func (s *Stick) join(d *sensor) bool {
	if s.installOnly && !s.installed[d.ieee] {
		s.log.Info("a sensor without an install code was kept out", "sensor", d.name)
		return false
	}
	d.forget()
	s.admit(d)
	if !d.joined {
		return false
	}
	parent := s.permitVia
	d.associated = d.associated && parent == zdo.AddressCoordinator
	s.sent()
	s.send(&mt.ZDOTCDevInd{Nwk: d.nwk, IEEE: d.ieee, Parent: parent})
	s.announce(d)
	s.log.Info("sensor joined", "sensor", d.name, "ieee", d.ieee.String())
	return true
}

// announce tells the network where the sensor is (R22 section 2.4.3.1.11).
func (s *Stick) announce(d *sensor) {
	now := time.Now()
	d.polled(now)
	for i := range d.props {
		// The interview comes first; the first measurement is due a period after it.
		d.props[i].next = now.Add(d.props[i].Every)
	}
	s.send(&mt.ZDOEndDeviceAnnceInd{Src: d.nwk, Nwk: d.nwk, IEEE: d.ieee, Capabilities: byte(d.kind.capability())})
	s.poke()
}

// depart takes the sensor off the network, to come back at once if it is to rejoin.
func (s *Stick) depart(d *sensor, rejoin bool) {
	s.send(&mt.ZDOLeaveInd{Src: d.nwk, IEEE: d.ieee, Rejoin: rejoin})
	if rejoin {
		s.announce(d)
		return
	}
	s.mem.RemoveDevice(d.ieee)
	d.leave()
	d.forget()
	s.log.Info("sensor left", "sensor", d.name)
}
