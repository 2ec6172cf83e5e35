package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/peerbee/peerbee/gateway/reading"
)

func benchDevices(b *testing.B, s *Store, n int) []string {
	b.Helper()
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprintf("%016x", i+1))
	}
	put(b, s, keys...)
	return keys
}

func sixValues(i int) []reading.Value {
	return []reading.Value{
		num("battery", 97), num("battery_voltage", 3), num("humidity", float64(i%10000)/100),
		{Name: "linkquality", Value: int64(i % 255)},
		num("pressure", 1011), num("temperature", 21.5),
	}
}

// written is what this process handed to the disk, from the kernel's own count.
func written(b *testing.B) (n int64) {
	b.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip("the kernel does not count: ", err)
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "write_bytes: %d", &n); err == nil {
			return n
		}
	}
	b.Skip("the kernel does not count")
	return 0
}

// BenchmarkAddReading stores readings of six values from 50 devices as fast as the disk takes them.
func BenchmarkAddReading(b *testing.B) {
	s := open(b, Options{})
	keys := benchDevices(b, s, 50)
	before := written(b)
	i := 0
	for b.Loop() {
		for s.Stats().Queued > DefaultQueueRows/2 {
			time.Sleep(time.Millisecond)
		}
		add(b, s, keys[i%len(keys)], start.Add(time.Duration(i)*time.Millisecond), sixValues(i)...)
		i++
	}
	flush(b, s)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "readings/s")
	b.ReportMetric(float64(written(b)-before)/float64(b.N), "disk-B/reading")
	if d := s.Stats().Dropped; d > 0 {
		b.Fatalf("%d dropped", d)
	}
}

// BenchmarkPaced stores readings at the rate the gateway has to sustain; its CPU time is what counts.
func BenchmarkPaced(b *testing.B) {
	const rate = 14_000
	s := open(b, Options{})
	keys := benchDevices(b, s, 50)
	before, begin := written(b), time.Now()
	i := 0
	for b.Loop() {
		if ahead := time.Duration(i)*time.Second/rate - time.Since(begin); ahead > time.Millisecond {
			time.Sleep(ahead)
		}
		add(b, s, keys[i%len(keys)], start.Add(time.Duration(i)*time.Millisecond), sixValues(i)...)
		i++
	}
	flush(b, s)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "readings/s")
	b.ReportMetric(float64(written(b)-before)/float64(b.N), "disk-B/reading")
	b.ReportMetric(float64(s.Stats().Commits)/b.Elapsed().Seconds(), "commits/s")
}

// BenchmarkSince catches up with one of ten devices.
func BenchmarkSince(b *testing.B) {
	s := open(b, Options{Path: filepath.Join(b.TempDir(), "peerbee.db")})
	keys := benchDevices(b, s, 10)
	const each = 10_000
	for i := range each * len(keys) {
		for s.Stats().Queued > DefaultQueueRows/2 {
			time.Sleep(time.Millisecond)
		}
		add(b, s, keys[i%len(keys)], start.Add(time.Duration(i)*time.Millisecond), sixValues(i)...)
	}
	flush(b, s)
	n := 0
	for b.Loop() {
		err := s.Since(b.Context(), keys[3], 0, func(reading.Reading) error {
			n++
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if n != each*b.N {
		b.Fatalf("%d readings in %d rounds", n, b.N)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "readings/s")
}

// BenchmarkResume opens the history of the last 100 of a device's readings.
func BenchmarkResume(b *testing.B) {
	s := open(b, Options{})
	keys := benchDevices(b, s, 50)
	const total = 200_000
	for i := range total {
		for s.Stats().Queued > DefaultQueueRows/2 {
			time.Sleep(time.Millisecond)
		}
		add(b, s, keys[i%len(keys)], start, sixValues(i)...)
	}
	flush(b, s)
	for b.Loop() {
		n := 0
		err := s.Since(b.Context(), keys[3], total/50-100, func(reading.Reading) error {
			n++
			return nil
		})
		if err != nil || n != 100 {
			b.Fatal(n, err)
		}
	}
}
