package blockchain

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkRegister appends to a journal on the file system of the temporary directory.
func BenchmarkRegister(b *testing.B) {
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { benchRegister(b, callers) })
	}
}

func benchRegister(b *testing.B, callers int) {
	o := testOptions("bench")
	o.Dir = b.TempDir()
	l, err := Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	stop := run(b, l)
	before, syncs := l.Stats(), l.journal.syncs
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for range callers {
		all.Go(func() {
			for n := int(next.Add(1)) - 1; n < b.N; n = int(next.Add(1)) - 1 {
				start := time.Now()
				if _, err := l.Register(b.Context(), testDevice(n)); err != nil {
					b.Error(err)
				}
				took[n] = time.Since(start)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	if err := stop(); err != nil {
		b.Fatal(err)
	}
	after := l.Stats()
	records := float64(after.Records - before.Records)
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, "p50-ms")
	b.ReportMetric(float64(l.journal.syncs-syncs)/records, "fsyncs/record")
	b.ReportMetric(float64(after.JournalBytes-before.JournalBytes)/records, "B/record")
}
