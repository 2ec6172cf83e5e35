package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/peerbee/peerbee/gateway/reading"
)

// pageRows bounds what a query holds in memory, and with it how long it pins the write-ahead log: the caller's
// yield runs between pages, outside any transaction.
const pageRows = 512

// Since calls yield for the readings of device with a sequence number above after, ascending, until yield returns
// an error or the readings end; that error is returned. Readings that are queued but not committed come last.
func (s *Store) Since(ctx context.Context, device string, after uint64, yield func(reading.Reading) error) error {
	d, err := s.state(device)
	if err != nil {
		return err
	}
	for {
		s.mu.Lock()
		commits, high := s.commits, d.committed
		s.mu.Unlock()
		if after < high {
			q := scan{device: d, after: after, from: math.MinInt64, to: math.MaxInt64}
			err := s.scan(ctx, q, func(r reading.Reading) error {
				after = r.Seq
				return yield(r)
			})
			if err != nil {
				return err
			}
		}
		tail, complete := s.tail(d, after, commits)
		if !complete {
			continue // a batch went to the disk meanwhile: read it there
		}
		for _, r := range tail {
			if err := yield(r); err != nil {
				return err
			}
		}
		return nil
	}
}

// tail gives the readings of d above after that are not committed, unless a commit came in between.
func (s *Store) tail(d *deviceState, after, commits uint64) (tail []reading.Reading, complete bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.commits != commits {
		return nil, false
	}
	hashes := s.hashes()
	take := func(r *row) {
		if r.dev == d && r.seq > after {
			tail = append(tail, reading.Reading{
				Stream: d.key, Epoch: s.epoch, Seq: r.seq, Time: time.UnixMilli(r.t),
				Clock: r.tq, Desc: hashes[r.desc], Values: r.values,
			})
		}
	}
	for i := range s.inflight {
		take(&s.inflight[i])
	}
	for i := range s.queue.n {
		take(s.queue.at(i))
	}
	return tail, true
}

// HistoryQuery selects committed readings of one device.
type HistoryQuery struct {
	Device   string
	From, To time.Time // From <= time < To; zero: open
	Property string    // only this property, readings without it are left out; empty: all
	Limit    int       // the newest Limit readings, still oldest first; 0: all
}

// History calls yield for the selected readings in the order of their arrival until yield returns an error.
// Readings that are not committed yet are left out: Flush first where they matter.
func (s *Store) History(ctx context.Context, h HistoryQuery, yield func(reading.Reading) error) error {
	d, err := s.state(h.Device)
	if err != nil {
		return err
	}
	if strings.ContainsAny(h.Property, "\"\\") {
		return nil // no property is called that, and the path below could not say it
	}
	q := scan{device: d, from: math.MinInt64, to: math.MaxInt64, property: h.Property}
	if !h.From.IsZero() {
		q.from = h.From.UnixMilli()
	}
	if !h.To.IsZero() {
		q.to = h.To.UnixMilli() - 1
	}
	if h.Limit > 0 {
		if q.firstRow, err = s.limitRow(ctx, q, h.Limit); err != nil {
			return fmt.Errorf("reading the history: %w", explain(s.opt.Path, err))
		}
	}
	return s.scan(ctx, q, yield)
}

func (s *Store) state(device string) (*deviceState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	d := s.devices[device]
	if d == nil {
		return nil, fmt.Errorf("device %q: %w", device, ErrNotFound)
	}
	return d, nil
}

// scan is a forward walk over the stored readings of one device.
type scan struct {
	device   *deviceState
	after    uint64 // sequence numbers above
	from, to int64  // times, both included
	property string
	firstRow int64
}

// extent is a run of rows in which a scan may find something.
type extent struct{ first, last int64 }

