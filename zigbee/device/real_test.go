package device

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

// sharedLines reads a file of recorded data that is kept beside the repository, not in it.
func sharedLines(t *testing.T, name string) [][]byte {
	t.Helper()
	shared := os.Getenv("PEERBEE_SHARED")
	if shared == "" {
		root, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for ; ; root = filepath.Dir(root) {
			if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
				break
			} else if root == filepath.Dir(root) {
				t.Skip("no go.mod above the test: cannot find the recorded data")
			}
		}
		shared = filepath.Join(filepath.Dir(root), "shared")
	}
	b, err := os.ReadFile(filepath.Join(shared, "zigbee", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("recorded data %s is not there; set PEERBEE_SHARED to the folder that holds zigbee/%s", name, name)
	}
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]byte
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		lines = append(lines, slices.Clone(s.Bytes()))
	}
	return lines
}

// entity is what another gateway shows for a device.
type entity struct {
	Class    string          `json:"class"`
	State    json.RawMessage `json:"state"`
	Endpoint int             `json:"endpoint"`
	UID      string          `json:"uid"`
	Unit     string          `json:"unit"`
}

type recordedDevice struct {
	File      string `json:"file"`
	Endpoints map[string]struct {
		In map[string]map[string]any `json:"in"`
	} `json:"endpoints"`
	Expect []entity `json:"expect"`
}

// sources says which cluster and property an entity class is for us. What is missing here is not ours to show:
// buttons, covers, lights, device temperature (devices disagree on its unit), volatile compounds, and the classes
// that another gateway's rules for one model make out of a cluster that says something else (Opening and Motion
// out of on/off).
var sources = map[string][]struct {
	cluster uint16
	base    string
}{
	"Battery":                         {{zcl.ClusterPower, "battery"}},
	"Temperature":                     {{zcl.ClusterTemperature, "temperature"}},
	"Humidity":                        {{zcl.ClusterHumidity, "humidity"}},
	"Pressure":                        {{zcl.ClusterPressure, "pressure"}},
	"Illuminance":                     {{zcl.ClusterIlluminance, "illuminance"}},
	"Occupancy":                       {{zcl.ClusterOccupancy, "occupancy"}},
	"HueOccupancy":                    {{zcl.ClusterOccupancy, "occupancy"}},
	"PM25":                            {{zcl.ClusterPM25, "pm25"}},
	"SmartEnergySummation":            {{zcl.ClusterMetering, "energy"}},
	"SmartEnergyMetering":             {{zcl.ClusterMetering, "power"}},
	"ElectricalMeasurement":           {{zcl.ClusterElectrical, "power"}},
	"PolledElectricalMeasurement":     {{zcl.ClusterElectrical, "power"}},
	"ElectricalMeasurementRMSVoltage": {{zcl.ClusterElectrical, "voltage"}},
	"ElectricalMeasurementRMSCurrent": {{zcl.ClusterElectrical, "current"}},
	"IASZone": {
		{zcl.ClusterIASZone, "occupancy"},
		{zcl.ClusterIASZone, "contact"},
		{zcl.ClusterIASZone, "water_leak"},
		{zcl.ClusterIASZone, "smoke"},
	},
}

func hex16(t *testing.T, s string) uint16 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "0x"), 16, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(n)
}

// TestRealDevices gives the recorded attribute values of 89 devices to the interpreter, through the bytes of an
// interview and of reports, and compares with what another gateway shows for them.
func TestRealDevices(t *testing.T) {
	agreed, skipped := map[string]int{}, map[string]int{}
	for _, line := range sharedLines(t, "zha_devices.jsonl") {
		var d recordedDevice
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatal(err)
		}
		in, measures := New(), map[string]any{}
		in.SetEndpoints(endpointsOf(t, d))
		for endpoint, content := range d.Endpoints {
			id, err := strconv.ParseUint(endpoint, 10, 8)
			if err != nil {
				t.Fatal(err)
			}
			for cluster, values := range content.In {
				for _, m := range feed(t, in, uint8(id), hex16(t, cluster), values) {
					measures[m.Property] = m.Value
				}
			}
		}
		for _, e := range d.Expect {
			if why := compare(t, d.File, in, e, measures); why == "" {
				agreed[e.Class]++
			} else {
				skipped[e.Class+": "+why]++
			}
		}
	}
	total := 0
	for class, n := range agreed {
		t.Logf("%3d agree: %s", n, class)
		total += n
	}
	for why, n := range skipped {
		t.Logf("%3d skipped: %s", n, why)
	}
	if total < 90 {
		t.Errorf("only %d entities were compared", total)
	}
}

func endpointsOf(t *testing.T, d recordedDevice) []Endpoint {
	var endpoints []Endpoint
	for endpoint, content := range d.Endpoints {
		id, err := strconv.ParseUint(endpoint, 10, 8)
		if err != nil {
			t.Fatal(err)
		}
		e := Endpoint{ID: uint8(id)}
		for cluster := range content.In {
			e.InClusters = append(e.InClusters, hex16(t, cluster))
		}
		endpoints = append(endpoints, e)
	}
	return endpoints
}

