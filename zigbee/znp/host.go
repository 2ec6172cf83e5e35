// Package znp drives a Z-Stack coordinator stick through TI's network processor interface: it opens and reopens
// the port, brings the stick up without ever destroying a network by itself, and carries messages both ways.
//
// It must never know what a cluster means, which devices exist, or what becomes of a message: it imports its
// siblings zdo and zcl at most, never package zigbee.
package znp

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/peerbee/peerbee/zigbee/zdo"
)

// Options configure a Host.
type Options struct {
	// Open opens the byte stream to the stick. It is called again, for ever, whenever the stream ends. A stream
	// with SetDTR(bool) error and SetRTS(bool) error lets the host talk sticks out of their boot loader. An error
	// with a method Explain() (problem, hint string) is shown in these words; one with WrongFamily() bool that
	// answers true puts the host into PhaseWrongFamily.
	Open func(context.Context) (io.ReadWriteCloser, error)
	Log  *slog.Logger // nil: silent
	// Expect is the network the owner has formed or adopted; nil when none is known. A stick with anything else
	// is left alone until Form or Adopt is called.
	Expect *Network
}

// Host drives one stick. Create it with New and run Serve; all other methods may be called at any time, from any
// goroutine.
type Host struct {
	open      func(context.Context) (io.ReadWriteCloser, error)
	log       *slog.Logger
	queue     *eventQueue
	counters  counters
	decisions chan *decisionCall // taken by Serve while a stick is open

	mu     sync.Mutex // guards what follows
	state  State
	expect *Network
	link   *link // nil unless running
	extra  []zdo.SimpleDescriptor
}

// New gives a host that does nothing until Serve.
func New(o Options) *Host {
	h := &Host{
		open:      o.Open,
		log:       o.Log,
		queue:     newEventQueue(),
		decisions: make(chan *decisionCall),
		state:     State{Phase: PhaseStarting},
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if o.Expect != nil {
		expect := *o.Expect
		h.expect = &expect
	}
	return h
}

// Serve drives the stick until ctx ends, over as many openings of the port as it takes. It returns ctx's cause,
// context.Canceled in place of a deadline. It must run once at a time.
func (h *Host) Serve(ctx context.Context) error {
	h.reopenForever(ctx)
	return context.Canceled
}

// running gives the link while the stick carries traffic.
func (h *Host) running() (*link, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.link == nil {
		return nil, notRunning(h.state)
	}
	return h.link, nil
}

func (h *Host) setRunning(l *link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.link = l
}

func (h *Host) expected() *Network {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.expect
}

// Stats counts what the host has done since New.
type Stats struct {
	Frames       uint64 // good frames read
	BadChecksum  uint64
	SkippedBytes uint64 // bytes read that belonged to no good frame
	Incoming     uint64 // application messages received, duplicates included
	Duplicates   uint64 // copies of one broadcast, one for each endpoint of the stick, left out
	Dropped      uint64 // events dropped because the reader was slow
	Requests     uint64 // commands sent to the stick
	Timeouts     uint64 // commands the stick did not answer
	Sent         uint64 // application messages confirmed
	SendRetries  uint64 // further attempts to send an application message
	SendFailures uint64 // application messages given up
	Opens        uint64 // times the port was opened
	Resets       uint64 // restarts of the stick that nobody asked for
}

type counters struct {
	frames, badChecksum, skipped, incoming, duplicates, requests, timeouts atomic.Uint64
	sent, sendRetries, sendFailures, opens, resets                         atomic.Uint64
}

// Stats gives the counters.
func (h *Host) Stats() Stats {
	c := &h.counters
	return Stats{
		Frames: c.frames.Load(), BadChecksum: c.badChecksum.Load(), SkippedBytes: c.skipped.Load(),
		Incoming: c.incoming.Load(), Duplicates: c.duplicates.Load(), Dropped: h.queue.droppedTotal(),
		Requests: c.requests.Load(), Timeouts: c.timeouts.Load(), Sent: c.sent.Load(),
		SendRetries: c.sendRetries.Load(), SendFailures: c.sendFailures.Load(),
		Opens: c.opens.Load(), Resets: c.resets.Load(),
	}
}
