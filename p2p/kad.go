package p2p

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/routing"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multihash"
)

const (
	// kadPrefix makes the protocol /peerbee/kad/1.0.0: a network of its own. The public one would publish where
	// people live.
	kadPrefix    protocol.ID = "/peerbee"
	kadNamespace string      = "peerbee"

	recordLife      = 24 * time.Hour
	republishEvery  = 6 * time.Hour
	republishSettle = 200 * time.Millisecond // several reasons to publish come together
	publishTimeout  = 30 * time.Second
	publishMaxWait  = 30 * time.Second
	lookupTimeout   = 10 * time.Second
	lookupGrace     = 200 * time.Millisecond
	tablePoll       = 50 * time.Millisecond

	week = 7 * 24 * time.Hour
)

// kademlia is the private distributed table in which gateways are found by a shared secret.
type kademlia struct {
	host *Host
	dht  *dht.IpfsDHT
	seq  *sequence
}

func newKademlia(h *Host) (*kademlia, error) {
	mode := dht.ModeClient
	if h.cfg.Role == RoleHive {
		mode = dht.ModeServer
	}
	seq, err := loadSequence(h.cfg.StateDir)
	if err != nil {
		return nil, err
	}
	table, err := dht.New(h.ctx, h.Host,
		dht.ProtocolPrefix(kadPrefix),
		dht.Mode(mode),
		dht.BootstrapPeers(h.cfg.Hives...),
		dht.Validator(record.NamespacedValidator{kadNamespace: addressRecords{}}),
		dht.MaxRecordAge(recordLife),
		dht.RoutingTableRefreshPeriod(time.Hour),
		dht.Datastore(newBoundedStore(maxValues)),
		dht.ProviderStore(newProviderBook(maxProviderKeys)),
	)
	if err != nil {
		return nil, fmt.Errorf("start Kademlia: %w", err)
	}
	return &kademlia{host: h, dht: table, seq: seq}, nil
}

// weekOf numbers weeks since the Unix epoch.
func weekOf(now time.Time) uint64 { return uint64(max(0, now.Unix()) / int64(week/time.Second)) }

// discoveryKey names a gateway for one week to those who hold its secret; to everyone else it is a random number
// that changes every week.
func discoveryKey(secret []byte, week uint64) (cid.Cid, error) {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("peerbee discovery v1"))
	mac.Write(binary.BigEndian.AppendUint64(nil, week))
	hash, err := multihash.Encode(mac.Sum(nil), multihash.SHA2_256)
	if err != nil {
		return cid.Undef, fmt.Errorf("form discovery key: %w", err)
	}
	return cid.NewCidV1(cid.Raw, hash), nil
}

// Advertise keeps the host findable by those who hold the secret until ctx ends: a provider record for this week
// and the next, and a signed record of its addresses. It publishes every six hours and soon after the addresses,
// the secret (AdvertiseNow) or the hives change. In mode lan it only waits: mDNS does the work.
func (h *Host) Advertise(ctx context.Context, secret func() []byte) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer h.onClose(cancel)()
	if h.kad == nil || len(h.cfg.Hives) == 0 {
		<-ctx.Done()
		return nil
	}
	sub, err := h.bus.Subscribe(new(event.EvtLocalAddressesUpdated), eventbus.BufSize(8))
	if err != nil {
		return fmt.Errorf("watch own addresses: %w", err)
	}
	defer sub.Close() //nolint:errcheck // a subscription's Close only drains it

	wait := keeperWait
	for {
		pause := republishEvery
		if err := h.kad.publish(ctx, secret()); err != nil && ctx.Err() == nil {
			h.log.Debug("publishing failed; trying again", "err", err)
			pause, wait = jitter(wait), min(2*wait, publishMaxWait)
		} else {
			wait = keeperWait
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
			continue
		case <-h.advertise:
		case <-sub.Out():
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(republishSettle):
		}
		drain(h.advertise, sub.Out())
	}
}

// AdvertiseNow makes Advertise publish again soon, for example because the secret was replaced.
func (h *Host) AdvertiseNow() {
	select {
	case h.advertise <- struct{}{}:
	default: // one wake-up is waiting already
	}
}

func drain(wake <-chan struct{}, events <-chan any) {
	for {
		select {
		case <-wake:
		case <-events:
		default:
			return
		}
	}
}

