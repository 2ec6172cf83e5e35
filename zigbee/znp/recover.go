package znp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

const (
	firstRetry     = 100 * time.Millisecond
	maxOpenRetry   = time.Second // looking for a port is cheap, and a replugged one should carry reports soon
	maxBringUp     = 5 * time.Second
	foreignRetry   = 30 * time.Second
	maxSilence     = 30 * time.Second // after which the stick is asked for a sign of life
	watchdogPeriod = 10 * time.Second
	maxResets      = 5 // restarts in a row before the port is reopened
)

// reopenForever opens the port again whenever it ends, with growing pauses, until ctx ends.
func (h *Host) reopenForever(ctx context.Context) {
	pause := backoff{}
	for ctx.Err() == nil {
		limit := maxBringUp
		err := h.session(ctx, pause.reset)
		if ctx.Err() != nil {
			return
		}
		var open *openError
		var foreign *foreignError
		switch {
		case errors.As(err, &foreign):
			h.setState(foreign.state())
			pause.reset()
			if !sleep(ctx, foreignRetry) {
				return
			}
			continue
		case errors.As(err, &open):
			h.setState(open.state())
			limit = maxOpenRetry
		default:
			h.setState(lostState(err))
		}
		if !sleep(ctx, pause.next(limit)) {
			return
		}
	}
}

// session works one opening of the port from its opening to its end. Success is called once the stick is known
// to be a working one.
func (h *Host) session(ctx context.Context, success func()) error {
	port, err := h.open(ctx)
	if err != nil {
		return newOpenError(err)
	}
	h.counters.opens.Add(1)
	l := newLink(port, h.log, h.queue, &h.counters)
	linkCtx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { l.run(linkCtx) })
	defer wg.Wait()
	defer cancel()
	defer h.setRunning(nil)
	for resets := 0; ; resets++ {
		next, err := h.bringUp(ctx, l)
		if err == nil {
			success()
			err = h.attend(ctx, l, next)
		}
		h.setRunning(nil)
		l.steady.Store(false)
		if !errors.Is(err, errReset) && !errors.Is(err, errStateLost) {
			return err
		}
		if next.Phase == PhaseRunning {
			resets = 0
		}
		if resets >= maxResets {
			return fmt.Errorf("%d times in a row: %w", resets, err)
		}
		h.log.Warn("zigbee stick is brought up again", "cause", err)
	}
}

// attend waits while the stick works, or waits for a decision, and gives what ended that.
func (h *Host) attend(ctx context.Context, l *link, s State) error {
	watchdog := time.NewTicker(watchdogPeriod)
	defer watchdog.Stop()
	for {
		if s.Phase == PhaseRunning { // before it is told, so that whoever hears of it finds it so
			h.setRunning(l)
		} else {
			h.setRunning(nil)
		}
		h.setState(s)
		select {
		case err := <-l.reset:
			return err
		case <-l.dead:
			return l.cause()
		case <-ctx.Done():
			return context.Cause(ctx)
		case d := <-h.decisions:
			var err error
			if s, err = h.carryOut(ctx, l, s, d); err != nil {
				return err
			}
		case <-watchdog.C:
			if l.silence() < maxSilence {
				continue
			}
			if err := l.signOfLife(ctx, s.Phase == PhaseRunning); err != nil {
				return err
			}
		}
	}
}

// signOfLife asks the silent stick for its state. A restart whose message was lost shows as a stick that is no
// coordinator any more.
func (l *link) signOfLife(ctx context.Context, running bool) error {
	var info mt.UtilGetDeviceInfoRsp
	err := l.query(ctx, &mt.UtilGetDeviceInfo{}, &info)
	switch {
	case errors.Is(err, ErrUnsupported):
		return nil // an answer all the same
	case err != nil:
		return err
	case running && info.State != mt.StateCoordinator:
		return errStateLost
	default:
		return nil
	}
}

// openError says that the port could not be opened.
type openError struct {
	err           error
	problem, hint string
	foreign       bool
}

func newOpenError(err error) *openError {
	e := &openError{
		err: err, problem: fmt.Sprintf("the port to the zigbee stick cannot be opened: %v", err),
		hint: "plug in the stick and check the port setting",
	}
	var explained interface{ Explain() (problem, hint string) }
	if errors.As(err, &explained) {
		e.problem, e.hint = explained.Explain()
	}
	var family interface{ WrongFamily() bool }
	e.foreign = errors.As(err, &family) && family.WrongFamily()
	return e
}

func (e *openError) Error() string { return "open zigbee port: " + e.err.Error() }
func (e *openError) Unwrap() error { return e.err }

func (e *openError) state() State {
	phase := PhaseNoStick
	if e.foreign {
		phase = PhaseWrongFamily
	}
	return State{Phase: phase, Problem: e.problem, Hint: e.hint}
}

// lostState tells people why an opened stick does not work.
func lostState(err error) State {
	s := State{
		Phase: PhaseNoStick, Problem: fmt.Sprintf("the zigbee stick does not work: %v", err),
		Hint: "unplug the stick and plug it in again; it is tried again by itself",
	}
	if errors.Is(err, errNoAnswer) {
		s.Problem = "the zigbee stick does not answer"
		s.Hint = "check that the port setting names the stick, unplug it and plug it in again"
	}
	return s
}

// backoff gives growing pauses with jitter.
type backoff struct{ last time.Duration }

func (b *backoff) reset() { b.last = 0 }

func (b *backoff) next(limit time.Duration) time.Duration {
	b.last = min(max(2*b.last, firstRetry), limit)
	return b.last - time.Duration(rand.Int64N(int64(b.last)/4)) //nolint:gosec // jitter, not a secret
}

// sleep waits for d and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
