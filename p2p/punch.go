package p2p

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/observedaddrs"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	punchPoll = 250 * time.Millisecond
	// punchSettle lets the observed-address manager, which reads the same event, go first.
	punchSettle = 20 * time.Millisecond
	// punchWait is how long a dial through a relay waits for the punch service: the other side punches the
	// moment the relayed connection is there, once.
	punchWait = time.Second
)

// punchRetries are the pauses before the tries that follow the library's only one.
func punchRetries() []time.Duration {
	return []time.Duration{2 * time.Second, 15 * time.Second, 2 * time.Minute}
}

// puncher turns relayed connections into direct ones. It starts the library's service when a hive has told our
// outside address: started earlier, the service answers before it is ready and loses its only try.
type puncher struct {
	host     *Host
	observed *observedaddrs.Manager
	ready    chan struct{} // closed when service is set
	told     chan struct{} // closed when a hive has told our address, a private one included

	service *holepunch.Service // set once, before ready is closed

	mu    sync.Mutex // guards the fields below
	last  []ma.Multiaddr
	tries map[peer.ID]bool // peers with a running series of retries
}

func newPuncher(h *Host, observed *observedaddrs.Manager) *puncher {
	return &puncher{host: h, observed: observed, ready: make(chan struct{}), told: make(chan struct{}), tries: map[peer.ID]bool{}}
}

// start runs the puncher until the host closes.
func (p *puncher) start() error {
	sub, err := p.host.bus.Subscribe(new(event.EvtPeerIdentificationCompleted), eventbus.BufSize(64))
	if err != nil {
		return err
	}
	watch := &network.NotifyBundle{ConnectedF: p.connected}
	p.host.Network().Notify(watch)
	p.host.spawn(func(ctx context.Context) {
		defer p.host.Network().StopNotify(watch)
		p.awaitAddress(ctx, sub)
		if ctx.Err() == nil {
			p.serve(ctx)
		}
	})
	return nil
}

func (p *puncher) awaitAddress(ctx context.Context, sub event.Subscription) {
	defer sub.Close() //nolint:errcheck // a subscription's Close only drains it
	tick := time.NewTicker(punchPoll)
	defer tick.Stop()
	told := sync.OnceFunc(func() { close(p.told) })
	for len(p.outside()) == 0 {
		select {
		case <-ctx.Done():
			return
		case e := <-sub.Out():
			select {
			case <-ctx.Done():
				return
			case <-time.After(punchSettle):
			}
			if seen, ok := e.(event.EvtPeerIdentificationCompleted); ok && p.host.isHive(seen.Peer) {
				told()
			}
		case <-tick.C:
		}
	}
}

func (p *puncher) serve(ctx context.Context) {
	service, err := holepunch.NewService(p.host.Host, p.host.basic.IDService(), p.outside)
	if err != nil {
		p.host.log.Error("hole punching is unavailable; connections stay relayed", "err", err)
		return
	}
	p.service = service
	close(p.ready)
	p.host.log.Debug("hole punching is ready")
	<-ctx.Done()
	if err := service.Close(); err != nil {
		p.host.log.Debug("closing hole punching", "err", err)
	}
}

// outside gives our public addresses as hives see them. It never turns empty again: the service would wait for an
// address without looking at any context.
func (p *puncher) outside() []ma.Multiaddr {
	all := append(p.host.basic.AllAddrs(), p.observed.Addrs(1)...)
	found := ma.FilterAddrs(ma.Unique(all), manet.IsPublicAddr)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(found) > 0 {
		p.last = found
	}
	return p.last
}

// wait returns when punching can work, when a hive sees us at a private address so that it never will, or after
// punchWait.
func (p *puncher) wait(ctx context.Context) {
	timer := time.NewTimer(punchWait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-p.ready:
	case <-p.told:
	}
}

// connected starts a series of retries for a peer that came in through a relay.
func (p *puncher) connected(_ network.Network, c network.Conn) {
	if c.Stat().Direction != network.DirInbound || !isRelayAddr(c.RemoteMultiaddr()) {
		return
	}
	id := c.RemotePeer()
	p.mu.Lock()
	running := p.tries[id]
	p.tries[id] = true
	p.mu.Unlock()
	if running {
		return
	}
	p.host.spawn(func(ctx context.Context) {
		p.retry(ctx, c)
		p.mu.Lock()
		delete(p.tries, id)
		p.mu.Unlock()
	})
}

func (p *puncher) retry(ctx context.Context, c network.Conn) {
	for _, pause := range punchRetries() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if c.IsClosed() || p.host.isDirect(c.RemotePeer()) {
			return
		}
		if portsVary(p.observed.Addrs(1)) {
			continue // every destination sees another port of ours: nothing to aim at
		}
		select {
		case <-p.ready: // DirectConnect would block on it without a context
		default:
			continue
		}
		if err := p.service.DirectConnect(c.RemotePeer()); err != nil {
			p.host.log.Debug("hole punch failed", "peer", ShortID(c.RemotePeer()), "err", err)
		}
	}
}

// portsVary reports whether hives see this host under several ports of one address, as behind a NAT that picks a
// port per destination.
func portsVary(observed []ma.Multiaddr) bool {
	ports := map[netip.Addr]string{}
	for _, a := range observed {
		ip, ok := remoteIP(a)
		port, err := a.ValueForProtocol(ma.P_TCP)
		if !ok || err != nil {
			continue
		}
		if other, seen := ports[ip]; seen && other != port {
			return true
		}
		ports[ip] = port
	}
	return false
}

func (h *Host) isHive(p peer.ID) bool {
	return slices.ContainsFunc(h.cfg.Hives, func(hive peer.AddrInfo) bool { return hive.ID == p })
}

// isDirect reports whether p is connected without a relay.
func (h *Host) isDirect(p peer.ID) bool {
	for _, c := range h.Network().ConnsToPeer(p) {
		if !isRelayAddr(c.RemoteMultiaddr()) {
			return true
		}
	}
	return false
}
