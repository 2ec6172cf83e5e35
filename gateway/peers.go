package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/gateway/access"
	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi"
	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/p2p"
)

// peers is the gateway's side of the peer-to-peer layer. With the master switch off it has an identity, which the
// ledger names, and nothing else: no socket, no dial, no packet.
type peers struct {
	self      peer.ID
	mode      config.Mode
	hives     []peer.AddrInfo
	access    *access.Access
	host      *p2p.Host      // nil when off
	publisher *p2p.Publisher // nil when off

	mu      sync.Mutex              // guards shutOut
	shutOut map[peer.ID]*time.Timer // revoked since the start, and when their connections end
}

// farewell is how long a revoked peer's streams have to tell it why they end. They carry nothing else: its rights
// are gone already.
const farewell = time.Second

// openPeers opens the rights and, unless switched off, the host; it listens from here on, but lets nobody in who
// has neither a right nor an open ticket.
func (g *Gateway) openPeers(ctx context.Context) error {
	key, err := g.peerKey().HostKey(ctx)
	if err != nil {
		return err
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return fmt.Errorf("own peer ID: %w", err)
	}
	p := &peers{self: id, mode: g.config.P2P.Mode, shutOut: map[peer.ID]*time.Timer{}}
	g.published = p
	g.access, err = access.New(ctx, g.store, access.Options{Clock: g.clock.Now, Log: g.log.With("part", "access"), OnRevoke: p.revoke})
	if err != nil {
		return err
	}
	p.access = g.access
	if p.mode == config.ModeOff {
		return nil
	}
	return g.openHost(p, key)
}

func (g *Gateway) openHost(p *peers, key crypto.PrivKey) error {
	listen, err := multiaddrs("p2p.listen", g.config.P2P.Listen, `write for example "/ip4/0.0.0.0/tcp/4177"`)
	if err != nil {
		return err
	}
	hives, err := multiaddrs("p2p.hives", g.config.P2P.Hives, hintHives)
	if err != nil {
		return err
	}
	if p.hives, err = peer.AddrInfosFromP2pAddrs(hives...); err != nil {
		return &config.FileError{Path: config.DefaultPath, Key: "p2p.hives", Reason: err.Error(), Hint: hintHives}
	}
	p.host, err = p2p.NewHost(p2p.Config{
		Key: key, Listen: listen, Mode: p2p.Mode(p.mode), Role: p2p.RoleGateway, Hives: p.hives,
		Auth: g.access, TicketOpen: g.access.Open, StateDir: g.config.Gateway.StateDir, NoMDNS: !g.config.P2P.MDNS,
		Now:       g.now,
		UserAgent: "peerbee/" + Version, Log: g.log.With("part", "p2p"), Registerer: g.registry,
	})
	if errors.Is(err, p2p.ErrListen) {
		return &config.FileError{
			Path: config.DefaultPath, Key: "p2p.listen", Reason: err.Error(),
			Hint: "sudo ss -ltnp shows which program holds the port; stop it, or set another port",
		}
	}
	if err != nil {
		return fmt.Errorf("start p2p: %w", err)
	}
	p.publisher = p2p.NewPublisher(p2p.PublisherOptions{
		Auth: g.access, Backlog: backlog{g}, Epoch: g.store.Epoch(), Now: g.now, Log: g.log.With("part", "p2p"), Registerer: g.registry,
	})
	p.publisher.Register(p.host)
	p2p.NewEnrolServer(g.access, g.log.With("part", "enrol"), g.registry).Register(p.host)
	for _, lost := range g.store.Lost() {
		p.publisher.AnnounceLost(lost.Device, lost.From, lost.To)
	}
	return nil
}

// hintHives is the next step when p2p.hives is wrong.
const hintHives = "copy the line that peerbee hive prints"

func multiaddrs(key string, list []string, hint string) ([]ma.Multiaddr, error) {
	out := make([]ma.Multiaddr, 0, len(list))
	for _, text := range list {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, &config.FileError{
				Path: config.DefaultPath, Key: key, Reason: fmt.Sprintf("%q is not a multiaddr: %v", text, err),
				Hint: hint,
			}
		}
		out = append(out, a)
	}
	return out, nil
}

func (p *peers) id() peer.ID { return p.self }

func (p *peers) publish(r p2p.Record) {
	if p.publisher != nil {
		p.publisher.Publish(r)
	}
}

