package device

import (
	"fmt"
	"slices"

	"github.com/peerbee/peerbee/zigbee/device/profile"
	"github.com/peerbee/peerbee/zigbee/zcl"
)

// known is a device's profile, arranged by what its rules read.
type known struct {
	profile    *profile.Profile
	attributes map[attributeKey][]ref
	commands   map[attributeKey][]ref
	datapoints map[uint16][]ref
	tags       map[tagKey][]ref
	tagged     map[attributeKey]bool // the attributes that hold tags
	zone       []ref
}

// ref is one rule with its property.
type ref struct {
	property *profile.Property
	rule     *profile.Rule
}

type tagKey struct {
	attributeKey
	tag uint8
}

// profileCluster stands in names for the profile: its properties have no cluster of their own.
const profileCluster uint16 = 0xffff

// SetProfile takes what a table says of this model: from then on its rules replace the generic ones for the same
// attributes, zones and commands. nil takes it away. The profile must not change afterwards.
func (in *Interpreter) SetProfile(p *profile.Profile) {
	in.known = nil
	in.names.reserved = nil
	if p != nil {
		in.known = arrange(p)
		in.names.reserved = make(map[string]bool)
		for i := range p.Properties {
			if len(p.Properties[i].Rules) > 0 {
				in.names.reserved[p.Properties[i].Name] = true
			}
		}
	}
	in.names.claim(in)
}

// Profile gives what SetProfile took, nil for none.
func (in *Interpreter) Profile() *profile.Profile {
	if in.known == nil {
		return nil
	}
	return in.known.profile
}

func arrange(p *profile.Profile) *known {
	k := &known{
		profile: p, attributes: map[attributeKey][]ref{}, commands: map[attributeKey][]ref{},
		datapoints: map[uint16][]ref{}, tags: map[tagKey][]ref{}, tagged: map[attributeKey]bool{},
	}
	for i := range p.Properties {
		property := &p.Properties[i]
		for j := range property.Rules {
			r := ref{property, &property.Rules[j]}
			key := attributeKey{r.rule.Cluster, r.rule.ID}
			switch r.rule.Source {
			case profile.Attribute:
				k.attributes[key] = append(k.attributes[key], r)
			case profile.Zone:
				k.zone = append(k.zone, r)
			case profile.Command:
				k.commands[key] = append(k.commands[key], r)
			case profile.Datapoint:
				k.datapoints[r.rule.ID] = append(k.datapoints[r.rule.ID], r)
			case profile.TLV:
				k.tags[tagKey{key, r.rule.Tag}] = append(k.tags[tagKey{key, r.rule.Tag}], r)
				k.tagged[key] = true
			}
		}
	}
	return k
}

// zoneStatusKey is the attribute that holds what a zone notifies.
var zoneStatusKey = attributeKey{zcl.ClusterIASZone, zcl.AttrZoneStatus}

// claim takes the plain names of the properties that clusters of an endpoint give.
func (k *known) claim(n *naming, e Endpoint) {
	if k == nil {
		return
	}
	for i := range k.profile.Properties {
		p := &k.profile.Properties[i]
		for j := range p.Rules {
			if r := &p.Rules[j]; r.Endpoint == 0 && slices.Contains(e.InClusters, r.Cluster) {
				n.take(e.ID, profileCluster, p.Name)
			}
		}
	}
}

// vendorClusters are the manufacturers' own (ZCL table 2-2): all their attributes are, with a code or without.
const vendorClusters uint16 = 0xfc00

// reads reports whether a rule is for an attribute of a frame with a manufacturer's code.
func (r ref) reads(endpoint uint8, code uint16) bool {
	if r.rule.Endpoint != 0 && r.rule.Endpoint != endpoint {
		return false
	}
	return r.rule.Manufacturer == code || r.rule.Manufacturer == profile.AnyManufacturer || r.rule.Cluster >= vendorClusters
}

// applyKnown adds what the profile says of an attribute; false if it says nothing.
func (in *Interpreter) applyKnown(dst []Measure, endpoint uint8, cluster, code uint16, a *zcl.Attribute) ([]Measure, bool) {
	if in.known == nil || a.Opaque {
		return dst, false
	}
	key := attributeKey{cluster, a.ID}
	if in.known.tagged[key] {
		return in.applyTags(dst, endpoint, key, a)
	}
	mentioned := false
	before := len(dst)
	waits := false
	refs := in.known.attributes[key]
	if key == zoneStatusKey && len(refs) == 0 {
		refs = in.known.zone
	}
	for _, r := range refs {
		if !r.reads(endpoint, code) {
			continue
		}
		mentioned = true
		v, told := in.attributeValue(endpoint, r, a)
		if !told {
			waits = true
			continue
		}
		if v != nil || unknown(a) {
			dst = append(dst, in.measure(endpoint, r, v))
		}
	}
	if mentioned && len(dst) == before && !waits {
		dst = in.fallBack(dst, endpoint, refs, a)
	}
	return dst, mentioned
}

// fallBack adds an attribute that none of its rules covers. A value that is out of the profile's bounds, as more
// than 100 % is, is the standard's where that gives the same property; else it is raw.
func (in *Interpreter) fallBack(dst []Measure, endpoint uint8, refs []ref, a *zcl.Attribute) []Measure {
	r := refs[0]
	generic := ruleIndex[attributeKey{r.rule.Cluster, a.ID}]
	if r.rule.Bounded && generic != nil && generic.property == r.property.Name && generic.unit == r.property.Unit {
		v, told := in.value(endpoint, generic, a)
		if n, ok := v.(float64); ok && told && n >= r.property.Min && n <= r.property.Max {
			return append(dst, in.measure(endpoint, r, v))
		}
	}
	return append(dst, in.raw(endpoint, r.rule.Cluster, a))
}

