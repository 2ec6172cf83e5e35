package p2p

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/prometheus/client_golang/prometheus"
)

// SubProtocol carries subscriptions: docs/protocol/sub.md.
const SubProtocol protocol.ID = "/peerbee/sub/1.0.0"

const (
	heartbeatEvery = time.Second
	rightsEvery    = 250 * time.Millisecond // a revoked stream ends within two of these
	durableEvery   = time.Second
	helloDeadline  = 5 * time.Second
	frameDeadline  = 10 * time.Second // from a frame's first byte to its last
	writeDeadline  = 10 * time.Second
	endDeadline    = time.Second
	latestFor      = time.Second
)

// PublisherOptions configure a Publisher. Zero values mean the default in brackets.
type PublisherOptions struct {
	Auth    Authorizer
	Backlog Backlog // nil: only the ring is there to resume from
	// Epoch names the numbering: random per store. Cursors of another epoch mean nothing.
	Epoch uint64

	RingRecords int   // records kept in memory [16384]
	RingBytes   int64 // their encoded size and overhead [8 MiB]
	// MaxLag is how many records a subscriber may be behind before it is given the latest and a gap [half of
	// RingRecords].
	MaxLag         int
	MaxSubscribers int // streams in all [1024]
	MaxPerPeer     int // streams of one peer [8]

	// Now is the gateway's clock, the one that stamps Record.Time [time.Now].
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer // may be nil
}

func (o PublisherOptions) withDefaults() PublisherOptions {
	if o.Auth == nil {
		o.Auth = nobody{}
	}
	if o.Backlog == nil {
		o.Backlog = noBacklog{}
	}
	if o.RingRecords <= 0 {
		o.RingRecords = 16 << 10
	}
	if o.RingBytes <= 0 {
		o.RingBytes = 8 << 20
	}
	if o.MaxLag <= 0 || o.MaxLag > o.RingRecords {
		o.MaxLag = max(1, o.RingRecords/2)
	}
	if o.MaxSubscribers <= 0 {
		o.MaxSubscribers = 1024
	}
	if o.MaxPerPeer <= 0 {
		o.MaxPerPeer = 8
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Publisher serves SubProtocol: it takes records and gives every subscriber those it is entitled to, in order,
// or says which are missing.
type Publisher struct {
	o PublisherOptions
	m *subMetrics

	durable atomic.Pointer[map[string]uint64]

	mu      sync.Mutex // guards what follows; never held while an Authorizer, a Backlog or a stream is called
	ring    *ring
	subs    map[*subscriber]struct{}
	perPeer map[peer.ID]int
	stop    context.Context //nolint:containedctx // the lifetime of Serve, which streams begun elsewhere share
	wg      *sync.WaitGroup // streams of the present Serve

	latestMu sync.Mutex // guards what follows and makes concurrent hellos share one look-up
	latest   []Record
	latestAt time.Time
}

// NewPublisher prepares a publisher. Records may be published before Serve runs; streams are refused until then.
func NewPublisher(o PublisherOptions) *Publisher {
	o = o.withDefaults()
	return &Publisher{
		o:       o,
		m:       newSubMetrics(o.Registerer),
		ring:    newRing(o.RingRecords, o.RingBytes),
		subs:    make(map[*subscriber]struct{}),
		perPeer: make(map[peer.ID]int),
	}
}

// Publish hands rec to all subscribers. It never waits for one. Records of a device must come in ascending
// sequence; one that does not is counted, logged and dropped.
func (p *Publisher) Publish(rec Record) {
	p.mu.Lock()
	err := p.ring.publish(rec)
	p.wakeLocked()
	p.mu.Unlock()
	p.rejected(err)
}

// AnnounceLost says that the device's records from..to (inclusive) do not exist: they were lost before they were
// durable, or their numbers were never used. Subscribers that have not passed them get a gap. It must be called
// before a later record of the device is published, and again after each restart for as long as a subscriber's
// cursor may lie before them.
func (p *Publisher) AnnounceLost(device string, from, to uint64) {
	p.mu.Lock()
	err := p.ring.announceLost(device, span{from, to})
	p.wakeLocked()
	p.mu.Unlock()
	p.rejected(err)
}

func (p *Publisher) rejected(err error) {
	if err != nil {
		p.m.rejected.Inc()
		p.o.Log.Warn("record not published", "error", err)
	}
}

func (p *Publisher) wakeLocked() {
	for s := range p.subs {
		s.nudge()
	}
}

// Register serves the protocol on h. While Serve does not run, subscribers are told to come back.
func (p *Publisher) Register(h host.Host) { h.SetStreamHandler(SubProtocol, p.handle) }

// Serve keeps the streams until ctx ends, then ends them and waits for them. It returns nil.
func (p *Publisher) Serve(ctx context.Context) error {
	// The streams outlive ctx by the moment it takes to tell them why they end.
	run, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	wg := &sync.WaitGroup{}
	p.mu.Lock()
	p.stop, p.wg = run, wg
	p.mu.Unlock()

	var durable sync.WaitGroup
	durable.Go(func() { p.watchDurable(ctx) })
	p.watchRights(ctx)

	cancel(endError{EndShutdown})
	p.mu.Lock()
	p.stop = nil
	p.mu.Unlock()
	// A stream stuck in a write is not waited for longer than the polite ones need to say goodbye.
	stuck := time.AfterFunc(2*endDeadline, p.resetAll)
	defer stuck.Stop()
	wg.Wait()
	durable.Wait()
	return nil
}

// watchRights looks for changed rights on behalf of streams that have nothing to send.
func (p *Publisher) watchRights(ctx context.Context) {
	tick := time.NewTicker(rightsEvery)
	defer tick.Stop()
	last := p.o.Auth.Generation()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := p.o.Auth.Generation()
		var late []*subscriber
		p.mu.Lock()
		for s := range p.subs {
			switch {
			case now != last:
				s.nudge()
			case s.generation.Load() != now:
				late = append(late, s)
			}
		}
		p.mu.Unlock()
		last = now
		for _, s := range late {
			s.unstick()
		}
	}
}

// watchDurable refreshes what heartbeats say about durability, once for all streams.
func (p *Publisher) watchDurable(ctx context.Context) {
	tick := time.NewTicker(durableEvery)
	defer tick.Stop()
	for {
		if p.hasSubscribers() {
			now := p.o.Backlog.Durable()
			if old := p.durable.Load(); old == nil || !maps.Equal(*old, now) {
				p.durable.Store(&now)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Subscribers counts the open streams.
func (p *Publisher) Subscribers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.subs)
}

func (p *Publisher) hasSubscribers() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.subs) > 0
}

func (p *Publisher) resetAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.subs {
		// Reset only signals; it does not wait for the peer.
		resetStream(s.stream)
	}
}

