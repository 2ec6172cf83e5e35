package p2p

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/core/transport"
	basichost "github.com/libp2p/go-libp2p/p2p/host/basic"
	blankhost "github.com/libp2p/go-libp2p/p2p/host/blank"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/observedaddrs"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/protocol/autonatv2"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	connsLow  = 32
	connsHigh = 64
	// keepAlive is how often an idle connection is probed; a silent one is found dead soon after.
	keepAlive = 15 * time.Second
	// relayDelay is what direct addresses get before relayed ones within one dial.
	relayDelay = 50 * time.Millisecond
	// maxAddrs bounds what the host says of itself, for tickets and records.
	maxAddrs = 12
)

// buildHost assembles the host from its parts. libp2p.New would bring QUIC, WebRTC and a dependency injector
// along: a third of the binary for transports that are never used.
func buildHost(cfg Config) (_ *Host, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	h := &Host{
		cfg: cfg, log: cfg.Log, bus: eventbus.NewBus(),
		saved: loadSavedAddrs(cfg.StateDir, cfg.Log), sightings: newSightings(), advertise: make(chan struct{}, 1),
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	h.metrics = newHostMetrics(h.countConns)
	h.gate = h.newGater()

	rm, err := newResourceManager(cfg.Inbound, cfg.Role, cfg.Hives)
	if err != nil {
		return nil, fmt.Errorf("build resource limits: %w", err)
	}
	h.closeLater(rm.Close)
	sw, up, err := h.newSwarm(cfg.Key, h.bus, rm)
	if err != nil {
		return nil, err
	}
	if err := h.assemble(sw, up, rm); err != nil {
		return nil, err
	}
	if len(cfg.Listen) > 0 {
		if err := sw.Listen(cfg.Listen...); err != nil {
			return nil, fmt.Errorf("%w on %v (another program may hold the port): %w", ErrListen, cfg.Listen, err)
		}
	}
	h.start()
	if cfg.Mode == ModeOn {
		if err := h.startServices(); err != nil {
			return nil, err
		}
	}
	unregister, err := h.metrics.register(cfg.Registerer)
	h.closeLater(unregister)
	if err != nil {
		return nil, fmt.Errorf("register p2p metrics: %w", err)
	}
	return h, nil
}

func (h *Host) closeLater(f func() error) { h.closers = append(h.closers, f) }

// assemble puts the host on its network, with what mode on needs to be found and reached from outside.
func (h *Host) assemble(sw *swarm.Swarm, up transport.Upgrader, rm network.ResourceManager) error {
	if h.cfg.Mode != ModeOn {
		return h.newBasicHost(sw, nil, nil)
	}
	fewObservers()
	observed, err := observedaddrs.NewManager(h.bus, sw)
	if err != nil {
		return fmt.Errorf("build observed addresses: %w", err)
	}
	observed.Start(sw)
	h.closeLater(observed.Close)
	reach, err := h.newReachability(rm)
	if err != nil {
		return err
	}
	if err := h.newBasicHost(sw, observed, reach); err != nil {
		return err
	}
	if h.relays, err = newRelayBook(h.bus, h.metrics); err != nil {
		return err
	}
	h.closeLater(h.relays.emitter.Close)
	if h.cfg.Role == RoleHive {
		return nil
	}
	if err := client.AddTransport(h.basic, up); err != nil {
		return fmt.Errorf("add relay transport: %w", err)
	}
	h.punch = newPuncher(h, observed)
	return nil
}

// fewObservers lowers the number of hives that must agree on our outside address: the library's four would keep a
// network of two hives from ever learning it. The value is the library's global, hence once.
var fewObservers = sync.OnceFunc(func() { observedaddrs.ActivationThresh = 1 })

// newReachability builds AutoNAT v2. Dial backs leave from a second network without listeners and under a key of
// their own, so that they cannot reuse a hole the first one has made.
func (h *Host) newReachability(rm network.ResourceManager) (*autonatv2.AutoNAT, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key for dialling back: %w", err)
	}
	bus := eventbus.NewBus()
	sw, _, err := h.newSwarm(key, bus, rm, swarm.WithReadOnlyBlackHoleDetector())
	if err != nil {
		return nil, err
	}
	an, err := autonatv2.New(blankhost.NewBlankHost(sw, blankhost.WithEventBus(bus)))
	if err != nil {
		return nil, fmt.Errorf("build reachability checks: %w", err)
	}
	return an, nil
}

// startServices starts what needs a running host.
func (h *Host) startServices() (err error) {
	if h.kad, err = newKademlia(h); err != nil {
		return err
	}
	h.closeLater(h.kad.dht.Close)
	if h.cfg.Role == RoleHive {
		return h.startRelay()
	}
	h.RemoveStreamHandler(autonatv2.DialProtocol) // dialling on request is a hive's business
	return h.punch.start()
}

func (h *Host) newBasicHost(sw *swarm.Swarm, observed *observedaddrs.Manager, reach *autonatv2.AutoNAT) error {
	low, high := connsLow, connsHigh
	if h.cfg.Role == RoleHive { // a hive is there to be connected to
		low, high = h.cfg.Inbound*3/4, h.cfg.Inbound
	}
	cm, err := connmgr.NewConnManager(low, high)
	if err != nil {
		return fmt.Errorf("build connection manager: %w", err)
	}
	opts := &basichost.HostOpts{
		EventBus:    h.bus,
		ConnManager: cm,
		UserAgent:   h.cfg.UserAgent,
		EnablePing:  true,
		// Signed records are ordered by the wall clock, and a Pi without a clock chip starts in the past: its
		// new addresses would lose against its old ones.
		DisableSignedPeerRecord: true,
		AddrsFactory:            publicFace,
		AutoNATv2:               reach,
	}
	if observed != nil { // a nil pointer in the interface would be called
		opts.ObservedAddrsManager = observed
	}
	basic, err := basichost.NewHost(sw, opts)
	if err != nil {
		return errors.Join(fmt.Errorf("build host: %w", err), cm.Close())
	}
	h.basic, h.Host = basic, basic
	h.start = sync.OnceFunc(basic.Start)
	h.closeLater(func() error {
		h.start() // the library cannot close a host that was never started
		return basic.Close()
	})
	return nil
}

