package zcl

import "fmt"

// DataType is a ZCL data type identifier (ZCL table 2-10).
type DataType uint8

// Data types. The comment gives the Go type of a decoded value; see DecodeValue.
const (
	TypeNoData    DataType = 0x00 // nil
	TypeData8     DataType = 0x08 // uint64, as are all sizes of data, bitmap, uint and enum
	TypeData16    DataType = 0x09
	TypeData24    DataType = 0x0a
	TypeData32    DataType = 0x0b
	TypeData40    DataType = 0x0c
	TypeData48    DataType = 0x0d
	TypeData56    DataType = 0x0e
	TypeData64    DataType = 0x0f
	TypeBool      DataType = 0x10 // bool
	TypeBitmap8   DataType = 0x18
	TypeBitmap16  DataType = 0x19
	TypeBitmap24  DataType = 0x1a
	TypeBitmap32  DataType = 0x1b
	TypeBitmap40  DataType = 0x1c
	TypeBitmap48  DataType = 0x1d
	TypeBitmap56  DataType = 0x1e
	TypeBitmap64  DataType = 0x1f
	TypeUint8     DataType = 0x20
	TypeUint16    DataType = 0x21
	TypeUint24    DataType = 0x22
	TypeUint32    DataType = 0x23
	TypeUint40    DataType = 0x24
	TypeUint48    DataType = 0x25
	TypeUint56    DataType = 0x26
	TypeUint64    DataType = 0x27
	TypeInt8      DataType = 0x28 // int64, as are all sizes
	TypeInt16     DataType = 0x29
	TypeInt24     DataType = 0x2a
	TypeInt32     DataType = 0x2b
	TypeInt40     DataType = 0x2c
	TypeInt48     DataType = 0x2d
	TypeInt56     DataType = 0x2e
	TypeInt64     DataType = 0x2f
	TypeEnum8     DataType = 0x30
	TypeEnum16    DataType = 0x31
	TypeSemi      DataType = 0x38 // float64, as are all precisions
	TypeSingle    DataType = 0x39
	TypeDouble    DataType = 0x3a
	TypeOctets    DataType = 0x41 // []byte
	TypeString    DataType = 0x42 // string; not always UTF-8
	TypeLongOct   DataType = 0x43 // []byte
	TypeLongStr   DataType = 0x44 // string
	TypeArray     DataType = 0x48 // List
	TypeStruct    DataType = 0x4c // []Element
	TypeSet       DataType = 0x50 // List
	TypeBag       DataType = 0x51 // List
	TypeTimeOfDay DataType = 0xe0 // TimeOfDay
	TypeDate      DataType = 0xe1 // Date
	TypeUTC       DataType = 0xe2 // uint64, seconds since 2000-01-01 00:00 UTC
	TypeCluster   DataType = 0xe8 // uint64
	TypeAttribute DataType = 0xe9 // uint64
	TypeBACnet    DataType = 0xea // uint64
	TypeIEEE      DataType = 0xf0 // zigbee.IEEEAddress of shimmeringbee
	TypeKey       DataType = 0xf1 // []byte of 16
	TypeUnknown   DataType = 0xff // never decodable
)

// kind is how the values of a data type are laid out.
type kind uint8

const (
	kindUnknown kind = iota
	kindNone
	kindPlain // unsigned without an invalid value: data, bitmaps
	kindUint  // unsigned, all ones is invalid
	kindInt   // two's complement, the most negative is invalid
	kindBool
	kindFloat
	kindOctets // length before the bytes
	kindString
	kindList
	kindStruct
	kindTime
	kindDate
	kindIEEE
	kindKey
)

// layout describes one data type: size is the value's bytes, or those of its length field.
type layout struct {
	name string
	kind kind
	size uint8
}

var layouts = makeLayouts()

func makeLayouts() (t [256]layout) {
	families := []struct {
		first DataType
		name  string
		kind  kind
		sizes int
	}{
		{TypeData8, "data", kindPlain, 8},
		{TypeBitmap8, "map", kindPlain, 8},
		{TypeUint8, "uint", kindUint, 8},
		{TypeInt8, "int", kindInt, 8},
		{TypeEnum8, "enum", kindUint, 2},
	}
	for _, f := range families {
		for i := range f.sizes {
			t[int(f.first)+i] = layout{fmt.Sprintf("%s%d", f.name, 8*(i+1)), f.kind, uint8(i + 1)}
		}
	}
	singles := map[DataType]layout{
		TypeNoData:    {"nodata", kindNone, 0},
		TypeBool:      {"bool", kindBool, 1},
		TypeSemi:      {"semi", kindFloat, 2},
		TypeSingle:    {"single", kindFloat, 4},
		TypeDouble:    {"double", kindFloat, 8},
		TypeOctets:    {"octstr", kindOctets, 1},
		TypeString:    {"string", kindString, 1},
		TypeLongOct:   {"octstr16", kindOctets, 2},
		TypeLongStr:   {"string16", kindString, 2},
		TypeArray:     {"array", kindList, 2},
		TypeStruct:    {"struct", kindStruct, 2},
		TypeSet:       {"set", kindList, 2},
		TypeBag:       {"bag", kindList, 2},
		TypeTimeOfDay: {"ToD", kindTime, 4},
		TypeDate:      {"date", kindDate, 4},
		TypeUTC:       {"UTC", kindUint, 4},
		TypeCluster:   {"clusterId", kindUint, 2},
		TypeAttribute: {"attribId", kindUint, 2},
		TypeBACnet:    {"bacOID", kindUint, 4},
		TypeIEEE:      {"EUI64", kindIEEE, 8},
		TypeKey:       {"key128", kindKey, 16},
	}
	for id, l := range singles {
		t[id] = l
	}
	return t
}

// Known reports whether values of the type can be decoded.
func (t DataType) Known() bool { return layouts[t].kind != kindUnknown }

// IsAnalog reports whether the type is a quantity: only those carry a reportable change (ZCL section 2.5.7.1.5
// and the A/D column of table 2-10).
func (t DataType) IsAnalog() bool {
	switch layouts[t].kind {
	case kindInt, kindFloat, kindTime, kindDate:
		return true
	case kindUint:
		return t >= TypeUint8 && t <= TypeUint64 || t == TypeUTC
	default:
		return false
	}
}

// String gives the standard's short name of the type.
func (t DataType) String() string {
	if name := layouts[t].name; name != "" {
		return name
	}
	return fmt.Sprintf("type 0x%02x", uint8(t))
}

// List is the value of an array, a set or a bag: elements of one type.
type List struct {
	Type     DataType
	Elements []any
}

// Element is one member of a structure.
type Element struct {
	Type  DataType
	Value any
}

// TimeOfDay is a ZCL time of day; 0xff in a field means that it does not matter.
type TimeOfDay struct{ Hours, Minutes, Seconds, Hundredths uint8 }

// Date is a ZCL date; 0xff in a field means that it does not matter.
type Date struct {
	Year    uint8 // years since 1900
	Month   uint8 // 1..12
	Day     uint8 // 1..31
	Weekday uint8 // 1 Monday .. 7 Sunday
}
