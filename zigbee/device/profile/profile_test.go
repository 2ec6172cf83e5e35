package profile

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func every(t testing.TB) []*Profile {
	t.Helper()
	list := make([]*Profile, 0, Count())
	for id := range Count() {
		p, ok := Load(ID(id))
		if !ok {
			t.Fatalf("profile %d does not decode", id)
		}
		list = append(list, p)
	}
	return list
}

// full uses everything a profile can hold.
func full() Profile {
	return Profile{
		Vendor: "Maker", Model: "M1", Labels: []Label{{"Other", "O1"}}, Complete: true,
		Properties: []Property{
			{Name: "temperature", Unit: "Cel", Access: Published | Gettable, HasRange: true, Min: -40, Max: 60.5, Rules: []Rule{
				{Cluster: 0x0402, Kind: Linear, Mul: 1, Div: 100, Add: -0.5, Endpoint: 2, Whole: true, Bounded: true},
				{Source: Datapoint, ID: 1, Kind: Curve, Points: []Point{{0, 0}, {10, 2.5}}},
				{Source: TLV, ID: 0xff01, Tag: 3, Manufacturer: AnyManufacturer, Kind: Ratio, Mul: 1, Div: 10},
			}},
			{Name: "contact", Type: Boolean, Access: Published, Rules: []Rule{
				{Source: Zone, Cluster: 0x0500, Kind: Bits, Mask: 1 << 31, On: false, Off: true},
			}},
			{Name: "action", Type: Text, Values: []string{"on", "off"}, Rules: []Rule{
				{Source: Command, Cluster: 6, ID: 2, FromClient: true, Kind: Const, On: "on"},
				{Source: Command, Cluster: 8, ID: 1, Param: Param{1, 2}, Kind: Map, HasDefault: true, Default: "off", Entries: []Entry{{-1, "on"}, {KeyTrue, 2.5}}},
				{Cluster: 0x0400, Kind: Lux},
				{Kind: Raw},
			}},
			{Name: "bare", Type: Text},
		},
	}
}

