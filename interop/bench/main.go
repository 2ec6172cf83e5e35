// Command bench measures the main job, from the bytes of a simulated stick to a subscriber's callback, and beside
// it, in the same run, what people would use instead: zigbee2mqtt with mosquitto. Both are real processes on the
// same simulated stick. It prints a table and judges nothing: machines are noisy, ratios are what counts. It must
// never know how either works inside.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	o := options{}
	flag.StringVar(&o.program, "peerbee", "bin/peerbee", "the peerbee to measure")
	flag.StringVar(&o.node, "node", "", "the Node that runs zigbee2mqtt (empty: peerbee alone)")
	flag.StringVar(&o.packages, "packages", "interop/bench/node_modules", "where zigbee2mqtt is installed")
	flag.BoolVar(&o.full, "full", false, "measure for longer")
	flag.BoolVar(&o.keep, "keep", false, "keep the working folder")
	flag.BoolVar(&o.skipOurs, "others-only", false, "leave peerbee out")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := o.run(ctx)
	cancel()
	if err != nil {
		log.Fatal("error: ", err)
	}
}

type options struct {
	program, node, packages string
	full, keep, skipOurs    bool
}

func (o options) run(ctx context.Context) error {
	var err error
	for _, path := range []*string{&o.program, &o.packages} {
		if *path, err = filepath.Abs(*path); err != nil {
			return fmt.Errorf("find %s: %w", *path, err)
		}
	}
	dir, err := os.MkdirTemp("", "peerbee-bench-")
	if err != nil {
		return fmt.Errorf("make a working folder: %w", err)
	}
	if o.keep {
		log.Print("working folder: ", dir)
	} else {
		defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	}
	var ours, theirs result
	if !o.skipOurs {
		ours, err = o.measure(ctx, filepath.Join(dir, "peerbee"), func(work, port string, a *arrivals) (contender, error) {
			return newOurs(o.program, work, port, a)
		})
		if err != nil {
			return fmt.Errorf("measure peerbee: %w", err)
		}
	}
	if o.node != "" {
		theirs, err = o.measure(ctx, filepath.Join(dir, "zigbee2mqtt"), func(work, port string, a *arrivals) (contender, error) {
			t, err := newTheirs(ctx, o.node, o.packages, work, port, a)
			if err == nil {
				t.watchdog = o.full
			}
			return t, err
		})
		if err != nil {
			return fmt.Errorf("measure zigbee2mqtt: %w", err)
		}
	}
	for _, err := range append(ours.failed, theirs.failed...) {
		log.Print("not measured: ", err)
	}
	return printTable(os.Stdout, ours.cells, theirs.cells)
}

// measure sets a stick and a contender up in a folder of their own, measures, and takes them down.
func (o options) measure(ctx context.Context, dir string, make func(dir, port string, a *arrivals) (contender, error)) (r result, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return r, fmt.Errorf("make a working folder: %w", err)
	}
	s, err := startStick(ctx, o.program, dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	a := newArrivals()
	c, err := make(dir, s.port, a)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	b := &bench{contender: c, amounts: quick, stick: s, arrivals: a}
	if o.full {
		b.amounts = full
	}
	begin := time.Now()
	b.say = func(format string, args ...any) {
		log.Printf("%s %5.1f s  %s", filepath.Base(dir), time.Since(begin).Seconds(), fmt.Sprintf(format, args...))
	}
	return b.run(ctx)
}
