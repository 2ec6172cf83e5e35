package zigbee

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	zb "github.com/shimmeringbee/zigbee"
	"golang.org/x/sync/errgroup"
)

// Options is what a Network needs.
type Options struct {
	Open OpenPort     // see OpenerFor
	Port string       // the port's name for State
	Log  *slog.Logger // nil: silent
	// Devices are those known from an earlier run, as the last DeviceChanged of each gave them.
	Devices []Device
	// Expect is the network the stick should hold, as Form or Adopt gave it; nil when none was decided on yet. A
	// stick that holds another one is left alone until a person decides.
	Expect *NetworkParams
}

// Network is one Zigbee network. All methods may be used from any goroutine.
type Network struct {
	log       *slog.Logger
	radio     radio
	table     *table
	queue     *queue
	exchanges *exchanges
	strangers *strangers
	schedule  *schedule
	replies   *pool // answers to devices
	lookups   *pool // questions for addresses
	counters  counters
	// joinUntil is when the last permission to join ends, Unix nanoseconds.
	joinUntil atomic.Int64
	running   atomic.Bool // the link carries messages
	tap       atomic.Pointer[tap]
}

func newNetwork(r radio, o Options) *Network {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	n := &Network{
		log: log, radio: r, queue: newQueue(), exchanges: newExchanges(), strangers: newStrangers(), schedule: newSchedule(),
		replies: newPool(4, 128), lookups: newPool(2, maxStrangers),
	}
	n.table = newTable(o.Devices, n.queue.push)
	return n
}

// Serve runs the network until ctx ends; it survives every failure of the stick and of the port. It may be
// called again after it returned.
func (n *Network) Serve(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.radio.Serve(ctx) })
	g.Go(func() error { n.schedule.serve(ctx, n.interviewOne); return nil })
	for _, p := range []*pool{n.replies, n.lookups} {
		for range p.workers {
			g.Go(func() error { p.work(ctx); return nil })
		}
	}
	g.Go(func() error { return n.pump(ctx) })
	err := g.Wait()
	if errors.Is(err, context.DeadlineExceeded) {
		// A supervisor takes this error for the wish to stop for good.
		return fmt.Errorf("run the stick: %v", err) //nolint:errorlint // the chain is cut on purpose
	}
	return err
}

// pump is the one reader of the radio's events. Nothing in it waits.
func (n *Network) pump(ctx context.Context) error {
	for {
		e, err := n.radio.Next(ctx)
		if err != nil {
			return err
		}
		n.take(e)
	}
}

func (n *Network) take(e radioEvent) {
	now := time.Now()
	switch e := e.(type) {
	case incoming:
		if !e.time.IsZero() {
			now = e.time
		}
		n.receive(e, now)
	case announced:
		n.announce(e, now)
	case left:
		n.leave(e)
	case linkChanged:
		n.link(e.state, now)
	case dropped:
		n.queue.push(Lost{Count: e.count})
	}
}

// link passes the link's state on, and starts the interviews that wait once messages flow.
func (n *Network) link(s State, now time.Time) {
	n.queue.push(StateChanged{State: s})
	up := s.Phase == PhaseRunning
	if was := n.running.Swap(up); up && !was {
		for _, ieee := range n.table.waiting() {
			n.schedule.at(ieee, now)
		}
	}
}

// announceGrace is how long a device that the trust centre let in may take to announce itself, which it does
// once it has the key; questions before that go unanswered.
const announceGrace = 3 * time.Second

func (n *Network) announce(a announced, now time.Time) {
	known, isNew := n.table.joined(a.device, a.address, now, func() bool { return !n.queue.crowded() })
	if !known {
		n.counters.refusedDevices.Add(1)
		n.log.Debug("device not taken in: the table is full", "device", a.device)
		return
	}
	n.log.Info("device joined or rejoined", "device", a.device, "address", a.address, "new", isNew)
	n.tapJoined(a.device, isNew)
	when := now
	if a.trustCentre {
		when = now.Add(announceGrace)
		// While the network is open a device may have been reset, and with that has lost its bindings.
		if now.UnixNano() < n.joinUntil.Load() {
			n.table.change(a.device, (*entry).restart)
		}
	}
	n.table.change(a.device, func(e *entry) bool {
		again := e.retry()
		if e.wantsInterview() {
			n.schedule.at(a.device, when)
		}
		return again
	})
	n.replay(a.address)
}

func (n *Network) leave(l left) {
	if l.rejoin {
		n.log.Info("device leaves to rejoin", "device", l.device)
		return
	}
	device := l.device
	if device == 0 {
		device, _ = n.table.at(l.address)
	}
	n.forget(device)
}

func (n *Network) forget(device zb.IEEEAddress) {
	if n.table.remove(device) {
		n.log.Info("device left", "device", device)
		n.schedule.forget(device)
		n.tapLeft(device)
	}
}

// Next gives the next event of the network's one ordered stream, or ctx's error. One goroutine at a time may call
// it; the stream outlives Serve.
func (n *Network) Next(ctx context.Context) (Event, error) { return n.queue.take(ctx) }

// State tells where the link to the stick stands.
func (n *Network) State() State { return n.radio.State() }

// Devices lists the devices by IEEE address.
func (n *Network) Devices() []Device { return n.table.devices() }

// Device gives one device; false when it has not joined.
func (n *Network) Device(ieee zb.IEEEAddress) (Device, bool) { return n.table.get(ieee) }
