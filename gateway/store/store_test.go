package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/peerbee/peerbee/gateway/reading"
)

func TestMain(m *testing.M) {
	if crashChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	dev1 = "00158d0001a2b3c4"
	dev2 = "00158d0001a2b3c5"
)

var start = time.UnixMilli(1_790_000_000_000)

func open(t testing.TB, opt Options) *Store {
	t.Helper()
	if opt.Path == "" {
		opt.Path = filepath.Join(t.TempDir(), "peerbee.db")
	}
	s, err := Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

func shut(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, s *Store, keys ...string) {
	t.Helper()
	for _, k := range keys {
		if err := s.PutDevice(t.Context(), k, []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
	}
}

// add stores one reading under the next number.
func add(t testing.TB, s *Store, key string, at time.Time, values ...reading.Value) reading.Reading {
	t.Helper()
	seq, err := s.Next(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	r := reading.Reading{Stream: key, Epoch: s.Epoch(), Seq: seq, Time: at, Values: values}
	if err := s.AddReading(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

func flush(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func sinceAll(t testing.TB, s *Store, key string, after uint64) (all []reading.Reading) {
	t.Helper()
	err := s.Since(t.Context(), key, after, func(r reading.Reading) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func num(name string, v float64) reading.Value { return reading.Value{Name: name, Value: v} }

func TestReadingsSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b", "peerbee?.db")
	s := open(t, Options{Path: path})
	put(t, s, dev1, dev2)
	if err := s.PutDescriptor(t.Context(), "0011223344556677", []byte("d")); err != nil {
		t.Fatal(err)
	}
	var want []reading.Reading
	for i := range 1200 {
		add(t, s, dev2, start, num("x", float64(i)))
		r := reading.Reading{
			Stream: dev1, Epoch: s.Epoch(), Time: start.Add(time.Duration(i) * time.Second), Clock: reading.TimeHoldover, Desc: "0011223344556677",
			Values: []reading.Value{
				num("temperature", float64(i)/100),
				{Name: "count", Value: int64(i)},
				{Name: "open", Value: i%2 == 0},
				{Name: "raw", Value: []byte{byte(i)}},
				{Name: "text", Value: fmt.Sprint("ä\"\n", i)},
				{Name: "unknown", Status: reading.StatusUnknown},
			},
		}
		var err error
		if r.Seq, err = s.Next(t.Context(), dev1); err != nil {
			t.Fatal(err)
		}
		if err := s.AddReading(&r); err != nil {
			t.Fatal(err)
		}
		want = append(want, r)
	}
	if diff := cmp.Diff(want, sinceAll(t, s, dev1, 0)); diff != "" {
		t.Errorf("before the flush (-want +got):\n%s", diff)
	}
	latest, err := s.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	epoch := s.Epoch()
	shut(t, s)

	s = open(t, Options{Path: path})
	if s.Epoch() != epoch {
		t.Error("the epoch changed")
	}
	if len(s.Lost()) != 0 {
		t.Errorf("a clean stop lost %v", s.Lost())
	}
	if diff := cmp.Diff(want, sinceAll(t, s, dev1, 0)); diff != "" {
		t.Errorf("after the restart (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[1000:], sinceAll(t, s, dev1, 1000)); diff != "" {
		t.Errorf("resumed (-want +got):\n%s", diff)
	}
	again, err := s.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(latest, again); diff != "" {
		t.Errorf("latest (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]uint64{dev1: 1200, dev2: 1200}, s.Durable()); diff != "" {
		t.Error(diff)
	}
	if n, err := s.Next(t.Context(), dev1); err != nil || n != 1201 {
		t.Errorf("Next = %d, %v; want 1201", n, err)
	}
}
