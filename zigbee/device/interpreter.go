package device

import (
	"math"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

// Interpreter turns the attributes of one device into measures. It remembers what the device says of its own
// numbers: divisors, scales, units and zone types. It is not safe for concurrent use.
//
// The rules are those of the device's profile, if it has one, then those of the Zigbee Cluster Library; nothing
// is guessed. An attribute without a rule becomes a
// raw measure, one the device marks as invalid a measure with a nil value, and one whose divisor or unit the
// device has not told yet no measure at all.
type Interpreter struct {
	memory map[memoryKey]int64
	names  naming
	known  *known // the device's profile, nil for none
}

// New gives the interpreter of a device of which nothing is known.
func New() *Interpreter {
	return &Interpreter{memory: map[memoryKey]int64{}, names: newNaming()}
}

// Apply interprets the attributes of a report. Attributes of a frame with a manufacturer code go to ApplyRaw:
// their numbers mean something else.
func (in *Interpreter) Apply(endpoint uint8, cluster uint16, attrs []zcl.Attribute) []Measure {
	// What one attribute says of another counts wherever it stands in the report.
	for i := range attrs {
		in.learn(endpoint, cluster, &attrs[i])
	}
	measures := make([]Measure, 0, len(attrs))
	for i := range attrs {
		measures = in.apply(measures, endpoint, cluster, &attrs[i], attrs)
	}
	return measures
}

// ApplyRead interprets the answers to a read. An unsupported multiplier or divisor counts as 1 from then on.
func (in *Interpreter) ApplyRead(endpoint uint8, cluster uint16, records []zcl.ReadRecord) []Measure {
	attrs := make([]zcl.Attribute, 0, len(records))
	for _, r := range records {
		if r.Status == zcl.StatusSuccess {
			attrs = append(attrs, r.Attribute)
			continue
		}
		known := ruleIndex[attributeKey{cluster, r.ID}]
		if known != nil && known.kind == kindFactor && r.Status == zcl.StatusUnsupportedAttribute {
			in.remember(memoryKey{endpoint, attributeKey{cluster, r.ID}}, 1)
		}
	}
	return in.Apply(endpoint, cluster, attrs)
}

// ApplyRaw gives attributes as raw measures, whatever rules there are.
func (in *Interpreter) ApplyRaw(endpoint uint8, cluster uint16, attrs []zcl.Attribute) []Measure {
	measures := make([]Measure, 0, len(attrs))
	for i := range attrs {
		measures = append(measures, in.raw(endpoint, cluster, &attrs[i]))
	}
	return measures
}

// ApplyZoneStatus interprets the status of an IAS zone status change notification.
func (in *Interpreter) ApplyZoneStatus(endpoint uint8, status uint16) []Measure {
	return in.zoneMeasures(make([]Measure, 0, 3), endpoint, status)
}

// apply adds what one attribute of a report means.
func (in *Interpreter) apply(dst []Measure, endpoint uint8, cluster uint16, a *zcl.Attribute, all []zcl.Attribute) []Measure {
	if dst, said := in.applyKnown(dst, endpoint, cluster, 0, a); said {
		return dst
	}
	r := ruleIndex[attributeKey{cluster, a.ID}]
	if r == nil && a.ID >= zcl.AttrClusterRevision && !a.Opaque {
		return dst // cluster revision and reporting status, the global attributes of every cluster
	}
	if r == nil || a.Opaque {
		return append(dst, in.raw(endpoint, cluster, a))
	}
	switch r.kind {
	case kindFactor, kindMemory, kindConstant:
		return dst
	case kindZone:
		if status, ok := integer(a.Value); ok {
			return in.zoneMeasures(dst, endpoint, uint16(status))
		}
		return append(dst, in.raw(endpoint, cluster, a))
	case kindUnit:
		return in.meter(dst, endpoint, r, a)
	case kindLinear, kindScaled:
		if r.cluster == zcl.ClusterPressure && in.superseded(endpoint, r, all) {
			return dst
		}
	}
	value, known := in.value(endpoint, r, a)
	if !known {
		return dst
	}
	if value == nil && !unknown(a) {
		return append(dst, in.raw(endpoint, cluster, a))
	}
	return append(dst, Measure{Property: in.names.name(endpoint, cluster, r.property), Value: value, Unit: r.unit})
}

// value converts an attribute. It is nil for an invalid value and for one of a type the rule cannot take; known
// is false while the device has not told what it needs.
func (in *Interpreter) value(endpoint uint8, r *rule, a *zcl.Attribute) (value any, known bool) {
	if unknown(a) {
		return nil, true
	}
	switch r.kind {
	case kindBool:
		return boolean(a.Value, 0), true
	case kindBit:
		return boolean(a.Value, r.bit), true
	}
	n, ok := number(a.Value)
	if !ok {
		return nil, true
	}
	switch r.kind {
	case kindNamed:
		if n < 0 || int(n) >= len(coverings) {
			return nil, true
		}
		return coverings[int(n)], true
	case kindLux:
		return lux(n), true
	case kindInside:
		// Between -200 and 200 (ZCL section 3.4.2.2.1.1) devices disagree on what they count.
		if math.Abs(n) <= 200 {
			return nil, true
		}
		return convert(n, 1, r.div, a.Type), true
	case kindScaled:
		scale, told := in.memory[memoryKey{endpoint, attributeKey{r.cluster, r.by}}]
		return unscale(n, scale, r.div), told
	case kindRatio:
		mul, div, told := in.ratio(endpoint, r)
		return convert(n, mul*orOne(r.mul), div*orOne(r.div), a.Type), told
	default:
		return convert(n, orOne(r.mul), orOne(r.div), a.Type), true
	}
}

// ratio gives the device's own multiplier and divisor. A device that says 0 means 1: nothing can be divided by
// 0, and all that do measure plainly.
func (in *Interpreter) ratio(endpoint uint8, r *rule) (mul, div float64, known bool) {
	m, mulKnown := in.memory[memoryKey{endpoint, attributeKey{r.cluster, r.by}}]
	d, divKnown := in.memory[memoryKey{endpoint, attributeKey{r.cluster, r.over}}]
	return orOne(float64(m)), orOne(float64(d)), mulKnown && divKnown
}

// meter adds a total or a rate of a meter in the unit the device tells.
func (in *Interpreter) meter(dst []Measure, endpoint uint8, r *rule, a *zcl.Attribute) []Measure {
	code, unitKnown := in.memory[memoryKey{endpoint, meterUnitKey}]
	mul, div, known := in.ratio(endpoint, r)
	if !unitKnown || !known {
		return dst
	}
	property, unit, factor, ok := meterProperty(r, code)
	if !ok {
		return append(dst, in.raw(endpoint, r.cluster, a))
	}
	m := Measure{Property: in.names.name(endpoint, r.cluster, property), Unit: unit}
	if !a.Invalid() {
		n, numeric := number(a.Value)
		if !numeric {
			return append(dst, in.raw(endpoint, r.cluster, a))
		}
		m.Value = convert(n, mul*factor, div, a.Type)
	}
	return append(dst, m)
}

// meterProperty tells what a metering rule gives in one unit of measure.
func meterProperty(r *rule, code int64) (property, unit string, factor float64, ok bool) {
	u, ok := measureUnits[code]
	switch {
	case !ok:
		return "", "", 0, false
	case r.property == "power":
		return u.rate, u.rateUnit, u.rateMul, true
	case r.property == "energy_returned":
		return u.total + "_returned", u.totalUnit, 1, true
	}
	return u.total, u.totalUnit, 1, true
}

// superseded reports whether a report holds the pressure in a better form too: scaled, which has more digits, or
// plain where the scaled value is unknown.
func (in *Interpreter) superseded(endpoint uint8, r *rule, all []zcl.Attribute) bool {
	_, usable := in.memory[memoryKey{endpoint, attributeKey{zcl.ClusterPressure, zcl.AttrPressureScale}}]
	usable = usable && told(all, zcl.AttrPressureScaled)
	if r.kind == kindScaled {
		return !usable && told(all, zcl.AttrMeasuredValue)
	}
	return usable
}

// told reports whether an attribute stands in a report with a value.
func told(all []zcl.Attribute, id uint16) bool {
	for i := range all {
		if all[i].ID == id && !all[i].Opaque && !unknown(&all[i]) {
			return true
		}
	}
	return false
}
