package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
)

// errMissedHeartbeats ends a link over a connection that has gone silent.
var errMissedHeartbeats = errors.New("the gateway has gone silent")

// link is one stream to the gateway: a goroutine that reads it and one that grants credit.
type link struct {
	s      *Subscription
	stream network.Stream
	acked  chan struct{} // closed when the gateway has accepted the hello
	done   chan struct{} // closed when both goroutines are over; err is set then
	err    error

	wake   chan struct{} // capacity 1: there is credit to grant
	mu     sync.Mutex    // guards what follows
	frames uint64        // taken by the caller and not granted again yet
	bytes  uint64
}

// session connects, subscribes and follows until the stream breaks. When a relayed connection is joined by a
// direct one, the stream moves there: the old one is read until the new one speaks.
func (s *Subscription) session(ctx context.Context) error {
	id, err := s.connect(ctx)
	if err != nil {
		return err
	}
	direct, stop := s.watchDirect(id)
	defer stop()
	now, err := s.openLink(ctx, id)
	if err != nil {
		return err
	}
	defer func() { now.end() }()
	for {
		select {
		case <-now.done:
			return now.err
		case <-direct:
		}
		if !now.relayed() {
			continue
		}
		next, err := s.openLink(ctx, id)
		if err != nil {
			continue // the relayed stream still runs
		}
		select {
		case <-next.acked:
		case <-next.done:
			continue
		}
		now.end()
		now = next
	}
}

func (s *Subscription) connect(ctx context.Context) (peer.ID, error) {
	ctx, cancel := context.WithTimeout(ctx, connectDeadline)
	defer cancel()
	id, err := s.o.Connect(ctx)
	if err != nil {
		return "", fmt.Errorf("connecting to the gateway: %w", err)
	}
	return id, nil
}

// watchDirect signals each new direct connection to id until stop is called.
func (s *Subscription) watchDirect(id peer.ID) (direct <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	n := &network.NotifyBundle{ConnectedF: func(_ network.Network, conn network.Conn) {
		if conn.RemotePeer() == id && !conn.Stat().Limited && !isRelayAddr(conn.RemoteMultiaddr()) {
			signal(c)
		}
	}}
	s.o.Host.Network().Notify(n)
	return c, func() { s.o.Host.Network().StopNotify(n) }
}

// openLink opens a stream and sends the hello.
func (s *Subscription) openLink(ctx context.Context, id peer.ID) (*link, error) {
	dial, cancel := context.WithTimeout(network.WithAllowLimitedConn(ctx, "sub"), connectDeadline)
	defer cancel()
	st, err := s.o.Host.NewStream(dial, id, SubProtocol)
	if err != nil {
		return nil, fmt.Errorf("opening a subscription stream: %w", err)
	}
	if err = st.SetWriteDeadline(time.Now().Add(writeDeadline)); err == nil {
		err = sendFrame(st, kindHello, s.helloNow())
	}
	if err != nil {
		resetStream(st)
		return nil, fmt.Errorf("sending the hello: %w", err)
	}
	l := &link{
		s: s, stream: st, acked: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	go l.run(ctx)
	return l, nil
}

// helloNow asks for what follows the last record received.
func (s *Subscription) helloNow() helloFrame {
	frames, bytes := s.queue.held()
	s.inMu.Lock()
	defer s.inMu.Unlock()
	return helloFrame{
		Version: subVersion, Devices: s.o.Devices, Properties: s.o.Properties,
		Epoch: s.epoch, Cursors: copyOrEmpty(s.cursors), Since: s.since,
		MinInterval: uint64(max(0, s.o.MinInterval.Milliseconds())),
		Snapshot:    s.o.Snapshot,
		Credit: &Credit{
			Frames: uint64(max(0, s.o.WindowFrames-frames)),
			Bytes:  uint64(max(0, s.o.WindowBytes-bytes)),
		},
	}
}

func (l *link) relayed() bool {
	c := l.stream.Conn()
	return c.Stat().Limited || isRelayAddr(c.RemoteMultiaddr())
}

// end closes the link and waits for its goroutines.
func (l *link) end() {
	resetStream(l.stream)
	<-l.done
}

func (l *link) run(ctx context.Context) {
	defer close(l.done)
	ctx, cancel := context.WithCancel(ctx)
	// A reset is what wakes a reader or writer that waits for the network.
	stop := context.AfterFunc(ctx, func() { resetStream(l.stream) })
	defer stop()
	var granting sync.WaitGroup
	granting.Go(func() { l.grant(ctx) })
	l.err = l.read(ctx)
	cancel()
	granting.Wait()
	l.s.retire(l)
	if errors.Is(l.err, errMissedHeartbeats) {
		l.hangUp()
	}
}

// hangUp closes the silent connection, which nothing else would find out about for half a minute, and lets the
// next dial go out at once. Closing can block on the dead connection, so nobody waits for it.
func (l *link) hangUp() {
	conn := l.stream.Conn()
	go func() { _ = conn.Close() }() // an error says that it is closed already
	if n, ok := l.s.o.Host.Network().(interface{ Backoff() *swarm.DialBackoff }); ok {
		n.Backoff().Clear(conn.RemotePeer())
	}
}

// retire stops granting credit to a link that is over.
func (s *Subscription) retire(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == l {
		s.current = nil
	}
}

// consumed notes that the caller has taken a record; a quarter of the window is granted at once.
func (l *link) consumed(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frames++
	l.bytes += uint64(bytes)
	if l.frames >= uint64(max(1, l.s.o.WindowFrames/4)) || l.bytes >= uint64(max(1, l.s.o.WindowBytes/4)) {
		signal(l.wake)
	}
}

func (l *link) grant(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		l.mu.Lock()
		c := Credit{Frames: l.frames, Bytes: l.bytes}
		l.frames, l.bytes = 0, 0
		l.mu.Unlock()
		err := l.stream.SetWriteDeadline(time.Now().Add(writeDeadline))
		if err == nil {
			err = sendFrame(l.stream, kindCredit, c)
		}
		if err != nil {
			resetStream(l.stream)
			return
		}
	}
}

// read takes frames until the stream breaks or the gateway ends it.
func (l *link) read(ctx context.Context) error {
	in := newFrameReader(l.stream, readRecord)
	if err := l.stream.SetReadDeadline(time.Now().Add(connectDeadline)); err != nil {
		return err
	}
	kind, fields, err := in.next()
	if err != nil {
		return fmt.Errorf("waiting for the gateway to accept the subscription: %w", err)
	}
	silence, err := l.accepted(ctx, kind, fields)
	if err != nil {
		return err
	}
	deadline := time.Time{}
	for {
		if in.r.Buffered() == 0 {
			if err := l.awaitFrame(in, silence); err != nil {
				return err
			}
			deadline = time.Time{}
		}
		// A reader that was held up by its caller must not find its own deadline passed.
		if now := time.Now(); deadline.Sub(now) < frameDeadline/2 {
			deadline = now.Add(frameDeadline)
			if err := l.stream.SetReadDeadline(deadline); err != nil {
				return err
			}
		}
		kind, fields, err := in.next()
		if err != nil {
			return fmt.Errorf("reading from the gateway: %w", err)
		}
		if err := l.receive(ctx, kind, fields); err != nil {
			return err
		}
	}
}

func (l *link) awaitFrame(in *frameReader, silence time.Duration) error {
	if err := l.stream.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return err
	}
	err := in.await()
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%w for %s: %w", errMissedHeartbeats, silence, err)
	}
	if err != nil {
		return fmt.Errorf("reading from the gateway: %w", err)
	}
	return nil
}
