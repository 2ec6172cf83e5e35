package p2p

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

func TestBrokenHellosAreRefused(t *testing.T) {
	h := streamHost(t)
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h)})
	for name, c := range map[string]struct {
		raw  []byte
		want EndReason
	}{
		"other kind":    {wire(t, kindCredit, Credit{Frames: 1}), EndProtocol},
		"no version":    {wire(t, kindHello, helloFrame{}), EndProtocol},
		"other version": {wire(t, kindHello, helloFrame{Version: 2}), EndVersion},
		"bad filter":    {wire(t, kindHello, helloFrame{Version: 1, Devices: []string{strings.Repeat("x", 200)}}), EndProtocol},
		"garbage":       {[]byte("\x05hello"), EndProtocol},
		"oversized":     {[]byte("\xff\xff\x7f"), EndProtocol},
		"two hellos": {append(wire(t, kindHello, helloFrame{Version: 1}),
			"\x05hello"...), EndProtocol},
	} {
		var end endFrame
		rawNext(t, newFrameReader(rawStream(t, h, gw, c.raw), readSmall), kindEnd, &end)
		if EndReason(end.Reason) != c.want {
			t.Errorf("%s: %s", name, end.Reason)
		}
	}
	// None of them is left.
	for gw.hasSubscribers() {
		time.Sleep(time.Millisecond)
	}
}

func TestCreditFloodEndsTheStream(t *testing.T) {
	h := streamHost(t)
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h)})
	frames := [][]byte{wire(t, kindHello, helloFrame{Version: 1})}
	for range 2 * creditBurst {
		frames = append(frames, wire(t, kindCredit, Credit{Frames: 1 << 63, Bytes: 1 << 63}))
	}
	var end endFrame
	rawNext(t, newFrameReader(rawStream(t, h, gw, frames...), readSmall), kindEnd, &end)
	if EndReason(end.Reason) != EndProtocol {
		t.Fatalf("ended with %s", end.Reason)
	}
}

func TestStreamsAreLimited(t *testing.T) {
	h, other, third := streamHost(t), streamHost(t), streamHost(t)
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h, other, third), MaxPerPeer: 2, MaxSubscribers: 3})
	hello := wire(t, kindHello, helloFrame{Version: 1})
	var ack ackFrame
	for range 2 {
		rawNext(t, newFrameReader(rawStream(t, h, gw, hello), readSmall), kindAck, &ack)
	}
	var end endFrame
	rawNext(t, newFrameReader(rawStream(t, h, gw, hello), readSmall), kindEnd, &end)
	if EndReason(end.Reason) != EndLimit {
		t.Fatalf("a third stream of one peer: %s", end.Reason)
	}
	rawNext(t, newFrameReader(rawStream(t, other, gw, hello), readSmall), kindAck, &ack)
	rawNext(t, newFrameReader(rawStream(t, third, gw, hello), readSmall), kindEnd, &end)
	if EndReason(end.Reason) != EndLimit {
		t.Fatalf("a fourth stream in all: %s", end.Reason)
	}
}

func TestShutdownSaysSoAndSubscribersComeBack(t *testing.T) {
	h, server := streamHost(t), streamHost(t)
	b := newMemoryBacklog()
	o := PublisherOptions{Auth: allowing(h), Backlog: b, Epoch: 7}
	first := NewPublisher(o)
	first.Register(server)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- first.Serve(ctx) }()
	s := subscribe(t, h, &testGateway{host: server}, SubscribeOptions{})
	next(t, s, EventConnected)
	b.store(testRecord("a", 1, "t"))
	first.Publish(testRecord("a", 1, "t"))
	next(t, s, EventData)
	cancel()
	noErr(t, <-done)
	if e := next(t, s, EventDisconnected); !strings.Contains(e.Err.Error(), string(EndShutdown)) {
		t.Fatalf("disconnected by %v", e.Err)
	}
	b.store(testRecord("a", 2, "t"))
	second := serveOn(t, server, o)
	second.Publish(testRecord("a", 3, "t"))
	for want := uint64(2); want <= 3; want++ {
		if e := next(t, s, EventData, EventGap); e.Seq != want || e.Prev != want-1 {
			t.Fatalf("got %+v", e)
		}
	}
}

