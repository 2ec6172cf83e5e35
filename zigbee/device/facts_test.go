package device

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/peerbee/peerbee/zigbee/device/profile"
	"github.com/peerbee/peerbee/zigbee/zcl"
)

// factsOf is an entry of the file the table is made from.
type factsOf struct {
	Model        string   `json:"m"`
	Models       []string `json:"z"`
	Fingerprints []struct {
		Model        string `json:"modelID"`
		Manufacturer string `json:"manufacturerName"`
	} `json:"f"`
	Exposed []struct {
		Name  string `json:"p"`
		Type  string `json:"t"`
		Unit  string `json:"u"`
		OnOff []any  `json:"oo"`
	} `json:"ex"`
	Rules []factRule `json:"r"`
}

type factRule struct {
	Source    string         `json:"s"`
	Property  string         `json:"p"`
	Kind      string         `json:"k"`
	Cluster   string         `json:"c"`
	Attribute any            `json:"attr"`
	Datapoint uint8          `json:"dp"`
	Tag       uint8          `json:"tag"`
	Endpoint  uint8          `json:"e"`
	A         float64        `json:"a"`
	B         float64        `json:"b"`
	A10       float64        `json:"a10"`
	Bit       uint8          `json:"bit"`
	On        any            `json:"t"`
	Off       any            `json:"f"`
	Map       map[string]any `json:"m"`
	Default   any            `json:"d"`
	Round     int            `json:"round"`
	Guard     int            `json:"guard"`
}

