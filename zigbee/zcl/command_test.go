package zcl

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Quoted in https://github.com/Koenkk/zigbee2mqtt/issues/20130: 1011 hPa, scale -1, scaled value 10111.
const pressureReport = "000029f303140028ff1000297f27"

var pressureAttributes = []Attribute{
	{ID: AttrMeasuredValue, Type: TypeInt16, Value: int64(1011)},
	{ID: AttrPressureScale, Type: TypeInt8, Value: int64(-1)},
	{ID: AttrPressureScaled, Type: TypeInt16, Value: int64(10111)},
}

func TestReport(t *testing.T) {
	got := DecodeReport(unhex(t, pressureReport))
	if diff := cmp.Diff(pressureAttributes, got); diff != "" {
		t.Error(diff)
	}
	b, err := AppendReport(nil, got)
	if err != nil || hex.EncodeToString(b) != pressureReport {
		t.Errorf("encoded %x, %v", b, err)
	}
}

func TestReportIsTotal(t *testing.T) {
	humidity := Attribute{ID: 0, Type: TypeUint16, Value: uint64(5301)}
	tests := []struct {
		name, hex string
		want      []Attribute
	}{
		{"empty", "", nil},
		{"half a header", "0000", nil},
		{"unknown type takes the rest", "000021b514" + "010007" + "aabbcc", []Attribute{humidity, {ID: 1, Type: 0x07, Value: []byte{0xaa, 0xbb, 0xcc}, Opaque: true}}},
		{"short value", "000021b514" + "010021" + "aa", []Attribute{humidity, {ID: 1, Type: TypeUint16, Value: []byte{0xaa}, Opaque: true}}},
		{"no value", "000021b514" + "010021", []Attribute{humidity, {ID: 1, Type: TypeUint16, Value: []byte{}, Opaque: true}}},
		{"trailing byte", "000021b514" + "01", []Attribute{humidity}},
		{"string longer than the report", "050042" + "20" + "6161", []Attribute{{ID: 5, Type: TypeString, Value: []byte{0x20, 'a', 'a'}, Opaque: true}}},
	}
	for _, tt := range tests {
		in := unhex(t, tt.hex)
		got := DecodeReport(in)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		clear(in) // nothing decoded may point into the caller's buffer
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s shares memory with its input:\n%s", tt.name, diff)
		}
	}
	if _, err := AppendReport(nil, []Attribute{{ID: 1, Type: TypeUint8, Value: "x"}}); !errors.Is(err, ErrValue) {
		t.Errorf("a value of the wrong type: %v", err)
	}
}

