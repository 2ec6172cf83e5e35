package sim

import (
	"math"
	"slices"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zcl"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

// tick samples what is due and reports what is to be reported. It gives the moment to look again.
func (s *Stick) tick(d *sensor, now time.Time) time.Time {
	next := now.Add(idleWake)
	if !d.joined {
		return next
	}
	alarm := false
	for i := range d.props {
		p := &d.props[i]
		if p.Every <= 0 {
			continue
		}
		if p.next.IsZero() {
			p.next = now.Add(p.Every)
		}
		if !now.Before(p.next) {
			p.sample(p.Draws && d.off())
			changed := d.store(p)
			alarm = alarm || p.Zone != 0 && changed
			p.next = now.Add(p.Every)
		}
		next = earlier(next, p.next)
	}
	if alarm {
		s.notify(d)
	}
	return earlier(next, s.reportDue(d, now, false))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// off reports whether the sensor is a switch, and off.
func (d *sensor) off() bool {
	a := d.attrs[attrKey{zcl.ClusterOnOff, 0}]
	return a != nil && a.Value == false
}

// sample moves the property on to its next value, a function of the seed and the number of samples.
func (p *property) sample(off bool) {
	p.samples++
	switch {
	case off && p.Grow != 0:
	case off:
		p.value = 0
	case p.Toggle:
		p.value = 1 - p.value
	case p.Grow != 0:
		p.value = max(p.value+p.Grow, 0)
	case p.Swing != 0:
		turn := float64(p.samples)*float64(p.Every)/float64(p.Period) + p.phase
		p.value = p.Start + p.Swing*math.Sin(2*math.Pi*turn)
	}
}

// reportDue sends the reports that are due, or all of them, one for each cluster. It gives the moment the next
// one will be due by its configuration.
func (s *Stick) reportDue(d *sensor, now time.Time, all bool) time.Time {
	next := now.Add(idleWake)
	var due []*attribute
	for _, a := range d.attrs {
		if !a.sampled {
			continue
		}
		send, again := a.due(now)
		// Once something of a cluster was configured, the factory's reports of the rest of it end.
		send = send && (a.config != nil || !d.configured(a.Cluster))
		if !again.IsZero() {
			next = earlier(next, again)
		}
		if send || all {
			due = append(due, a)
		}
	}
	slices.SortFunc(due, func(a, b *attribute) int {
		return (int(a.Cluster)<<16 | int(a.ID)) - (int(b.Cluster)<<16 | int(b.ID))
	})
	for len(due) > 0 {
		n := 1
		for n < len(due) && due[n].Cluster == due[0].Cluster {
			n++
		}
		if again := s.report(d, due[:n], now); !again.IsZero() {
			next = earlier(next, again)
		}
		due = due[n:]
	}
	return next
}

// due decides about one attribute, by its configuration if it has one (ZCL section 2.5.7), otherwise it is due
// whenever it was sampled.
func (a *attribute) due(now time.Time) (send bool, again time.Time) {
	c := a.config
	if c == nil {
		return a.dirty, time.Time{}
	}
	if c.min < 0 { // switched off
		return false, time.Time{}
	}
	if a.changed() {
		if !now.Before(a.sentAt.Add(c.min)) {
			return true, time.Time{}
		}
		again = a.sentAt.Add(c.min)
	}
	if c.max > 0 {
		if !now.Before(a.sentAt.Add(c.max)) {
			return true, time.Time{}
		}
		if again.IsZero() {
			again = a.sentAt.Add(c.max)
		}
		again = earlier(again, a.sentAt.Add(c.max))
	}
	return false, again
}

// changed compares with the last report: analog values by the reportable change, others by being different.
func (a *attribute) changed() bool {
	if !a.Type.IsAnalog() {
		return a.Value != a.sent
	}
	now, ok := toFloat(a.Value)
	before, known := toFloat(a.sent)
	return ok && (!known || now != before && math.Abs(now-before) >= a.config.change)
}

// report sends attributes of one cluster in one frame, if somebody is to hear of them: reports that were
// configured go where the cluster is bound to, the others to the stick as from the factory. It gives when the
// next report is due by configuration.
func (s *Stick) report(d *sensor, attrs []*attribute, now time.Time) time.Time {
	cluster := attrs[0].Cluster
	var again time.Time
	records := make([]zcl.Attribute, 0, len(attrs))
	for _, a := range attrs {
		a.dirty, a.sentAt, a.sent = false, now, a.Value
		records = append(records, zcl.Attribute{ID: a.ID, Type: a.Type, Value: a.Value})
		if a.config != nil && a.config.max > 0 {
			if at := now.Add(a.config.max); again.IsZero() || at.Before(again) {
				again = at
			}
		}
	}
	if d.configured(cluster) && !d.bound(cluster) {
		return again
	}
	s.sent()
	s.sendAttributes(d, cluster, records)
	return again
}

func (s *Stick) sendAttributes(d *sensor, cluster uint16, records []zcl.Attribute) {
	payload, err := zcl.AppendReport(nil, records)
	if err != nil {
		s.log.Warn("could not encode a report", "sensor", d.name, "error", err)
		return
	}
	d.seq++
	s.fromSensor(d, s.reportEndpoint(d, cluster), zb.ClusterID(cluster), zcl.Frame{
		FromServer: true, DisableDefaultResponse: true, Seq: d.seq, Command: zcl.CommandReportAttributes, Payload: payload,
	}, true)
}

func (d *sensor) configured(cluster uint16) bool {
	for _, a := range d.attrs {
		if a.Cluster == cluster && a.config != nil {
			return true
		}
	}
	return false
}

func (d *sensor) bound(cluster uint16) bool {
	return slices.ContainsFunc(d.bindings, func(b mt.ZDOBindReq) bool { return uint16(b.Cluster) == cluster })
}

// reportEndpoint is where the cluster is bound to at the stick, its first endpoint otherwise.
func (s *Stick) reportEndpoint(d *sensor, cluster uint16) zb.Endpoint {
	for _, b := range d.bindings {
		if uint16(b.Cluster) == cluster && b.Mode == mt.AddrIEEE && zb.IEEEAddress(b.Target) == s.mem.IEEE() {
			return b.TargetEndpoint
		}
	}
	return endpoint1
}
