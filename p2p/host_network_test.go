package p2p

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/insecure"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/prometheus/client_golang/prometheus"
)

var testSecret = bytes.Repeat([]byte{7}, 32)

func startHive(t *testing.T) *Host { return startHost(t, hostConfig(t, RoleHive)) }

// eventually polls until ok or the context ends.
func eventually(ctx context.Context, t *testing.T, what string, ok func() bool) {
	t.Helper()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("never happened: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// enrolled starts a hive, a gateway that advertises itself and a peer the gateway knows.
func enrolled(t *testing.T, listen ...ma.Multiaddr) (hive, gateway, visitor *Host) {
	t.Helper()
	hive = startHive(t)
	known := &members{}
	cfg := hostConfig(t, RoleGateway)
	cfg.Auth, cfg.Hives, cfg.Listen = known, []peer.AddrInfo{infoOf(hive)}, listen
	gateway = startHost(t, cfg)
	serveEcho(gateway)
	advertise(t, gateway)
	cfg = hostConfig(t, RolePeer)
	cfg.Hives = []peer.AddrInfo{infoOf(hive)}
	visitor = startHost(t, cfg)
	known.add(visitor.ID())
	return hive, gateway, visitor
}

func advertise(t *testing.T, h *Host) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Advertise(ctx, func() []byte { return testSecret }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("advertise: %v", err)
		}
	})
}

func TestPeerFindsGatewayThroughKademlia(t *testing.T) {
	_, gateway, visitor := enrolled(t, ma.StringCast("/ip4/127.0.0.1/tcp/0"))
	ctx := testContext(t)
	eventually(ctx, t, "a provider record", func() bool {
		addrs, err := visitor.kad.provider(ctx, testSecret, weekOf(time.Now()), gateway.ID())
		return err == nil && len(addrs) > 0
	})
	eventually(ctx, t, "an address record", func() bool {
		raw, err := visitor.kad.dht.GetValue(ctx, addressKey(gateway.ID()))
		if err != nil {
			return false
		}
		rec, err := openAddressRecord(gateway.ID(), raw)
		return err == nil && len(rec.addrs) > 0
	})
	stranger := bytes.Repeat([]byte{8}, 32)
	if addrs, err := visitor.kad.provider(ctx, stranger, weekOf(time.Now()), gateway.ID()); err != nil || len(addrs) > 0 {
		t.Errorf("another secret finds %v, %v", addrs, err)
	}
	visitor.Peerstore().ClearAddrs(gateway.ID())
	if err := visitor.ConnectPeer(ctx, gateway.ID(), nil, testSecret); err != nil {
		t.Fatal(err)
	}
	if _, err := echo(ctx, visitor, gateway.ID()); err != nil {
		t.Error(err)
	}
	if !visitor.isDirect(gateway.ID()) {
		t.Error("the connection is relayed although the gateway listens")
	}
}

func TestGatewayBehindHiveIsReachedByRelay(t *testing.T) {
	hive, gateway, visitor := enrolled(t) // no listener: reachable through the hive only
	ctx := testContext(t)
	eventually(ctx, t, "a circuit address", func() bool { return len(gateway.Addrs()) == 1 && isRelayAddr(gateway.Addrs()[0]) })
	if err := visitor.ConnectPeer(ctx, gateway.ID(), nil, testSecret); err != nil {
		t.Fatal(err)
	}
	s, err := echo(ctx, visitor, gateway.ID())
	if err != nil {
		t.Fatal(err)
	}
	if !isRelayAddr(s.Conn().RemoteMultiaddr()) {
		t.Errorf("connected by %v", s.Conn().RemoteMultiaddr())
	}
	gateway.Revoke(visitor.ID())
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("the relayed stream outlived the revocation")
	}
	if visitor.Network().Connectedness(hive.ID()).String() != "Connected" {
		t.Error("the hive was dropped with the peer")
	}
}

func TestKeeperReservesAgainAfterHiveRestart(t *testing.T) {
	cfg := hostConfig(t, RoleHive)
	hive, err := NewHive(cfg)
	if err != nil {
		t.Fatal(err)
	}
	info := infoOf(hive)
	gw := hostConfig(t, RoleGateway)
	gw.Hives, gw.Listen = []peer.AddrInfo{info}, nil
	gateway := startHost(t, gw)
	ctx := testContext(t)
	eventually(ctx, t, "the first reservation", func() bool { return len(gateway.Addrs()) > 0 })
	if err := hive.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, "the address withdrawn", func() bool { return len(gateway.Addrs()) == 0 })
	cfg.Listen = info.Addrs
	startHost(t, cfg)
	eventually(ctx, t, "the second reservation", func() bool { return len(gateway.Addrs()) > 0 })
}

