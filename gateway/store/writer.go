package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	maxBatch     = 8192                   // rows of one commit
	commitPause  = 100 * time.Millisecond // between commits under load, so that batches grow instead of their number
	firstRetry   = time.Second
	lastRetry    = 30 * time.Second
	tickEvery    = 10 * time.Minute // how often the time and the uptime are stored
	pruneEvery   = time.Minute
	writeTimeout = time.Minute
)

// writer is the state of the one goroutine that commits readings. Nothing else touches it once it runs.
type writer struct {
	segment  *segment // the open one
	firstID  int64    // oldest row kept, 0: none
	batch    uint64   // counts writes of batches, for the marks
	firstAt  time.Time
	pause    time.Time // no commit before, under load
	retryAt  time.Time
	retry    time.Duration
	tickAt   time.Time
	pruneAt  time.Time
	insert   *inserter
	upsert   *inserter
	text     []byte
	closeErr error
}

func (s *Store) run(ctx context.Context) {
	defer close(s.done)
	now := time.Now()
	s.wr.tickAt, s.wr.pruneAt = now.Add(tickEvery), now.Add(pruneEvery)
	timer := time.NewTimer(s.nextWake())
	defer timer.Stop()
	for {
		select {
		case <-s.kick:
		case <-timer.C:
		case req := <-s.reqs:
			req <- s.drain(ctx)
		case closing := <-s.stop:
			s.wr.closeErr = s.finish(closing) //nolint:contextcheck // bounded by the context of Close
			return
		}
		s.step(ctx, time.Now())
		timer.Reset(s.nextWake())
	}
}

// nextWake is how long the writer may sleep when nobody wakes it.
func (s *Store) nextWake() time.Duration {
	now := time.Now()
	at := s.wr.tickAt
	if s.wr.pruneAt.Before(at) {
		at = s.wr.pruneAt
	}
	if due := s.dueAt(now); !due.IsZero() && due.Before(at) {
		at = due
	}
	return max(0, at.Sub(now))
}

// dueAt is when the next commit has to happen, zero when there is nothing to commit.
func (s *Store) dueAt(now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting, low := s.queue.n, len(s.low) > 0
	if waiting == 0 {
		s.wr.firstAt = time.Time{}
	} else if s.wr.firstAt.IsZero() {
		s.wr.firstAt = now
	}
	var at time.Time
	switch {
	case len(s.inflight) > 0 || low:
		at = now
	case waiting >= s.opt.BatchRows:
		at = later(now, s.wr.pause)
	case waiting > 0:
		at = s.wr.firstAt.Add(s.opt.BatchEvery)
	default:
		return time.Time{}
	}
	return later(at, s.wr.retryAt)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// step does what is due.
func (s *Store) step(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if due := s.dueAt(now); !due.IsZero() && !due.After(now) {
		if err := s.commit(ctx); err != nil {
			return // noted as the store's problem, tried again at retryAt
		}
	}
	if !now.Before(s.wr.tickAt) {
		s.wr.tickAt = now.Add(tickEvery)
		s.note(s.saveTimes(ctx, s.w))
	}
	if !now.Before(s.wr.pruneAt) {
		s.wr.pruneAt = now.Add(pruneEvery)
		s.note(s.prune(ctx))
	}
}

// drain commits until nothing is queued.
func (s *Store) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	for {
		s.mu.Lock()
		n := s.queue.n + len(s.inflight)
		s.mu.Unlock()
		if n == 0 {
			return nil
		}
		if err := s.commit(ctx); err != nil {
			return err
		}
	}
}

