package p2p

import (
	"container/list"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/x/rate"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	halfOpenMax     = 96
	halfOpenPerAddr = 4
	halfOpenRate    = 2
	halfOpenBurst   = 32
	rateGrace       = time.Minute
	// acceptTimeout is how long Noise and Yamux may take after an accept.
	acceptTimeout = 10 * time.Second
)

// HalfOpen bounds connections that have not finished Noise. Zero fields take the defaults.
type HalfOpen struct {
	Max     int     // all together, 96
	PerAddr int     // per IPv4 address or IPv6 /64, 4
	Rate    float64 // new connections a second per address, 2
	Burst   int     // 32
	// CountLoopback applies PerAddr and Rate to 127.0.0.0/8 and ::1 too. Without it many local peers may
	// connect at once; Max holds for them all the same.
	CountLoopback bool
}

func (p HalfOpen) withDefaults() HalfOpen {
	if p.Max <= 0 {
		p.Max = halfOpenMax
	}
	if p.PerAddr <= 0 {
		p.PerAddr = halfOpenPerAddr
	}
	if p.Rate <= 0 {
		p.Rate = halfOpenRate
	}
	if p.Burst <= 0 {
		p.Burst = halfOpenBurst
	}
	return p
}

// halfOpen is the table behind HalfOpen. When it is full the oldest unauthenticated connection is closed, so
// idle ones never keep out an honest peer, which needs about three round trips.
type halfOpen struct {
	policy  HalfOpen
	buckets *rate.Limiter
	evicted func()

	mu     sync.Mutex // guards the fields below
	oldest list.List  // of *pending, oldest first
	byConn map[string]*list.Element
	byAddr map[netip.Prefix]int
}

type pending struct {
	key  string
	addr netip.Prefix // invalid: exempt from the limit per address
	conn io.Closer
	at   time.Time
}

func newHalfOpen(policy HalfOpen, evicted func()) *halfOpen {
	policy = policy.withDefaults()
	limit := rate.Limit{RPS: policy.Rate, Burst: policy.Burst}
	return &halfOpen{
		policy: policy,
		buckets: &rate.Limiter{SubnetRateLimiter: rate.SubnetLimiter{
			IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: limit}},
			IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 64, Limit: limit}},
			GracePeriod:      rateGrace,
		}},
		evicted: evicted,
		byConn:  map[string]*list.Element{},
		byAddr:  map[netip.Prefix]int{},
	}
}

// enter admits a fresh connection or refuses it for its address's rate. It may close another one to make room.
func (g *halfOpen) enter(c network.ConnMultiaddrs) bool {
	closer, ok := c.(io.Closer)
	ip, isIP := remoteIP(c.RemoteMultiaddr())
	if !ok || !isIP { // relayed: its address is the relay's, and the relay bounds it
		return true
	}
	entry := &pending{key: connKey(c), conn: closer, at: time.Now()}
	if !ip.IsLoopback() || g.policy.CountLoopback {
		if !g.buckets.Allow(ip) {
			return false
		}
		entry.addr = addrGroup(ip)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.expire(entry.at)
	if e := g.byConn[entry.key]; e != nil { // the same four-tuple again: the old connection is long dead
		g.remove(e)
	}
	if victim := g.victim(entry); victim != nil {
		g.evicted()
		// Closing can block on the socket; the accept loop must not.
		go victim.conn.Close() //nolint:errcheck // the connection is being thrown away
	}
	g.byConn[entry.key] = g.oldest.PushBack(entry)
	if entry.addr.IsValid() {
		g.byAddr[entry.addr]++
	}
	return true
}

// leave forgets a connection whose Noise handshake is over.
func (g *halfOpen) leave(c network.ConnMultiaddrs) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.byConn[connKey(c)]; e != nil {
		g.remove(e)
	}
}

// expire drops entries whose handshake has timed out: the upgrader has closed them without telling the gater.
func (g *halfOpen) expire(now time.Time) {
	for e := g.oldest.Front(); e != nil && now.Sub(entryOf(e).at) > acceptTimeout; e = g.oldest.Front() {
		g.remove(e)
	}
}

// victim removes and returns the connection that has to make room for next: the oldest of the same address when
// that address has its share, the oldest of all when the table is full, or none.
func (g *halfOpen) victim(next *pending) *pending {
	if next.addr.IsValid() && g.byAddr[next.addr] >= g.policy.PerAddr {
		for e := g.oldest.Front(); e != nil; e = e.Next() {
			if entryOf(e).addr == next.addr {
				return g.remove(e)
			}
		}
	}
	if g.oldest.Len() >= g.policy.Max {
		return g.remove(g.oldest.Front())
	}
	return nil
}

func (g *halfOpen) remove(e *list.Element) *pending {
	entry := entryOf(e)
	g.oldest.Remove(e)
	delete(g.byConn, entry.key)
	if entry.addr.IsValid() {
		if g.byAddr[entry.addr]--; g.byAddr[entry.addr] <= 0 {
			delete(g.byAddr, entry.addr)
		}
	}
	return entry
}

func entryOf(e *list.Element) *pending { return e.Value.(*pending) } //nolint:forcetypeassert // only *pending goes in

func connKey(c network.ConnMultiaddrs) string {
	return c.LocalMultiaddr().String() + " " + c.RemoteMultiaddr().String()
}

// addrGroup is what one subscriber line usually owns: an IPv4 address, an IPv6 /64.
func addrGroup(ip netip.Addr) netip.Prefix {
	if ip.Is4() {
		return netip.PrefixFrom(ip, 32)
	}
	return netip.PrefixFrom(ip.WithZone(""), 64).Masked()
}

// remoteIP gives the address of a direct connection; relayed ones have none of their own.
func remoteIP(a ma.Multiaddr) (netip.Addr, bool) {
	if isRelayAddr(a) {
		return netip.Addr{}, false
	}
	raw, err := manet.ToIP(a)
	if err != nil {
		return netip.Addr{}, false
	}
	ip, ok := netip.AddrFromSlice(raw)
	return ip.Unmap(), ok
}

func isRelayAddr(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}
