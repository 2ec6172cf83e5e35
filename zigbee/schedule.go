package zigbee

import (
	"context"
	"sync"
	"time"

	zb "github.com/shimmeringbee/zigbee"
)

// maxInterviews bounds the devices interviewed at once: a CC26x2 takes 16 requests in flight, and replies to
// devices need some of these.
const maxInterviews = 6

// schedule decides which device is interviewed when. A device is in it at most once, and runs at most once at
// a time, so it is bounded by the device table.
type schedule struct {
	mu      sync.Mutex // guards the fields below
	due     map[zb.IEEEAddress]time.Time
	running map[zb.IEEEAddress]bool
	wake    chan struct{} // holds one token after a change
}

func newSchedule() *schedule {
	return &schedule{
		due:     make(map[zb.IEEEAddress]time.Time),
		running: make(map[zb.IEEEAddress]bool),
		wake:    make(chan struct{}, 1),
	}
}

// at asks for an interview at a time, or earlier when one was asked for already. One that is running decides
// itself whether it has to be followed by another.
func (s *schedule) at(device zb.IEEEAddress, when time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[device] {
		return
	}
	if earlier, ok := s.due[device]; ok && earlier.Before(when) {
		return
	}
	s.due[device] = when
	s.signal()
}

func (s *schedule) forget(device zb.IEEEAddress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.due, device)
}

func (s *schedule) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next takes the device that is due longest. Without one it gives the time until the first will be, or false.
func (s *schedule) next(now time.Time) (device zb.IEEEAddress, ready bool, wait time.Duration, any bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first time.Time
	for d, when := range s.due {
		if s.running[d] || any && !when.Before(first) {
			continue
		}
		device, first, any = d, when, true
	}
	if !any || first.After(now) {
		return 0, false, first.Sub(now), any
	}
	delete(s.due, device)
	s.running[device] = true
	return device, true, 0, true
}

// finished ends a run; again is when the next is due, zero for never.
func (s *schedule) finished(device zb.IEEEAddress, again time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, device)
	if !again.IsZero() {
		s.due[device] = again
	}
	s.signal()
}

// serve runs one for every device that is due until ctx ends, then waits for those running.
func (s *schedule) serve(ctx context.Context, one func(context.Context, zb.IEEEAddress) (again time.Time)) {
	var group sync.WaitGroup
	defer group.Wait()
	slots := make(chan struct{}, maxInterviews)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		device, ok := s.await(ctx)
		if !ok {
			return
		}
		group.Go(func() {
			defer func() { <-slots }()
			s.finished(device, one(ctx, device))
		})
	}
}

// await blocks until a device is due; false when ctx ended.
func (s *schedule) await(ctx context.Context) (zb.IEEEAddress, bool) {
	for {
		device, ready, wait, some := s.next(time.Now())
		if ready {
			return device, true
		}
		var due <-chan time.Time
		if some {
			due = time.After(wait)
		}
		select {
		case <-due:
		case <-s.wake:
		case <-ctx.Done():
			return 0, false
		}
	}
}
