package hive

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/p2p"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func settings(t *testing.T) config.Config {
	t.Helper()
	c := config.Default()
	c.Hive = config.Hive{StateDir: filepath.Join(t.TempDir(), "hive"), Listen: []string{"/ip4/127.0.0.1/tcp/0"}}
	return c
}

// run serves a hive until the returned function is called, and gives its address.
func run(t *testing.T, c config.Config) (address string, stop func()) {
	t.Helper()
	h, err := Build(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	addrs := h.Addresses()
	if len(addrs) == 0 {
		t.Fatal("the hive has no address")
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Serve(ctx) }()
	return addrs[0], func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the hive ended with %v", err)
		}
	}
}

func id(t *testing.T, address string) peer.ID {
	t.Helper()
	info, err := peer.AddrInfoFromString(address)
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

func TestHiveKeepsItsIdentity(t *testing.T) {
	c := settings(t)
	first, stop := run(t, c)
	stop()
	second, stop := run(t, c)
	stop()
	if id(t, first) != id(t, second) {
		t.Errorf("the hive was %s and is %s", first, second)
	}
}

// visitor is a gateway that may visit a hive.
func visitor(t *testing.T) *p2p.Host {
	t.Helper()
	key, err := p2p.KeyFile{Path: filepath.Join(t.TempDir(), "key")}.HostKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h, err := p2p.NewHost(p2p.Config{
		Key: key, Mode: p2p.ModeOn, Role: p2p.RolePeer, NoMDNS: true, Listen: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// stays reports whether the hive keeps the connection of a visitor: it is refused after the handshake at the latest.
func stays(t *testing.T, v *p2p.Host, address string) bool {
	t.Helper()
	info, err := peer.AddrInfoFromString(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if v.Connect(ctx, *info) != nil {
		return false
	}
	s, err := v.NewStream(ctx, info.ID, "/peerbee/kad/1.0.0")
	if err != nil {
		return false
	}
	if err := s.Reset(); err != nil {
		t.Error(err)
	}
	return v.Network().Connectedness(info.ID) == network.Connected
}

func TestClosedHiveServesItsMembersOnly(t *testing.T) {
	member, stranger := visitor(t), visitor(t)
	c := settings(t)
	open, stop := run(t, c)
	if !stays(t, member, open) || !stays(t, stranger, open) {
		t.Error("an open hive turns somebody away")
	}
	stop()
	c = settings(t)
	c.Hive.Allow = []string{member.ID().String()}
	closed, stop := run(t, c)
	defer stop()
	if !stays(t, member, closed) {
		t.Error("a closed hive turns its member away")
	}
	if stays(t, stranger, closed) {
		t.Error("a closed hive serves a stranger")
	}
}

func TestMembersHaveNoRights(t *testing.T) {
	m, err := membersOf([]string{"12D3KooWGRUVhVfGBYmu9xTLTsz4AeyvUVAgKGqTPyEDHnBMvEMC"})
	if err != nil {
		t.Fatal(err)
	}
	who, err := peer.Decode("12D3KooWGRUVhVfGBYmu9xTLTsz4AeyvUVAgKGqTPyEDHnBMvEMC")
	if err != nil {
		t.Fatal(err)
	}
	if !m.Known(who) || m.Known("other") || !errors.Is(m.May(t.Context(), who, p2p.Right{Action: p2p.ActionRead}), p2p.ErrDenied) {
		t.Error("a hive gives rights, or knows strangers")
	}
}

func TestWrongSettingsNameTheNextStep(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, port, err := net.SplitHostPort(busy.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for key, set := range map[string]func(*config.Hive){
		"hive.state_dir":     func(h *config.Hive) { h.StateDir = "/proc/peerbee" },
		"hive.allow":         func(h *config.Hive) { h.Allow = []string{"garbage"} },
		"hive.listen":        func(h *config.Hive) { h.Listen = []string{"/garbage"} },
		"hive.listen: taken": func(h *config.Hive) { h.Listen = []string{"/ip4/127.0.0.1/tcp/" + port} },
	} {
		c := settings(t)
		set(&c.Hive)
		_, err := Build(t.Context(), c, slog.New(slog.DiscardHandler))
		var e *config.FileError
		if !errors.As(err, &e) || e.Hint == "" || !strings.HasPrefix(key, e.Key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
