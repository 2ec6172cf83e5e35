package p2p

import (
	"net"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

func TestMDNSLeavesLoopbackOut(t *testing.T) {
	cfg := hostConfig(t, RolePeer)
	cfg.Listen = []ma.Multiaddr{ma.StringCast("/ip4/0.0.0.0/tcp/0")}
	h := startHost(t, cfg)
	addrs, err := lanFace{h.Host}.Network().InterfaceListenAddresses()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if manet.IsIPLoopback(a) {
			t.Errorf("announces %v", a)
		}
	}
}

func TestMDNSWithoutUsableNetworkIsHarmless(t *testing.T) {
	cfg := hostConfig(t, RolePeer) // listens on loopback only: there is nothing to announce
	cfg.NoMDNS = false
	startHost(t, cfg)
}

func TestPeerFindsGatewayByMDNS(t *testing.T) {
	if !canMulticast() {
		t.Skip("no interface here takes multicast")
	}
	known := &members{}
	cfg := hostConfig(t, RoleGateway)
	cfg.Mode, cfg.NoMDNS, cfg.Auth = ModeLAN, false, known
	cfg.Listen = []ma.Multiaddr{ma.StringCast("/ip4/0.0.0.0/tcp/0")}
	gateway := startHost(t, cfg)
	serveEcho(gateway)
	cfg = hostConfig(t, RolePeer)
	cfg.Mode, cfg.NoMDNS = ModeLAN, false
	cfg.Listen = []ma.Multiaddr{ma.StringCast("/ip4/0.0.0.0/tcp/0")}
	visitor := startHost(t, cfg)
	known.add(visitor.ID())
	ctx := testContext(t)
	if err := visitor.ConnectPeer(ctx, gateway.ID(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := echo(ctx, visitor, gateway.ID()); err != nil {
		t.Error(err)
	}
}

// canMulticast reports whether an interface lets us join the mDNS group.
func canMulticast() bool {
	ifaces, err := net.Interfaces()
	if err != nil {
		return false
	}
	for _, i := range ifaces {
		const up = net.FlagUp | net.FlagMulticast
		if i.Flags&up != up || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		c, err := net.ListenMulticastUDP("udp4", &i, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
		if err != nil {
			continue
		}
		if c.Close() == nil {
			return true
		}
	}
	return false
}
