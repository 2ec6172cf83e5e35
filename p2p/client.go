package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	heartbeatMissed = 3 * time.Second
	connectDeadline = 15 * time.Second
	backoffFirst    = 100 * time.Millisecond
	backoffMost     = 5 * time.Second

	defaultWindowFrames = 1024
	defaultWindowBytes  = 1 << 20
)

var (
	// ErrRevoked ends a subscription whose last right was taken away or ran out.
	ErrRevoked = fmt.Errorf("the gateway's owner has ended this access; ask for a new ticket: %w", ErrDenied)
	// ErrNotEnrolled ends a subscription of a peer the gateway does not know.
	ErrNotEnrolled = fmt.Errorf("the gateway gives this peer nothing; redeem a ticket first: %w", ErrDenied)
	// ErrVersion ends a subscription whose hello the gateway does not speak.
	ErrVersion = errors.New("the gateway speaks another version of the subscription protocol; upgrade the older of the two")
	// ErrClosed is what Next gives after Close.
	ErrClosed = errors.New("subscription is closed")
)

// SubscribeOptions configure Subscribe. Zero values mean the default in brackets.
type SubscribeOptions struct {
	Host    host.Host
	Gateway peer.ID
	// Connect makes sure that there is a connection to the gateway, by whatever way, and names the peer to open
	// the stream to. It is called before every attempt. [dial the addresses the peerstore has]
	Connect func(context.Context) (peer.ID, error)

	Devices     []string      // keys wanted [all the peer is entitled to]
	Properties  []string      // keys wanted [all]
	MinInterval time.Duration // at most one batch per device in this time [no limit]
	Snapshot    bool          // begin with the latest state of every device without a cursor

	// Epoch and Cursors are where an earlier subscription stood: the last sequence dealt with, per device.
	Epoch   uint64
	Cursors map[string]uint64
	// Since is the Through of the last heartbeat event of that subscription.
	Since time.Time

	WindowFrames int // records on their way or waiting for Next [1024]
	WindowBytes  int // their bytes [1 MiB]
	Log          *slog.Logger
}