func TestGatewayIsFoundAgainAfterHiveRestart(t *testing.T) {
	cfg := hostConfig(t, RoleHive)
	hive, err := NewHive(cfg)
	if err != nil {
		t.Fatal(err)
	}
	info := infoOf(hive)
	gw := hostConfig(t, RoleGateway)
	gw.Hives = []peer.AddrInfo{info}
	gateway := startHost(t, gw)
	advertise(t, gateway)
	ctx := testContext(t)
	finds := func(visitor *Host) func() bool {
		return func() bool {
			addrs, err := visitor.kad.provider(ctx, testSecret, weekOf(time.Now()), gateway.ID())
			return err == nil && len(addrs) > 0
		}
	}
	peerConfig := hostConfig(t, RolePeer)
	peerConfig.Hives = gw.Hives
	eventually(ctx, t, "found", finds(startHost(t, peerConfig)))
	if err := hive.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Listen = info.Addrs
	startHost(t, cfg)
	peerConfig.Key = newKey(t) // with nothing remembered
	eventually(ctx, t, "found again", finds(startHost(t, peerConfig)))
}

func TestHiveRefusesStrangersReservation(t *testing.T) {
	known := &members{}
	cfg := hostConfig(t, RoleHive)
	cfg.Auth = known
	hive := startHost(t, cfg)
	filter := relayFilter{hive}
	in, out := peer.ID("in"), peer.ID("out")
	known.add(in)
	if !filter.AllowReserve(in, nil) || filter.AllowReserve(out, nil) {
		t.Error("reservations do not follow membership")
	}
	if !filter.AllowConnect(in, nil, in) || filter.AllowConnect(in, nil, out) || filter.AllowConnect(out, nil, in) {
		t.Error("circuits do not follow membership")
	}
	hive.Revoke(in)
	if filter.AllowReserve(in, nil) {
		t.Error("a revoked member keeps its slot")
	}
}

