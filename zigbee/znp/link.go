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

// link is one opening of the port. The reader parses what it has read and hands it on itself: a report reaches its
// queue without waking another goroutine. The goroutine in own starts requests, one at a time, and keeps their
// time. Both hold wire for what they share. A writer goroutine only moves bytes, so that neither direction can stop
// the other.
type link struct {
	port     io.ReadWriteCloser
	log      *slog.Logger
	queue    *eventQueue
	counters *counters

	calls      chan *call
	heard      chan struct{} // holds one token when own should look at the request and the timers again
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

	wire     sync.Mutex // guards what follows; taken before mu and before the queue's
	parser   unpi.Parser
	told     unpi.Stats // already in counters
	now      time.Time  // when the latest chunk was read
	stalled  bool       // the half-read frame has been looked through for good ones
	waiting  bool       // own has been told that a frame is half-read
	current  *call
	next     *call // taken, waits for a barrier ping
	timeouts int
	recent   recentMessages
	tap      tap
}

func newLink(port io.ReadWriteCloser, log *slog.Logger, queue *eventQueue, c *counters) *link {
	l := &link{
		port: port, log: log, queue: queue, counters: c,
		calls: make(chan *call), heard: make(chan struct{}, 1),
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
	buf := make([]byte, readSize)
	handle := l.handle
	for {
		n, err := l.port.Read(buf)
		if n > 0 {
			l.feed(buf[:n], handle)
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

// own starts requests one after another, gives up those that are not answered, and frees what a stalled frame holds
// back.
func (l *link) own(ctx context.Context) {
	quiet, expiry := stoppedTimer(), stoppedTimer()
	defer quiet.Stop()
	defer expiry.Stop()
	for {
		select {
		case <-l.heard:
		case <-quiet.C:
			l.rescan()
		case c := <-l.acceptable():
			l.locked(func() { l.start(c) })
		case <-expiry.C:
			l.locked(l.expire)
		case <-l.dead:
			l.locked(func() { l.finish(l.cause()) })
			return
		case <-ctx.Done():
			l.fail(context.Cause(ctx))
			l.locked(func() { l.finish(l.cause()) })
			return
		}
		l.locked(func() { l.arm(quiet, expiry) })
	}
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

func (l *link) locked(do func()) {
	l.wire.Lock()
	defer l.wire.Unlock()
	do()
}

// acceptable is where the next request comes from: nowhere while one is in flight.
func (l *link) acceptable() <-chan *call {
	l.wire.Lock()
	defer l.wire.Unlock()
	if l.current != nil {
		return nil
	}
	return l.calls
}

// arm sets the timers to what the request in flight and a half-read frame ask for. The caller holds wire.
func (l *link) arm(quiet, expiry *time.Timer) {
	switch {
	case l.current == nil:
		expiry.Stop()
	case l.current.fresh:
		l.current.fresh = false
		expiry.Reset(l.current.timeout)
	}
	switch {
	case !l.parser.Pending():
		quiet.Stop()
	case l.stalled:
		quiet.Reset(time.Until(l.now.Add(staleFrame)))
	default:
		quiet.Reset(time.Until(l.now.Add(interByte)))
	}
}

// rescan hands out good frames that a half-read one holds back, and gives that one up when its rest is overdue.
func (l *link) rescan() {
	l.wire.Lock()
	defer l.wire.Unlock()
	silent := time.Since(l.now)
	switch {
	case silent >= staleFrame:
		l.parser.Flush(l.handle)
	case silent >= interByte:
		l.parser.Expire(l.handle)
		l.stalled = true
	}
	l.count()
}

// feed parses one chunk.
func (l *link) feed(chunk []byte, handle func(unpi.Frame)) {
	l.wire.Lock()
	defer l.wire.Unlock()
	l.now = time.Now()
	l.lastRead.Store(l.now.UnixNano())
	l.tap.add(chunk)
	before := l.current
	l.parser.Feed(chunk, handle)
	l.count()
	l.stalled = false
	if pending := l.parser.Pending(); pending != l.waiting || pending || l.current != before {
		l.waiting = pending
		select {
		case l.heard <- struct{}{}:
		default:
		}
	}
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
