package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/pnet"
	basichost "github.com/libp2p/go-libp2p/p2p/host/basic"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"
)

// Mode is the master switch.
type Mode string

// Modes of the master switch.
const (
	ModeOff Mode = "off" // no socket, no dial, no packet: no host is built
	ModeLAN Mode = "lan" // on-link addresses only, mDNS, no Kademlia, no relay
	ModeOn  Mode = "on"  // everything
)

// Role says what a host is for.
type Role string

// Roles of a host.
const (
	RoleGateway Role = "gateway" // serves enrolled peers
	RolePeer    Role = "peer"    // reaches gateways; nobody reaches it but those
	RoleHive    Role = "hive"    // bootstrap and relay; built by NewHive
)

var (
	// ErrOff says that a host was asked for although the master switch is off.
	ErrOff = errors.New(`p2p is off; set p2p = "lan" or "on"`)
	// ErrHostClosed says that the host has been closed.
	ErrHostClosed = errors.New("p2p host is closed")
	// ErrListen says that no listen address could be opened.
	ErrListen = errors.New("cannot listen")
)

// Config is what a host is built from. Key, Mode and Role are required.
type Config struct {
	Key crypto.PrivKey
	// Listen holds the TCP addresses to listen on. A peer should listen too (port 0 will do): a port without a
	// listener cannot be punched through a NAT.
	Listen []ma.Multiaddr
	Mode   Mode
	Role   Role
	// Hives are the configured bootstrap and relay hosts, with addresses. Unused in mode lan.
	Hives []peer.AddrInfo
	// PSK fences the network off from everyone without it. It authorises nobody.
	PSK pnet.PSK
	// Auth says who is known. Nil: only hives and peers this host connects to by itself.
	Auth Authorizer
	// TicketOpen reports whether strangers may connect because a ticket could be redeemed. Nil: never.
	TicketOpen func() bool
	// StateDir holds saved addresses and the sequence of the address record. Empty: nothing is kept.
	StateDir string
	// Inbound bounds inbound connections; zero means 256. Memory for windows grows with it beyond 64 MiB.
	Inbound int
	// HalfOpen bounds connections before authentication.
	HalfOpen HalfOpen
	// NoMDNS leaves out multicast discovery.
	NoMDNS bool
	// Now is the best known time, for weekly discovery keys. Nil means time.Now.
	Now        func() time.Time
	UserAgent  string
	Log        *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: no metrics
}

func (c *Config) check() error {
	switch c.Mode {
	case ModeLAN, ModeOn:
	case ModeOff:
		return ErrOff
	default:
		return fmt.Errorf(`p2p mode %q is unknown; use "off", "lan" or "on"`, c.Mode)
	}
	if c.Key == nil {
		return errors.New("p2p host needs a key")
	}
	if c.Inbound == 0 {
		c.Inbound = defaultInbound
	}
	own, err := peer.IDFromPrivateKey(c.Key)
	if err != nil {
		return fmt.Errorf("derive peer id: %w", err)
	}
	c.Hives = slices.DeleteFunc(slices.Clone(c.Hives), func(hive peer.AddrInfo) bool { // one list may serve a whole fleet
		return c.Mode == ModeLAN || hive.ID == own
	})
	if c.TicketOpen == nil {
		c.TicketOpen = func() bool { return false }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.UserAgent == "" {
		c.UserAgent = "peerbee"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Host is a libp2p host with Noise over TCP and nothing else, guarded by its gater. It listens from NewHost on;
// Serve runs what keeps it reachable.
type Host struct {
	host.Host

	reached sync.Map // peer.ID -> how ConnectPeer last reached it

	cfg     Config
	log     *slog.Logger
	bus     event.Bus
	basic   *basichost.BasicHost
	start   func() // of basic, once
	gate    *gater
	metrics *hostMetrics

	// Only in mode on; punch is nil on a hive.
	relays *relayBook
	punch  *puncher
	kad    *kademlia

	saved     *savedAddrs
	sightings *sightings
	advertise chan struct{} // wakes Advertise

	ctx       context.Context // ends with Close
	cancel    context.CancelFunc
	closeOnce sync.Once
	closeErr  error
	closers   []func() error // in order of construction

	mu         sync.Mutex // guards closing and additions to background
	closing    bool
	background sync.WaitGroup
}

// NewHost builds a gateway's or a peer's host and starts listening.
func NewHost(cfg Config) (*Host, error) {
	if cfg.Role != RoleGateway && cfg.Role != RolePeer {
		return nil, fmt.Errorf("p2p role %q is not a host's; use gateway or peer", cfg.Role)
	}
	return buildHost(cfg)
}

// Serve runs the host's upkeep until ctx ends or the host is closed. It may be called again after it returned.
func (h *Host) Serve(ctx context.Context) error {
	if h.ctx.Err() != nil {
		return ErrHostClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer h.onClose(cancel)()

	var tasks sync.WaitGroup
	for _, task := range h.tasks() {
		tasks.Go(func() { task(ctx) })
	}
	tasks.Wait()
	return nil
}

// tasks lists what Serve runs side by side; each ends with its context.
func (h *Host) tasks() []func(context.Context) {
	tasks := []func(context.Context){h.watchPeers}
	if !h.cfg.NoMDNS && h.cfg.Role != RoleHive {
		tasks = append(tasks, h.serveMDNS)
	}
	for _, hive := range h.cfg.Hives {
		tasks = append(tasks, func(ctx context.Context) { h.keepHive(ctx, hive) })
	}
	return tasks
}

// Close ends every connection and everything the host has started. It is safe to call more than once.
func (h *Host) Close() error {
	h.closeOnce.Do(func() {
		h.mu.Lock()
		h.closing = true
		h.mu.Unlock()
		h.cancel()
		h.background.Wait()
		h.closeErr = h.closeAll()
	})
	return h.closeErr
}

// onClose calls f when the host closes, unless the returned function is called first.
func (h *Host) onClose(f func()) (forget func() bool) { return context.AfterFunc(h.ctx, f) }

// spawn runs f beside everything else; its context ends with Close, which waits for it.
func (h *Host) spawn(f func(context.Context)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closing {
		h.background.Go(func() { f(h.ctx) })
	}
}

func (h *Host) closeAll() error {
	var errs []error
	for i := len(h.closers) - 1; i >= 0; i-- {
		errs = append(errs, h.closers[i]())
	}
	return errors.Join(errs...)
}

// Revoke refuses p from now on and ends its connections and the streams on them. It returns at once; the
// connections end in the background.
func (h *Host) Revoke(p peer.ID) {
	h.gate.deny(p)
	h.closePeer(p)
}

// Allow takes back a Revoke. What p may do is still the Authorizer's word.
func (h *Host) Allow(p peer.ID) { h.gate.allow(p) }

// closePeer runs in the background because closing waits for the other side's socket.
func (h *Host) closePeer(p peer.ID) {
	h.spawn(func(context.Context) {
		if err := h.Network().ClosePeer(p); err != nil {
			h.log.Debug("closing a peer's connections", "peer", ShortID(p), "err", err)
		}
	})
}