// newSwarm builds a network with TCP, Noise and Yamux. There is no insecure transport to negotiate down to.
func (h *Host) newSwarm(key crypto.PrivKey, bus event.Bus, rm network.ResourceManager, opts ...swarm.Option) (*swarm.Swarm, transport.Upgrader, error) {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("derive peer id: %w", err)
	}
	ps, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, nil, fmt.Errorf("build peerstore: %w", err)
	}
	h.closeLater(ps.Close)
	if err := errors.Join(ps.AddPrivKey(id, key), ps.AddPubKey(id, key.GetPublic())); err != nil {
		return nil, nil, fmt.Errorf("store own key: %w", err)
	}
	sw, err := swarm.NewSwarm(id, ps, bus, append(opts,
		swarm.WithResourceManager(rm), swarm.WithConnectionGater(h.gate), swarm.WithDialRanker(rankDials))...)
	if err != nil {
		return nil, nil, fmt.Errorf("build network: %w", err)
	}
	h.closeLater(sw.Close)
	up, err := h.newUpgrader(key, rm)
	if err != nil {
		return nil, nil, err
	}
	tt, err := tcp.NewTCPTransport(up, rm, nil) // reuseport stays on: punching needs the listener's port
	if err != nil {
		return nil, nil, fmt.Errorf("build TCP transport: %w", err)
	}
	return sw, up, sw.AddTransport(tt)
}

// rankDials is the library's order with a shorter wait before relays: a circuit takes several more round trips
// than a direct connection and loses to it anyway, and the library's half a second is all of the time until the
// first byte where no direct way exists.
func rankDials(addrs []ma.Multiaddr) []network.AddrDelay {
	var relayed []network.AddrDelay
	direct := ma.FilterAddrs(addrs, func(a ma.Multiaddr) bool { return !isRelayAddr(a) })
	for _, a := range addrs {
		if isRelayAddr(a) {
			delay := network.AddrDelay{Addr: a}
			if len(direct) > 0 {
				delay.Delay = relayDelay
			}
			relayed = append(relayed, delay)
		}
	}
	return append(swarm.DefaultDialRanker(direct), relayed...)
}

func (h *Host) newUpgrader(key crypto.PrivKey, rm network.ResourceManager) (transport.Upgrader, error) {
	mux := *yamux.DefaultTransport
	mux.MaxStreamWindowSize = windowBytes
	mux.KeepAliveInterval = keepAlive
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: &mux}}
	secure, err := noise.New(noise.ID, key, muxers)
	if err != nil {
		return nil, fmt.Errorf("build Noise: %w", err)
	}
	up, err := upgrader.New([]sec.SecureTransport{secure}, muxers, h.cfg.PSK, rm, h.gate, upgrader.WithAcceptTimeout(acceptTimeout))
	if err != nil {
		return nil, fmt.Errorf("build upgrader: %w", err)
	}
	return up, nil
}

func (h *Host) newGater() *gater {
	g := &gater{
		half:     newHalfOpen(h.cfg.HalfOpen, h.metrics.evictions.Inc),
		known:    h.known,
		guests:   h.cfg.TicketOpen,
		dialers:  h.isHiveAddr,
		metrics:  h.metrics,
		denied:   map[peer.ID]struct{}{},
		expected: map[peer.ID]struct{}{},
	}
	if h.cfg.Mode == ModeLAN {
		g.near = newOnLink()
	}
	for _, hive := range h.cfg.Hives {
		g.expected[hive.ID] = struct{}{}
	}
	return g
}

// known reports whether p is a member. A hive without an Authorizer is open to everyone.
func (h *Host) known(p peer.ID) bool {
	if h.cfg.Auth == nil {
		return h.cfg.Role == RoleHive
	}
	return h.cfg.Auth.Known(p)
}

// isHiveAddr reports whether a public address is that of a hive we are connected to: to tell whether we can be
// reached, a hive dials back under a key of the moment.
func (h *Host) isHiveAddr(ip netip.Addr) bool {
	for _, hive := range h.cfg.Hives {
		for _, c := range h.Network().ConnsToPeer(hive.ID) {
			if at, ok := remoteIP(c.RemoteMultiaddr()); ok && at == ip && manet.IsPublicAddr(c.RemoteMultiaddr()) {
				return true
			}
		}
	}
	return false
}

func (h *Host) countConns() float64 { return float64(len(h.Network().Conns())) }

// publicFace drops loopback addresses wherever there are other direct ones: they lead a remote peer to itself.
// Relayed addresses are always kept; they are what is left to try when nothing else works.
func publicFace(addrs []ma.Multiaddr) []ma.Multiaddr {
	var relayed, direct, loopback []ma.Multiaddr
	for _, a := range addrs {
		switch {
		case isRelayAddr(a):
			relayed = append(relayed, a)
		case manet.IsIPLoopback(a):
			loopback = append(loopback, a)
		default:
			direct = append(direct, a)
		}
	}
	if len(direct) == 0 {
		direct = loopback
	}
	relayed = relayed[:min(len(relayed), maxAddrs/2)]
	direct = direct[:min(len(direct), maxAddrs-len(relayed))]
	return append(direct, relayed...)
}
