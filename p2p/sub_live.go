package p2p

import (
	"context"
	"time"
)

const (
	takeEntries = 64   // looked at under one lock
	maxDurables = 1000 // per heartbeat: keeps the frame far below MaxFrame
)

// run is the writer: opening, catching up, then live.
func (s *subscriber) run(ctx context.Context) error {
	s.beat = time.NewTimer(heartbeatEvery)
	defer s.beat.Stop()
	defer s.hold.stop()
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.catchUp(ctx); err != nil {
		return err
	}
	return s.live(ctx)
}

// live follows the ring. Only what is there while the previous batch was being written goes into one write.
func (s *subscriber) live(ctx context.Context) error {
	for {
		idle, err := s.advance(ctx, uint64(s.p.o.MaxLag))
		if err != nil {
			return err
		}
		if idle {
			err = s.wait(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// advance deals with a handful of entries. It is idle when there is nothing left or no credit. With a maxLag of
// zero it never jumps, and the caller looks for what was evicted.
func (s *subscriber) advance(ctx context.Context, maxLag uint64) (idle bool, err error) {
	if err := s.check(ctx); err != nil {
		return false, err
	}
	now := s.p.o.Now()
	var room [takeEntries]*entry
	entries := room[:0]
	s.p.mu.Lock()
	r := s.p.ring
	behind, evicted := r.head-s.at, s.at < r.tail
	if !evicted {
		for i := s.at; i < r.head && len(entries) < takeEntries; i++ {
			entries = append(entries, r.at(i))
		}
	}
	s.p.mu.Unlock()

	switch {
	case maxLag > 0 && (evicted || behind > maxLag) && (!s.waiting || s.credit.ready()):
		s.waiting = false
		// What the last jump left goes first: a publisher that is always faster would make one jump follow the other.
		if err := s.drainQueue(ctx); err != nil || s.waiting {
			return true, err
		}
		return false, s.jump(ctx)
	case evicted:
		return true, nil
	}
	if err := s.drainQueue(ctx); err != nil || s.waiting {
		return true, err
	}
	for _, e := range entries {
		ok, err := s.offer(ctx, e)
		if err != nil {
			return false, err
		}
		if !ok {
			return true, nil
		}
		s.at++
	}
	if len(entries) == 0 && s.hold.empty() {
		s.caughtUp = now
	}
	return len(entries) == 0, nil
}

// drainQueue sends what a jump left to send.
func (s *subscriber) drainQueue(ctx context.Context) error {
	for len(s.queue) > 0 {
		ok, err := s.offer(ctx, s.queue[0])
		if err != nil || !ok {
			return err
		}
		s.queue = s.queue[1:]
	}
	s.queue = nil
	s.waiting = false
	return nil
}

// offer deals with one entry; it is false when credit is wanted first.
func (s *subscriber) offer(ctx context.Context, e *entry) (bool, error) {
	device := e.rec.Device
	pos := s.position(device)
	if e.lastSeq() <= pos.seen {
		return true, nil
	}
	if err := s.check(ctx); err != nil {
		return false, err
	}
	if e.lost.to != 0 {
		from := max(e.lost.from, pos.seen+1)
		pos.seen = e.lost.to
		if !s.rights.anyOf(device) {
			return true, nil
		}
		return true, s.gap(device, pos, from, e.lost.to, GapLost)
	}
	mask := s.rights.mask(ctx, &e.rec)
	if mask.empty() {
		pos.seen = e.rec.Seq
		return true, nil
	}
	if s.hello.MinInterval > 0 {
		return true, s.thin(ctx, pos, e, mask)
	}
	if !s.credit.ready() {
		s.waiting = true
		return false, nil
	}
	s.waiting = false
	return true, s.send(pos, e, mask)
}

// send queues one record, its descriptor before it, and writes when the batch is full.
func (s *subscriber) send(pos *position, e *entry, mask propMask) error {
	device, seq := e.rec.Device, e.rec.Seq
	body, err := e.encode(mask)
	if err == nil {
		err = s.describe(body)
	}
	n := len(s.batch)
	if err == nil {
		s.batch, err = appendRecordFrame(s.batch, kindData, device, seq, pos.prev, body.Bytes)
	}
	if err != nil {
		s.log.Error("record cannot be sent", "device", device, "sequence", seq, "error", err)
		return s.gap(device, pos, seq, seq, GapOversize)
	}
	s.p.m.sent(kindData, len(s.batch)-n)
	return s.spent(pos, &e.rec, len(body.Bytes))
}

// spent books a record that has been queued.
func (s *subscriber) spent(pos *position, rec *Record, bytes int) error {
	s.credit.spend(bytes)
	pos.seen, pos.prev, pos.sentAt = max(pos.seen, rec.Seq), rec.Seq, rec.Time
	if len(s.batch) >= batchBytes {
		return s.flush()
	}
	return nil
}

// describe queues the body's descriptor unless this stream has carried it.
func (s *subscriber) describe(body Body) error {
	if body.Desc == "" {
		return nil
	}
	if _, sent := s.descs[body.Desc]; sent {
		return nil
	}
	if err := s.frame(kindDesc, descFrame{Hash: body.Desc, Bytes: body.DescBytes}); err != nil {
		return err
	}
	if len(s.descs) >= maxDescs {
		clear(s.descs) // sending one twice is harmless
	}
	s.descs[body.Desc] = struct{}{}
	return nil
}

// position finds or makes the stream's place in a device's numbering. A device that had no place when the
// stream began is new since: the stream is entitled to it from its first record on.
func (s *subscriber) position(device string) *position {
	pos := s.positions[device]
	if pos == nil {
		pos = &position{}
		s.positions[device] = pos
	}
	return pos
}

// wait writes what is queued and sleeps until there may be more to do.
func (s *subscriber) wait(ctx context.Context) error {
	if err := s.flush(); err != nil {
		return err
	}
	if cap(s.batch) > batchKept {
		s.batch = nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.wake:
	case <-s.beat.C:
		return s.heartbeat()
	case <-s.hold.C():
	}
	return s.flushHeld(ctx)
}

// check looks, without blocking, at everything that may end or interrupt a busy stream.
func (s *subscriber) check(ctx context.Context) error {
	due := false
	select {
	case <-s.hold.C():
		due = true
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.beat.C:
		if err := s.heartbeat(); err != nil {
			return err
		}
	default:
	}
	if !s.rights.refresh(ctx) {
		return endError{EndRevoked}
	}
	s.generation.Store(s.rights.generation)
	if due {
		return s.flushHeld(ctx)
	}
	return nil
}

// heartbeat says that the gateway is alive, up to when the stream is complete, and what is durable of what the
// subscriber was told of.
func (s *subscriber) heartbeat() error {
	s.beat.Reset(heartbeatEvery)
	if !s.p.o.Auth.Known(s.who) {
		return endError{EndRevoked} // an end of all rights that came without a new Generation
	}
	f := heartbeatFrame{Durable: map[string]uint64{}}
	if !s.caughtUp.IsZero() {
		f.Time = s.caughtUp.UnixMilli()
	}
	durable := s.p.durable.Load()
	if durable == nil {
		return s.frame(kindHeartbeat, f)
	}
	for device, pos := range s.positions {
		// Never more than the subscriber has seen: the rest is not its business.
		d := min((*durable)[device], pos.prev)
		if d <= pos.durable || !s.rights.anyOf(device) {
			continue
		}
		if len(f.Durable) >= maxDurables {
			break // the rest follows with the next heartbeat
		}
		pos.durable = d
		f.Durable[device] = d
	}
	return s.frame(kindHeartbeat, f)
}