func TestConnectPeerSaysWhatToCheck(t *testing.T) {
	cfg := hostConfig(t, RolePeer)
	cfg.Mode = ModeLAN
	visitor := startHost(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	id, err := peer.IDFromPrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	err = visitor.ConnectPeer(ctx, id, []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/1")}, nil)
	if !errors.Is(err, ErrUnreachable) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestSavedAddressLeadsBack(t *testing.T) {
	known := &members{}
	gw := hostConfig(t, RoleGateway)
	gw.Auth = known
	gateway := startHost(t, gw)
	serveEcho(gateway)
	cfg := hostConfig(t, RolePeer)
	cfg.StateDir = t.TempDir()
	id, err := peer.IDFromPrivateKey(cfg.Key)
	if err != nil {
		t.Fatal(err)
	}
	known.add(id)
	ctx := testContext(t)
	first, err := NewHost(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.ConnectPeer(ctx, gateway.ID(), gateway.Addrs(), nil); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := startHost(t, cfg)
	if err := again.ConnectPeer(ctx, gateway.ID(), nil, nil); err != nil {
		t.Errorf("by the saved address: %v", err)
	}
}

func TestModeLANStaysOnLink(t *testing.T) {
	cfg := hostConfig(t, RolePeer)
	cfg.Mode = ModeLAN
	cfg.Hives = []peer.AddrInfo{{ID: "hive"}}
	h := startHost(t, cfg)
	if h.kad != nil || h.punch != nil || len(h.cfg.Hives) != 0 {
		t.Error("mode lan has Kademlia, punching or hives")
	}
	for _, p := range h.Mux().Protocols() {
		if p == kadPrefix+"/kad/1.0.0" || p == "/libp2p/circuit/relay/0.2.0/stop" {
			t.Errorf("mode lan serves %s", p)
		}
	}
	id, err := peer.IDFromPrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	pretendInterfaces(h.gate.near, "10.1.2.3/24")
	h.Peerstore().AddAddr(id, ma.StringCast("/ip4/192.0.2.1/tcp/4001"), peerstore.TempAddrTTL)
	_, err = h.Network().DialPeer(testContext(t), id)
	if !errors.Is(err, swarm.ErrGaterDisallowedConnection) && !errors.Is(err, swarm.ErrNoGoodAddresses) {
		t.Errorf("an off-link dial ended with: %v", err)
	}
}

func TestPlaintextIsRefused(t *testing.T) {
	cfg := hostConfig(t, RoleGateway)
	cfg.TicketOpen = func() bool { return true }
	gateway := startHost(t, cfg)
	key := newKey(t)
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	secure, err := noise.New(noise.ID, key, []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}})
	if err != nil {
		t.Fatal(err)
	}
	if err := dialWith(testContext(t), key, id, secure, infoOf(gateway)); err != nil {
		t.Fatalf("the same dial with Noise: %v", err)
	}
	if err := dialWith(testContext(t), key, id, insecure.NewWithIdentity(insecure.ID, id, key), infoOf(gateway)); err == nil {
		t.Fatal("connected in plaintext")
	}
	eventually(testContext(t), t, "no connection stands", func() bool { return len(gateway.Network().Conns()) == 0 })
}

// TestIdleConnectionsDoNotKeepAnHonestPeerOut holds connections open that never speak.
func TestIdleConnectionsDoNotKeepAnHonestPeerOut(t *testing.T) {
	known := &members{}
	cfg := hostConfig(t, RoleGateway)
	cfg.Auth, cfg.HalfOpen = known, HalfOpen{CountLoopback: true}
	registry := prometheus.NewRegistry()
	cfg.Registerer = registry
	gateway := startHost(t, cfg)
	serveEcho(gateway)
	visitor := startHost(t, hostConfig(t, RolePeer))
	known.add(visitor.ID())
	ctx := testContext(t)
	for range 10 {
		c, err := manet.Dial(gateway.Addrs()[0])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	eventually(ctx, t, "six idle connections closed", func() bool {
		return metric(t, registry, "peerbee_p2p_half_open_evicted_total") >= 10-halfOpenPerAddr
	})
	if err := outcome(ctx, visitor, gateway); err != nil {
		t.Errorf("the honest peer: %v", err)
	}
	if n := metric(t, registry, "peerbee_p2p_connections"); n != 1 {
		t.Errorf("%v connections are counted", n)
	}
}

// metric gives the sum of a metric family's values.
func metric(t *testing.T, registry *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

func TestMetricsOfTwoHostsDoNotMix(t *testing.T) {
	registry := prometheus.NewRegistry()
	cfg := hostConfig(t, RoleHive)
	cfg.Registerer = registry
	startHost(t, cfg)
	cfg = hostConfig(t, RoleGateway)
	cfg.Registerer = registry
	if h, err := NewHost(cfg); err == nil {
		t.Error("a second host took the first one's metrics", h.Close())
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	for _, want := range []string{"peerbee_p2p_connections", "peerbee_p2p_relay_reservations", "libp2p_relaysvc_status"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is gone; left are %v", want, names)
		}
	}
}

func TestFindListsNearWaysFirst(t *testing.T) {
	hive := startHive(t)
	cfg := hostConfig(t, RolePeer)
	cfg.Hives = []peer.AddrInfo{infoOf(hive)}
	visitor := startHost(t, cfg)
	id, err := peer.IDFromPrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	visitor.saved.add(id, testAddrs(1)[0])
	visitor.sightings.HandlePeerFound(peer.AddrInfo{ID: id, Addrs: testAddrs(2)[1:]})
	got, err := visitor.Find(testContext(t), testSecret, id)
	want := append(testAddrs(2), circuitsThrough(infoOf(hive))...)
	if err != nil || got.ID != id || !slices.EqualFunc(got.Addrs, want, ma.Multiaddr.Equal) {
		t.Errorf("got %v, %v", got, err)
	}
	lonely := startHost(t, hostConfig(t, RolePeer))
	if _, err := lonely.Find(testContext(t), nil, id); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

func TestPeerFollowsGatewayToAnUnknownHive(t *testing.T) {
	bootstrap, relayOnly := startHive(t), startHive(t)
	known := &members{}
	cfg := hostConfig(t, RoleGateway)
	cfg.Auth, cfg.Listen = known, nil
	cfg.Hives = []peer.AddrInfo{infoOf(bootstrap), infoOf(relayOnly)}
	gateway := startHost(t, cfg)
	serveEcho(gateway)
	advertise(t, gateway)
	ctx := testContext(t)
	eventually(ctx, t, "both reservations", func() bool { return len(gateway.Addrs()) == 2 })

	cfg = hostConfig(t, RolePeer)
	cfg.Hives = []peer.AddrInfo{infoOf(bootstrap)}
	visitor := startHost(t, cfg)
	known.add(visitor.ID())
	eventually(ctx, t, "both circuits in Kademlia", func() bool {
		found, err := visitor.kad.find(ctx, testSecret, gateway.ID())
		return err == nil && len(found) == 2
	})
	if err := visitor.ConnectPeer(ctx, gateway.ID(), nil, testSecret); err != nil {
		t.Fatal(err)
	}
	if _, err := echo(ctx, visitor, gateway.ID()); err != nil {
		t.Error(err)
	}
}