func readFactsFile(t *testing.T) []factsOf {
	t.Helper()
	shared := os.Getenv("PEERBEE_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	f, err := os.Open(filepath.Join(shared, "devices", "facts.json.gz"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the device facts are not there; set PEERBEE_SHARED to the folder that holds devices/facts.json.gz")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var list []factsOf
	if err := json.NewDecoder(unzipped).Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

// numbersOf reads the numbers behind names: "cluster" and "cluster/attribute", the latter with the manufacturer's
// code in the high half.
func numbersOf(t *testing.T) map[string]uint32 {
	t.Helper()
	b, err := os.ReadFile("profile/generate/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	numbers, cluster := map[string]uint32{}, ""
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		n, err := strconv.ParseUint(fields[1], 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case line[0] != ' ':
			cluster = fields[0]
			numbers[cluster] = uint32(n)
		case fields[0][0] != '<' && fields[0][0] != '>':
			code, err := strconv.ParseUint(fields[3], 10, 16)
			if err != nil {
				t.Fatal(err)
			}
			numbers[cluster+"/"+fields[0]] = uint32(n) | uint32(code)<<16
		}
	}
	return numbers
}

// outcome is what a fact says a raw value means; false where it says nothing.
func (r *factRule) outcome(x int64) (any, bool) {
	switch r.Kind {
	case "lin":
		return r.A*float64(x) + r.B, true
	case "ratio":
		return r.A10 * float64(x), true
	case "bit":
		if x>>r.Bit&1 != 0 {
			return r.On, true
		}
		return r.Off, true
	case "map":
		if v, ok := r.Map[strconv.FormatInt(x, 10)]; ok {
			return v, true
		}
		// The facts list what they saw; of a zone, single bits.
		return r.Default, r.Default != nil && len(r.Map) <= 4 && (r.Source != "ias" || x&(x-1) == 0)
	}
	return nil, false
}

// send puts a raw value into the bytes of a message and gives what comes out; false where there is no such message.
func (r *factRule) send(t *testing.T, in *Interpreter, numbers map[string]uint32, x int64) ([]Measure, bool) {
	t.Helper()
	endpoint := max(r.Endpoint, 1)
	switch r.Source {
	case "dp":
		payload := append([]byte{0, 1, r.Datapoint, tuyaValue, 0, 4}, binary.BigEndian.AppendUint32(nil, uint32(int32(x)))...)
		frame := zcl.Frame{Type: zcl.ClusterSpecific, FromServer: true, Command: tuyaReport, Payload: payload}
		f, err := zcl.Decode(frame.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		return in.ApplyCommand(endpoint, clusterTuya, f), true
	case "ias":
		return in.ApplyZoneStatus(endpoint, uint16(x)), x >= 0 && x <= math.MaxUint16
	case "attr", "tlv":
		cluster, ok := numbers[r.Cluster]
		if n, err := strconv.ParseUint(r.Cluster, 10, 16); err == nil {
			cluster, ok = uint32(n), true
		}
		name := fmt.Sprint(r.Attribute)
		if name == "zonestatus" {
			name = "zoneStatus"
		}
		attr, known := numbers[r.Cluster+"/"+name]
		if n, err := strconv.ParseUint(name, 10, 16); err == nil {
			attr, known = uint32(n), true
		}
		if !ok || !known {
			return nil, false
		}
		a := zcl.Attribute{ID: uint16(attr), Type: zcl.TypeInt32, Value: x}
		if r.Source == "tlv" {
			a.Type, a.Value = zcl.TypeOctets, append([]byte{r.Tag, byte(zcl.TypeInt32)}, binary.LittleEndian.AppendUint32(nil, uint32(int32(x)))...)
		}
		payload, err := zcl.AppendReport(nil, []zcl.Attribute{a})
		if err != nil {
			t.Fatal(err)
		}
		if code := uint16(attr >> 16); code != 0 {
			return in.ApplyManufacturer(endpoint, uint16(cluster), code, zcl.DecodeReport(payload)), true
		}
		return in.Apply(endpoint, uint16(cluster), zcl.DecodeReport(payload)), true
	}
	return nil, false
}

// sameOutcome compares a value with what a fact says, as exactly as the fact was observed.
func sameOutcome(r *factRule, got, want any) bool {
	switch got := got.(type) {
	case float64:
		n, ok := want.(float64)
		tolerance := 1e-6 + 1e-6*math.Abs(n)
		if r.Round != 0 { // observed through rounding: the factor to four digits, the offset to one
			tolerance = math.Max(1.01, math.Abs(r.A)) + 0.025*math.Abs(n)
		}
		return ok && math.Abs(got-n) <= tolerance
	case bool:
		if b, ok := want.(bool); ok {
			return got == b
		}
		switch strings.ToLower(fmt.Sprint(want)) {
		case "on", "lock", "locked", "yes", "enable", "true":
			return got
		case "off", "unlock", "unlocked", "no", "disable", "false":
			return !got
		}
		return false
	}
	return got == fmt.Sprint(want)
}

// beyond reports a percentage that cannot be: the facts hold for what devices send only.
func (f *factsOf) beyond(r *factRule, want any) bool {
	n, ok := want.(float64)
	for _, e := range f.Exposed {
		if e.Name == r.Property && e.Unit == "%" && ok && (n < 0 || n > 100) {
			return true
		}
	}
	return false
}

// rivals are the messages of a definition that several rules read for one property: which holds is not in the facts.
func (f *factsOf) rivals() map[string]int {
	count := map[string]int{}
	for i := range f.Rules {
		count[f.Rules[i].message()]++
	}
	return count
}

func (r *factRule) message() string {
	return fmt.Sprint(r.Source, "/", r.Cluster, "/", r.Attribute, "/", r.Datapoint, "/", r.Tag, "/", r.Endpoint, "/", r.Property)
}

// contradicted are facts that are constant and the standard's reading of the same bits, which is kept, is not.
var contradicted = map[string]string{"07504L": "alarm", "C-ZB-SEMO": "illuminance"}

// TestDefinitions sends what the facts of each definition describe, as bytes, and compares the outcome with the
// facts themselves: some of the definitions, all with PEERBEE_SOAK set.
func TestDefinitions(t *testing.T) {
	step := 61
	if os.Getenv("PEERBEE_SOAK") != "" {
		step = 1
	}
	numbers, list := numbersOf(t), readFactsFile(t)
	if len(list) != profile.Count() {
		t.Fatalf("%d definitions, %d profiles", len(list), profile.Count())
	}
	right, silent, wrong := 0, 0, 0
	for id := 0; id < len(list); id += step {
		f := &list[id]
		p, ok := profile.Load(profile.ID(id))
		if !ok || p.Model != f.Model {
			t.Fatalf("profile %d is not %s", id, f.Model)
		}
		rivals := f.rivals()
		for i := range f.Rules {
			r := &f.Rules[i]
			if rivals[r.message()] > 1 {
				continue
			}
			for _, x := range []int64{0, 1, 2, 3, 5, 9, 17, 57, 64, 100, 255, 333, 1000, 2733, 2900, 4321} {
				want, said := r.outcome(x)
				got, sent := delivered(t, f, r, p, numbers, x)
				switch {
				case !said || !sent || f.beyond(r, want) || contradicted[f.Model] == r.Property:
				case got == nil:
					silent++
				case sameOutcome(r, got, want):
					right++
				default:
					wrong++
					t.Errorf("%s: %s of %d is %v, the facts say %v", f.Model, r.message(), x, got, want)
				}
			}
		}
	}
	t.Logf("%d values right, %d wrong, %d not told", right, wrong, silent)
	if right < 1000 {
		t.Error("hardly anything was compared")
	}
}

// delivered sends one raw value to a fresh device and gives the value of the rule's property, nil for none.
func delivered(t *testing.T, f *factsOf, r *factRule, p *profile.Profile, numbers map[string]uint32, x int64) (any, bool) {
	t.Helper()
	in := New()
	in.SetProfile(p)
	for _, c := range []uint16{zcl.ClusterMetering, zcl.ClusterElectrical} {
		for _, attr := range NeededAttributes(c) {
			by := int64(1)
			if attr == 0x0302 || c == zcl.ClusterElectrical && attr&1 != 0 {
				by = 10
			}
			if attr != meterUnit {
				in.Recall([]Fact{{max(r.Endpoint, 1), c, attr, by}})
			}
		}
	}
	measures, sent := r.send(t, in, numbers, x)
	if !sent {
		return nil, false
	}
	check(t, in, measures)
	name := r.Property
	for _, e := range f.Exposed {
		if e.Name == name && e.Type == "b" && len(e.OnOff) == 2 && e.OnOff[0] == "ON" && (name == "state" || strings.HasPrefix(name, "state_")) {
			name = "on" + strings.TrimPrefix(name, "state")
		}
	}
	for _, m := range measures {
		if m.Property == name {
			return m.Value, true
		}
	}
	return nil, true
}

// TestFingerprints looks up every model the facts name.
func TestFingerprints(t *testing.T) {
	found, unsure := 0, 0
	for _, f := range readFactsFile(t) {
		for _, model := range f.Models {
			p, ok := profile.Lookup(profile.Fingerprint{Model: profile.Clean(model)})
			switch {
			case !ok:
				unsure++
			case p.Model != f.Model:
				t.Errorf("%q is %s, want %s", model, p.Model, f.Model)
			default:
				found++
			}
		}
	}
	t.Logf("%d models found, %d need more than a name", found, unsure)
}