func (p *Publisher) handle(st network.Stream) {
	s, ctx, wg, reason := p.admit(st)
	if reason != "" {
		p.m.refused.WithLabelValues(string(reason)).Inc()
		p.o.Log.Debug("subscription refused", "peer", st.Conn().RemotePeer(), "reason", reason)
		refuseStream(st, reason)
		return
	}
	defer wg.Done()
	defer p.leave(s)
	s.serve(ctx)
}

// admit gives the stream a place, or the reason why it has none.
func (p *Publisher) admit(st network.Stream) (*subscriber, context.Context, *sync.WaitGroup, EndReason) {
	who := st.Conn().RemotePeer()
	generation := p.o.Auth.Generation()
	if !p.o.Auth.Known(who) {
		return nil, nil, nil, EndDenied
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stop == nil || p.stop.Err() != nil:
		return nil, nil, nil, EndShutdown
	case len(p.subs) >= p.o.MaxSubscribers, p.perPeer[who] >= p.o.MaxPerPeer:
		return nil, nil, nil, EndLimit
	}
	s := newSubscriber(p, st, generation)
	p.subs[s] = struct{}{}
	p.perPeer[who]++
	p.wg.Add(1)
	p.m.subscribers.Set(float64(len(p.subs)))
	return s, p.stop, p.wg, ""
}

func (p *Publisher) leave(s *subscriber) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.subs, s)
	if p.perPeer[s.who]--; p.perPeer[s.who] <= 0 {
		delete(p.perPeer, s.who)
	}
	p.m.subscribers.Set(float64(len(p.subs)))
}

// latestRecords gives the backlog's newest records; hellos within a second of one another share one look-up,
// because what has been published since is replayed to them anyway.
func (p *Publisher) latestRecords(ctx context.Context) ([]Record, error) {
	p.latestMu.Lock()
	defer p.latestMu.Unlock()
	if !p.latestAt.IsZero() && time.Since(p.latestAt) < latestFor {
		return p.latest, nil
	}
	recs, err := p.o.Backlog.Latest(ctx)
	if err != nil {
		return nil, err
	}
	p.latest, p.latestAt = recs, time.Now()
	return recs, nil
}

// endError ends a stream with a reason the subscriber is told.
type endError struct{ reason EndReason }

func (e endError) Error() string { return "stream ends: " + string(e.reason) }

// endReason finds the reason to tell, if there is one.
func endReason(err error) (EndReason, bool) {
	var e endError
	if errors.As(err, &e) {
		return e.reason, true
	}
	return "", false
}

// nobody is the Authorizer of a publisher that was given none.
type nobody struct{}

func (nobody) May(context.Context, peer.ID, Right) error { return ErrDenied }
func (nobody) Known(peer.ID) bool                        { return false }
func (nobody) Generation() uint64                        { return 0 }

// noBacklog is the Backlog of a publisher that was given none.
type noBacklog struct{}

func (noBacklog) Since(context.Context, string, uint64, func(Record) error) error { return nil }
func (noBacklog) Latest(context.Context) ([]Record, error)                        { return nil, nil }
func (noBacklog) Durable() map[string]uint64                                      { return nil }