func (o SubscribeOptions) check() (SubscribeOptions, error) {
	if o.Host == nil {
		return o, errors.New("subscribing needs a host")
	}
	if o.Connect == nil {
		if err := o.Gateway.Validate(); err != nil {
			return o, fmt.Errorf("subscribing needs the gateway's peer ID: %w", err)
		}
		o.Connect = func(ctx context.Context) (peer.ID, error) {
			return o.Gateway, o.Host.Connect(ctx, peer.AddrInfo{ID: o.Gateway})
		}
	}
	if o.WindowFrames <= 0 {
		o.WindowFrames = defaultWindowFrames
	}
	if o.WindowBytes <= 0 {
		o.WindowBytes = defaultWindowBytes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := helloFrame{Version: subVersion, Devices: o.Devices, Properties: o.Properties, Cursors: o.Cursors}
	return o, h.check()
}

// EventKind says what an Event carries.
type EventKind uint8

// Kinds of events.
const (
	EventConnected    EventKind = iota + 1 // a stream is open, or moved to a better connection: Epoch
	EventDisconnected                      // it is gone, Err says why; a new one is being tried for
	EventDescriptor                        // Hash and Body: what later bodies refer to
	EventSnapshot                          // Device, Seq, Body: the device's latest state
	EventData                              // Device, Seq, Prev, Body: one record
	EventGap                               // Device, From, To, Reason: these will not come
	EventHeartbeat                         // Through, Durable
)

// Event is one thing a subscription tells. Which fields are set depends on Kind.
type Event struct {
	Kind   EventKind
	Epoch  uint64
	Device string
	Seq    uint64
	Prev   uint64 // the sequence before Seq that this subscriber was entitled to
	Body   []byte
	Hash   string

	From, To uint64 // inclusive
	Reason   GapReason

	// Through is the gateway's time up to which everything has been sent; zero: not known.
	Through time.Time
	// Durable gives, for devices where it changed, up to which sequence the gateway will never lose its records.
	Durable map[string]uint64

	Err error
}

// Subscription is a stream of events from one gateway that survives the loss of its connection.
type Subscription struct {
	o      SubscribeOptions
	cancel context.CancelFunc
	done   chan struct{}
	queue  *eventQueue
	// received counts the frames that moved the subscription on, heartbeats included.
	received atomic.Uint64

	// inMu orders what arrives, on two links while a stream moves to a better connection, and guards what follows.
	inMu    sync.Mutex
	epoch   uint64
	cursors map[string]uint64 // as received
	since   int64

	mu          sync.Mutex // guards what follows
	handedEpoch uint64
	handed      map[string]uint64 // as given out by Next
	current     *link             // the one that grants credit
}

// Subscribe starts a subscription; ctx ends it, as Close does. It returns before a connection is there.
func Subscribe(ctx context.Context, o SubscribeOptions) (*Subscription, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Subscription{
		o: o, cancel: cancel, done: make(chan struct{}),
		queue: newEventQueue(2*o.WindowFrames+queueSlack, 2*o.WindowBytes+256*o.WindowFrames+queueSlack<<10),
		epoch: o.Epoch, cursors: copyOrEmpty(o.Cursors),
		handedEpoch: o.Epoch, handed: copyOrEmpty(o.Cursors),
	}
	if !o.Since.IsZero() {
		s.since = o.Since.UnixMilli()
	}
	go s.run(ctx)
	return s, nil
}

func copyOrEmpty(m map[string]uint64) map[string]uint64 {
	if m == nil {
		return make(map[string]uint64)
	}
	return maps.Clone(m)
}

// Next gives the next event. After the subscription has ended it gives what is left, then the reason: ErrClosed,
// ErrRevoked, ErrNotEnrolled or ErrVersion. One goroutine at a time may call it.
func (s *Subscription) Next(ctx context.Context) (Event, error) {
	e, err := s.queue.pop(ctx)
	if err != nil {
		return Event{}, err
	}
	s.mu.Lock()
	s.handedOut(&e)
	current := s.current
	s.mu.Unlock()
	if current != nil && e.record {
		current.consumed(len(e.Body))
	}
	return e.Event, nil
}

// handedOut notes where the caller stands; s.mu is held.
func (s *Subscription) handedOut(e *queued) {
	switch e.Kind {
	case EventConnected:
		if e.Epoch != s.handedEpoch {
			s.handedEpoch = e.Epoch
			clear(s.handed)
		}
		for device, seq := range e.heads {
			if _, known := s.handed[device]; !known {
				s.handed[device] = seq
			}
		}
	case EventData, EventSnapshot:
		s.handed[e.Device] = e.Seq
	case EventGap:
		if e.Device != "" {
			s.handed[e.Device] = max(s.handed[e.Device], e.To)
		}
	case EventDisconnected, EventDescriptor, EventHeartbeat:
	}
}

// Cursors gives the epoch and, per device, the last sequence Next has given out: what a caller that has dealt
// with those events persists to resume from.
func (s *Subscription) Cursors() (epoch uint64, cursors map[string]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.handedEpoch, maps.Clone(s.handed)
}

// Close ends the subscription and waits for its goroutines.
func (s *Subscription) Close() {
	s.cancel()
	<-s.done
}

// run keeps one session after another until the subscription ends.
func (s *Subscription) run(ctx context.Context) {
	defer close(s.done)
	defer s.cancel()
	wait := time.Duration(0)
	for {
		before := s.received.Load()
		err := s.session(ctx)
		if ctx.Err() != nil {
			s.queue.close(ErrClosed)
			return
		}
		if errors.Is(err, ErrDenied) || errors.Is(err, ErrVersion) {
			s.queue.close(err)
			return
		}
		s.o.Log.Debug("subscription interrupted", "gateway", s.o.Gateway, "error", err)
		if s.queue.push(ctx, queued{Event: Event{Kind: EventDisconnected, Err: err}}) != nil {
			s.queue.close(ErrClosed)
			return
		}
		if s.received.Load() > before {
			wait = 0 // it brought something: try again at once
		}
		if !sleep(ctx, wait) {
			s.queue.close(ErrClosed)
			return
		}
		wait = nextBackoff(wait)
	}
}

// nextBackoff doubles up to backoffMost, give or take a quarter so that subscribers of a restarted gateway do
// not come in step.
func nextBackoff(last time.Duration) time.Duration {
	next := min(max(2*last, backoffFirst), backoffMost)
	return next*3/4 + rand.N(next/2) //nolint:gosec // spreading load needs no secrecy
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
