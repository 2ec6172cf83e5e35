package demo

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"sync"

	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/gateway/subscriber"
)

// journal collects what the peer printed, over all its lives, and shows it as a table.
type journal struct {
	out io.Writer

	mu   sync.Mutex // guards the fields below
	seen map[string]map[uint64]bool
	gaps []subscriber.Gap
	via  string // how the peer last reached the gateway
	bad  error  // the first line that was not understood
	mute bool
}

func newJournal(out io.Writer) *journal {
	return &journal{out: out, seen: map[string]map[uint64]bool{}}
}

// follow reads one life of the peer to its end.
func (j *journal) follow(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e subscriber.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			j.mu.Lock()
			if j.bad == nil {
				j.bad = fmt.Errorf("the peer printed %q: %w", lines.Text(), err)
			}
			j.mu.Unlock()
			continue
		}
		j.take(e)
	}
}

func (j *journal) take(e subscriber.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case e.Gap != nil:
		j.gaps = append(j.gaps, *e.Gap)
	case e.State == "connected":
		j.via = e.Detail
	case e.Reading != nil && !e.Snapshot:
		r := e.Reading
		if j.seen[r.Stream] == nil {
			j.seen[r.Stream] = map[uint64]bool{}
		}
		j.seen[r.Stream][r.Seq] = true
		j.show(e)
	}
}

// show prints a reading as a row; one that holds raw attributes only is counted but not shown.
func (j *journal) show(e subscriber.Event) {
	text := reading.Summary(e.Reading.Values, e.Units, false)
	if j.mute || text == "" {
		return
	}
	fmt.Fprintf(j.out, "   %s  %-11s %-4s %s\n", e.Reading.Time.Local().Format("15:04:05.000"), e.Name, fmt.Sprintf("#%d", e.Reading.Seq), text)
}

func (j *journal) quiet(mute bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mute = mute
}

// count is the number of distinct readings.
func (j *journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, s := range j.seen {
		n += len(s)
	}
	return n
}

func (j *journal) devices() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.seen)
}

func (j *journal) reached() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.via
}

// has reports whether a reading arrived, and the lowest number that did.
func (j *journal) has(device string, seq uint64) (got bool, first uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for s := range j.seen[device] {
		if first == 0 || s < first {
			first = s
		}
	}
	return j.seen[device][seq], first
}

// fault tells what should not have happened: unreadable lines, gaps.
func (j *journal) fault() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.bad != nil {
		return j.bad
	}
	if len(j.gaps) > 0 {
		sort.Slice(j.gaps, func(a, b int) bool { return j.gaps[a].From < j.gaps[b].From })
		g := j.gaps[0]
		return fmt.Errorf("%d gaps, the first: %s %d to %d (%s)", len(j.gaps), g.Device, g.From, g.To, g.Reason)
	}
	return nil
}

// missing compares with what the gateway stored between the first reading seen and the moment end.
func (j *journal) missing(device string, stored []uint64) []uint64 {
	var gone []uint64
	for _, seq := range stored {
		got, first := j.has(device, seq)
		if !got && first > 0 && seq >= first {
			gone = append(gone, seq)
		}
	}
	return gone
}
