package p2p

import (
	"cmp"
	"context"
	"slices"
)

// missed is what a jump skips of one device.
type missed struct {
	lost   span   // entitled records that are skipped; to == 0: none
	latest *entry // the newest record, which is sent
	order  int
}

// skip adds a range that will not be sent.
func (m *missed) skip(from, to uint64) {
	if m.lost.to == 0 {
		m.lost.from = from
	}
	m.lost.to = to
}

// add takes the device's next entry, of which the subscriber is entitled to something.
func (m *missed) add(e *entry, order int) {
	if m.latest != nil {
		m.skip(m.latest.rec.Seq, m.latest.rec.Seq)
		m.latest = nil
	}
	if e.lost.to != 0 {
		m.skip(e.lost.from, e.lost.to)
		return
	}
	m.latest, m.order = e, order
}

// jump gives up on what a subscriber is too slow for: a gap for each device it missed something of, then the
// device's latest record, and on from the ring's head.
func (s *subscriber) jump(ctx context.Context) error {
	entries := s.queue
	s.p.mu.Lock()
	r := s.p.ring
	for i := max(s.at, r.tail); i < r.head; i++ {
		entries = append(entries, r.at(i))
	}
	left := r.departures()
	s.at = r.head
	s.p.mu.Unlock()

	s.queue = nil
	skipped := s.sortOut(ctx, left, entries)
	for device, m := range skipped {
		if m.latest != nil {
			s.queue = append(s.queue, m.latest)
		}
		if m.lost.to == 0 {
			continue
		}
		pos := s.position(device)
		if err := s.gap(device, pos, max(m.lost.from, pos.prev+1), m.lost.to, GapSlow); err != nil {
			return err
		}
	}
	slices.SortFunc(s.queue, func(a, b *entry) int {
		return cmp.Compare(skipped[a.rec.Device].order, skipped[b.rec.Device].order)
	})
	return nil
}

// sortOut groups what the subscriber is entitled to and has not seen by device: what left the ring, then the
// entries.
func (s *subscriber) sortOut(ctx context.Context, left []departed, entries []*entry) map[string]*missed {
	out := make(map[string]*missed)
	for i := range left {
		if gone, ok := s.departed(ctx, &left[i]); ok {
			out[left[i].device] = &missed{lost: gone}
		}
	}
	for i, e := range entries {
		device := e.rec.Device
		if e.lastSeq() <= s.position(device).seen {
			continue
		}
		if e.lost.to != 0 {
			if !s.rights.anyOf(device) {
				continue
			}
		} else if mask := s.rights.mask(ctx, &e.rec); mask.empty() {
			continue
		}
		m := out[device]
		if m == nil {
			m = &missed{}
			out[device] = m
		}
		m.add(e, i)
	}
	return out
}

// departed gives the range of a device that left the ring before the stream could take it, and passes over it.
func (s *subscriber) departed(ctx context.Context, d *departed) (span, bool) {
	allowed := func(device, property string) bool { return s.rights.allowed(ctx, device, property) }
	pos := s.position(d.device)
	to, gone := d.gone(pos.seen, allowed, s.rights.anyOf)
	pos.seen = max(pos.seen, d.evicted)
	return span{max(pos.prev+1, d.first), to}, gone
}
