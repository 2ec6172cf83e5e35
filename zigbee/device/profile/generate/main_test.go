package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/peerbee/peerbee/zigbee/device/profile"
)

// The committed table is what the facts give today.
func TestTableIsCurrent(t *testing.T) {
	shared := os.Getenv("PEERBEE_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "..", "..", "shared")
	}
	facts := filepath.Join(shared, "devices", "facts.json.gz")
	if _, err := os.Stat(facts); errors.Is(err, fs.ErrNotExist) {
		t.Skip("the device facts are not there; set PEERBEE_SHARED to the folder that holds devices/facts.json.gz")
	}
	made := filepath.Join(t.TempDir(), "table.bin")
	if err := run(facts, made, io.Discard); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../table.bin")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the committed table of %d bytes is not the one of %d bytes the facts give: run generate", len(want), len(got))
	}
}

func converted(t *testing.T, property exposed, rules ...ruleFacts) (profile.Property, *converter) {
	t.Helper()
	names, err := readNames()
	if err != nil {
		t.Fatal(err)
	}
	c := &converter{names: names, left: map[string]int{}, units: map[string]bool{}}
	d := c.definition(&facts{Exposed: []exposed{property}, Rules: rules})
	return d.Profile.Properties[0], c
}

func TestRules(t *testing.T) {
	low, high := 0.0, 100.0
	temperature := exposed{Name: "temperature", Type: "n", Access: 1, Unit: "°C"}
	state := exposed{Name: "state_left", Type: "b", Access: 7, OnOff: []any{"ON", "OFF"}}
	mode := exposed{Name: "mode", Type: "e", Access: 1, Values: []any{"a", "b"}}
	percent := exposed{Name: "battery", Type: "n", Access: 1, Unit: "%", Low: &low, High: &high}
	for name, test := range map[string]struct {
		exposed exposed
		facts   []ruleFacts
		want    []profile.Rule
	}{
		"factor": {
			temperature,
			[]ruleFacts{{Source: "attr", Property: "temperature", Kind: "lin", Cluster: "msTemperatureMeasurement", Attribute: "measuredValue", A: 0.01}},
			[]profile.Rule{{Cluster: 0x0402, Kind: profile.Linear, Mul: 1, Div: 100}},
		},
		"switch": {
			state,
			[]ruleFacts{{Source: "attr", Property: "state_left", Kind: "map", Cluster: "genOnOff", Attribute: "onOff", Map: map[string]any{"1": "ON"}, Default: "OFF", Endpoint: 2}},
			[]profile.Rule{{Endpoint: 2, Cluster: 6, Kind: profile.Map, Entries: []profile.Entry{{Key: 1, Value: true}}, HasDefault: true, Default: false}},
		},
		"percentage": {
			percent,
			[]ruleFacts{{Source: "dp", Property: "battery", Kind: "lin", Datapoint: 4, A: 1}},
			[]profile.Rule{{Source: profile.Datapoint, ID: 4, Kind: profile.Linear, Mul: 1, Div: 1, Bounded: true}},
		},
		"a curve's samples": {
			percent,
			[]ruleFacts{{Source: "tlv", Property: "battery", Kind: "map", Cluster: "genBasic", Attribute: 65281.0, Tag: 1, Map: map[string]any{
				"0": 0.0, "1": 0.0, "2": 0.0, "3": 0.0, "100": 0.0, "200": 0.0, "1000": 0.0, "2000": 0.0, "2500": 0.0, "2700": 0.0, "2800": 0.0, "2900": 33.0, "3000": 100.0, "3100": 100.0,
			}}},
			[]profile.Rule{{
				Source: profile.TLV, ID: 0xff01, Tag: 1, Manufacturer: profile.AnyManufacturer, Kind: profile.Curve, Whole: true,
				Points: []profile.Point{{X: 2850, Y: 0}, {X: 3000, Y: 100}},
			}},
		},
		"always the same": {mode, []ruleFacts{{Source: "attr", Property: "mode", Kind: "map", Cluster: "genOnOff", Attribute: "onOff", Map: map[string]any{}, Default: "a"}}, nil},
		"two outcomes of one message": {mode, []ruleFacts{
			{Source: "dp", Property: "mode", Kind: "map", Datapoint: 1, Map: map[string]any{"0": "a", "1": "b"}},
			{Source: "dp", Property: "mode", Kind: "map", Datapoint: 1, Map: map[string]any{"0": "b", "1": "a"}},
		}, nil},
		"unknown name": {mode, []ruleFacts{{Source: "attr", Property: "mode", Kind: "raw", Cluster: "genOnOff", Attribute: "noSuchName"}}, nil},
		"parameter": {
			exposed{Name: "action", Type: "e", Access: 1, Values: []any{"up", "down"}},
			[]ruleFacts{
				{Source: "cmd", Property: "action", Kind: "const", Cluster: "genLevelCtrl", Command: "Move", Value: "down"},
				{Source: "cmd", Property: "action", Kind: "map", Cluster: "genLevelCtrl", Command: "Move", Param: "movemode", Map: map[string]any{"0": "up", "1": "down"}},
			},
			[]profile.Rule{{
				Source: profile.Command, Cluster: 8, ID: 1, FromClient: true, Kind: profile.Map, Param: profile.Param{Size: 1},
				Entries: []profile.Entry{{Key: 0, Value: "up"}, {Key: 1, Value: "down"}},
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, c := converted(t, test.exposed, test.facts...)
			if diff := cmp.Diff(test.want, p.Rules, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if len(test.want) == 0 && len(c.left) == 0 {
				t.Error("nothing was counted as left out")
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct {
		exposed exposed
		name    string
		kind    profile.Type
	}{
		{exposed{Name: "state", Type: "b", OnOff: []any{"ON", "OFF"}}, "on", profile.Boolean},
		{exposed{Name: "state", Type: "b", OnOff: []any{"LOCK", "UNLOCK"}}, "state", profile.Text},
		{exposed{Name: "child_lock", Type: "b", OnOff: []any{"UNLOCK", "LOCK"}}, "child_lock", profile.Boolean},
		{exposed{Name: "contact", Type: "b", OnOff: []any{false, true}}, "contact", profile.Boolean},
		{exposed{Name: "contact", Type: "b", OnOff: []any{"ON", "OFF"}}, "contact", profile.Text},
		{exposed{Name: "valve", Type: "b", OnOff: []any{"OPEN", "CLOSE"}}, "valve", profile.Text},
	} {
		p, _ := converted(t, test.exposed)
		if p.Name != test.name || p.Type != test.kind {
			t.Errorf("%+v is %q of type %d", test.exposed, p.Name, p.Type)
		}
	}
}

func TestUnknownUnit(t *testing.T) {
	_, c := converted(t, exposed{Name: "x", Type: "n", Unit: "furlong"})
	if !c.units["furlong"] {
		t.Error("a unit without a code went by")
	}
}
