package device

import (
	"math"
	"testing"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

const temperatureFrame = "18420a" + "0000296608"

func decodeAndApply(t testing.TB, in *Interpreter, frame []byte) []Measure {
	f, err := zcl.Decode(frame)
	if err != nil {
		t.Fatal(err)
	}
	return in.Apply(1, zcl.ClusterTemperature, zcl.DecodeReport(f.Payload))
}

// A report's way costs four allocations: two slices, and a boxed number in each.
func TestReportAllocations(t *testing.T) {
	in, frame := New(), unhex(t, temperatureFrame)
	same(t, "frame", []Measure{{"temperature", 21.5, "Cel"}}, decodeAndApply(t, in, frame))
	if n := testing.AllocsPerRun(100, func() { decodeAndApply(t, in, frame) }); n > 4 {
		t.Errorf("a temperature report takes %v allocations", n)
	}
}

func BenchmarkTemperatureReport(b *testing.B) {
	in, frame := New(), unhex(b, temperatureFrame)
	b.ReportAllocs()
	for b.Loop() {
		decodeAndApply(b, in, frame)
	}
}

func BenchmarkZoneStatus(b *testing.B) {
	in := New()
	in.LearnZoneType(1, 0x15)
	b.ReportAllocs()
	for b.Loop() {
		in.ApplyZoneStatus(1, zcl.ZoneAlarm1)
	}
}

// FuzzApply gives reports of any cluster, one after another, to one device.
func FuzzApply(f *testing.F) {
	f.Add(uint8(1), uint16(zcl.ClusterPressure), unhex(f, "000029f303140028ff1000297f27"), uint16(zcl.ClusterPressure), unhex(f, "140028801000297f27"))
	f.Add(uint8(1), uint16(zcl.ClusterMetering), unhex(f, "000330"+"00"+"010322010000020322e80300"), uint16(zcl.ClusterMetering), unhex(f, "000025286400000000"))
	f.Add(uint8(2), uint16(zcl.ClusterIASZone), unhex(f, "0100311500"+"0200190100"), uint16(0xfc11), unhex(f, "01ff420401210bb8"))
	f.Fuzz(func(t *testing.T, endpoint uint8, first uint16, report []byte, second uint16, next []byte) {
		in := New()
		in.SetEndpoints([]Endpoint{{1, []uint16{first}}, {2, []uint16{first, second}}})
		attrs := zcl.DecodeReport(report)
		check(t, in, in.Apply(endpoint, first, attrs))
		check(t, in, in.Apply(endpoint, second, zcl.DecodeReport(next)))
		check(t, in, in.ApplyRead(endpoint+1, first, zcl.DecodeReadResponse(next)))
		check(t, in, in.ApplyRaw(endpoint, first, attrs))
		check(t, in, in.ApplyZoneStatus(endpoint, first))
		again := New()
		again.Recall(in.Facts())
		if len(again.Facts()) != len(in.Facts()) {
			t.Fatalf("%d facts became %d", len(in.Facts()), len(again.Facts()))
		}
	})
}

// check holds every measure against what Measure promises and what Describe says of it.
func check(t *testing.T, in *Interpreter, measures []Measure) {
	t.Helper()
	for _, m := range measures {
		if f, ok := m.Value.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			t.Fatalf("%+v is no number", m)
		}
		kind := TypeOf(m.Value)
		if m.Value != nil && kind == "" {
			t.Fatalf("%+v is a %T", m, m.Value)
		}
		d, ok := in.Describe(m.Property)
		if !ok {
			t.Fatalf("%+v has no description", m)
		}
		if d.Type != "" && kind != "" && d.Type != kind || d.Unit != m.Unit && m.Value != nil {
			t.Fatalf("%+v is described as %+v", m, d)
		}
	}
}
