package p2p

import (
	"net/netip"
	"sync"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// gater decides at every stage of a connection whether it may go on. A nil near means that any address may.
type gater struct {
	half    *halfOpen
	near    *onLink
	known   func(peer.ID) bool    // may stay connected
	guests  func() bool           // strangers may connect now: a ticket is open
	dialers func(netip.Addr) bool // strangers from here may connect: a hive dialling back
	metrics *hostMetrics

	mu       sync.Mutex // guards the fields below
	denied   map[peer.ID]struct{}
	expected map[peer.ID]struct{} // peers this host itself wants to reach
}

var _ connmgr.ConnectionGater = (*gater)(nil)

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g *gater) InterceptPeerDial(p peer.ID) bool { return !g.isDenied(p) }

// InterceptAddrDial implements connmgr.ConnectionGater.
func (g *gater) InterceptAddrDial(_ peer.ID, a ma.Multiaddr) bool { return g.inReach(a) }

// InterceptAccept implements connmgr.ConnectionGater.
func (g *gater) InterceptAccept(c network.ConnMultiaddrs) bool {
	if !g.inReach(c.RemoteMultiaddr()) {
		g.metrics.refused("off_link")
		return false
	}
	if !g.half.enter(c) {
		g.metrics.refused("rate")
		return false
	}
	return true
}

// InterceptSecured implements connmgr.ConnectionGater. It is the first moment the other side's identity is known.
func (g *gater) InterceptSecured(dir network.Direction, p peer.ID, c network.ConnMultiaddrs) bool {
	if dir == network.DirInbound {
		g.half.leave(c)
	}
	if g.isDenied(p) {
		g.metrics.refused("denied")
		return false
	}
	if dir == network.DirOutbound || g.mayStay(p) || g.guests() {
		return true
	}
	if ip, ok := remoteIP(c.RemoteMultiaddr()); ok && g.dialers(ip) {
		return true
	}
	g.metrics.refused("unknown")
	return false
}

// InterceptUpgraded implements connmgr.ConnectionGater.
func (g *gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }

func (g *gater) inReach(a ma.Multiaddr) bool {
	if g.near == nil {
		return true
	}
	ip, ok := remoteIP(a)
	return ok && g.near.contains(ip)
}

// mayStay reports whether p has a reason to be connected beyond an open ticket.
func (g *gater) mayStay(p peer.ID) bool {
	g.mu.Lock()
	_, expected := g.expected[p]
	g.mu.Unlock()
	return expected || g.known(p)
}

// serves reports whether p may use what the host offers to members.
func (g *gater) serves(p peer.ID) bool { return !g.isDenied(p) && g.mayStay(p) }

func (g *gater) isDenied(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, denied := g.denied[p]
	return denied
}

func (g *gater) deny(p peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.denied[p] = struct{}{}
	delete(g.expected, p)
}

func (g *gater) allow(p peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.denied, p)
}

func (g *gater) expect(p peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.expected[p] = struct{}{}
}