// revoke ends a peer's connections after a farewell; its rights are gone already.
func (p *peers) revoke(who peer.ID) {
	if p.host == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if before := p.shutOut[who]; before != nil {
		before.Stop()
	}
	var end *time.Timer
	end = time.AfterFunc(farewell, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.shutOut[who] == end { // not let in again meanwhile
			p.host.Revoke(who)
		}
	})
	p.shutOut[who] = end
	p.host.AdvertiseNow()
}

// readmit lets revoked peers knock again because a new ticket is out: one of them may hold it.
func (p *peers) readmit() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for who, end := range p.shutOut {
		end.Stop()
		p.host.Allow(who)
	}
	clear(p.shutOut)
}

func (p *peers) services() map[string]func(context.Context) error {
	if p.host == nil {
		return nil
	}
	return map[string]func(context.Context) error{
		"p2p":       p.host.Serve,
		"publisher": p.publisher.Serve,
		"presence":  p.notePresence,
		"advertise": func(ctx context.Context) error { return p.host.Advertise(ctx, p.access.DiscoverySecret) },
	}
}

// presenceEvery is how often connected peers are noted; the access list writes each down every ten minutes at most.
const presenceEvery = 15 * time.Second

// notePresence keeps "last seen" of the peers that have rights.
func (p *peers) notePresence(ctx context.Context) error {
	tick := time.NewTicker(presenceEvery)
	defer tick.Stop()
	for {
		for _, who := range p.host.Network().Peers() {
			if err := p.access.Seen(ctx, who); err != nil && ctx.Err() == nil {
				return fmt.Errorf("note presence: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (p *peers) close() error {
	if p.host == nil {
		return nil
	}
	return p.host.Close()
}

func (p *peers) status() api.P2P {
	s := api.P2P{Mode: string(p.mode), PeerID: p.self.String(), Addresses: []string{}}
	if p.host == nil {
		return s
	}
	for _, a := range p.host.Addrs() {
		s.Addresses = append(s.Addresses, a.String())
	}
	s.Connections = len(p.host.Network().Peers())
	s.Subscribers = p.publisher.Subscribers()
	for _, h := range p.hives {
		if p.host.Network().Connectedness(h.ID) == network.Connected {
			s.Hives++
		}
	}
	return s
}

func (p *peers) connected(who peer.ID) bool {
	return p.host != nil && p.host.Network().Connectedness(who) != network.NotConnected
}

// ticketAddrs are the addresses worth writing into a ticket: no loopback unless there is nothing else.
func (p *peers) ticketAddrs() []ma.Multiaddr {
	var near, far []ma.Multiaddr
	for _, a := range p.host.Addrs() {
		switch {
		case isCircuit(a): // the ticket names the hives themselves
		case manet.IsIPLoopback(a):
			near = append(near, a)
		default:
			far = append(far, a)
		}
	}
	if len(far) == 0 {
		far = near
	}
	return far[:min(len(far), maxTicketAddrs)]
}

// maxTicketAddrs keeps a ticket small enough for a QR code a phone can read.
const maxTicketAddrs = 6

func isCircuit(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}

// backlog answers the publisher from the store.
type backlog struct{ g *Gateway }

func (b backlog) Since(ctx context.Context, device string, after uint64, yield func(p2p.Record) error) error {
	return b.g.store.Since(ctx, device, after, func(msg reading.Reading) error {
		msg.Epoch = b.g.store.Epoch()
		return yield(b.g.record(&msg, sortedProps(&msg)))
	})
}

func (b backlog) Latest(ctx context.Context) ([]p2p.Record, error) {
	all, err := b.g.store.Latest(ctx)
	if err != nil {
		return nil, err
	}
	records := make([]p2p.Record, 0, len(all))
	for _, l := range all {
		msg := l.Reading(b.g.store.Epoch())
		records = append(records, b.g.record(&msg, sortedProps(&msg)))
	}
	return records, nil
}

func (b backlog) Durable() map[string]uint64 { return b.g.store.Durable() }

// sortedProps gives the names of a reading's values in order; stored readings keep the order of the time they
// were made.
func sortedProps(msg *reading.Reading) []string {
	props := propsOf(msg.Values)
	if !slices.IsSorted(props) {
		slices.Sort(props)
	}
	return slices.Compact(props)
}

// explainOff refuses what needs the peer-to-peer layer while it is off.
func (p *peers) explainOff() error {
	if p.mode != config.ModeOff {
		return nil
	}
	return localapi.Errorf(409, "the peer-to-peer layer is switched off").
		WithHint("set p2p.mode = \"lan\" or \"on\" in %s, then: sudo systemctl restart peerbee", config.DefaultPath)
}
