package znp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// call is one SREQ with its answer.
type call struct {
	frame   []byte
	answer  mt.Command
	timeout time.Duration
	done    chan callResult // takes one without blocking
	fresh   bool            // its timer is not set yet
	probe   bool            // may stay unanswered without harm
}

type callResult struct {
	payload []byte
	err     error
}

func newCall(m mt.Message, timeout time.Duration) (*call, error) {
	frame, err := mt.AppendFrame(nil, m)
	if err != nil {
		return nil, fmt.Errorf("send to the stick: %w", err)
	}
	return &call{frame: frame, answer: m.Command().Response(), timeout: timeout, done: make(chan callResult, 1)}, nil
}

// request sends a SREQ and fills rsp with its answer.
func (l *link) request(ctx context.Context, req, rsp mt.Message) error {
	return l.requestWithin(ctx, requestTimeout, req, rsp)
}

func (l *link) requestWithin(ctx context.Context, timeout time.Duration, req, rsp mt.Message) error {
	c, err := newCall(req, timeout)
	if err != nil {
		return err
	}
	return l.do(ctx, c, req, rsp)
}

// query asks the stick for something it knows itself, and asks again when a damaged line ate question or answer.
func (l *link) query(ctx context.Context, req, rsp mt.Message) error {
	var err error
	for range queryTries {
		err = l.requestWithin(ctx, queryTimeout, req, rsp)
		if !errors.Is(err, ErrTimeout) || errors.Is(err, errLinkDown) {
			break
		}
	}
	return err
}

// probe pings a stick that may not be one, or not be awake.
func (l *link) probe(ctx context.Context, timeout time.Duration) error {
	c, err := newCall(&mt.SysPing{}, timeout)
	if err != nil {
		return err
	}
	c.probe = true
	return l.do(ctx, c, &mt.SysPing{}, &mt.SysPingRsp{})
}

func (l *link) do(ctx context.Context, c *call, req, rsp mt.Message) error {
	select {
	case l.calls <- c:
	case <-l.dead:
		return l.cause()
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", req.Command(), context.Cause(ctx))
	}
	select {
	case r := <-c.done:
		if r.err != nil {
			return fmt.Errorf("%s: %w", req.Command(), r.err)
		}
		return mt.Decode(r.payload, rsp)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", req.Command(), context.Cause(ctx))
	}
}

// command sends a SREQ that is answered by a status alone and gives a *StatusError unless that is success.
func (l *link) command(ctx context.Context, req mt.Message) error {
	rsp := mt.StatusRsp{Of: req.Command()}
	if err := l.request(ctx, req, &rsp); err != nil {
		return err
	}
	return statusErr(req.Command().String(), rsp.Status)
}

// start puts a request on the wire. After an unanswered one a ping goes first: the stick answers in order, so
// that a late answer cannot be taken for that of a later request of the same kind.
func (l *link) start(c *call) {
	if l.timeouts > 0 && c.answer != (&mt.SysPing{}).Command().Response() {
		barrier, err := newCall(&mt.SysPing{}, probeTimeout)
		if err == nil {
			l.next, c = c, barrier
		}
	}
	l.launch(c)
}

func (l *link) launch(c *call) {
	c.fresh = true
	l.current = c
	l.counters.requests.Add(1)
	l.transmit(c.frame)
}

// answer ends the request in flight if f is its answer.
func (l *link) answer(f unpi.Frame) {
	c := l.current
	if c == nil {
		return
	}
	got := mt.CommandOf(f)
	switch {
	case got == c.answer:
		l.timeouts = 0
		l.conclude(callResult{payload: bytes.Clone(f.Payload)})
	case got == (&mt.RPCError{}).Command():
		var refused mt.RPCError
		if err := mt.Decode(f.Payload, &refused); err != nil || refused.Request().Response() != c.answer {
			return
		}
		l.timeouts = 0
		l.conclude(callResult{err: fmt.Errorf("%w (error %d)", ErrUnsupported, refused.Code)})
	}
}

// conclude delivers the result of the request in flight and starts the one a barrier held back.
func (l *link) conclude(r callResult) {
	l.current.done <- r
	l.current = nil
	if next := l.next; next != nil {
		l.next = nil
		l.launch(next)
	}
}

// expire ends the request in flight for want of an answer. One that is fresh took the place of the one whose time
// was up, which has been answered in the last moment.
func (l *link) expire() {
	if l.current == nil || l.current.fresh {
		return
	}
	if l.current.probe {
		l.conclude(callResult{err: ErrTimeout})
		return
	}
	l.timeouts++
	l.counters.timeouts.Add(1)
	l.finish(ErrTimeout)
	if l.timeouts >= maxTimeouts {
		l.fail(fmt.Errorf("%d requests in a row: %w", l.timeouts, ErrTimeout))
	}
}

// finish ends whatever is in flight with err.
func (l *link) finish(err error) {
	if l.current != nil {
		l.current.done <- callResult{err: err}
	}
	if l.next != nil {
		l.next.done <- callResult{err: err}
	}
	l.current, l.next = nil, nil
}

// waiter waits for one AREQ.
type waiter struct {
	command mt.Command
	match   func(payload []byte) bool
	done    chan callResult // takes one without blocking
}

func (w *waiter) fail(err error) { w.done <- callResult{err: err} }

// expect registers a wait for an AREQ that match accepts, to be done before the request that causes it is sent.
// The caller must call release.
func (l *link) expect(command mt.Command, match func(payload []byte) bool) *waiter {
	w := &waiter{command: command, match: match, done: make(chan callResult, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		w.fail(l.err)
		return w
	}
	l.waiters = append(l.waiters, w)
	return w
}

func (l *link) release(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters = slices.DeleteFunc(l.waiters, func(o *waiter) bool { return o == w })
}

// notify gives the AREQ to the first waiter that wants it.
func (l *link) notify(f unpi.Frame) bool {
	command := mt.CommandOf(f)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, w := range l.waiters {
		if w.command == command && w.match(f.Payload) {
			w.done <- callResult{payload: bytes.Clone(f.Payload)}
			l.waiters = slices.Delete(l.waiters, i, i+1)
			return true
		}
	}
	return false
}

// await waits for what expect registered.
func (l *link) await(ctx context.Context, w *waiter, timeout time.Duration, rsp mt.Message) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case r := <-w.done:
		if r.err != nil {
			return fmt.Errorf("wait for %s: %w", w.command, r.err)
		}
		return mt.Decode(r.payload, rsp)
	case <-timer.C:
		return fmt.Errorf("wait for %s: %w", w.command, ErrTimeout)
	case <-ctx.Done():
		return fmt.Errorf("wait for %s: %w", w.command, context.Cause(ctx))
	}
}

// restarted is called for a restart of the stick that nobody asked for: nothing in flight will be answered.
func (l *link) restarted(cause error) {
	l.finish(cause)
	l.timeouts = 0
	l.mu.Lock()
	for _, w := range l.waiters {
		w.fail(cause)
	}
	l.waiters = nil
	for id, c := range l.confirms {
		close(c)
		delete(l.confirms, id)
	}
	l.mu.Unlock()
	select {
	case l.reset <- cause:
	default:
	}
}

// sleep waits for d unless ctx or the link ends before.
func (l *link) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-l.dead:
		return l.cause()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
