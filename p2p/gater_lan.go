package p2p

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// onLinkRefresh is how long a list of interface prefixes is trusted; a flood of accepts must not become a flood
// of system calls.
const onLinkRefresh = 2 * time.Second

// onLink knows which addresses are on the networks this machine's interfaces are attached to. A global IPv6
// listener is reachable from the internet, so mode lan has to look at every remote address.
type onLink struct {
	interfaceAddrs func() ([]net.Addr, error)

	mu       sync.Mutex // guards the fields below
	prefixes []netip.Prefix
	read     time.Time
}

func newOnLink() *onLink { return &onLink{interfaceAddrs: net.InterfaceAddrs} }

// contains reports whether ip is loopback or inside a prefix of an interface.
func (l *onLink) contains(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return true
	}
	return slices.ContainsFunc(l.current(), func(p netip.Prefix) bool { return p.Contains(ip) })
}

func (l *onLink) current() []netip.Prefix {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.read.IsZero() && now.Sub(l.read) < onLinkRefresh {
		return l.prefixes
	}
	addrs, err := l.interfaceAddrs()
	if err != nil { // fail closed: without a list nothing but loopback is near
		addrs = nil
	}
	l.read = now
	l.prefixes = l.prefixes[:0:0]
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		ones, bits := n.Mask.Size()
		if !ok || bits == 0 {
			continue
		}
		ip = ip.Unmap()
		if ip.Is4() && bits == 128 {
			ones -= 96
		}
		if p := netip.PrefixFrom(ip, ones); p.IsValid() {
			l.prefixes = append(l.prefixes, p.Masked())
		}
	}
	return l.prefixes
}
