package p2p

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
)

// benchRecord has the size of a published reading of six values.
func benchRecord(seq uint64) Record {
	rec := testRecord("00124b0001020304", seq, "humidity", "pressure", "temperature")
	body := make([]byte, 65)
	rec.Encode = func([]string) (Body, error) { return Body{Bytes: body}, nil }
	return rec
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLoneReading is the way of one reading through an idle stream, encryption and loopback included.
func BenchmarkLoneReading(b *testing.B) {
	h := streamHost(b)
	gw := serveGateway(b, PublisherOptions{Auth: allowing(h)})
	s := subscribe(b, h, gw, SubscribeOptions{})
	next(b, s, EventConnected)
	took := make([]time.Duration, 0, b.N)
	seq := uint64(0)
	for b.Loop() {
		seq++
		began := time.Now()
		gw.Publish(benchRecord(seq))
		if e := next(b, s, EventData, EventGap); e.Seq != seq {
			b.Fatalf("got %+v", e)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkOneSubscriber is the most one stream carries; both ends run in this process.
func BenchmarkOneSubscriber(b *testing.B) {
	h := streamHost(b)
	gw := serveGateway(b, PublisherOptions{Auth: allowing(h)})
	s := subscribe(b, h, gw, SubscribeOptions{})
	next(b, s, EventConnected)
	var received atomic.Uint64
	cpu := cpuTime()
	b.ResetTimer()
	go func() {
		for seq := uint64(1); seq <= uint64(b.N); seq++ {
			for seq-received.Load() > 4000 {
				time.Sleep(50 * time.Microsecond)
			}
			gw.Publish(benchRecord(seq))
		}
	}()
	for received.Load() < uint64(b.N) {
		e := next(b, s, EventData, EventGap)
		if e.Kind == EventGap || e.Seq != received.Load()+1 {
			b.Fatalf("got %+v", e)
		}
		received.Store(e.Seq)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-µs/delivery")
}

// BenchmarkHundredSubscribers publishes at 50 Hz to a hundred hosts; both ends run in this process.
func BenchmarkHundredSubscribers(b *testing.B) {
	const subscribers = 100
	hosts := make([]host.Host, subscribers)
	for i := range hosts {
		hosts[i] = streamHost(b)
	}
	gw := serveGateway(b, PublisherOptions{Auth: allowing(hosts...)})
	subs := make([]*Subscription, subscribers)
	for i, h := range hosts {
		subs[i] = subscribe(b, h, gw, SubscribeOptions{})
		next(b, subs[i], EventConnected)
	}
	began := make([]time.Time, b.N+1)
	took := make([][]time.Duration, subscribers)
	var lost atomic.Int64
	var all sync.WaitGroup
	cpu := cpuTime()
	b.ResetTimer()
	for i, s := range subs {
		all.Go(func() {
			for len(took[i]) < b.N {
				e, err := s.Next(context.Background())
				switch {
				case err != nil || e.Kind == EventGap:
					lost.Add(1)
					return
				case e.Kind == EventData:
					took[i] = append(took[i], time.Since(began[e.Seq]))
				}
			}
		})
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for seq := uint64(1); seq <= uint64(b.N); seq++ {
		<-tick.C
		began[seq] = time.Now()
		gw.Publish(benchRecord(seq))
	}
	all.Wait()
	b.StopTimer()
	if lost.Load() > 0 {
		b.Fatalf("%d subscribers lost something", lost.Load())
	}
	flat := slices.Concat(took...)
	slices.Sort(flat)
	b.ReportMetric(float64(flat[len(flat)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(flat[len(flat)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(len(flat)), "cpu-µs/delivery")
}
