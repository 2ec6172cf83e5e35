package device

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/peerbee/peerbee/zigbee/device/profile"
)

// entityUnits are the other gateway's units in UCUM.
var entityUnits = map[string]string{"°C": "Cel", "µg/m³": "ug/m3", "ppb": "[ppb]"}

// bases are the properties an entity class may be for us, beside those of sources.
var bases = map[string][]string{
	"DeviceTemperature":        {"device_temperature"},
	"BinaryInput":              {"binary_input"},
	"Opening":                  {"contact"},
	"Motion":                   {"occupancy", "vibration"},
	"IASZone":                  {"occupancy", "contact", "water_leak", "smoke", "gas", "carbon_monoxide", "vibration", "alarm"},
	"PPBVOCLevel":              {"voc"},
	"WindowCoveringTypeSensor": {"window_covering_type"},
}

// seen is a measure with where it came from.
type seen struct {
	Measure
	endpoint uint8
	cluster  uint16
}

// recordedFingerprint is what the interview of a recorded device would find out.
func recordedFingerprint(t *testing.T, line []byte) profile.Fingerprint {
	t.Helper()
	var d struct {
		Manufacturer string `json:"manufacturer"`
		Model        string `json:"model"`
		Type         string `json:"type"`
		Code         uint16 `json:"mfr_code"`
		Endpoints    map[string]struct {
			Profile uint16                    `json:"profile"`
			Device  uint16                    `json:"device"`
			In      map[string]map[string]any `json:"in"`
			Out     []string                  `json:"out"`
		} `json:"endpoints"`
	}
	if err := json.Unmarshal(line, &d); err != nil {
		t.Fatal(err)
	}
	f := profile.Fingerprint{Model: profile.Clean(d.Model), Manufacturer: profile.Clean(d.Manufacturer), ManufacturerCode: d.Code, Type: d.Type}
	for id, e := range d.Endpoints {
		n, err := strconv.ParseUint(id, 10, 8)
		if err != nil {
			t.Fatal(err)
		}
		endpoint := profile.Endpoint{ID: uint8(n), Profile: e.Profile, DeviceType: e.Device}
		for c := range e.In {
			endpoint.Clusters = append(endpoint.Clusters, hex16(t, c))
		}
		for _, c := range e.Out {
			endpoint.Outputs = append(endpoint.Outputs, hex16(t, c))
		}
		f.Endpoints = append(f.Endpoints, endpoint)
	}
	return f
}

// TestRealDevicesWithProfiles does as TestRealDevices, each device with its profile of the table if it has one:
// property, unit and value of every entity. A value that differs fails the test.
func TestRealDevicesWithProfiles(t *testing.T) {
	right, missed := map[string]int{}, map[string]int{}
	devices, profiled, expected := 0, 0, 0
	for _, line := range sharedLines(t, "zha_devices.jsonl") {
		var d recordedDevice
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatal(err)
		}
		in := New()
		in.SetEndpoints(endpointsOf(t, d))
		devices++
		if p, ok := profile.Lookup(recordedFingerprint(t, line)); ok {
			in.SetProfile(p)
			profiled++
		}
		var measures []seen
		for endpoint, content := range d.Endpoints {
			id, err := strconv.ParseUint(endpoint, 10, 8)
			if err != nil {
				t.Fatal(err)
			}
			for cluster, values := range content.In {
				for _, m := range feed(t, in, uint8(id), hex16(t, cluster), values) {
					measures = append(measures, seen{m, uint8(id), hex16(t, cluster)})
				}
			}
		}
		for _, e := range d.Expect {
			expected++
			if why := match(t, d.File, e, measures); why == "" {
				right[e.Class]++
			} else {
				missed[e.Class+": "+why]++
				t.Logf("missed: %s, %s: %s", d.File, e.Class, why)
			}
		}
	}
	total := 0
	for class, n := range right {
		t.Logf("%3d right: %s", n, class)
		total += n
	}
	for why, n := range missed {
		t.Logf("%3d missed: %s", n, why)
	}
	t.Logf("%d devices, %d with a profile, %d of %d entities right", devices, profiled, total, expected)
}

var (
	// suffixes tell endpoints and clusters apart.
	suffixes = regexp.MustCompile(`^(_[0-9a-f]{4}|_l?[0-9]+|_left|_right)*$`)
	// ofCluster are the names of entities that end with their cluster's number.
	ofCluster = regexp.MustCompile(`-[0-9]+-[0-9]+$`)
)

// rewritten are records that hold not what the device sent but what the other gateway made of it: this vent says
// its charge in whole percent, and a rule there doubles it.
var rewritten = map[string]string{"keen-home-inc-sv02-610-mp-1-3.json": "Battery"}

// match finds an entity among the measures of its endpoint; it fails the test where the value or unit differs.
func match(t *testing.T, file string, e entity, measures []seen) (missed string) {
	t.Helper()
	if string(e.State) == "null" {
		return "the other gateway has no value"
	}
	if rewritten[file] == e.Class {
		return "the record is not what the device sent"
	}
	names := slices.Clone(bases[e.Class])
	for _, s := range sources[e.Class] {
		names = append(names, s.base)
	}
	if len(names) == 0 {
		return "class is not ours"
	}
	disagreed := ""
	for _, m := range measures {
		at := slices.IndexFunc(names, func(n string) bool {
			suffix, ok := strings.CutPrefix(m.Property, n)
			return ok && suffixes.MatchString(suffix)
		})
		if int(m.endpoint) != e.Endpoint || at < 0 || m.Value == nil || !strings.HasSuffix(e.UID, fmt.Sprintf("-%d", m.cluster)) && ofCluster.MatchString(e.UID) {
			continue
		}
		base := names[at]
		if agrees(base, m.Value, string(e.State)) && unitOf(e) == m.Unit {
			return ""
		}
		disagreed = fmt.Sprintf("%s is %v %s, the other gateway says %s %s", m.Property, m.Value, m.Unit, e.State, unitOf(e))
	}
	if disagreed != "" {
		t.Errorf("%s: %s", file, disagreed)
		return "differs"
	}
	return "no such property from what was reported"
}

func unitOf(e entity) string {
	if u, ok := entityUnits[e.Unit]; ok {
		return u
	}
	return e.Unit
}
