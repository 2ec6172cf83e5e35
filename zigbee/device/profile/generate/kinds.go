package main

import (
	"math"
	"slices"
	"strconv"

	"github.com/peerbee/peerbee/zigbee/device/profile"
)

// kind fills in how a rule's value becomes the property's.
func (c *converter) kind(r *profile.Rule, p *profile.Property, f *ruleFacts) error {
	if r.Source == profile.Attribute && r.Cluster == clusterPower && r.ID == attrBatteryVoltage && p.Name == "battery" && c.battery != nil {
		r.Kind, r.Points = profile.Curve, c.battery
		return nil
	}
	switch f.Kind {
	case "lin":
		return linear(r, p, f)
	case "ratio":
		return ratio(r, p, f)
	case "zclLux":
		r.Kind, r.Whole = profile.Lux, f.Round != 0
		return number(p)
	case "bit":
		return bits(r, p, uint32(1)<<(f.Bit&31), f.On, f.Off)
	case "const":
		r.Kind = profile.Const
		return outcomeTo(&r.On, p, f.Value)
	case "raw":
		r.Kind = profile.Raw
		if p.Type == profile.Text {
			return nil
		}
		return errOutcome
	case "map":
		return mapped(r, p, f)
	case "curve":
		return curve(r, p, f)
	}
	return errKind
}

func number(p *profile.Property) error {
	if p.Type != profile.Number {
		return errOutcome
	}
	return nil
}

func outcomeTo(to *any, p *profile.Property, v any) error {
	v, ok := value(p, v)
	if !ok {
		return errOutcome
	}
	*to = v
	return nil
}

func bits(r *profile.Rule, p *profile.Property, mask uint32, on, off any) error {
	r.Kind, r.Mask = profile.Bits, mask
	if err := outcomeTo(&r.On, p, on); err != nil {
		return err
	}
	return outcomeTo(&r.Off, p, off)
}

// line is a factor and an offset as observed, with few digits.
type line struct{ a, b float64 }

// exact gives what an observed line of rounded numbers stands for: scales to a byte or a percentage. They are
// rounded to whole numbers, as they were when observed.
var exact = map[line]profile.Rule{
	{0.254, 0}: {Mul: 254, Div: 1000, Whole: true},
	{0.255, 0}: {Mul: 255, Div: 1000, Whole: true},
	{0.39, 0}:  {Mul: 100, Div: 255, Whole: true},
}

// dimmer is the range of Tuya's dimmers: 10 to 1000 there, 0 to 254 here, and no further.
var dimmer = []profile.Point{{X: 10, Y: 0}, {X: 1000, Y: 254}}

func linear(r *profile.Rule, p *profile.Property, f *ruleFacts) error {
	plain := f.A == 1 && f.B == 0 && f.Round == 0
	if p.Type != profile.Number {
		// The number itself is the value, or the boolean.
		if !plain {
			return errOutcome
		}
		r.Kind = profile.Raw
		return nil
	}
	r.Kind = profile.Linear
	r.Mul, r.Div = fraction(f.A)
	r.Add = f.B
	if f.Round != 0 {
		known, ok := exact[line{f.A, f.B}]
		switch {
		case f.A == 0.26 && f.B == -3 && p.HasRange && p.Max == 254:
			*r = profile.Rule{Source: r.Source, Endpoint: r.Endpoint, ID: r.ID, Kind: profile.Curve, Points: dimmer, Whole: true}
			return nil
		case ok:
			r.Mul, r.Div, r.Whole = known.Mul, known.Div, true
		case f.A == 0.0145 && p.Unit == "[psi]":
			r.Mul, r.Div = 0.0145037738, 1
		case f.B != 0 || !powerOfTen(f.A):
			return errRounded
		}
	}
	if f.Guard != 0 && (f.Round == 0 || !r.Whole) {
		if !p.HasRange || f.B != 0 && math.Abs(f.A) != 1 {
			return errGuarded
		}
		r.Bounded = true
	}
	// Beyond a percentage's range lie the marks for "not known".
	r.Bounded = r.Bounded || p.Unit == "%" && p.HasRange && p.Min == 0 && p.Max == 100
	return nil
}

func powerOfTen(a float64) bool {
	l := math.Log10(a)
	return math.Abs(l-math.Round(l)) < 1e-9
}

// fraction writes a factor so that decimal digits survive: times 1 over 100 instead of times 0.01.
func fraction(a float64) (mul, div float64) {
	if a == 0 || math.Abs(a) >= 1 {
		return a, 1
	}
	inverse := 1 / a
	if whole := math.Round(inverse); math.Abs(inverse-whole) < 1e-7*math.Abs(inverse) {
		return 1, whole
	}
	return a, 1
}

// ratio is for attributes whose multiplier and divisor the device tells.
func ratio(r *profile.Rule, p *profile.Property, f *ruleFacts) error {
	told := r.Cluster == clusterMetering ||
		r.Cluster == clusterElectric && (r.ID >= 0x0300 && r.ID < 0x0400 || r.ID >= 0x0500)
	if r.Source != profile.Attribute || !told {
		return errRatio
	}
	r.Kind = profile.Ratio
	r.Mul, r.Div = fraction(math.Round(f.A10*10*1e9) / 1e9)
	return number(p)
}

// The raw values the facts were observed with.
var (
	sampled     = []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 32, 64, 100, 128, 150, 200, 255, 1000, 2000, 2500, 2700, 2800, 2900, 3000, 3100, 10000}
	sampledZone = []int64{0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 3, 5}
)

