package p2p

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

// Heartbeat intervals a gateway may announce; three of them missed is the end of the connection.
const (
	heartbeatLeast = 100 * time.Millisecond
	heartbeatMost  = time.Minute
)

var errManyDevices = errors.New("the gateway names more devices than a subscription can follow")

// accepted takes the first frame: an ack, or an end. It gives how long the gateway may be silent.
func (l *link) accepted(ctx context.Context, kind frameKind, fields []byte) (time.Duration, error) {
	if kind == kindEnd {
		return 0, endedBy(fields)
	}
	if kind != kindAck {
		return 0, fmt.Errorf("a %s frame instead of ack: %w", kind, ErrFrame)
	}
	var ack ackFrame
	if err := decodeFields(kind, fields, &ack); err != nil {
		return 0, err
	}
	every := time.Duration(min(ack.Heartbeat, uint64(heartbeatMost/time.Millisecond))) * time.Millisecond
	every = max(every, heartbeatLeast)

	s := l.s
	s.inMu.Lock()
	defer s.inMu.Unlock()
	if ack.Epoch != s.epoch {
		s.epoch, s.since = ack.Epoch, 0
		clear(s.cursors)
	}
	for device, seq := range ack.Heads {
		if _, known := s.cursors[device]; !known {
			if err := s.moveLocked(device, seq); err != nil {
				return 0, err
			}
		}
	}
	s.mu.Lock()
	s.current = l
	s.mu.Unlock()
	close(l.acked)
	e := queued{Event: Event{Kind: EventConnected, Epoch: ack.Epoch}, heads: ack.Heads}
	return 3 * every, s.queue.push(ctx, e)
}

// receive takes one further frame. Kinds it does not know are passed over: a later minor version may send them.
func (l *link) receive(ctx context.Context, kind frameKind, fields []byte) error {
	switch kind {
	case kindData, kindSnapshot:
		return l.receiveRecord(ctx, kind, fields)
	case kindGap:
		return l.s.receiveGap(ctx, fields)
	case kindHeartbeat:
		return l.s.receiveHeartbeat(ctx, fields)
	case kindDesc:
		var f descFrame
		if err := decodeFields(kind, fields, &f); err != nil {
			return err
		}
		return l.s.queue.push(ctx, queued{Event: Event{Kind: EventDescriptor, Hash: f.Hash, Body: f.Bytes}})
	case kindEnd:
		return endedBy(fields)
	case kindAck, kindHello, kindCredit, kindRedeem, kindWelcome, kindRefused:
		return fmt.Errorf("a %s frame from a gateway in a stream: %w", kind, ErrFrame)
	}
	return nil
}

func (l *link) receiveRecord(ctx context.Context, kind frameKind, fields []byte) error {
	var f recordFrame
	if err := decodeFields(kind, fields, &f); err != nil {
		return err
	}
	if f.Seq == 0 || f.Prev >= f.Seq {
		return fmt.Errorf("%s frame with sequence %d after %d: %w", kind, f.Seq, f.Prev, ErrFrame)
	}
	s := l.s
	s.inMu.Lock()
	defer s.inMu.Unlock()
	last, known := s.cursors[f.Device]
	if known && f.Seq <= last {
		l.consumed(len(f.Body))
		return nil
	}
	if kind == kindData && known && f.Prev > last {
		gap := Event{Kind: EventGap, Device: f.Device, From: last + 1, To: f.Prev, Reason: GapMissed}
		if err := s.queue.push(ctx, queued{Event: gap}); err != nil {
			return err
		}
	}
	if err := s.moveLocked(f.Device, f.Seq); err != nil {
		return err
	}
	e := Event{Kind: EventData, Device: f.Device, Seq: f.Seq, Prev: f.Prev, Body: f.Body}
	if kind == kindSnapshot {
		e.Kind = EventSnapshot
	}
	return s.queue.push(ctx, queued{Event: e, record: true})
}

func (s *Subscription) receiveGap(ctx context.Context, fields []byte) error {
	var f gapFrame
	if err := decodeFields(kindGap, fields, &f); err != nil {
		return err
	}
	e := Event{Kind: EventGap, Device: f.Device, From: f.From, To: f.To, Reason: GapReason(f.Reason)}
	s.inMu.Lock()
	defer s.inMu.Unlock()
	if f.Device == "" {
		return s.queue.push(ctx, queued{Event: e})
	}
	if f.From == 0 || f.To < f.From {
		return fmt.Errorf("gap frame from %d to %d: %w", f.From, f.To, ErrFrame)
	}
	last, known := s.cursors[f.Device]
	if known && f.To <= last {
		return nil
	}
	if known {
		e.From = max(e.From, last+1)
	}
	if err := s.moveLocked(f.Device, f.To); err != nil {
		return err
	}
	return s.queue.push(ctx, queued{Event: e})
}

func (s *Subscription) receiveHeartbeat(ctx context.Context, fields []byte) error {
	var f heartbeatFrame
	if err := decodeFields(kindHeartbeat, fields, &f); err != nil {
		return err
	}
	s.inMu.Lock()
	defer s.inMu.Unlock()
	// Only what this subscription follows: merged heartbeats must not grow with made-up devices.
	maps.DeleteFunc(f.Durable, func(device string, _ uint64) bool {
		_, known := s.cursors[device]
		return !known
	})
	e := Event{Kind: EventHeartbeat, Durable: f.Durable}
	if f.Time > 0 {
		s.since = f.Time
		s.received.Add(1)
		e.Through = time.UnixMilli(f.Time)
	}
	return s.queue.push(ctx, queued{Event: e})
}

// moveLocked sets a device's cursor; inMu is held.
func (s *Subscription) moveLocked(device string, seq uint64) error {
	if _, known := s.cursors[device]; !known {
		if len(device) == 0 || len(device) > maxKey {
			return fmt.Errorf("device key of %d bytes: %w", len(device), ErrFrame)
		}
		if len(s.cursors) >= maxCursors {
			return errManyDevices
		}
	}
	s.cursors[device] = seq
	s.received.Add(1)
	return nil
}

// endedBy turns an end frame into the error a subscriber acts on.
func endedBy(fields []byte) error {
	var f endFrame
	if err := decodeFields(kindEnd, fields, &f); err != nil {
		return err
	}
	switch EndReason(f.Reason) {
	case EndDenied:
		return ErrNotEnrolled
	case EndRevoked:
		return ErrRevoked
	case EndVersion:
		return ErrVersion
	case EndShutdown, EndLimit, EndProtocol:
	}
	return fmt.Errorf("the gateway ended the stream: %.64q", f.Reason)
}
