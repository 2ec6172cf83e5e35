package zigbee_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/peerbee/peerbee/zigbee"
	"github.com/peerbee/peerbee/zigbee/sim"
)

// BenchmarkReports measures reports through a pseudo terminal as fast as the stick can send, the simulator included.
func BenchmarkReports(b *testing.B) {
	link := filepath.Join(b.TempDir(), "stick")
	stick, err := sim.New(sim.Options{Seed: 8, Sensors: fiveSensors})
	if err != nil {
		b.Fatal(err)
	}
	r := &rig{Network: zigbee.New(zigbee.Options{Open: zigbee.OpenerFor(link)}), stick: stick}
	ctx, cancel := context.WithCancel(b.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = stick.ServePTY(ctx, link) }) // ends with the context
	group.Go(func() { _ = r.Serve(ctx) })              // ends with the context
	defer group.Wait()
	defer cancel()
	r.until(b, time.Minute, "blank stick", func() bool { return r.State().Phase == zigbee.PhaseNeedsDecision })
	if _, err := r.Form(ctx, zigbee.FormParams{}); err != nil {
		b.Fatal(err)
	}
	r.until(b, time.Minute, "running network", r.running)
	if err := r.PermitJoin(ctx, zigbee.Join{Duration: zigbee.MaxJoin}); err != nil {
		b.Fatal(err)
	}
	for r.described() < 5 {
		if _, err := r.Next(ctx); err != nil {
			b.Fatal(err)
		}
	}
	stick.Pause(true)
	b.ReportAllocs()
	b.ResetTimer()
	if err := stick.SetLoad(sim.Load{Count: uint64(b.N)}); err != nil {
		b.Fatal(err)
	}
	var got, lost uint64
	for got+lost < uint64(b.N) {
		event, err := r.Next(ctx)
		if err != nil {
			b.Fatal(err)
		}
		switch e := event.(type) {
		case zigbee.Report:
			got++
		case zigbee.Lost:
			lost += e.Count
		}
	}
	b.ReportMetric(float64(got)/b.Elapsed().Seconds(), "reports/s")
	b.ReportMetric(float64(lost), "lost")
}
