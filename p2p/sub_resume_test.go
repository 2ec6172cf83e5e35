package p2p

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"
)

// follower checks the promise of the protocol: per device every entitled sequence once, in order, with prev
// naming the one before.
type follower struct {
	tb   testing.TB
	last map[string]uint64
	gaps []Event
}

func (f *follower) take(e Event) {
	f.tb.Helper()
	switch e.Kind {
	case EventData:
		if e.Prev != f.last[e.Device] || e.Seq <= e.Prev {
			f.tb.Fatalf("device %s: %d after %d, but the last received is %d", e.Device, e.Seq, e.Prev, f.last[e.Device])
		}
		f.last[e.Device] = e.Seq
	case EventGap:
		if e.From != f.last[e.Device]+1 {
			f.tb.Fatalf("device %s: gap from %d after %d", e.Device, e.From, f.last[e.Device])
		}
		f.gaps = append(f.gaps, e)
		f.last[e.Device] = e.To
	case EventSnapshot, EventConnected, EventDisconnected, EventDescriptor, EventHeartbeat:
	}
}

// source publishes to three devices in step. On its own it stays a few records ahead of the reader, so that a
// stream that is open is never too slow; a burst leaves a ring of 32 far behind.
type source struct {
	b     *memoryBacklog
	p     *Publisher
	read  atomic.Uint64
	mu    sync.Mutex // guards seq and keeps the order
	seq   uint64
	ahead uint64
}

var sourceDevices = []string{"d0", "d1", "d2"}

func (s *source) publish(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.seq++
		for _, d := range sourceDevices {
			// The disk is four records behind, the ring holds ten of each device: the seam is crossed each time.
			if s.seq > 4 {
				s.b.store(testRecord(d, s.seq-4, "t"))
			}
			s.p.Publish(testRecord(d, s.seq, "t"))
		}
	}
}

func (s *source) published() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq
}

func (s *source) run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if s.published() < s.read.Load()+s.ahead {
			s.publish(1)
		} else {
			time.Sleep(20 * time.Microsecond)
		}
	}
}

func TestResumeIsExactAcrossTwoHundredCuts(t *testing.T) {
	const cuts = 200
	h := streamHost(t)
	b := newMemoryBacklog()
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h), Backlog: b, RingRecords: 32, MaxLag: 32})
	introduce(h, gw.host)
	var gate sync.RWMutex // held while the subscriber is to stay away
	zero := map[string]uint64{"d0": 0, "d1": 0, "d2": 0}
	s := subscribe(t, h, gw, SubscribeOptions{
		Epoch: 7, Cursors: zero, WindowFrames: 16,
		Connect: func(ctx context.Context) (peer.ID, error) {
			gate.RLock()
			defer gate.RUnlock()
			return gw.host.ID(), h.Connect(ctx, peer.AddrInfo{ID: gw.host.ID()})
		},
	})
	src := &source{b: b, p: gw.Publisher, ahead: 6}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { defer close(stopped); src.run(stop) }()

	f := &follower{tb: t, last: make(map[string]uint64)}
	take := func() {
		f.take(next(t, s, EventData, EventGap))
		src.read.Store(min(f.last["d0"], f.last["d1"], f.last["d2"]))
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for cut := range cuts {
		for range 1 + rnd.IntN(60) {
			take()
		}
		away := cut%2 == 0
		if away {
			gate.Lock()
		}
		noErr(t, h.Network().ClosePeer(gw.host.ID()))
		if away {
			for gw.hasSubscribers() {
				time.Sleep(100 * time.Microsecond)
			}
			src.publish(rnd.IntN(40))
			gate.Unlock()
		}
	}
	close(stop)
	<-stopped
	for src.read.Load() < src.published() {
		take()
	}
	if len(f.gaps) > 0 {
		t.Fatalf("%d gaps, the first %+v", len(f.gaps), f.gaps[0])
	}
}

func TestNewPublisherResumesFromTheBacklog(t *testing.T) {
	h := streamHost(t)
	b := newMemoryBacklog()
	var recs []Record
	for seq := uint64(1); seq <= 600; seq++ { // more than two chunks
		recs = append(recs, testRecord("a", seq, "t"))
	}
	b.store(recs...)
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h), Backlog: b})
	gw.Publish(testRecord("a", 601, "t"))
	s := subscribe(t, h, gw, SubscribeOptions{Epoch: 7, Cursors: map[string]uint64{"a": 4}})
	f := &follower{tb: t, last: map[string]uint64{"a": 4}}
	for f.last["a"] < 601 {
		f.take(next(t, s, EventData, EventGap))
	}
	if len(f.gaps) > 0 {
		t.Fatalf("gaps %+v", f.gaps)
	}
}

