package p2p

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	circuitpb "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	hiveTimeout    = 10 * time.Second
	keeperWait     = time.Second
	keeperMaxWait  = 5 * time.Second
	keeperRefusal  = time.Minute
	reserveRefresh = 20 * time.Minute // a third of the life every relay gives
)

// relayBook publishes the addresses under which hives relay to this host. It stands in for the library's
// autorelay, which looks for public relays and ignores private ones.
type relayBook struct {
	emitter event.Emitter
	metrics *hostMetrics

	mu   sync.Mutex // guards held
	held map[peer.ID][]ma.Multiaddr
}

func newRelayBook(bus event.Bus, metrics *hostMetrics) (*relayBook, error) {
	em, err := bus.Emitter(new(event.EvtAutoRelayAddrsUpdated), eventbus.Stateful)
	if err != nil {
		return nil, fmt.Errorf("announce relay addresses: %w", err)
	}
	return &relayBook{emitter: em, metrics: metrics, held: map[peer.ID][]ma.Multiaddr{}}, nil
}

// set notes the addresses through one hive; nil says that its reservation is gone.
func (b *relayBook) set(hive peer.ID, addrs []ma.Multiaddr) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, had := b.held[hive]; !had && addrs == nil {
		return nil
	}
	if addrs == nil {
		delete(b.held, hive)
	} else {
		b.held[hive] = addrs
	}
	var all []ma.Multiaddr
	for _, a := range b.held {
		all = append(all, a...)
	}
	b.metrics.reservations.Set(float64(len(b.held)))
	return b.emitter.Emit(event.EvtAutoRelayAddrsUpdated{RelayAddrs: all})
}

// keepHive stays connected to one hive and, on a gateway, holds a relay reservation there. Times are monotonic:
// the wall clock of a Pi may jump by years while it runs.
func (h *Host) keepHive(ctx context.Context, hive peer.AddrInfo) {
	h.ConnManager().Protect(hive.ID, "hive")
	lost := make(chan struct{}, 1)
	watch := &network.NotifyBundle{DisconnectedF: func(n network.Network, c network.Conn) {
		if c.RemotePeer() == hive.ID && n.Connectedness(hive.ID) != network.Connected {
			select {
			case lost <- struct{}{}:
			default:
			}
		}
	}}
	h.Network().Notify(watch)
	defer h.Network().StopNotify(watch)
	h.holdHive(ctx, hive, lost)
	h.leaveHive(hive.ID)
}

// holdHive joins the hive whenever it is not joined, and renews the reservation while it is.
func (h *Host) holdHive(ctx context.Context, hive peer.AddrInfo, lost <-chan struct{}) {
	log := h.log.With("hive", ShortID(hive.ID))
	wait, joined, complained := keeperWait, false, false
	for ctx.Err() == nil {
		select {
		case <-lost: // about a connection before this one
		default:
		}
		err := h.joinHive(ctx, hive)
		if err == nil {
			if !joined {
				log.Info("connected to the hive")
				h.AdvertiseNow() // a hive that was restarted has forgotten everything
			}
			wait, joined, complained = keeperWait, true, false
			select {
			case <-ctx.Done():
			case <-time.After(reserveRefresh):
			case <-lost:
				log.Info("lost the hive")
				joined = false
				h.leaveHive(hive.ID)
			}
			continue
		}
		if !complained && ctx.Err() == nil {
			log.Warn("the hive cannot be used; trying on", "err", err)
		}
		joined, complained = false, true
		h.leaveHive(hive.ID)
		pause := jitter(wait)
		if wait = min(2*wait, keeperMaxWait); isRefusal(err) {
			pause = keeperRefusal
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// joinHive connects to a hive and reserves a slot where this host wants to be reached through it.
func (h *Host) joinHive(ctx context.Context, hive peer.AddrInfo) error {
	ctx, cancel := context.WithTimeout(network.WithForceDirectDial(ctx, "hive"), hiveTimeout)
	defer cancel()
	if err := h.Connect(ctx, hive); err != nil {
		return err
	}
	if h.cfg.Role != RoleGateway {
		return nil
	}
	if _, err := client.Reserve(ctx, h.Host, hive); err != nil && !onlyClockDiffers(err) {
		return err
	}
	return h.relays.set(hive.ID, circuitsThrough(hive))
}

func (h *Host) leaveHive(hive peer.ID) {
	if err := h.relays.set(hive, nil); err != nil && h.ctx.Err() == nil {
		h.log.Warn("withdrawing a relay address", "err", err)
	}
}

// circuitsThrough gives the addresses of whoever holds a reservation at hive, without the holder's own ID.
func circuitsThrough(hive peer.AddrInfo) []ma.Multiaddr {
	tail := ma.StringCast("/p2p/" + hive.ID.String() + "/p2p-circuit")
	var out []ma.Multiaddr
	for _, a := range hive.Addrs {
		out = append(out, a.Encapsulate(tail))
	}
	return out
}

// onlyClockDiffers reports whether the hive granted a reservation and the client library threw it away because
// its end lies in this machine's past. The hive's word counts, and the refresh does not depend on the end.
func onlyClockDiffers(err error) bool {
	var refused client.ReservationError
	return errors.As(err, &refused) && refused.Status == circuitpb.Status_MALFORMED_MESSAGE &&
		strings.Contains(refused.Reason, "expiration date in the past")
}

func isRefusal(err error) bool {
	var refused client.ReservationError
	return errors.As(err, &refused) && refused.Status == circuitpb.Status_PERMISSION_DENIED
}

// jitter spreads a fleet's retries: between half and the whole of d.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2) //nolint:gosec // spreading load needs no secrecy
}
