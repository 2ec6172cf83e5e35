package p2p

import (
	"context"
	"time"
)

// maxHeld is how many records of one device wait for its minimum interval: the newest of each set of
// properties, the oldest making room.
const maxHeld = 16

// maxInterval bounds what a hello may ask for: a day, in milliseconds.
const maxInterval = 24 * 60 * 60 * 1000

// heldRecord is a record that came before its device's minimum interval had passed. Held, not dropped: the last
// value before a silence must still arrive.
type heldRecord struct {
	e    *entry
	mask propMask
}

// holdTimer wakes a writer for the earliest device whose interval has passed.
type holdTimer struct {
	timer   *time.Timer
	due     time.Time
	devices map[*position]struct{} // those that hold something
}

// C is the timer's channel; nil while nothing is held.
func (h *holdTimer) C() <-chan time.Time {
	if h.timer == nil || len(h.devices) == 0 {
		return nil
	}
	return h.timer.C
}

func (h *holdTimer) empty() bool { return len(h.devices) == 0 }

func (h *holdTimer) stop() {
	if h.timer != nil {
		h.timer.Stop()
	}
}

// arm makes the timer fire no later than due.
func (h *holdTimer) arm(due time.Time) {
	switch {
	case h.timer == nil:
		h.timer = time.NewTimer(time.Until(due))
	case h.due.IsZero() || due.Before(h.due):
		h.timer.Reset(time.Until(due))
	default:
		return
	}
	h.due = due
}

// add keeps e for pos and lets go of what it supersedes: an older record of the same or fewer properties.
func (h *holdTimer) add(pos *position, e *entry, mask propMask) {
	kept := pos.held[:0]
	for _, old := range pos.held {
		if !covers(&e.rec, mask, &old.e.rec, old.mask) {
			kept = append(kept, old)
		}
	}
	if len(kept) >= maxHeld {
		kept = append(kept[:0], kept[1:]...)
	}
	pos.held = append(kept, heldRecord{e, mask})
	if h.devices == nil {
		h.devices = make(map[*position]struct{})
	}
	h.devices[pos] = struct{}{}
}

// drop forgets what pos holds and gives its first sequence.
func (h *holdTimer) drop(pos *position) (first uint64, held bool) {
	if len(pos.held) == 0 {
		return 0, false
	}
	first = pos.held[0].e.rec.Seq
	pos.held = nil
	delete(h.devices, pos)
	return first, true
}

// covers reports whether the permitted properties of a contain those of b.
func covers(a *Record, am propMask, b *Record, bm propMask) bool {
	have := make(map[string]struct{}, len(a.Props))
	for i, p := range a.Props {
		if am.has(i) {
			have[p] = struct{}{}
		}
	}
	for i, p := range b.Props {
		if !bm.has(i) {
			continue
		}
		if _, ok := have[p]; !ok {
			return false
		}
	}
	return true
}

// thin takes a record of a stream with a minimum interval: it goes out with what its device holds once the
// interval since the last one sent has passed.
func (s *subscriber) thin(ctx context.Context, pos *position, e *entry, mask propMask) error {
	pos.seen = e.rec.Seq
	first := len(pos.held) == 0
	s.hold.add(pos, e, mask)
	left := s.intervalLeft(pos, e.rec.Time)
	if left <= 0 {
		pos.due = time.Now()
		return s.release(ctx, pos)
	}
	if first {
		pos.due = time.Now().Add(left)
	}
	s.hold.arm(pos.due)
	return nil
}

// intervalLeft is how long after t the device's next record may go out. A clock that was set back counts as a
// whole interval.
func (s *subscriber) intervalLeft(pos *position, t int64) time.Duration {
	interval := time.Duration(min(s.hello.MinInterval, maxInterval)) * time.Millisecond
	if pos.sentAt == 0 {
		return 0
	}
	return min(interval-time.Duration(t-pos.sentAt)*time.Millisecond, interval)
}

// release sends what pos holds as far as credit goes.
func (s *subscriber) release(ctx context.Context, pos *position) error {
	for len(pos.held) > 0 {
		if !s.credit.ready() {
			return nil // the next grant wakes the writer, and due has passed
		}
		h := pos.held[0]
		pos.held = pos.held[1:]
		if h.mask = s.rights.mask(ctx, &h.e.rec); h.mask.empty() {
			continue
		}
		if err := s.send(pos, h.e, h.mask); err != nil {
			return err
		}
	}
	pos.held = nil
	delete(s.hold.devices, pos)
	return nil
}

// flushHeld releases every device that is due and arms the timer for the next.
func (s *subscriber) flushHeld(ctx context.Context) error {
	if s.hold.empty() {
		return nil
	}
	now := time.Now()
	s.hold.due = time.Time{}
	for pos := range s.hold.devices {
		if !pos.due.After(now) {
			if err := s.release(ctx, pos); err != nil {
				return err
			}
			continue
		}
		s.hold.arm(pos.due)
	}
	return nil
}