func TestUnusableRecordsAreNotPublished(t *testing.T) {
	p := NewPublisher(PublisherOptions{})
	p.Publish(testRecord("a", 5, "t"))
	before := p.ring.head
	noEncoder := testRecord("a", 9, "t")
	noEncoder.Encode = nil
	for _, rec := range []Record{
		testRecord("", 1, "t"), testRecord("a", 0, "t"), testRecord("a", 5, "t"), testRecord("a", 4, "t"),
		testRecord("a", 9), testRecord(strings.Repeat("x", maxKey+1), 1, "t"), noEncoder,
		testRecord("a", 9, make([]string, maxProps+1)...),
	} {
		p.Publish(rec)
	}
	p.AnnounceLost("", 1, 2)
	p.AnnounceLost("a", 0, 2)
	p.AnnounceLost("a", 9, 8)
	p.AnnounceLost("a", 1, 5)
	if p.ring.head != before {
		t.Fatalf("%d of them are in the ring", p.ring.head-before)
	}
	p.AnnounceLost("a", 3, 8)
	if e := p.ring.at(before); e.lost != (span{6, 8}) {
		t.Fatalf("lost %v", e.lost)
	}
}

func TestRingIsBoundedInBytes(t *testing.T) {
	r := newRing(1000, 10*entryCost)
	for seq := uint64(1); seq <= 100; seq++ {
		noErr(t, r.publish(testRecord("a", seq, "t")))
		rec := testRecord("b", seq, "t")
		rec.Encode = func([]string) (Body, error) { return Body{Bytes: make([]byte, entryCost)}, nil }
		noErr(t, r.publish(rec))
		e := r.at(r.head - 1)
		var all propMask
		all.set(0)
		for range 3 {
			_, err := e.encode(all)
			noErr(t, err)
		}
		if used := r.used.Load(); used > 12*entryCost || used < 0 {
			t.Fatalf("%d bytes", used)
		}
	}
	for r.tail < r.head {
		r.evictOldest()
	}
	if used := r.used.Load(); used != 0 {
		t.Fatalf("an empty ring uses %d bytes", used)
	}
}

// fakeGateway answers every subscription with the given bytes and then goes silent.
func fakeGateway(t *testing.T, frames ...[]byte) *testGateway {
	t.Helper()
	h := streamHost(t)
	h.SetStreamHandler(SubProtocol, func(s network.Stream) {
		for _, f := range frames {
			if _, err := s.Write(f); err != nil {
				return
			}
		}
		_, err := io.Copy(io.Discard, s)
		if err == nil {
			resetStream(s)
		}
	})
	return &testGateway{host: h}
}

func TestSilentGatewayIsLeft(t *testing.T) {
	h := streamHost(t)
	gw := fakeGateway(t, wire(t, kindAck, ackFrame{Epoch: 7, Heartbeat: 100}))
	s := subscribe(t, h, gw, SubscribeOptions{})
	next(t, s, EventConnected)
	old := h.Network().ConnsToPeer(gw.host.ID())
	if e := next(t, s, EventDisconnected); !errors.Is(e.Err, errMissedHeartbeats) {
		t.Fatalf("disconnected by %v", e.Err)
	}
	next(t, s, EventConnected)
	for _, c := range old {
		for !c.IsClosed() {
			time.Sleep(time.Millisecond)
		}
	}
}

