package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
)

// ErrUnreachable says that a peer could be reached in no way before the context ended.
var ErrUnreachable = errors.New("peer cannot be reached")

const (
	dialTimeout = 5 * time.Second
	// sightedWait is short so that the other ways are soon tried again.
	sightedWait = time.Second
	// kadHeadStart and relayHeadStart are what the nearer ways get before the farther ones are tried beside them.
	kadHeadStart   = 50 * time.Millisecond
	relayHeadStart = 100 * time.Millisecond
	redialWait     = 250 * time.Millisecond
	redialMaxWait  = 2 * time.Second
)

// Find gathers where gateway may be: saved addresses, mDNS, Kademlia under its discovery secret, and circuits
// through the hives, in that order. An empty secret leaves Kademlia out.
func (h *Host) Find(ctx context.Context, secret []byte, gateway peer.ID) (peer.AddrInfo, error) {
	addrs := appendNew(nil, h.saved.of(gateway)...)
	sighted, _ := h.sightings.of(gateway)
	addrs = appendNew(addrs, sighted...)
	if h.kad != nil && len(secret) > 0 {
		found, err := h.kad.find(ctx, secret, gateway)
		if err != nil {
			h.log.Debug("Kademlia lookup failed", "peer", ShortID(gateway), "err", err)
		}
		addrs = appendNew(addrs, found...)
	}
	addrs = appendNew(addrs, h.hiveCircuits()...)
	if len(addrs) == 0 {
		return peer.AddrInfo{}, fmt.Errorf("find %s: %w", ShortID(gateway), ErrUnreachable)
	}
	return peer.AddrInfo{ID: gateway, Addrs: addrs}, nil
}

func (h *Host) hiveCircuits() []ma.Multiaddr {
	if h.cfg.Mode != ModeOn {
		return nil
	}
	var out []ma.Multiaddr
	for _, hive := range h.cfg.Hives {
		out = append(out, circuitsThrough(hive)...)
	}
	return out
}

// ConnectPeer connects to id: addrs, saved addresses and mDNS first, then Kademlia under secret, then a relay,
// each beside the ones before after a short head start; the first connection wins and a direct one is preferred.
// It tries until ctx ends. Streams on the connection need network.WithAllowLimitedConn: it may be relayed.
func (h *Host) ConnectPeer(ctx context.Context, id peer.ID, addrs []ma.Multiaddr, secret []byte) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer h.onClose(cancel)()
	h.gate.expect(id)
	wait := redialWait
	for {
		h.forgetFailures(id)
		err := h.connectOnce(ctx, id, addrs, secret)
		if err == nil {
			h.remember(id)
			return nil
		}
		select {
		case <-ctx.Done():
			// Not wrapped: a deadline in the chain would stop a supervisor for good.
			return fmt.Errorf("%w: %s (%s); check that it runs, is online and still knows this peer",
				ErrUnreachable, ShortID(id), err.Error())
		case <-time.After(jitter(wait)):
			wait = min(2*wait, redialMaxWait)
		}
	}
}

// Reached tells by which way ConnectPeer last reached a peer: "address", "local network", "kademlia" or "relay";
// empty when it never did.
func (h *Host) Reached(id peer.ID) string {
	via, _ := h.reached.Load(id)
	name, _ := via.(string)
	return name
}

// way is one stage of a connection attempt.
type way struct {
	name  string
	after time.Duration
	try   func(context.Context) error
}

// connectOnce runs every way once, each after its head start or as soon as all before it have failed.
func (h *Host) connectOnce(ctx context.Context, id peer.ID, addrs []ma.Multiaddr, secret []byte) error {
	if h.isDirect(id) {
		return nil
	}
	ways := []way{
		{"address", 0, func(ctx context.Context) error { return h.dialDirect(ctx, id, appendNew(addrs, h.saved.of(id)...)) }},
	}
	if !h.cfg.NoMDNS {
		ways = append(ways, way{"local network", 0, func(ctx context.Context) error { return h.dialSighted(ctx, id) }})
	}
	if h.kad != nil && len(secret) > 0 && len(h.cfg.Hives) > 0 {
		ways = append(ways, way{"kademlia", kadHeadStart, func(ctx context.Context) error {
			return h.dialFound(ctx, id, secret)
		}})
	}
	if relayed := appendNew(ma.FilterAddrs(addrs, isRelayAddr), h.hiveCircuits()...); len(relayed) > 0 && h.punch != nil {
		ways = append(ways, way{"relay", relayHeadStart, func(ctx context.Context) error { return h.dialRelayed(ctx, id, relayed) }})
	}
	via, err := firstOf(ctx, ways)
	if err == nil {
		h.reached.Store(id, via)
		h.log.Info("peer reached", "peer", ShortID(id), "via", via)
	}
	return err
}