// attributeValue converts an attribute by a profile's rule; told is false while the device has not said what its
// numbers are to be divided by.
func (in *Interpreter) attributeValue(endpoint uint8, r ref, a *zcl.Attribute) (v any, told bool) {
	if unknown(a) {
		return nil, true
	}
	if r.rule.Kind == profile.Ratio {
		by, over, ok := factors(attributeKey{r.rule.Cluster, r.rule.ID})
		n, numeric := number(a.Value)
		if !ok || !numeric {
			return nil, true
		}
		mul, div, told := in.ratio(endpoint, &rule{cluster: r.rule.Cluster, by: by, over: over})
		return convert(n, mul*r.rule.Mul, div*r.rule.Div, a.Type), told
	}
	x, ok := inputOf(a.Value, a.Type)
	if !ok {
		return nil, true
	}
	return r.value(x), true
}

// measure names a value of the profile.
func (in *Interpreter) measure(endpoint uint8, r ref, v any) Measure {
	name := r.property.Name
	if r.rule.Endpoint == 0 && (r.rule.Source == profile.Attribute || r.rule.Source == profile.Zone) {
		name = in.names.name(endpoint, profileCluster, name)
	}
	return Measure{Property: name, Value: v, Unit: r.property.Unit}
}

// knownZone adds what the profile says of a zone status; false if it says nothing.
func (in *Interpreter) knownZone(dst []Measure, endpoint uint8, status uint16) ([]Measure, bool) {
	if in.known == nil {
		return dst, false
	}
	refs := in.known.zone
	if len(refs) == 0 {
		refs = in.known.attributes[zoneStatusKey]
	}
	said := false
	for _, r := range refs {
		if r.rule.Endpoint != 0 && r.rule.Endpoint != endpoint {
			continue
		}
		said = true
		if v := r.value(input{number: float64(status), numeric: true}); v != nil {
			dst = append(dst, in.measure(endpoint, r, v))
		}
	}
	return dst, said
}

// ApplyManufacturer interprets the attributes of a frame with a manufacturer's code: by the profile, or raw.
func (in *Interpreter) ApplyManufacturer(endpoint uint8, cluster, code uint16, attrs []zcl.Attribute) []Measure {
	measures := make([]Measure, 0, len(attrs))
	for i := range attrs {
		var said bool
		if measures, said = in.applyKnown(measures, endpoint, cluster, code, &attrs[i]); !said {
			measures = append(measures, in.raw(endpoint, cluster, &attrs[i]))
		}
	}
	return measures
}

// ApplyCommand interprets a cluster's own command: a Tuya datapoint report, or one the profile has a rule for.
// IAS zone commands go to ApplyZoneStatus and LearnZoneType.
func (in *Interpreter) ApplyCommand(endpoint uint8, cluster uint16, f zcl.Frame) []Measure {
	if cluster == clusterTuya && f.FromServer {
		if measures, ok := in.applyTuya(endpoint, f); ok {
			return measures
		}
	}
	if in.known == nil {
		return nil
	}
	var measures []Measure
	for _, r := range in.known.commands[attributeKey{cluster, uint16(f.Command)}] {
		if r.rule.Endpoint != 0 && r.rule.Endpoint != endpoint || r.rule.FromClient == f.FromServer {
			continue
		}
		x, ok := commandInput(r.rule.Param, f.Payload)
		if !ok {
			continue
		}
		if v := r.value(x); v != nil {
			measures = append(measures, in.measure(endpoint, r, v))
		}
	}
	return measures
}

// commandInput takes a parameter out of a command's payload, little endian as all of ZCL.
func commandInput(p profile.Param, payload []byte) (input, bool) {
	if int(p.Offset)+int(p.Size) > len(payload) {
		return input{}, false
	}
	n := uint64(0)
	for i, b := range payload[p.Offset : p.Offset+p.Size] {
		n |= uint64(b) << (8 * i)
	}
	return input{number: float64(n), numeric: true}, true
}

// describeKnown tells what the profile says of one of its properties.
func (in *Interpreter) describeKnown(name, property string) (Description, bool) {
	if in.known == nil {
		return Description{}, false
	}
	at := slices.IndexFunc(in.known.profile.Properties, func(p profile.Property) bool { return p.Name == property && len(p.Rules) > 0 })
	if at < 0 {
		return Description{}, false
	}
	p := &in.known.profile.Properties[at]
	d := Description{Property: name, Unit: p.Unit, Type: [...]string{"number", "boolean", "string"}[p.Type]}
	switch r := &p.Rules[0]; r.Source {
	case profile.Datapoint:
		d.Source = fmt.Sprintf("tuya:%d", r.ID)
	case profile.TLV:
		d.Source = fmt.Sprintf("zcl:%04x/%04x/%d", r.Cluster, r.ID, r.Tag)
	case profile.Zone:
		d.Source = fmt.Sprintf("zcl:%04x/%04x", zcl.ClusterIASZone, zcl.AttrZoneStatus)
	case profile.Command:
		d.Source = fmt.Sprintf("zcl:%04x/command/%02x", r.Cluster, r.ID)
	default:
		d.Source = fmt.Sprintf("zcl:%04x/%04x", r.Cluster, r.ID)
	}
	return d, true
}
