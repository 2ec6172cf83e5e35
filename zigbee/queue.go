package zigbee

import (
	"context"
	"sync"
)

const (
	// maxQueuedReports bounds the reports that wait for a slow reader: at 200 reports/s this is forty seconds, and
	// a few megabytes.
	maxQueuedReports = 8192
	// coalesceAbove is how many other events may wait before later ones replace earlier ones of the same device.
	coalesceAbove = 256
	// crowdedAbove is how many other events may wait before the network takes no new devices in: with
	// coalescing only devices unknown until now can grow the queue further.
	crowdedAbove = 4 * maxDevices
)

// queue is the ordered stream of events between the radio, which never waits, and one reader, which may be slow.
// Reports are dropped oldest first and counted in place by a Lost event; nothing else is dropped.
type queue struct {
	mu      sync.Mutex // guards the fields below
	events  []Event
	reports int // Reports in events
	lost    uint64
	signal  chan struct{} // holds one token when events is not empty
}

func newQueue() *queue {
	return &queue{signal: make(chan struct{}, 1)}
}

// push never blocks.
func (q *queue) push(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch now := e.(type) {
	case Report:
		if q.reports >= maxQueuedReports {
			q.dropOldestReport()
		}
		q.reports++
	case Lost:
		q.lost += now.Count
		if last := len(q.events) - 1; last >= 0 {
			if before, ok := q.events[last].(Lost); ok {
				q.events[last] = Lost{Count: before.Count + now.Count}
				return
			}
		}
	default:
		if len(q.events)-q.reports > coalesceAbove && q.coalesce(e) {
			return
		}
	}
	q.events = append(q.events, e)
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

// dropOldestReport puts a Lost event in the report's place, or adds to the one that stands just before it.
func (q *queue) dropOldestReport() {
	for i, e := range q.events {
		if _, ok := e.(Report); !ok {
			continue
		}
		q.reports--
		q.lost++
		if i > 0 {
			if before, ok := q.events[i-1].(Lost); ok {
				q.events[i-1] = Lost{Count: before.Count + 1}
				// The front is short and the rest is long: close the hole from the front.
				copy(q.events[1:i+1], q.events[:i])
				q.events[0] = nil
				q.events = q.events[1:]
				return
			}
		}
		q.events[i] = Lost{Count: 1}
		return
	}
}

// coalesce lets e replace the latest waiting event about the same thing.
func (q *queue) coalesce(e Event) bool {
	for i := len(q.events) - 1; i >= 0; i-- {
		switch now := e.(type) {
		case StateChanged:
			if _, ok := q.events[i].(StateChanged); ok {
				q.events[i] = now
				return true
			}
		case DeviceChanged:
			if left, ok := q.events[i].(DeviceLeft); ok && left.Device == now.Device.IEEE {
				return false
			}
			if before, ok := q.events[i].(DeviceChanged); ok && before.Device.IEEE == now.Device.IEEE {
				now.Joined = now.Joined || before.Joined
				q.events[i] = now
				return true
			}
		case DeviceLeft:
			if before, ok := q.events[i].(DeviceLeft); ok && before.Device == now.Device {
				return true
			}
			if before, ok := q.events[i].(DeviceChanged); ok && before.Device.IEEE == now.Device {
				return false
			}
		}
	}
	return false
}

// crowded reports whether the reader is so far behind that no unknown device may be taken in.
func (q *queue) crowded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.events)-q.reports > crowdedAbove
}

// depth gives the waiting events and the reports dropped since the start.
func (q *queue) depth() (waiting int, lost uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.events), q.lost
}

// take waits for the oldest event. What waits already is given even when ctx has ended.
func (q *queue) take(ctx context.Context) (Event, error) {
	for {
		if e, ok := q.pop(); ok {
			return e, nil
		}
		select {
		case <-q.signal:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (q *queue) pop() (Event, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) == 0 {
		return nil, false
	}
	e := q.events[0]
	q.events[0] = nil
	q.events = q.events[1:]
	if len(q.events) == 0 {
		q.events = nil
	}
	if _, ok := e.(Report); ok {
		q.reports--
	}
	return e, true
}
