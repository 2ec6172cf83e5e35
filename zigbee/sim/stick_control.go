package sim

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// ErrValue says that a value cannot be what was asked for.
var ErrValue = errors.New("value out of range")

// SensorState is what a simulated sensor is and measures just now.
type SensorState struct {
	Name       string             `json:"name"`
	Kind       string             `json:"kind"`
	IEEE       string             `json:"ieee"` // 16 hex digits
	Network    uint16             `json:"network"`
	Joined     bool               `json:"joined"`
	Properties map[string]float64 `json:"properties"` // bools are 0 and 1
	Load       uint64             `json:"load"`       // reports of the load generator so far: the last one's number
}

// Sensors lists the simulated sensors.
func (s *Stick) Sensors() []SensorState {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]SensorState, 0, len(s.sensors))
	for _, d := range s.sensors {
		state := SensorState{
			Name: d.name, Kind: d.kind.Name, IEEE: d.ieee.String(), Network: uint16(d.nwk), Joined: d.joined,
			Properties: map[string]float64{}, Load: d.loaded,
		}
		for _, p := range d.props {
			state.Properties[p.Name] = p.value
		}
		out = append(out, state)
	}
	return out
}

// Set gives a property a value, which a joined sensor reports at once. Bools are 0 and 1. As with every report, a
// cluster whose reporting was configured reports only while it is bound, and an IAS zone only once it is enrolled.
func (s *Stick) Set(name, what string, value float64) error {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return fmt.Errorf("%w: %v", ErrValue, value)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.byName(name)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(d.props, func(p property) bool { return p.Name == what })
	if at < 0 {
		return fmt.Errorf("%w: %s has %v", ErrNoProperty, name, d.propertyNames())
	}
	p := &d.props[at]
	p.value = value
	if p.Swing != 0 {
		p.Start = value // it swings around the new value from now on
	}
	changed := d.store(p)
	if s.state != stateRunning || !d.joined {
		return nil
	}
	defer s.cond.Broadcast()
	if p.Zone != 0 {
		if changed {
			s.notify(d)
		}
		return nil
	}
	s.reportProperty(d, p)
	return nil
}

// reportProperty reports a property's attributes whatever was configured.
func (s *Stick) reportProperty(d *sensor, p *property) {
	now := time.Now()
	attrs := []*attribute{d.attrs[attrKey{p.Cluster, p.Attribute}]}
	if p.Mirror != nil {
		attrs = append(attrs, d.attrs[attrKey{p.Cluster, p.Mirror.ID}])
	}
	s.report(d, attrs, now)
}

