package gateway

import (
	"context"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	usageEvery = 500 * time.Millisecond
	// busyAbove and idleBelow are shares of one processor. Between them nothing changes.
	busyAbove = 0.5
	idleBelow = 0.25
	// calmFor is how long the daemon must be idle before it is kept to one processor again.
	calmFor = 10 * time.Second
)

// processors keeps the Go scheduler to one processor while there is little to do. A report wakes several goroutines
// one after another; with idle processors around, each of those wake-ups rouses a second thread that finds nothing,
// which at 200 reports/s costs as much again as all the work (`make bench`). Under load every processor is used.
type processors struct {
	used func() (time.Duration, error) // processor time of the process so far
	set  func(all bool)
}

// AdaptProcessors lets Serve change how many processors the whole process uses. It is for a process that is this
// gateway and nothing else. Where the environment (GOMAXPROCS) or the machine leaves no choice it does nothing.
func (g *Gateway) AdaptProcessors() {
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) > 1 {
		g.processors = &processors{used: processorTime, set: useProcessors}
	}
}

func useProcessors(all bool) {
	if all {
		runtime.SetDefaultGOMAXPROCS()
		return
	}
	runtime.GOMAXPROCS(1)
}

func processorTime() (time.Duration, error) {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return 0, err
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), nil
}

// Serve watches the load until ctx ends; then every processor may be used again.
func (p *processors) Serve(ctx context.Context) error {
	p.set(false)
	defer p.set(true)
	tick := time.NewTicker(usageEvery)
	defer tick.Stop()
	last, err := p.used()
	if err != nil {
		return err
	}
	at, calmSince, all := time.Now(), time.Now(), false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		used, err := p.used()
		if err != nil {
			return err
		}
		now := time.Now()
		share := float64(used-last) / float64(max(now.Sub(at), 1))
		last, at = used, now
		if share >= idleBelow {
			calmSince = now
		}
		switch {
		case !all && share > busyAbove:
			all = true
			p.set(true)
		case all && now.Sub(calmSince) >= calmFor:
			all = false
			p.set(false)
		}
	}
}
