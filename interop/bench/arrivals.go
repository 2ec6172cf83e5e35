package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

// arrivals is what a subscriber received since the last reset. A report is known by its device and its value,
// which the simulator's load counts up.
type arrivals struct {
	mu     sync.Mutex // guards the fields below
	seen   map[arrival]struct{}
	delays []time.Duration // of stamped reports, from the line to here
	last   time.Time
	wake   chan struct{} // one element: something new
}

type arrival struct {
	device string
	value  int64 // hundredths of a degree
}

func newArrivals() *arrivals {
	return &arrivals{seen: map[arrival]struct{}{}, wake: make(chan struct{}, 1)}
}

// take notes a report; stamp is when it was put on the line, Unix nanoseconds, 0 if it does not say.
func (a *arrivals) take(device string, value, stamp int64) {
	now := time.Now()
	a.mu.Lock()
	a.seen[arrival{device, value}] = struct{}{}
	a.last = now
	if stamp != 0 {
		a.delays = append(a.delays, now.Sub(time.Unix(0, stamp)))
	}
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *arrivals) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen, a.delays = map[arrival]struct{}{}, nil
}

// count tells how many reports came, and when the last one did.
func (a *arrivals) count() (int, time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen), a.last
}

// await waits until n reports are in, or none has come for as long as patience.
func (a *arrivals) await(ctx context.Context, n int, patience time.Duration) (int, time.Time) {
	for {
		got, last := a.count()
		if got >= n {
			return got, last
		}
		select {
		case <-a.wake:
		case <-ctx.Done():
			return got, last
		case <-time.After(patience):
			return a.count()
		}
	}
}

// percentiles gives the delays below which the given shares of the stamped reports were.
func (a *arrivals) percentiles(shares ...float64) []time.Duration {
	a.mu.Lock()
	sorted := slices.Sorted(slices.Values(a.delays))
	a.mu.Unlock()
	out := make([]time.Duration, len(shares))
	for i, share := range shares {
		if len(sorted) > 0 {
			out[i] = sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
		}
	}
	return out
}