func (k *kademlia) publish(ctx context.Context, secret []byte) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := k.ready(ctx); err != nil {
		return err
	}
	now := weekOf(k.host.cfg.Now())
	for _, w := range []uint64{now, now + 1} {
		key, err := discoveryKey(secret, w)
		if err != nil {
			return err
		}
		if err := k.dht.Provide(ctx, key, true); err != nil {
			return fmt.Errorf("publish provider record: %w", err)
		}
	}
	seq, err := k.seq.next()
	if err != nil {
		return err
	}
	rec, err := signAddressRecord(k.host.cfg.Key, seq, k.host.Addrs())
	if err != nil {
		return err
	}
	if err := k.dht.PutValue(ctx, addressKey(k.host.ID()), rec); err != nil {
		return fmt.Errorf("publish address record: %w", err)
	}
	return nil
}

// find looks a gateway up by its signed record and under last, this and next week, for clocks that differ. All
// lookups run side by side; what the slower ones know is worth lookupGrace after the first answer.
func (k *kademlia) find(ctx context.Context, secret []byte, gateway peer.ID) ([]ma.Multiaddr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	if err := k.ready(ctx); err != nil {
		return nil, err
	}
	now := weekOf(k.host.cfg.Now())
	lookups := []func() ([]ma.Multiaddr, error){
		func() ([]ma.Multiaddr, error) { return k.signed(ctx, gateway) },
		func() ([]ma.Multiaddr, error) { return k.provider(ctx, secret, now, gateway) },
		func() ([]ma.Multiaddr, error) { return k.provider(ctx, secret, now+1, gateway) },
	}
	if now > 0 {
		lookups = append(lookups, func() ([]ma.Multiaddr, error) { return k.provider(ctx, secret, now-1, gateway) })
	}
	type answer struct {
		addrs []ma.Multiaddr
		err   error
	}
	answers := make(chan answer, len(lookups))
	for _, lookup := range lookups {
		go func() {
			addrs, err := lookup()
			answers <- answer{addrs, err}
		}()
	}
	var found []ma.Multiaddr
	var errs []error
	for range lookups {
		a := <-answers
		if len(found) == 0 && len(a.addrs) > 0 {
			defer time.AfterFunc(lookupGrace, cancel).Stop()
		}
		found = appendNew(found, a.addrs...)
		errs = append(errs, a.err)
	}
	if len(found) > 0 {
		return found, nil
	}
	return nil, errors.Join(errs...)
}

// signed gives the addresses a gateway has signed, none when there is no record.
func (k *kademlia) signed(ctx context.Context, gateway peer.ID) ([]ma.Multiaddr, error) {
	raw, err := k.dht.GetValue(ctx, addressKey(gateway))
	if errors.Is(err, routing.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up address record: %w", err)
	}
	rec, err := openAddressRecord(gateway, raw)
	return rec.addrs, err
}

func (k *kademlia) provider(ctx context.Context, secret []byte, week uint64, gateway peer.ID) ([]ma.Multiaddr, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	key, err := discoveryKey(secret, week)
	if err != nil {
		return nil, err
	}
	var found []ma.Multiaddr
	for p := range k.dht.FindProvidersAsync(ctx, key, 0) {
		if p.ID == gateway && found == nil {
			found = p.Addrs
			cancel() // the channel closes once the search has ended
		}
	}
	return found, nil
}

// ready returns once a hive stands in the routing table. It connects to the hives itself where the keeper has not.
func (k *kademlia) ready(ctx context.Context) error {
	if len(k.host.cfg.Hives) == 0 && k.dht.RoutingTable().Size() == 0 {
		return errors.New("no hive is configured")
	}
	tick := time.NewTicker(tablePoll)
	defer tick.Stop()
	k.host.callHives(ctx)
	for k.dht.RoutingTable().Size() == 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("no hive answers: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// callHives dials the hives that are not connected, in the background.
func (h *Host) callHives(ctx context.Context) {
	for _, hive := range h.cfg.Hives {
		if h.Network().Connectedness(hive.ID) == network.Connected {
			continue
		}
		h.spawn(func(context.Context) {
			ctx, cancel := context.WithTimeout(network.WithForceDirectDial(ctx, "hive"), hiveTimeout)
			defer cancel()
			defer h.onClose(cancel)()
			if err := h.Connect(ctx, hive); err != nil {
				h.log.Debug("dialling a hive", "hive", ShortID(hive.ID), "err", err)
			}
		})
	}
}

// appendNew adds to list what it does not hold yet.
func appendNew(list []ma.Multiaddr, more ...ma.Multiaddr) []ma.Multiaddr {
	for _, a := range more {
		if !slices.ContainsFunc(list, a.Equal) {
			list = append(list, a)
		}
	}
	return list
}
