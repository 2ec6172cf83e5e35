package p2p

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// sinceMargin is how long a record may be on its way from its time stamp to the ring.
const sinceMargin = 10 * time.Second

// errEnough stops a backlog query.
var errEnough = errors.New("enough records")

// open answers the hello: where each device begins, the ack, and the snapshots that were asked for.
func (s *subscriber) open(ctx context.Context) error {
	s.rights = newRights(s.p.o.Auth, s.who, &s.hello)
	if err := s.check(ctx); err != nil {
		return err
	}
	resumed := s.hello.Epoch == s.p.o.Epoch
	anew := !resumed && (s.hello.Epoch != 0 || len(s.hello.Cursors) > 0)
	if !resumed {
		s.hello.Cursors, s.hello.Since = nil, 0
		s.hello.Snapshot = s.hello.Snapshot || anew
	}
	latest := s.latest(ctx)
	fresh := s.place(ctx, latest)
	heads := make(map[string]uint64)
	var snapshots []*entry
	for _, device := range fresh {
		pos := s.position(device)
		if resumed && s.hello.Since > 0 && s.isNew(ctx, device) {
			*pos = position{replay: true}
			continue
		}
		if s.hello.Snapshot {
			if e := s.snapshotOf(ctx, device, latest); e != nil {
				*pos = position{replay: true}
				snapshots = append(snapshots, e)
				continue
			}
		}
		heads[device] = pos.seen
	}
	ack := ackFrame{Epoch: s.p.o.Epoch, Heartbeat: uint64(heartbeatEvery.Milliseconds()), Heads: heads}
	if err := s.frame(kindAck, ack); err != nil {
		return err
	}
	if anew {
		s.p.m.gaps.WithLabelValues(string(GapEpoch)).Inc()
		if err := s.frame(kindGap, gapFrame{Reason: string(GapEpoch)}); err != nil {
			return err
		}
	}
	for _, e := range snapshots {
		if err := s.snapshot(ctx, e); err != nil {
			return err
		}
	}
	return s.flush()
}

// latest gives each device's newest record as the backlog knows it and asks the rights for all of them.
func (s *subscriber) latest(ctx context.Context) map[string]*entry {
	recs, err := s.p.latestRecords(ctx)
	if err != nil {
		s.log.Warn("no snapshot from the backlog", "error", err)
	}
	out := make(map[string]*entry, len(recs))
	for _, rec := range recs {
		if len(rec.Props) > maxProps || rec.Encode == nil {
			continue
		}
		s.rights.mask(ctx, &rec)
		out[rec.Device] = &entry{rec: rec}
		s.stored[rec.Device] = struct{}{}
	}
	return out
}

// place gives every device a position and returns, sorted, those the stream is entitled to but the subscriber
// has no cursor for: they begin at the newest record unless open decides otherwise.
func (s *subscriber) place(ctx context.Context, latest map[string]*entry) []string {
	heads := make(map[string]uint64)
	props := make(map[string][]string)
	s.p.mu.Lock()
	for device, t := range s.p.ring.tracks {
		heads[device] = t.last
		props[device] = slices.Collect(maps.Keys(t.props))
	}
	s.p.mu.Unlock()
	for device, keys := range props {
		for _, p := range keys {
			s.rights.allowed(ctx, device, p)
		}
	}
	for device, e := range latest {
		heads[device] = max(heads[device], e.rec.Seq)
	}
	var fresh []string
	for device, head := range heads {
		if _, known := s.hello.Cursors[device]; known {
			continue
		}
		*s.position(device) = position{seen: head, prev: head}
		if s.rights.anyOf(device) {
			fresh = append(fresh, device)
		}
	}
	for device, seq := range s.hello.Cursors {
		*s.position(device) = position{seen: seq, prev: seq, replay: true, anchor: true}
	}
	s.hello.Cursors = nil // they are positions now
	slices.Sort(fresh)
	return fresh
}

// isNew reports whether the device's first record came after the subscriber's last heartbeat: then it has
// missed all of it, and not merely never had a right to it.
func (s *subscriber) isNew(ctx context.Context, device string) bool {
	var first *Record
	err := s.p.o.Backlog.Since(ctx, device, 0, func(rec Record) error {
		first = &rec
		return errEnough
	})
	if err != nil && !errors.Is(err, errEnough) {
		s.log.Warn("cannot read the backlog", "device", device, "error", err)
	}
	if e := s.inRing(device, false); first == nil && e != nil {
		first = &e.rec
	}
	return first != nil && first.Time > s.hello.Since-sinceMargin.Milliseconds()
}

// inRing gives the device's oldest or newest record in the ring.
func (s *subscriber) inRing(device string, newest bool) *entry {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	r := s.p.ring
	var found *entry
	for i := r.tail; i < r.head; i++ {
		e := r.at(i)
		if e.rec.Device != device || e.lost.to != 0 {
			continue
		}
		found = e
		if !newest {
			break
		}
	}
	return found
}

// snapshotOf gives what stands for the device's state: the backlog's newest, or the ring's when the device has
// not reached the backlog yet.
func (s *subscriber) snapshotOf(ctx context.Context, device string, latest map[string]*entry) *entry {
	e := latest[device]
	if e == nil {
		e = s.inRing(device, true)
	}
	if e == nil {
		return nil
	}
	if mask := s.rights.mask(ctx, &e.rec); mask.empty() {
		return nil
	}
	return e
}

// snapshot sends a device's state, waiting for credit.
func (s *subscriber) snapshot(ctx context.Context, e *entry) error {
	for !s.credit.ready() {
		if err := s.wait(ctx); err != nil {
			return err
		}
		if err := s.check(ctx); err != nil {
			return err
		}
	}
	mask := s.rights.mask(ctx, &e.rec)
	pos := s.position(e.rec.Device)
	if mask.empty() {
		pos.seen = max(pos.seen, e.rec.Seq)
		return nil
	}
	body, err := e.encode(mask)
	if err == nil {
		err = s.describe(body)
	}
	n := len(s.batch)
	if err == nil {
		s.batch, err = appendRecordFrame(s.batch, kindSnapshot, e.rec.Device, e.rec.Seq, 0, body.Bytes)
	}
	if err != nil {
		s.log.Error("snapshot cannot be sent", "device", e.rec.Device, "sequence", e.rec.Seq, "error", err)
		return s.gap(e.rec.Device, pos, e.rec.Seq, e.rec.Seq, GapOversize)
	}
	s.p.m.sent(kindSnapshot, len(s.batch)-n)
	return s.spent(pos, &e.rec, len(body.Bytes))
}
