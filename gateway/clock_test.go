package gateway

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerbee/peerbee/gateway/reading"
)

func TestClockHoldsOverWithoutTheWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		synced := true
		c := newClock()
		c.synchronised = func() bool { return synced }
		start, q := c.Now()
		if q != reading.TimeSynchronised {
			t.Fatalf("quality %d", q)
		}
		synced = false
		time.Sleep(time.Hour)
		now, q := c.Now()
		if q != reading.TimeHoldover || now.Sub(start) != time.Hour {
			t.Errorf("after an hour without synchronisation: %v later, quality %d", now.Sub(start), q)
		}
		synced = true
		time.Sleep(2 * time.Second)
		if _, q := c.Now(); q != reading.TimeSynchronised {
			t.Errorf("quality %d after synchronisation came back", q)
		}
	})
}

func TestClockResumesFromTheLastKnownTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		c.synchronised = func() bool { return false }
		if _, q := c.Now(); q != reading.TimeUnknown {
			t.Errorf("never synchronised: quality %d", q)
		}
		last := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
		c.resume(last)
		time.Sleep(30 * time.Second)
		if now, q := c.Now(); q != reading.TimeHoldover || !now.Equal(last.Add(30*time.Second)) {
			t.Errorf("got %v quality %d", now, q)
		}
	})
}

func TestClockKeepsTheLastSynchronisedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var synced atomic.Bool
		synced.Store(true)
		c := newClock()
		c.synchronised = synced.Load
		var kept []time.Duration
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		keep := func(ctx context.Context, now time.Time) error {
			if ctx.Err() != nil {
				t.Error("the last time is stored with a context that has ended")
			}
			kept = append(kept, now.Sub(start))
			return nil
		}
		go func() { done <- c.keep(ctx, slog.New(slog.DiscardHandler), keep) }()
		time.Sleep(2*clockKeep + time.Minute)
		synced.Store(false)
		time.Sleep(clockKeep)
		synced.Store(true)
		time.Sleep(time.Minute)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if want := []time.Duration{clockKeep, 2 * clockKeep, 3*clockKeep + 2*time.Minute}; !slices.Equal(kept, want) {
			t.Errorf("kept after %v, want %v", kept, want)
		}
	})
}
