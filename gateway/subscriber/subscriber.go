// Package subscriber is the Go client of a gateway: redeem a ticket once, then follow the readings it entitles to.
//
//	peer, err := subscriber.Open(ctx, subscriber.Options{Dir: dir})
//	name, err := peer.Enrol(ctx, ticket, "")
//	err = peer.Subscribe(ctx, name, subscriber.Filter{}, func(e subscriber.Event) error {
//		if e.Reading != nil {
//			fmt.Println(e.Name, e.Reading.Values)
//		}
//		return nil
//	})
//
// Positions are kept in the folder, so that the next Subscribe goes on where this one stopped. It must never know
// what a gateway does beyond its published protocols.
package subscriber

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/p2p"
)

// Options of a Peer.
type Options struct {
	Dir    string   // key, gateways and positions; made with mode 0700
	Hives  []string // multiaddrs ending in /p2p/ID, tried beside those of the ticket
	Listen []string // multiaddrs; by default any free TCP port, so that routers can be punched through
	NoMDNS bool
	Log    *slog.Logger
}

// Peer is this machine as a subscriber. Its methods are safe for concurrent use.
type Peer struct {
	o   Options
	log *slog.Logger

	mu      sync.Mutex // guards the fields below
	host    *p2p.Host
	stop    context.CancelFunc
	stopped chan struct{}
}

// Error is a failure with its next step.
type Error struct {
	Text, Hint string
	Err        error // shown behind Text
	cause      error // what errors.Is finds where Text says it all
}

func (e *Error) Error() string {
	if e.Err == nil || errors.Is(e.Err, os.ErrNotExist) { // Text says what is missing, better than a path does
		return e.Text
	}
	return e.Text + ": " + e.Err.Error()
}

// NextStep is the hint shown below the error.
func (e *Error) NextStep() string { return e.Hint }

func (e *Error) Unwrap() []error {
	return slices.DeleteFunc([]error{e.Err, e.cause}, func(err error) bool { return err == nil })
}

// Open prepares a peer; nothing is dialled yet.
func Open(_ context.Context, o Options) (*Peer, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if len(o.Listen) == 0 {
		o.Listen = []string{"/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/0"}
	}
	for _, dir := range []string{o.Dir, filepath.Join(o.Dir, "gateways")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, &Error{Text: "the state folder cannot be made", Err: err, Hint: "choose another with --state"}
		}
	}
	return &Peer{o: o, log: o.Log}, nil
}

// IsTicket reports whether text looks like a ticket rather than a gateway's name.
func IsTicket(text string) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(text)), "peerbee1")
}

// Close ends the host and waits for it.
func (p *Peer) Close() error {
	p.mu.Lock()
	h := p.host
	p.host = nil
	p.mu.Unlock()
	if h == nil {
		return nil
	}
	p.stop()
	<-p.stopped
	return h.Close()
}

// start builds the host at its first use, when the hives are known.
func (p *Peer) start(ctx context.Context, hives []peer.AddrInfo) (*p2p.Host, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.host != nil {
		return p.host, nil
	}
	key, err := p2p.KeyFile{Path: filepath.Join(p.o.Dir, "peer.key")}.HostKey(ctx)
	if err != nil {
		return nil, err
	}
	listen, err := multiaddrs(p.o.Listen)
	if err != nil {
		return nil, err
	}
	more, err := infos(p.o.Hives)
	if err != nil {
		return nil, err
	}
	h, err := p2p.NewHost(p2p.Config{
		Key: key, Listen: listen, Mode: p2p.ModeOn, Role: p2p.RolePeer, Hives: append(hives, more...),
		StateDir: p.o.Dir, NoMDNS: p.o.NoMDNS, UserAgent: "peerbee-subscriber", Log: p.log,
	})
	if err != nil {
		return nil, err
	}
	// The host outlives the call that needed it first; Close ends it.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.host, p.stop, p.stopped = h, stop, make(chan struct{})
	go func() {
		defer close(p.stopped)
		if err := h.Serve(running); err != nil && running.Err() == nil {
			p.log.Error("p2p host stopped", "err", err)
		}
	}()
	return h, nil
}

func multiaddrs(texts []string) ([]ma.Multiaddr, error) {
	var list []ma.Multiaddr
	for _, t := range texts {
		a, err := ma.NewMultiaddr(t)
		if err != nil {
			return nil, &Error{Text: fmt.Sprintf("%q is not an address", t), Err: err, Hint: "write for example /ip4/192.0.2.7/tcp/4177"}
		}
		list = append(list, a)
	}
	return list, nil
}

