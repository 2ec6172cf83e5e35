package znp

import (
	"bytes"
	"encoding/hex"
	"log/slog"
	"testing"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

// hexBytes are written in hex in JSON.
type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(b []byte) error {
	out, err := hex.DecodeString(string(bytes.Trim(b, `"`)))
	*h = out
	return err
}

// BenchmarkReports takes reports from the read chunk to the event.
func BenchmarkReports(b *testing.B) {
	const perChunk = 100
	q := newEventQueue()
	l := newLink(nil, slog.New(slog.DiscardHandler), q, &counters{})
	l.deliver.Store(true)
	handle := l.handle
	var chunk []byte
	for i := range perChunk {
		var err error
		chunk, err = mt.AppendFrame(chunk, &mt.AFIncomingMsg{
			Cluster: 0x0405, Src: 0x56C5, SrcEndpoint: 1, DstEndpoint: 1,
			Data: []byte{0x18, byte(i), 0x0A, 0, 0, 0x21, 0xB5, 0x14},
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	buf := make([]byte, readSize)
	b.ReportAllocs()
	reports := 0
	for b.Loop() {
		l.feed(append(buf[:0], chunk...), handle)
		for {
			if _, ok := q.pop(); !ok {
				break
			}
			reports++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(reports), "ns/report")
}
