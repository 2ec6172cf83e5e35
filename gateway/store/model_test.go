package store

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/peerbee/peerbee/gateway/reading"
)

// naive is the history written down the simplest way.
type naive []reading.Reading

func (n naive) history(h HistoryQuery) []reading.Reading {
	var out []reading.Reading
	for _, r := range n {
		if r.Stream != h.Device || (!h.From.IsZero() && r.Time.Before(h.From)) || (!h.To.IsZero() && !r.Time.Before(h.To)) {
			continue
		}
		if h.Property != "" {
			i := slices.IndexFunc(r.Values, func(v reading.Value) bool { return v.Name == h.Property })
			if i < 0 {
				continue
			}
			r.Values = r.Values[i : i+1]
		}
		out = append(out, r)
	}
	if h.Limit > 0 && len(out) > h.Limit {
		out = out[len(out)-h.Limit:]
	}
	return out
}

func (n naive) since(device string, after uint64) []reading.Reading {
	var out []reading.Reading
	for _, r := range n.history(HistoryQuery{Device: device}) {
		if r.Seq > after {
			out = append(out, r)
		}
	}
	return out
}

func historyAll(t testing.TB, s *Store, h HistoryQuery) (all []reading.Reading) {
	t.Helper()
	err := s.History(t.Context(), h, func(r reading.Reading) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// same compares by the JSON form, which is quicker than reflection where there are thousands.
func same(t *testing.T, want, got []reading.Reading, format string, args ...any) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%s: %d readings, want %d", fmt.Sprintf(format, args...), len(got), len(want))
	}
	for i := range want {
		if string(want[i].AppendJSON(nil)) != string(got[i].AppendJSON(nil)) {
			t.Fatalf("%s, reading %d (-want +got):\n%s", fmt.Sprintf(format, args...), i, gocmp.Diff(want[i], got[i]))
		}
	}
}

func TestHistoryAgreesWithTheModel(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	s := open(t, Options{BatchRows: 100})
	devices := []string{dev1, dev2, "00000000000000aa"}
	put(t, s, devices...)
	var all naive
	for i := range 12_000 {
		d := devices[0]
		switch {
		case i > 2_000 && i < 9_000:
			d = devices[1] // whole segments without the first device
		case r.IntN(100) == 0:
			d = devices[2]
		}
		values := []reading.Value{num("a", float64(i))}
		if r.IntN(3) == 0 {
			values = append(values, reading.Value{Name: "b\"", Value: int64(i)}, reading.Value{Name: "raw", Status: reading.StatusUnknown})
		}
		all = append(all, add(t, s, d, start.Add(time.Duration(i+r.IntN(50))*time.Second), values...))
		if r.IntN(4000) == 0 {
			flush(t, s)
		}
	}
	flush(t, s)
	for range 80 {
		h := HistoryQuery{Device: devices[r.IntN(3)], Limit: []int{0, 1, 7, 600, 100_000}[r.IntN(5)], Property: []string{"", "a", "raw", "b\"", "none"}[r.IntN(5)]}
		if r.IntN(2) == 0 {
			h.From = start.Add(time.Duration(r.IntN(13_000)) * time.Second)
		}
		if r.IntN(2) == 0 {
			h.To = start.Add(time.Duration(r.IntN(13_000)) * time.Second)
		}
		want := all.history(h)
		if h.Property == "b\"" {
			want = nil // a name that cannot be asked for
		}
		same(t, want, historyAll(t, s, h), "%+v", h)
		after := uint64(r.IntN(13_000))
		same(t, all.since(h.Device, after), sinceAll(t, s, h.Device, after), "since %d of %s", after, h.Device)
	}
	if got := sinceAll(t, s, dev1, 1<<64-1); got != nil {
		t.Errorf("after the last possible number: %d readings", len(got))
	}
	stop := errors.New("stop")
	if err := s.Since(t.Context(), dev1, 0, func(reading.Reading) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if err := s.Since(t.Context(), "no such", 0, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestCommitAfterTenSecondsOrFiveHundred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []uint64
		s := open(t, Options{OnCommit: func(m map[string]uint64) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, m[dev1])
		}})
		put(t, s, dev1)
		durable := func(want uint64) {
			t.Helper()
			synctest.Wait()
			if got := s.Durable()[dev1]; got != want {
				t.Fatalf("durable is %d, want %d", got, want)
			}
		}
		time.Sleep(5 * time.Second)
		add(t, s, dev1, start, num("a", 1))
		time.Sleep(10*time.Second - time.Millisecond)
		durable(0)
		time.Sleep(time.Millisecond)
		durable(1)
		time.Sleep(time.Second)
		for range DefaultBatchRows - 1 {
			add(t, s, dev1, start, num("a", 1))
		}
		time.Sleep(5 * time.Second)
		durable(1)
		add(t, s, dev1, start, num("a", 1))
		durable(501)
		for range DefaultBatchRows {
			add(t, s, dev1, start, num("a", 1))
		}
		time.Sleep(commitPause)
		durable(1001)
		mu.Lock()
		if diff := gocmp.Diff([]uint64{1, 501, 1001}, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		mu.Unlock()
		shut(t, s)
	})
}

