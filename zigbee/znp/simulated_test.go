package znp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerbee/peerbee/zigbee/sim"
	"github.com/peerbee/peerbee/zigbee/znp"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// simulated is a host on a simulated stick, with all that the host sends.
type simulated struct {
	*znp.Host
	stick *sim.Stick
	conns chan net.Conn
	gone  chan struct{}

	mu     sync.Mutex // guards what follows
	sent   []mt.Message
	before func(mt.Message, net.Conn) // called with each message before it goes out
}

// simulate runs a test with a host on a simulated stick in a bubble of fake time.
func simulate(t *testing.T, so sim.Options, expect *znp.Network, test func(*testing.T, *simulated)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		stick, err := sim.New(so)
		if err != nil {
			t.Fatal(err)
		}
		s := &simulated{stick: stick, conns: make(chan net.Conn), gone: make(chan struct{})}
		s.Host = znp.New(znp.Options{Open: s.open, Expect: expect})
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if err := stick.ServeListener(ctx, s); !errors.Is(err, context.Canceled) && !errors.Is(err, net.ErrClosed) {
				t.Errorf("stick: %v", err)
			}
		})
		group.Go(func() {
			if err := s.Serve(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("host: %v", err)
			}
		})
		test(t, s)
		cancel()
		group.Wait()
	})
}

// Accept, Close and Addr make the stick's side a net.Listener.
func (s *simulated) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.gone:
		return nil, net.ErrClosed
	}
}

func (s *simulated) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.gone:
	default:
		close(s.gone)
	}
	return nil
}

func (s *simulated) Addr() net.Addr { return &net.UnixAddr{Name: "simulated"} }

func (s *simulated) open(ctx context.Context) (io.ReadWriteCloser, error) {
	host, far := net.Pipe()
	select {
	case s.conns <- far:
		return &watchedPort{Conn: host, s: s}, nil
	case <-time.After(10 * time.Millisecond):
		return nil, errors.New("no such port")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// watchedPort is the host's end of the line.
type watchedPort struct {
	net.Conn
	s      *simulated
	parser unpi.Parser
}

func (p *watchedPort) Write(b []byte) (int, error) {
	p.parser.Feed(b, func(f unpi.Frame) {
		f.Payload = slices.Clone(f.Payload)
		m, err := mt.DecodeFrame(f)
		if err != nil {
			return
		}
		p.s.mu.Lock()
		p.s.sent = append(p.s.sent, m)
		before := p.s.before
		p.s.mu.Unlock()
		if before != nil {
			before(m, p.Conn)
		}
	})
	return p.Conn.Write(b)
}

func (s *simulated) set(before func(mt.Message, net.Conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent, s.before = nil, before
}

// onlyRead fails the test when the host has sent, since set, anything but questions.
func (s *simulated) onlyRead(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sent) == 0 {
		t.Error("nothing was asked")
	}
	for _, m := range s.sent {
		switch m.(type) {
		case *mt.UtilGetDeviceInfo, *mt.NVLength, *mt.NVReadExt, *mt.ExtNVLength, *mt.ExtNVRead:
		default:
			t.Errorf("sent %s", m.Command())
		}
	}
}

// until lets time pass until ok, for a minute at most.
func (s *simulated) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("no %s; state %+v", what, s.State())
		}
	}
}
