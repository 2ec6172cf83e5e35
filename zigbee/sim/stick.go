package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// Errors a caller tells apart.
var (
	// ErrBusy says that the stick is being served already: it has one port.
	ErrBusy = errors.New("the simulated stick has one port, and it is in use")
	// ErrUnplugged ends Serve when the stick is unplugged through Unplug.
	ErrUnplugged = errors.New("the simulated stick was unplugged")
)

const (
	stateHold    = mt.StateHold
	stateRunning = mt.StateCoordinator
)

// Stick is a simulated stick with its network. Its methods may be called from any goroutine.
type Stick struct {
	log     *slog.Logger
	version Version
	delays  Delays
	manual  bool
	wake    chan struct{}
	cond    *sync.Cond // of mu; told whenever something somebody may wait for has changed

	// mu guards everything below, and the sensors.
	mu       sync.Mutex
	mem      *nv.Memory
	line     line
	rng      *rand.Rand
	timers   timers
	timerSeq uint64
	running  bool
	port     io.Closer // what is being served, nil between peers
	paused   bool      // sensors keep silent of themselves
	load     *load

	stallUntil time.Time // neither reads nor writes
	plugUntil  time.Time // unplugged
	unplugged  bool
	groups     []group
	sensors    []*sensor

	radio
}

// radio is the stick's working memory: what a reset forgets.
type radio struct {
	state       mt.DeviceState
	boot        uint64 // counts resets, so that a delayed action of the life before is not done
	deaf        bool   // in reset
	endpoints   []mt.AFRegister
	permitUntil time.Time
	permitVia   zb.NetworkAddress // the router the network is open at; 0: the stick itself
	installOnly bool
	installed   map[zb.IEEEAddress]bool // devices with an install code
	channels    [2]uint32               // secondary, primary
	callbacks   map[uint16]bool         // ZDO clusters whose messages the host wants raw
	network     nv.Network
	counter     uint32 // network frame counter
	savedCount  uint32
	lastStamp   uint32
	started     time.Time
	outgoing    *parkedRequest
	incoming    []parkedMessage
}

type group struct {
	endpoint zb.Endpoint
	id       zb.GroupID
	name     []byte
}

// New returns a stick that was just plugged in.
func New(o Options) (*Stick, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Stick{
		log: o.Log, version: o.Version, delays: o.Delays, manual: o.ManualJoin, mem: o.NV,
		wake: make(chan struct{}, 1), rng: newRand(o.Seed, "air"),
	}
	s.cond = sync.NewCond(&s.mu)
	s.line.rng = newRand(o.Seed, "faults")
	if s.sensors, err = newSensors(o); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restart()
	return s, nil
}

// Serve plugs the stick into a port until the context or the port ends; the error says which. The stick keeps
// its state for the next port.
func (s *Stick) Serve(ctx context.Context, port io.ReadWriteCloser) error {
	return s.serve(ctx, func(ctx context.Context) error {
		if err := s.plugIn(ctx); err != nil {
			return errors.Join(err, port.Close())
		}
		return s.link(ctx, port)
	})
}

// serve runs the clock and the load generator beside links, which serves one port after the other.
func (s *Stick) serve(ctx context.Context, links func(context.Context) error) error {
	s.mu.Lock()
	if s.running {
		s.mu.Unlock()
		return ErrBusy
	}
	s.running = true
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, s.broadcast)
	var wg sync.WaitGroup
	wg.Go(func() { s.clock(ctx) })
	wg.Go(func() { s.generate(ctx) })
	err := links(ctx)
	cancel()
	stop()
	s.broadcast()
	wg.Wait()
	s.mu.Lock()
	s.running = false
	s.mu.Unlock()
	return err
}

func (s *Stick) broadcast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cond.Broadcast()
}

// link speaks to one peer until the port or the context ends.
func (s *Stick) link(ctx context.Context, port io.ReadWriteCloser) error {
	s.mu.Lock()
	if s.unplugged { // in the moment since the port was made
		s.mu.Unlock()
		return errors.Join(ErrUnplugged, port.Close())
	}
	s.line.open()
	s.port = port
	s.cond.Broadcast()
	s.mu.Unlock()

	closing := sync.OnceValue(port.Close)
	shut := func() { closing() } //nolint:errcheck // the port is given up; what it says no longer matters
	stop := context.AfterFunc(ctx, func() { shut(); s.broadcast() })
	defer stop()
	var wg sync.WaitGroup
	var readErr, writeErr error
	end := func() {
		shut()
		s.mu.Lock()
		s.line.up, s.line.buf, s.port = false, s.line.buf[:0], nil
		s.cond.Broadcast()
		s.mu.Unlock()
	}
	wg.Go(func() { readErr = s.read(ctx, port); end() })
	wg.Go(func() { writeErr = s.write(ctx, port); end() })
	wg.Wait()
	switch {
	case ctx.Err() != nil:
		return ended(ctx)
	case s.isUnplugged():
		return ErrUnplugged
	}
	return fmt.Errorf("the port ended: %w", errors.Join(readErr, writeErr))
}

