package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/peerbee/peerbee/gateway/reading"
)

// plan is what a batch does to the index, computed before it is written.
type plan struct {
	firstID  int64
	segments []*segment // changed or new, in order
	highest  map[*deviceState]uint64
}

func (s *Store) plan(batch []row) *plan {
	p := &plan{highest: map[*deviceState]uint64{}}
	if len(batch) == 0 {
		return p
	}
	open := s.wr.segment.clone()
	p.firstID = open.last + 1
	for i := range batch {
		r := &batch[i]
		if open.rows() >= segmentRows {
			open = newSegment(open.last + 1)
		}
		if n := len(p.segments); n == 0 || p.segments[n-1] != open {
			p.segments = append(p.segments, open)
		}
		open.add(r)
		p.highest[r.dev] = max(p.highest[r.dev], r.seq)
	}
	return p
}

// write puts a batch into an open transaction.
func (s *Store) write(ctx context.Context, tx *sql.Tx, batch []row, p *plan, reserve []reservation) error {
	if err := s.writeRows(ctx, tx, batch, p.firstID); err != nil {
		return err
	}
	if err := s.writeLatest(ctx, tx, batch); err != nil {
		return err
	}
	for _, g := range p.segments {
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO batches(first, last, t_min, t_max, seqs) VALUES(?, ?, ?, ?, ?)",
			g.first, g.last, g.tMin, g.tMax, g.encode())
		if err != nil {
			return err
		}
	}
	for d, hi := range p.highest {
		_, err := tx.ExecContext(ctx, "UPDATE sequences SET committed = max(committed, ?) WHERE device = ?", int64(hi), d.id)
		if err != nil {
			return err
		}
	}
	for _, v := range reserve {
		if err := putSequence(ctx, tx, v.dev.id, max(v.committed, p.highest[v.dev]), v.reserved); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) writeRows(ctx context.Context, tx *sql.Tx, batch []row, id int64) error {
	in := s.wr.insert
	in.begin(ctx, tx)
	for i := range batch {
		r := &batch[i]
		s.wr.text = reading.AppendValuesJSON(s.wr.text[:0], r.values)
		err := in.add(ctx, id, r.dev.id, int64(r.seq), r.t, int64(r.tq), r.desc, string(s.wr.text))
		if err != nil {
			return err
		}
		id++
	}
	return in.end(ctx)
}

// writeLatest stores the newest value of every property in the batch, once.
func (s *Store) writeLatest(ctx context.Context, tx *sql.Tx, batch []row) error {
	in := s.wr.upsert
	in.begin(ctx, tx)
	s.wr.batch++ // a repeated batch has to mark everything anew
	for i := len(batch) - 1; i >= 0; i-- {
		r := &batch[i]
		for j := range r.values {
			v := &r.values[j]
			mark, known := r.dev.marks[v.Name]
			if mark == s.wr.batch || (!known && len(r.dev.marks) >= maxProperties) {
				continue
			}
			r.dev.marks[v.Name] = s.wr.batch
			s.wr.text = reading.AppendValueJSON(s.wr.text[:0], v)
			err := in.add(ctx, r.dev.id, v.Name, int64(r.seq), r.t, int64(r.tq), r.desc, string(s.wr.text))
			if err != nil {
				return err
			}
		}
	}
	return in.end(ctx)
}

// inserter runs one INSERT for many rows at a time, with statements prepared once.
type inserter struct {
	columns int
	stmts   [len(chunks)]*sql.Stmt

	run  [len(chunks)]*sql.Stmt // stmts in the open transaction
	args []any
}

// chunks are the numbers of rows that one statement inserts, largest first, ending with 1.
var chunks = [...]int{64, 8, 1}

func newInserter(ctx context.Context, db *sql.DB, head string, columns int) (*inserter, error) {
	in := &inserter{columns: columns, args: make([]any, 0, chunks[0]*columns)}
	one := "(?" + strings.Repeat(",?", columns-1) + ")"
	for i, n := range chunks {
		st, err := db.PrepareContext(ctx, head+one+strings.Repeat(","+one, n-1))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("preparing: %w", err), in.close())
		}
		in.stmts[i] = st
	}
	return in, nil
}

func (in *inserter) begin(ctx context.Context, tx *sql.Tx) {
	in.args = in.args[:0]
	for i, st := range in.stmts {
		in.run[i] = tx.StmtContext(ctx, st)
	}
}

func (in *inserter) add(ctx context.Context, args ...any) error {
	in.args = append(in.args, args...)
	if len(in.args) < chunks[0]*in.columns {
		return nil
	}
	return in.end(ctx)
}

// end inserts the rows that are still waiting.
func (in *inserter) end(ctx context.Context) error {
	args := in.args
	for i, n := range chunks {
		for n *= in.columns; len(args) >= n; args = args[n:] {
			if _, err := in.run[i].ExecContext(ctx, args[:n]...); err != nil {
				return fmt.Errorf("inserting: %w", err)
			}
		}
	}
	in.args = in.args[:0]
	return nil
}

func (in *inserter) close() error {
	var errs []error
	for _, st := range in.stmts {
		if st != nil {
			errs = append(errs, st.Close())
		}
	}
	return errors.Join(errs...)
}

// prepareWriter compiles the writer's statements.
func (s *Store) prepareWriter(ctx context.Context) (err error) {
	s.wr.insert, err = newInserter(ctx, s.w, "INSERT OR REPLACE INTO readings(id, device, seq, t, tq, descr, data) VALUES", 7)
	if err != nil {
		return err
	}
	s.wr.upsert, err = newInserter(ctx, s.w, "INSERT OR REPLACE INTO latest(device, property, seq, t, tq, descr, value) VALUES", 7)
	return err
}
