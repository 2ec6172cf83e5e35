package device

import (
	"testing"

	"github.com/peerbee/peerbee/zigbee/device/profile"
	"github.com/peerbee/peerbee/zigbee/zcl"
)

// model is a device that uses every source and kind.
func model() *profile.Profile {
	number := func(name, unit string, rules ...profile.Rule) profile.Property {
		return profile.Property{Name: name, Unit: unit, Access: profile.Published, Rules: rules}
	}
	percent := func(name string, rules ...profile.Rule) profile.Property {
		p := number(name, "%", rules...)
		p.HasRange, p.Max = true, 100
		return p
	}
	return &profile.Profile{Vendor: "Maker", Model: "M1", Properties: []profile.Property{
		number("temperature", "Cel",
			profile.Rule{Cluster: zcl.ClusterTemperature, Kind: profile.Linear, Mul: 1, Div: 10, Add: -1},
			profile.Rule{Source: profile.Datapoint, ID: 1, Kind: profile.Linear, Mul: 1, Div: 10}),
		number("power_left", "W", profile.Rule{Cluster: zcl.ClusterElectrical, ID: 0x090b, Endpoint: 2, Kind: profile.Ratio, Mul: 1, Div: 1}),
		percent("battery",
			profile.Rule{Cluster: zcl.ClusterPower, ID: 0x0021, Kind: profile.Linear, Mul: 1, Div: 1, Bounded: true},
			profile.Rule{Source: profile.TLV, ID: 0xff01, Tag: 1, Kind: profile.Curve, Whole: true, Points: []profile.Point{{X: 2850}, {X: 3000, Y: 100}}}),
		number("illuminance", "lx", profile.Rule{Cluster: zcl.ClusterIlluminance, Kind: profile.Lux, Whole: true}),
		{Name: "contact", Type: profile.Boolean, Rules: []profile.Rule{{Source: profile.Zone, Cluster: zcl.ClusterIASZone, Kind: profile.Bits, Mask: 1, On: false, Off: true}}},
		{Name: "switch", Type: profile.Boolean, Rules: []profile.Rule{
			{Source: profile.Datapoint, ID: 2, Kind: profile.Raw},
			{Cluster: zcl.ClusterOnOff, Kind: profile.Map, Entries: []profile.Entry{{Key: 1, Value: true}}, HasDefault: true, Default: false},
		}},
		{Name: "mode", Type: profile.Text, Values: []string{"eco", "auto"}, Rules: []profile.Rule{
			{Source: profile.Datapoint, ID: 3, Kind: profile.Map, Entries: []profile.Entry{{Key: 0, Value: "eco"}, {Key: 1, Value: "auto"}, {Key: profile.KeyTrue, Value: "auto"}}},
			{Cluster: 0xfc11, ID: 7, Manufacturer: 0x1286, Kind: profile.Map, Entries: []profile.Entry{{Key: 0, Value: "eco"}}},
			{Cluster: zcl.ClusterTemperature, ID: 0xe000, Manufacturer: 0x1286, Kind: profile.Const, On: "eco"},
		}},
		{Name: "label", Type: profile.Text, Rules: []profile.Rule{{Source: profile.Datapoint, ID: 4, Kind: profile.Raw}}},
		{Name: "action", Type: profile.Text, Rules: []profile.Rule{
			{Source: profile.Command, Cluster: zcl.ClusterOnOff, ID: 2, FromClient: true, Kind: profile.Const, On: "toggle"},
			{Source: profile.Command, Cluster: 8, ID: 5, FromClient: true, Kind: profile.Map, Param: profile.Param{Offset: 1, Size: 2}, Entries: []profile.Entry{{Key: 0x0201, Value: "up"}}},
		}},
	}}
}

func modelled() *Interpreter {
	in := New()
	in.SetProfile(model())
	return in
}

