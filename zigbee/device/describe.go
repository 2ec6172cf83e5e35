package device

import (
	"fmt"
	"strconv"
	"strings"
)

// Description is what can be said of a property without a value of it.
type Description struct {
	Property string
	// Type is "number", "integer", "boolean", "string" or "bytes"; empty for a raw attribute, whose type comes
	// with its value: see TypeOf.
	Type string
	Unit string // UCUM, empty where there is none
	// Source is the cluster and attribute in hex, "zcl:0402/0000".
	Source string
}

// TypeOf names the type of a Measure's value as Description.Type does; empty for nil.
func TypeOf(value any) string {
	switch value.(type) {
	case float64:
		return "number"
	case int64:
		return "integer"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []byte:
		return "bytes"
	}
	return ""
}

// Describe tells what a property of this device is; false for a name that no rule gives.
func (in *Interpreter) Describe(property string) (Description, bool) {
	if raw, ok := describeRaw(property); ok {
		return raw, true
	}
	if d, ok := in.describeKnown(property, property); ok {
		return d, true
	}
	for key, name := range in.names.cache {
		if name == property && key.cluster == profileCluster {
			return in.describeKnown(property, key.property)
		}
		if name == property {
			return in.describe(property, key.endpoint, key.cluster, key.property)
		}
	}
	base, endpoint, cluster := in.parse(property)
	return in.describe(property, endpoint, cluster, base)
}

// parse takes a name apart again. Without a suffix, the endpoint and cluster are those that hold the plain name.
func (in *Interpreter) parse(name string) (property string, endpoint uint8, cluster uint16) {
	property = name
	numbered := false
	if at := strings.LastIndexByte(property, '_'); at > 0 && len(property)-at-1 <= 3 {
		if n, err := strconv.ParseUint(property[at+1:], 10, 8); err == nil {
			property, endpoint, numbered = property[:at], uint8(n), true
		}
	}
	if at := strings.LastIndexByte(property, '_'); at > 0 && len(property)-at-1 == 4 {
		if n, err := strconv.ParseUint(property[at+1:], 16, 16); err == nil {
			property, cluster = property[:at], uint16(n)
		}
	}
	if !numbered {
		endpoint = in.names.first[property]
	}
	if cluster == 0 {
		cluster = in.names.holder[holding{endpoint, property}]
	}
	return property, endpoint, cluster
}

// describe finds the rule of a property; cluster 0 takes the first that gives it.
func (in *Interpreter) describe(name string, endpoint uint8, cluster uint16, property string) (Description, bool) {
	for i := range rules {
		r := &rules[i]
		if r.property == "" || cluster != 0 && r.cluster != cluster {
			continue
		}
		if d, ok := in.describeBy(r, endpoint, property); ok {
			d.Property, d.Source = name, fmt.Sprintf("zcl:%04x/%04x", r.cluster, r.attr)
			return d, true
		}
	}
	return Description{}, false
}

// describeBy tells what a rule says of a property; false if it does not give it.
func (in *Interpreter) describeBy(r *rule, endpoint uint8, property string) (Description, bool) {
	switch r.kind {
	case kindZone:
		return Description{Type: "boolean"}, zoneGives(property)
	case kindUnit:
		code := in.memory[memoryKey{endpoint, meterUnitKey}]
		given, unit, _, ok := meterProperty(r, code)
		return Description{Type: "number", Unit: unit}, ok && given == property
	case kindNamed:
		return Description{Type: "string"}, r.property == property
	case kindBool, kindBit:
		return Description{Type: "boolean"}, r.property == property
	}
	return Description{Type: "number", Unit: r.unit}, r.property == property
}

// zoneGives reports whether a property can come from an IAS zone of any type.
func zoneGives(property string) bool {
	switch property {
	case genericZone.property, propertyTamper, propertyBatteryLow:
		return true
	}
	for _, z := range zones {
		if z.property == property {
			return true
		}
	}
	return false
}

// describeRaw tells what the name of a raw attribute says.
func describeRaw(name string) (Description, bool) {
	fields := strings.Split(name, "_")
	if len(fields) < 3 || len(fields) > 4 || fields[0] != "raw" || len(fields[1]) != 4 || len(fields[2]) != 4 {
		return Description{}, false
	}
	for _, f := range fields[1:3] {
		if _, err := strconv.ParseUint(f, 16, 16); err != nil {
			return Description{}, false
		}
	}
	return Description{Property: name, Source: "zcl:" + fields[1] + "/" + fields[2]}, true
}
