package znp

import (
	"context"
	"sync"
	"time"

	zb "github.com/shimmeringbee/zigbee"
)

// Event is Incoming, Announce, Joined, Left, StateChanged or Dropped.
type Event interface{ isEvent() }

// Incoming is one application message received by the stick. Data belongs to the receiver of the event.
type Incoming struct {
	Time        time.Time // when its last byte was read
	Source      zb.NetworkAddress
	IEEE        zb.IEEEAddress // of the source, where the stick tells it; else 0
	SrcEndpoint zb.Endpoint
	DstEndpoint zb.Endpoint // of the stick
	Cluster     zb.ClusterID
	Group       zb.GroupID // 0: not sent to a group
	Broadcast   bool
	Secure      bool // APS security was used
	LinkQuality uint8
	Sequence    uint8 // as the stick tells it; most firmware always says 0
	Data        []byte
}

// Announce is a device announce: the device is awake and has this address.
type Announce struct {
	IEEE       zb.IEEEAddress
	Network    zb.NetworkAddress
	Capability uint8 // MAC capability bits, R22 table 2.38
}

// Joined says that the trust centre let a device into the network.
type Joined struct {
	IEEE    zb.IEEEAddress
	Network zb.NetworkAddress
	Parent  zb.NetworkAddress
}

// Left says that a device left. With Rejoin it is about to come back, which is not a leave for good.
type Left struct {
	IEEE    zb.IEEEAddress
	Network zb.NetworkAddress
	Rejoin  bool
}

// StateChanged carries the link's new state.
type StateChanged struct{ State State }

// Dropped says that Count incoming messages were dropped at this place because the reader was slow.
type Dropped struct{ Count uint64 }

func (Incoming) isEvent()     {}
func (Announce) isEvent()     {}
func (Joined) isEvent()       {}
func (Left) isEvent()         {}
func (StateChanged) isEvent() {}
func (Dropped) isEvent()      {}

const (
	maxIncoming  = 4096 // incoming messages waiting for a slow reader; older ones are dropped
	maxImportant = 4096 // joins, leaves and states waiting; only hostile traffic with no reader reaches it
)

// Next gives the next of one ordered stream of what the stick hears, or ctx's error. A slow reader loses the
// oldest Incoming events, and learns it from a Dropped at their place; the other events wait. One goroutine at a
// time may call it: it is woken straight from the port's, with no relay in between that would cost a report the
// time of another wake-up.
func (h *Host) Next(ctx context.Context) (Event, error) { return h.queue.take(ctx) }

// eventQueue is a bounded queue that never blocks its writers. Incoming events and all others are kept apart,
// so that the oldest Incoming can go without looking for it; their numbers restore the order.
type eventQueue struct {
	wake chan struct{} // holds one token while something may wait

	mu        sync.Mutex // guards what follows
	next      uint64
	incoming  ring[Incoming]
	important ring[Event]
	dropped   uint64 // not told yet
	total     uint64 // dropped ever
}

func newEventQueue() *eventQueue {
	return &eventQueue{wake: make(chan struct{}, 1)}
}

func (q *eventQueue) pushIncoming(e Incoming) {
	q.mu.Lock()
	if q.incoming.len() >= maxIncoming {
		q.incoming.pop()
		q.dropped++
		q.total++
	}
	q.incoming.push(q.next, e)
	q.next++
	q.mu.Unlock()
	q.signal()
}

func (q *eventQueue) push(e Event) {
	q.mu.Lock()
	if q.important.len() >= maxImportant {
		q.important.pop()
		q.total++
	}
	q.important.push(q.next, e)
	q.next++
	q.mu.Unlock()
	q.signal()
}

func (q *eventQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// pop gives the oldest event.
func (q *eventQueue) pop() (Event, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	in, inOK := q.incoming.first()
	imp, impOK := q.important.first()
	switch {
	case !inOK && !impOK:
		return nil, false
	case !inOK || impOK && imp < in:
		return q.important.pop(), true
	case q.dropped > 0:
		count := q.dropped
		q.dropped = 0
		return Dropped{Count: count}, true
	default:
		return q.incoming.pop(), true
	}
}

// take waits for the oldest event. What waits already is given even when ctx has ended.
func (q *eventQueue) take(ctx context.Context) (Event, error) {
	for {
		if e, ok := q.pop(); ok {
			return e, nil
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (q *eventQueue) droppedTotal() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total
}

// ring is a queue of numbered entries that reuses its memory.
type ring[T any] struct {
	entries []numbered[T]
	head    int
	count   int
}

type numbered[T any] struct {
	number uint64
	value  T
}

func (r *ring[T]) len() int { return r.count }

func (r *ring[T]) push(number uint64, v T) {
	if r.count == len(r.entries) {
		grown := make([]numbered[T], max(64, 2*r.count))
		for i := range r.count {
			grown[i] = r.entries[(r.head+i)%len(r.entries)]
		}
		r.entries, r.head = grown, 0
	}
	r.entries[(r.head+r.count)%len(r.entries)] = numbered[T]{number, v}
	r.count++
}

func (r *ring[T]) first() (uint64, bool) {
	if r.count == 0 {
		return 0, false
	}
	return r.entries[r.head].number, true
}

func (r *ring[T]) pop() T {
	var zero numbered[T]
	v := r.entries[r.head].value
	r.entries[r.head] = zero
	r.head = (r.head + 1) % len(r.entries)
	r.count--
	return v
}
