package zcl

import (
	"encoding/hex"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// values has every data type at least once: its bytes on the air and its Go value.
var values = []struct {
	t     DataType
	hex   string
	value any
}{
	{TypeNoData, "", nil},
	{TypeData8, "ff", uint64(0xff)},
	{TypeData16, "0201", uint64(0x0102)},
	{TypeData24, "030201", uint64(0x010203)},
	{TypeData32, "04030201", uint64(0x01020304)},
	{TypeData40, "0504030201", uint64(0x0102030405)},
	{TypeData48, "060504030201", uint64(0x010203040506)},
	{TypeData56, "07060504030201", uint64(0x01020304050607)},
	{TypeData64, "0807060504030201", uint64(0x0102030405060708)},
	{TypeBool, "00", false},
	{TypeBool, "01", true},
	{TypeBool, "ff", nil},
	{TypeBitmap8, "ff", uint64(0xff)},
	{TypeBitmap16, "0080", uint64(0x8000)},
	{TypeBitmap24, "000080", uint64(0x800000)},
	{TypeBitmap32, "00000080", uint64(0x80000000)},
	{TypeBitmap40, "0000000080", uint64(0x8000000000)},
	{TypeBitmap48, "000000000080", uint64(0x800000000000)},
	{TypeBitmap56, "00000000000080", uint64(0x80000000000000)},
	{TypeBitmap64, "ffffffffffffffff", uint64(math.MaxUint64)},
	{TypeUint8, "c8", uint64(200)},
	{TypeUint16, "b514", uint64(5301)},
	{TypeUint24, "e80300", uint64(1000)},
	{TypeUint32, "ffffff7f", uint64(math.MaxInt32)},
	{TypeUint40, "0000000001", uint64(1) << 32},
	{TypeUint48, "286400000000", uint64(25640)},
	{TypeUint56, "00000000000001", uint64(1) << 48},
	{TypeUint64, "feffffffffffffff", uint64(math.MaxUint64 - 1)},
	{TypeInt8, "ff", int64(-1)},
	{TypeInt16, "f303", int64(1011)},
	{TypeInt16, "0180", int64(-32767)},
	{TypeInt24, "ffff7f", int64(8388607)},
	{TypeInt32, "ffffffff", int64(-1)},
	{TypeInt40, "ffffffff7f", int64(1<<39 - 1)},
	{TypeInt48, "010000000080", -int64(1<<47 - 1)},
	{TypeInt56, "feffffffffffff", int64(-2)},
	{TypeInt64, "ffffffffffffff7f", int64(math.MaxInt64)},
	{TypeEnum8, "03", uint64(3)},
	{TypeEnum16, "2a00", uint64(42)},
	{TypeSemi, "003c", 1.0},
	{TypeSemi, "ff7b", 65504.0},
	{TypeSemi, "0100", 0x1p-24},
	{TypeSemi, "0004", 0x1p-14},
	{TypeSemi, "00fc", math.Inf(-1)},
	{TypeSemi, "0080", math.Copysign(0, -1)},
	{TypeSingle, "00000040", 2.0},
	{TypeSingle, "000080ff", math.Inf(-1)},
	{TypeDouble, "9a9999999999b93f", 0.1},
	{TypeOctets, "03010203", []byte{1, 2, 3}},
	{TypeOctets, "00", []byte{}},
	{TypeOctets, "ff", nil},
	{TypeString, "04494b4541", "IKEA"},
	{TypeString, "00", ""},
	{TypeString, "02ff00", "\xff\x00"},
	{TypeString, "ff", nil},
	{TypeLongOct, "0200beef", []byte{0xbe, 0xef}},
	{TypeLongOct, "ffff", nil},
	{TypeLongStr, "0100" + "61", "a"},
	{TypeLongStr, "ffff", nil},
	{TypeArray, "210200" + "01000200", List{TypeUint16, []any{uint64(1), uint64(2)}}},
	{TypeArray, "200000", List{Type: TypeUint8}},
	{TypeArray, "00ffff", nil},
	{TypeArray, "480100" + "200100" + "07", List{TypeArray, []any{List{TypeUint8, []any{uint64(7)}}}}},
	{TypeStruct, "0300" + "1001" + "210500" + "00", []Element{{TypeBool, true}, {TypeUint16, uint64(5)}, {TypeNoData, nil}}},
	{TypeStruct, "0000", []Element{}},
	{TypeStruct, "ffff", nil},
	{TypeSet, "420100" + "0161", List{TypeString, []any{"a"}}},
	{TypeBag, "280200" + "fffe", List{TypeInt8, []any{int64(-1), int64(-2)}}},
	{TypeTimeOfDay, "173b3b63", TimeOfDay{23, 59, 59, 99}},
	{TypeDate, "7e0b1405", Date{126, 11, 20, 5}},
	{TypeUTC, "00e1f505", uint64(100000000)},
	{TypeCluster, "0204", uint64(0x0402)},
	{TypeAttribute, "0500", uint64(5)},
	{TypeBACnet, "04030201", uint64(0x01020304)},
	{TypeIEEE, "46b8a11c004b1200", zb.IEEEAddress(0x00124b001ca1b846)},
	{TypeKey, "000102030405060708090a0b0c0d0e0f", []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
}

func TestValuesRoundTrip(t *testing.T) {
	seen := map[DataType]bool{}
	for _, tt := range values {
		seen[tt.t] = true
		b := unhex(t, tt.hex)
		got, rest, err := DecodeValue(tt.t, append(b[:len(b):len(b)], 0xaa))
		if err != nil || len(rest) != 1 || !cmp.Equal(got, tt.value) {
			t.Errorf("%v %s: decoded %#v, %d bytes left, %v; want %#v and 1 left", tt.t, tt.hex, got, len(rest), err, tt.value)
		}
		// An invalid list forgets its element type; every other value must come out as it went in.
		out, err := AppendValue([]byte{0xbb}, tt.t, tt.value)
		if err != nil || hex.EncodeToString(out[1:]) != tt.hex {
			t.Errorf("%v %#v: encoded %x, %v; want %s", tt.t, tt.value, out[1:], err, tt.hex)
		}
		for cut := range b {
			if _, _, err := DecodeValue(tt.t, b[:cut]); !errors.Is(err, ErrShort) {
				t.Errorf("%v %s cut to %d bytes: %v, want ErrShort", tt.t, tt.hex, cut, err)
			}
		}
	}
	for i, l := range layouts {
		if l.kind != kindUnknown && !seen[DataType(i)] {
			t.Errorf("%v has no row in this table", DataType(i))
		}
	}
}

func TestIsInvalid(t *testing.T) {
	invalid := []struct {
		t   DataType
		hex string
	}{
		{TypeBool, "ff"},
		{TypeUint8, "ff"},
		{TypeUint16, "ffff"},
		{TypeUint24, "ffffff"},
		{TypeUint48, "ffffffffffff"},
		{TypeUint64, "ffffffffffffffff"},
		{TypeInt8, "80"},
		{TypeInt16, "0080"},
		{TypeInt24, "000080"},
		{TypeInt64, "0000000000000080"},
		{TypeEnum8, "ff"},
		{TypeEnum16, "ffff"},
		{TypeSemi, "007e"},
		{TypeSingle, "0000c07f"},
		{TypeDouble, "000000000000f87f"},
		{TypeOctets, "ff"},
		{TypeLongStr, "ffff"},
		{TypeTimeOfDay, "ffffffff"},
		{TypeDate, "ffffffff"},
		{TypeUTC, "ffffffff"},
		{TypeCluster, "ffff"},
		{TypeAttribute, "ffff"},
		{TypeBACnet, "ffffffff"},
		{TypeIEEE, "ffffffffffffffff"},
		{TypeArray, "20ffff"},
		{TypeStruct, "ffff"},
	}
	for _, tt := range invalid {
		v, _, err := DecodeValue(tt.t, unhex(t, tt.hex))
		if err != nil || !IsInvalid(tt.t, v) {
			t.Errorf("%v %s: %#v, %v; want an invalid value", tt.t, tt.hex, v, err)
		}
	}
	for _, tt := range values {
		if tt.value != nil && IsInvalid(tt.t, tt.value) {
			t.Errorf("%v %#v counts as invalid", tt.t, tt.value)
		}
	}
	// What is written for "not known" must read as such.
	for _, dt := range []DataType{TypeBool, TypeUint40, TypeInt16, TypeInt64, TypeEnum8, TypeSingle, TypeString, TypeArray, TypeStruct, TypeDate, TypeIEEE} {
		b, err := AppendValue(nil, dt, nil)
		if err != nil {
			t.Errorf("%v: %v", dt, err)
			continue
		}
		if v, rest, err := DecodeValue(dt, b); err != nil || len(rest) != 0 || !IsInvalid(dt, v) {
			t.Errorf("%v: nil was written as %x and read as %#v, %v", dt, b, v, err)
		}
	}
}

func TestHostileValues(t *testing.T) {
	nested := func(depth int) []byte {
		var b []byte
		for range depth {
			b = append(b, byte(TypeArray), 1, 0)
		}
		return append(b, byte(TypeUint8), 0, 0)
	}
	tests := []struct {
		name string
		t    DataType
		b    []byte
		want error
	}{
		{"unknown type", 0x07, []byte{1, 2, 3}, ErrUnknownType},
		{"type 0xff", TypeUnknown, nil, ErrUnknownType},
		{"unknown type within", TypeStruct, []byte{1, 0, 0x07, 1}, ErrUnknownType},
		{"count beyond the input", TypeArray, []byte{byte(TypeUint8), 0xfe, 0xff, 1}, ErrShort},
		{"elements of no size", TypeArray, []byte{byte(TypeNoData), 0xfe, 0xff, 1}, ErrBadList},
		{"string beyond the input", TypeLongStr, []byte{0xfe, 0xff, 1}, ErrShort},
		{"too deep", TypeArray, nested(maxDepth), ErrTooDeep},
		{"far too deep", TypeArray, nested(20000), ErrTooDeep},
	}
	for _, tt := range tests {
		if v, _, err := DecodeValue(tt.t, tt.b); !errors.Is(err, tt.want) {
			t.Errorf("%s: %#v, %v; want %v", tt.name, v, err, tt.want)
		}
	}
	if _, _, err := DecodeValue(TypeArray, nested(maxDepth-1)); err != nil {
		t.Errorf("deepest allowed: %v", err)
	}
}

func TestAppendValueRefuses(t *testing.T) {
	tests := []struct {
		t     DataType
		value any
	}{
		{TypeUint8, 256},
		{TypeUint8, -1},
		{TypeInt8, 128},
		{TypeInt8, int64(-129)},
		{TypeInt64, uint64(math.MaxUint64)},
		{TypeBool, 1},
		{TypeString, []byte("x")},
		{TypeString, string(make([]byte, 255))},
		{TypeOctets, make([]byte, 255)},
		{TypeKey, []byte{1}},
		{TypeBitmap8, nil},
		{TypeArray, []any{1}},
		{TypeArray, List{TypeNoData, []any{nil}}},
		{TypeStruct, []Element{{TypeUint8, "x"}}},
		{TypeNoData, 1},
	}
	for _, tt := range tests {
		if b, err := AppendValue(nil, tt.t, tt.value); !errors.Is(err, ErrValue) {
			t.Errorf("%v %v: %x, %v; want ErrValue", tt.t, tt.value, b, err)
		}
	}
	if b, err := AppendValue(nil, TypeInt16, -5); err != nil || hex.EncodeToString(b) != "fbff" {
		t.Errorf("a plain int: %x, %v", b, err)
	}
	if b, err := AppendValue(nil, TypeSingle, 2); err != nil || hex.EncodeToString(b) != "00000040" {
		t.Errorf("a plain int as float: %x, %v", b, err)
	}
}

// Every half precision number must survive the way through float64, and rounding must be to even.
func TestSemiPrecision(t *testing.T) {
	for h := range 1 << 16 {
		f := semiToFloat(uint16(h))
		if math.IsNaN(f) {
			continue
		}
		if back := floatToSemi(f); back != uint16(h) {
			t.Fatalf("0x%04x is %g, which is 0x%04x", h, f, back)
		}
	}
	for f, want := range map[float64]uint16{65519: 0x7bff, 65520: 0x7c00, 1 + 0x1p-11: 0x3c00, 1 + 3*0x1p-11: 0x3c02, 0x1p-25: 0, 0x1.8p-25: 1, 0x1.ffffp-15: 0x0400} {
		if got := floatToSemi(f); got != want {
			t.Errorf("%g: 0x%04x, want 0x%04x", f, got, want)
		}
	}
}

func TestTypeNames(t *testing.T) {
	names := map[string]DataType{}
	for i := range 256 {
		dt := DataType(i)
		if other, taken := names[dt.String()]; taken {
			t.Errorf("types 0x%02x and 0x%02x are both %q", i, other, dt)
		}
		names[dt.String()] = dt
	}
	for dt, want := range map[DataType]string{TypeUint48: "uint48", TypeBitmap8: "map8", TypeEnum16: "enum16", TypeInt24: "int24", 0x07: "type 0x07"} {
		if dt.String() != want {
			t.Errorf("0x%02x is %q, want %q", uint8(dt), dt, want)
		}
	}
	analog := 0
	for i := range 256 {
		if DataType(i).IsAnalog() {
			analog++
		}
	}
	if analog != 8+8+3+3 { // uint, int, floats, times
		t.Errorf("%d analog types", analog)
	}
}

func FuzzValue(f *testing.F) {
	for _, tt := range values {
		f.Add(byte(tt.t), unhex(f, tt.hex))
	}
	f.Add(byte(TypeArray), []byte{0x48, 1, 0, 0x48, 1, 0, 0x4c, 1, 0})
	f.Fuzz(func(t *testing.T, dt byte, b []byte) {
		v, rest, err := DecodeValue(DataType(dt), b)
		if err != nil {
			return
		}
		once, err := AppendValue(nil, DataType(dt), v)
		if err != nil {
			t.Fatalf("decoded %#v does not encode: %v", v, err)
		}
		if len(once) != len(b)-len(rest) {
			t.Fatalf("%#v took %d bytes and encodes to %d", v, len(b)-len(rest), len(once))
		}
		again, rest, err := DecodeValue(DataType(dt), once)
		if err != nil || len(rest) != 0 {
			t.Fatalf("own encoding %x: %d bytes left, %v", once, len(rest), err)
		}
		twice, err := AppendValue(nil, DataType(dt), again)
		if err != nil || string(once) != string(twice) {
			t.Fatalf("%x became %x, %v", once, twice, err)
		}
	})
}
