package zcl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	zb "github.com/shimmeringbee/zigbee"
)

// ErrValue says that a value does not fit its data type.
var ErrValue = errors.New("value does not fit the data type")

// AppendValue adds value as type t. It takes what DecodeValue gives for t, any Go integer where a number of the
// type can hold it, and nil for the type's invalid value. The errors are ErrValue, ErrUnknownType, ErrTooDeep.
func AppendValue(dst []byte, t DataType, value any) ([]byte, error) {
	return appendValue(dst, t, value, 0)
}

func appendValue(dst []byte, t DataType, value any, depth int) ([]byte, error) {
	l := layouts[t]
	if l.kind == kindUnknown {
		return dst, fmt.Errorf("%w 0x%02x", ErrUnknownType, uint8(t))
	}
	if value == nil {
		return appendInvalid(dst, l)
	}
	size := int(l.size)
	switch l.kind {
	case kindPlain, kindUint:
		if v, ok := asUint(value); ok && v <= maxUint(size) {
			return appendUint(dst, v, size), nil
		}
	case kindInt:
		if v, ok := asInt(value); ok && v >= minInt(size) && v <= -(minInt(size)+1) {
			return appendUint(dst, uint64(v), size), nil
		}
	case kindFloat:
		if v, ok := asFloat(value); ok {
			return appendFloat(dst, v, size), nil
		}
	case kindList:
		if v, ok := value.(List); ok {
			return appendList(dst, v, depth+1)
		}
	case kindStruct:
		if v, ok := value.([]Element); ok {
			return appendStruct(dst, v, depth+1)
		}
	default:
		return appendFixed(dst, t, l, value)
	}
	return dst, fmt.Errorf("%w: %v as %v", ErrValue, value, t)
}

// appendFixed adds the values that are neither numbers nor collections.
func appendFixed(dst []byte, t DataType, l layout, value any) ([]byte, error) {
	switch v := value.(type) {
	case bool:
		if l.kind == kindBool {
			return append(dst, boolByte(v)), nil
		}
	case string:
		if l.kind == kindString && uint64(len(v)) < maxUint(int(l.size)) {
			return append(appendUint(dst, uint64(len(v)), int(l.size)), v...), nil
		}
	case []byte:
		if l.kind == kindOctets && uint64(len(v)) < maxUint(int(l.size)) {
			return append(appendUint(dst, uint64(len(v)), int(l.size)), v...), nil
		}
		if l.kind == kindKey && len(v) == int(l.size) {
			return append(dst, v...), nil
		}
	case TimeOfDay:
		if l.kind == kindTime {
			return append(dst, v.Hours, v.Minutes, v.Seconds, v.Hundredths), nil
		}
	case Date:
		if l.kind == kindDate {
			return append(dst, v.Year, v.Month, v.Day, v.Weekday), nil
		}
	case zb.IEEEAddress:
		if l.kind == kindIEEE {
			return binary.LittleEndian.AppendUint64(dst, uint64(v)), nil
		}
	}
	return dst, fmt.Errorf("%w: %T as %v", ErrValue, value, t)
}

func appendInvalid(dst []byte, l layout) ([]byte, error) {
	size := int(l.size)
	switch l.kind {
	case kindNone:
		return dst, nil
	case kindInt:
		return appendUint(dst, 1<<(8*size-1), size), nil
	case kindFloat:
		return appendFloat(dst, math.NaN(), size), nil
	case kindList:
		return append(dst, byte(TypeNoData), 0xff, 0xff), nil
	case kindPlain, kindKey:
		return dst, fmt.Errorf("%w: %s has no invalid value", ErrValue, l.name)
	default:
		return appendUint(dst, math.MaxUint64, size), nil
	}
}

func appendList(dst []byte, list List, depth int) ([]byte, error) {
	if depth > maxDepth {
		return dst, ErrTooDeep
	}
	if len(list.Elements) >= 0xffff || len(list.Elements) > 0 && layouts[list.Type].kind == kindNone {
		return dst, fmt.Errorf("%w: list of %d %v", ErrValue, len(list.Elements), list.Type)
	}
	dst = append(dst, byte(list.Type))
	dst = appendUint(dst, uint64(len(list.Elements)), 2)
	var err error
	for _, e := range list.Elements {
		if dst, err = appendValue(dst, list.Type, e, depth); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendStruct(dst []byte, elements []Element, depth int) ([]byte, error) {
	if depth > maxDepth {
		return dst, ErrTooDeep
	}
	if len(elements) >= 0xffff {
		return dst, fmt.Errorf("%w: struct of %d elements", ErrValue, len(elements))
	}
	dst = appendUint(dst, uint64(len(elements)), 2)
	var err error
	for _, e := range elements {
		if dst, err = appendValue(append(dst, byte(e.Type)), e.Type, e.Value, depth); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func asUint(value any) (uint64, bool) {
	switch v := value.(type) {
	case uint64:
		return v, true
	case uint8:
		return uint64(v), true
	case uint16:
		return uint64(v), true
	case uint32:
		return uint64(v), true
	}
	v, ok := asInt(value)
	return uint64(v), ok && v >= 0
}

func asInt(value any) (int64, bool) {
	switch v := value.(type) {
	case int64:
		return v, true
	case int:
		return int64(v), true
	case int8:
		return int64(v), true
	case int16:
		return int64(v), true
	case int32:
		return int64(v), true
	case uint8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case uint64:
		return int64(v), v <= math.MaxInt64
	}
	return 0, false
}

func asFloat(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, true
	case float32:
		return float64(v), true
	}
	v, ok := asInt(value)
	return float64(v), ok
}

func appendUint(dst []byte, v uint64, size int) []byte {
	for range size {
		dst = append(dst, byte(v))
		v >>= 8
	}
	return dst
}

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

func appendFloat(dst []byte, v float64, size int) []byte {
	switch size {
	case 2:
		return binary.LittleEndian.AppendUint16(dst, floatToSemi(v))
	case 4:
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(v)))
	default:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
}

// floatToSemi rounds to IEEE 754 half precision, ties to even; what is too large becomes infinite.
func floatToSemi(v float64) uint16 {
	var sign uint16
	if math.Signbit(v) {
		sign, v = 0x8000, -v
	}
	switch {
	case math.IsNaN(v):
		return sign | 0x7e00
	case v >= 65520: // halfway between the largest finite number and the next
		return sign | 0x7c00
	case v < 0x1p-14:
		return sign | uint16(math.RoundToEven(v*0x1p24)) // a carry gives the smallest normal number, as it should
	}
	fraction, exponent := math.Frexp(v) // 0.5 <= fraction < 1
	rounded := uint16(math.RoundToEven(fraction * 2048))
	return sign | (uint16(exponent+13)<<10 + rounded)
}
