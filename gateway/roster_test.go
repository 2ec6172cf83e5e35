package gateway

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/zigbee"
	"github.com/peerbee/peerbee/zigbee/device"
)

const (
	kitchen    = zb.IEEEAddress(0x00158d0000000001)
	kitchenKey = "00158d0000000001"
)

func testRoster() *roster {
	r := newRoster()
	r.put(zigbee.Device{IEEE: kitchen, Manufacturer: "maker", Model: "TH1"}, "kitchen")
	r.learn(kitchenKey,
		reading.Property{Name: "battery", Type: "number", Unit: "%", Access: "r", Source: "zcl:0001/0021"},
		reading.Property{Name: "humidity", Type: "number", Unit: "%", Access: "r", Source: "zcl:0405/0000"},
		reading.Property{Name: "temperature", Type: "number", Unit: "Cel", Access: "r", Source: "zcl:0402/0000"})
	return r
}

func describe(t *testing.T, r *roster, props ...string) (string, reading.Descriptor) {
	t.Helper()
	d, err := r.describe(kitchenKey, props)
	if err != nil {
		t.Fatal(err)
	}
	out, err := reading.DecodeDescriptor(d.bytes)
	if err != nil {
		t.Fatal(err)
	}
	if d.hash != reading.HashDescriptor(d.bytes) {
		t.Errorf("hash %s of another descriptor", d.hash)
	}
	return d.hash, out
}

func TestDescriptorTellsOnlyWhatIsPermitted(t *testing.T) {
	r := testRoster()
	_, got := describe(t, r, "humidity")
	want := reading.Descriptor{
		Stream: kitchenKey, Name: "kitchen", Manufacturer: "maker", Model: "TH1",
		Properties: []reading.Property{{Name: "humidity", Type: "number", Unit: "%", Access: "r", Source: "zcl:0405/0000"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	all, _ := describe(t, r, "battery", "humidity", "temperature")
	one, _ := describe(t, r, "humidity")
	if again, _ := describe(t, r, "humidity"); one != again || one == all {
		t.Error("the hash does not name the descriptor")
	}
	if _, err := r.describe("00158d0000000002", []string{"humidity"}); err == nil {
		t.Error("a device nobody knows is described")
	}
}

func TestDescriptorFollowsChanges(t *testing.T) {
	r := testRoster()
	before, _ := describe(t, r, "temperature")
	r.rename(kitchenKey, "pantry")
	renamed, d := describe(t, r, "temperature")
	if d.Name != "pantry" || renamed == before {
		t.Errorf("renamed, the descriptor says %q", d.Name)
	}
	r.learn(kitchenKey, reading.Property{Name: "temperature", Type: "number", Unit: "[degF]", Access: "r"})
	if after, d := describe(t, r, "temperature"); d.Properties[0].Unit != "[degF]" || after == renamed {
		t.Errorf("with another unit, the descriptor says %+v", d.Properties)
	}
	r.put(zigbee.Device{IEEE: kitchen, Manufacturer: "maker", Model: "TH2"}, "")
	if _, d := describe(t, r, "temperature"); d.Model != "TH2" || d.Name != "pantry" {
		t.Errorf("another model: %+v", d)
	}
	if r.knows(kitchenKey, []device.Measure{{Property: "temperature", Unit: "Cel"}}) {
		t.Error("a measure with another unit counts as known")
	}
	if !r.knows(kitchenKey, []device.Measure{{Property: "temperature", Unit: "[degF]"}}) {
		t.Error("a described measure counts as unknown")
	}
}

// TestRosterIsBounded lets a broken device invent properties.
func TestRosterIsBounded(t *testing.T) {
	r := testRoster()
	var names []string
	for i := range 2 * maxProperties {
		name := fmt.Sprintf("raw_fc00_%04x", i)
		names = append(names, name)
		r.learn(kitchenKey, reading.Property{Name: name})
		if _, err := r.describe(kitchenKey, names[len(names)-1:]); err != nil {
			t.Fatal(err)
		}
	}
	m, _ := r.get(kitchenKey)
	if len(m.properties) > maxProperties || len(m.descriptors) > maxDescriptors {
		t.Errorf("%d properties and %d descriptors of one device are remembered", len(m.properties), len(m.descriptors))
	}
	if !r.knows(kitchenKey, []device.Measure{{Property: "one more"}}) {
		t.Error("a full roster is asked to learn for ever")
	}
}

func TestRosterFindsByNameAndAddress(t *testing.T) {
	r := testRoster()
	for _, text := range []string{"kitchen", kitchenKey, "0x" + kitchenKey, "00158D0000000001"} {
		if m, ok := r.find(text); !ok || m.key != kitchenKey {
			t.Errorf("%q is not found", text)
		}
	}
	if _, ok := r.find("attic"); ok {
		t.Error("a name nobody gave is found")
	}
	m, _ := r.get(kitchenKey)
	r.markLeft(kitchenKey)
	if _, _, left := r.snapshot(m); !left {
		t.Error("the device has left and is there")
	}
	if _, isNew := r.put(zigbee.Device{IEEE: kitchen}, "ignored"); isNew {
		t.Error("a device that came back is new")
	}
	if name, _, left := r.snapshot(m); left || name != "kitchen" {
		t.Errorf("back again it is called %q, left %v", name, left)
	}
	r.remove(kitchenKey)
	if _, ok := r.get(kitchenKey); ok || r.name(kitchenKey) != kitchenKey || len(r.keys()) != 0 {
		t.Error("a removed device is there")
	}
}

func TestRecordSurvivesTheStore(t *testing.T) {
	want := storedRecord{Device: zigbee.Device{
		IEEE: kitchen, Network: 0x1234, Model: "TH1", Interview: zigbee.InterviewDone,
		Endpoints: []zigbee.Endpoint{{ID: 1, Profile: 0x0104, InClusters: []zb.ClusterID{0, 0x0402}}},
		Facts:     []device.Fact{{Endpoint: 1, Cluster: 0x0500, Attribute: 1, Value: 0x15}},
	}, Left: true}
	b, err := encodeRecord(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeRecord(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := decodeRecord([]byte("{")); err == nil {
		t.Error("a damaged record is read")
	}
}
