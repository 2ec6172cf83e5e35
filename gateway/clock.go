package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/peerbee/peerbee/gateway/doctor"
	"github.com/peerbee/peerbee/gateway/reading"
)

// clockKeep is how often the last synchronised time is stored: a Pi without an RTC resumes from it.
const clockKeep = 10 * time.Minute

// clockCheck is how long one answer of the kernel about synchronisation is good for.
const clockCheck = time.Second

// clock tells the time and how far it can be trusted. While the system clock is not synchronised the time is the
// last synchronised time plus the monotonic time since; a machine that never was synchronised has only its own
// clock, and says so with reading.TimeUnknown.
type clock struct {
	synchronised func() bool // asks the kernel; replaced in tests
	wall         func() time.Time

	mu      sync.Mutex // guards the fields below
	base    time.Time  // last synchronised time; zero when there never was one
	baseAt  time.Time  // monotonic moment at which base held
	checked time.Time
	synced  bool
}

func newClock() *clock {
	return &clock{synchronised: doctor.ClockSynchronised, wall: time.Now, baseAt: time.Now()}
}

// resume sets the floor kept from the last run: base held when the process started.
func (c *clock) resume(base time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base.IsZero() && !base.IsZero() {
		c.base, c.baseAt = base, c.wall()
	}
}

// Now gives the time and its quality.
func (c *clock) Now() (time.Time, reading.TimeQuality) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.wall()
	if c.checked.IsZero() || now.Sub(c.checked) >= clockCheck {
		c.checked, c.synced = now, c.synchronised()
	}
	switch {
	case c.synced:
		c.base, c.baseAt = now, now
		return now, reading.TimeSynchronised
	case !c.base.IsZero():
		return c.base.Add(now.Sub(c.baseAt)).Round(0), reading.TimeHoldover
	}
	return now, reading.TimeUnknown
}

// keep stores the last synchronised time every clockKeep and once at the end.
func (c *clock) keep(ctx context.Context, log *slog.Logger, store func(context.Context, time.Time) error) error {
	tick := time.NewTicker(clockKeep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), durableTimeout)
			defer cancel()
			c.keepNow(last, log, store)
			return ctx.Err()
		case <-tick.C:
			c.keepNow(ctx, log, store)
		}
	}
}

func (c *clock) keepNow(ctx context.Context, log *slog.Logger, store func(context.Context, time.Time) error) {
	now, quality := c.Now()
	if quality != reading.TimeSynchronised {
		return
	}
	if err := store(ctx, now); err != nil {
		log.Warn("last known time not stored", "err", err)
	}
}
