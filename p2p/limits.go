package p2p

import (
	"math"
	"net/netip"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	defaultInbound = 256
	// windowBytes is what yamux reserves for every stream when it opens; it is accounted, not allocated.
	windowBytes = 256 << 10
	minMemory   = 64 << 20
	// connsPerAddr bounds established connections of one address: a household or a carrier's NAT.
	connsPerAddr = 64
)

// newResourceManager bounds what all remote peers together can take. The library's own scaling never goes below
// 128 MiB, 64 inbound connections and 32 half-open ones, so every limit that matters is set outright.
func newResourceManager(inbound int, role Role, hives []peer.AddrInfo) (network.ResourceManager, error) {
	limits := resourceLimits(inbound, role).Build(rcmgr.DefaultLimits.Scale(minMemory, 4*inbound))
	v4, v6 := exemptPrefixes(hives)
	perAddr := connsPerAddr
	if role == RoleHive {
		perAddr = inbound // a fleet may sit behind one address; the relay's own limit per address applies
	}
	return rcmgr.NewResourceManager(
		rcmgr.NewFixedLimiter(limits),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: perAddr}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 64, ConnCount: perAddr}, {PrefixLength: 48, ConnCount: 4 * perAddr}},
		),
		rcmgr.WithNetworkPrefixLimit(v4, v6),
		rcmgr.WithConnRateLimiters(connRates(append(v4, v6...))),
	)
}

func resourceLimits(inbound int, role Role) rcmgr.PartialLimitConfig {
	const outbound = 128
	conns := func(in, out int) rcmgr.ResourceLimits {
		return rcmgr.ResourceLimits{
			Conns: rcmgr.LimitVal(in + out), ConnsInbound: rcmgr.LimitVal(in), ConnsOutbound: rcmgr.LimitVal(out),
			FD: rcmgr.LimitVal(in + out),
		}
	}
	system := conns(inbound, outbound)
	system.StreamsInbound, system.StreamsOutbound, system.Streams =
		rcmgr.LimitVal(8*inbound), rcmgr.LimitVal(8*inbound), rcmgr.LimitVal(16*inbound)
	system.Memory = rcmgr.LimitVal64(max(minMemory, inbound*windowBytes))

	transient := conns(2*halfOpenMax, outbound) // the half-open guard must fill before this does
	transient.Memory = 32 << 20

	perPeer := conns(8, 8)
	perPeer.StreamsInbound, perPeer.StreamsOutbound, perPeer.Streams = 64, 64, 128
	perPeer.Memory = 32 << 20
	cfg := rcmgr.PartialLimitConfig{System: system, Transient: transient, PeerDefault: perPeer}
	if role == RoleHive { // each relayed connection is a stream on both sides of the hive
		perPeer.StreamsInbound, perPeer.StreamsOutbound, perPeer.Streams = relayCircuits*2, relayCircuits*2, relayCircuits*4
		perPeer.Memory = rcmgr.LimitVal64(relayCircuits * 2 * windowBytes)
		cfg.PeerDefault = perPeer
		many := rcmgr.ResourceLimits{
			Streams: rcmgr.LimitVal(16 * inbound), StreamsInbound: rcmgr.LimitVal(8 * inbound),
			StreamsOutbound: rcmgr.LimitVal(8 * inbound), Memory: system.Memory,
		}
		cfg.ServiceDefault, cfg.ProtocolDefault = many, many
		cfg.ServicePeerDefault, cfg.ProtocolPeerDefault = perPeer, perPeer
	}
	return cfg
}

// exemptPrefixes are loopback, where local tools live, and the configured hives: a relayed peer's address begins
// with its relay's, so a limit per address would count all of them as one.
func exemptPrefixes(hives []peer.AddrInfo) (v4, v6 []rcmgr.NetworkPrefixLimit) {
	v4 = []rcmgr.NetworkPrefixLimit{{Network: netip.MustParsePrefix("127.0.0.0/8"), ConnCount: math.MaxInt}}
	v6 = []rcmgr.NetworkPrefixLimit{{Network: netip.MustParsePrefix("::1/128"), ConnCount: math.MaxInt}}
	for _, hive := range hives {
		for _, a := range hive.Addrs {
			raw, err := manet.ToIP(a)
			if err != nil { // a name: its connections fall under the general limit
				continue
			}
			ip, ok := netip.AddrFromSlice(raw)
			if !ok {
				continue
			}
			ip = ip.Unmap()
			limit := rcmgr.NetworkPrefixLimit{Network: netip.PrefixFrom(ip, ip.BitLen()), ConnCount: math.MaxInt}
			if ip.Is4() {
				v4 = append(v4, limit)
			} else {
				v6 = append(v6, limit)
			}
		}
	}
	return v4, v6
}

// connRates bounds new connections per address, in and out. Inbound ones have passed the tighter bucket of the
// half-open guard; this one mostly keeps our own dials civil.
func connRates(exempt []rcmgr.NetworkPrefixLimit) *rate.Limiter {
	limiter := &rate.Limiter{SubnetRateLimiter: rate.SubnetLimiter{
		IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: rate.Limit{RPS: 4, Burst: 64}}},
		IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 64, Limit: rate.Limit{RPS: 4, Burst: 64}}},
		GracePeriod:      rateGrace,
	}}
	for _, e := range exempt {
		limiter.NetworkPrefixLimits = append(limiter.NetworkPrefixLimits, rate.PrefixLimit{Prefix: e.Network})
	}
	return limiter
}
