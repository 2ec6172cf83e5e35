package access

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"

	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/gateway/store"
	"github.com/peerbee/peerbee/p2p"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	_ p2p.Authorizer = (*Access)(nil)
	_ p2p.Enroller   = (*Access)(nil)
)

const (
	kitchen = "00158d0000000001"
	garden  = "00158d0000000002"
)

func decodePeer(t testing.TB, s string) peer.ID {
	t.Helper()
	id, err := peer.Decode(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func somePeers(t testing.TB) []peer.ID {
	t.Helper()
	return []peer.ID{
		decodePeer(t, "12D3KooWGRUVhVfGBYmu9xTLTsz4AeyvUVAgKGqTPyEDHnBMvEMC"),
		decodePeer(t, "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"),
		decodePeer(t, "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"),
	}
}

// bench is an Access on a real store, with a clock that can be set.
type bench struct {
	t       testing.TB
	path    string
	st      *store.Store
	a       *Access
	revoked []peer.ID

	mu      sync.Mutex // guards the clock, which the store's goroutine reads too
	offset  time.Duration
	quality reading.TimeQuality
}

func (b *bench) clock() (time.Time, reading.TimeQuality) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Add(b.offset), b.quality
}

// setClock moves the wall clock and says how good it is.
func (b *bench) setClock(by time.Duration, quality reading.TimeQuality) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.offset += by
	b.quality = quality
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "peerbee.db")}
	b.open()
	return b
}