// result is how one way ended.
type result struct {
	via string
	err error
}

// firstOf returns the name of the first way that succeeds, and all their errors when none does.
func firstOf(ctx context.Context, ways []way) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan result, len(ways))
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	start := func(w way) { running.Go(func() { results <- result{w.name, w.try(ctx)} }) }
	var errs []error
	began, open := time.Now(), 0
	for len(ways) > 0 || open > 0 {
		var next <-chan time.Time
		if len(ways) > 0 {
			pause := ways[0].after - time.Since(began)
			if pause <= 0 || open == 0 {
				start(ways[0])
				ways, open = ways[1:], open+1
				continue
			}
			next = time.After(pause)
		}
		select {
		case <-next:
			start(ways[0])
			ways, open = ways[1:], open+1
		case r := <-results:
			if r.err == nil {
				return r.via, nil
			}
			errs = append(errs, r.err)
			open--
		case <-ctx.Done():
			return "", errors.Join(append(errs, ctx.Err())...)
		}
	}
	return "", errors.Join(errs...)
}

func (h *Host) dialDirect(ctx context.Context, id peer.ID, addrs []ma.Multiaddr) error {
	direct := ma.FilterAddrs(addrs, func(a ma.Multiaddr) bool { return !isRelayAddr(a) })
	if len(direct) == 0 {
		return errors.New("no direct address")
	}
	return h.dial(network.WithForceDirectDial(ctx, "direct first"), id, direct)
}

// dialSighted waits a little for id to announce itself on the local network.
func (h *Host) dialSighted(ctx context.Context, id peer.ID) error {
	waited := time.NewTimer(sightedWait)
	defer waited.Stop()
	for {
		addrs, changed := h.sightings.of(id)
		if len(addrs) > 0 {
			return h.dialDirect(ctx, id, addrs)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-waited.C:
			return errors.New("not seen on the local network")
		case <-changed:
		}
	}
}

// dialFound looks id up in Kademlia. A gateway may hold its reservations at hives this host does not know.
func (h *Host) dialFound(ctx context.Context, id peer.ID, secret []byte) error {
	found, err := h.kad.find(ctx, secret, id)
	if len(found) == 0 {
		return errors.Join(errors.New("not found in Kademlia"), err)
	}
	err = h.dialDirect(ctx, id, found)
	relayed := ma.FilterAddrs(found, isRelayAddr)
	if err == nil || len(relayed) == 0 {
		return err
	}
	return h.dialRelayed(ctx, id, relayed)
}

func (h *Host) dialRelayed(ctx context.Context, id peer.ID, addrs []ma.Multiaddr) error {
	h.callHives(ctx)
	h.punch.wait(ctx)
	return h.dial(network.WithAllowLimitedConn(ctx, "relayed"), id, addrs)
}

func (h *Host) dial(ctx context.Context, id peer.ID, addrs []ma.Multiaddr) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	h.Peerstore().AddAddrs(id, addrs, peerstore.TempAddrTTL)
	_, err := h.Network().DialPeer(ctx, id)
	return err
}

// forgetFailures makes the next dial to p try every address at once instead of sitting out the back-off.
func (h *Host) forgetFailures(p peer.ID) {
	if sw, ok := h.Network().(*swarm.Swarm); ok {
		sw.Backoff().Clear(p)
	}
}

// remember saves where a direct outgoing connection went.
func (h *Host) remember(id peer.ID) {
	for _, c := range h.Network().ConnsToPeer(id) {
		if c.Stat().Direction == network.DirOutbound && !isRelayAddr(c.RemoteMultiaddr()) {
			h.saved.add(id, c.RemoteMultiaddr())
		}
	}
}