func infos(texts []string) ([]peer.AddrInfo, error) {
	addrs, err := multiaddrs(texts)
	if err != nil {
		return nil, err
	}
	list, err := peer.AddrInfosFromP2pAddrs(addrs...)
	if err != nil {
		return nil, &Error{Text: "a hive's address does not end in /p2p/ID", Err: err, Hint: "copy the line that peerbee hive prints"}
	}
	return list, nil
}

// enrolTimeout bounds finding the gateway and redeeming the ticket.
const enrolTimeout = 60 * time.Second

// Enrol redeems a ticket and keeps the gateway under name (its own name when empty, with a number when taken). It
// may be repeated with the same ticket: a lost answer costs nothing.
func (p *Peer) Enrol(ctx context.Context, ticket, name string) (string, error) {
	t, err := p2p.ParseTicket(ticket)
	if err != nil {
		return "", err
	}
	if t.Expired(time.Now()) {
		return "", &Error{Text: "the ticket expired at " + t.Expires.Local().Format("2006-01-02 15:04"), Hint: "ask the gateway's owner for a new one"}
	}
	h, err := p.start(ctx, t.Hives)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, enrolTimeout)
	defer cancel()
	if err := h.ConnectPeer(ctx, t.Gateway, t.Addrs, t.Discovery); err != nil {
		return "", &Error{
			Text: "the gateway cannot be reached", Err: err,
			Hint: "is it running and its hive too? On the gateway: peerbee doctor. Elsewhere than on its network it needs p2p.mode = \"on\"",
		}
	}
	welcome, err := p2p.Enrol(ctx, h, t)
	if errors.Is(err, p2p.ErrDenied) {
		return "", &Error{Text: "the gateway refuses this ticket", Err: err, Hint: "it was used by another peer, revoked or has expired: ask for a new one"}
	}
	if err != nil { // a gateway with no ticket open hangs up on strangers
		return "", &Error{
			Text: "the gateway did not take the ticket", Err: err,
			Hint: "a ticket works once: if it was used, revoked or has expired, ask for a new one; otherwise try again",
		}
	}
	g := Gateway{
		Name: name, PeerID: t.Gateway.String(), Secret: welcome.DiscoverySecret, Role: welcome.Role, Expires: welcome.Expires,
		Addrs: texts(t.Addrs), Hives: infoTexts(t.Hives),
	}
	if g.Name == "" {
		g.Name = fileName(welcome.Gateway)
	}
	return p.keep(g)
}

// Filter narrows a subscription. The zero value asks for everything the peer may see.
type Filter struct {
	Devices     []string // addresses, 16 hex digits
	Properties  []string
	MinInterval time.Duration // at most one reading per device in this time
	Snapshot    bool          // begin with the latest values
}

// Event is one thing a subscription tells: a Reading, a Gap or a change of State.
type Event struct {
	Gateway  string            `json:"gateway"`
	Name     string            `json:"name,omitempty"` // the device's name, as the owner gave it
	Reading  *reading.Reading  `json:"reading,omitempty"`
	Units    map[string]string `json:"units,omitempty"`    // UCUM, of the reading's properties that have one
	Snapshot bool              `json:"snapshot,omitempty"` // the reading is the latest value from before the subscription
	Gap      *Gap              `json:"gap,omitempty"`
	State    string            `json:"state,omitempty"`  // "connected", "interrupted"
	Detail   string            `json:"detail,omitempty"` // how it is connected, why it was interrupted
}

// Gap says that readings of a device, From to To inclusive, will not come.
type Gap struct {
	Device string `json:"device"`
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
	Reason string `json:"reason"`
}

// Subscribe follows a gateway until ctx ends, handle fails, or the gateway ends the access. It survives every loss
// of the connection. handle is called from one goroutine; an event counts as dealt with when handle returns nil.
// After a kill the events of the last moments come again, told apart by device and sequence: never lost.
func (p *Peer) Subscribe(ctx context.Context, gateway string, f Filter, handle func(Event) error) error {
	g, err := p.gateway(gateway)
	if err != nil {
		return err
	}
	h, err := p.start(ctx, g.hives())
	if err != nil {
		return err
	}
	s := &session{peer: p, gateway: g, host: h, handle: handle, descriptors: map[string]*meaning{}}
	return s.run(ctx, f)
}
