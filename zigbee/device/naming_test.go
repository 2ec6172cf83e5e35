package device

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

func TestNames(t *testing.T) {
	in := New()
	in.SetEndpoints([]Endpoint{
		{ID: 3, InClusters: []uint16{zcl.ClusterOnOff, zcl.ClusterTemperature, 0xfc11}},
		{ID: 1, InClusters: []uint16{zcl.ClusterOnOff, zcl.ClusterElectrical, zcl.ClusterMetering, zcl.ClusterIASZone, zcl.ClusterOccupancy}},
	})
	// In this order, so that who reports first decides nothing.
	for _, tt := range []struct {
		endpoint       uint8
		cluster        uint16
		property, name string
	}{
		{3, zcl.ClusterOnOff, "on", "on_3"},
		{1, zcl.ClusterOnOff, "on", "on"},
		{3, zcl.ClusterTemperature, "temperature", "temperature"},
		{4, zcl.ClusterTemperature, "temperature", "temperature_4"},
		{1, zcl.ClusterMetering, "power", "power_0702"},
		{1, zcl.ClusterElectrical, "power", "power"},
		{1, zcl.ClusterMetering, "energy", "energy"},
		{1, zcl.ClusterIASZone, "alarm", "alarm"},
	} {
		if got := in.names.name(tt.endpoint, tt.cluster, tt.property); got != tt.name {
			t.Errorf("%d/%04x %s is %q, want %q", tt.endpoint, tt.cluster, tt.property, got, tt.name)
		}
	}
	in.LearnZoneType(1, 0x000d)
	if got := in.ApplyZoneStatus(1, 0)[0].Property; got != "occupancy_0500" {
		t.Errorf("the zone's occupancy is %q", got)
	}
	if got := in.Apply(1, zcl.ClusterOccupancy, one(t, 0, zcl.TypeBitmap8, 1))[0].Property; got != "occupancy" {
		t.Errorf("the cluster's occupancy is %q", got)
	}
	if got := in.Apply(3, 0xfc11, one(t, 2, zcl.TypeUint8, 1))[0].Property; got != "raw_fc11_0002" {
		t.Errorf("raw on its only endpoint is %q", got)
	}
	if got := in.Apply(1, 0xfc11, one(t, 2, zcl.TypeUint8, 1))[0].Property; got != "raw_fc11_0002_1" {
		t.Errorf("raw on an endpoint without the cluster is %q", got)
	}
}

func TestNamesWithoutEndpoints(t *testing.T) {
	in := New()
	temperature := one(t, 0, zcl.TypeInt16, 2150)
	for _, want := range []struct {
		endpoint uint8
		name     string
	}{{2, "temperature"}, {1, "temperature_1"}, {2, "temperature"}} {
		if got := in.Apply(want.endpoint, zcl.ClusterTemperature, temperature)[0].Property; got != want.name {
			t.Errorf("endpoint %d: %q, want %q", want.endpoint, got, want.name)
		}
	}
	in.SetEndpoints([]Endpoint{{1, []uint16{zcl.ClusterTemperature}}, {2, []uint16{zcl.ClusterTemperature}}})
	if got := in.Apply(2, zcl.ClusterTemperature, temperature)[0].Property; got != "temperature_2" {
		t.Errorf("after the interview: %q", got)
	}
}

func TestDescribe(t *testing.T) {
	in := New()
	in.SetEndpoints([]Endpoint{
		{1, []uint16{zcl.ClusterTemperature, zcl.ClusterMetering, zcl.ClusterElectrical, zcl.ClusterIASZone, zcl.ClusterOccupancy}},
		{2, []uint16{zcl.ClusterTemperature, zcl.ClusterMetering}},
	})
	in.Recall([]Fact{{1, zcl.ClusterIASZone, zcl.AttrZoneType, 0x0d}, {2, zcl.ClusterMetering, meterUnit, 1}})
	want := []Description{
		{"temperature", "number", "Cel", "zcl:0402/0000"},
		{"temperature_2", "number", "Cel", "zcl:0402/0000"},
		{"power", "number", "W", "zcl:0b04/050b"},
		{"power_0702", "number", "W", "zcl:0702/0400"},
		{"energy", "number", "kWh", "zcl:0702/0000"},
		{"volume", "number", "m3", "zcl:0702/0000"},
		{"occupancy", "boolean", "", "zcl:0406/0000"},
		{"occupancy_0500", "boolean", "", "zcl:0500/0002"},
		{"tamper", "boolean", "", "zcl:0500/0002"},
		{"raw_fc11_0002", "", "", "zcl:fc11/0002"},
		{"raw_fc11_0002_3", "", "", "zcl:fc11/0002"},
	}
	for range 2 { // before the names were used, and after
		for _, d := range want {
			got, ok := in.Describe(d.Property)
			if diff := cmp.Diff(d, got); !ok || diff != "" {
				t.Errorf("%s (-want +got):\n%s", d.Property, diff)
			}
		}
		in.ApplyZoneStatus(1, 0)
		in.names.name(1, zcl.ClusterMetering, "power")
		in.names.name(2, zcl.ClusterMetering, "volume")
		in.names.name(2, zcl.ClusterTemperature, "temperature")
	}
	for _, unknown := range []string{"", "nonsense", "raw_", "raw_zzzz_0000", "raw_fc11_0002_3_4", "temperature_zz"} {
		if d, ok := in.Describe(unknown); ok {
			t.Errorf("%q is described as %+v", unknown, d)
		}
	}
	if d, ok := New().Describe("contact"); !ok || d.Type != "boolean" {
		t.Errorf("contact on a new device: %+v, %v", d, ok)
	}
}

