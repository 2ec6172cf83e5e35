package p2p

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"
)

const news = EventConnected

func TestLiveRecordsArriveInOrderWithTheirDescriptor(t *testing.T) {
	h := streamHost(t)
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h)})
	s := subscribe(t, h, gw, SubscribeOptions{})
	if e := next(t, s, news); e.Epoch != 7 {
		t.Fatalf("connected to epoch %d", e.Epoch)
	}
	gw.Publish(testRecord("a", 1, "t"))
	gw.Publish(testRecord("a", 2, "t"))
	var got []Event
	for range 3 {
		got = append(got, next(t, s, EventDescriptor, EventData, EventGap))
	}
	want := []Event{
		{Kind: EventDescriptor, Hash: "desc-a", Body: []byte("descriptor of a")},
		{Kind: EventData, Device: "a", Seq: 1, Prev: 0, Body: []byte("a 1 [t]")},
		{Kind: EventData, Device: "a", Seq: 2, Prev: 1, Body: []byte("a 2 [t]")},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

func TestFiltersNarrowDevicesAndProperties(t *testing.T) {
	h := streamHost(t)
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h)})
	s := subscribe(t, h, gw, SubscribeOptions{Devices: []string{"a"}, Properties: []string{"t"}})
	next(t, s, news)
	gw.Publish(testRecord("b", 1, "t"))
	gw.Publish(testRecord("a", 1, "h", "t"))
	gw.Publish(testRecord("a", 2, "h"))
	gw.Publish(testRecord("a", 3, "t"))
	first, second := next(t, s, EventData), next(t, s, EventData, EventGap)
	if string(first.Body) != "a 1 [t]" || string(second.Body) != "a 3 [t]" || second.Prev != 1 {
		t.Fatalf("got %q and %q after %d", first.Body, second.Body, second.Prev)
	}
}

func TestWithheldPropertiesAreInvisible(t *testing.T) {
	h := streamHost(t)
	auth := allowing(h)
	auth.deny["a/secret"] = true
	auth.deny["hidden"] = true
	b := newMemoryBacklog()
	hidden := []Record{testRecord("a", 1, "secret", "t"), testRecord("a", 2, "secret"), testRecord("hidden", 5, "t")}
	b.store(hidden...)
	gw := serveGateway(t, PublisherOptions{Auth: auth, Backlog: b})
	s := subscribe(t, h, gw, SubscribeOptions{
		Epoch: 7, Cursors: map[string]uint64{"a": 0, "hidden": 1, "nothing": 3}, Snapshot: true,
	})
	next(t, s, news)
	if e := next(t, s, EventData, EventGap, EventSnapshot); string(e.Body) != "a 1 [t]" {
		t.Fatalf("got %+v", e)
	}
	gw.Publish(testRecord("a", 3, "secret"))
	gw.AnnounceLost("hidden", 6, 9)
	gw.Publish(testRecord("hidden", 10, "t"))
	gw.Publish(testRecord("a", 4, "secret", "t"))
	if e := next(t, s, EventData, EventGap, EventSnapshot); string(e.Body) != "a 4 [t]" || e.Prev != 1 {
		t.Fatalf("got %+v", e)
	}
	if e := next(t, s, EventHeartbeat); e.Durable["hidden"] != 0 || e.Durable["a"] > 4 {
		t.Fatalf("heartbeat tells %v", e.Durable)
	}
}

func TestSnapshotThenLive(t *testing.T) {
	h := streamHost(t)
	b := newMemoryBacklog()
	b.store(testRecord("a", 4, "t"), testRecord("b", 9, "t"))
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h), Backlog: b})
	gw.Publish(testRecord("a", 5, "t"))
	s := subscribe(t, h, gw, SubscribeOptions{Snapshot: true})
	var got []Event
	for range 3 {
		e := next(t, s, EventSnapshot, EventData, EventGap)
		e.Body = nil
		got = append(got, e)
	}
	want := []Event{
		{Kind: EventSnapshot, Device: "a", Seq: 4},
		{Kind: EventSnapshot, Device: "b", Seq: 9},
		{Kind: EventData, Device: "a", Seq: 5, Prev: 4},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	if _, cursors := s.Cursors(); !cmp.Equal(cursors, map[string]uint64{"a": 5, "b": 9}) {
		t.Fatalf("cursors %v", cursors)
	}
}