// feed interviews a cluster, every attribute it lacks answered "unsupported", and reports all the others.
func feed(t *testing.T, in *Interpreter, endpoint uint8, cluster uint16, values map[string]any) []Measure {
	t.Helper()
	have := map[uint16]zcl.Attribute{}
	var reported []zcl.Attribute
	for name, value := range values {
		info, known := zcl.LookupAttribute(cluster, hex16(t, name))
		f, isNumber := value.(float64)
		if b, isBool := value.(bool); isBool && b {
			f = 1
		} else if !isNumber && !isBool {
			continue
		}
		if !known {
			info = zcl.AttributeInfo{ID: hex16(t, name), Type: zcl.TypeSingle}
			if f == math.Trunc(f) && math.Abs(f) < math.MaxInt32 {
				info.Type = zcl.TypeInt32
			}
		}
		a := zcl.Attribute{ID: info.ID, Type: info.Type, Value: f}
		if info.Type != zcl.TypeSingle {
			a.Value = int64(math.Round(f))
		}
		if info.Type == zcl.TypeBool {
			a.Value = f != 0
		}
		have[info.ID] = a
		reported = append(reported, a)
	}
	var answers []zcl.ReadRecord
	for _, id := range NeededAttributes(cluster) {
		r := zcl.ReadRecord{Attribute: have[id]}
		if _, ok := have[id]; !ok {
			r = zcl.ReadRecord{Status: zcl.StatusUnsupportedAttribute, Attribute: zcl.Attribute{ID: id}}
		}
		answers = append(answers, r)
	}
	response, err := zcl.AppendReadResponse(nil, answers)
	if err != nil {
		t.Fatal(err)
	}
	report, err := zcl.AppendReport(nil, reported)
	if err != nil {
		t.Fatal(err)
	}
	measures := in.ApplyRead(endpoint, cluster, zcl.DecodeReadResponse(response))
	return append(measures, in.Apply(endpoint, cluster, zcl.DecodeReport(report))...)
}

// compare finds the measure of an entity and fails the test if it differs; else it says why it could not.
func compare(t *testing.T, file string, in *Interpreter, e entity, measures map[string]any) (skipped string) {
	t.Helper()
	if _, ours := sources[e.Class]; !ours {
		return "class is not ours"
	}
	if string(e.State) == "null" {
		return "the other gateway has no value"
	}
	for _, s := range sources[e.Class] {
		name := in.names.name(uint8(e.Endpoint), s.cluster, s.base)
		got, ok := measures[name]
		if !ok {
			continue
		}
		if !agrees(s.base, got, string(e.State)) {
			t.Errorf("%s: %s is %v, the other gateway says %s", file, name, got, e.State)
		}
		return ""
	}
	return "its attribute is not in the record"
}

// agrees compares as exactly as the other gateway rounds.
func agrees(base string, got any, state string) bool {
	if b, ok := got.(bool); ok {
		if base == "contact" { // there, true is open
			b = !b
		}
		return strconv.FormatBool(b) == state
	}
	if s, ok := got.(string); ok {
		return strconv.Quote(s) == state
	}
	want, err := strconv.ParseFloat(state, 64)
	f, ok := got.(float64)
	if err != nil || !ok {
		return false
	}
	decimals := 0
	if at := strings.IndexByte(state, '.'); at >= 0 {
		decimals = len(state) - at - 1
	}
	return math.Abs(f-want) <= 0.5*math.Pow10(-decimals)+1e-9
}

// TestRecordedIndications takes the incoming messages out of recorded serial frames: AF_INCOMING_MSG, 0x4481.
func TestRecordedIndications(t *testing.T) {
	found := map[string]any{}
	for _, line := range sharedLines(t, "unpi_recorded.jsonl") {
		var rec struct {
			Hex string `json:"hex"`
		}
		if err := json.Unmarshal(line, &rec); err != nil {
			t.Fatal(err)
		}
		b := unhex(t, rec.Hex)
		if len(b) < 22 || b[2] != 0x44 || b[3] != 0x81 {
			continue
		}
		cluster, endpoint, data := binary.LittleEndian.Uint16(b[6:]), b[10], b[21:21+int(b[20])]
		f, err := zcl.Decode(data)
		if err != nil {
			t.Errorf("%s: %v", rec.Hex, err)
			continue
		}
		var measures []Measure
		switch {
		case f.Type == zcl.ProfileWide && f.Command == zcl.CommandReportAttributes:
			measures = New().Apply(endpoint, cluster, zcl.DecodeReport(f.Payload))
		case f.Type == zcl.ClusterSpecific && cluster == zcl.ClusterIASZone:
			change, err := zcl.DecodeZoneStatusChange(f.Payload)
			if err != nil {
				t.Errorf("%s: %v", rec.Hex, err)
			}
			measures = New().ApplyZoneStatus(endpoint, change.Status)
		}
		for _, m := range measures {
			found[m.Property] = m.Value
		}
	}
	for property, want := range map[string]any{"pressure": 1011.1, "alarm": false, "tamper": false, "battery_low": false} {
		if found[property] != want {
			t.Errorf("%s is %v, want %v", property, found[property], want)
		}
	}
}

// TestVendorFrames gives frames of manufacturers' own protocols to the whole codec: nothing may be lost or guessed.
func TestVendorFrames(t *testing.T) {
	decoded := 0
	for _, line := range sharedLines(t, "quirk_frames.jsonl") {
		var rec struct {
			Hex string `json:"hex"`
		}
		if err := json.Unmarshal(line, &rec); err != nil {
			t.Fatal(err)
		}
		f, err := zcl.Decode(unhex(t, rec.Hex))
		if err != nil || f.Type != zcl.ProfileWide || f.Command != zcl.CommandReportAttributes {
			continue
		}
		attrs := zcl.DecodeReport(f.Payload)
		measures := New().Apply(1, 0xfcc0, attrs)
		if len(measures) != len(attrs) {
			t.Errorf("%s: %d attributes became %d measures", rec.Hex, len(attrs), len(measures))
		}
		decoded++
	}
	if decoded == 0 {
		t.Error("no report among the vendors' frames")
	}
}
