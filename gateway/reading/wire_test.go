package reading

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
)

func namesTable() string {
	var b strings.Builder
	for i, n := range names {
		fmt.Fprintf(&b, "| %d | `%s` |\n", i, n)
	}
	return b.String()
}

func TestNamesAreUnique(t *testing.T) {
	if len(numbers) != len(names) {
		t.Errorf("%d names, %d distinct", len(names), len(numbers))
	}
}

func randomReading(r *rand.Rand) Reading {
	m := Reading{
		Stream: StreamKey(r.Uint64()), Epoch: r.Uint64() >> r.IntN(64), Seq: r.Uint64() >> r.IntN(64),
		Time: time.UnixMilli(r.Int64N(1 << 42)), Clock: TimeQuality(r.IntN(3)), Desc: StreamKey(r.Uint64()), Values: []Value{},
	}
	seen := map[string]bool{}
	for range r.IntN(10) {
		v := Value{Name: fmt.Sprintf("p%d", r.IntN(1000))}
		if r.IntN(2) == 0 {
			v.Name = names[r.IntN(len(names))]
		}
		if seen[v.Name] {
			continue
		}
		seen[v.Name] = true
		switch r.IntN(8) {
		case 0:
			v.Value = math.Float64frombits(r.Uint64())
			if x := v.Value.(float64); math.IsNaN(x) || math.IsInf(x, 0) {
				v.Value = 0.5
			}
		case 1:
			v.Value = float64(r.IntN(20000)-10000) / 100
		case 2:
			v.Value = float64(math.Float32frombits(r.Uint32() & 0x7f7fffff))
		case 3:
			v.Value = int64(r.Uint64()) >> r.IntN(64)
		case 4:
			v.Value = r.IntN(2) == 0
		case 5:
			v.Value = strings.Repeat("é", r.IntN(20))
		case 6:
			v.Value = make([]byte, r.IntN(300))
		case 7:
			v.Status = StatusUnknown
		}
		m.Values = append(m.Values, v)
	}
	return m
}

func TestRandomReadingsComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	byName := cmp.Transformer("byName", func(v []Value) map[string]Value {
		m := map[string]Value{}
		for _, x := range v {
			m[x.Name] = x
		}
		return m
	})
	for range 5000 {
		m := randomReading(r)
		b, err := m.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(b)
		if err != nil {
			t.Fatalf("%v: %x", err, b)
		}
		if diff := cmp.Diff(m, back, byName); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		checkOther(t, b)
		text := AppendValuesJSON(nil, back.Values)
		values, err := ParseValuesJSON(string(text))
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if diff := cmp.Diff(back.Values, values); diff != "" {
			t.Fatalf("JSON %s (-want +got):\n%s", text, diff)
		}
	}
}

// checkOther reads b with another implementation and lets it write the same deterministically. Its own choice of
// number forms knows no decimal fractions, which it carries as tags.
func checkOther(t *testing.T, b []byte) {
	t.Helper()
	dec, err := cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, MaxArrayElements: 1024}.DecMode()
	if err != nil {
		t.Fatal(err)
	}
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := dec.Unmarshal(b, &v); err != nil {
		t.Fatalf("fxamacker/cbor refuses %x: %v", b, err)
	}
	again, err := enc.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, b) {
		t.Fatalf("fxamacker/cbor writes\n%x for\n%x", again, b)
	}
}

