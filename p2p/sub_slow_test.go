package p2p

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
)

// rawStream opens the protocol by hand, for peers that do not behave.
func rawStream(tb testing.TB, h host.Host, gw *testGateway, frames ...[]byte) network.Stream {
	tb.Helper()
	introduce(h, gw.host)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	st, err := h.NewStream(ctx, gw.host.ID(), SubProtocol)
	noErr(tb, err)
	tb.Cleanup(func() { resetStream(st) })
	noErr(tb, st.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = st.Write(bytes.Join(frames, nil))
	noErr(tb, err)
	return st
}

func wire(tb testing.TB, kind frameKind, fields any) []byte {
	tb.Helper()
	b, err := appendFrame(nil, kind, fields)
	noErr(tb, err)
	return b
}

// rawNext reads frames until one of the kind comes and decodes it into fields.
func rawNext(tb testing.TB, in *frameReader, kind frameKind, fields any) {
	tb.Helper()
	for {
		k, b, err := in.next()
		if err != nil {
			tb.Fatalf("waiting for a %s frame: %v", kind, err)
		}
		if k == kind {
			noErr(tb, decodeFields(k, b, fields))
			return
		}
	}
}

func TestCreditIsTheLimit(t *testing.T) {
	h := streamHost(t)
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h)})
	st := rawStream(t, h, gw, wire(t, kindHello, helloFrame{Version: 1, Credit: &Credit{Frames: 2, Bytes: 1 << 20}}))
	in := newFrameReader(st, readSmall)
	var ack ackFrame
	rawNext(t, in, kindAck, &ack)
	for seq := uint64(1); seq <= 5; seq++ {
		gw.Publish(testRecord("a", seq, "t"))
	}
	var rec recordFrame
	var beat heartbeatFrame
	rawNext(t, in, kindData, &rec)
	rawNext(t, in, kindData, &rec)
	// Two heartbeats later nothing more has come, and the gateway does not claim that the stream is complete.
	for range 2 {
		kind, b, err := in.next()
		noErr(t, err)
		if kind != kindHeartbeat {
			t.Fatalf("a %s frame without credit", kind)
		}
		noErr(t, decodeFields(kind, b, &beat))
	}
	_, err := st.Write(wire(t, kindCredit, Credit{Frames: 1, Bytes: 1}))
	noErr(t, err)
	rawNext(t, in, kindData, &rec)
	if rec.Seq != 3 || rec.Prev != 2 {
		t.Fatalf("got %d after %d", rec.Seq, rec.Prev)
	}
}

func TestSlowSubscriberGetsGapAndLatestAndTheOtherEverything(t *testing.T) {
	slowHost, goodHost := streamHost(t), streamHost(t)
	gw := serveGateway(t, PublisherOptions{Auth: allowing(slowHost, goodHost), RingRecords: 256, MaxLag: 64})
	slow := rawStream(t, slowHost, gw, wire(t, kindHello, helloFrame{Version: 1, Credit: &Credit{Frames: 1, Bytes: 1 << 20}}))
	in := newFrameReader(slow, readSmall)
	var ack ackFrame
	rawNext(t, in, kindAck, &ack)
	good := subscribe(t, goodHost, gw, SubscribeOptions{})
	next(t, good, EventConnected)

	const last = 1000
	var rec recordFrame
	f := &follower{tb: t, last: make(map[string]uint64)}
	for seq := uint64(1); seq <= last; seq++ {
		gw.Publish(testRecord("a", seq, "t"))
		if seq == 1 { // the slow one spends its only credit before it falls behind
			if rawNext(t, in, kindData, &rec); rec.Seq != 1 {
				t.Fatalf("got %d first", rec.Seq)
			}
		}
		gw.Publish(testRecord("b", seq, "t"))
		for f.last["a"] < seq || f.last["b"] < seq {
			f.take(next(t, good, EventData, EventGap))
		}
	}
	if len(f.gaps) > 0 {
		t.Fatalf("the fast subscriber has gaps: %+v", f.gaps)
	}

	_, err := slow.Write(wire(t, kindCredit, Credit{Frames: 10, Bytes: 1 << 20}))
	noErr(t, err)
	gaps := make(map[string]gapFrame)
	for range 2 {
		var gap gapFrame
		rawNext(t, in, kindGap, &gap)
		if gap.Reason != string(GapSlow) || gap.To != last-1 {
			t.Fatalf("gap %+v", gap)
		}
		gaps[gap.Device] = gap
	}
	for range 2 {
		rawNext(t, in, kindData, &rec)
		if rec.Seq != last || rec.Prev != gaps[rec.Device].To {
			t.Fatalf("latest of %s is %d after %d", rec.Device, rec.Seq, rec.Prev)
		}
	}
	if gaps["a"].From != 2 || gaps["b"].From != 1 {
		t.Fatalf("gaps begin at %d and %d", gaps["a"].From, gaps["b"].From)
	}
}

