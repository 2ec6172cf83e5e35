package p2p

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"
)

// oneTicket is an Enroller with a single ticket.
type oneTicket struct {
	id   []byte
	hash [32]byte

	mu     sync.Mutex
	usedBy peer.ID
	fail   error
	asked  int
}

func (o *oneTicket) Redeem(_ context.Context, who peer.ID, id, secret []byte) (Welcome, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	hash := HashSecret(secret)
	switch {
	case o.fail != nil:
		return Welcome{}, o.fail
	case !bytes.Equal(id, o.id) || subtle.ConstantTimeCompare(hash[:], o.hash[:]) == 0:
		return Welcome{}, fmt.Errorf("unknown ticket: %w", ErrDenied)
	case o.usedBy != "" && o.usedBy != who:
		return Welcome{}, fmt.Errorf("used: %w", ErrDenied)
	}
	o.usedBy = who
	return Welcome{Gateway: "pi", Role: "viewer", Expires: time.Unix(1790000000, 0).UTC(), DiscoverySecret: []byte("d")}, nil
}

func (o *oneTicket) Open() bool { return true }

func enrolGateway(t *testing.T) (host.Host, *oneTicket, Ticket) {
	t.Helper()
	gw := streamHost(t)
	ticket := Ticket{Gateway: gw.ID(), Addrs: gw.Addrs(), ID: NewTicketID(), Secret: NewSecret()}
	enroller := &oneTicket{id: ticket.ID, hash: ticket.Secret.Hash()}
	NewEnrolServer(enroller, slog.New(slog.DiscardHandler), nil).Register(gw)
	return gw, enroller, ticket
}

func TestEnrolIsIdempotentForTheSamePeer(t *testing.T) {
	_, _, ticket := enrolGateway(t)
	h := streamHost(t)
	want := Welcome{Gateway: "pi", Role: "viewer", Expires: time.Unix(1790000000, 0).UTC(), DiscoverySecret: []byte("d")}
	for range 20 { // far more than the allowance for failures
		got, err := Enrol(t.Context(), h, ticket)
		noErr(t, err)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	}
	if _, err := Enrol(t.Context(), streamHost(t), ticket); !errors.Is(err, ErrRefused) || !errors.Is(err, ErrDenied) {
		t.Fatalf("a second peer: %v", err)
	}
}

func TestStrangersTriesDoNotBurnATicket(t *testing.T) {
	_, enroller, ticket := enrolGateway(t)
	stranger := streamHost(t)
	guess := ticket
	for range 3 * enrolPeerBurst {
		guess.Secret = NewSecret()
		if _, err := Enrol(t.Context(), stranger, guess); !errors.Is(err, ErrRefused) {
			t.Fatalf("guess: %v", err)
		}
	}
	if enroller.asked > enrolPeerBurst {
		t.Fatalf("the ticket was tried %d times by one peer", enroller.asked)
	}
	// The right secret does not help who has used up its allowance, and another peer is not harmed.
	if _, err := Enrol(t.Context(), stranger, ticket); !errors.Is(err, ErrRefused) {
		t.Fatalf("over its allowance: %v", err)
	}
	if _, err := Enrol(t.Context(), streamHost(t), ticket); err != nil {
		t.Fatal(err)
	}
}

func TestGatewaysOwnFailureIsNotARefusal(t *testing.T) {
	_, enroller, ticket := enrolGateway(t)
	h := streamHost(t)
	enroller.fail = errors.New("disk full")
	if _, err := Enrol(t.Context(), h, ticket); err == nil || errors.Is(err, ErrDenied) {
		t.Fatalf("disk full: %v", err)
	}
	enroller.mu.Lock()
	enroller.fail = nil
	enroller.mu.Unlock()
	if _, err := Enrol(t.Context(), h, ticket); err != nil {
		t.Fatal(err)
	}
}

func TestEnrolServerRefusesBrokenFrames(t *testing.T) {
	gw, enroller, _ := enrolGateway(t)
	h := streamHost(t)
	introduce(h, gw)
	for name, raw := range map[string][]byte{
		"wrong kind":  wire(t, kindHello, helloFrame{Version: 1}),
		"no number":   wire(t, kindRedeem, redeemFrame{Secret: []byte("x")}),
		"long secret": wire(t, kindRedeem, redeemFrame{ID: []byte("x"), Secret: make([]byte, maxEnrolSecret+1)}),
		"garbage":     []byte("\x05hello"),
		"oversized":   []byte("\xff\xff\x7f"),
	} {
		st, err := h.NewStream(t.Context(), gw.ID(), EnrolProtocol)
		noErr(t, err)
		noErr(t, st.SetDeadline(time.Now().Add(10*time.Second)))
		_, err = st.Write(raw)
		noErr(t, err)
		if b, err := io.ReadAll(st); len(b) > 0 || err == nil {
			t.Errorf("%s: answered %x, %v", name, b, err)
		}
	}
	if enroller.asked > 0 {
		t.Errorf("the enroller was asked %d times", enroller.asked)
	}
}