func TestWhatAgedOutIsAGap(t *testing.T) {
	h := streamHost(t)
	b := newMemoryBacklog()
	for seq := uint64(1); seq <= 20; seq++ {
		b.store(testRecord("a", seq, "t"))
	}
	b.forget("a", 10)
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h), Backlog: b})
	s := subscribe(t, h, gw, SubscribeOptions{Epoch: 7, Cursors: map[string]uint64{"a": 4}})
	got := next(t, s, EventData, EventGap)
	if d := cmp.Diff(Event{Kind: EventGap, Device: "a", From: 5, To: 10, Reason: GapEvicted}, got); d != "" {
		t.Fatal(d)
	}
	if e := next(t, s, EventData, EventGap); e.Seq != 11 || e.Prev != 10 {
		t.Fatalf("got %+v", e)
	}
}

func TestEvictedBeforeItWasDurableIsAGap(t *testing.T) {
	h := streamHost(t)
	b := newMemoryBacklog()
	b.store(testRecord("a", 1, "t"))
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h), Backlog: b, RingRecords: 4})
	for seq := uint64(2); seq <= 10; seq++ {
		gw.Publish(testRecord("a", seq, "t"))
	}
	s := subscribe(t, h, gw, SubscribeOptions{Epoch: 7, Cursors: map[string]uint64{"a": 1}})
	got := next(t, s, EventData, EventGap)
	if d := cmp.Diff(Event{Kind: EventGap, Device: "a", From: 2, To: 6, Reason: GapEvicted}, got); d != "" {
		t.Fatal(d)
	}
	if e := next(t, s, EventData, EventGap); e.Seq != 7 || e.Prev != 6 {
		t.Fatalf("got %+v", e)
	}
}

// A gateway was killed: 37 was durable, numbers up to 99 had been reserved.
func TestAnnouncedLossReachesWhoeverHasNotPassedIt(t *testing.T) {
	for cursor, want := range map[uint64]span{36: {38, 99}, 37: {38, 99}, 40: {41, 99}, 99: {}} {
		for _, early := range []bool{true, false} {
			t.Run(fmt.Sprintf("cursor %d, announced early %v", cursor, early), func(t *testing.T) {
				h := streamHost(t)
				b := newMemoryBacklog()
				b.store(testRecord("a", 36, "t"), testRecord("a", 37, "t"))
				gw := serveGateway(t, PublisherOptions{Auth: allowing(h), Backlog: b})
				if early {
					gw.AnnounceLost("a", 38, 99)
				}
				s := subscribe(t, h, gw, SubscribeOptions{Epoch: 7, Cursors: map[string]uint64{"a": cursor}})
				if !early {
					next(t, s, EventConnected)
					gw.AnnounceLost("a", 38, 99)
				}
				gw.Publish(testRecord("a", 100, "t"))
				f := &follower{tb: t, last: map[string]uint64{"a": cursor}}
				for f.last["a"] < 100 {
					f.take(next(t, s, EventData, EventGap))
				}
				var got span
				for _, g := range f.gaps {
					if got.to != 0 || g.Reason != GapLost {
						t.Fatalf("gaps %+v", f.gaps)
					}
					got = span{g.From, g.To}
				}
				if got != want {
					t.Fatalf("gap %v, want %v", got, want)
				}
			})
		}
	}
}

func TestLossBetweenStoredRecordsIsTold(t *testing.T) {
	h := streamHost(t)
	b := newMemoryBacklog()
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h), Backlog: b, RingRecords: 2})
	b.store(testRecord("a", 37, "t"))
	gw.AnnounceLost("a", 38, 99)
	for seq := uint64(100); seq < 110; seq++ {
		rec := testRecord("a", seq, "t")
		b.store(rec)
		gw.Publish(rec)
	}
	s := subscribe(t, h, gw, SubscribeOptions{Epoch: 7, Cursors: map[string]uint64{"a": 37}})
	f := &follower{tb: t, last: map[string]uint64{"a": 37}}
	for f.last["a"] < 109 {
		f.take(next(t, s, EventData, EventGap))
	}
	want := []Event{{Kind: EventGap, Device: "a", From: 38, To: 99, Reason: GapLost}}
	if d := cmp.Diff(want, f.gaps); d != "" {
		t.Fatal(d)
	}
}

