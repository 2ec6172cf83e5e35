package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	circuitpb "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	ma "github.com/multiformats/go-multiaddr"
)

func TestFirstOfStartsWaysInOrder(t *testing.T) {
	fail := func(after time.Duration) func(context.Context) error {
		return func(ctx context.Context) error {
			select {
			case <-ctx.Done():
			case <-time.After(after):
			}
			return errors.New("no")
		}
	}
	for name, tc := range map[string]struct {
		ways []way
		want time.Duration
		via  string // empty: all fail
	}{
		"the first succeeds and the second never starts": {
			[]way{{"first", 0, func(context.Context) error { return nil }}, {"second", time.Second, func(context.Context) error { panic("started") }}}, 0, "first",
		},
		"a failure starts the next early": {
			[]way{{"first", 0, fail(100 * time.Millisecond)}, {"second", time.Second, func(context.Context) error { return nil }}}, 100 * time.Millisecond, "second",
		},
		"a slow one gets company": {
			[]way{{"first", 0, fail(time.Hour)}, {"second", time.Second, func(context.Context) error { return nil }}}, time.Second, "second",
		},
		"all fail": {[]way{{"first", 0, fail(time.Second)}, {"second", 0, fail(2 * time.Second)}}, 2 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				via, err := firstOf(t.Context(), tc.ways)
				if via != tc.via || (err == nil) != (tc.via != "") || time.Since(began) != tc.want {
					t.Errorf("%q, %v after %v, want %q after %v", via, err, time.Since(began), tc.via, tc.want)
				}
			})
		})
	}
}

func TestSavedAddressesAreKeptAndBounded(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	s := loadSavedAddrs(dir, log)
	ids := make([]peer.ID, maxSavedPeers+5)
	for i := range ids {
		id, err := peer.IDFromPrivateKey(newKey(t))
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = id
	}
	for i := range ids {
		s.add(ids[i], testAddrs(1)[0])
	}
	last := ids[len(ids)-1]
	for _, a := range testAddrs(10) {
		s.add(last, a)
	}
	again := loadSavedAddrs(dir, log)
	got := again.of(last)
	if len(got) != maxSavedAddresses || !got[0].Equal(testAddrs(10)[9]) || len(again.peers) != maxSavedPeers {
		t.Errorf("%v of %d peers", got, len(again.peers))
	}
	if len(again.of(ids[0])) != 0 {
		t.Error("the oldest peer is still there")
	}
	for name, content := range map[string][]byte{"damaged": []byte("{"), "large": make([]byte, maxSavedFile+1)} {
		if err := os.WriteFile(filepath.Join(dir, savedFile), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if s := loadSavedAddrs(dir, log); len(s.peers) != 0 {
			t.Errorf("%s file: %d peers", name, len(s.peers))
		}
	}
}

func TestSightingsAreBoundedAndExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSightings()
		_, changed := s.of("p0")
		for i := range maxSightings + 10 {
			s.HandlePeerFound(peer.AddrInfo{ID: peer.ID(fmt.Sprint("p", i)), Addrs: testAddrs(30)})
			time.Sleep(time.Millisecond)
		}
		select {
		case <-changed:
		default:
			t.Error("nobody was told")
		}
		if len(s.seen) != maxSightings {
			t.Errorf("%d sightings", len(s.seen))
		}
		if a, _ := s.of("p0"); a != nil {
			t.Error("the oldest is still there")
		}
		if a, _ := s.of("p137"); len(a) != maxSightedAddr {
			t.Errorf("the newest has %d addresses", len(a))
		}
		time.Sleep(sightingLife)
		if a, _ := s.of("p137"); a != nil {
			t.Error("a sighting outlives its time")
		}
	})
}

func TestPublicFace(t *testing.T) {
	loop, lan := ma.StringCast("/ip4/127.0.0.1/tcp/1"), ma.StringCast("/ip4/192.168.1.2/tcp/1")
	relay := ma.StringCast("/ip4/127.0.0.1/tcp/9/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X/p2p-circuit")
	for name, tc := range map[string]struct{ in, want []ma.Multiaddr }{
		"loopback hides behind others": {[]ma.Multiaddr{loop, lan, relay}, []ma.Multiaddr{lan, relay}},
		"loopback alone stays":         {[]ma.Multiaddr{loop, relay}, []ma.Multiaddr{loop, relay}},
		"nothing":                      {nil, nil},
	} {
		got := publicFace(tc.in)
		if fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := publicFace(append(testAddrs(40), relay)); len(got) != maxAddrs || !got[maxAddrs-1].Equal(relay) {
		t.Errorf("%d addresses", len(got))
	}
}

func TestRankDialsPutsRelaysSoonAfterDirectOnes(t *testing.T) {
	relay := ma.StringCast("/ip4/192.0.2.9/tcp/9/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X/p2p-circuit")
	ranked := rankDials(append([]ma.Multiaddr{relay}, testAddrs(2)...))
	if len(ranked) != 3 || !ranked[2].Addr.Equal(relay) || ranked[2].Delay != relayDelay {
		t.Errorf("got %v", ranked)
	}
	if alone := rankDials([]ma.Multiaddr{relay}); len(alone) != 1 || alone[0].Delay != 0 {
		t.Errorf("got %v", alone)
	}
}

func TestPortsVary(t *testing.T) {
	one, two, six := ma.StringCast("/ip4/192.0.2.1/tcp/4001"), ma.StringCast("/ip4/192.0.2.1/tcp/4002"), ma.StringCast("/ip6/2001:db8::1/tcp/5001")
	if portsVary([]ma.Multiaddr{one, six, one}) || portsVary(nil) {
		t.Error("one port per address is taken for many")
	}
	if !portsVary([]ma.Multiaddr{one, six, two}) {
		t.Error("two ports of one address go unseen")
	}
}

func TestReservationErrors(t *testing.T) {
	ahead := client.ReservationError{
		Status: circuitpb.Status_MALFORMED_MESSAGE, Reason: "received reservation with expiration date in the past: 2020-01-01",
	}
	refused := client.ReservationError{Status: circuitpb.Status_PERMISSION_DENIED, Reason: "reservation failed"}
	if !onlyClockDiffers(fmt.Errorf("hive: %w", ahead)) || onlyClockDiffers(refused) || onlyClockDiffers(errors.New("x")) {
		t.Error("a differing clock is not told from a refusal")
	}
	if !isRefusal(refused) || isRefusal(ahead) {
		t.Error("a refusal goes unseen")
	}
}
