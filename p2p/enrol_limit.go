package p2p

import (
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/time/rate"
)

// Allowances for failed redemptions. Twenty honest peers may come at once from behind one address; a peer that
// mistypes has a few tries. Against guessing 128 bits any number would do: this is about noise and load.
const (
	enrolPeerBurst    = 5
	enrolPeerRefill   = 10 * time.Second
	enrolAddrBurst    = 32
	enrolAddrRefill   = 2 * time.Second
	enrolRelayBurst   = 64 // everyone behind a relay has the relay's address
	enrolLimitEntries = 1024
)

// enrolLimiter counts attempts per peer and per address in two bounded tables.
type enrolLimiter struct {
	now func() time.Time

	mu    sync.Mutex // guards both tables and their buckets
	peers buckets[peer.ID]
	addrs buckets[addrKey]
}

// addrKey is an IPv4 address or an IPv6 /64, and whether it is a relay's.
type addrKey struct {
	prefix netip.Prefix
	relay  bool
}

func newEnrolLimiter(now func() time.Time) *enrolLimiter {
	return &enrolLimiter{now: now, peers: buckets[peer.ID]{}, addrs: buckets[addrKey]{}}
}

// allow takes one attempt from both allowances; it is false when either is used up.
func (l *enrolLimiter) allow(who peer.ID, from ma.Multiaddr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	key, burst := addrOf(from)
	okAddr := l.addrs.get(key, enrolAddrRefill, burst, now).AllowN(now, 1)
	okPeer := l.peers.get(who, enrolPeerRefill, enrolPeerBurst, now).AllowN(now, 1)
	return okAddr && okPeer
}

// succeeded forgets what an honest peer used.
func (l *enrolLimiter) succeeded(who peer.ID, from ma.Multiaddr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.peers, who)
	key, _ := addrOf(from)
	delete(l.addrs, key)
}

func addrOf(from ma.Multiaddr) (addrKey, int) {
	key, burst := addrKey{}, enrolAddrBurst
	if _, err := from.ValueForProtocol(ma.P_CIRCUIT); err == nil {
		key.relay, burst = true, enrolRelayBurst
	}
	ip, err := manet.ToIP(from)
	if err != nil {
		return key, burst // no IP in it: one shared bucket
	}
	a, ok := netip.AddrFromSlice(ip)
	if !ok {
		return key, burst
	}
	a = a.Unmap()
	bits := a.BitLen()
	if a.Is6() {
		bits = 64 // a household's prefix: the rest is the guesser's to choose
	}
	key.prefix = netip.PrefixFrom(a, bits).Masked()
	return key, burst
}

type buckets[K comparable] map[K]*rate.Limiter

// get finds or makes the bucket of k. In a full table the fullest of a few takes its place: it remembers least.
func (b buckets[K]) get(k K, refill time.Duration, burst int, now time.Time) *rate.Limiter {
	if l := b[k]; l != nil {
		return l
	}
	if len(b) >= enrolLimitEntries {
		b.forgetOne(now)
	}
	l := rate.NewLimiter(rate.Every(refill), burst)
	b[k] = l
	return l
}

// forgetOne looks at a handful only, so that a stranger with many addresses cannot buy work.
func (b buckets[K]) forgetOne(now time.Time) {
	var fullest K
	most, looked := -1.0, 0
	for k, l := range b {
		if share := l.TokensAt(now) / float64(l.Burst()); share > most {
			fullest, most = k, share
		}
		if looked++; looked == 8 {
			break
		}
	}
	delete(b, fullest)
}
