package p2p

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// fakeConn is a connection that has only been accepted.
type fakeConn struct {
	local, remote ma.Multiaddr
	closed        atomic.Bool
}

func (c *fakeConn) LocalMultiaddr() ma.Multiaddr  { return c.local }
func (c *fakeConn) RemoteMultiaddr() ma.Multiaddr { return c.remote }
func (c *fakeConn) Close() error                  { c.closed.Store(true); return nil }

func connFrom(addr string) *fakeConn {
	return &fakeConn{local: ma.StringCast("/ip4/10.0.0.1/tcp/4001"), remote: ma.StringCast(addr)}
}

func newTestGater(t *testing.T) *gater {
	t.Helper()
	m := newHostMetrics(func() float64 { return 0 })
	return &gater{
		half: newHalfOpen(HalfOpen{}, m.evictions.Inc), metrics: m,
		known:    func(peer.ID) bool { return false },
		guests:   func() bool { return false },
		dialers:  func(netip.Addr) bool { return false },
		denied:   map[peer.ID]struct{}{},
		expected: map[peer.ID]struct{}{},
	}
}

func countClosed(conns []*fakeConn) (n int, last int) {
	last = -1
	for i, c := range conns {
		if c.closed.Load() {
			n, last = n+1, i
		}
	}
	return n, last
}

// TestHalfOpenPolicy opens connections that never authenticate and looks at who is refused and who is closed.
func TestHalfOpenPolicy(t *testing.T) {
	same := func(addr string) func(int) string {
		return func(i int) string { return fmt.Sprintf("%s/tcp/%d", addr, 2000+i) }
	}
	for name, tc := range map[string]struct {
		addr                     func(int) string
		opened, admitted, closed int
	}{
		"one address keeps its four newest": {same("/ip4/192.0.2.7"), 10, 10, 6},
		"one address runs out of its burst": {same("/ip4/192.0.2.7"), 50, 32, 28},
		"one IPv6 network counts as one address": {
			func(i int) string { return fmt.Sprintf("/ip6/2001:db8::%x/tcp/4001", i+1) }, 10, 10, 6,
		},
		"many addresses fill the table":  {func(i int) string { return fmt.Sprintf("/ip4/192.0.2.%d/tcp/4001", i) }, 120, 120, 24},
		"loopback is exempt per address": {same("/ip4/127.0.0.1"), 90, 90, 0},
		"loopback is not exempt in all":  {same("/ip4/127.0.0.1"), 100, 100, 4},
		"relayed peers are the relay's business": {
			func(i int) string {
				return fmt.Sprintf("/ip4/192.0.2.7/tcp/%d/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X/p2p-circuit", 2000+i)
			}, 200, 200, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newTestGater(t)
				var admitted []*fakeConn
				for i := range tc.opened {
					if c := connFrom(tc.addr(i)); g.InterceptAccept(c) {
						admitted = append(admitted, c)
					}
				}
				synctest.Wait()
				closed, last := countClosed(admitted)
				if len(admitted) != tc.admitted || closed != tc.closed {
					t.Errorf("%d admitted, %d closed; want %d and %d", len(admitted), closed, tc.admitted, tc.closed)
				}
				if last != closed-1 {
					t.Errorf("the closed ones are not the %d oldest: %d is among them", closed, last)
				}
			})
		})
	}
}

func TestHalfOpenBucketRefillsAndEntriesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGater(t)
		open := func(n int) (admitted int) {
			for i := range n {
				if g.InterceptAccept(connFrom(fmt.Sprintf("/ip4/192.0.2.7/tcp/%d", 1024+i))) {
					admitted++
				}
			}
			return admitted
		}
		if n := open(40); n != 32 {
			t.Errorf("%d admitted at once", n)
		}
		time.Sleep(3 * time.Second)
		if n := open(40); n != 6 {
			t.Errorf("%d admitted after three seconds, want two a second", n)
		}
		time.Sleep(acceptTimeout + time.Second)
		c := connFrom("/ip4/192.0.2.8/tcp/1")
		g.InterceptAccept(c)
		if n := g.half.oldest.Len(); n != 1 {
			t.Errorf("%d entries are left of handshakes that timed out", n-1)
		}
	})
}

