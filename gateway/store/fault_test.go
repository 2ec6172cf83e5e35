package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"modernc.org/sqlite"
)

var errDisk = errors.New("input/output error")

// faultyDriver lets commits fail in both ways: without effect, and after all.
type faultyDriver struct{ inner sqlite.Driver }

var commitFault atomic.Int32 // 0: none, 1: not stored, 2: stored

func init() { sql.Register("sqlite-faulty", &faultyDriver{}) }

func (d *faultyDriver) Open(name string) (driver.Conn, error) {
	c, err := d.inner.Open(name)
	if err != nil {
		return nil, err
	}
	return faultyConn{c.(sqliteConn)}, nil
}

type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
}

type faultyConn struct{ sqliteConn }

func (c faultyConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := c.sqliteConn.BeginTx(ctx, opts)
	return faultyTx{tx}, err
}

type faultyTx struct{ driver.Tx }

func (t faultyTx) Commit() error {
	switch commitFault.Load() {
	case 1:
		return errors.Join(errDisk, t.Rollback())
	case 2:
		return errors.Join(errDisk, t.Tx.Commit())
	}
	return t.Tx.Commit()
}

// Commits fail at random, with and without effect; nothing is lost, doubled or acknowledged early.
func TestCommitsFailBothWays(t *testing.T) {
	s := open(t, Options{driver: "sqlite-faulty", BatchRows: 10})
	put(t, s, dev1)
	defer commitFault.Store(0)
	r := rand.New(rand.NewPCG(3, 4))
	const total = 300
	for i := range total {
		add(t, s, dev1, start, num("n", float64(i)))
		if i%10 == 0 {
			commitFault.Store(r.Int32N(3))
			before := s.Durable()[dev1]
			err := s.Flush(t.Context())
			switch failed := commitFault.Load() != 0; {
			case failed && (!errors.Is(err, errDisk) || s.Stats().Problem == nil || s.Durable()[dev1] != before):
				t.Fatalf("a failed commit: %v, problem %v, durable %d, before %d", err, s.Stats().Problem, s.Durable()[dev1], before)
			case !failed && (err != nil || s.Stats().Problem != nil || s.Durable()[dev1] != uint64(i+1)):
				t.Fatalf("a commit: %v, problem %v, durable %d", err, s.Stats().Problem, s.Durable()[dev1])
			}
		}
	}
	commitFault.Store(0)
	flush(t, s)
	all := sinceAll(t, s, dev1, 0)
	for i, got := range all {
		if got.Seq != uint64(i+1) || got.Values[0].Value != float64(i) {
			t.Fatalf("reading %d is %v", i, got)
		}
	}
	if st := s.Stats(); len(all) != total || st.Rows != total || st.Committed != total || st.Failures == 0 {
		t.Errorf("%d readings, %+v", len(all), st)
	}
}

// A full disk is a state; the oldest readings that wait are dropped and counted, and what waits is stored later.
func TestFullDisk(t *testing.T) {
	s := open(t, Options{QueueRows: 1000, BatchRows: 100})
	put(t, s, dev1)
	pages := func(n int) {
		t.Helper()
		var got int
		if err := s.w.QueryRowContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", n)).Scan(&got); err != nil {
			t.Fatal(err)
		}
	}
	pages(1) // the present size
	for s.Stats().Dropped < 500 {
		add(t, s, dev1, start, num("temperature", 1))
	}
	if err := s.Flush(t.Context()); err == nil {
		t.Fatal("a full disk takes readings")
	}
	st := s.Stats()
	if st.Problem == nil || !strings.Contains(st.Problem.Error(), "full") || st.Dropped == 0 || st.Since.IsZero() {
		t.Errorf("got %+v", st)
	}
	if _, err := s.Next(t.Context(), dev1); err != nil {
		t.Errorf("no number from the reserved block: %v", err)
	}
	pages(1 << 20)
	flush(t, s)
	st = s.Stats()
	if st.Problem != nil || st.Queued != 0 || st.Rows+int64(st.Dropped) != int64(s.Durable()[dev1]) {
		t.Errorf("after the disk has room: %+v, durable %v", st, s.Durable())
	}
	last := uint64(0)
	for _, r := range sinceAll(t, s, dev1, 0) {
		if r.Seq <= last {
			t.Fatalf("%d after %d", r.Seq, last)
		}
		last = r.Seq
	}
}

// Without a disk the reserved numbers end; Next waits for its caller's patience and goes on when the disk is back.
func TestNumbersEndWithoutADisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{driver: "sqlite-faulty"})
		put(t, s, dev1)
		commitFault.Store(1)
		defer commitFault.Store(0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		last := uint64(0)
		for {
			n, err := s.Next(ctx, dev1)
			if err != nil {
				if !errors.Is(err, context.DeadlineExceeded) || last != sequenceBlock {
					t.Errorf("after %d: %v", last, err)
				}
				break
			}
			last = n
		}
		commitFault.Store(0)
		n, err := s.Next(t.Context(), dev1) // the writer tries again by itself
		if err != nil || n != last+1 {
			t.Errorf("got %d, %v; want %d", n, err, last+1)
		}
		shut(t, s)
	})
}
