package p2p

import (
	"context"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

func TestRelayedStreamMovesToADirectConnection(t *testing.T) {
	_, gateway, visitor := enrolled(t) // no listener: only a relay leads there
	ctx := testContext(t)
	eventually(ctx, t, "a circuit address", func() bool { return len(gateway.Addrs()) == 1 && isRelayAddr(gateway.Addrs()[0]) })
	circuit := gateway.Addrs()
	b := newMemoryBacklog()
	p := serveOn(t, gateway, PublisherOptions{Auth: allowing(visitor), Backlog: b})
	s, err := Subscribe(ctx, SubscribeOptions{
		Host: visitor, Gateway: gateway.ID(), Epoch: 7, Cursors: map[string]uint64{"a": 0},
		WindowFrames: 64,
		Connect: func(ctx context.Context) (peer.ID, error) {
			return gateway.ID(), visitor.ConnectPeer(ctx, gateway.ID(), circuit, testSecret)
		},
	})
	noErr(t, err)
	t.Cleanup(s.Close)

	f := &follower{tb: t, last: make(map[string]uint64)}
	var seq uint64
	publish := func(n int) {
		for range n {
			seq++
			rec := testRecord("a", seq, "t")
			b.store(rec)
			p.Publish(rec)
		}
		for f.last["a"] < seq {
			e := next(t, s, EventData, EventGap, EventDisconnected)
			if e.Kind == EventDisconnected && f.last["a"] > 0 {
				t.Fatalf("the stream broke: %v", e.Err)
			}
			f.take(e)
		}
	}
	direct := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.current != nil && !s.current.relayed()
	}
	publish(50)
	if direct() {
		t.Fatal("the stream is direct already")
	}
	gateway.Peerstore().AddAddrs(visitor.ID(), visitor.Addrs(), time.Hour)
	if _, err := gateway.Network().DialPeer(network.WithForceDirectDial(ctx, "test"), visitor.ID()); err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, "the stream is direct", func() bool {
		publish(10)
		return direct()
	})
	publish(50)
	if len(f.gaps) > 0 {
		t.Fatalf("gaps %+v", f.gaps)
	}
	if !p.hasSubscribers() {
		t.Fatal("nobody is subscribed")
	}
}