func TestHalfOpenEntryLeavesWhenSecured(t *testing.T) {
	g := newTestGater(t)
	g.known = func(peer.ID) bool { return true }
	var conns []*fakeConn
	for i := range 20 {
		c := connFrom(fmt.Sprintf("/ip4/192.0.2.7/tcp/%d", 2000+i))
		conns = append(conns, c)
		if !g.InterceptAccept(c) || !g.InterceptSecured(network.DirInbound, "friend", c) {
			t.Fatal("refused")
		}
	}
	if n, _ := countClosed(conns); n != 0 || g.half.oldest.Len() != 0 || len(g.half.byAddr) != 0 || len(g.half.byConn) != 0 {
		t.Errorf("%d closed, %d entries left", n, g.half.oldest.Len())
	}
}

func TestSecuredDecision(t *testing.T) {
	const friend, stranger, goal peer.ID = "friend", "stranger", "goal"
	near, relayed := "/ip4/192.0.2.7/tcp/1", "/ip4/203.0.113.9/tcp/1/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X/p2p-circuit"
	for name, tc := range map[string]struct {
		who    peer.ID
		dir    network.Direction
		from   string
		guests bool
		denied bool
		want   bool
	}{
		"friend":                        {friend, network.DirInbound, near, false, false, true},
		"friend revoked":                {friend, network.DirInbound, near, true, true, false},
		"friend revoked, dialled by us": {friend, network.DirOutbound, near, false, true, false},
		"stranger":                      {stranger, network.DirInbound, near, false, false, false},
		"stranger with a ticket open":   {stranger, network.DirInbound, near, true, false, true},
		"stranger dialled by us":        {stranger, network.DirOutbound, near, false, false, true},
		"peer we want to reach":         {goal, network.DirInbound, near, false, false, true},
		"hive dialling back":            {stranger, network.DirInbound, "/ip4/203.0.113.9/tcp/1", false, false, true},
		"stranger through that hive":    {stranger, network.DirInbound, relayed, false, false, false},
		"friend through that hive":      {friend, network.DirInbound, relayed, false, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newTestGater(t)
			g.known = func(p peer.ID) bool { return p == friend }
			g.guests = func() bool { return tc.guests }
			g.dialers = func(ip netip.Addr) bool { return ip == netip.MustParseAddr("203.0.113.9") }
			g.expect(goal)
			if tc.denied {
				g.deny(tc.who)
				if g.InterceptPeerDial(tc.who) {
					t.Error("a denied peer may be dialled")
				}
			}
			if got := g.InterceptSecured(tc.dir, tc.who, connFrom(tc.from)); got != tc.want {
				t.Errorf("got %v", got)
			}
			g.allow(tc.who)
			if !g.InterceptPeerDial(tc.who) {
				t.Error("allow does not undo deny")
			}
		})
	}
}

func pretendInterfaces(l *onLink, cidrs ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read = time.Time{}
	l.interfaceAddrs = func() ([]net.Addr, error) {
		var out []net.Addr
		for _, c := range cidrs {
			ip, n, err := net.ParseCIDR(c)
			if err != nil {
				return nil, err
			}
			out = append(out, &net.IPNet{IP: ip, Mask: n.Mask})
		}
		return out, nil
	}
}

func TestModeLANAcceptsOnLinkOnly(t *testing.T) {
	g := newTestGater(t)
	g.near = newOnLink()
	pretendInterfaces(g.near, "192.168.1.20/24", "2001:db8:5::20/64")
	for addr, want := range map[string]bool{
		"/ip4/192.168.1.77/tcp/4001":        true,
		"/ip4/192.168.2.77/tcp/4001":        false,
		"/ip4/8.8.8.8/tcp/4001":             false,
		"/ip4/127.0.0.1/tcp/4001":           true,
		"/ip6/::1/tcp/4001":                 true,
		"/ip6/2001:db8:5::99/tcp/4001":      true,
		"/ip6/2001:db8:6::99/tcp/4001":      false,
		"/ip6/fe80::1/tcp/4001":             true,
		"/ip6/::ffff:192.168.1.77/tcp/4001": true,
		"/dns4/example.org/tcp/4001":        false,
		"/ip4/192.168.1.77/tcp/4001/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X/p2p-circuit": false,
	} {
		if got := g.InterceptAddrDial("p", ma.StringCast(addr)); got != want {
			t.Errorf("dial %s: %v", addr, got)
		}
		if got := g.InterceptAccept(connFrom(addr)); got != want {
			t.Errorf("accept %s: %v", addr, got)
		}
	}
	g.near.mu.Lock()
	g.near.read = time.Time{}
	g.near.interfaceAddrs = func() ([]net.Addr, error) { return nil, errors.New("no netlink") }
	g.near.mu.Unlock()
	if g.InterceptAddrDial("p", ma.StringCast("/ip4/192.168.1.77/tcp/1")) {
		t.Error("without a list of interfaces everything seems near")
	}
}