// What a slow subscriber was not entitled to is no gap either.
func TestSlowSubscriberIsNotToldOfWhatIsWithheld(t *testing.T) {
	h := streamHost(t)
	auth := allowing(h)
	auth.deny["hidden"] = true
	auth.deny["a/secret"] = true
	gw := serveGateway(t, PublisherOptions{Auth: auth, RingRecords: 16, MaxLag: 8})
	st := rawStream(t, h, gw, wire(t, kindHello, helloFrame{Version: 1, Credit: &Credit{}}))
	in := newFrameReader(st, readSmall)
	var ack ackFrame
	rawNext(t, in, kindAck, &ack)
	gw.Publish(testRecord("a", 1, "t"))
	gw.Publish(testRecord("a", 2, "t"))
	for seq := uint64(1); seq <= 500; seq++ {
		gw.Publish(testRecord("hidden", seq, "t"))
		gw.Publish(testRecord("a", seq+2, "secret"))
	}
	_, err := st.Write(wire(t, kindCredit, Credit{Frames: 10, Bytes: 1 << 20}))
	noErr(t, err)
	gw.Publish(testRecord("a", 600, "t"))
	var gap gapFrame
	rawNext(t, in, kindGap, &gap)
	if gap.Device != "a" || gap.From != 1 || gap.To != 2 {
		t.Fatalf("gap %+v", gap)
	}
	var rec recordFrame
	rawNext(t, in, kindData, &rec)
	if rec.Device != "a" || rec.Seq != 600 || rec.Prev != 2 {
		t.Fatalf("got %+v", rec)
	}
}

// stalled peers take no byte off their streams; nobody else may notice.
func TestStalledSubscribersDoNotHoldOthersUp(t *testing.T) {
	stalledHost, goodHost := streamHost(t), streamHost(t)
	gw := serveGateway(t, PublisherOptions{Auth: allowing(stalledHost, goodHost), RingRecords: 128})
	for range 5 {
		rawStream(t, stalledHost, gw, wire(t, kindHello, helloFrame{Version: 1}))
	}
	good := subscribe(t, goodHost, gw, SubscribeOptions{})
	next(t, good, EventConnected)
	big := make([]byte, 32<<10)
	f := &follower{tb: t, last: make(map[string]uint64)}
	for seq := uint64(1); seq <= 200; seq++ { // 6 MiB, far beyond a stream's window
		rec := testRecord("a", seq, "t")
		rec.Encode = func([]string) (Body, error) { return Body{Bytes: big}, nil }
		gw.Publish(rec)
		for f.last["a"] < seq {
			f.take(next(t, good, EventData, EventGap))
		}
	}
	if len(f.gaps) > 0 {
		t.Fatalf("gaps %+v", f.gaps)
	}
}

func TestSlowCallerOfNextHasGapsButNoHiddenLoss(t *testing.T) {
	h := streamHost(t)
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h), RingRecords: 64})
	s := subscribe(t, h, gw, SubscribeOptions{WindowFrames: 8})
	next(t, s, EventConnected)
	for seq := uint64(1); seq <= 5000; seq++ {
		gw.Publish(testRecord("a", seq, "t"))
	}
	f := &follower{tb: t, last: make(map[string]uint64)}
	for f.last["a"] < 5000 {
		f.take(next(t, s, EventData, EventGap))
	}
	if len(f.gaps) == 0 {
		t.Fatal("5000 records went through a ring of 64 and a window of 8 without a gap")
	}
}

func TestOversizedRecordIsAGap(t *testing.T) {
	h := streamHost(t)
	gw := serveGateway(t, PublisherOptions{Auth: allowing(h)})
	s := subscribe(t, h, gw, SubscribeOptions{})
	next(t, s, EventConnected)
	rec := testRecord("a", 1, "t")
	rec.Encode = func([]string) (Body, error) { return Body{Bytes: make([]byte, MaxFrame)}, nil }
	gw.Publish(rec)
	rec.Seq = 2
	rec.Encode = func([]string) (Body, error) { return Body{}, context.Canceled }
	gw.Publish(rec)
	gw.Publish(testRecord("a", 3, "t"))
	for want := uint64(1); want <= 2; want++ {
		if e := next(t, s, EventData, EventGap); e.Reason != GapOversize || e.From != want || e.To != want {
			t.Fatalf("got %+v", e)
		}
	}
	if e := next(t, s, EventData, EventGap); e.Seq != 3 || e.Prev != 2 {
		t.Fatalf("got %+v", e)
	}
}
