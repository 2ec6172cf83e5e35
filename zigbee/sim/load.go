package sim

import (
	"context"
	"time"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

// Load asks for reports at a rate, for tests of throughput and loss. Each report of a sensor carries its first
// property's attribute with a number one higher than the report before, from 1 on, wrapping to 1 at the end of
// the type's positive range; for IAS zones the attribute is the zone status.
type Load struct {
	Rate    float64 `json:"rate"`              // reports a second of all sensors together; 0: as fast as they are read
	Sensors int     `json:"sensors,omitempty"` // how many joined sensors take part, in turn; 0: all
	Count   uint64  `json:"count,omitempty"`   // how many reports; 0: until stopped
	Stamp   bool    `json:"stamp,omitempty"`   // adds StampAttribute
	Stop    bool    `json:"stop,omitempty"`    // stops the load under way instead
}

// StampAttribute of a stamped report is the time it was put on the line, in nanoseconds since 1970 (uint64).
const StampAttribute uint16 = 0xFF01

// load is a Load under way.
type load struct {
	Load
	start time.Time
	sent  uint64
	turn  int
}

const (
	// loadBatch is how many reports are made at a time at most.
	loadBatch = 256
	// loadNap is the shortest sleep, so that fast loads come in batches.
	loadNap = time.Millisecond
	// loadDebt is how much of the time that the reader made it wait a load catches up.
	loadDebt = time.Second
)

// generate runs loads until the context ends.
func (s *Stick) generate(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		for ctx.Err() == nil && (s.load == nil || !s.line.up || s.state != stateRunning) {
			s.cond.Wait()
		}
		s.waitRoom(ctx)
		nap := time.Duration(0)
		if l := s.load; l != nil && ctx.Err() == nil && s.line.up {
			nap = s.burst(l, time.Now())
			s.cond.Broadcast()
		}
		s.mu.Unlock()
		if nap <= 0 {
			continue
		}
		timer := time.NewTimer(nap)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// burst sends the reports that are due and gives how long to sleep then.
func (s *Stick) burst(l *load, now time.Time) time.Duration {
	senders := s.senders(l.Sensors)
	if len(senders) == 0 {
		return loadDebt
	}
	due := uint64(loadBatch)
	if l.Rate > 0 {
		if earliest := now.Add(-loadDebt - time.Duration(float64(l.sent)/l.Rate*float64(time.Second))); l.start.Before(earliest) {
			l.start = earliest
		}
		target := uint64(now.Sub(l.start).Seconds()*l.Rate) + 1
		due = min(due, max(target, l.sent)-l.sent)
	}
	if l.Count > 0 {
		due = min(due, l.Count-l.sent)
	}
	for range due {
		s.loadReport(senders[l.turn%len(senders)], l.Stamp)
		l.turn++
		l.sent++
	}
	if l.Count > 0 && l.sent == l.Count {
		s.load = nil
		return 0
	}
	if l.Rate <= 0 || due == loadBatch {
		return 0
	}
	next := l.start.Add(time.Duration(float64(l.sent) / l.Rate * float64(time.Second)))
	return max(next.Sub(now), loadNap)
}

func (s *Stick) senders(limit int) []*sensor {
	var out []*sensor
	for _, d := range s.sensors {
		if d.joined && (limit <= 0 || len(out) < limit) {
			out = append(out, d)
		}
	}
	return out
}

func (s *Stick) loadReport(d *sensor, stamp bool) {
	d.loaded++
	p := d.kind.Properties[0]
	cluster, record := p.Cluster, zcl.Attribute{ID: p.Attribute, Type: p.Type, Value: loadValue(p.Type, d.loaded)}
	if p.Zone != 0 {
		cluster = zcl.ClusterIASZone
		record = zcl.Attribute{ID: zcl.AttrZoneStatus, Type: zcl.TypeBitmap16, Value: loadValue(zcl.TypeBitmap16, d.loaded)}
	}
	records := []zcl.Attribute{record}
	if stamp {
		records = append(records, zcl.Attribute{ID: StampAttribute, Type: zcl.TypeUint64, Value: uint64(time.Now().UnixNano())})
	}
	before := s.line.stats.ReportsSent
	s.sent()
	s.sendAttributes(d, cluster, records)
	s.line.stats.LoadSent += s.line.stats.ReportsSent - before
}

// loadValue is the n-th value of a counting attribute.
func loadValue(t zcl.DataType, n uint64) any {
	switch t {
	case zcl.TypeBool:
		return n%2 == 1
	case zcl.TypeSingle:
		return float64((n-1)%(1<<24) + 1) // what a float32 counts without a gap
	case zcl.TypeInt8, zcl.TypeInt16, zcl.TypeInt24, zcl.TypeInt32:
		return int64((n-1)%(1<<(8*typeSize(t)-1)-1) + 1)
	default:
		return (n-1)%(1<<(8*typeSize(t))-2) + 1
	}
}