func TestOtherImplementationReadsTheSameValues(t *testing.T) {
	b, err := weather.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []any
	if err := cbor.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	want := []any{
		uint64(1),
		[]byte{0x00, 0x15, 0x8d, 0x00, 0x01, 0xa2, 0xb3, 0xc4},
		uint64(0x1122334455667788), uint64(4711), uint64(1_790_000_000_123), uint64(0),
		[]byte{0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07, 0x18},
		map[any]any{
			uint64(0): 21.5, uint64(1): cbor.Tag{Number: 4, Content: []any{int64(-2), uint64(5301)}}, uint64(2): 1011.0,
			uint64(3): 97.0, uint64(4): 3.0, uint64(5): uint64(142),
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const wireHead = "01 48 0102030405060708 01 02 03 00 40 "

func TestDecodeRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":                    "",
		"a map":                      "a0",
		"seven elements":             "87" + "01 48 0102030405060708 01 02 03 00 40",
		"ten elements":               "8a" + wireHead + "a0 a0 a0",
		"another version":            "88 02 48 0102030405060708 01 02 03 00 40 a0",
		"a short stream":             "88 01 47 01020304050607 01 02 03 00 40 a0",
		"a stream of text":           "88 01 68 3132333435363738 01 02 03 00 40 a0",
		"a long sequence form":       "88 01 48 0102030405060708 01 1802 03 00 40 a0",
		"a long 8-byte form":         "88 01 48 0102030405060708 1b00000000ffffffff 02 03 00 40 a0",
		"a negative time":            "88 01 48 0102030405060708 01 02 20 00 40 a0",
		"a clock quality":            "88 01 48 0102030405060708 01 02 03 03 40 a0",
		"a descriptor of 7 bytes":    "88 01 48 0102030405060708 01 02 03 00 47 01020304050607 a0",
		"bytes after the end":        "88" + wireHead + "a0 00",
		"an indefinite array":        "9f" + wireHead + "a0 ff",
		"an indefinite map":          "88" + wireHead + "bf ff",
		"an indefinite text":         "88" + wireHead + "a1 00 7f 6161 ff",
		"a duplicate number":         "88" + wireHead + "a2 00 01 00 02",
		"a duplicate text":           "88" + wireHead + "a2 6161 01 6161 02",
		"numbers out of order":       "88" + wireHead + "a2 01 01 00 02",
		"text before a number":       "88" + wireHead + "a2 6161 01 00 02",
		"long text before short":     "88" + wireHead + "a2 626161 01 6162 02",
		"an unknown number":          "88" + wireHead + "a1 1903e8 01",
		"a numbered name as text":    "88" + wireHead + "a1 6868756d6964697479 01",
		"an empty name":              "88" + wireHead + "a1 60 01",
		"a negative name":            "88" + wireHead + "a1 20 01",
		"a name that is not UTF-8":   "88" + wireHead + "a1 61ff 01",
		"a text that is not UTF-8":   "88" + wireHead + "a1 00 61ff",
		"more values than bytes":     "88" + wireHead + "b8ff",
		"a map that is too big":      "88" + wireHead + "b90400",
		"a huge text":                "88" + wireHead + "a1 00 7b7fffffffffffffff",
		"an array as value":          "88" + wireHead + "a1 00 80",
		"a map as value":             "88" + wireHead + "a1 00 a0",
		"undefined":                  "88" + wireHead + "a1 00 f7",
		"a simple value":             "88" + wireHead + "a1 00 f8ff",
		"break":                      "88" + wireHead + "a1 00 ff",
		"reserved info":              "88" + wireHead + "a1 00 1c",
		"not a number":               "88" + wireHead + "a1 00 f97e00",
		"infinity":                   "88" + wireHead + "a1 00 f97c00",
		"infinity as double":         "88" + wireHead + "a1 00 fb7ff0000000000000",
		"a single that fits a half":  "88" + wireHead + "a1 00 fa41ac0000",
		"a double that fits decimal": "88" + wireHead + "a1 00 fb404a8147ae147ae1",
		"a decimal that fits a half": "88" + wireHead + "a1 00 c4822018d7",
		"a decimal with a zero more": "88" + wireHead + "a1 00 c4822219cf12",
		"a decimal exponent of 0":    "88" + wireHead + "a1 00 c4820001",
		"a decimal exponent of -7":   "88" + wireHead + "a1 00 c4822601",
		"a decimal of three":         "88" + wireHead + "a1 00 c483200101",
		"another tag":                "88" + wireHead + "a1 00 c582200a",
		"an integer beyond int64":    "88" + wireHead + "a1 00 1bffffffffffffffff",
		"a critical extension":       "89" + wireHead + "a0 a1 01 40",
		"extension zero":             "89" + wireHead + "a0 a1 00 40",
		"extensions out of order":    "89" + wireHead + "a0 a2 21 40 20 40",
		"an extension twice":         "89" + wireHead + "a0 a2 20 40 20 40",
		"an empty extension map":     "89" + wireHead + "a0 a0",
		"an extension not of bytes":  "89" + wireHead + "a0 a1 20 01",
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Decode(unhex(t, in))
			if !errors.Is(err, ErrWire) {
				t.Errorf("got %v, %v; want ErrWire", r, err)
			}
		})
	}
	if _, err := Decode(make([]byte, MaxSize+1)); !errors.Is(err, ErrWire) {
		t.Errorf("too long: %v", err)
	}
}