func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quality := reading.TimeSynchronised
		var mu sync.Mutex
		s := open(t, Options{RetentionRows: 20_000, RetentionAge: time.Hour, Clock: func() (time.Time, reading.TimeQuality) {
			mu.Lock()
			defer mu.Unlock()
			return time.Now(), quality
		}})
		put(t, s, dev1)
		fill := func(n int) {
			t.Helper()
			for range n {
				add(t, s, dev1, time.Now(), num("a", 1))
			}
			flush(t, s)
		}
		kept := func(first, last uint64) {
			t.Helper()
			time.Sleep(2 * pruneEvery)
			synctest.Wait()
			all := sinceAll(t, s, dev1, 0)
			if len(all) == 0 || all[0].Seq != first || all[len(all)-1].Seq != last || len(all) != int(last-first+1) {
				t.Fatalf("%d kept, want %d to %d", len(all), first, last)
			}
			if rows := s.Stats().Rows; rows != int64(len(all)) {
				t.Fatalf("%d rows counted, %d kept", rows, len(all))
			}
		}
		fill(25_000)
		kept(5001, 25_000)
		time.Sleep(2 * time.Hour)
		// Everything was older than an hour at the last look: only what comes now is kept.
		fill(10)
		kept(25_001, 25_010)
		mu.Lock()
		quality = reading.TimeHoldover
		mu.Unlock()
		time.Sleep(24 * time.Hour)
		kept(25_001, 25_010)
		mu.Lock()
		quality = reading.TimeSynchronised
		mu.Unlock()
		time.Sleep(2 * pruneEvery)
		synctest.Wait()
		if all := sinceAll(t, s, dev1, 0); len(all) != 0 || s.Stats().Rows != 0 {
			t.Fatalf("%d kept", len(all))
		}
		shut(t, s)
		s = open(t, Options{Path: s.opt.Path})
		if latest, err := s.Latest(t.Context()); err != nil || len(latest) != 1 || latest[0].Reading(1).Seq != 25_010 {
			t.Errorf("the latest value went with the history: %v, %v", latest, err)
		}
		fill(10)
		if all := sinceAll(t, s, dev1, 0); len(all) != 10 || all[0].Seq != 25_011 {
			t.Errorf("got %d readings", len(all))
		}
		shut(t, s)
	})
}

func TestQueueDropsTheOldest(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	var q queue
	var want []uint64
	seq, drops := uint64(0), false
	for range 20_000 {
		if r.IntN(50) > 0 {
			seq++
			dropped := q.push(row{seq: seq}, 100)
			drops = drops || dropped
			if dropped != (len(want) == 100) {
				t.Fatalf("dropped %v with %d rows", dropped, len(want))
			}
			if dropped {
				want = want[1:]
			}
			want = append(want, seq)
		} else {
			for _, got := range q.take(nil, r.IntN(110)) {
				if got.seq != want[0] {
					t.Fatalf("got %d, want %d", got.seq, want[0])
				}
				want = want[1:]
			}
		}
		if q.n != len(want) {
			t.Fatalf("%d rows, want %d", q.n, len(want))
		}
	}
	if !drops {
		t.Error("the queue was never full")
	}
}

func TestConcurrentUse(t *testing.T) {
	s := open(t, Options{BatchRows: 50})
	var keys []string
	for i := range 4 {
		keys = append(keys, fmt.Sprintf("%016x", i+1))
	}
	put(t, s, keys...)
	const each = 1500
	var writers, others sync.WaitGroup
	stop := make(chan struct{})
	for _, key := range keys {
		writers.Go(func() {
			for i := range each {
				seq, err := s.Next(t.Context(), key)
				if err != nil || seq != uint64(i+1) {
					t.Errorf("%s: %d, %v; want %d", key, seq, err, i+1)
					return
				}
				if err := s.AddReading(&reading.Reading{Stream: key, Seq: seq, Time: start, Values: []reading.Value{num("a", float64(seq))}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	steps := []func() error{
		func() error {
			last := uint64(0)
			return s.Since(t.Context(), keys[0], 0, func(r reading.Reading) error {
				if r.Seq != last+1 {
					t.Errorf("%d after %d", r.Seq, last)
				}
				last = r.Seq
				return nil
			})
		},
		func() error { return s.Flush(t.Context()) },
		func() error { _, err := s.Latest(t.Context()); s.Durable(); s.Stats(); return err },
		func() error { return s.PutDevice(t.Context(), dev1, []byte("{}")) },
		func() error {
			return errors.Join(s.RenameDevice(t.Context(), keys[1], "kitchen"), s.Audit(t.Context(), AuditEntry{}))
		},
	}
	for _, step := range steps {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := step(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	others.Wait()
	flush(t, s)
	for _, key := range keys {
		if all := sinceAll(t, s, key, 0); len(all) != each || !slices.IsSortedFunc(all, func(a, b reading.Reading) int { return cmp.Compare(a.Seq, b.Seq) }) {
			t.Errorf("%s: %d readings", key, len(all))
		}
	}
}

// Readings that go to the disk between the walk over the disk and the look at the queue are neither lost nor doubled.
func TestSinceDuringACommit(t *testing.T) {
	s := open(t, Options{})
	put(t, s, dev1)
	for range 10 {
		add(t, s, dev1, start, num("a", 1))
	}
	flush(t, s)
	for range 10 {
		add(t, s, dev1, start, num("a", 1))
	}
	var got []uint64
	err := s.Since(t.Context(), dev1, 0, func(r reading.Reading) error {
		if got = append(got, r.Seq); r.Seq == 10 || r.Seq == 20 {
			add(t, s, dev1, start, num("a", 1))
			flush(t, s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, seq := range got {
		if seq != uint64(i+1) {
			t.Fatalf("got %v", got)
		}
	}
	if len(got) < 22 {
		t.Fatalf("got %v", got)
	}
}