// The state of three batteries' alarms: four thresholds each (ZCL section 3.3.2.2.3.11).
const (
	attrBatteryVoltage = 0x0020
	attrBatteryAlarm   = 0x003e
	batteryAlarms      = 0x00f03c0f
)

// manyEntries is more lines than a map of named values has that was observed at the samples only.
const manyEntries = 4

func mapped(r *profile.Rule, p *profile.Property, f *ruleFacts) error {
	if len(f.Map) == 0 || len(outcomes(f)) < 2 && len(f.Map) > 1 {
		return errConstant
	}
	if p.Type == profile.Number && len(f.Map) > 3*manyEntries {
		return battery(r, p, f)
	}
	if r.Cluster == clusterIASZone && (r.Source == profile.Zone || r.ID == 2) || p.Type == profile.Boolean && f.Default != nil && len(f.Map) > manyEntries {
		return masked(r, p, f)
	}
	r.Kind = profile.Map
	for _, key := range sortedKeys(f.Map) {
		v, ok := value(p, f.Map[key])
		n, isKey := mapKey(key)
		if ok && isKey {
			r.Entries = append(r.Entries, profile.Entry{Key: n, Value: v})
		}
	}
	slices.SortFunc(r.Entries, func(a, b profile.Entry) int { return int(a.Key - b.Key) })
	r.Entries = slices.CompactFunc(r.Entries, func(a, b profile.Entry) bool { return a.Key == b.Key })
	if f.Default != nil && (len(f.Map) <= manyEntries || threshold(r.Entries)) {
		if v, ok := value(p, f.Default); ok && v != "unknown" {
			r.HasDefault, r.Default = true, v
		}
	}
	if len(r.Entries) == 0 {
		return errOutcome
	}
	return nil
}

// mapKey reads a key.
func mapKey(key string) (int64, bool) {
	switch key {
	case "true":
		return profile.KeyTrue, true
	case "false":
		return profile.KeyFalse, true
	}
	n, err := strconv.ParseInt(key, 10, 64)
	return n, err == nil
}

// threshold reports whether the entries end within the samples that leave no gap.
func threshold(entries []profile.Entry) bool {
	for i, e := range entries {
		if e.Key != int64(i) {
			return false
		}
	}
	return len(entries) < 16
}

// masked finds the bits that decide a boolean: none of them is set in a sample that gave false, and one of them
// is in every sample that gave true.
func masked(r *profile.Rule, p *profile.Property, f *ruleFacts) error {
	samples := sampled
	if f.Source == "ias" {
		samples = sampledZone
	}
	outcome := func(x int64) (bool, bool) {
		v, ok := f.Map[strconv.FormatInt(x, 10)]
		if !ok {
			v = f.Default
		}
		b, isBool := v.(bool)
		return b, isBool
	}
	var low, high uint32
	for _, x := range samples {
		b, ok := outcome(x)
		if !ok {
			return errSampled
		}
		if b {
			high |= uint32(x)
		} else {
			low |= uint32(x)
		}
	}
	mask := high &^ low
	if r.Cluster == clusterPower && r.ID == attrBatteryAlarm {
		mask = batteryAlarms
	}
	for _, x := range samples {
		if b, _ := outcome(x); b != (uint32(x)&mask != 0) {
			return errSampled
		}
	}
	return bits(r, p, mask, true, false)
}

// batteryCurves are the curves of a battery's charge over its voltage that the samples tell apart; ends hold.
var batteryCurves = []struct {
	at     map[string]float64 // samples
	points []profile.Point
}{
	{map[string]float64{"2800": 0, "2900": 33, "3000": 100}, []profile.Point{{X: 2850, Y: 0}, {X: 3000, Y: 100}}},
	{map[string]float64{"2500": 0, "2700": 40, "2800": 60, "2900": 80, "3000": 100}, []profile.Point{{X: 2500, Y: 0}, {X: 3000, Y: 100}}},
}

// battery recognises a battery's curve; of other samples nothing can be said between them.
func battery(r *profile.Rule, p *profile.Property, f *ruleFacts) error {
	if p.Unit != "%" {
		return errSampled
	}
	for _, known := range batteryCurves {
		fits := true
		for key, want := range known.at {
			got, ok := f.Map[key].(float64)
			fits = fits && ok && got == want
		}
		if fits {
			r.Kind, r.Points, r.Whole = profile.Curve, known.points, true
			return nil
		}
	}
	return errSampled
}

// curve takes a table of points: named values, a battery's curve, or a scale with a lower and an upper end.
func curve(r *profile.Rule, p *profile.Property, f *ruleFacts) error {
	if p.Type != profile.Number {
		return errOutcome
	}
	at := map[string]any{}
	for _, point := range f.Table {
		at[strconv.FormatFloat(point[0], 'f', -1, 64)] = point[1]
	}
	switch {
	case len(f.Table) <= manyEntries:
		r.Kind = profile.Map
		for _, point := range f.Table {
			r.Entries = append(r.Entries, profile.Entry{Key: int64(point[0]), Value: point[1]})
		}
		return nil
	case at["10"] == 0.0 && at["100"] == 23.0 && at["1000"] == 254.0 && at["2000"] == 254.0:
		r.Kind, r.Points, r.Whole = profile.Curve, dimmer, true
		return nil
	case at["10"] == 1.0 && at["255"] == 26.0 && at["1000"] == 100.0 && at["2000"] == 100.0:
		r.Kind, r.Whole = profile.Curve, true
		r.Points = []profile.Point{{X: 10, Y: 1}, {X: 1000, Y: 100}}
		return nil
	}
	return battery(r, p, &ruleFacts{Map: at})
}