// read takes in frames. Bytes that are no frame, such as those that call a boot loader, are passed over.
func (s *Stick) read(ctx context.Context, port io.Reader) error {
	var parser unpi.Parser
	chunk := make([]byte, 4096)
	for {
		n, err := port.Read(chunk)
		if n > 0 {
			s.mu.Lock()
			s.waitRoom(ctx)
			parser.Feed(chunk[:n], s.receive)
			s.cond.Broadcast()
			s.mu.Unlock()
		}
		if err != nil {
			return err //nolint:wrapcheck // wrapped once by link
		}
	}
}

// waitRoom waits until there is room to answer and no stall. The lock is held before and after.
func (s *Stick) waitRoom(ctx context.Context) {
	for ctx.Err() == nil && s.line.up && (s.line.full() || s.stalled()) {
		s.cond.Wait()
	}
}

func (s *Stick) stalled() bool { return time.Now().Before(s.stallUntil) }

// write hands what waits to the port, as much as there is at a time.
func (s *Stick) write(ctx context.Context, port io.Writer) error {
	var spare []byte
	for {
		s.mu.Lock()
		for ctx.Err() == nil && s.line.up && (len(s.line.buf) == 0 || s.stalled()) {
			s.cond.Wait()
		}
		if ctx.Err() != nil || !s.line.up {
			s.mu.Unlock()
			return nil //nolint:nilerr // serving ends, which is what was asked for
		}
		out, split := s.line.take(spare), s.line.faults.Split
		s.cond.Broadcast()
		s.mu.Unlock()
		n, err := writeAll(port, out, split)
		s.mu.Lock()
		s.line.stats.BytesSent += uint64(n)
		s.mu.Unlock()
		if err != nil {
			return err
		}
		spare = out
	}
}

func writeAll(port io.Writer, b []byte, split bool) (int, error) {
	if !split {
		return port.Write(b) //nolint:wrapcheck // wrapped once by link
	}
	for i := range b {
		if _, err := port.Write(b[i : i+1]); err != nil {
			return i, err //nolint:wrapcheck // wrapped once by link
		}
	}
	return len(b), nil
}

// receive does what a frame of the host asks for.
func (s *Stick) receive(f unpi.Frame) {
	s.line.stats.FramesReceived++
	if s.deaf || s.unplugged {
		return
	}
	cmd := mt.CommandOf(f)
	handle, known := handlers[cmd]
	known = known && s.understands(cmd)
	if known {
		if err := handle(s, f.Payload); err == nil {
			return
		}
	}
	s.log.Debug("refused a command", "command", cmd.String(), "known", known)
	if f.Type != unpi.SyncRequest {
		return
	}
	code := mt.ErrorInvalidLength
	if !known {
		code = mt.ErrorInvalidCommand
		if !subsystems[f.Subsystem] {
			code = mt.ErrorInvalidSubsystem
		}
	}
	s.send(&mt.RPCError{Code: code, CMD0: byte(f.Type)<<5 | byte(f.Subsystem), CMD1: f.ID})
}

// send puts a message of the stick on the line.
func (s *Stick) send(m mt.Message) {
	frame, err := mt.AppendFrame(nil, m)
	if err != nil {
		s.log.Warn("could not encode an answer", "command", m.Command().String(), "error", err)
		return
	}
	s.line.put(frame, false)
}

// sendRaw puts a frame on the line whose payload is built by hand.
func (s *Stick) sendRaw(cmd mt.Command, payload []byte, report bool) {
	frame, err := unpi.Frame{Type: cmd.Type, Subsystem: cmd.Subsystem, ID: cmd.ID, Payload: payload}.Append(nil)
	if err != nil {
		s.log.Warn("could not encode a frame", "command", cmd.String(), "error", err)
		return
	}
	s.line.put(frame, report)
}

// status answers a request by a status alone.
func (s *Stick) status(of mt.Command, code uint8) {
	s.send(&mt.StatusRsp{Of: of, Status: mt.Status(code)})
}

func (s *Stick) isUnplugged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unplugged
}