// extents reads the batch index. Neighbouring runs are joined.
func (s *Store) extents(ctx context.Context, q scan) ([]extent, error) {
	rows, err := s.r.QueryContext(ctx, `SELECT first, last, t_min, t_max, seqs FROM batches WHERE last >= ? ORDER BY first`, q.firstRow)
	if err != nil {
		return nil, err
	}
	var list []extent
	for rows.Next() {
		var g segment
		var seqs sql.RawBytes
		if err := rows.Scan(&g.first, &g.last, &g.tMin, &g.tMax, &seqs); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		sp, ok, err := findSpan(seqs, q.device.id)
		if err != nil {
			return nil, errors.Join(&CorruptError{Path: s.opt.Path, Detail: err.Error()}, rows.Close())
		}
		if !ok || sp.hi <= q.after {
			continue
		}
		e := extent{max(g.first, q.firstRow), g.last}
		if n := len(list); n > 0 && list[n-1].last+1 == e.first {
			list[n-1].last = e.last
			continue
		}
		list = append(list, e)
	}
	return list, errors.Join(rows.Err(), rows.Close())
}

const wherePart = ` FROM readings WHERE id BETWEEN ? AND ? AND device = ? AND seq > ? AND t BETWEEN ? AND ?
	AND (?7 = '' OR json_type(data, ?8) IS NOT NULL) `

func (q *scan) args(e extent) []any {
	return []any{e.first, e.last, q.device.id, int64(q.after), q.from, q.to, q.property, jsonPath(q.property)}
}

func jsonPath(property string) string { return `$."` + property + `"` }

func (s *Store) scan(ctx context.Context, q scan, yield func(reading.Reading) error) error {
	extents, err := s.extents(ctx, q)
	if err != nil {
		return fmt.Errorf("reading the history: %w", explain(s.opt.Path, err))
	}
	s.mu.Lock()
	hashes := s.hashes()
	s.mu.Unlock()
	var page []reading.Reading
	for _, e := range extents {
		for e.first <= e.last {
			page, e.first, err = s.page(ctx, q, e, hashes, page[:0])
			if err != nil {
				return fmt.Errorf("reading the history: %w", explain(s.opt.Path, err))
			}
			for i := range page {
				if err := yield(page[i]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// page reads up to pageRows readings and says at which row the next page begins.
func (s *Store) page(ctx context.Context, q scan, e extent, hashes map[int64]string, page []reading.Reading) ([]reading.Reading, int64, error) {
	rows, err := s.r.QueryContext(ctx, "SELECT id, seq, t, tq, descr, data"+wherePart+"ORDER BY id LIMIT ?9", append(q.args(e), pageRows)...)
	if err != nil {
		return nil, 0, err
	}
	var id, t, desc int64
	var data string
	for rows.Next() {
		r := reading.Reading{Stream: q.device.key, Epoch: s.epoch}
		if err := rows.Scan(&id, &r.Seq, &t, &r.Clock, &desc, &data); err != nil {
			return nil, 0, errors.Join(err, rows.Close())
		}
		if r.Values, err = reading.ParseValuesJSON(data); err != nil {
			return nil, 0, errors.Join(&CorruptError{Path: s.opt.Path, Detail: fmt.Sprintf("reading %d: %v", id, err)}, rows.Close())
		}
		if q.property != "" {
			r.Values = only(r.Values, q.property)
		}
		r.Time, r.Desc = time.UnixMilli(t), hashes[desc]
		page = append(page, r)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, 0, err
	}
	if len(page) < pageRows {
		return page, e.last + 1, nil
	}
	return page, id + 1, nil
}

func only(values []reading.Value, name string) []reading.Value {
	for i := range values {
		if values[i].Name == name {
			return values[i : i+1]
		}
	}
	return nil
}

// limitRow finds the row at which the newest limit matches begin.
func (s *Store) limitRow(ctx context.Context, q scan, limit int) (int64, error) {
	extents, err := s.extents(ctx, q)
	if err != nil {
		return 0, err
	}
	first := int64(math.MaxInt64)
	for i := len(extents) - 1; i >= 0 && limit > 0; i-- {
		rows, err := s.r.QueryContext(ctx, "SELECT id"+wherePart+"ORDER BY id DESC LIMIT ?9", append(q.args(extents[i]), limit)...)
		ids, err := collect(rows, err, func(scan func(...any) error) (id int64, err error) { return id, scan(&id) })
		if err != nil {
			return 0, err
		}
		limit -= len(ids)
		if len(ids) > 0 {
			first = ids[len(ids)-1]
		}
	}
	return first, nil
}
