package device

import (
	"cmp"
	"slices"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

type memoryKey struct {
	endpoint uint8
	attributeKey
}

// Fact is something a device said of its own numbers, worth keeping over a restart.
type Fact struct {
	Endpoint           uint8
	Cluster, Attribute uint16
	Value              int64
}

// Facts lists what the interpreter remembers, sorted.
func (in *Interpreter) Facts() []Fact {
	facts := make([]Fact, 0, len(in.memory))
	for k, v := range in.memory {
		facts = append(facts, Fact{k.endpoint, k.cluster, k.attr, v})
	}
	slices.SortFunc(facts, func(a, b Fact) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Attribute, b.Attribute))
	})
	return facts
}

// Recall takes back what Facts gave. Facts no rule needs are left out.
func (in *Interpreter) Recall(facts []Fact) {
	for _, f := range facts {
		key := attributeKey{f.Cluster, f.Attribute}
		if remembers(ruleIndex[key]) {
			in.remember(memoryKey{f.Endpoint, key}, f.Value)
		}
	}
}

// LearnZoneType takes the zone type a device tells in its enroll request.
func (in *Interpreter) LearnZoneType(endpoint uint8, zoneType uint16) {
	in.remember(memoryKey{endpoint, zoneTypeKey}, int64(zoneType))
}

// learn remembers an attribute that explains others.
func (in *Interpreter) learn(endpoint uint8, cluster uint16, a *zcl.Attribute) {
	key := attributeKey{cluster, a.ID}
	if !remembers(ruleIndex[key]) || a.Opaque || a.Invalid() {
		return
	}
	if v, ok := integer(a.Value); ok {
		in.remember(memoryKey{endpoint, key}, v)
	}
}

// remembers reports whether a rule's attribute explains others. The table bounds what one device can make us keep.
func remembers(r *rule) bool {
	return r != nil && (r.kind == kindFactor || r.kind == kindMemory)
}

func (in *Interpreter) remember(key memoryKey, v int64) {
	if old, ok := in.memory[key]; ok && old == v {
		return
	}
	in.memory[key] = v
	// These decide what properties the endpoint has.
	if key.attributeKey == zoneTypeKey || key.attributeKey == meterUnitKey {
		in.names.claim(in)
	}
}