func (d *sensor) propertyNames() []string {
	names := map[string]bool{}
	for _, p := range d.props {
		names[p.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// Join lets a sensor join, if joining is open; a member announces itself anew instead.
func (s *Stick) Join(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.cond.Broadcast()
	d, err := s.byName(name)
	switch {
	case err != nil:
		return err
	case s.state == stateRunning && d.joined:
		s.announce(d)
		return nil
	case s.state != stateRunning || !s.permitted():
		return fmt.Errorf("%w: open it at the gateway, then let %s join", ErrClosed, name)
	case !s.join(d):
		return fmt.Errorf("%w: %s was refused", ErrClosed, name)
	}
	return nil
}

// Move gives a member a new short address, which it announces, as a sensor that found another parent does.
func (s *Stick) Move(name string) error {
	return s.member(name, func(d *sensor) {
		for old := d.nwk; d.nwk == old || s.taken(d); {
			d.nwk = zb.NetworkAddress(d.rng.UintN(0xFFF0) + 1)
		}
		s.mem.AddDevice(nv.Known{IEEE: d.ieee, Network: d.nwk, Child: d.associated})
		s.announce(d)
	})
}

func (s *Stick) taken(d *sensor) bool {
	return slices.ContainsFunc(s.sensors, func(o *sensor) bool { return o != d && o.nwk == d.nwk })
}

// Leave makes a member leave the network of its own accord.
func (s *Stick) Leave(name string) error {
	return s.member(name, func(d *sensor) { s.depart(d, false) })
}

// Press is the button on the sensor: it wakes and reports everything it measures.
func (s *Stick) Press(name string) error {
	return s.member(name, func(d *sensor) {
		d.polled(time.Now())
		s.reportDue(d, time.Now(), true)
		if d.kind.ZoneType != 0 {
			s.notify(d)
		}
	})
}

// member does something with a joined sensor.
func (s *Stick) member(name string, do func(*sensor)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.byName(name)
	if err != nil {
		return err
	}
	if s.state != stateRunning || !d.joined {
		return fmt.Errorf("%w: %s", ErrNotJoined, name)
	}
	do(d)
	s.cond.Broadcast()
	return nil
}

// SetLoad starts a load, or stops the one under way.
func (s *Stick) SetLoad(l Load) error {
	if math.IsNaN(l.Rate) || l.Rate < 0 || math.IsInf(l.Rate, 0) || l.Sensors < 0 {
		return fmt.Errorf("%w: rate %v, sensors %d", ErrValue, l.Rate, l.Sensors)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.load = nil
	if !l.Stop {
		s.load = &load{Load: l, start: time.Now()}
	}
	s.cond.Broadcast()
	return nil
}

// Pause stops the schedules of all sensors, or lets them go on.
func (s *Stick) Pause(paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = paused
	s.poke()
}

// SetFaults replaces the faults.
func (s *Stick) SetFaults(f Faults) error {
	for _, chance := range []float64{f.Drop, f.Flip} {
		if math.IsNaN(chance) || chance < 0 || chance > 1 {
			return fmt.Errorf("%w: a chance is between 0 and 1, not %v", ErrValue, chance)
		}
	}
	if f.Duplicate < 0 || f.GarbageBytes < 0 || f.GarbageBytes > highWater || f.GarbageEvery < 0 || f.RequestCount < 0 || f.ConfirmCount < 0 {
		return fmt.Errorf("%w: counts are not negative, and garbage is at most %d bytes", ErrValue, highWater)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line.setFaults(f)
	return nil
}

// Stray puts one lone start byte on the line.
func (s *Stick) Stray() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line.raw(unpi.SOF)
	s.cond.Broadcast()
}

// Stall makes the stick neither read nor write for a while. What is sent meanwhile waits.
func (s *Stick) Stall(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stallUntil = time.Now().Add(d)
	s.poke()
}

// Reset is a crash of the firmware: the stick restarts, and says so unasked.
func (s *Stick) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reset(resetWatchdog)
	s.cond.Broadcast()
}

// Unplug takes the stick out of its port for a while.
func (s *Stick) Unplug(d time.Duration) {
	s.mu.Lock()
	port := s.port
	s.unplugged, s.plugUntil = true, time.Now().Add(d)
	s.cond.Broadcast()
	s.mu.Unlock()
	if port != nil {
		if err := port.Close(); err != nil {
			s.log.Debug("closing the port", "error", err)
		}
	}
}

// Stats gives the counters.
func (s *Stick) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.line.stats
}

// Running reports whether the stick is on a network, with how many registered endpoints.
func (s *Stick) Running() (running bool, endpoints int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == stateRunning, len(s.endpoints)
}

// SaveNV writes the stick's memory to a dump file if it changed since the last time.
func (s *Stick) SaveNV(path string) error {
	s.mu.Lock()
	var snapshot *nv.Memory
	if s.mem.TakeDirty() {
		snapshot = s.mem.Clone()
	}
	s.mu.Unlock()
	if snapshot == nil {
		return nil
	}
	return snapshot.Save(path) //nolint:wrapcheck // says all there is to say
}

// Network tells which network the stick is on.
func (s *Stick) Network() (nv.Network, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.network, s.state == stateRunning
}
