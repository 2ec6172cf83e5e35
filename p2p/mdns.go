package p2p

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	// mdnsService is ours alone: programs that look for any libp2p host need not find us.
	mdnsService    = "_peerbee._udp"
	interfacePoll  = 10 * time.Second
	maxSightings   = 128
	sightingLife   = 10 * time.Minute
	maxSightedAddr = 16
)

// serveMDNS announces the host on the local network and notes others, until ctx ends. The answering service is
// bound to the interfaces it started with, so it starts anew whenever they change; having none is no error.
func (h *Host) serveMDNS(ctx context.Context) {
	tick := time.NewTicker(interfacePoll)
	defer tick.Stop()
	var running mdns.Service
	var bound string
	stop := func() {
		if running == nil {
			return
		}
		if err := running.Close(); err != nil {
			h.log.Debug("stopping mDNS", "err", err)
		}
		running = nil
	}
	defer stop()
	for {
		if now := interfaceSet(); running == nil || now != bound {
			stop()
			service := mdns.NewMdnsService(lanFace{h.Host}, mdnsService, h.sightings)
			if err := service.Start(); err != nil {
				h.log.Debug("mDNS is waiting for a network", "err", err)
				if err := service.Close(); err != nil {
					h.log.Debug("stopping mDNS", "err", err)
				}
			} else {
				running, bound = service, now
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// interfaceSet is a text that differs whenever the machine's addresses do.
func interfaceSet() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	texts := make([]string, 0, len(addrs))
	for _, a := range addrs {
		texts = append(texts, fmt.Sprint(a))
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

// lanFace shows the mDNS service the host without its loopback addresses, which would lead others to themselves.
type lanFace struct{ host.Host }

func (f lanFace) Network() network.Network { return lanNetwork{f.Host.Network()} }

type lanNetwork struct{ network.Network }

func (n lanNetwork) InterfaceListenAddresses() ([]ma.Multiaddr, error) {
	addrs, err := n.Network.InterfaceListenAddresses()
	return ma.FilterAddrs(addrs, func(a ma.Multiaddr) bool { return !manet.IsIPLoopback(a) }), err
}

// sightings remembers who announced itself on the local network lately. Anyone there can announce anything, so it
// is bounded, and what it says is only ever an address to try: Noise tells who answers.
type sightings struct {
	mu      sync.Mutex // guards the fields below
	seen    map[peer.ID]sighting
	changed chan struct{} // closed and replaced at every sighting
}

type sighting struct {
	addrs []ma.Multiaddr
	at    time.Time
}

func newSightings() *sightings {
	return &sightings{seen: map[peer.ID]sighting{}, changed: make(chan struct{})}
}

// HandlePeerFound implements mdns.Notifee.
func (s *sightings) HandlePeerFound(info peer.AddrInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.seen[info.ID]; !known && len(s.seen) >= maxSightings {
		var oldest peer.ID
		for id, at := range s.seen {
			if oldest == "" || at.at.Before(s.seen[oldest].at) {
				oldest = id
			}
		}
		delete(s.seen, oldest)
	}
	s.seen[info.ID] = sighting{addrs: info.Addrs[:min(len(info.Addrs), maxSightedAddr)], at: time.Now()}
	close(s.changed)
	s.changed = make(chan struct{})
}

// of gives the addresses id announced lately, and a channel that is closed at the next sighting of anyone.
func (s *sightings) of(id peer.ID) ([]ma.Multiaddr, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.seen[id]; ok && time.Since(found.at) < sightingLife {
		return found.addrs, s.changed
	}
	return nil, s.changed
}
