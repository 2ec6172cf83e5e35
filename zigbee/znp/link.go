package znp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

const (
	requestTimeout = 6 * time.Second        // of a SREQ
	interByte      = 100 * time.Millisecond // silence after which a frame counts as stalled
	staleFrame     = time.Second            // silence after which the other half of a frame will not come
	readSize       = 4096
	maxTimeouts    = 3               // unanswered requests in a row before the port is reopened
	queryTimeout   = 3 * time.Second // of a SREQ that only reads what the stick knows
	queryTries     = 3
	probeTimeout   = 2 * time.Second
	maxRetrievals  = 8
)

// link is one opening of the port. The goroutine in own owns everything on the wire: it alone parses, has one
// request in flight, and hands out what arrives. A reader and a writer goroutine only move bytes, so that
// neither direction can stop the other.
type link struct {
	port     io.ReadWriteCloser
	log      *slog.Logger
	queue    *eventQueue
	counters *counters

	calls      chan *call
	chunks     chan []byte
	spare      chan []byte
	out        chan []byte
	retrievals chan mt.AFIncomingMsgExt
	reset      chan error // what makes a new bring-up necessary; one waits at most
	dead       chan struct{}
	deliver    atomic.Bool // application messages are wanted
	steady     atomic.Bool // running: a change of the device state is unexpected
	lastRead   atomic.Int64
	concurrent chan struct{} // a token for each data request on its way; set by the bring-up
	build      uint32        // the firmware's build date; set by the bring-up
	product    uint8         // the firmware's family; set by the bring-up
	layout     alignment     // set by the bring-up

	mu       sync.Mutex // guards what follows
	err      error      // why the link died
	waiters  []*waiter
	confirms map[uint8]chan mt.AFDataConfirm
	transID  uint8

	// Owned by own.
	parser   unpi.Parser
	told     unpi.Stats // already in counters
	now      time.Time  // when the chunk in hand was read
	current  *call
	next     *call // taken, waits for a barrier ping
	timeouts int
	recent   recentMessages
	tap      tap
}

func newLink(port io.ReadWriteCloser, log *slog.Logger, queue *eventQueue, c *counters) *link {
	l := &link{
		port: port, log: log, queue: queue, counters: c,
		calls: make(chan *call), chunks: make(chan []byte, 2), spare: make(chan []byte, 2),
		out: make(chan []byte, 4), retrievals: make(chan mt.AFIncomingMsgExt, maxRetrievals),
		reset: make(chan error, 1), dead: make(chan struct{}),
		concurrent: make(chan struct{}, 1),
		confirms:   map[uint8]chan mt.AFDataConfirm{},
	}
	l.lastRead.Store(time.Now().UnixNano())
	return l
}

// run works the port until ctx ends or the port fails. It closes the port and returns when all is done.
func (l *link) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(l.read)
	wg.Go(l.write)
	wg.Go(func() { l.retrieve(ctx) })
	l.own(ctx)
	if err := l.port.Close(); err != nil {
		l.log.Debug("close zigbee port", "error", err)
	}
	wg.Wait()
}

// fail ends the link; the first cause stays.
func (l *link) fail(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = fmt.Errorf("%w: %w", errLinkDown, cause)
	close(l.dead)
	for _, w := range l.waiters {
		w.fail(l.err)
	}
	l.waiters = nil
}

func (l *link) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *link) read() {
	l.spare <- make([]byte, readSize)
	l.spare <- make([]byte, readSize)
	for {
		var buf []byte
		select {
		case buf = <-l.spare:
		case <-l.dead:
			return
		}
		n, err := l.port.Read(buf[:readSize])
		if n > 0 {
			select {
			case l.chunks <- buf[:n]:
			case <-l.dead:
				return
			}
		} else {
			l.spare <- buf
		}
		if err != nil {
			l.fail(fmt.Errorf("read: %w", err))
			return
		}
	}
}

func (l *link) write() {
	for {
		select {
		case b := <-l.out:
			if _, err := l.port.Write(b); err != nil {
				l.fail(fmt.Errorf("write: %w", err))
				return
			}
		case <-l.dead:
			return
		}
	}
}

// own is the goroutine everything goes through.
func (l *link) own(ctx context.Context) {
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	expiry := time.NewTimer(time.Hour)
	expiry.Stop()
	defer quiet.Stop()
	defer expiry.Stop()
	handle := l.handle
	stalled := false
	for {
		calls := l.calls
		if l.current != nil {
			calls = nil
		}
		select {
		case chunk := <-l.chunks:
			l.feed(chunk, handle)
			stalled = false
			if l.parser.Pending() {
				quiet.Reset(interByte)
			} else {
				quiet.Stop()
			}
		case <-quiet.C:
			if stalled {
				l.parser.Flush(handle)
			} else if l.parser.Expire(handle); l.parser.Pending() {
				stalled = true
				quiet.Reset(staleFrame - interByte)
			}
			l.count()
		case c := <-calls:
			l.start(c)
		case <-expiry.C:
			l.expire()
		case <-l.dead:
			l.finish(l.cause())
			return
		case <-ctx.Done():
			l.fail(context.Cause(ctx))
			l.finish(l.cause())
			return
		}
		if l.current != nil && l.current.fresh {
			l.current.fresh = false
			expiry.Reset(l.current.timeout)
		} else if l.current == nil {
			expiry.Stop()
		}
	}
}

// feed parses one chunk and gives its buffer back to the reader.
func (l *link) feed(chunk []byte, handle func(unpi.Frame)) {
	l.now = time.Now()
	l.lastRead.Store(l.now.UnixNano())
	l.tap.add(chunk)
	l.parser.Feed(chunk, handle)
	l.count()
	l.spare <- chunk[:readSize]
}

// count moves the parser's counters to those everybody may read.
func (l *link) count() {
	s := l.parser.Stats()
	l.counters.frames.Add(s.Frames - l.told.Frames)
	l.counters.badChecksum.Add(s.BadChecksum - l.told.BadChecksum)
	l.counters.skipped.Add(s.Skipped - l.told.Skipped)
	l.told = s
}

// silence tells for how long nothing has been read.
func (l *link) silence() time.Duration {
	return time.Since(time.Unix(0, l.lastRead.Load()))
}

// transmit queues a request for the writer. A full queue means that the port has taken nothing for several requests.
func (l *link) transmit(b []byte) {
	select {
	case l.out <- b:
	default:
		l.fail(errWriteStall)
	}
}

// handle sorts one frame.
func (l *link) handle(f unpi.Frame) {
	switch f.Type {
	case unpi.SyncResponse:
		l.answer(f)
	case unpi.AsyncRequest:
		l.indication(f)
	case unpi.SyncRequest, unpi.Poll:
		l.log.Debug("zigbee stick sent a request", "command", mt.CommandOf(f).String())
	}
}
