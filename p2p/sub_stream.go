package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"
)

const (
	batchBytes  = 32 << 10 // written at the latest when this much is queued
	batchKept   = 4 << 10  // an idle stream keeps no more buffer than this
	maxDescs    = 4096     // descriptors remembered as sent
	creditBurst = 1000     // credit frames a subscriber may send at once,
	creditRate  = 500      // and a second
)

// errGone ends a stream whose subscriber has left: nobody is there to be told.
var errGone = errors.New("subscriber has left")

// subscriber is one subscription stream on the gateway. Its writer goroutine owns every field after credit.
type subscriber struct {
	p      *Publisher
	stream network.Stream
	who    peer.ID
	log    *slog.Logger

	wake       chan struct{}
	generation atomic.Uint64 // of the rights in use, for the watcher
	credit     creditAccount

	hello     helloFrame
	rights    *rights
	positions map[string]*position
	stored    map[string]struct{} // devices the backlog holds something of
	at        uint64              // next ring position to look at
	queue     []*entry            // the latest of each device after a jump, before what is at at
	waiting   bool                // stopped for want of credit
	descs     map[string]struct{}
	batch     []byte
	beat      *time.Timer
	goodbye   *time.Timer // cuts off a subscriber that stays after the end
	// caughtUp is when there was last nothing left to send, by the gateway's clock; zero: not yet.
	caughtUp time.Time
	hold     holdTimer
}

// position is where a stream stands with one device.
type position struct {
	seen    uint64 // everything up to here has been dealt with
	prev    uint64 // the last sequence the subscriber was told of
	durable uint64 // as last sent
	replay  bool   // owed what lies between seen and the ring
	anchor  bool   // seen came from the subscriber: whether its successor is still kept is to be checked
	held    []heldRecord
	sentAt  int64 // Record.Time of the last record sent, for the minimum interval
	due     time.Time
}

func newSubscriber(p *Publisher, st network.Stream, generation uint64) *subscriber {
	who := st.Conn().RemotePeer()
	s := &subscriber{
		p: p, stream: st, who: who, log: p.o.Log.With("peer", who),
		wake:      make(chan struct{}, 1),
		positions: make(map[string]*position),
		stored:    make(map[string]struct{}),
		descs:     make(map[string]struct{}),
	}
	s.generation.Store(generation)
	return s
}

// nudge makes the writer look again; it never blocks.
func (s *subscriber) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// unstick aborts a write that a subscriber does not take, so that changed rights are looked at.
func (s *subscriber) unstick() {
	if err := s.stream.SetWriteDeadline(time.Now()); err != nil {
		resetStream(s.stream)
	}
}

// serve runs the stream until either side ends it.
func (s *subscriber) serve(ctx context.Context) {
	in := newFrameReader(s.stream, readSmall)
	if err := s.readHello(in); err != nil {
		s.refuse(err)
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.finish(s.run(ctx))
	}()
	cancel(s.readCredit(in))
	<-done
	if s.goodbye != nil {
		s.goodbye.Stop()
	}
	resetStream(s.stream)
}

func (s *subscriber) readHello(in *frameReader) error {
	if err := s.stream.SetReadDeadline(time.Now().Add(helloDeadline)); err != nil {
		return err
	}
	kind, fields, err := in.next()
	if err != nil {
		return err
	}
	if kind != kindHello {
		return fmt.Errorf("a %s frame instead of hello: %w", kind, ErrFrame)
	}
	if err := decodeFields(kind, fields, &s.hello); err != nil {
		return err
	}
	if err := s.hello.check(); err != nil {
		return err
	}
	if s.hello.Version != subVersion {
		return endError{EndVersion}
	}
	if s.hello.Credit != nil {
		s.credit.limit(*s.hello.Credit)
	}
	return s.stream.SetReadDeadline(time.Time{})
}

func (s *subscriber) refuse(err error) {
	reason, ok := endReason(err)
	if !ok {
		reason = EndProtocol
	}
	s.p.m.refused.WithLabelValues(string(reason)).Inc()
	s.log.Info("subscription refused", "reason", reason, "error", err)
	refuseStream(s.stream, reason)
}

// refuseStream says why and closes; a peer that does not listen is not waited for.
func refuseStream(st network.Stream, reason EndReason) {
	err := st.SetDeadline(time.Now().Add(endDeadline))
	if err == nil {
		err = sendFrame(st, kindEnd, endFrame{string(reason)})
	}
	if err == nil {
		err = st.Close()
	}
	if err != nil {
		resetStream(st)
	}
}