// A gateway was killed twice, and stopped cleanly later: what it stored between and after the losses is only in
// the backlog.
func TestRecordsBetweenOldLossesArrive(t *testing.T) {
	for _, cursor := range []uint64{36, 37, 40, 99, 100, 102, 110, 199, 200, 201} {
		h := streamHost(t)
		b := newMemoryBacklog()
		var stored []uint64
		for _, part := range []span{{36, 37}, {100, 102}, {200, 201}} {
			for seq := part.from; seq <= part.to; seq++ {
				b.store(testRecord("a", seq, "t"))
				stored = append(stored, seq)
			}
		}
		gw := serveGateway(t, PublisherOptions{Auth: allowing(h), Backlog: b})
		losses := []span{{38, 99}, {103, 199}}
		for _, l := range losses {
			gw.AnnounceLost("a", l.from, l.to)
		}
		gw.Publish(testRecord("a", 203, "t"))
		s := subscribe(t, h, gw, SubscribeOptions{Epoch: 7, Cursors: map[string]uint64{"a": cursor}})
		var want, got []string
		for _, seq := range append(stored, 203) {
			if seq > cursor {
				want = append(want, fmt.Sprint(seq))
			}
		}
		for _, l := range losses {
			if l.to > cursor {
				want = append(want, fmt.Sprintf("%d-%d", max(l.from, cursor+1), l.to))
			}
		}
		for last := uint64(0); last < 203; {
			e := next(t, s, EventData, EventGap)
			if e.Kind == EventGap {
				got = append(got, fmt.Sprintf("%d-%d", e.From, e.To))
				continue
			}
			last = e.Seq
			got = append(got, fmt.Sprint(e.Seq))
		}
		slices.Sort(want)
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("cursor %d (-want +got):\n%s", cursor, d)
		}
	}
}

func TestNumbersLeftOutAreNoGap(t *testing.T) {
	h := streamHost(t)
	b := newMemoryBacklog()
	b.store(testRecord("a", 37, "t"))
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h), Backlog: b})
	gw.Publish(testRecord("a", 64, "t"))
	s := subscribe(t, h, gw, SubscribeOptions{Epoch: 7, Cursors: map[string]uint64{"a": 37}})
	if e := next(t, s, EventData, EventGap); e.Seq != 64 || e.Prev != 37 {
		t.Fatalf("got %+v", e)
	}
}

func TestDeviceThatAppearedWhileAwayIsNotMissed(t *testing.T) {
	h := streamHost(t)
	b := newMemoryBacklog()
	old, fresh := testRecord("old", 1, "t"), testRecord("fresh", 1, "t")
	old.Time, fresh.Time = 1_000_000, 2_000_000
	b.store(old, fresh)
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h), Backlog: b})
	s := subscribe(t, h, gw, SubscribeOptions{
		Epoch: 7, Cursors: map[string]uint64{"known": 1}, Since: time.UnixMilli(1_500_000),
	})
	if e := next(t, s, EventData, EventGap); e.Device != "fresh" || e.Seq != 1 || e.Prev != 0 {
		t.Fatalf("got %+v", e)
	}
	if _, c := s.Cursors(); c["old"] != 1 {
		t.Fatalf("a device that was there before begins at its newest record, not at %d", c["old"])
	}
}

func TestUnreadableBacklogNeverSkipsInSilence(t *testing.T) {
	h := streamHost(t)
	b := newMemoryBacklog()
	b.store(testRecord("a", 1, "t"), testRecord("a", 2, "t"))
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h), Backlog: b})
	s := subscribe(t, h, gw, SubscribeOptions{Epoch: 7, Cursors: map[string]uint64{"a": 1}})
	if e := next(t, s, EventData, EventGap); e.Seq != 2 {
		t.Fatalf("got %+v", e)
	}
	b.mu.Lock()
	b.fail = context.DeadlineExceeded
	b.mu.Unlock()
	b.store(testRecord("a", 3, "t"))
	noErr(t, h.Network().ClosePeer(gw.host.ID()))
	if e := next(t, s, EventDisconnected); e.Err == nil || strings.Contains(e.Err.Error(), "ended the stream") {
		t.Fatalf("disconnected by %v", e.Err)
	}
	b.mu.Lock()
	b.fail = nil
	b.mu.Unlock()
	if e := next(t, s, EventData, EventGap); e.Seq != 3 || e.Prev != 2 {
		t.Fatalf("got %+v", e)
	}
}