// TestRules checks the table itself: every line can be used, and names nothing that is not there.
func TestRules(t *testing.T) {
	units := map[string]bool{"": true, "Cel": true, "%": true, "hPa": true, "lx": true, "W": true, "V": true, "A": true, "kWh": true, "ug/m3": true, "[ppm]": true, "Hz": true, "V.A": true}
	name := regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*$`)
	seen := map[attributeKey]bool{}
	for _, r := range rules {
		key := attributeKey{r.cluster, r.attr}
		if seen[key] {
			t.Errorf("%04x/%04x has two lines", r.cluster, r.attr)
		}
		seen[key] = true
		silent := r.kind == kindFactor || r.kind == kindMemory || r.kind == kindConstant
		if silent != (r.property == "") || !silent && !name.MatchString(r.property) || !units[r.unit] {
			t.Errorf("%04x/%04x: property %q, unit %q", r.cluster, r.attr, r.property, r.unit)
		}
		for _, helper := range []uint16{r.by, r.over} {
			if helper != 0 && !remembers(ruleIndex[attributeKey{r.cluster, helper}]) {
				t.Errorf("%04x/%04x needs %04x, which nothing remembers", r.cluster, r.attr, helper)
			}
		}
		if !silent {
			if d, ok := New().Describe(r.property); !ok || d.Unit != r.unit || d.Type == "" {
				t.Errorf("%s is described as %+v", r.property, d)
			}
		}
		if info, ok := zcl.LookupAttribute(r.cluster, r.attr); ok && r.report.kind != 0 && info.Type != r.report.kind {
			t.Errorf("%04x/%04x is reported as %v, but is %v", r.cluster, r.attr, r.report.kind, info.Type)
		}
	}
	for _, u := range measureUnits {
		if !name.MatchString(u.total) || !name.MatchString(u.rate) || u.rateMul == 0 {
			t.Errorf("unit of measure %+v", u)
		}
	}
}

func TestInterviewTables(t *testing.T) {
	clusters := map[uint16]bool{0xfc11: true}
	for _, r := range rules {
		clusters[r.cluster] = true
	}
	for cluster := range clusters {
		if _, err := zcl.AppendConfigureReporting(nil, Reporting(cluster)); err != nil {
			t.Errorf("%s: %v", zcl.ClusterName(cluster), err)
		}
	}
	if diff := cmp.Diff([]zcl.ReportConfig{{ID: 0, Type: zcl.TypeInt16, Min: 10, Max: 3600, Change: int64(20)}}, Reporting(zcl.ClusterTemperature)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]uint16{0x0300, 0x0301, 0x0302}, NeededAttributes(zcl.ClusterMetering)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]uint16{zcl.AttrZoneStatus, zcl.AttrZoneType}, NeededAttributes(zcl.ClusterIASZone)); diff != "" {
		t.Error(diff)
	}
	if got := NeededAttributes(zcl.ClusterTemperature); got != nil {
		t.Errorf("temperature needs %v", got)
	}
}

func TestTypeOf(t *testing.T) {
	for want, value := range map[string]any{"number": 1.0, "integer": int64(1), "boolean": true, "string": "", "bytes": []byte{}, "": nil} {
		if got := TypeOf(value); got != want {
			t.Errorf("%v is %q, want %q", value, got, want)
		}
	}
}