func TestSubscriberFindsLossAndDropsDuplicates(t *testing.T) {
	h := streamHost(t)
	data := func(seq, prev uint64) []byte {
		b, err := appendRecordFrame(nil, kindData, "a", seq, prev, []byte("x"))
		noErr(t, err)
		return b
	}
	gw := fakeGateway(t, wire(t, kindAck, ackFrame{Epoch: 7, Heartbeat: 60000}),
		data(3, 1), data(3, 1), data(2, 1), data(9, 6),
		wire(t, kindGap, gapFrame{Device: "a", From: 4, To: 8, Reason: "slow"}),
		wire(t, kindGap, gapFrame{Device: "a", From: 8, To: 12, Reason: "slow"}),
		wire(t, 22, endFrame{}), data(13, 12))
	s := subscribe(t, h, gw, SubscribeOptions{})
	var got []uint64
	for range 5 {
		e := next(t, s, EventData, EventGap)
		got = append(got, e.Seq, e.From, e.To)
	}
	want := []uint64{3, 0, 0, 0, 4, 6, 9, 0, 0, 0, 10, 12, 13, 0, 0}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestHostileGatewayIsLeft(t *testing.T) {
	ack := wire(t, kindAck, ackFrame{Epoch: 7, Heartbeat: 60000})
	backwards, err := appendRecordFrame(nil, kindData, "a", 3, 3, nil)
	noErr(t, err)
	for name, raw := range map[string][]byte{
		"no ack":              wire(t, kindHeartbeat, heartbeatFrame{}),
		"garbage":             append(ack[:len(ack):len(ack)], "\x05hello"...),
		"oversized":           append(ack[:len(ack):len(ack)], 0xff, 0xff, 0x7f),
		"second ack":          append(ack[:len(ack):len(ack)], ack...),
		"prev not before seq": append(ack[:len(ack):len(ack)], backwards...),
		"gap backwards":       append(ack[:len(ack):len(ack)], wire(t, kindGap, gapFrame{Device: "a", From: 5, To: 4})...),
		"device without a key": append(ack[:len(ack):len(ack)],
			wire(t, kindSnapshot, recordFrame{Seq: 1})...),
		"unknown end": append(ack[:len(ack):len(ack)], wire(t, kindEnd, endFrame{Reason: strings.Repeat("x", 999)})...),
	} {
		t.Run(name, func(t *testing.T) {
			s := subscribe(t, streamHost(t), fakeGateway(t, raw), SubscribeOptions{})
			if e := next(t, s, EventDisconnected, EventData, EventSnapshot); e.Kind != EventDisconnected || len(e.Err.Error()) > 400 {
				t.Fatalf("got %+v", e)
			}
		})
	}
}

func TestEndOfAnotherVersionIsFinal(t *testing.T) {
	s := subscribe(t, streamHost(t), fakeGateway(t, wire(t, kindEnd, endFrame{Reason: string(EndVersion)})), SubscribeOptions{})
	if err := ended(t, s); !errors.Is(err, ErrVersion) {
		t.Fatal(err)
	}
}

func TestSubscribeOptionsAreChecked(t *testing.T) {
	h := streamHost(t)
	for name, o := range map[string]SubscribeOptions{
		"no host":    {Gateway: h.ID()},
		"no gateway": {Host: h},
		"bad filter": {Host: h, Gateway: h.ID(), Devices: []string{""}},
	} {
		if s, err := Subscribe(t.Context(), o); err == nil {
			s.Close()
			t.Errorf("%s is taken", name)
		}
	}
}

func TestCloseEndsNext(t *testing.T) {
	h, nowhere := streamHost(t), streamHost(t)
	s, err := Subscribe(t.Context(), SubscribeOptions{Host: h, Gateway: nowhere.ID()})
	noErr(t, err)
	next(t, s, EventDisconnected)
	s.Close()
	if err := ended(t, s); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	s.Close()
}

// A gateway that sends without credit fills the window and is then held up, not the memory.
func TestGatewayThatIgnoresCreditIsHeldUp(t *testing.T) {
	frames := [][]byte{wire(t, kindAck, ackFrame{Epoch: 7, Heartbeat: 60000})}
	const sent = 400
	for seq := uint64(1); seq <= sent; seq++ {
		b, err := appendRecordFrame(nil, kindData, "a", seq, seq-1, make([]byte, 32<<10))
		noErr(t, err)
		frames = append(frames, b, wire(t, kindDesc, descFrame{Hash: "x", Bytes: make([]byte, 32<<10)}))
	}
	h := streamHost(t)
	s := subscribe(t, h, fakeGateway(t, frames...), SubscribeOptions{WindowFrames: 8, WindowBytes: 64 << 10})
	next(t, s, EventConnected)
	f := &follower{tb: t, last: make(map[string]uint64)}
	for f.last["a"] < sent {
		f.take(next(t, s, EventData, EventGap))
		s.queue.mu.Lock()
		weight := s.queue.weight
		s.queue.mu.Unlock()
		if weight > 1<<20 || weight < 0 {
			t.Fatalf("%d bytes are queued", weight)
		}
	}
}

// FuzzReceive gives a subscriber anything a gateway could send after the ack.
func FuzzReceive(f *testing.F) {
	for _, v := range vectors {
		b := wire(f, v.kind, v.fields)
		f.Add(append(b[:len(b):len(b)], b...))
	}
	f.Fuzz(func(_ *testing.T, raw []byte) {
		s := &Subscription{
			o: SubscribeOptions{WindowFrames: 4, WindowBytes: 1 << 10}, queue: newEventQueue(1<<20, 1<<30),
			cursors: make(map[string]uint64), handed: make(map[string]uint64),
		}
		l := &link{s: s, acked: make(chan struct{}), wake: make(chan struct{}, 1)}
		in := newFrameReader(strings.NewReader(string(raw)), readSmall)
		for {
			kind, fields, err := in.next()
			if err != nil || l.receive(context.Background(), kind, fields) != nil {
				return
			}
		}
	})
}
