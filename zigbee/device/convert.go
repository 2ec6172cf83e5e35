package device

import (
	"math"
	"strconv"
	"unicode/utf8"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

// unknown reports whether the device says that it does not know; an infinite number says no more.
func unknown(a *zcl.Attribute) bool {
	f, isFloat := a.Value.(float64)
	return a.Invalid() || isFloat && math.IsInf(f, 0)
}

// number gives a decoded value as a float; false for what is no number.
func number(value any) (float64, bool) {
	switch v := value.(type) {
	case uint64:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// integer gives a decoded value as an integer; false for what is none or does not fit.
func integer(value any) (int64, bool) {
	switch v := value.(type) {
	case uint64:
		return int64(v), v <= math.MaxInt64
	case int64:
		return v, true
	}
	return 0, false
}

// boolean gives one bit of a decoded value, nil if it has no bits.
func boolean(value any, bit uint8) any {
	switch v := value.(type) {
	case bool:
		return v
	case uint64:
		return v>>bit&1 != 0
	case int64:
		return v>>bit&1 != 0
	}
	return nil
}

func orOne(v float64) float64 {
	if v == 0 {
		return 1
	}
	return v
}

// convert scales a number. Dividing, where a table gives a divisor, keeps the decimal digits: 5301/100 is 53.01.
// A float of the device is rounded to the digits its precision has, or 0.000412 would be 411.99998 ppm.
func convert(n, mul, div float64, t zcl.DataType) any {
	v := n * mul / div
	switch t {
	case zcl.TypeSingle:
		v = round(v, 7)
	case zcl.TypeSemi:
		v = round(v, 4)
	}
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	return v
}

// round keeps the given number of significant decimal digits.
func round(v float64, digits int) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil {
		return v
	}
	return r
}

// lux converts the logarithmic illuminance to lx, to a hundredth.
func lux(n float64) any {
	if n < 1 {
		return 0.0
	}
	return convert(math.Round(100*math.Pow(10, (n-1)/10000)), 1, 100, zcl.TypeNoData)
}

// unscale converts 10^scale * Pa to units of div Pa.
func unscale(n float64, scale int64, div float64) any {
	if scale >= 0 {
		return convert(n, 1, div*math.Pow10(int(scale)), zcl.TypeNoData)
	}
	return convert(n, math.Pow10(int(-scale)), div, zcl.TypeNoData)
}

// raw gives an attribute without interpretation.
func (in *Interpreter) raw(endpoint uint8, cluster uint16, a *zcl.Attribute) Measure {
	return Measure{Property: in.names.raw(endpoint, cluster, a.ID), Value: plain(a)}
}

// plain gives a decoded value as one of the types of Measure.Value; what has no such form is its bytes on the
// air, and an invalid value is nil.
func plain(a *zcl.Attribute) any {
	if a.Invalid() {
		return nil
	}
	switch v := a.Value.(type) {
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v)
		}
	case int64, bool, []byte:
		return v
	case float64:
		return convert(v, 1, 1, a.Type)
	case string:
		if utf8.ValidString(v) {
			return v
		}
		return []byte(v)
	case zb.IEEEAddress:
		return v.String()
	}
	encoded, err := zcl.AppendValue(nil, a.Type, a.Value)
	if err != nil {
		return nil
	}
	return encoded
}