// finish is the last thing the writer does: everything queued, then the exact positions.
func (s *Store) finish(ctx context.Context) error {
	if err := s.drain(ctx); err != nil {
		return err
	}
	s.mu.Lock() // closed: nobody hands out numbers any more
	exact := make([]reservation, 0, len(s.devices))
	for _, d := range s.devices {
		exact = append(exact, reservation{d, d.committed, d.next})
	}
	s.mu.Unlock()
	err := s.transaction(ctx, func(tx *sql.Tx) error {
		for _, v := range exact {
			if err := putSequence(ctx, tx, v.dev.id, v.committed, v.reserved); err != nil {
				return err
			}
		}
		if err := s.saveTimes(ctx, tx); err != nil {
			return err
		}
		return setMeta(ctx, tx, metaClean, []byte("1"))
	})
	if err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// note keeps the outcome of a write as the store's state.
func (s *Store) note(err error) {
	s.mu.Lock()
	was := s.problem
	if err != nil && was == nil {
		s.since = time.Now()
	}
	s.problem = err
	s.mu.Unlock()
	switch {
	case err != nil && (was == nil || was.Error() != err.Error()):
		s.log.Error("the database does not take writes; readings wait in memory", "error", err, "path", s.opt.Path)
	case err == nil && was != nil:
		s.log.Info("the database takes writes again", "path", s.opt.Path)
	}
}

// commit stores one batch of readings and the reservations that are due, in one transaction. A batch that failed
// is kept as it is and written again under the same row ids: it may have been stored in spite of the error.
func (s *Store) commit(ctx context.Context) error {
	s.mu.Lock()
	if len(s.inflight) == 0 {
		s.inflight = s.queue.take(s.inflight[:0], maxBatch)
		s.wr.firstAt = time.Time{}
	}
	batch := s.inflight
	reserve := s.reservations()
	s.mu.Unlock()

	plan := s.plan(batch)
	err := s.transaction(ctx, func(tx *sql.Tx) error { return s.write(ctx, tx, batch, plan, reserve) })
	if err != nil {
		s.wr.retry = min(max(firstRetry, 2*s.wr.retry), lastRetry)
		s.wr.retryAt = time.Now().Add(s.wr.retry)
		s.mu.Lock()
		s.stats.Failures++
		s.mu.Unlock()
		err = fmt.Errorf("storing readings: %w", err)
		s.note(err)
		return err
	}
	s.wr.retry, s.wr.retryAt = 0, time.Time{}
	s.wr.pause = time.Now().Add(commitPause)
	s.note(nil)
	s.committed(plan, reserve)
	return nil
}

// reservation is how far a device's numbers are stored and how far they are reserved.
type reservation struct {
	dev       *deviceState
	committed uint64
	reserved  uint64
}

// reservations lists the blocks to reserve with the next commit. The caller holds mu.
func (s *Store) reservations() []reservation {
	list := make([]reservation, 0, len(s.low))
	for _, d := range s.low {
		list = append(list, reservation{d, d.committed, max(d.next, d.reserved) + sequenceBlock})
	}
	return list
}

// committed publishes what a transaction has made durable.
func (s *Store) committed(p *plan, reserve []reservation) {
	durable := make(map[string]uint64, len(p.highest))
	s.mu.Lock()
	for _, v := range reserve {
		v.dev.reserved, v.dev.low = v.reserved, false
	}
	s.low = s.low[len(reserve):]
	if len(reserve) > 0 {
		close(s.more)
		s.more = make(chan struct{})
	}
	for d, hi := range p.highest {
		d.committed = max(d.committed, hi)
		durable[d.key] = d.committed
	}
	s.stats.Committed += uint64(len(s.inflight))
	s.stats.Rows += int64(len(s.inflight))
	s.stats.Commits++
	clear(s.inflight)
	s.inflight = s.inflight[:0]
	s.commits++
	s.mu.Unlock()
	if len(p.segments) > 0 {
		s.wr.segment = p.segments[len(p.segments)-1]
		if s.wr.firstID == 0 {
			s.wr.firstID = p.firstID
		}
	}
	if s.opt.OnCommit != nil && len(durable) > 0 {
		s.opt.OnCommit(durable)
	}
}

func (w *writer) closeStatements() error {
	var errs []error
	for _, in := range []*inserter{w.insert, w.upsert} {
		if in != nil {
			errs = append(errs, in.close())
		}
	}
	return errors.Join(errs...)
}

// notFound turns SQL's word for an empty result into ours.
func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
