package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// sequenceBlock numbers are reserved durably before the first of them is handed out.
const sequenceBlock = 4096

// Gap names sequence numbers, From to To inclusive, that may have been handed out but are not stored.
type Gap struct {
	Device   string
	From, To uint64
}

// Lost names what an unclean stop before this start may have lost: per device the numbers after the last
// committed reading up to the reservation. They are never used again.
func (s *Store) Lost() []Gap { return slices.Clone(s.lost) }

// Next hands out the device's next sequence number, from 1. It only waits, until ctx ends, when the numbers
// reserved ahead are used up and the disk does not take the next reservation.
func (s *Store) Next(ctx context.Context, device string) (uint64, error) {
	for {
		s.mu.Lock()
		d := s.devices[device]
		switch {
		case s.closed:
			s.mu.Unlock()
			return 0, ErrClosed
		case d == nil || d.removed:
			s.mu.Unlock()
			return 0, fmt.Errorf("device %q: %w", device, ErrNotFound)
		}
		n, ok := d.next, d.next < d.reserved
		if ok {
			d.next++
		}
		if !d.low && d.reserved-d.next <= sequenceBlock/2 {
			d.low = true
			s.low = append(s.low, d)
			s.wake()
		}
		more, problem := s.more, s.problem
		s.mu.Unlock()
		if ok {
			return n, nil
		}
		select {
		case <-more:
		case <-s.done:
			return 0, ErrClosed
		case <-ctx.Done():
			return 0, fmt.Errorf("reserving sequence numbers for %s: %w", device, errors.Join(ctx.Err(), problem))
		}
	}
}

// startSequences finds what the last stop lost, skips it, and reserves a block for every device.
func (s *Store) startSequences(ctx context.Context) error {
	err := s.transaction(ctx, func(tx *sql.Tx) error {
		for _, d := range s.devices {
			if d.reserved > d.committed+1 {
				s.lost = append(s.lost, Gap{Device: d.key, From: d.committed + 1, To: d.reserved - 1})
			}
			d.next = max(d.reserved, d.committed+1)
			if d.removed {
				d.reserved = d.next
				continue
			}
			d.reserved = d.next + sequenceBlock
			if err := putSequence(ctx, tx, d.id, d.committed, d.reserved); err != nil {
				return err
			}
		}
		return setMeta(ctx, tx, metaClean, []byte("0"))
	})
	slices.SortFunc(s.lost, func(a, b Gap) int { return cmp.Compare(a.Device, b.Device) })
	return err
}

func putSequence(ctx context.Context, q querier, device int64, committed, reserved uint64) error {
	_, err := q.ExecContext(ctx, `INSERT INTO sequences(device, committed, reserved) VALUES(?, ?, ?)
		ON CONFLICT(device) DO UPDATE SET committed = excluded.committed, reserved = excluded.reserved`,
		device, int64(committed), int64(reserved)) //nolint:gosec // sequence numbers stay below 2^63
	if err != nil {
		return fmt.Errorf("reserving sequence numbers: %w", err)
	}
	return nil
}
