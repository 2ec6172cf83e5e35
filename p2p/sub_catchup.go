package p2p

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
)

const (
	backlogChunk  = 256 // records taken from the backlog at once, so that no query stays open on a slow peer
	catchUpRounds = 16  // returns to the backlog before a subscriber counts as too slow
)

// catchUp brings the stream from its positions to the ring's head: first what only the backlog has, then the
// ring. When the ring moved on meanwhile it goes back to the backlog.
func (s *subscriber) catchUp(ctx context.Context) error {
	for range catchUpRounds {
		for _, d := range s.behind(ctx) {
			if err := s.replay(ctx, d); err != nil {
				return err
			}
		}
		done, err := s.walkRing(ctx)
		if err != nil || done {
			return err
		}
	}
	return nil
}

// behind puts the stream at the ring's tail and gives the devices of which the ring lacks something it is owed.
func (s *subscriber) behind(ctx context.Context) []departed {
	s.p.mu.Lock()
	s.at = s.p.ring.tail
	tracks := s.p.ring.departures()
	s.p.mu.Unlock()
	there := make(map[string]struct{}, len(tracks))
	var out []departed
	for _, d := range tracks {
		there[d.device] = struct{}{}
		for p := range d.byProp {
			s.rights.allowed(ctx, d.device, p)
		}
		pos, known := s.positions[d.device]
		if !known {
			pos = s.position(d.device)
			pos.seen = d.first - 1
		}
		switch {
		case !s.mayHave(d.device):
			pos.seen = max(pos.seen, d.evicted)
		case pos.seen < d.evicted:
			out = append(out, d)
		default:
			pos.anchor = false // its successor is in the ring
		}
	}
	// Devices that have published nothing since the gateway started are in the backlog only.
	for device, pos := range s.positions {
		if _, ok := there[device]; !ok && pos.replay && s.mayHave(device) {
			out = append(out, departed{device: device})
		}
	}
	slices.SortFunc(out, func(a, b departed) int { return cmp.Compare(a.device, b.device) })
	return out
}

// walkRing follows the ring until its head; it is false when the ring evicted what had not been taken.
func (s *subscriber) walkRing(ctx context.Context) (bool, error) {
	for {
		idle, err := s.advance(ctx, 0)
		if err != nil {
			return false, err
		}
		if !idle {
			continue
		}
		s.p.mu.Lock()
		evicted, done := s.at < s.p.ring.tail, s.at == s.p.ring.head
		s.p.mu.Unlock()
		if evicted || done {
			return done, nil
		}
		if err := s.wait(ctx); err != nil {
			return false, err
		}
	}
}

// mayHave reports whether the backlog is worth asking: a device it holds nothing of costs no query, whatever
// cursors a subscriber makes up.
func (s *subscriber) mayHave(device string) bool {
	_, stored := s.stored[device]
	return stored || s.rights.anyOf(device)
}

// replay sends what the backlog has of a device between the stream's position and the ring.
func (s *subscriber) replay(ctx context.Context, d departed) error {
	pos := s.position(d.device)
	limit := d.evicted
	if d.first == 0 {
		limit = math.MaxUint64
	}
	after := pos.seen
	if pos.anchor && after > 0 {
		after-- // the cursor's own record, if it is there, proves that nothing behind it has aged out
	}
	for {
		recs, err := s.chunk(ctx, d.device, after, limit)
		if err != nil {
			// Better no stream than one that skips in silence: the subscriber comes back and asks again.
			s.log.Warn("cannot read the backlog", "device", d.device, "error", err)
			return fmt.Errorf("reading the backlog of %s: %w", d.device, err)
		}
		for i := range recs {
			s.rights.mask(ctx, &recs[i]) // asked before the first gap: gaps too are only for the entitled
		}
		for i := range recs {
			if err := s.replayRecord(ctx, pos, &recs[i]); err != nil {
				return err
			}
		}
		if len(recs) < backlogChunk {
			break
		}
		after = recs[len(recs)-1].Seq
	}
	if d.first == 0 {
		return nil
	}
	return s.bridge(ctx, pos, d)
}

// chunk reads some records of device after a sequence and up to limit.
func (s *subscriber) chunk(ctx context.Context, device string, after, limit uint64) ([]Record, error) {
	recs := make([]Record, 0, 16)
	err := s.p.o.Backlog.Since(ctx, device, after, func(rec Record) error {
		if rec.Seq > limit || len(recs) >= backlogChunk {
			return errEnough
		}
		if rec.Seq > after && len(rec.Props) <= maxProps && rec.Encode != nil {
			recs = append(recs, rec)
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return recs, err
}

// replayRecord sends one record of the backlog, and before it what is known to be missing there.
func (s *subscriber) replayRecord(ctx context.Context, pos *position, rec *Record) error {
	if err := s.lostBefore(pos, rec.Device, rec.Seq); err != nil {
		return err
	}
	if pos.anchor {
		pos.anchor = false
		if rec.Seq > pos.seen+1 && s.rights.anyOf(rec.Device) {
			if err := s.gap(rec.Device, pos, pos.seen+1, rec.Seq-1, GapEvicted); err != nil {
				return err
			}
		}
	}
	e := &entry{rec: *rec}
	for {
		ok, err := s.offer(ctx, e)
		if ok || err != nil {
			return err
		}
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
}

// lostBefore tells of announced losses between the stream's position and a sequence.
func (s *subscriber) lostBefore(pos *position, device string, before uint64) error {
	s.p.mu.Lock()
	var lost span
	found := false
	if t := s.p.ring.tracks[device]; t != nil {
		lost, found = t.lostBetween(pos.seen, before)
	}
	s.p.mu.Unlock()
	if !found || !s.rights.anyOf(device) {
		return nil
	}
	return s.gap(device, pos, lost.from, lost.to, GapLost)
}

// bridge closes the seam between the backlog's last record and the ring's first: what lies between and is in
// neither is told as a gap.
func (s *subscriber) bridge(ctx context.Context, pos *position, d departed) error {
	if err := s.lostBefore(pos, d.device, d.evicted+1); err != nil {
		return err
	}
	if pos.anchor && pos.seen+1 < d.first && s.rights.anyOf(d.device) {
		// Nothing since the cursor is on disk, though numbers have been used since.
		if err := s.gap(d.device, pos, pos.seen+1, d.first-1, GapEvicted); err != nil {
			return err
		}
	}
	pos.anchor = false
	gone, ok := s.departed(ctx, &d)
	if !ok {
		return nil
	}
	return s.gap(d.device, pos, gone.from, gone.to, GapEvicted)
}
