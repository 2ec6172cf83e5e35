package p2p

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const echoProtocol protocol.ID = "/peerbee/test-echo/1.0.0"

// members is an Authorizer that knows a set of peers.
type members struct {
	mu  sync.Mutex
	set map[peer.ID]bool
}

func (m *members) May(context.Context, peer.ID, Right) error { return ErrDenied }
func (m *members) Generation() uint64                        { return 0 }
func (m *members) Known(p peer.ID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.set[p]
}

func (m *members) add(p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.set == nil {
		m.set = map[peer.ID]bool{}
	}
	m.set[p] = true
}

func newKey(t *testing.T) crypto.PrivKey {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func hostConfig(t *testing.T, role Role) Config {
	return Config{
		Key:    newKey(t),
		Listen: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")},
		Mode:   ModeOn,
		Role:   role,
		NoMDNS: true,
	}
}

// startHost builds a host, serves it and closes it with the test.
func startHost(t *testing.T, cfg Config) *Host {
	t.Helper()
	build := NewHost
	if cfg.Role == RoleHive {
		build = NewHive
	}
	h, err := build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	serveHost(t, h)
	return h
}

func serveHost(t *testing.T, h *Host) {
	served := make(chan error, 1)
	go func() { served <- h.Serve(context.Background()) }()
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-served; err != nil && !errors.Is(err, ErrHostClosed) {
			t.Errorf("serve: %v", err)
		}
	})
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func infoOf(h *Host) peer.AddrInfo { return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()} }

func serveEcho(h *Host) {
	h.SetStreamHandler(echoProtocol, func(s network.Stream) {
		if _, err := io.Copy(s, s); err != nil {
			_ = s.Reset() // the test is over for this stream either way
			return
		}
		_ = s.Close() // as above
	})
}

// echo opens a stream to p and has one word sent back.
func echo(ctx context.Context, from *Host, p peer.ID) (network.Stream, error) {
	s, err := from.NewStream(network.WithAllowLimitedConn(ctx, "test"), p, echoProtocol)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := s.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	if _, err := s.Write([]byte("bee")); err != nil {
		return nil, err
	}
	buf := make([]byte, 3)
	if _, err := io.ReadFull(s, buf); err != nil {
		return nil, err
	}
	if string(buf) != "bee" {
		return nil, errors.New("the echo differs")
	}
	return s, nil
}

func TestConnectsByNoiseAndYamux(t *testing.T) {
	known := &members{}
	cfg := hostConfig(t, RoleGateway)
	cfg.Auth = known
	gateway := startHost(t, cfg)
	visitor := startHost(t, hostConfig(t, RolePeer))
	known.add(visitor.ID())
	serveEcho(gateway)

	ctx := testContext(t)
	if err := visitor.Connect(ctx, infoOf(gateway)); err != nil {
		t.Fatal(err)
	}
	if _, err := echo(ctx, visitor, gateway.ID()); err != nil {
		t.Fatal(err)
	}
	state := visitor.Network().ConnsToPeer(gateway.ID())[0].ConnState()
	if state.Security != noise.ID || state.StreamMultiplexer != yamux.ID || state.Transport != "tcp" {
		t.Errorf("connection is %+v", state)
	}
}

// outcome dials and reports whether the connection is still good for a stream.
func outcome(ctx context.Context, from, to *Host) error {
	if err := from.Connect(ctx, infoOf(to)); err != nil {
		return err
	}
	s, err := echo(ctx, from, to.ID())
	if err != nil {
		return err
	}
	return s.Close()
}

func TestUnknownPeerIsClosedUnlessTicketIsOpen(t *testing.T) {
	for name, open := range map[string]bool{"closed": false, "open": true} {
		t.Run(name, func(t *testing.T) {
			cfg := hostConfig(t, RoleGateway)
			cfg.Auth = &members{}
			cfg.TicketOpen = func() bool { return open }
			gateway := startHost(t, cfg)
			serveEcho(gateway)
			visitor := startHost(t, hostConfig(t, RolePeer))
			err := outcome(testContext(t), visitor, gateway)
			if (err == nil) != open {
				t.Errorf("with tickets open = %v the stranger got: %v", open, err)
			}
			if !open && len(gateway.Network().Conns()) != 0 {
				t.Error("the stranger is still connected")
			}
		})
	}
}

func TestRevokeEndsOpenStream(t *testing.T) {
	known := &members{}
	cfg := hostConfig(t, RoleGateway)
	cfg.Auth = known
	gateway := startHost(t, cfg)
	serveEcho(gateway)
	visitor := startHost(t, hostConfig(t, RolePeer))
	known.add(visitor.ID())
	ctx := testContext(t)
	if err := visitor.Connect(ctx, infoOf(gateway)); err != nil {
		t.Fatal(err)
	}
	s, err := echo(ctx, visitor, gateway.ID())
	if err != nil {
		t.Fatal(err)
	}
	gateway.Revoke(visitor.ID())
	var netErr interface{ Timeout() bool }
	if _, err := s.Read(make([]byte, 1)); err == nil || errors.As(err, &netErr) && netErr.Timeout() {
		t.Fatalf("the open stream outlived the revocation: %v", err)
	}
	if err := outcome(ctx, visitor, gateway); err == nil {
		t.Error("a revoked peer came back")
	}
	gateway.Allow(visitor.ID())
	visitor.forgetFailures(gateway.ID())
	if err := outcome(ctx, visitor, gateway); err != nil {
		t.Errorf("an allowed peer stays out: %v", err)
	}
}

func TestModeOffBuildsNothing(t *testing.T) {
	cfg := hostConfig(t, RoleGateway)
	cfg.Mode = ModeOff
	if _, err := NewHost(cfg); !errors.Is(err, ErrOff) {
		t.Errorf("got %v", err)
	}
	cfg.Mode = "perhaps"
	if _, err := NewHost(cfg); err == nil || errors.Is(err, ErrOff) {
		t.Errorf("got %v", err)
	}
}

func TestServeEndsWithItsContextAndRunsAgain(t *testing.T) {
	h, err := NewHost(hostConfig(t, RolePeer))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.Serve(ctx) }()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	}
	if err := errors.Join(h.Close(), h.Close()); err != nil {
		t.Error(err)
	}
	if err := h.Serve(t.Context()); !errors.Is(err, ErrHostClosed) {
		t.Errorf("serving a closed host: %v", err)
	}
}

func TestTakenPortIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken, err := manet.FromNetAddr(l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	key, err := KeyFile{Path: filepath.Join(t.TempDir(), "key")}.HostKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []Mode{ModeLAN, ModeOn} {
		if _, err := NewHost(Config{Key: key, Role: RoleGateway, Mode: mode, NoMDNS: true, Listen: []ma.Multiaddr{taken}}); !errors.Is(err, ErrListen) {
			t.Errorf("mode %s: %v", mode, err)
		}
	}
}