func TestWrite(t *testing.T) {
	got, err := DecodeWrite(unhex(t, pressureReport))
	if diff := cmp.Diff(pressureAttributes, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if b, err := AppendWrite(nil, got); err != nil || hex.EncodeToString(b) != pressureReport {
		t.Errorf("encoded %x, %v", b, err)
	}
	for _, cut := range []int{1, 2, 3, 4, 6, 13} {
		if got, err := DecodeWrite(unhex(t, pressureReport)[:cut]); !errors.Is(err, ErrShort) {
			t.Errorf("cut to %d bytes: %v, %v; want ErrShort", cut, got, err)
		}
	}
	if _, err := DecodeWrite([]byte{0, 0, 0x07, 1}); !errors.Is(err, ErrUnknownType) {
		t.Errorf("unknown type: %v", err)
	}
}

func TestRead(t *testing.T) {
	b := AppendReadRequest(nil, AttrBasicManufacture, AttrBasicModel, AttrBasicFirmware)
	if hex.EncodeToString(b) != "040005000040" {
		t.Errorf("request %x", b)
	}
	ids, err := DecodeReadRequest(b)
	if diff := cmp.Diff([]uint16{4, 5, 0x4000}, ids); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := DecodeReadRequest(b[:3]); !errors.Is(err, ErrShort) {
		t.Errorf("odd request: %v", err)
	}

	records := []ReadRecord{
		{Attribute: Attribute{ID: 4, Type: TypeString, Value: "IKEA"}},
		{Status: StatusUnsupportedAttribute, Attribute: Attribute{ID: 0x4000}},
		{Attribute: Attribute{ID: 7, Type: TypeEnum8, Value: uint64(3)}},
	}
	b, err = AppendReadResponse(nil, records)
	if err != nil || hex.EncodeToString(b) != "0400"+"00"+"4204494b4541"+"004086"+"0700"+"00"+"3003" {
		t.Errorf("response %x, %v", b, err)
	}
	if diff := cmp.Diff(records, DecodeReadResponse(b)); diff != "" {
		t.Error(diff)
	}
	opaque := []ReadRecord{records[1], {Attribute: Attribute{ID: 1, Type: 0x07, Value: []byte{1, 2}, Opaque: true}}}
	if diff := cmp.Diff(opaque, DecodeReadResponse(unhex(t, "004086"+"010000"+"07"+"0102"))); diff != "" {
		t.Error(diff)
	}
}

func TestWriteResponse(t *testing.T) {
	refused := []WriteRecord{{StatusReadOnly, 4}}
	if b := AppendWriteResponse(nil, []WriteRecord{{StatusSuccess, 1}, refused[0]}); hex.EncodeToString(b) != "880400" {
		t.Errorf("refusal %x", b)
	}
	if b := AppendWriteResponse(nil, []WriteRecord{{StatusSuccess, 1}}); !bytes.Equal(b, []byte{0}) {
		t.Errorf("success %x", b)
	}
	got, err := DecodeWriteResponse([]byte{0x00, 0x01, 0x00, 0x88, 0x04, 0x00})
	if diff := cmp.Diff(refused, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := DecodeWriteResponse([]byte{0}); err != nil || got != nil {
		t.Errorf("success: %v, %v", got, err)
	}
	for _, bad := range [][]byte{nil, {0x88}, {0x88, 4}} {
		if got, err := DecodeWriteResponse(bad); !errors.Is(err, ErrShort) {
			t.Errorf("%x: %v, %v", bad, got, err)
		}
	}
}

func TestConfigureReporting(t *testing.T) {
	configs := []ReportConfig{
		{ID: 0, Type: TypeInt16, Min: 10, Max: 3600, Change: int64(20)},
		{ID: 2, Type: TypeBitmap16, Max: 3600},
		{Receive: true, ID: 0x21, Timeout: 7200},
	}
	b, err := AppendConfigureReporting(nil, configs)
	if err != nil || hex.EncodeToString(b) != "000000290a00100e1400"+"000200190000100e"+"012100201c" {
		t.Fatalf("%x, %v", b, err)
	}
	got, err := DecodeConfigureReporting(b)
	if diff := cmp.Diff(configs, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	ends := map[int]bool{0: true, 10: true, 18: true}
	for cut := range b {
		if _, err := DecodeConfigureReporting(b[:cut]); (err == nil) != ends[cut] {
			t.Errorf("cut to %d bytes: %v", cut, err)
		}
	}

	records := []ReportingRecord{
		{ReportConfig: configs[0]},
		{Status: StatusNotFound, ReportConfig: ReportConfig{ID: 5}},
		{ReportConfig: configs[2]},
	}
	b, err = AppendReadReportingResponse(nil, records)
	if err != nil {
		t.Fatal(err)
	}
	read, err := DecodeReadReportingResponse(b)
	if diff := cmp.Diff(records, read); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := DecodeReadReportingResponse(b[:7]); !errors.Is(err, ErrShort) {
		t.Errorf("cut: %v", err)
	}
	refs := []AttributeRef{{ID: 0}, {Receive: true, ID: 0x21}}
	asked, err := DecodeReadReporting(AppendReadReporting(nil, refs))
	if diff := cmp.Diff(refs, asked); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := DecodeReadReporting([]byte{0, 0}); !errors.Is(err, ErrShort) {
		t.Errorf("cut: %v", err)
	}
}

func TestConfigureReportingResponse(t *testing.T) {
	refused := []AttributeRef{{Status: StatusUnreportable, ID: 0x10}}
	b := AppendConfigureReportingResponse(nil, []AttributeRef{{ID: 0}, refused[0]})
	if hex.EncodeToString(b) != "8c001000" {
		t.Errorf("%x", b)
	}
	got, err := DecodeConfigureReportingResponse(b)
	if diff := cmp.Diff(refused, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if b := AppendConfigureReportingResponse(nil, []AttributeRef{{ID: 0}}); !bytes.Equal(b, []byte{0}) {
		t.Errorf("success %x", b)
	}
	if got, err := DecodeConfigureReportingResponse([]byte{0}); err != nil || got != nil {
		t.Errorf("success: %v, %v", got, err)
	}
	if got, err := DecodeConfigureReportingResponse([]byte{0x86}); err != nil || len(got) != 1 || got[0].Status != StatusUnsupportedAttribute {
		t.Errorf("a lone status: %v, %v", got, err)
	}
	if got, err := DecodeConfigureReportingResponse([]byte{0x86, 0}); !errors.Is(err, ErrShort) {
		t.Errorf("cut: %v, %v", got, err)
	}
}

func TestSmallCommands(t *testing.T) {
	roundTrip(t, DefaultResponse{CommandReportAttributes, StatusUnsupGeneralCommand}, "0a82", DecodeDefaultResponse)
	roundTrip(t, DiscoverRequest{0x0010, 20}, "100014", DecodeDiscoverRequest)
	roundTrip(t, DiscoverResponse{true, []AttributeType{{0, TypeInt16}, {0xfffd, TypeUint16}}}, "01000029fdff21", DecodeDiscoverResponse)
	roundTrip(t, ZoneStatusChange{Status: ZoneAlarm1 | ZoneBatteryLow, Zone: 23, Delay: 4}, "090000170400", DecodeZoneStatusChange)
	roundTrip(t, ZoneEnrollRequest{0x002a, 0x1037}, "2a003710", DecodeZoneEnrollRequest)
	roundTrip(t, ZoneEnrollResponse{EnrollNoPermit, 23}, "0217", DecodeZoneEnrollResponse)
	if _, err := DecodeDiscoverResponse([]byte{1, 0}); !errors.Is(err, ErrShort) {
		t.Errorf("cut discover response: %v", err)
	}
	if got, err := DecodeZoneStatusChange([]byte{1, 0}); err != nil || got != (ZoneStatusChange{Status: ZoneAlarm1, Zone: 0xff}) {
		t.Errorf("zone status of an old device: %+v, %v", got, err)
	}
}

// roundTrip checks a structure against its bytes in both directions, and that nothing is not it.
func roundTrip[T interface{ Append([]byte) []byte }](t *testing.T, v T, want string, decode func([]byte) (T, error)) {
	t.Helper()
	if b := v.Append(nil); hex.EncodeToString(b) != want {
		t.Errorf("%+v encodes to %x, want %s", v, b, want)
	}
	got, err := decode(unhex(t, want))
	if diff := cmp.Diff(v, got); err != nil || diff != "" {
		t.Errorf("%s: %v %s", want, err, diff)
	}
	if _, err := decode(nil); !errors.Is(err, ErrShort) {
		t.Errorf("%T of no bytes: %v", v, err)
	}
}

func TestTables(t *testing.T) {
	seen := map[attributeKey]bool{}
	for _, a := range attributes {
		key := attributeKey{a.Cluster, a.ID}
		if seen[key] {
			t.Errorf("%04x/%04x stands twice", a.Cluster, a.ID)
		}
		seen[key] = true
		if !a.Type.Known() || a.Name == "" || clusterNames[a.Cluster] == "" {
			t.Errorf("incomplete: %+v", a)
		}
	}
	if a, ok := LookupAttribute(ClusterTemperature, AttrMeasuredValue); !ok || a.Type != TypeInt16 {
		t.Errorf("temperature: %+v, %v", a, ok)
	}
	if _, ok := LookupAttribute(0xfc11, 0); ok {
		t.Error("an attribute of a manufacturer's cluster was found")
	}
	for got, want := range map[string]string{
		ClusterName(ClusterIASZone): "ias zone",
		ClusterName(0xfc11):         "cluster 0xfc11",
		StatusNotFound.String():     "not found",
		Status(0x42).String():       "status 0x42",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func FuzzReport(f *testing.F) {
	f.Add(unhex(f, pressureReport))
	f.Add(unhex(f, "000021b514"+"010007"+"aabbcc"))
	f.Add(unhex(f, "01ff42"+"0401210bb8"))
	f.Fuzz(func(t *testing.T, b []byte) {
		attrs := DecodeReport(b)
		once, err := AppendReport(nil, attrs)
		if err != nil {
			t.Fatalf("decoded %#v does not encode: %v", attrs, err)
		}
		if len(once) > len(b) || len(b)-len(once) > 2 {
			t.Fatalf("%d bytes became %d", len(b), len(once))
		}
		twice, err := AppendReport(nil, DecodeReport(once))
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%x became %x, %v", once, twice, err)
		}
		// The strict and the other decoders must not panic either.
		if written, err := DecodeWrite(b); err == nil && len(written) != len(attrs) {
			t.Fatalf("write of %d attributes, report of %d", len(written), len(attrs))
		}
		fuzzOthers(t, b)
	})
}

func fuzzOthers(t *testing.T, b []byte) {
	if _, err := AppendReadResponse(nil, DecodeReadResponse(b)); err != nil {
		t.Fatal(err)
	}
	if configs, err := DecodeConfigureReporting(b); err == nil {
		if _, err := AppendConfigureReporting(nil, configs); err != nil {
			t.Fatal(err)
		}
	}
	if records, err := DecodeReadReportingResponse(b); err == nil {
		if _, err := AppendReadReportingResponse(nil, records); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := DecodeDiscoverResponse(b); err == nil && !bytes.Equal(r.Append(nil)[1:], b[1:]) {
		t.Fatal("discover response changed")
	}
}
