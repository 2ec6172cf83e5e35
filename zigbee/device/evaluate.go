package device

import (
	"math"
	"slices"
	"strconv"

	"github.com/peerbee/peerbee/zigbee/device/profile"
	"github.com/peerbee/peerbee/zigbee/zcl"
)

// input is a raw value as a profile's rules take it.
type input struct {
	number  float64
	numeric bool // number holds
	boolean bool // it is a boolean; number is 1 or 0 then
	text    string
	kind    zcl.DataType // how exact a float is
}

// inputOf takes a decoded value; false for what no rule can take.
func inputOf(v any, t zcl.DataType) (input, bool) {
	switch v := v.(type) {
	case bool:
		x := input{numeric: true, boolean: true}
		if v {
			x.number = 1
		}
		return x, true
	case string:
		return input{text: v}, true
	}
	n, ok := number(v)
	return input{number: n, numeric: true, kind: t}, ok
}

// value converts by the rule into the property's type; nil for what the rule does not cover.
func (r ref) value(x input) any {
	switch r.rule.Kind {
	case profile.Const:
		return r.rule.On
	case profile.Raw:
		return r.plain(x)
	}
	// A datapoint's boolean is no number: where one comes for a number, the device says something else.
	scaled := r.rule.Kind != profile.Bits && r.rule.Kind != profile.Map
	if !x.numeric || x.boolean && scaled && r.rule.Source == profile.Datapoint {
		return nil
	}
	switch r.rule.Kind {
	case profile.Bits:
		if x.number != math.Trunc(x.number) || math.Abs(x.number) > math.MaxUint32 {
			return nil
		}
		if uint32(int64(x.number))&r.rule.Mask != 0 {
			return r.rule.On
		}
		return r.rule.Off
	case profile.Map:
		return r.lookUp(x)
	case profile.Lux:
		return r.bounded(lux(x.number))
	case profile.Linear:
		v, ok := convert(x.number, r.rule.Mul, r.rule.Div, x.kind).(float64)
		if !ok {
			return nil
		}
		return r.bounded(v + r.rule.Add)
	case profile.Curve:
		return r.bounded(interpolate(r.rule.Points, x.number))
	}
	return nil
}

// plain gives the raw value if it is one of the property's type.
func (r ref) plain(x input) any {
	switch r.property.Type {
	case profile.Boolean:
		if x.boolean {
			return x.number != 0
		}
		return nil
	case profile.Number:
		if x.numeric {
			return x.number
		}
		return nil
	}
	if x.boolean {
		return nil
	}
	s := x.text
	if x.numeric {
		s = strconv.FormatFloat(x.number, 'f', -1, 64)
	}
	if len(r.property.Values) > 0 && !slices.Contains(r.property.Values, s) {
		return nil
	}
	return s
}

func (r ref) lookUp(x input) any {
	if x.number != math.Trunc(x.number) || math.Abs(x.number) > math.MaxUint32 {
		return nil
	}
	if !x.boolean {
		v, found := r.entry(int64(x.number))
		if !found && r.rule.HasDefault {
			return r.rule.Default
		}
		return v
	}
	// ZCL's booleans are numbers to most rules.
	if v, found := r.entry(profile.KeyFalse + int64(x.number)); found {
		return v
	}
	if r.rule.Source == profile.Datapoint {
		return nil
	}
	x.boolean = false
	return r.lookUp(x)
}

func (r ref) entry(key int64) (any, bool) {
	at, found := slices.BinarySearchFunc(r.rule.Entries, key, func(e profile.Entry, key int64) int {
		switch {
		case e.Key < key:
			return -1
		case e.Key > key:
			return 1
		}
		return 0
	})
	if !found {
		return nil, false
	}
	return r.rule.Entries[at].Value, true
}

// bounded rounds and bounds a result as the rule says.
func (r ref) bounded(v any) any {
	n, ok := v.(float64)
	if !ok || math.IsInf(n, 0) || math.IsNaN(n) {
		return nil
	}
	if r.rule.Whole {
		n = math.Floor(n + 0.5)
	}
	if r.rule.Bounded && (n < r.property.Min || n > r.property.Max) {
		return nil
	}
	return n
}

// interpolate reads a curve whose points stand in ascending order; the ends hold beyond them.
func interpolate(points []profile.Point, x float64) any {
	for i, p := range points {
		switch {
		case x > p.X && i < len(points)-1:
			continue
		case x >= p.X || i == 0:
			return p.Y
		}
		from := points[i-1]
		return from.Y + (p.Y-from.Y)*(x-from.X)/(p.X-from.X)
	}
	return nil
}

// factors tells which attributes hold the multiplier and the divisor of a metering or electrical attribute.
func factors(key attributeKey) (by, over uint16, ok bool) {
	switch {
	case key.cluster == zcl.ClusterMetering:
		return 0x0301, 0x0302, true
	case key.cluster != zcl.ClusterElectrical:
		return 0, 0, false
	}
	switch {
	case key.attr >= 0x0300 && key.attr <= 0x0302: // frequency
		return 0x0400, 0x0401, true
	case key.attr >= 0x0303 && key.attr <= 0x0306: // totals
		return 0x0402, 0x0403, true
	}
	// The phases B and C repeat what phase A has, at 0x0900 and 0x0a00.
	phase, id := key.attr&0xff00, key.attr&0x00ff
	if phase != 0x0500 && phase != 0x0900 && phase != 0x0a00 {
		return 0, 0, false
	}
	switch {
	case id >= 0x05 && id <= 0x07:
		return 0x0600, 0x0601, true
	case id >= 0x08 && id <= 0x0a || id == 0x01 || id == 0x02:
		return 0x0602, 0x0603, true
	case id >= 0x0b && id <= 0x0f:
		return 0x0604, 0x0605, true
	}
	return 0, 0, false
}
