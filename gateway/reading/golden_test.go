package reading

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var weather = Reading{
	Stream: "00158d0001a2b3c4", Epoch: 0x1122334455667788, Seq: 4711, Time: time.UnixMilli(1_790_000_000_123).UTC(), Desc: "a1b2c3d4e5f60718",
	Values: []Value{
		{Name: "battery", Value: 97.0},
		{Name: "battery_voltage", Value: 3.0},
		{Name: "humidity", Value: 53.01},
		{Name: "linkquality", Value: int64(142)},
		{Name: "pressure", Value: 1011.0},
		{Name: "temperature", Value: 21.5},
	},
}

var examples = []struct {
	name string
	r    Reading
}{
	{"weather", weather},
	{"every-type", Reading{
		Stream: "0000000000000001", Epoch: 1, Seq: 1, Time: time.UnixMilli(0).UTC(), Clock: TimeUnknown, Desc: "0000000000000000",
		Values: []Value{
			{Name: "contact", Value: true},
			{Name: "energy", Value: 123456.789},
			{Name: "humidity", Status: StatusUnknown},
			{Name: "raw_fc11_0002", Value: []byte{0, 255}},
			{Name: "serial", Value: "Büro"},
			{Name: "temperature", Value: -0.07},
			{Name: "third", Value: 1.0 / 3},
			{Name: "volume", Value: int64(-1 << 40)},
		},
	}},
	{"empty", Reading{Stream: "ffffffffffffffff", Epoch: 1<<64 - 1, Seq: 1<<64 - 1, Time: time.UnixMilli(1).UTC(), Clock: TimeHoldover, Values: []Value{}}},
}

var weatherDescriptor = Descriptor{
	Stream: "00158d0001a2b3c4", Name: "kitchen", Manufacturer: "LUMI", Model: "lumi.weather",
	Properties: []Property{
		{Name: "battery", Type: "number", Unit: "%", Access: "r", Source: "zcl:0001/0021"},
		{Name: "temperature", Type: "number", Unit: "Cel", Access: "r", Source: "zcl:0402/0000"},
	},
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestGolden(t *testing.T) {
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) {
			b, err := e.r.AppendBinary(nil)
			if err != nil {
				t.Fatal(err)
			}
			j, err := json.Marshal(e.r)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, e.name+".hex", hex.EncodeToString(b)+"\n")
			golden(t, e.name+".json", string(j)+"\n")
			golden(t, e.name+".txt", e.r.String()+"\n")

			back, err := Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			back.Time = back.Time.UTC()
			if diff := cmp.Diff(e.r, back); diff != "" {
				t.Errorf("wire (-want +got):\n%s", diff)
			}
			var fromJSON Reading
			if err := json.Unmarshal(j, &fromJSON); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(e.r, fromJSON); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
		})
	}
	b, err := weatherDescriptor.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "descriptor.hex", hex.EncodeToString(b)+"\n")
	golden(t, "descriptor.hash", HashDescriptor(b)+"\n")
	back, err := DecodeDescriptor(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(weatherDescriptor, back); diff != "" {
		t.Errorf("descriptor (-want +got):\n%s", diff)
	}
}

func TestSixValuesAreSmall(t *testing.T) {
	b, err := weather.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 70 {
		t.Errorf("%d bytes, at most 70", len(b))
	}
}

// The document shows the golden files and the table of names as they are.
func TestDocument(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "protocol", "reading.md")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	for _, name := range []string{"weather.hex", "weather.json", "every-type.hex", "every-type.json", "empty.hex", "descriptor.hex", "descriptor.hash"} {
		want, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(doc, "\n"+string(want)) {
			t.Errorf("%s does not show testdata/%s: %s", path, name, want)
		}
	}
	if !strings.Contains(doc, namesTable()) {
		t.Errorf("%s does not show the table of names:\n%s", path, namesTable())
	}
}
