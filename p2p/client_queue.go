package p2p

import (
	"context"
	"maps"
	"sync"
)

// queueSlack is the room in a queue for events that use no credit.
const queueSlack = 256

// queued is an event and what only the subscription needs to know of it.
type queued struct {
	Event
	record bool              // uses credit: one frame and the bytes of its body
	heads  map[string]uint64 // with EventConnected: where devices without a cursor begin
}

// weight is about what the event takes in memory.
func (e *queued) weight() int {
	return 128 + len(e.Body) + len(e.Hash) + len(e.Device) + 64*(len(e.Durable)+len(e.heads))
}

// eventQueue is a bounded queue between a session and Next. Heartbeats nobody has taken are merged, so that an
// idle caller does not fill it.
type eventQueue struct {
	most       int // items, and
	mostWeight int // their weight, one item excepted: a gateway that ignores credit must not fill the memory

	mu     sync.Mutex // guards what follows
	weight int
	items  []queued
	first  int // index of the next item
	frames int // queued records and
	bytes  int // the bytes of their bodies
	err    error

	more chan struct{} // capacity 1: something to take, or closed
	room chan struct{} // capacity 1: something was taken
}

func newEventQueue(most, mostWeight int) *eventQueue {
	return &eventQueue{most: most, mostWeight: mostWeight, more: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// push waits for room; the error is ctx's.
func (q *eventQueue) push(ctx context.Context, e queued) error {
	for {
		if q.tryPush(e) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-q.room:
		}
	}
}

func (q *eventQueue) tryPush(e queued) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.Kind == EventHeartbeat && q.mergeHeartbeat(e) {
		return true
	}
	if len(q.items)-q.first >= q.most || q.weight > q.mostWeight {
		return false
	}
	if q.first > 64 && q.first > len(q.items)/2 {
		n := copy(q.items, q.items[q.first:])
		clear(q.items[n:])
		q.items, q.first = q.items[:n], 0
	}
	q.items = append(q.items, e)
	q.weight += e.weight()
	if e.record {
		q.frames++
		q.bytes += len(e.Body)
	}
	signal(q.more)
	return true
}

// mergeHeartbeat puts e into the last queued item if that is a heartbeat too. In between lie only records, whose
// number is bounded by credit.
func (q *eventQueue) mergeHeartbeat(e queued) bool {
	if len(q.items) == q.first {
		return false
	}
	last := &q.items[len(q.items)-1]
	if last.Kind != EventHeartbeat {
		return false
	}
	merged := maps.Clone(last.Durable)
	if merged == nil {
		merged = make(map[string]uint64, len(e.Durable))
	}
	maps.Copy(merged, e.Durable)
	q.weight += 64 * (len(merged) - len(last.Durable))
	last.Durable, last.Through = merged, e.Through
	return true
}

// pop waits for an event. When the queue is closed and empty it gives the reason.
func (q *eventQueue) pop(ctx context.Context) (queued, error) {
	for {
		if e, ok, err := q.tryPop(); ok || err != nil {
			return e, err
		}
		select {
		case <-ctx.Done():
			return queued{}, ctx.Err()
		case <-q.more:
		}
	}
}

func (q *eventQueue) tryPop() (queued, bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.first == len(q.items) {
		return queued{}, false, q.err
	}
	e := q.items[q.first]
	q.weight -= e.weight()
	q.items[q.first] = queued{}
	q.first++
	if q.first == len(q.items) {
		q.items, q.first = q.items[:0], 0
	}
	if e.record {
		q.frames--
		q.bytes -= len(e.Body)
	}
	signal(q.room)
	return e, true, nil
}

// held gives the queued records and their bytes.
func (q *eventQueue) held() (frames, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.frames, q.bytes
}

func (q *eventQueue) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.err = err
	signal(q.more)
}
