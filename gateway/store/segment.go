package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/peerbee/peerbee/gateway/reading"
)

// segmentRows is how many readings one row of the table batches describes at most; the open one is rewritten in
// place with each commit until it is full.
const segmentRows = 4096

var errSegment = errors.New("the batch index is damaged")

// span is a range of sequence numbers, both ends included.
type span struct{ lo, hi uint64 }

// segment describes a run of rows of the table readings.
type segment struct {
	first, last int64
	tMin, tMax  int64 // of readings whose time is known; 0, 0 when there are none
	spans       map[int64]span
}

func newSegment(first int64) *segment {
	return &segment{first: first, last: first - 1, spans: map[int64]span{}}
}

func (g *segment) clone() *segment {
	c := *g
	c.spans = maps.Clone(g.spans)
	return &c
}

func (g *segment) rows() int64 { return g.last - g.first + 1 }

// add takes in the row that comes next.
func (g *segment) add(r *row) {
	g.last++
	if r.tq != reading.TimeUnknown {
		if g.tMin == 0 || r.t < g.tMin {
			g.tMin = r.t
		}
		g.tMax = max(g.tMax, r.t)
	}
	sp, ok := g.spans[r.dev.id]
	if !ok {
		sp = span{r.seq, r.seq}
	}
	g.spans[r.dev.id] = span{min(sp.lo, r.seq), max(sp.hi, r.seq)}
}

func (g *segment) encode() []byte {
	ids := slices.Sorted(maps.Keys(g.spans))
	b := make([]byte, 0, 6*len(ids))
	for _, id := range ids {
		sp := g.spans[id]
		b = binary.AppendUvarint(b, uint64(id))
		b = binary.AppendUvarint(b, sp.lo)
		b = binary.AppendUvarint(b, sp.hi-sp.lo)
	}
	return b
}

// findSpan looks for one device in an encoded segment.
func findSpan(b []byte, device int64) (sp span, ok bool, err error) {
	for len(b) > 0 {
		var v [3]uint64
		for i := range v {
			x, n := binary.Uvarint(b)
			if n <= 0 {
				return span{}, false, errSegment
			}
			v[i], b = x, b[n:]
		}
		if v[0] == uint64(device) {
			return span{v[1], v[1] + v[2]}, true, nil
		}
	}
	return span{}, false, nil
}

func (g *segment) decode(b []byte) error {
	g.spans = map[int64]span{}
	for len(b) > 0 {
		var v [3]uint64
		for i := range v {
			x, n := binary.Uvarint(b)
			if n <= 0 {
				return errSegment
			}
			v[i], b = x, b[n:]
		}
		g.spans[int64(v[0])] = span{v[1], v[1] + v[2]}
	}
	return nil
}

// loadWriter finds where the last stop left the readings. The batch index and the readings are written in one
// transaction, so that disagreement means damage.
func (s *Store) loadWriter(ctx context.Context) error {
	rows, err := s.w.QueryContext(ctx, "SELECT first, last, t_min, t_max, seqs FROM batches ORDER BY first DESC LIMIT 1")
	open, err := collect(rows, err, func(scan func(...any) error) (*segment, error) {
		g := &segment{}
		var seqs []byte
		if err := scan(&g.first, &g.last, &g.tMin, &g.tMax, &seqs); err != nil {
			return nil, err
		}
		return g, g.decode(seqs)
	})
	if errors.Is(err, errSegment) {
		return &CorruptError{Path: s.opt.Path, Detail: err.Error()}
	}
	if err != nil {
		return fmt.Errorf("reading the batch index: %w", err)
	}
	var first, last int64
	if err := s.w.QueryRowContext(ctx, "SELECT COALESCE(min(id), 0), COALESCE(max(id), 0) FROM readings").Scan(&first, &last); err != nil {
		return fmt.Errorf("reading the readings: %w", err)
	}
	s.wr.segment = newSegment(1)
	if len(open) == 1 {
		s.wr.segment = open[0]
		if last != 0 && last != open[0].last {
			return &CorruptError{Path: s.opt.Path, Detail: "the batch index and the readings disagree"}
		}
	}
	s.wr.firstID = first
	if first > 0 {
		s.stats.Rows = last - first + 1
	}
	return nil
}
