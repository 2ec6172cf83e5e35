package p2p

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
)

// maxProps is how many property keys one record may carry; a subset of them is a propMask.
const maxProps = 256

// maxLostSpans is how many lost ranges are remembered for one device; beyond it the oldest is forgotten.
const maxLostSpans = 1024

// entryCost stands for the memory of an entry besides its encoded bodies.
const entryCost = 256

var errRecord = errors.New("record not usable")

// propMask is a subset of one record's Props, a bit for each index.
type propMask [maxProps / 64]uint64

func (m *propMask) set(i int)      { m[i/64] |= 1 << (i % 64) }
func (m *propMask) has(i int) bool { return m[i/64]&(1<<(i%64)) != 0 }
func (m *propMask) empty() bool    { return *m == propMask{} }

func (m *propMask) count() int {
	n := 0
	for _, w := range m {
		n += bits.OnesCount64(w)
	}
	return n
}

// span is an inclusive range of sequence numbers.
type span struct{ from, to uint64 }

// entry is one place in the ring: a record, or a range announced as lost. Everything but the cache is fixed.
type entry struct {
	rec  Record
	lost span // lost.to != 0: not a record
	used *atomic.Int64

	mu      sync.Mutex // guards what follows
	bodies  []encoded
	size    int64
	evicted bool
}

type encoded struct {
	mask propMask
	body Body
	err  error
}

// lastSeq is the highest sequence number the entry speaks for.
func (e *entry) lastSeq() uint64 {
	if e.lost.to != 0 {
		return e.lost.to
	}
	return e.rec.Seq
}

// encode gives the body limited to mask, made once for all subscribers with the same mask.
func (e *entry) encode(mask propMask) (Body, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.bodies {
		if e.bodies[i].mask == mask {
			return e.bodies[i].body, e.bodies[i].err
		}
	}
	props := e.rec.Props
	if n := mask.count(); n < len(props) {
		props = make([]string, 0, n)
		for i, p := range e.rec.Props {
			if mask.has(i) {
				props = append(props, p)
			}
		}
	}
	body, err := e.rec.Encode(props)
	e.bodies = append(e.bodies, encoded{mask: mask, body: body, err: err})
	if e.used != nil && !e.evicted {
		n := int64(len(body.Bytes))
		e.size += n
		e.used.Add(n)
	}
	return body, err
}

func (e *entry) evict() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.evicted = true
	e.used.Add(-e.size)
}

// track is what the publisher knows of one device's numbering.
type track struct {
	first uint64 // where the ring's own, unbroken account of the device begins
	last  uint64 // highest sequence published or announced lost
	begun bool   // something was published: from here on a sequence that is left out does not exist
	// evicted: everything up to here is not in the ring (any more, or never was).
	evicted uint64
	// evictedBy gives, per property, the highest evicted sequence that carried it, so that a gap is announced
	// only to those who were entitled to what is gone.
	evictedBy   map[string]uint64
	evictedLost uint64
	props       map[string]struct{}
	lost        []span // ascending, disjoint
}

// ring keeps the newest records of all devices in arrival order, bounded in number and in encoded bytes. The
// caller's lock guards it.
type ring struct {
	slots      []*entry
	head, tail uint64 // absolute positions: [tail, head) are there
	used       atomic.Int64
	maxUsed    int64
	tracks     map[string]*track
}

func newRing(records int, maxBytes int64) *ring {
	return &ring{slots: make([]*entry, records), maxUsed: maxBytes, tracks: make(map[string]*track)}
}

func (r *ring) at(i uint64) *entry { return r.slots[i%uint64(len(r.slots))] }

// publish appends rec; an error says that it was not.
func (r *ring) publish(rec Record) error {
	if rec.Device == "" || len(rec.Device) > maxKey || len(rec.Props) == 0 || len(rec.Props) > maxProps ||
		rec.Encode == nil || rec.Seq == 0 {
		return fmt.Errorf("device %q, sequence %d, %d properties: %w", rec.Device, rec.Seq, len(rec.Props), errRecord)
	}
	t := r.track(rec.Device, rec.Seq)
	if rec.Seq <= t.last {
		return fmt.Errorf("device %q: sequence %d after %d: %w", rec.Device, rec.Seq, t.last, errRecord)
	}
	t.resume(rec.Seq)
	t.last, t.begun = rec.Seq, true
	for _, p := range rec.Props {
		t.props[p] = struct{}{}
	}
	r.push(&entry{rec: rec})
	return nil
}

