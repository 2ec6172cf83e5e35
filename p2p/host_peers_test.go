package p2p

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
)

// strangerConn is a connection of which only the address and the age matter.
type strangerConn struct {
	network.Conn
	from   ma.Multiaddr
	opened time.Time
}

func (c strangerConn) RemoteMultiaddr() ma.Multiaddr { return c.from }
func (c strangerConn) Stat() network.ConnStats {
	return network.ConnStats{Stats: network.Stats{Direction: network.DirInbound, Opened: c.opened}}
}

func TestCrowdedOutTakesTheCrowdsOldest(t *testing.T) {
	began := time.Now()
	at := func(addr string, second int) network.Conn {
		return &strangerConn{from: ma.StringCast(addr), opened: began.Add(time.Duration(second) * time.Second)}
	}
	const relay = "/ip4/192.0.2.50/tcp/1/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X/p2p-circuit"
	honest := []network.Conn{at("/ip4/192.0.2.1/tcp/1", 0), at(relay, 1)}
	crowd := []network.Conn{at("/ip6/2001:db8::3/tcp/1", 4), at("/ip6/2001:db8::2/tcp/1", 3), at("/ip6/2001:db8::4/tcp/1", 5)}
	if got := crowdedOut(append(honest, crowd...)); got != crowd[1] {
		t.Errorf("took %v", got.RemoteMultiaddr())
	}
	if got := crowdedOut(honest); got != honest[0] {
		t.Errorf("without a crowd took %v", got.RemoteMultiaddr())
	}
}

func TestStrangersAreBoundedWhileATicketIsOpen(t *testing.T) {
	known := &members{}
	cfg := hostConfig(t, RoleGateway)
	cfg.Auth, cfg.TicketOpen = known, func() bool { return true }
	gateway := startHost(t, cfg)
	serveEcho(gateway)
	friend := startHost(t, hostConfig(t, RolePeer))
	known.add(friend.ID())
	ctx := testContext(t)
	s, err := func() (network.Stream, error) {
		if err := friend.Connect(ctx, infoOf(gateway)); err != nil {
			return nil, err
		}
		return echo(ctx, friend, gateway.ID())
	}()
	if err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, "the enrolled peer is protected from trimming", func() bool {
		return gateway.ConnManager().IsProtected(friend.ID(), memberTag)
	})
	for range maxStrangers + 5 {
		cfg := hostConfig(t, RolePeer)
		cfg.Mode = ModeLAN
		if err := startHost(t, cfg).Connect(ctx, infoOf(gateway)); err != nil {
			t.Log(err) // it may be the one that is closed
		}
	}
	eventually(ctx, t, fmt.Sprintf("%d strangers left", maxStrangers), func() bool {
		return len(gateway.Network().Conns()) == maxStrangers+1
	})
	if _, err := s.Write([]byte("bee")); err != nil {
		t.Errorf("the friend was closed: %v", err)
	}
	if _, err := s.Read(make([]byte, 3)); err != nil {
		t.Errorf("the friend was closed: %v", err)
	}
}
