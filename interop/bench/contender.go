package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/peerbee/peerbee/zigbee/sim"
)

// contender is a gateway under measurement, with one subscriber whose arrivals are counted.
type contender interface {
	// start starts it on the stick, which it forms a network on if it is blank, and returns once it serves.
	start(ctx context.Context) error
	// pair lets one sensor join and returns when it is interviewed and configured. join makes it try; its error
	// is sim.ErrControl while joining is closed.
	pair(ctx context.Context, ieee string, join func() error) error
	// subscribe begins to receive, if it does not yet.
	subscribe(ctx context.Context) error
	// parts are its processes: all that is needed between the port and the subscriber.
	parts() []*process
	// stop stops the gateway, not what other programs share with it; close ends everything.
	stop() error
	close() error
}

const (
	startLimit = 60 * time.Second
	pairLimit  = 30 * time.Second
	joinLimit  = 5 * time.Second
)

// joinWhenOpen lets a sensor join, opening the network when it is closed.
func joinWhenOpen(ctx context.Context, join, open func() error) error {
	err := join()
	if err == nil || !errors.Is(err, sim.ErrControl) {
		return err
	}
	if err := open(); err != nil {
		return err
	}
	return poll(ctx, joinLimit, 5*time.Millisecond, "joining to be open", func() bool { return join() == nil })
}

// freePort finds a TCP port that nobody listens on just now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close() //nolint:errcheck // it was only to be found
	return l.Addr().(*net.TCPAddr).Port, nil
}