func TestEnrolRefusesABrokenAnswer(t *testing.T) {
	gw, h := streamHost(t), streamHost(t)
	ticket := Ticket{Gateway: gw.ID(), Addrs: gw.Addrs(), ID: NewTicketID()}
	for name, answer := range map[string][]byte{
		"wrong kind": wire(t, kindAck, ackFrame{}),
		"long name":  wire(t, kindWelcome, welcomeFrame{Gateway: string(make([]byte, maxKey+1))}),
		"cut":        wire(t, kindWelcome, welcomeFrame{})[:4],
	} {
		gw.SetStreamHandler(EnrolProtocol, func(s network.Stream) {
			// The redeemer may have left already; what counts is what it makes of the answer.
			_, err := s.Write(answer)
			if errors.Join(err, s.Close()) != nil {
				resetStream(s)
			}
		})
		if w, err := Enrol(t.Context(), h, ticket); err == nil || errors.Is(err, ErrDenied) {
			t.Errorf("%s: %+v, %v", name, w, err)
		}
	}
}

func TestEnrolAllowances(t *testing.T) {
	now := time.Unix(1000, 0)
	l := newEnrolLimiter(func() time.Time { return now })
	v4 := ma.StringCast("/ip4/192.0.2.1/tcp/1")
	// Twenty honest peers behind one address.
	for i := range 20 {
		if !l.allow(peer.ID(fmt.Sprint(i)), v4) {
			t.Fatalf("peer %d is refused", i)
		}
	}
	for i := range 100 {
		l.allow(peer.ID(fmt.Sprint("new", i)), v4)
	}
	if l.allow("another", v4) {
		t.Fatal("an address has no limit")
	}
	if !l.allow("another", ma.StringCast("/ip4/192.0.2.2/tcp/1")) {
		t.Fatal("one address uses up another's allowance")
	}
	for i := range 100 {
		l.allow(peer.ID(fmt.Sprint("six", i)), ma.StringCast(fmt.Sprintf("/ip6/2001:db8::%x/tcp/1", i+1)))
	}
	if l.allow("seven", ma.StringCast("/ip6/2001:db8::ffff:1/tcp/1")) {
		t.Fatal("the addresses of one /64 each have their own allowance")
	}
	now = now.Add(time.Hour)
	if !l.allow("another", v4) {
		t.Fatal("the allowance does not refill")
	}
	for i := range 5 * enrolLimitEntries {
		l.allow(peer.ID(fmt.Sprint("p", i)), ma.StringCast(fmt.Sprintf("/ip4/10.%d.%d.1/tcp/1", i/250, i%250)))
	}
	if len(l.peers) > enrolLimitEntries || len(l.addrs) > enrolLimitEntries {
		t.Fatalf("tables of %d and %d entries", len(l.peers), len(l.addrs))
	}
}

func TestAnyAddressHasAnAllowance(t *testing.T) {
	for _, a := range []string{"/dns4/example.org/tcp/1", "/unix/tmp", "/ip4/192.0.2.1/tcp/1/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA/p2p-circuit"} {
		l := newEnrolLimiter(time.Now)
		if !l.allow("p", ma.StringCast(a)) {
			t.Errorf("%s is refused at once", a)
		}
	}
}

func TestAComponentBuiltAnewCountsOn(t *testing.T) {
	reg := prometheus.NewRegistry()
	for range 2 {
		NewEnrolServer(&oneTicket{}, slog.New(slog.DiscardHandler), reg).attempts.WithLabelValues("refused").Inc()
		NewPublisher(PublisherOptions{Registerer: reg}).m.rejected.Inc()
	}
	families, err := reg.Gather()
	noErr(t, err)
	counted := 0
	for _, f := range families {
		if f.GetName() == "peerbee_enrol_attempts_total" || f.GetName() == "peerbee_sub_rejected_records_total" {
			counted += int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	if counted != 4 {
		t.Fatalf("counted %d", counted)
	}
}