func TestHeartbeatTellsWhatIsDurable(t *testing.T) {
	h := streamHost(t)
	b := newMemoryBacklog()
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h), Backlog: b})
	s := subscribe(t, h, gw, SubscribeOptions{})
	next(t, s, news)
	for seq := uint64(1); seq <= 3; seq++ {
		gw.Publish(testRecord("a", seq, "t"))
	}
	b.store(testRecord("a", 2, "t"))
	for {
		if e := next(t, s, EventHeartbeat); e.Durable["a"] == 2 {
			if e.Through.IsZero() {
				t.Fatal("the heartbeat of an idle stream does not say up to when it is complete")
			}
			return
		}
	}
}

func TestRevokedStreamEnds(t *testing.T) {
	for name, revoke := range map[string]func(*rules){
		"peer removed": func(r *rules) { clear(r.known) },
		"last right":   func(r *rules) { r.deny["a"] = true },
	} {
		t.Run(name, func(t *testing.T) {
			h := streamHost(t)
			auth := allowing(h)
			gw := serveGateway(t, PublisherOptions{Auth: auth})
			s := subscribe(t, h, gw, SubscribeOptions{})
			next(t, s, news)
			gw.Publish(testRecord("a", 1, "t"))
			next(t, s, EventData)
			auth.change(revoke)
			gw.Publish(testRecord("a", 2, "t"))
			if err := ended(t, s); !errors.Is(err, ErrRevoked) {
				t.Fatalf("ended with %v", err)
			}
			if _, c := s.Cursors(); c["a"] != 1 {
				t.Fatalf("received %d after the revocation", c["a"])
			}
		})
	}
}

// expiring knows its peers until a moment, and says nothing of it through its Generation.
type expiring struct {
	*rules
	over atomic.Bool
}

func (e *expiring) Known(who peer.ID) bool { return !e.over.Load() && e.rules.Known(who) }

func TestExpiredGrantEndsTheStreamEvenUnannounced(t *testing.T) {
	h := streamHost(t)
	auth := &expiring{rules: allowing(h)}
	gw := serveGateway(t, PublisherOptions{Auth: auth})
	s := subscribe(t, h, gw, SubscribeOptions{})
	next(t, s, news)
	auth.over.Store(true)
	if err := ended(t, s); !errors.Is(err, ErrRevoked) {
		t.Fatalf("ended with %v", err)
	}
}

