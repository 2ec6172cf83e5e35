package gateway

import (
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
