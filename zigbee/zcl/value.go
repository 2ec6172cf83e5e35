package zcl

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	zb "github.com/shimmeringbee/zigbee"
)

// Errors of DecodeValue beside ErrShort.
var (
	ErrUnknownType = errors.New("unknown data type")
	ErrTooDeep     = errors.New("collections nested too deep")
	ErrBadList     = errors.New("list of a type without a size")
)

// maxDepth bounds collections within collections (ZCL section 2.6.2.18 allows 15; no device is known above 2).
const maxDepth = 15

// DecodeValue reads one value and gives the bytes behind it. The Go type of a value:
//
//	data, bitmap, uint, enum, UTC, cluster, attribute, BACnet OID   uint64
//	int                                                             int64
//	semi, single, double                                            float64
//	bool                                                            bool
//	character strings                                               string
//	octet strings, key                                              []byte
//	array, set, bag                                                 List
//	struct                                                          []Element
//	time of day, date, EUI64                                        TimeOfDay, Date, zb.IEEEAddress
//
// A bool, string or collection that is marked invalid, and no data, are nil; invalid numbers are returned as they
// stand: see IsInvalid. Nothing points into b. The errors are ErrShort, ErrUnknownType, ErrTooDeep, ErrBadList.
func DecodeValue(t DataType, b []byte) (value any, rest []byte, err error) {
	return decodeValue(t, b, 0)
}

func decodeValue(t DataType, b []byte, depth int) (any, []byte, error) {
	l := layouts[t]
	size := int(l.size)
	if l.kind == kindUnknown {
		return nil, nil, fmt.Errorf("%w 0x%02x", ErrUnknownType, uint8(t))
	}
	switch l.kind {
	case kindStruct:
		return decodeStruct(b, depth+1)
	case kindList:
		return decodeList(b, depth+1)
	}
	if len(b) < size {
		return nil, nil, ErrShort
	}
	field, rest := b[:size], b[size:]
	switch l.kind {
	case kindPlain, kindUint:
		return uintLE(field), rest, nil
	case kindInt:
		return signExtend(uintLE(field), size), rest, nil
	case kindBool:
		if field[0] == 0xff {
			return nil, rest, nil
		}
		return field[0] != 0, rest, nil
	case kindFloat:
		return floatFrom(field), rest, nil
	case kindOctets, kindString:
		return decodeString(l.kind, field, rest)
	case kindTime:
		return TimeOfDay{field[0], field[1], field[2], field[3]}, rest, nil
	case kindDate:
		return Date{field[0], field[1], field[2], field[3]}, rest, nil
	case kindIEEE:
		return zb.IEEEAddress(uintLE(field)), rest, nil
	case kindKey:
		return bytes.Clone(field), rest, nil
	default: // kindNone
		return nil, rest, nil
	}
}

// decodeString reads the text whose length stands in field.
func decodeString(k kind, field, b []byte) (any, []byte, error) {
	n := uintLE(field)
	if n == maxUint(len(field)) {
		return nil, b, nil
	}
	if uint64(len(b)) < n {
		return nil, nil, ErrShort
	}
	text, rest := b[:n], b[n:]
	if k == kindString {
		return string(text), rest, nil
	}
	return append(make([]byte, 0, n), text...), rest, nil
}

func decodeList(b []byte, depth int) (any, []byte, error) {
	if depth > maxDepth {
		return nil, nil, ErrTooDeep
	}
	if len(b) < 3 {
		return nil, nil, ErrShort
	}
	list := List{Type: DataType(b[0])}
	count, b := int(binary.LittleEndian.Uint16(b[1:])), b[3:]
	if count == 0xffff {
		return nil, b, nil
	}
	// Elements that take no bytes would let three bytes ask for a megabyte.
	if count > 0 && layouts[list.Type].kind == kindNone {
		return nil, nil, ErrBadList
	}
	if count > len(b) {
		return nil, nil, ErrShort
	}
	for range count {
		var v any
		var err error
		if v, b, err = decodeValue(list.Type, b, depth); err != nil {
			return nil, nil, err
		}
		list.Elements = append(list.Elements, v)
	}
	return list, b, nil
}

func decodeStruct(b []byte, depth int) (any, []byte, error) {
	if depth > maxDepth {
		return nil, nil, ErrTooDeep
	}
	if len(b) < 2 {
		return nil, nil, ErrShort
	}
	count, b := int(binary.LittleEndian.Uint16(b)), b[2:]
	if count == 0xffff {
		return nil, b, nil
	}
	if count > len(b) {
		return nil, nil, ErrShort
	}
	elements := []Element{}
	for range count {
		if len(b) < 1 {
			return nil, nil, ErrShort
		}
		e := Element{Type: DataType(b[0])}
		var err error
		if e.Value, b, err = decodeValue(e.Type, b[1:], depth); err != nil {
			return nil, nil, err
		}
		elements = append(elements, e)
	}
	return elements, b, nil
}

// IsInvalid reports whether a decoded value is the type's "invalid number" or "non-value" (ZCL table 2-10): the
// device does not know. nil is invalid for every type.
func IsInvalid(t DataType, value any) bool {
	l := layouts[t]
	switch v := value.(type) {
	case nil:
		return true
	case uint64:
		return l.kind == kindUint && v == maxUint(int(l.size))
	case int64:
		return l.kind == kindInt && v == minInt(int(l.size))
	case float64:
		return math.IsNaN(v)
	case TimeOfDay:
		return v == TimeOfDay{0xff, 0xff, 0xff, 0xff}
	case Date:
		return v == Date{0xff, 0xff, 0xff, 0xff}
	case zb.IEEEAddress:
		return v == math.MaxUint64
	}
	return false
}

func uintLE(b []byte) (v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}

func maxUint(size int) uint64 { return math.MaxUint64 >> (64 - 8*size) }

func minInt(size int) int64 { return math.MinInt64 >> (64 - 8*size) }

func signExtend(v uint64, size int) int64 {
	shift := 64 - 8*size
	return int64(v<<shift) >> shift
}

func floatFrom(b []byte) float64 {
	switch len(b) {
	case 2:
		return semiToFloat(binary.LittleEndian.Uint16(b))
	case 4:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	default:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
}

// semiToFloat converts IEEE 754 half precision: 1 sign, 5 exponent and 10 fraction bits.
func semiToFloat(h uint16) float64 {
	sign := 1.0
	if h&0x8000 != 0 {
		sign = -1
	}
	exponent, fraction := int(h>>10&0x1f), float64(h&0x3ff)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 0x1f:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}
