package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// ports serves one port after the other, each made by open, with gaps while the stick is unplugged.
func (s *Stick) ports(ctx context.Context, open func(context.Context) (io.ReadWriteCloser, error), gone func()) error {
	for ctx.Err() == nil {
		if err := s.plugIn(ctx); err != nil {
			return err
		}
		port, err := open(ctx)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, errPeerGone):
		case err != nil:
			return err
		default:
			s.log.Info("somebody opened the stick's port")
			err = s.link(ctx, port)
			s.log.Info("the stick's port was closed", "reason", err)
		}
		if s.isUnplugged() {
			gone()
		}
	}
	return ended(ctx)
}

// plugIn waits until the stick is plugged in again, and starts it then.
func (s *Stick) plugIn(ctx context.Context) error {
	for {
		s.mu.Lock()
		wait := time.Until(s.plugUntil)
		if !s.unplugged || wait <= 0 {
			if s.unplugged {
				s.unplugged = false
				s.restart()
			}
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// ServeTCP listens at addr, as a stick behind a serial server does, until the context ends. One peer is served at
// a time.
func (s *Stick) ServeTCP(ctx context.Context, addr string) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("opening the simulated stick's TCP port: %w", err)
	}
	return s.ServeListener(ctx, listener)
}

// ServeListener is ServeTCP on a listener, which it closes.
func (s *Stick) ServeListener(ctx context.Context, listener net.Listener) error {
	stop := context.AfterFunc(ctx, func() { listener.Close() }) //nolint:errcheck // closing is all it is for
	defer stop()
	defer listener.Close() //nolint:errcheck // closing is all it is for
	s.log.Info("simulated stick is listening", "address", listener.Addr().String())
	accept := func(context.Context) (io.ReadWriteCloser, error) {
		conn, err := listener.Accept()
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, ended(ctx)
		case err != nil:
			return nil, fmt.Errorf("waiting for a peer: %w", err)
		}
		return conn, nil
	}
	return s.serve(ctx, func(ctx context.Context) error { return s.ports(ctx, accept, func() {}) })
}
