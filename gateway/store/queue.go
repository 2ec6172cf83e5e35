package store

import "github.com/peerbee/peerbee/gateway/reading"

// row is a reading on its way to the disk.
type row struct {
	dev    *deviceState
	seq    uint64
	t      int64
	desc   int64
	tq     reading.TimeQuality
	values []reading.Value
}

// queue is a ring of at most limit rows that drops its oldest.
type queue struct {
	buf     []row // length is zero or a power of two
	head, n int
}

// push appends r and reports whether the oldest row had to go.
func (q *queue) push(r row, limit int) (dropped bool) {
	if q.n >= limit {
		q.buf[q.head] = row{}
		q.head = (q.head + 1) & (len(q.buf) - 1)
		q.n--
		dropped = true
	}
	if q.n == len(q.buf) {
		grown := make([]row, max(64, 2*len(q.buf)))
		for i := range q.n {
			grown[i] = *q.at(i)
		}
		q.buf, q.head = grown, 0
	}
	q.buf[(q.head+q.n)&(len(q.buf)-1)] = r
	q.n++
	return dropped
}

func (q *queue) at(i int) *row { return &q.buf[(q.head+i)&(len(q.buf)-1)] }

// take moves up to limit of the oldest rows to dst.
func (q *queue) take(dst []row, limit int) []row {
	n := min(q.n, limit)
	for i := range n {
		r := q.at(i)
		dst = append(dst, *r)
		*r = row{}
	}
	q.n -= n
	if q.n == 0 {
		q.head = 0
		return dst
	}
	q.head = (q.head + n) & (len(q.buf) - 1)
	return dst
}