// A subscriber that takes nothing must not keep its stream by being stuck in a write.
func TestRevokedStreamEndsThoughItsWriteIsStuck(t *testing.T) {
	h := streamHost(t)
	auth := allowing(h)
	gw := serveGateway(t, PublisherOptions{Auth: auth})
	rawStream(t, h, gw, wire(t, kindHello, helloFrame{Version: 1}))
	for !gw.hasSubscribers() {
		time.Sleep(time.Millisecond)
	}
	big := make([]byte, 60<<10)
	for seq := uint64(1); seq <= 400; seq++ { // 24 MB: more than any window
		rec := testRecord("a", seq, "t")
		rec.Encode = func([]string) (Body, error) { return Body{Bytes: big}, nil }
		gw.Publish(rec)
	}
	began := time.Now()
	auth.change(func(r *rules) { clear(r.known) })
	for gw.hasSubscribers() {
		if time.Since(began) > writeDeadline/2 {
			t.Fatal("it is still there")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestNarrowedRightsKeepTheStream(t *testing.T) {
	h := streamHost(t)
	auth := allowing(h)
	gw := serveGateway(t, PublisherOptions{Auth: auth})
	s := subscribe(t, h, gw, SubscribeOptions{})
	next(t, s, news)
	gw.Publish(testRecord("a", 1, "h", "t"))
	next(t, s, EventData)
	auth.change(func(r *rules) { r.deny["a/h"] = true })
	gw.Publish(testRecord("a", 2, "h", "t"))
	if e := next(t, s, EventData); string(e.Body) != "a 2 [t]" {
		t.Fatalf("got %q", e.Body)
	}
}

func TestStrangerIsToldNothing(t *testing.T) {
	h := streamHost(t)
	gw := serveGateway(t, PublisherOptions{Auth: allowing()})
	s := subscribe(t, h, gw, SubscribeOptions{})
	if err := ended(t, s); !errors.Is(err, ErrNotEnrolled) || !errors.Is(err, ErrDenied) {
		t.Fatalf("ended with %v", err)
	}
}

func TestUnknownEpochStartsAfresh(t *testing.T) {
	h := streamHost(t)
	b := newMemoryBacklog()
	b.store(testRecord("a", 2, "t"))
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h), Backlog: b, Epoch: 8})
	s := subscribe(t, h, gw, SubscribeOptions{Epoch: 3, Cursors: map[string]uint64{"a": 99}})
	next(t, s, news)
	if e := next(t, s, EventData, EventGap, EventSnapshot); e.Reason != GapEpoch || e.Device != "" {
		t.Fatalf("got %+v", e)
	}
	if e := next(t, s, EventData, EventGap, EventSnapshot); e.Kind != EventSnapshot || e.Seq != 2 {
		t.Fatalf("got %+v", e)
	}
	if epoch, cursors := s.Cursors(); epoch != 8 || cursors["a"] != 2 {
		t.Fatalf("epoch %d, cursors %v", epoch, cursors)
	}
}

func TestMinimumIntervalDelaysButDeliversTheLast(t *testing.T) {
	h := streamHost(t)
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h)})
	s := subscribe(t, h, gw, SubscribeOptions{MinInterval: 200 * time.Millisecond})
	next(t, s, news)
	for seq := uint64(1); seq <= 20; seq++ {
		gw.Publish(testRecord("a", seq, "t"))
	}
	gw.Publish(testRecord("a", 21, "h"))
	var got []Event
	for range 3 {
		e := next(t, s, EventData, EventGap)
		e.Body = nil
		got = append(got, e)
	}
	want := []Event{
		{Kind: EventData, Device: "a", Seq: 1},
		{Kind: EventData, Device: "a", Seq: 20, Prev: 1},
		{Kind: EventData, Device: "a", Seq: 21, Prev: 20},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

// The interval ends for a device that is silent although another keeps the stream busy.
func TestMinimumIntervalEndsOnABusyStream(t *testing.T) {
	h := streamHost(t)
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h)})
	s := subscribe(t, h, gw, SubscribeOptions{MinInterval: 50 * time.Millisecond})
	next(t, s, news)
	gw.Publish(testRecord("quiet", 1, "t"))
	gw.Publish(testRecord("quiet", 2, "t"))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for seq := uint64(1); ; seq++ {
			select {
			case <-stop:
				return
			default:
				gw.Publish(testRecord("busy", seq, "t"))
			}
		}
	}()
	// A publisher that never pauses may push the held record out of the ring first: then the stream says so, and
	// the device has to speak again.
	for last := uint64(2); ; {
		e := next(t, s, EventData, EventGap)
		if e.Device != "quiet" {
			continue
		}
		if e.Kind == EventData && e.Seq == last {
			break
		}
		if e.Kind == EventGap && e.To >= last {
			last++
			gw.Publish(testRecord("quiet", last, "t"))
		}
	}
	close(stop)
	<-stopped
}
