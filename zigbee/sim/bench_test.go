package sim

import (
	"context"
	"encoding/hex"
	"path/filepath"
	"testing"

	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// BenchmarkPTY is how many reports a second go through a terminal to a reader that only finds the frames.
func BenchmarkPTY(b *testing.B) {
	link := filepath.Join(b.TempDir(), "stick")
	s, err := New(Options{Sensors: []SensorSpec{{Kind: "plug", Joined: true}, {Kind: "temperature", Joined: true}}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- s.ServePTY(ctx, link) }()
	defer func() {
		cancel()
		<-done
	}()
	port := openLink(b, link)
	defer port.Close()
	if err := ping(port); err != nil {
		b.Fatal(err)
	}
	wire, err := hex.DecodeString(withFCS("2f05", "04"))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := port.Write(wire); err != nil {
		b.Fatal(err)
	}
	eventually(b, "the network", func() bool { running, _ := s.Running(); return running })
	s.Pause(true)
	s.mu.Lock()
	s.endpoints = append(s.endpoints, registered)
	s.mu.Unlock()
	b.ResetTimer()
	if err := s.SetLoad(Load{Count: uint64(b.N)}); err != nil {
		b.Fatal(err)
	}
	var p unpi.Parser
	chunk := make([]byte, 64<<10)
	for got := 0; got < b.N; {
		n, err := port.Read(chunk)
		if err != nil {
			b.Fatal(err)
		}
		p.Feed(chunk[:n], func(f unpi.Frame) {
			if f.Subsystem == unpi.AF && f.ID == 0x81 {
				got++
			}
		})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
}