// readCredit takes credit frames until the stream ends; silence between them is allowed, dawdling in one not.
func (s *subscriber) readCredit(in *frameReader) error {
	limit := rate.NewLimiter(creditRate, creditBurst)
	for {
		if err := s.stream.SetReadDeadline(time.Time{}); err != nil {
			return errGone
		}
		if err := in.await(); err != nil {
			return errGone
		}
		if err := s.stream.SetReadDeadline(time.Now().Add(frameDeadline)); err != nil {
			return errGone
		}
		kind, fields, err := in.next()
		switch {
		case errors.Is(err, ErrFrame), errors.Is(err, ErrFrameSize), err == nil && !limit.Allow():
			return endError{EndProtocol}
		case err != nil:
			return errGone
		case kind != kindCredit:
			continue // a later minor version may say more
		}
		var c Credit
		if err := decodeFields(kind, fields, &c); err != nil {
			return endError{EndProtocol}
		}
		s.credit.add(c)
		s.nudge()
	}
}

// finish says goodbye when there is a reason to tell. It unblocks the reader in every case.
func (s *subscriber) finish(err error) {
	reason, ok := endReason(err)
	if !ok {
		s.log.Debug("subscription left", "error", err)
		resetStream(s.stream)
		return
	}
	s.log.Info("subscription ended", "reason", reason)
	if reason == EndProtocol {
		s.p.m.refused.WithLabelValues(string(reason)).Inc()
	}
	if reason == EndRevoked {
		s.batch = s.batch[:0] // what is queued was allowed, but is not any more
	}
	if err := s.frame(kindEnd, endFrame{string(reason)}); err == nil {
		err = s.write(endDeadline)
		if err == nil {
			err = s.stream.CloseWrite()
		}
		if err == nil {
			// The subscriber has a moment to read it and leave; then its reader is woken.
			s.goodbye = time.AfterFunc(endDeadline, func() { resetStream(s.stream) })
			return
		}
	}
	resetStream(s.stream)
}

// frame queues one frame.
func (s *subscriber) frame(kind frameKind, fields any) error {
	n := len(s.batch)
	b, err := appendFrame(s.batch, kind, fields)
	if err != nil {
		return err
	}
	s.batch = b
	s.p.m.sent(kind, len(b)-n)
	return nil
}

// gap tells the subscriber that from..to will not come, and moves on. What is held of the device is older and
// goes with it: a receiver drops what comes after a later number.
func (s *subscriber) gap(device string, pos *position, from, to uint64, reason GapReason) error {
	s.p.m.gaps.WithLabelValues(string(reason)).Inc()
	if first, held := s.hold.drop(pos); held {
		from = min(from, first)
	}
	pos.seen, pos.prev = max(pos.seen, to), to
	return s.frame(kindGap, gapFrame{Device: device, From: from, To: to, Reason: string(reason)})
}

func (s *subscriber) flush() error {
	if len(s.batch) == 0 {
		return nil
	}
	err := s.write(writeDeadline)
	if cap(s.batch) > 2*batchBytes {
		s.batch = nil
	}
	return err
}

func (s *subscriber) write(limit time.Duration) error {
	if err := s.stream.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return fmt.Errorf("writing to a subscriber: %w", err)
	}
	_, err := s.stream.Write(s.batch)
	s.batch = s.batch[:0]
	if err != nil {
		return fmt.Errorf("writing to a subscriber: %w", err)
	}
	return nil
}

// creditAccount is what the subscriber still takes. The reader adds, the writer spends.
type creditAccount struct {
	mu      sync.Mutex // guards the rest
	limited bool
	frames  int64
	bytes   int64
}

func (c *creditAccount) limit(first Credit) {
	c.mu.Lock()
	c.limited = true
	c.mu.Unlock()
	c.add(first)
}

func (c *creditAccount) add(more Credit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames = addSaturated(c.frames, more.Frames)
	c.bytes = addSaturated(c.bytes, more.Bytes)
}

func (c *creditAccount) ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.limited || (c.frames > 0 && c.bytes > 0)
}

func (c *creditAccount) spend(bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames--
	c.bytes -= int64(bytes)
}

// addSaturated keeps a hostile grant from overflowing.
func addSaturated(have int64, more uint64) int64 {
	const most = math.MaxInt64 / 4
	if more > most {
		return most
	}
	return min(have+int64(more), most)
}