func TestDecodeIgnoresWhatMayBeIgnored(t *testing.T) {
	r, err := Decode(unhex(t, "89"+wireHead+"a1 00 f9 4d60 a2 20 41 00 21 42 0102"))
	if err != nil {
		t.Fatal(err)
	}
	want := Reading{Stream: "0102030405060708", Epoch: 1, Seq: 2, Time: time.UnixMilli(3), Values: []Value{{Name: "temperature", Value: 21.5}}}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCutAnywhere(t *testing.T) {
	for _, e := range examples {
		b, err := e.r.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		for n := range b {
			if _, err := Decode(b[:n]); err == nil {
				t.Errorf("%s: %d of %d bytes decode", e.name, n, len(b))
			}
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	ok := Reading{Stream: "0102030405060708", Desc: "0102030405060708", Time: time.UnixMilli(1)}
	for name, change := range map[string]func(*Reading){
		"a short stream":       func(r *Reading) { r.Stream = "01" },
		"an upper-case stream": func(r *Reading) { r.Stream = "010203040506070A" },
		"a bad descriptor":     func(r *Reading) { r.Desc = "x102030405060708" },
		"a time before 1970":   func(r *Reading) { r.Time = time.UnixMilli(-1) },
		"a clock quality":      func(r *Reading) { r.Clock = 3 },
		"a value twice":        func(r *Reading) { r.Values = []Value{{Name: "b", Value: 1.0}, {Name: "a"}, {Name: "b", Value: 1.0}} },
		"an int":               func(r *Reading) { r.Values = []Value{{Name: "a", Value: 1}} },
		"nil without status":   func(r *Reading) { r.Values = []Value{{Name: "a"}} },
		"unknown with a value": func(r *Reading) { r.Values = []Value{{Name: "a", Value: 1.0, Status: StatusUnknown}} },
		"no name":              func(r *Reading) { r.Values = []Value{{Value: 1.0}} },
		"a long name":          func(r *Reading) { r.Values = []Value{{Name: strings.Repeat("x", 65), Value: 1.0}} },
		"a long text":          func(r *Reading) { r.Values = []Value{{Name: "a", Value: strings.Repeat("x", MaxText+1)}} },
		"too many values":      func(r *Reading) { r.Values = make([]Value, MaxValues+1) },
	} {
		r := ok
		change(&r)
		if b, err := r.AppendBinary([]byte("x")); !errors.Is(err, ErrWire) || string(b) != "x" {
			t.Errorf("%s: %x, %v", name, b, err)
		}
	}
	ok.Values = []Value{{Name: "a", Value: math.Inf(1)}, {Name: "b", Value: "\xff"}}
	b, err := ok.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Decode(b)
	if want := []Value{{Name: "a", Status: StatusUnknown}, {Name: "b", Value: "\uFFFD"}}; err != nil || !cmp.Equal(want, r.Values) {
		t.Errorf("got %v, %v", r.Values, err)
	}
}

func TestHalfPrecision(t *testing.T) {
	for h := range 1 << 16 {
		x := fromHalf(uint16(h))
		if math.IsNaN(x) {
			continue
		}
		back, ok := toHalf(float32(x))
		if !ok || back != uint16(h) {
			t.Fatalf("%04x is %v and back %04x, %v", h, x, back, ok)
		}
	}
	for _, x := range []float32{65520, 1e-9, 2049, 1.0001, float32(math.Ldexp(1.5, -24))} {
		if _, ok := toHalf(x); ok {
			t.Errorf("%v is no half", x)
		}
	}
}

func TestDescriptorRefuses(t *testing.T) {
	bad := weatherDescriptor
	bad.Properties = []Property{{Name: "b"}, {Name: "a"}}
	if _, err := bad.AppendBinary(nil); !errors.Is(err, ErrWire) {
		t.Errorf("unsorted: %v", err)
	}
	bad.Properties = []Property{{Name: "a"}, {Name: "a"}}
	if _, err := bad.AppendBinary(nil); !errors.Is(err, ErrWire) {
		t.Errorf("twice: %v", err)
	}
	b, err := weatherDescriptor.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		if _, err := DecodeDescriptor(b[:n]); !errors.Is(err, ErrWire) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
	}
	if _, err := DecodeDescriptor(append(b, 0)); !errors.Is(err, ErrWire) {
		t.Errorf("bytes after the end: %v", err)
	}
	long := Descriptor{Stream: "0102030405060708", Name: strings.Repeat("é", 40), Model: "\xff"}
	b, err = long.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := DecodeDescriptor(b); err != nil || d.Name != strings.Repeat("é", 32) || d.Model != "\uFFFD" {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestDescriptorLimitAndUnit(t *testing.T) {
	d := weatherDescriptor.Limit([]string{"temperature"})
	if len(d.Properties) != 1 || d.Unit("temperature") != "Cel" || d.Unit("battery") != "" || len(weatherDescriptor.Properties) != 2 {
		t.Errorf("got %+v", d)
	}
}

func TestFormatValue(t *testing.T) {
	for _, c := range []struct {
		v    any
		unit string
		want string
	}{
		{21.5, "Cel", "21.5 °C"},
		{21.456789, "Cel", "21.457 °C"},
		{0.1 + 0.2, "kW.h", "0.3 kWh"},
		{int64(7), "", "7"},
		{int64(7), "1", "7"},
		{97.0, "%", "97 %"},
		{1.5, "[foo]", "1.5 [foo]"},
		{12.0, "ug/m3", "12 µg/m³"},
		{true, "", "yes"},
		{false, "", "no"},
		{90.0, "deg", "90°"},
		{"a\x1b[2J", "", `a\x1b[2J`},
		{"Büro", "", "Büro"},
		{[]byte{1, 255}, "", "01ff"},
		{nil, "Cel", "unknown"},
		{math.NaN(), "Cel", "unknown"},
		{-0.0001, "Cel", "0 °C"},
	} {
		if got := FormatValue(Value{Value: c.v}, c.unit); got != c.want {
			t.Errorf("FormatValue(%v, %q) = %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}

func TestStreamKey(t *testing.T) {
	if n, err := ParseStreamKey(StreamKey(0xab)); err != nil || n != 0xab {
		t.Errorf("%x, %v", n, err)
	}
	for _, s := range []string{"", "ab", "00000000000000AB", "+000000000000001", "g000000000000000", "00000000000000001"} {
		if _, err := ParseStreamKey(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestParseJSONRefuses(t *testing.T) {
	for _, s := range []string{"", "{", "[]", `{"a":1`, `{"a":1,}`, `{"a":1}x`, `{"a":}`, `{"a":1e999}`, `{"a":99999999999999999999}`, `{"a":{"hex":"0"}}`, `{"a":{"x":1}}`, `{a:1}`, `{"a\":1}`, `{"a":1 }`} {
		if v, err := ParseValuesJSON(s); !errors.Is(err, ErrJSON) {
			t.Errorf("%q gives %v, %v", s, v, err)
		}
	}
	var r Reading
	if err := r.UnmarshalJSON([]byte(`{"stream":"0102030405060708","epoch":"1","seq":2,"time":"2026-01-02T03:04:05.006Z","clock":"synchronised","desc":"","values":{ "a" : 1.5 , "b" : { "hex" : "00" } }}`)); err != nil {
		t.Error(err)
	}
	if err := r.UnmarshalJSON([]byte(`{"epoch":"1","clock":"perfect"}`)); !errors.Is(err, ErrJSON) {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range examples {
		b, err := e.r.AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err != nil {
			return
		}
		again, err := r.AppendBinary(nil)
		if err != nil {
			t.Fatalf("%x decodes to what cannot be written: %v", b, err)
		}
		if b[0] == majorArray|8 && !bytes.Equal(again, b) {
			t.Fatalf("%x is written as %x", b, again)
		}
		if _, err := ParseValuesJSON(string(AppendValuesJSON(nil, r.Values))); err != nil {
			t.Fatalf("%x: %v", b, err)
		}
	})
}

func FuzzDecodeDescriptor(f *testing.F) {
	b, err := weatherDescriptor.AppendBinary(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeDescriptor(b)
		if err != nil {
			return
		}
		if again, err := d.AppendBinary(nil); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x is written as %x, %v", b, again, err)
		}
	})
}

func FuzzParseValuesJSON(f *testing.F) {
	f.Add(string(AppendValuesJSON(nil, examples[1].r.Values)))
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseValuesJSON(s)
		if err != nil {
			return
		}
		text := AppendValuesJSON(nil, v)
		again, err := ParseValuesJSON(string(text))
		if err != nil || !cmp.Equal(v, again) {
			t.Fatalf("%q is written as %s, %v", s, text, err)
		}
	})
}

func BenchmarkAppendBinary(b *testing.B) {
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		var err error
		if buf, err = weather.AppendBinary(buf[:0]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(buf)), "bytes")
}

func BenchmarkDecode(b *testing.B) {
	buf, err := weather.AppendBinary(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
}
