package zigbee

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/device"
	"github.com/peerbee/peerbee/zigbee/zcl"
	"github.com/peerbee/peerbee/zigbee/zdo"
)

// climate is a sensor that speaks Tuya's datapoints only.
func climate(number int) *fakeDevice {
	d := sensor(number)
	d.node.ManufacturerCode = 0x1002
	d.endpoints = []zdo.SimpleDescriptor{{Endpoint: 1, Profile: 0x0104, DeviceType: 0x0051, InClusters: clusterIDs(zcl.ClusterBasic, 0xef00)}}
	d.set(1, zcl.ClusterBasic, zcl.Attribute{ID: 4, Type: zcl.TypeString, Value: "_TZE200_bjawzodf"})
	d.set(1, zcl.ClusterBasic, zcl.Attribute{ID: 5, Type: zcl.TypeString, Value: "TS0601"})
	return d
}

func datapoints(t *testing.T, seq uint8, payload string) zcl.Frame {
	t.Helper()
	b, err := hex.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	return zcl.Frame{Type: zcl.ClusterSpecific, FromServer: true, DisableDefaultResponse: true, Seq: seq, Command: 2, Payload: b}
}

// lastMeasures gives what the last report says.
func lastMeasures(t *testing.T, b *bench) []device.Measure {
	t.Helper()
	reports := eventsOf[Report](b.take())
	if len(reports) == 0 {
		t.Fatal("no report")
	}
	return reports[len(reports)-1].Measures
}

func TestModelOfTheTable(t *testing.T) {
	d := climate(1)
	run(t, Options{}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		b.join(d)
		b.radio.hear(d, 1, 0xef00, datapoints(t, 1, "00010102000400000107"))
		want := []device.Measure{{Property: "raw_ef00_0001", Value: int64(263)}}
		if diff := cmp.Diff(want, lastMeasures(t, b)); diff != "" {
			t.Errorf("before the interview (-want +got):\n%s", diff)
		}
		b.after(time.Minute)
		got := b.mustDevice(t, d.ieee)
		if got.Interview != InterviewDone || got.Support != SupportTable {
			t.Errorf("interview %s, support %q", got.Interview, got.Support)
		}
		b.take()
		b.radio.hear(d, 1, 0xef00, datapoints(t, 2, "0002"+"0102000400000107"+"0202000400000039"+"0402000400000064"))
		want = []device.Measure{
			{Property: "temperature", Value: 26.3, Unit: "Cel"}, {Property: "humidity", Value: 57.0, Unit: "%"}, {Property: "battery", Value: 100.0, Unit: "%"},
		}
		if diff := cmp.Diff(want, lastMeasures(t, b)); diff != "" {
			t.Errorf("after it (-want +got):\n%s", diff)
		}
		for _, description := range b.Describe(d.ieee) {
			if description.Property == "temperature" && description.Source != "tuya:1" {
				t.Errorf("%+v", description)
			}
		}
	})
}

// A stored record is enough: the first report after a start is understood.
func TestModelOfAStoredRecord(t *testing.T) {
	d := climate(1)
	stored := Device{
		IEEE: d.ieee, Network: d.address, Type: zb.EndDevice, Manufacturer: "_TZE200_bjawzodf", Model: "TS0601",
		Endpoints: []Endpoint{{ID: 1, Profile: 0x0104, DeviceType: 0x0051, InClusters: d.endpoints[0].InClusters}}, Interview: InterviewDone,
	}
	run(t, Options{Devices: []Device{stored}}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		if got := b.mustDevice(t, d.ieee).Support; got != SupportTable {
			t.Errorf("support %q", got)
		}
		b.radio.hear(d, 1, 0xef00, datapoints(t, 1, "0001"+"0102000400000107"))
		if diff := cmp.Diff([]device.Measure{{Property: "temperature", Value: 26.3, Unit: "Cel"}}, lastMeasures(t, b)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// Reports of a manufacturer's own attributes are those of the model.
func TestModelWithManufacturersAttributes(t *testing.T) {
	d := sensor(1)
	d.set(1, zcl.ClusterBasic, zcl.Attribute{ID: 4, Type: zcl.TypeString, Value: "LUMI"})
	d.set(1, zcl.ClusterBasic, zcl.Attribute{ID: 5, Type: zcl.TypeString, Value: "lumi.weather"})
	run(t, Options{}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		b.join(d)
		b.after(time.Minute)
		b.take()
		payload, err := zcl.AppendReport(nil, []zcl.Attribute{{ID: 0xff01, Type: zcl.TypeString, Value: "\x01\x21\xbd\x0b\x64\x29\xd5\x08"}})
		if err != nil {
			t.Fatal(err)
		}
		b.radio.hear(d, 1, zcl.ClusterBasic, zcl.Frame{FromServer: true, Manufacturer: 0x115f, Seq: 9, Command: zcl.CommandReportAttributes, Payload: payload})
		values := map[string]any{}
		for _, m := range lastMeasures(t, b) {
			values[m.Property] = m.Value
		}
		if values["battery"] != 100.0 || values["temperature"] != 22.61 {
			t.Errorf("%v", values)
		}
	})
}