func (b *bench) open() {
	b.t.Helper()
	var err error
	if b.st, err = store.Open(context.Background(), store.Options{Path: b.path, Clock: b.clock}); err != nil {
		b.t.Fatal(err)
	}
	b.a, err = New(context.Background(), b.st, Options{Clock: b.clock, OnRevoke: func(id peer.ID) { b.revoked = append(b.revoked, id) }})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) close() {
	b.t.Helper()
	if err := b.st.Close(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) share(req ShareRequest) Ticket {
	b.t.Helper()
	k, err := b.a.Share(context.Background(), req)
	if err != nil {
		b.t.Fatal(err)
	}
	return k
}

func (b *bench) redeem(who peer.ID, k Ticket) (p2p.Welcome, error) {
	return b.a.Redeem(context.Background(), who, k.ID, k.Secret)
}

func (b *bench) may(who peer.ID, device, property string) bool {
	b.t.Helper()
	err := b.a.May(context.Background(), who, p2p.Right{Action: p2p.ActionRead, Device: device, Property: property})
	if err != nil && !errors.Is(err, p2p.ErrDenied) {
		b.t.Fatal(err)
	}
	return err == nil
}

func TestNobodyMayAnything(t *testing.T) {
	b := newBench(t)
	defer b.close()
	who := somePeers(t)[0]
	if b.may(who, kitchen, "temperature") || b.a.Known(who) || b.a.Open() {
		t.Error("an empty list allows something")
	}
	if _, err := b.a.Redeem(t.Context(), who, nil, nil); !errors.Is(err, p2p.ErrDenied) {
		t.Errorf("got %v", err)
	}
}

func TestShareRedeemRevoke(t *testing.T) {
	b := newBench(t)
	defer b.close()
	if err := b.st.SetName(t.Context(), "home"); err != nil {
		t.Fatal(err)
	}
	p := somePeers(t)
	k := b.share(ShareRequest{Actor: "uid:1000", Label: "anna", Devices: []string{kitchen}, Properties: []string{"temperature"}})
	if !b.a.Open() {
		t.Error("the ticket is not open")
	}
	w, err := b.redeem(p[0], k)
	if err != nil {
		t.Fatal(err)
	}
	want := p2p.Welcome{Gateway: "home", Role: "viewer", DiscoverySecret: k.DiscoverySecret}
	if diff := cmp.Diff(want, w); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again, err := b.redeem(p[0], k); err != nil || !cmp.Equal(w, again) {
		t.Errorf("the second time: %v, %v", again, err)
	}
	if _, err := b.redeem(p[1], k); !errors.Is(err, p2p.ErrDenied) {
		t.Errorf("somebody else: %v", err)
	}
	if b.a.Open() || !b.a.Known(p[0]) || b.a.Known(p[1]) {
		t.Error("wrong Open or Known")
	}
	if !b.may(p[0], kitchen, "temperature") || b.may(p[0], kitchen, "humidity") || b.may(p[0], garden, "temperature") || b.may(p[1], kitchen, "temperature") {
		t.Error("wrong rights")
	}
	if b.a.May(t.Context(), p[0], p2p.Right{Action: "command", Device: kitchen, Property: "temperature"}) == nil {
		t.Error("a right to read allows commands")
	}
	generation := b.a.Generation()
	gone, err := b.a.Revoke(t.Context(), "anna", "uid:1000")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]peer.ID{p[0]}, gone.Peers); diff != "" || !slices.Equal(b.revoked, gone.Peers) {
		t.Errorf("revoked %v, told %v", gone, b.revoked)
	}
	if b.may(p[0], kitchen, "temperature") || b.a.Known(p[0]) || b.a.Generation() == generation {
		t.Error("revoked, and may")
	}
	if cmp.Equal(b.a.DiscoverySecret(), k.DiscoverySecret) {
		t.Error("the discovery secret stayed")
	}
	if _, err := b.redeem(p[0], k); !errors.Is(err, p2p.ErrDenied) {
		t.Errorf("a revoked peer's ticket: %v", err)
	}
	if _, err := b.a.Revoke(t.Context(), "anna", ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
	log, err := b.st.AuditLog(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, e := range log {
		actions = append(actions, e.Action+" "+e.Outcome)
	}
	if diff := cmp.Diff([]string{"redeem denied", "revoke ok", "redeem denied", "redeem ok", "share ok"}, actions); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

func TestStrangerCannotBurnATicket(t *testing.T) {
	b := newBench(t)
	defer b.close()
	p := somePeers(t)
	k := b.share(ShareRequest{Label: "anna", Devices: []string{All}})
	bad := k
	bad.Secret = make([]byte, TicketSecretSize)
	for range 3 * maxTries {
		if _, err := b.redeem(p[1], bad); !errors.Is(err, p2p.ErrDenied) {
			t.Fatalf("a wrong secret: %v", err)
		}
	}
	if _, err := b.redeem(p[1], k); !errors.Is(err, p2p.ErrDenied) {
		t.Errorf("locked, and redeemed: %v", err)
	}
	if _, open := b.a.List(); len(open) != 1 || open[0].Tries != maxTries {
		t.Errorf("open tickets: %+v", open)
	}
	if _, err := b.redeem(p[0], k); err != nil {
		t.Errorf("the right peer: %v", err)
	}
}

func TestTriesAreBounded(t *testing.T) {
	b := newBench(t)
	defer b.close()
	k := b.share(ShareRequest{Label: "anna", Devices: []string{All}})
	k.Secret = []byte("wrong")
	for i := range maxTried + 100 {
		id := peer.ID("\x00\x04" + string([]byte{byte(i >> 8), byte(i), 0, 0}))
		if _, err := b.redeem(id, k); !errors.Is(err, p2p.ErrDenied) {
			t.Fatal(err)
		}
	}
	log, err := b.st.AuditLog(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.a.tries) > maxTried || len(log) > 100 {
		t.Errorf("%d tries remembered, %d audit lines", len(b.a.tries), len(log))
	}
}

func TestShareRefuses(t *testing.T) {
	b := newBench(t)
	defer b.close()
	for name, req := range map[string]ShareRequest{
		"no label":          {Devices: []string{kitchen}},
		"no device":         {Label: "x"},
		"an empty device":   {Label: "x", Devices: []string{""}},
		"an empty property": {Label: "x", Devices: []string{kitchen}, Properties: []string{""}},
	} {
		if _, err := b.a.Share(t.Context(), req); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestDropDevice(t *testing.T) {
	b := newBench(t)
	defer b.close()
	p := somePeers(t)
	for i, devices := range [][]string{{kitchen}, {kitchen, garden}, {All}} {
		if _, err := b.redeem(p[i], b.share(ShareRequest{Label: "x", Devices: devices})); err != nil {
			t.Fatal(err)
		}
	}
	open := []Ticket{
		b.share(ShareRequest{Label: "only", Devices: []string{kitchen}}),
		b.share(ShareRequest{Label: "all", Devices: []string{All}}),
	}
	if err := b.a.DropDevice(t.Context(), kitchen); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]peer.ID{p[0]}, b.revoked); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	for range 2 {
		for i, want := range []struct{ kitchen, garden bool }{{false, false}, {false, true}, {false, true}} {
			if b.may(p[i], kitchen, "x") != want.kitchen || b.may(p[i], garden, "x") != want.garden {
				t.Errorf("peer %d: kitchen %v, garden %v", i, b.may(p[i], kitchen, "x"), b.may(p[i], garden, "x"))
			}
		}
		b.close()
		b.open()
	}
	if _, err := b.redeem(p[0], open[0]); !errors.Is(err, p2p.ErrDenied) {
		t.Errorf("a ticket for nothing: %v", err)
	}
	if _, err := b.redeem(p[0], open[1]); err != nil || b.may(p[0], kitchen, "x") || !b.may(p[0], garden, "x") {
		t.Errorf("a ticket for everything: %v", err)
	}
	if _, err := b.redeem(p[0], b.share(ShareRequest{Label: "again", Devices: []string{All}})); err != nil || !b.may(p[0], kitchen, "x") {
		t.Errorf("shared again: %v", err)
	}
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		defer b.close()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.a.Serve(ctx) }()
		p := somePeers(t)
		k := b.share(ShareRequest{Label: "anna", Devices: []string{All}, TicketFor: time.Minute, RightsFor: time.Hour})
		w, err := b.redeem(p[0], k)
		if err != nil || !w.Expires.Equal(time.Now().Add(time.Hour)) {
			t.Fatalf("%v, %v", w, err)
		}
		late := b.share(ShareRequest{Label: "late", Devices: []string{All}, TicketFor: time.Minute})
		time.Sleep(time.Minute + time.Second)
		if _, err := b.redeem(p[1], late); !errors.Is(err, p2p.ErrDenied) || b.a.Open() {
			t.Errorf("an expired ticket: %v", err)
		}
		time.Sleep(58*time.Minute + 58*time.Second)
		synctest.Wait()
		generation := b.a.Generation()
		if !b.may(p[0], kitchen, "x") {
			t.Error("ended early")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if b.may(p[0], kitchen, "x") || b.a.Known(p[0]) {
			t.Error("lasts too long")
		}
		time.Sleep(900 * time.Millisecond)
		synctest.Wait()
		if b.a.Generation() == generation {
			t.Error("nobody was told")
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// A gateway without a clock ends rights by its uptime, and never by a wall clock that was not set.
func TestExpiryWithoutAClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		defer func() { b.close() }()
		p := somePeers(t)
		if _, err := b.redeem(p[0], b.share(ShareRequest{Label: "anna", Devices: []string{All}, RightsFor: time.Hour})); err != nil {
			t.Fatal(err)
		}
		b.setClock(10*365*24*time.Hour, reading.TimeUnknown)
		if !b.may(p[0], kitchen, "x") {
			t.Error("a clock that was never set has ended a right")
		}
		time.Sleep(30 * time.Minute)
		b.close()
		time.Sleep(24 * time.Hour) // switched off
		b.open()
		if !b.may(p[0], kitchen, "x") {
			t.Error("ended before an hour of uptime")
		}
		time.Sleep(31 * time.Minute)
		if b.may(p[0], kitchen, "x") {
			t.Error("lasts for more than an hour of uptime")
		}
	})
}

// A disk that refuses does not keep a revoked peer in.
func TestRevokeWithoutADisk(t *testing.T) {
	b := newBench(t)
	p := somePeers(t)
	if _, err := b.redeem(p[0], b.share(ShareRequest{Label: "anna", Devices: []string{All}})); err != nil {
		t.Fatal(err)
	}
	b.close()
	gone, err := b.a.Revoke(t.Context(), p[0].String(), "uid:0")
	if err == nil || len(gone.Peers) != 1 || len(b.revoked) != 1 || b.may(p[0], kitchen, "x") || b.a.Known(p[0]) {
		t.Errorf("got %v, %v", gone, err)
	}
}

func TestListAndSeen(t *testing.T) {
	b := newBench(t)
	defer func() { b.close() }()
	p := somePeers(t)
	if _, err := b.redeem(p[0], b.share(ShareRequest{Label: "anna", Devices: []string{kitchen}})); err != nil {
		t.Fatal(err)
	}
	b.share(ShareRequest{Label: "bert", Role: "operator", Devices: []string{garden}})
	for range 2 {
		for _, id := range p {
			if err := b.a.Seen(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		entries, open := b.a.List()
		if len(entries) != 1 || entries[0].Label != "anna" || entries[0].Peer != p[0] || entries[0].Role != "viewer" || entries[0].Seen.IsZero() ||
			len(entries[0].Rights) != 1 || entries[0].Rights[0].Device != kitchen || entries[0].Rights[0].Property != All {
			t.Errorf("got %+v", entries)
		}
		if len(open) != 1 || open[0].Label != "bert" || open[0].Role != "operator" || open[0].Rights[0].Device != garden {
			t.Errorf("got %+v", open)
		}
		b.close()
		b.open()
	}
}
