package device

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/peerbee/peerbee/zigbee/device/profile"
	"github.com/peerbee/peerbee/zigbee/zcl"
)

// TestVendorFramesWithProfiles replays recorded vendors' frames: each gives measures, or is counted with what it
// is. Datapoints that can be read off the frame by hand have the right values.
func TestVendorFramesWithProfiles(t *testing.T) {
	decoded, named := 0, map[string]int{}
	for _, line := range sharedLines(t, "quirk_frames.jsonl") {
		var rec struct {
			File string `json:"file"`
			Hex  string `json:"hex"`
		}
		if err := json.Unmarshal(line, &rec); err != nil {
			t.Fatal(err)
		}
		f, err := zcl.Decode(unhex(t, rec.Hex))
		if err != nil {
			named["no ZCL frame: "+err.Error()]++
			continue
		}
		for _, in := range []*Interpreter{New(), modelled()} {
			var measures []Measure
			switch {
			case f.Type == zcl.ClusterSpecific:
				cluster := clusterTuya
				if !strings.Contains(rec.File, "tuya") {
					cluster = zcl.ClusterOnOff
				}
				measures = in.ApplyCommand(1, cluster, f)
			case f.Command == zcl.CommandReportAttributes:
				measures = in.ApplyManufacturer(1, 0xfcc0, 0x115f, zcl.DecodeReport(f.Payload))
			}
			check(t, in, measures)
			if in.known != nil {
				continue
			}
			switch {
			case len(measures) > 0:
				decoded++
			case f.Type == zcl.ClusterSpecific && !f.FromServer:
				named["a command to the device"]++
			default:
				named["unknown command "+strconv.Itoa(int(f.Command))]++
			}
		}
	}
	for what, n := range named {
		t.Logf("%3d %s", n, what)
	}
	t.Logf("%3d decoded", decoded)
	if decoded == 0 {
		t.Error("nothing decoded")
	}
}

// Frames of quirk_frames.jsonl, read by hand: number, type, length and value stand one after another.
func TestVendorDatapoints(t *testing.T) {
	for frame, want := range map[string][]Measure{
		"097b02010f01010001010502000400000007": {{"raw_ef00_0001", true, ""}, {"raw_ef00_0005", int64(7), ""}},
		"09e0020b3301020004000000fd020200040000004704020004000000640a020004000001680b020004000000c8": {
			{"raw_ef00_0001", int64(253), ""},
			{"raw_ef00_0002", int64(71), ""},
			{"raw_ef00_0004", int64(100), ""},
			{"raw_ef00_000a", int64(360), ""},
			{"raw_ef00_000b", int64(200), ""},
		},
		"09e1020b340c020004000000460d02000400000014110200040000001e0904000101": {
			{"raw_ef00_000c", int64(70), ""}, {"raw_ef00_000d", int64(20), ""}, {"raw_ef00_0011", int64(30), ""}, {"raw_ef00_0009", int64(1), ""},
		},
	} {
		f, err := zcl.Decode(unhex(t, frame))
		if err != nil {
			t.Fatal(err)
		}
		same(t, frame, want, New().ApplyCommand(1, clusterTuya, f))
	}
}

// deconzItem is one value of another gateway's device file.
type deconzItem struct {
	Name      string          `json:"name"`
	Cluster   json.RawMessage `json:"cl"`
	Attribute json.RawMessage `json:"at"`
	Datapoint uint16          `json:"dpid"`
	Expr      json.RawMessage `json:"expr"`
}

// deconzNames are the properties of that gateway's items, and how many of its units are one of ours.
var deconzNames = map[string]struct {
	property string
	scale    float64
}{
	"state/temperature": {"temperature", 100},
	"state/humidity":    {"humidity", 100},
	"state/pressure":    {"pressure", 1},
	"state/moisture":    {"soil_moisture", 100},
	"config/battery":    {"battery", 1},
	"state/lux":         {"illuminance", 1},
}

// linearExpr is what can be compared: a plain factor.
var linearExpr = regexp.MustCompile(`^Item\.val = (?:Math\.(?:round|floor|ceil)\()?Attr\.val( [*/] [0-9.]+)?\)?;?$`)

// TestScalingAgainstDeconz compares factors where both know a model and say a plain factor, by what both make of
// one raw value.
func TestScalingAgainstDeconz(t *testing.T) {
	agreed, disagreed, models := 0, 0, 0
	for _, line := range sharedLines(t, "deconz_models.jsonl") {
		var d struct {
			File         string   `json:"file"`
			Manufacturer []string `json:"manufacturer"`
			Model        []string `json:"model"`
			Subdevices   []struct {
				Items []deconzItem `json:"items"`
			} `json:"subdevices"`
		}
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatal(err)
		}
		for i, model := range d.Model {
			manufacturer := ""
			if i < len(d.Manufacturer) {
				manufacturer = d.Manufacturer[i]
			}
			p, ok := profile.Lookup(profile.Fingerprint{Model: profile.Clean(model), Manufacturer: profile.Clean(manufacturer)})
			if !ok {
				continue
			}
			models++
			for _, sub := range d.Subdevices {
				for _, item := range sub.Items {
					switch ours, theirs, ok := bothScale(p, item); {
					case !ok:
					case math.Abs(ours-theirs) <= 0.01*math.Abs(theirs)+0.51/1000:
						agreed++
					default:
						disagreed++
						t.Logf("%s, %s: %s is %v here, %v there", d.File, model, item.Name, ours, theirs)
					}
				}
			}
		}
	}
	t.Logf("%d models both know, %d factors agree, %d do not", models, agreed, disagreed)
	if agreed == 0 {
		t.Error("nothing was compared")
	}
}

// bothScale gives what one raw unit is in the profile and in a device file; false where either has no plain factor.
func bothScale(p *profile.Profile, item deconzItem) (ours, theirs float64, ok bool) {
	name, known := deconzNames[item.Name]
	var expr string
	if !known || json.Unmarshal(item.Expr, &expr) != nil {
		return 0, 0, false
	}
	m := linearExpr.FindStringSubmatch(strings.TrimSpace(expr))
	if m == nil {
		return 0, 0, false
	}
	theirs = 1 / name.scale
	if fields := strings.Fields(m[1]); len(fields) == 2 {
		n, err := strconv.ParseFloat(fields[1], 64)
		switch {
		case err != nil || n == 0:
			return 0, 0, false
		case fields[0] == "*":
			theirs *= n
		default:
			theirs /= n
		}
	}
	at := slices.IndexFunc(p.Properties, func(p profile.Property) bool { return p.Name == name.property })
	if at < 0 {
		return 0, 0, false
	}
	cluster, attr := number16(item.Cluster), number16(item.Attribute)
	for _, r := range p.Properties[at].Rules {
		same := r.Source == profile.Attribute && item.Datapoint == 0 && int(r.Cluster) == cluster && int(r.ID) == attr ||
			r.Source == profile.Datapoint && item.Datapoint == r.ID
		if same && r.Kind == profile.Linear {
			return r.Mul / r.Div, theirs, true
		}
	}
	return 0, 0, false
}

// number16 reads a number in hex; -1 for none.
func number16(raw json.RawMessage) int {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return -1
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 16)
	if err != nil {
		return -1
	}
	return int(n)
}
