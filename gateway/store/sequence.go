package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/peerbee/peerbee/gateway/reading"
)

// sequenceBlock numbers are reserved durably before the first of them is handed out.
const sequenceBlock = 4096

// Gap names sequence numbers, From to To inclusive, that may have been handed out but are not stored.
type Gap struct {
	Device   string
	From, To uint64
}

// Lost names what unclean stops within the retention age may have lost: per device the numbers after the last
// committed reading up to the reservation. They are never used again. By device, ascending.
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
	now, quality := s.opt.Clock()
	return s.transaction(ctx, func(tx *sql.Tx) error {
		for _, d := range s.devices {
			if d.reserved > d.committed+1 {
				if err := putLost(ctx, tx, d, now); err != nil {
					return err
				}
				s.log.Warn("readings may have been lost in the last stop", "device", d.key, "from", d.committed+1, "to", d.reserved-1)
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
		if err := s.loadLost(ctx, tx, now, quality == reading.TimeSynchronised); err != nil {
			return err
		}
		return setMeta(ctx, tx, metaClean, []byte("0"))
	})
}

// putLost keeps a gap. A second unclean stop without a commit in between makes the same gap longer.
func putLost(ctx context.Context, q querier, d *deviceState, now time.Time) error {
	_, err := q.ExecContext(ctx, `INSERT INTO lost(device, first, last, t) VALUES(?, ?, ?, ?)
		ON CONFLICT(device, first) DO UPDATE SET last = excluded.last, t = excluded.t`,
		d.id, int64(d.committed+1), int64(d.reserved-1), now.UnixMilli())
	if err != nil {
		return fmt.Errorf("noting what was lost: %w", err)
	}
	return nil
}

// loadLost forgets the gaps beyond the retention age, which a resuming subscriber is told of anyway because the
// readings before them are gone, and reads the rest.
func (s *Store) loadLost(ctx context.Context, tx *sql.Tx, now time.Time, synchronised bool) error {
	if synchronised {
		if _, err := tx.ExecContext(ctx, "DELETE FROM lost WHERE t < ?", now.Add(-s.opt.RetentionAge).UnixMilli()); err != nil {
			return fmt.Errorf("forgetting old gaps: %w", err)
		}
	}
	rows, err := tx.QueryContext(ctx, "SELECT key, first, last FROM lost JOIN devices ON devices.id = lost.device ORDER BY key, first")
	s.lost, err = collect(rows, err, func(scan func(...any) error) (Gap, error) {
		var g Gap
		return g, scan(&g.Device, &g.From, &g.To)
	})
	if err != nil {
		return fmt.Errorf("reading what was lost: %w", err)
	}
	return nil
}

func putSequence(ctx context.Context, q querier, device int64, committed, reserved uint64) error {
	_, err := q.ExecContext(ctx, `INSERT INTO sequences(device, committed, reserved) VALUES(?, ?, ?)
		ON CONFLICT(device) DO UPDATE SET committed = excluded.committed, reserved = excluded.reserved`,
		device, int64(committed), int64(reserved))
	if err != nil {
		return fmt.Errorf("reserving sequence numbers: %w", err)
	}
	return nil
}
