package subscriber

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"

	"github.com/peerbee/peerbee/p2p"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openPeer(t *testing.T, o Options) *Peer {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Listen, o.NoMDNS = []string{"/ip4/127.0.0.1/tcp/0"}, true
	p, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

const (
	onePeer   = "12D3KooWGRUVhVfGBYmu9xTLTsz4AeyvUVAgKGqTPyEDHnBMvEMC"
	otherPeer = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
)

func TestGatewaysAreKeptByName(t *testing.T) {
	p := openPeer(t, Options{})
	keep := func(g Gateway) string {
		t.Helper()
		name, err := p.keep(g)
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	if name := keep(Gateway{Name: "home", PeerID: onePeer, Role: "viewer"}); name != "home" {
		t.Errorf("kept as %q", name)
	}
	if name := keep(Gateway{Name: "home", PeerID: otherPeer}); name != "home-2" {
		t.Errorf("another gateway of the same name is kept as %q", name)
	}
	if name := keep(Gateway{Name: "home", PeerID: onePeer, Role: "owner"}); name != "home" {
		t.Errorf("the same gateway again is kept as %q", name)
	}
	if g, err := p.gateway("home"); err != nil || g.Role != "owner" || g.PeerID != onePeer {
		t.Errorf("%+v %v", g, err)
	}
	if err := writeJSON(p.path("home", ".position.json"), position{Epoch: 7}, true); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", maxName)
	if name := keep(Gateway{Name: long, PeerID: onePeer}); name != long {
		t.Errorf("kept as %q", name)
	}
	if name := keep(Gateway{Name: long, PeerID: otherPeer}); name != long[2:]+"-2" {
		t.Errorf("another gateway of the same long name is kept as %q", name)
	}
	names, err := p.Gateways()
	if diff := cmp.Diff([]string{"home", "home-2", long[2:] + "-2", long}, names); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestFileName(t *testing.T) {
	for text, want := range map[string]string{
		"home": "home", "My Home!": "my-home", "../../etc/passwd": "etc-passwd", "": "gateway", "日本": "gateway",
		"-a-": "a", strings.Repeat("x", 100): strings.Repeat("x", 48),
	} {
		if got := fileName(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	if long := fileName(strings.Repeat("x", 47) + "-y"); long != fileName(long) {
		t.Errorf("%q cannot be found again", long)
	}
}

func hint(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.NextStep()
	}
	return ""
}

func nothing(Event) error { return nil }

func TestErrorsNameTheNextStep(t *testing.T) {
	p := openPeer(t, Options{})
	ctx := t.Context()
	if err := p.Subscribe(ctx, "home", Filter{}, nothing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(hint(err), "peerbee subscribe") {
		t.Errorf("no gateway known: %v, next %q", err, hint(err))
	}
	if _, err := p.keep(Gateway{Name: "attic", PeerID: onePeer}); err != nil {
		t.Fatal(err)
	}
	if err := p.Subscribe(ctx, "home", Filter{}, nothing); !strings.Contains(hint(err), "attic") {
		t.Errorf("another gateway known: %v, next %q", err, hint(err))
	}
	if err := p.Subscribe(ctx, "../attic", Filter{}, nothing); hint(err) == "" {
		t.Errorf("a path as name: %v", err)
	}
	for name, text := range map[string]string{
		"no JSON": "{", "no peer": `{"name":"attic","peer_id":"x"}`, "no address": `{"name":"attic","peer_id":"` + onePeer + `","addrs":["x"]}`,
	} {
		if err := os.WriteFile(p.path("attic", ".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := p.Subscribe(ctx, "attic", Filter{}, nothing); hint(err) == "" {
			t.Errorf("%s in the gateway's file: %v without a next step", name, err)
		}
	}
	if _, err := p.Enrol(ctx, "peerbee1nonsense", ""); err == nil {
		t.Error("nonsense is taken for a ticket")
	}
	if _, err := Open(ctx, Options{Dir: "/proc/peerbee"}); hint(err) == "" {
		t.Errorf("an impossible folder: %v", err)
	}
}

func TestExpiredTicketIsNotTried(t *testing.T) {
	key, err := p2p.KeyFile{Path: filepath.Join(t.TempDir(), "key")}.HostKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := openPeer(t, Options{})
	k := p2p.Ticket{ID: p2p.NewTicketID(), Secret: p2p.NewSecret(), Expires: time.Now().Add(-time.Hour).Truncate(time.Second)}
	if k.Gateway, err = peer.IDFromPrivateKey(key); err != nil {
		t.Fatal(err)
	}
	text, err := k.Text()
	if err != nil {
		t.Fatal(err)
	}
	if !IsTicket(text) || !IsTicket(" "+strings.ToUpper(text)+"\n") || IsTicket("home") {
		t.Error("tickets are not told from names")
	}
	if _, err := p.Enrol(t.Context(), text, ""); hint(err) == "" || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired ticket: %v, next %q", err, hint(err))
	}
	if p.host != nil {
		t.Error("an expired ticket made the peer go to the network")
	}
}

func TestDamagedPositionStartsAnewAndSaysSo(t *testing.T) {
	var log bytes.Buffer
	p := openPeer(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	want := position{Epoch: 7, Cursors: map[string]uint64{"a": 4}, Since: time.UnixMilli(1_700_000_000_000).UTC()}
	if err := writeJSON(p.path("home", ".position.json"), want, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, p.position("home")); diff != "" || log.Len() > 0 {
		t.Errorf("(-want +got):\n%s%s", diff, log.String())
	}
	if got := p.position("unknown"); got.Epoch != 0 || log.Len() > 0 {
		t.Errorf("no position: %+v %s", got, log.String())
	}
	if err := os.WriteFile(p.path("home", ".position.json"), []byte(`{"epoch":7,"cursors":{"a":4`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := p.position("home"); got.Epoch != 0 || got.Cursors != nil || log.Len() == 0 {
		t.Errorf("a damaged position: %+v, logged %q", got, log.String())
	}
}

func TestWriteJSONReplacesOrLeaves(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.json")
	for _, sync := range []bool{false, true} {
		if err := writeJSON(path, map[string]bool{"sync": sync}, sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeJSON(path, func() {}, true); err == nil {
		t.Error("what cannot be written is written")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != `{"sync":true}` {
		t.Errorf("the file is %q, %v", b, err)
	}
	if err := writeJSON(filepath.Join(dir, "none", "x.json"), 1, true); err == nil {
		t.Error("a missing folder is no error")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestCloseBeforeUse(t *testing.T) {
	p := openPeer(t, Options{})
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.keep(Gateway{Name: "home", PeerID: onePeer}); err != nil {
		t.Fatal(err)
	}
	if err := p.Subscribe(ctx, "home", Filter{}, nothing); err == nil {
		t.Error("a subscription that was cancelled before it began succeeds")
	}
}
