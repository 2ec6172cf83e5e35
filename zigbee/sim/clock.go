package sim

import (
	"container/heap"
	"context"
	"time"
)

// timer is something to be done later, with the stick's lock held.
type timer struct {
	at  time.Time
	seq uint64 // keeps the order of timers for one moment
	do  func()
}

type timers []timer

func (t timers) Len() int { return len(t) }
func (t timers) Less(i, j int) bool {
	return t[i].at.Before(t[j].at) || t[i].at.Equal(t[j].at) && t[i].seq < t[j].seq
}
func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)   { *t = append(*t, x.(timer)) } //nolint:forcetypeassert // only timers are pushed
func (t *timers) Pop() any {
	old := *t
	last := old[len(old)-1]
	*t = old[:len(old)-1]
	return last
}

// maxTimers bounds what a host can have the stick put off.
const maxTimers = 10000

// after does something later, or at once if there is no delay or too much is put off already. The lock is held
// now and then.
func (s *Stick) after(d time.Duration, do func()) {
	if d <= 0 || len(s.timers) >= maxTimers {
		do()
		return
	}
	s.timerSeq++
	heap.Push(&s.timers, timer{at: time.Now().Add(d), seq: s.timerSeq, do: do})
	s.poke()
}

// poke lets the clock look again at what is due next.
func (s *Stick) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// clock does what is due: delayed answers, expiries and the schedules of the sensors.
func (s *Stick) clock(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		for ctx.Err() == nil && s.line.up && s.line.full() && !s.stalled() {
			s.cond.Wait()
		}
		next := s.stallUntil
		if !s.stalled() {
			next = s.runDue(time.Now())
		}
		s.cond.Broadcast()
		s.mu.Unlock()
		idle := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-idle.C:
		}
		idle.Stop()
	}
}

// idleWake bounds how long the clock sleeps when nothing at all is due.
const idleWake = time.Hour

func (s *Stick) runDue(now time.Time) time.Time {
	for len(s.timers) > 0 && !s.timers[0].at.After(now) {
		due := heap.Pop(&s.timers).(timer) //nolint:forcetypeassert // only timers are pushed
		due.do()
	}
	next := now.Add(idleWake)
	if len(s.timers) > 0 && s.timers[0].at.Before(next) {
		next = s.timers[0].at
	}
	if s.paused || s.state != stateRunning {
		return next
	}
	for _, d := range s.sensors {
		if at := s.tick(d, now); d.joined && at.Before(next) {
			next = at
		}
	}
	return next
}

// ended is what everything that serves returns when its context ends: nil while it has not. A deadline is no
// other end, since a supervisor would take its error for more than it says.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Canceled
}
