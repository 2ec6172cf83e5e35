package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/peerbee/peerbee/zigbee/sim"
)

// stick is a simulated stick in a process of its own, with sensors that join when told to.
type stick struct {
	*process
	*sim.Client
	port string
}

const simulatedSensors = "temperature*50"

func startStick(ctx context.Context, program, dir string) (*stick, error) {
	port, control := filepath.Join(dir, "port"), filepath.Join(dir, "control")
	p, err := spawn(filepath.Join(dir, "stick.log"), nil, program, "sim", "--pty", port, "--control", control,
		"--sensors", simulatedSensors, "--manual-join", "--interval", "24h")
	if err != nil {
		return nil, err
	}
	s := &stick{process: p, port: port}
	err = poll(ctx, 10*time.Second, 5*time.Millisecond, "the simulated stick", func() bool {
		c, err := sim.Dial(control)
		s.Client = c
		return err == nil
	})
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return s, nil
}

func (s *stick) stop() error { return errors.Join(s.Close(), s.process.stop()) }

// load sends so many reports and tells how many went out whole or damaged, and how many of them were damaged.
func (s *stick) load(ctx context.Context, l sim.Load) (wait func(context.Context) (sent, hit int, err error), err error) {
	before, err := s.Stats(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Load(ctx, l); err != nil {
		return nil, err
	}
	limit := time.Minute
	if l.Rate > 0 {
		limit += time.Duration(float64(l.Count) / l.Rate * float64(time.Second))
	}
	return func(ctx context.Context) (int, int, error) {
		var now sim.Stats
		err := poll(ctx, limit, 20*time.Millisecond, "the simulator to send all reports", func() bool {
			now, err = s.Stats(ctx)
			return err != nil || now.LoadSent-before.LoadSent >= l.Count
		})
		return int(now.LoadSent - before.LoadSent), int(now.ReportsHit - before.ReportsHit), err
	}, nil
}
