package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/zigbee"
	"github.com/peerbee/peerbee/zigbee/device"
)

// buildIdle builds a gateway without a stick and without peers; nothing of it runs.
func buildIdle(tb testing.TB) *Gateway {
	tb.Helper()
	dir, err := os.MkdirTemp("", "pb") // t.TempDir can be too long for a socket
	if err != nil {
		tb.Fatal(err)
	}
	c := config.Default()
	c.Gateway.StateDir, c.API.Socket = filepath.Join(dir, "state"), filepath.Join(dir, "sock")
	c.Zigbee.Port, c.P2P.Mode = "none", config.ModeOff
	g, err := Build(tb.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := g.close(context.Background()); err != nil {
			tb.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	return g
}

// BenchmarkPipeline is a report's way from the radio's event to history and publication, without a subscriber.
func BenchmarkPipeline(b *testing.B) {
	g := buildIdle(b)
	p := newPipeline(g)
	const sensors = 50
	for i := range sensors {
		d := zigbee.Device{IEEE: zb.IEEEAddress(0x00158d0000000000 + i), Model: "bench"}
		if err := p.admit(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		r := zigbee.Report{
			Device: zb.IEEEAddress(0x00158d0000000000 + i%sensors), Time: time.Now(),
			Measures: []device.Measure{{Property: "temperature", Value: float64(i), Unit: "Cel"}},
		}
		if err := p.report(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := g.store.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	if st := g.store.Stats(); st.Dropped > 0 {
		b.ReportMetric(float64(st.Dropped)/float64(b.N), "dropped/op")
	}
}

func TestReadingsAreNumberedPerDeviceWithoutHoles(t *testing.T) {
	g := buildIdle(t)
	p := newPipeline(g)
	for i := range 10 {
		r := zigbee.Report{Device: zb.IEEEAddress(0x00158d0000000001 + i%2), Time: time.Now(), Measures: []device.Measure{
			{Property: "temperature", Value: 20.5, Unit: "Cel"}, {Property: "battery", Value: nil, Unit: "%"},
		}}
		if err := p.report(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	durable := g.store.Durable()
	for _, key := range []string{"00158d0000000001", "00158d0000000002"} {
		if durable[key] != 5 {
			t.Errorf("device %s stands at %d after five reports", key, durable[key])
		}
	}
	m, ok := g.roster.find("00158d0000000001")
	if !ok {
		t.Fatal("a reporting device is not on the roster")
	}
	latest, err := g.latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(g.showDevice(m, latest[m.key]).Properties)
	if want := "battery <nil> %"; len(got) == 0 || got[2:2+len(want)] != want {
		t.Errorf("properties: %s", got)
	}
}