func TestRoundTrip(t *testing.T) {
	p := full()
	got, err := decodeProperties(bytes.Join(chunks(&p), nil))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Properties, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func u8(v uint8) *uint8 { return &v }

func TestFind(t *testing.T) {
	named := func(name string, conditions ...Condition) Definition {
		return Definition{Profile: Profile{Model: name}, Conditions: conditions}
	}
	plain := func(model string) Condition { return Condition{Plain: true, HasModel: true, Model: model} }
	both := Condition{HasModel: true, Model: "TS", HasManufacturer: true, Manufacturer: "_TZ1"}
	newer, first, wired := both, both, both
	newer.ApplicationVersion, newer.Priority = 67+1, 1
	first.Manufacturer, first.Priority = "_TZ2", -1
	wired.Manufacturer, wired.Type = "_TZ3", "Router"
	wired.Endpoints = []EndpointCondition{{ID: 1, Profile: 260, HasClusters: true, Clusters: []uint16{6, 0}}, {ID: 242}}
	b, err := Build([]Definition{
		named("plain", plain("TS"), plain("M")),
		named("exact", both, first),
		named("newer", newer),
		named("wired", wired),
		named("maker", Condition{HasManufacturer: true, Manufacturer: "ACME"}),
		named("address", Condition{HasModel: true, Model: "GP", IEEEPrefix: "0000000001"}),
		named("code", Condition{ManufacturerCode: 0x1110, Type: "EndDevice"}),
		named("late", plain("M")),
	})
	if err != nil {
		t.Fatal(err)
	}
	table, ok := open(b)
	if !ok {
		t.Fatal("the table does not open")
	}
	endpoints := []Endpoint{{ID: 242}, {ID: 1, Profile: 260, Clusters: []uint16{0, 6}}}
	for _, test := range []struct {
		want string
		of   Fingerprint
	}{
		{"plain", Fingerprint{Model: "M"}},
		{"plain", Fingerprint{Model: "TS", Manufacturer: "other"}},
		{"", Fingerprint{Model: "TS", Manufacturer: "_TZ1"}}, // depends on the version
		{"exact", Fingerprint{Model: "TS", Manufacturer: "_TZ1", ApplicationVersion: u8(66)}},
		{"newer", Fingerprint{Model: "TS", Manufacturer: "_TZ1", ApplicationVersion: u8(67)}},
		{"exact", Fingerprint{Model: "TS", Manufacturer: "_TZ2"}},
		{"", Fingerprint{Model: "TS", Manufacturer: "_TZ3"}},
		{"plain", Fingerprint{Model: "TS", Manufacturer: "_TZ3", Type: "EndDevice"}},
		{"wired", Fingerprint{Model: "TS", Manufacturer: "_TZ3", Type: "Router", Endpoints: endpoints}},
		{"plain", Fingerprint{Model: "TS", Manufacturer: "_TZ3", Type: "Router", Endpoints: endpoints[1:]}},
		{"maker", Fingerprint{Model: "unheard", Manufacturer: "ACME"}},
		{"address", Fingerprint{Model: "GP", IEEE: 0x00000000_01abcdef}},
		{"", Fingerprint{Model: "GP", IEEE: 0x00000001_01abcdef}},
		{"code", Fingerprint{Model: "x", ManufacturerCode: 0x1110, Type: "EndDevice"}},
		{"", Fingerprint{Model: "x", ManufacturerCode: 0x1111, Type: "EndDevice"}},
		{"", Fingerprint{}},
	} {
		got := ""
		if id, ok := table.find(&test.of); ok {
			p, ok := table.load(id)
			if !ok {
				t.Fatalf("%+v: profile %d does not load", test.of, id)
			}
			got = p.Model
		}
		if got != test.want {
			t.Errorf("%+v is %q, want %q", test.of, got, test.want)
		}
	}
}

// Everything in the embedded table can be read, and means something.
func TestEmbedded(t *testing.T) {
	if len(embedded) > 1<<20 {
		t.Errorf("the table has grown to %d bytes", len(embedded))
	}
	properties, rules := 0, 0
	for id, p := range every(t) {
		seen := map[string]bool{}
		for i := range p.Properties {
			property := &p.Properties[i]
			if seen[property.Name] {
				t.Errorf("profile %d, %s: %q stands twice", id, p.Model, property.Name)
			}
			seen[property.Name] = true
			for j := range property.Rules {
				checkRule(t, p, property, &property.Rules[j])
			}
			properties, rules = properties+1, rules+len(property.Rules)
		}
	}
	if properties < 30000 || rules < 35000 {
		t.Errorf("only %d properties with %d rules", properties, rules)
	}
}

func checkRule(t *testing.T, p *Profile, property *Property, r *Rule) {
	t.Helper()
	outcomes := []any{}
	switch r.Kind {
	case Bits:
		outcomes = append(outcomes, r.On, r.Off)
		if r.Mask == 0 || r.On == r.Off {
			t.Errorf("%s: a bit of %q decides nothing: %+v", p.Model, property.Name, r)
		}
	case Const:
		outcomes = append(outcomes, r.On)
	case Map:
		for i, e := range r.Entries {
			outcomes = append(outcomes, e.Value)
			if i > 0 && e.Key <= r.Entries[i-1].Key {
				t.Errorf("%s: keys of %q out of order", p.Model, property.Name)
			}
		}
		if r.HasDefault {
			outcomes = append(outcomes, r.Default)
		}
	case Linear, Ratio, Lux, Curve:
		if property.Type != Number {
			t.Errorf("%s: %q is no number but %+v", p.Model, property.Name, r)
		}
	}
	for _, o := range outcomes {
		var fits bool
		switch property.Type {
		case Number:
			_, fits = o.(float64)
		case Boolean:
			_, fits = o.(bool)
		case Text:
			_, fits = o.(string)
		}
		if !fits {
			t.Errorf("%s: %q has the outcome %v", p.Model, property.Name, o)
		}
	}
}

func TestLookup(t *testing.T) {
	for _, test := range []struct{ model, manufacturer, want string }{
		{"lumi.weather", "LUMI", "WSDCGQ11LM"},
		{"TRADFRI control outlet", "IKEA of Sweden", "E160x/E170x/E190x"},
		{"TS0601", "_TZE200_bjawzodf", "TS0601_temperature_humidity_sensor_1"},
	} {
		p, ok := Lookup(Fingerprint{Model: test.model, Manufacturer: test.manufacturer})
		if !ok || p.Model != test.want {
			t.Errorf("%s of %s is %+v, want %s", test.model, test.manufacturer, p, test.want)
		}
	}
	if p, ok := Lookup(Fingerprint{Model: "TS0601", Manufacturer: "nobody"}); ok {
		t.Errorf("an unheard device is a %s", p.Model)
	}
}

// Fifty profiles, what a full home needs, in three megabytes.
func TestHeap(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := make([]*Profile, 0, 50)
	for id := 0; len(kept) < 50; id += Count() / 50 {
		p, ok := Load(ID(id))
		if !ok {
			t.Fatal(id)
		}
		kept = append(kept, p)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 3<<20 {
		t.Errorf("50 profiles take %d bytes", grown)
	}
	runtime.KeepAlive(kept)
}

func BenchmarkFind(b *testing.B) {
	f := Fingerprint{Model: "TS0601", Manufacturer: "_TZE200_bjawzodf"}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Find(f); !ok {
			b.Fatal("not found")
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	f := Fingerprint{Model: "lumi.weather", Manufacturer: "LUMI"}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Lookup(f); !ok {
			b.Fatal("not found")
		}
	}
}

func FuzzProperties(f *testing.F) {
	p := full()
	f.Add(bytes.Join(chunks(&p), nil))
	f.Add([]byte("\vtem\x03-ra\x01ere\x00\x01|\x03Cul\x01\x00\vt.3\x03t1\x02\x04\x00")) // a parameter without a size
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := decodeProperties(b)
		if err != nil {
			return
		}
		again, err := decodeProperties(bytes.Join(chunks(&Profile{Properties: list}), nil))
		if err != nil {
			t.Fatalf("%+v does not decode: %v", list, err)
		}
		if diff := cmp.Diff(list, again, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	})
}

func FuzzTable(f *testing.F) {
	b, err := Build([]Definition{
		{Profile: full(), Conditions: []Condition{{Plain: true, HasModel: true, Model: "M"}}},
		{Profile: full(), Conditions: []Condition{{HasModel: true, Model: "M", Endpoints: []EndpointCondition{{ID: 1, HasClusters: true, Clusters: []uint16{6}}}}}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(_ *testing.T, b []byte) {
		table, ok := open(b)
		if !ok {
			return
		}
		table.find(&Fingerprint{Model: "M"})
		for id := range min(len(table.heads)/4, 4) {
			table.load(ID(id))
		}
	})
}
