package p2p

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	// relayCircuits bounds the relayed connections one peer can have through a hive, the destination counted
	// too: a gateway with many subscribers behind a stubborn NAT needs them all.
	relayCircuits = 256
	relayPerAddr  = 64
	relayBuffer   = 4096
	minRelaySlots = 128
)

// NewHive builds a hive: the first address everyone knows, a Kademlia server, a relay and a mirror that tells
// others how they look from outside. It forwards sealed Noise connections and sees no plaintext. Config.Auth says
// whom it serves; nil opens it to everyone. Size it with Config.Inbound: two connections per gateway and one per
// subscriber.
func NewHive(cfg Config) (*Host, error) {
	cfg.Role = RoleHive
	return buildHost(cfg)
}

// startRelay serves relay v2 at once; the library's own switch waits until it believes itself public.
func (h *Host) startRelay() error {
	slots := max(minRelaySlots, h.cfg.Inbound)
	opts := []relay.Option{
		relay.WithResources(relay.Resources{
			Limit:                 nil, // per circuit limits would cut every stream; the filter keeps strangers out
			ReservationTTL:        3 * reserveRefresh,
			MaxReservations:       slots,
			MaxCircuits:           relayCircuits,
			BufferSize:            relayBuffer,
			MaxReservationsPerIP:  relayPerAddr,
			MaxReservationsPerASN: slots, // a fleet often sits with one provider
		}),
		relay.WithACL(relayFilter{h}),
		relay.WithReservationAddressFilter(func(ma.Multiaddr) bool { return true }), // private hives too
	}
	if h.cfg.Registerer != nil { // without one the library would fall back to the process-wide default
		opts = append(opts, relay.WithMetricsTracer(relay.NewMetricsTracer(relay.WithRegisterer(h.cfg.Registerer))))
	}
	r, err := relay.New(h.Host, opts...)
	if err != nil {
		return fmt.Errorf("start relay: %w", err)
	}
	h.closeLater(r.Close)
	return nil
}

// relayFilter lets a hive's members reserve slots and connect to one another (relay.ACLFilter).
type relayFilter struct{ hive *Host }

func (f relayFilter) AllowReserve(p peer.ID, _ ma.Multiaddr) bool { return f.hive.gate.serves(p) }

func (f relayFilter) AllowConnect(from peer.ID, _ ma.Multiaddr, to peer.ID) bool {
	return f.hive.gate.serves(from) && f.hive.gate.serves(to)
}