// announceLost appends the news that the device's records from..to do not exist any more. What was published of
// them stays valid.
func (r *ring) announceLost(device string, lost span) error {
	if device == "" || len(device) > maxKey || lost.from == 0 || lost.to < lost.from || lost.to == math.MaxUint64 {
		return fmt.Errorf("device %q, lost %d to %d: %w", device, lost.from, lost.to, errRecord)
	}
	t := r.track(device, lost.from)
	if lost.from <= t.last {
		lost.from = t.last + 1
	}
	if lost.to < lost.from {
		return fmt.Errorf("device %q: lost up to %d after %d was published: %w", device, lost.to, t.last, errRecord)
	}
	t.resume(lost.from)
	t.last = lost.to
	t.lost = append(t.lost, lost)
	if len(t.lost) > maxLostSpans {
		t.lost = t.lost[1:]
	}
	r.push(&entry{rec: Record{Device: device}, lost: lost})
	return nil
}

// resume begins the account anew at seq when there is a hole before it: between losses of earlier runs, and after
// them, lie records that only the backlog has.
func (t *track) resume(seq uint64) {
	if !t.begun && seq > t.last+1 {
		t.first, t.evicted = seq, seq-1
	}
}

// track finds or begins a device whose first entry here is first: all before that can only be in the backlog.
func (r *ring) track(device string, first uint64) *track {
	t := r.tracks[device]
	if t == nil {
		t = &track{
			first: first, last: first - 1, evicted: first - 1,
			evictedBy: make(map[string]uint64), props: make(map[string]struct{}),
		}
		r.tracks[device] = t
	}
	return t
}

func (r *ring) push(e *entry) {
	e.used, e.size = &r.used, entryCost
	for r.head-r.tail >= uint64(len(r.slots)) || (r.head > r.tail && r.used.Load()+e.size > r.maxUsed) {
		r.evictOldest()
	}
	r.used.Add(e.size)
	r.slots[r.head%uint64(len(r.slots))] = e
	r.head++
}

func (r *ring) evictOldest() {
	i := r.tail % uint64(len(r.slots))
	e := r.slots[i]
	r.slots[i] = nil
	r.tail++
	e.evict()
	t := r.tracks[e.rec.Device]
	t.evicted = e.lastSeq()
	if e.lost.to != 0 {
		t.evictedLost = e.lost.to
		return
	}
	for _, p := range e.rec.Props {
		t.evictedBy[p] = e.rec.Seq
	}
}

// departed is a copy of what a track says about records that left the ring, to be judged without the lock.
type departed struct {
	device  string
	first   uint64
	last    uint64
	evicted uint64
	lostTo  uint64
	byProp  map[string]uint64
}

func (r *ring) departures() []departed {
	out := make([]departed, 0, len(r.tracks))
	for device, t := range r.tracks {
		out = append(out, departed{
			device: device, first: t.first, last: t.last, evicted: t.evicted, lostTo: t.evictedLost,
			byProp: maps.Clone(t.evictedBy),
		})
	}
	return out
}

// gone gives the highest sequence above seen that has left the ring and that a subscriber was entitled to.
func (d *departed) gone(seen uint64, allowed func(device, property string) bool, anyOf func(device string) bool) (uint64, bool) {
	var to uint64
	for p, seq := range d.byProp {
		if seq > max(to, seen) && allowed(d.device, p) {
			to = seq
		}
	}
	if d.lostTo > max(to, seen) && anyOf(d.device) {
		to = d.lostTo
	}
	return to, to > seen
}

// lostBetween gives the lost ranges that touch (seen, before), as one span.
func (t *track) lostBetween(seen, before uint64) (span, bool) {
	var out span
	for _, l := range t.lost {
		if l.to <= seen || l.to >= before {
			continue
		}
		if out.to == 0 {
			out.from = max(l.from, seen+1)
		}
		out.to = l.to
	}
	return out, out.to != 0
}
