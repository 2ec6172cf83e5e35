package device

import (
	"encoding/hex"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// attribute gives one attribute as it comes out of the codec.
func attribute(t testing.TB, id uint16, dt zcl.DataType, value any) zcl.Attribute {
	t.Helper()
	b, err := zcl.AppendReport(nil, []zcl.Attribute{{ID: id, Type: dt, Value: value}})
	if err != nil {
		t.Fatal(err)
	}
	return zcl.DecodeReport(b)[0]
}

func one(t testing.TB, id uint16, dt zcl.DataType, value any) []zcl.Attribute {
	t.Helper()
	return []zcl.Attribute{attribute(t, id, dt, value)}
}

func same(t *testing.T, what string, want, got []Measure) {
	t.Helper()
	if len(want) == 0 && len(got) == 0 {
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Each row is one attribute of a device of which nothing else is known.
func TestPlainRules(t *testing.T) {
	tests := []struct {
		cluster, attr uint16
		dt            zcl.DataType
		value         any
		want          []Measure
	}{
		{zcl.ClusterTemperature, 0, zcl.TypeInt16, 2150, []Measure{{"temperature", 21.5, "Cel"}}},
		{zcl.ClusterTemperature, 0, zcl.TypeInt16, -1234, []Measure{{"temperature", -12.34, "Cel"}}},
		{zcl.ClusterTemperature, 0, zcl.TypeInt16, nil, []Measure{{"temperature", nil, "Cel"}}},
		{zcl.ClusterHumidity, 0, zcl.TypeUint16, 5301, []Measure{{"humidity", 53.01, "%"}}},
		{zcl.ClusterHumidity, 0, zcl.TypeUint16, nil, []Measure{{"humidity", nil, "%"}}},
		{zcl.ClusterPressure, 0, zcl.TypeInt16, 1011, []Measure{{"pressure", 1011.0, "hPa"}}},
		{zcl.ClusterPressure, 0x10, zcl.TypeInt16, 10111, nil}, // scale not told yet
		{zcl.ClusterIlluminance, 0, zcl.TypeUint16, 0, []Measure{{"illuminance", 0.0, "lx"}}},
		{zcl.ClusterIlluminance, 0, zcl.TypeUint16, 1, []Measure{{"illuminance", 1.0, "lx"}}},
		{zcl.ClusterIlluminance, 0, zcl.TypeUint16, 30001, []Measure{{"illuminance", 1000.0, "lx"}}},
		{zcl.ClusterIlluminance, 0, zcl.TypeUint16, 0xffff, []Measure{{"illuminance", nil, "lx"}}},
		{zcl.ClusterOccupancy, 0, zcl.TypeBitmap8, 1, []Measure{{"occupancy", true, ""}}},
		{zcl.ClusterOccupancy, 0, zcl.TypeBitmap8, 2, []Measure{{"occupancy", false, ""}}},
		{zcl.ClusterPower, 0x21, zcl.TypeUint8, 169, []Measure{{"battery", 84.5, "%"}}},
		{zcl.ClusterPower, 0x21, zcl.TypeUint8, 0xff, []Measure{{"battery", nil, "%"}}},
		{zcl.ClusterPower, 0x20, zcl.TypeUint8, 29, []Measure{{"battery_voltage", 2.9, "V"}}},
		{zcl.ClusterPower, 0x31, zcl.TypeEnum8, 3, nil},
		{zcl.ClusterOnOff, 0, zcl.TypeBool, true, []Measure{{"on", true, ""}}},
		{zcl.ClusterOnOff, 0, zcl.TypeBool, nil, []Measure{{"on", nil, ""}}},
		{zcl.ClusterSoilMoisture, 0, zcl.TypeUint16, 4200, []Measure{{"soil_moisture", 42.0, "%"}}},
		{zcl.ClusterCO2, 0, zcl.TypeSingle, 0.000412, []Measure{{"co2", 412.0, "[ppm]"}}},
		{zcl.ClusterCO2, 0, zcl.TypeSingle, nil, []Measure{{"co2", nil, "[ppm]"}}},
		{zcl.ClusterPM25, 0, zcl.TypeSingle, 25.2, []Measure{{"pm25", 25.2, "ug/m3"}}},
		{zcl.ClusterPM25, 0, zcl.TypeSingle, math.Inf(1), []Measure{{"pm25", nil, "ug/m3"}}},
		{zcl.ClusterElectrical, 0x0505, zcl.TypeUint16, 2301, nil}, // divisor not told yet
		{zcl.ClusterElectrical, 0x0510, zcl.TypeInt8, -98, []Measure{{"power_factor", -98.0, "%"}}},
		{zcl.ClusterMetering, 0, zcl.TypeUint48, 541, nil},
		{zcl.ClusterTemperature, 0xfffd, zcl.TypeUint16, 3, nil}, // cluster revision
		{zcl.ClusterTemperature, 0, zcl.TypeString, "warm", []Measure{{"raw_0402_0000", "warm", ""}}},
		{zcl.ClusterIASZone, 2, zcl.TypeSingle, 1.5, []Measure{{"raw_0500_0002", 1.5, ""}}},
		{zcl.ClusterOnOff, 0, zcl.TypeString, "on", []Measure{{"raw_0006_0000", "on", ""}}},
	}
	for _, tt := range tests {
		got := New().Apply(1, tt.cluster, one(t, tt.attr, tt.dt, tt.value))
		same(t, zcl.ClusterName(tt.cluster), tt.want, got)
	}
}

func TestRaw(t *testing.T) {
	tests := []struct {
		dt    zcl.DataType
		value any
		want  any
	}{
		{zcl.TypeUint16, 513, int64(513)},
		{zcl.TypeInt8, -3, int64(-3)},
		{zcl.TypeInt8, nil, nil},
		{zcl.TypeUint64, uint64(math.MaxUint64 - 1), []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
		{zcl.TypeBool, true, true},
		{zcl.TypeSingle, 0.1, 0.1},
		{zcl.TypeString, "abc", "abc"},
		{zcl.TypeString, "\xff\x01", []byte{0xff, 1}},
		{zcl.TypeOctets, []byte{1, 2}, []byte{1, 2}},
		{zcl.TypeIEEE, zb.IEEEAddress(0x00124b001ca1b846), "00124b001ca1b846"},
		{zcl.TypeStruct, []zcl.Element{{Type: zcl.TypeUint8, Value: uint64(5)}}, []byte{1, 0, 0x20, 5}},
		{zcl.TypeTimeOfDay, zcl.TimeOfDay{Hours: 1}, []byte{1, 0, 0, 0}},
	}
	for _, tt := range tests {
		same(t, tt.dt.String(), []Measure{{Property: "raw_fc11_2001", Value: tt.want}}, New().Apply(1, 0xfc11, one(t, 0x2001, tt.dt, tt.value)))
	}
	// What the codec could not take apart is kept, even where a rule waits for it.
	opaque := zcl.DecodeReport([]byte{0, 0, 0x07, 1, 2})
	same(t, "opaque", []Measure{{Property: "raw_0402_0000", Value: []byte{1, 2}}}, New().Apply(1, zcl.ClusterTemperature, opaque))
	same(t, "manufacturer's frame", []Measure{{Property: "raw_0402_0000", Value: int64(2150)}},
		New().ApplyRaw(1, zcl.ClusterTemperature, one(t, 0, zcl.TypeInt16, 2150)))
}

func TestPressure(t *testing.T) {
	value := attribute(t, zcl.AttrMeasuredValue, zcl.TypeInt16, 1011)
	scale := attribute(t, zcl.AttrPressureScale, zcl.TypeInt8, -1)
	scaled := attribute(t, zcl.AttrPressureScaled, zcl.TypeInt16, 10111)
	exact, rough := []Measure{{"pressure", 1011.1, "hPa"}}, []Measure{{"pressure", 1011.0, "hPa"}}

	same(t, "all in one report", exact, New().Apply(1, zcl.ClusterPressure, []zcl.Attribute{value, scaled, scale}))
	same(t, "scale unknown", rough, New().Apply(1, zcl.ClusterPressure, []zcl.Attribute{value, scaled}))
	in := New()
	same(t, "scale alone", nil, in.Apply(1, zcl.ClusterPressure, []zcl.Attribute{scale}))
	same(t, "scale known earlier", exact, in.Apply(1, zcl.ClusterPressure, []zcl.Attribute{value, scaled}))
	same(t, "scaled alone", exact, in.Apply(1, zcl.ClusterPressure, []zcl.Attribute{scaled}))
	same(t, "value alone", rough, in.Apply(1, zcl.ClusterPressure, []zcl.Attribute{value}))
	same(t, "another endpoint has its own scale", nil, in.Apply(2, zcl.ClusterPressure, []zcl.Attribute{scaled}))
	invalid := attribute(t, zcl.AttrPressureScaled, zcl.TypeInt16, nil)
	same(t, "scaled invalid", rough, in.Apply(1, zcl.ClusterPressure, []zcl.Attribute{invalid, value}))
	same(t, "scaled invalid alone", []Measure{{"pressure", nil, "hPa"}}, in.Apply(1, zcl.ClusterPressure, []zcl.Attribute{invalid}))
	same(t, "scale 1", []Measure{{"pressure", 1011.1, "hPa"}},
		New().Apply(1, zcl.ClusterPressure, []zcl.Attribute{attribute(t, zcl.AttrPressureScale, zcl.TypeInt8, 1), attribute(t, zcl.AttrPressureScaled, zcl.TypeInt32, 1011100)}))
}

func TestRatios(t *testing.T) {
	in := New()
	voltage := one(t, 0x0505, zcl.TypeUint16, 2301)
	same(t, "nothing known", nil, in.Apply(1, zcl.ClusterElectrical, voltage))
	in.ApplyRead(1, zcl.ClusterElectrical, []zcl.ReadRecord{{Attribute: attribute(t, 0x0601, zcl.TypeUint16, 10)}})
	same(t, "divisor known", nil, in.Apply(1, zcl.ClusterElectrical, voltage))
	in.ApplyRead(1, zcl.ClusterElectrical, []zcl.ReadRecord{{Status: zcl.StatusTimeout, Attribute: zcl.Attribute{ID: 0x0600}}})
	same(t, "multiplier not answered", nil, in.Apply(1, zcl.ClusterElectrical, voltage))
	in.ApplyRead(1, zcl.ClusterElectrical, []zcl.ReadRecord{{Status: zcl.StatusUnsupportedAttribute, Attribute: zcl.Attribute{ID: 0x0600}}})
	same(t, "multiplier unsupported", []Measure{{"voltage", 230.1, "V"}}, in.Apply(1, zcl.ClusterElectrical, voltage))
	same(t, "invalid", []Measure{{"voltage", nil, "V"}}, in.Apply(1, zcl.ClusterElectrical, one(t, 0x0505, zcl.TypeUint16, nil)))
	in.Recall([]Fact{{1, zcl.ClusterElectrical, 0x0601, 0}})
	same(t, "divisor 0", []Measure{{"voltage", 2301.0, "V"}}, in.Apply(1, zcl.ClusterElectrical, voltage))
}

func TestMetering(t *testing.T) {
	meter := func(unit, mul, div int64) *Interpreter {
		in := New()
		in.Recall([]Fact{{1, zcl.ClusterMetering, meterUnit, unit}, {1, zcl.ClusterMetering, 0x0301, mul}, {1, zcl.ClusterMetering, 0x0302, div}})
		return in
	}
	total := attribute(t, 0, zcl.TypeUint48, 541256)
	rate := attribute(t, 0x0400, zcl.TypeInt24, -87)
	back := attribute(t, 1, zcl.TypeUint48, 10000)
	all := []zcl.Attribute{total, back, rate}
	same(t, "kWh", []Measure{{"energy", 54.1256, "kWh"}, {"energy_returned", 1.0, "kWh"}, {"power", -8.7, "W"}}, meter(0, 1, 10000).Apply(1, zcl.ClusterMetering, all))
	same(t, "m3", []Measure{{"volume", 1082.512, "m3"}, {"volume_returned", 20.0, "m3"}, {"flow", -0.174, "m3/h"}}, meter(1, 2, 1000).Apply(1, zcl.ClusterMetering, all))
	same(t, "packed decimal", []Measure{{Property: "raw_0702_0000", Value: int64(541256)}}, meter(0x80, 1, 1).Apply(1, zcl.ClusterMetering, []zcl.Attribute{total}))
	same(t, "invalid", []Measure{{"energy", nil, "kWh"}}, meter(0, 1, 1).Apply(1, zcl.ClusterMetering, one(t, 0, zcl.TypeUint48, nil)))
	in := New()
	in.Recall([]Fact{{1, zcl.ClusterMetering, 0x0301, 1}, {1, zcl.ClusterMetering, 0x0302, 1000}})
	same(t, "unit unknown", nil, in.Apply(1, zcl.ClusterMetering, all))
}

func TestZones(t *testing.T) {
	tests := []struct {
		zoneType uint16
		status   uint16
		want     Measure
	}{
		{0x0015, 0, Measure{Property: "contact", Value: true}},
		{0x0015, zcl.ZoneAlarm1, Measure{Property: "contact", Value: false}},
		{0x000d, zcl.ZoneAlarm1, Measure{Property: "occupancy", Value: true}},
		{0x000d, zcl.ZoneAlarm2 | zcl.ZoneRestore, Measure{Property: "occupancy", Value: true}},
		{0x0028, 0, Measure{Property: "smoke", Value: false}},
		{0x002a, zcl.ZoneAlarm1, Measure{Property: "water_leak", Value: true}},
		{0x002b, zcl.ZoneTest, Measure{Property: "gas", Value: false}},
		{0x002d, zcl.ZoneAlarm1, Measure{Property: "vibration", Value: true}},
		{0x7777, zcl.ZoneAlarm1, Measure{Property: "alarm", Value: true}},
		{0xffff, zcl.ZoneAlarm1, Measure{Property: "alarm", Value: true}},
	}
	for _, tt := range tests {
		in := New()
		in.Apply(1, zcl.ClusterIASZone, one(t, zcl.AttrZoneType, zcl.TypeEnum16, tt.zoneType))
		want := []Measure{tt.want, {Property: "tamper", Value: false}, {Property: "battery_low", Value: false}}
		same(t, "notification", want, in.ApplyZoneStatus(1, tt.status))
		same(t, "attribute", want, in.Apply(1, zcl.ClusterIASZone, one(t, zcl.AttrZoneStatus, zcl.TypeBitmap16, tt.status)))
	}
	in := New()
	want := []Measure{{Property: "alarm", Value: false}, {Property: "tamper", Value: true}, {Property: "battery_low", Value: true}}
	same(t, "type unknown", want, in.ApplyZoneStatus(1, zcl.ZoneTamper|zcl.ZoneBatteryLow))
	in.LearnZoneType(1, 0x002a)
	want[0].Property = "water_leak"
	same(t, "type learned at enrolment", want, in.ApplyZoneStatus(1, zcl.ZoneTamper|zcl.ZoneBatteryLow))
	same(t, "type and status in one answer", []Measure{{Property: "smoke", Value: true}, {Property: "tamper", Value: false}, {Property: "battery_low", Value: false}},
		New().Apply(1, zcl.ClusterIASZone, []zcl.Attribute{
			attribute(t, zcl.AttrZoneStatus, zcl.TypeBitmap16, 1), attribute(t, zcl.AttrZoneType, zcl.TypeEnum16, 0x28), attribute(t, zcl.AttrZoneState, zcl.TypeEnum8, 1),
		}))
}

func TestFacts(t *testing.T) {
	in := New()
	in.LearnZoneType(2, 0x0015)
	in.Apply(1, zcl.ClusterPressure, one(t, zcl.AttrPressureScale, zcl.TypeInt8, -1))
	in.Apply(1, zcl.ClusterPressure, one(t, zcl.AttrPressureScale, zcl.TypeInt8, nil)) // not known: what was known stays
	want := []Fact{{1, zcl.ClusterPressure, zcl.AttrPressureScale, -1}, {2, zcl.ClusterIASZone, zcl.AttrZoneType, 0x15}}
	if diff := cmp.Diff(want, in.Facts()); diff != "" {
		t.Error(diff)
	}
	again := New()
	again.Recall(append(want, Fact{1, zcl.ClusterTemperature, 0, 2150}, Fact{1, 0xfc11, 0, 1}))
	if diff := cmp.Diff(want, again.Facts()); diff != "" {
		t.Error(diff)
	}
}

// Frames quoted in public issues, without their serial framing.
func TestRecordedFrames(t *testing.T) {
	pressure, err := zcl.Decode(unhex(t, "18080a000029f303140028ff1000297f27")) // https://github.com/Koenkk/zigbee2mqtt/issues/20130
	if err != nil {
		t.Fatal(err)
	}
	same(t, "pressure", []Measure{{"pressure", 1011.1, "hPa"}}, New().Apply(1, zcl.ClusterPressure, zcl.DecodeReport(pressure.Payload)))

	notification, err := zcl.Decode(unhex(t, "194300000000170000")) // https://github.com/Koenkk/zigbee-herdsman-converters/issues/6816
	if err != nil {
		t.Fatal(err)
	}
	change, err := zcl.DecodeZoneStatusChange(notification.Payload)
	if err != nil || change.Zone != 23 {
		t.Fatalf("%+v, %v", change, err)
	}
	want := []Measure{{Property: "contact", Value: true}, {Property: "tamper", Value: false}, {Property: "battery_low", Value: false}}
	in := New()
	in.LearnZoneType(1, 0x0015)
	same(t, "zone", want, in.ApplyZoneStatus(1, change.Status))
}
