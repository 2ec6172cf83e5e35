package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/peerbee/peerbee/gateway/reading"
)

// Stats counts since Open.
type Stats struct {
	Queued    int    // readings waiting for the disk
	Committed uint64 // readings stored
	Dropped   uint64 // readings dropped because the disk was stuck
	Commits   uint64
	Failures  uint64 // commits that failed and were tried again
	Pruned    uint64 // readings removed by retention
	Rows      int64  // readings kept
	// Problem is what keeps readings from the disk since Since, nil while all is well.
	Problem error
	Since   time.Time
}

// Stats gives the counters.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Queued = s.queue.n + len(s.inflight)
	st.Problem, st.Since = s.problem, s.since
	return st
}

// AddReading queues a reading whose number came from Next, in ascending order per stream. It never waits: when the
// disk is stuck and the queue full, the oldest queued reading is dropped and counted. Epoch is ignored; Desc has
// to have been stored with PutDescriptor to be remembered. r.Values must not be changed afterwards.
func (s *Store) AddReading(r *reading.Reading) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[r.Stream]
	if s.closed {
		return ErrClosed
	}
	if d == nil || d.removed {
		return fmt.Errorf("device %q: %w", r.Stream, ErrNotFound)
	}
	w := row{dev: d, seq: r.Seq, t: r.Time.UnixMilli(), tq: r.Clock, desc: s.descs[r.Desc], values: r.Values}
	if s.queue.push(w, s.opt.QueueRows) {
		s.stats.Dropped++
	}
	d.setLatest(&w)
	if s.queue.n == 1 || s.queue.n == s.opt.BatchRows {
		s.wake()
	}
	return nil
}

// wake tells the writer to look at the queue again.
func (s *Store) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Durable gives, per device that is not removed, the highest sequence number that is committed to disk; devices
// without a stored reading are absent.
func (s *Store) Durable() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := make(map[string]uint64, len(s.devices))
	for key, d := range s.devices {
		if !d.removed && d.committed > 0 {
			m[key] = d.committed
		}
	}
	return m
}

// PutDescriptor stores an encoded descriptor under its content hash, durably, so that readings can name it.
func (s *Store) PutDescriptor(ctx context.Context, hash string, body []byte) error {
	s.mu.Lock()
	_, known := s.descs[hash]
	s.mu.Unlock()
	if known {
		return nil
	}
	var id int64
	err := s.transaction(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `INSERT INTO descriptors(hash, body) VALUES(?, ?)
			ON CONFLICT(hash) DO UPDATE SET hash = hash RETURNING id`, hash, body).Scan(&id)
	})
	if err != nil {
		return fmt.Errorf("storing descriptor %s: %w", hash, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.descs[hash] = id
	return nil
}

// Descriptor gives the encoded descriptor with that content hash.
func (s *Store) Descriptor(ctx context.Context, hash string) ([]byte, error) {
	var body []byte
	if err := s.r.QueryRowContext(ctx, "SELECT body FROM descriptors WHERE hash = ?", hash).Scan(&body); err != nil {
		return nil, fmt.Errorf("descriptor %s: %w", hash, notFound(err))
	}
	return body, nil
}

func (s *Store) loadDescriptors(ctx context.Context) error {
	rows, err := s.w.QueryContext(ctx, "SELECT hash, id FROM descriptors")
	type entry struct {
		hash string
		id   int64
	}
	all, err := collect(rows, err, func(scan func(...any) error) (e entry, err error) { return e, scan(&e.hash, &e.id) })
	if err != nil {
		return fmt.Errorf("reading the descriptors: %w", err)
	}
	for _, e := range all {
		s.descs[e.hash] = e.id
	}
	return nil
}