func TestProfileAttributes(t *testing.T) {
	for name, test := range map[string]struct {
		cluster, attr uint16
		dt            zcl.DataType
		value         any
		want          []Measure
	}{
		"factor and offset":        {zcl.ClusterTemperature, 0, zcl.TypeInt16, 215, []Measure{{"temperature", 20.5, "Cel"}}},
		"invalid":                  {zcl.ClusterTemperature, 0, zcl.TypeInt16, nil, []Measure{{"temperature", nil, "Cel"}}},
		"whole percents":           {zcl.ClusterPower, 0x21, zcl.TypeUint8, 66, []Measure{{"battery", 66.0, "%"}}},
		"more than whole percents": {zcl.ClusterPower, 0x21, zcl.TypeUint8, 158, []Measure{{"battery", 79.0, "%"}}},
		"neither":                  {zcl.ClusterPower, 0x21, zcl.TypeUint8, 210, []Measure{{"raw_0001_0021", int64(210), ""}}},
		"no rule of the profile":   {zcl.ClusterPower, 0x20, zcl.TypeUint8, 30, []Measure{{"battery_voltage", 3.0, "V"}}},
		"logarithm":                {zcl.ClusterIlluminance, 0, zcl.TypeUint16, 10001, []Measure{{"illuminance", 10.0, "lx"}}},
		"boolean":                  {zcl.ClusterOnOff, 0, zcl.TypeBool, true, []Measure{{"switch", true, ""}}},
		"default":                  {zcl.ClusterOnOff, 0, zcl.TypeBool, false, []Measure{{"switch", false, ""}}},
		"zone":                     {zcl.ClusterIASZone, 2, zcl.TypeBitmap16, 0x21, []Measure{{"contact", false, ""}}},
		"vendor's cluster":         {0xfc11, 7, zcl.TypeEnum8, 0, []Measure{{"mode", "eco", ""}}},
		"not covered":              {0xfc11, 7, zcl.TypeEnum8, 9, []Measure{{"raw_fc11_0007", int64(9), ""}}},
		"vendor's attribute":       {zcl.ClusterTemperature, 0xe000, zcl.TypeEnum8, 0, []Measure{{"raw_0402_e000", int64(0), ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			in := modelled()
			got := in.Apply(1, test.cluster, one(t, test.attr, test.dt, test.value))
			same(t, name, test.want, got)
			check(t, in, got)
		})
	}
}

func TestProfileManufacturer(t *testing.T) {
	in := modelled()
	same(t, "its code", []Measure{{"mode", "eco", ""}}, in.ApplyManufacturer(1, zcl.ClusterTemperature, 0x1286, one(t, 0xe000, zcl.TypeEnum8, 0)))
	same(t, "another's code", []Measure{{"raw_0402_e000", int64(0), ""}}, in.ApplyManufacturer(1, zcl.ClusterTemperature, 0x115f, one(t, 0xe000, zcl.TypeEnum8, 0)))
	same(t, "no rule", []Measure{{"raw_0402_0000", int64(5), ""}}, in.ApplyManufacturer(1, zcl.ClusterTemperature, 0x1286, one(t, 0, zcl.TypeInt16, 5)))
}

// A ratio waits for the device's own numbers, and keeps to its endpoint.
func TestProfileRatio(t *testing.T) {
	in := modelled()
	report := one(t, 0x090b, zcl.TypeInt16, 123)
	same(t, "before", nil, in.Apply(2, zcl.ClusterElectrical, report))
	in.Recall([]Fact{{2, zcl.ClusterElectrical, 0x0604, 1}, {2, zcl.ClusterElectrical, 0x0605, 10}, {1, zcl.ClusterElectrical, 0x0604, 1}, {1, zcl.ClusterElectrical, 0x0605, 10}})
	same(t, "endpoint 2", []Measure{{"power_left", 12.3, "W"}}, in.Apply(2, zcl.ClusterElectrical, report))
	same(t, "endpoint 1", []Measure{{"power_phase_b", 12.3, "W"}}, in.Apply(1, zcl.ClusterElectrical, report))
}

// What the profile names keeps its name; what a cluster gives beside it adds its number.
func TestProfileNames(t *testing.T) {
	in := modelled()
	in.SetEndpoints([]Endpoint{{1, []uint16{zcl.ClusterTemperature}}, {2, []uint16{zcl.ClusterTemperature}}})
	report := one(t, 0, zcl.TypeInt16, 215)
	same(t, "second", []Measure{{"temperature_2", 20.5, "Cel"}}, in.Apply(2, zcl.ClusterTemperature, report))
	same(t, "first", []Measure{{"temperature", 20.5, "Cel"}}, in.Apply(1, zcl.ClusterTemperature, report))
	in.SetProfile(&profile.Profile{Properties: []profile.Property{{Name: "temperature", Unit: "Cel", Rules: []profile.Rule{{Source: profile.Datapoint, ID: 1, Kind: profile.Raw}}}}})
	same(t, "beside", []Measure{{"temperature_0402", 2.15, "Cel"}}, in.Apply(1, zcl.ClusterTemperature, report))
	check(t, in, in.Apply(2, zcl.ClusterTemperature, report))
	in.SetProfile(nil)
	same(t, "without", []Measure{{"temperature", 2.15, "Cel"}}, in.Apply(1, zcl.ClusterTemperature, report))
	if in.Profile() != nil {
		t.Error("the profile is still there")
	}
}

func tuya(t testing.TB, command uint8, hex string) zcl.Frame {
	return zcl.Frame{Type: zcl.ClusterSpecific, FromServer: true, Command: command, Payload: unhex(t, "0001"+hex)}
}

func TestTuya(t *testing.T) {
	for name, test := range map[string]struct {
		hex  string
		want []Measure
	}{
		"value":              {"01020004000000d7", []Measure{{"temperature", 21.5, "Cel"}}},
		"negative":           {"01020004ffffff9c", []Measure{{"temperature", -10.0, "Cel"}}},
		"boolean":            {"0201000101", []Measure{{"switch", true, ""}}},
		"enumeration":        {"0304000101", []Measure{{"mode", "auto", ""}}},
		"boolean in a map":   {"0301000101", []Measure{{"mode", "auto", ""}}},
		"text":               {"040300026869", []Measure{{"label", "hi", ""}}},
		"two":                {"0304000100" + "0201000100", []Measure{{"mode", "eco", ""}, {"switch", false, ""}}},
		"not covered":        {"0304000107", []Measure{{"raw_ef00_0003", int64(7), ""}}},
		"boolean for number": {"0101000101", []Measure{{"raw_ef00_0001", true, ""}}},
		"number for boolean": {"0202000400000001", []Measure{{"raw_ef00_0002", int64(1), ""}}},
		"no rule":            {"6500000401020304", []Measure{{"raw_ef00_0065", []byte{1, 2, 3, 4}, ""}}},
		"bitmap":             {"650500020102", []Measure{{"raw_ef00_0065", int64(0x0102), ""}}},
		"too short a value":  {"0102000100", []Measure{{"raw_ef00_0001", nil, ""}}},
		"unknown type":       {"0109000100", []Measure{{"raw_ef00_0001", nil, ""}}},
		"no text":            {"04030001ff", []Measure{{"raw_ef00_0004", []byte{0xff}, ""}}},
		"cut off":            {"0304000100" + "0102000400", []Measure{{"mode", "eco", ""}}},
		"nothing":            {"", nil},
	} {
		for _, command := range []uint8{1, 2, 5, 6} {
			in := modelled()
			got := in.ApplyCommand(1, clusterTuya, tuya(t, command, test.hex))
			same(t, name, test.want, got)
			check(t, in, got)
		}
	}
	in := modelled()
	same(t, "another command", nil, in.ApplyCommand(1, clusterTuya, tuya(t, 0x24, "0201000101")))
	f := tuya(t, 2, "0201000101")
	f.FromServer = false
	same(t, "to the device", nil, in.ApplyCommand(1, clusterTuya, f))
	same(t, "no profile", []Measure{{"raw_ef00_0002", true, ""}}, New().ApplyCommand(1, clusterTuya, tuya(t, 2, "0201000101")))
}

func TestProfileCommands(t *testing.T) {
	in := modelled()
	toggle := zcl.Frame{Type: zcl.ClusterSpecific, Command: 2}
	same(t, "toggle", []Measure{{"action", "toggle", ""}}, in.ApplyCommand(1, zcl.ClusterOnOff, toggle))
	toggle.FromServer = true
	same(t, "the other direction", nil, in.ApplyCommand(1, zcl.ClusterOnOff, toggle))
	same(t, "parameter", []Measure{{"action", "up", ""}}, in.ApplyCommand(1, 8, zcl.Frame{Command: 5, Payload: unhex(t, "990102")}))
	same(t, "another value", nil, in.ApplyCommand(1, 8, zcl.Frame{Command: 5, Payload: unhex(t, "990202")}))
	same(t, "too short", nil, in.ApplyCommand(1, 8, zcl.Frame{Command: 5, Payload: unhex(t, "9901")}))
	same(t, "no profile", nil, New().ApplyCommand(1, 8, zcl.Frame{Command: 5, Payload: unhex(t, "990102")}))
}

// A report put together as such a sensor does, by the table's own profile: battery at 3.005 V, 22.61 Cel, 67.13 %.
func TestXiaomi(t *testing.T) {
	p, ok := profile.Lookup(profile.Fingerprint{Model: "lumi.weather", Manufacturer: "LUMI"})
	if !ok {
		t.Fatal("the table has no lumi.weather")
	}
	in := New()
	in.SetProfile(p)
	attr := zcl.Attribute{ID: 0xff01, Type: zcl.TypeString, Value: string(unhex(t, "0121bd0b"+"0421a813"+"0521a300"+"06240100000000"+"6429d508"+"6521391a"+"662bfc890100"+"0a210000"))}
	got := in.ApplyManufacturer(1, zcl.ClusterBasic, 0x115f, []zcl.Attribute{attr})
	values := map[string]any{}
	for _, m := range got {
		values[m.Property] = m.Value
	}
	for property, want := range map[string]any{"battery": 100.0, "voltage": 3005.0, "temperature": 22.61, "humidity": 67.13} {
		if values[property] != want {
			t.Errorf("%s is %v, want %v in %+v", property, values[property], want, got)
		}
	}
	check(t, in, got)
	attr.Value = "\x01"
	same(t, "no tags", []Measure{{"raw_0000_ff01", "\x01", ""}}, in.ApplyManufacturer(1, zcl.ClusterBasic, 0x115f, []zcl.Attribute{attr}))
}

func BenchmarkProfileReport(b *testing.B) {
	in, frame := modelled(), unhex(b, temperatureFrame)
	b.ReportAllocs()
	for b.Loop() {
		decodeAndApply(b, in, frame)
	}
}

func BenchmarkTuyaReport(b *testing.B) {
	in, f := modelled(), tuya(b, 2, "01020004000000d7")
	b.ReportAllocs()
	for b.Loop() {
		in.ApplyCommand(1, clusterTuya, f)
	}
}

func TestProfileAllocations(t *testing.T) {
	in, frame := modelled(), unhex(t, temperatureFrame)
	decodeAndApply(t, in, frame)
	if n := testing.AllocsPerRun(100, func() { decodeAndApply(t, in, frame) }); n > 5 {
		t.Errorf("a report takes %v allocations", n)
	}
	f := tuya(t, 2, "01020004000000d7")
	if n := testing.AllocsPerRun(100, func() { in.ApplyCommand(1, clusterTuya, f) }); n > 5 {
		t.Errorf("a datapoint takes %v allocations", n)
	}
}

// FuzzProfile gives any frames to a device with a profile.
func FuzzProfile(f *testing.F) {
	f.Add(uint8(1), uint16(0xef00), uint8(2), unhex(f, "000101020004000000d70304000101"))
	f.Add(uint8(2), uint16(0), uint8(0x0a), unhex(f, "01ff42040121bd0b"))
	f.Add(uint8(1), uint16(8), uint8(5), unhex(f, "990102"))
	f.Fuzz(func(t *testing.T, endpoint uint8, cluster uint16, command uint8, payload []byte) {
		in := modelled()
		in.SetEndpoints([]Endpoint{{1, []uint16{cluster}}, {2, []uint16{cluster, 0}}})
		check(t, in, in.ApplyCommand(endpoint, cluster, zcl.Frame{FromServer: true, Command: command, Payload: payload}))
		check(t, in, in.ApplyCommand(endpoint, cluster, zcl.Frame{Command: command, Payload: payload}))
		attrs := zcl.DecodeReport(payload)
		check(t, in, in.ApplyManufacturer(endpoint, cluster, 0x1286, attrs))
		check(t, in, in.Apply(endpoint, cluster, attrs))
		check(t, in, in.ApplyZoneStatus(endpoint, cluster))
	})
}
