package device

import (
	"fmt"
	"slices"
)

// Endpoint is what a device says of one endpoint in its simple descriptor.
type Endpoint struct {
	ID         uint8
	InClusters []uint16
}

// naming decides which endpoint and cluster of a device carry a property's plain name.
type naming struct {
	endpoints []Endpoint // ascending
	// first holds the endpoint with the plain name of a property, holder the cluster with it on an endpoint.
	first  map[string]uint8
	holder map[holding]uint16
	// cache saves building the same name for every report. Properties come from the rules, so its size is bounded
	// by the rules times 256 endpoints.
	cache map[nameKey]string
	// reserved are the properties of the device's profile: where a cluster gives one too, it adds its number.
	reserved map[string]bool
}

type holding struct {
	endpoint uint8
	property string
}

type nameKey struct {
	endpoint uint8
	cluster  uint16
	property string
}

func newNaming() naming {
	n := naming{}
	n.reset()
	return n
}

func (n *naming) reset() {
	n.first, n.holder, n.cache = map[string]uint8{}, map[holding]uint16{}, map[nameKey]string{}
}

// SetEndpoints tells which endpoints the device has. The lowest endpoint with a property has its plain name;
// the others add their number: "temperature_2" is endpoint 2's. Without it the first endpoint to report has the
// plain name. Where two clusters of an endpoint give the same property, the later in the table of rules adds
// its number in hex: "power_0702".
func (in *Interpreter) SetEndpoints(endpoints []Endpoint) {
	in.names.endpoints = slices.Clone(endpoints)
	slices.SortFunc(in.names.endpoints, func(a, b Endpoint) int { return int(a.ID) - int(b.ID) })
	in.names.claim(in)
}

// claim gives out the plain names anew, from what is known of the endpoints.
func (n *naming) claim(in *Interpreter) {
	n.reset()
	for _, e := range n.endpoints {
		in.known.claim(n, e)
		for i := range rules {
			r := &rules[i]
			if r.property == "" || !slices.Contains(e.InClusters, r.cluster) {
				continue
			}
			for _, property := range in.properties(e.ID, r) {
				n.take(e.ID, r.cluster, n.free(r.cluster, property))
			}
		}
	}
}

// properties lists what a rule gives on an endpoint as far as is known.
func (in *Interpreter) properties(endpoint uint8, r *rule) []string {
	switch r.kind {
	case kindZone:
		return []string{in.zoneOf(endpoint).property, propertyTamper, propertyBatteryLow}
	case kindUnit:
		code := in.memory[memoryKey{endpoint, meterUnitKey}]
		if property, _, _, ok := meterProperty(r, code); ok {
			return []string{property}
		}
	}
	return []string{r.property}
}

// take gives a plain name to an endpoint and cluster unless another has it.
func (n *naming) take(endpoint uint8, cluster uint16, property string) {
	if _, taken := n.first[property]; !taken {
		n.first[property] = endpoint
	}
	h := holding{endpoint, property}
	if _, taken := n.holder[h]; !taken {
		n.holder[h] = cluster
	}
}

// free gives the name a cluster can use for a property: not one of the profile's.
func (n *naming) free(cluster uint16, property string) string {
	if cluster != profileCluster && n.reserved[property] {
		return fmt.Sprintf("%s_%04x", property, cluster)
	}
	return property
}

// name gives a property's name on an endpoint.
func (n *naming) name(endpoint uint8, cluster uint16, property string) string {
	key := nameKey{endpoint, cluster, property}
	if name, ok := n.cache[key]; ok {
		return name
	}
	property = n.free(cluster, property)
	n.take(endpoint, cluster, property)
	name := property
	if n.holder[holding{endpoint, property}] != cluster {
		name = fmt.Sprintf("%s_%04x", name, cluster)
	}
	if n.first[property] != endpoint {
		name = fmt.Sprintf("%s_%d", name, endpoint)
	}
	n.cache[key] = name
	return name
}

// raw gives the name of an attribute without a rule. Nothing is remembered: a device can send any number of them.
func (n *naming) raw(endpoint uint8, cluster, attr uint16) string {
	first := uint8(1)
	for _, e := range n.endpoints {
		if slices.Contains(e.InClusters, cluster) {
			first = e.ID
			break
		}
	}
	if endpoint == first {
		return fmt.Sprintf("raw_%04x_%04x", cluster, attr)
	}
	return fmt.Sprintf("raw_%04x_%04x_%d", cluster, attr, endpoint)
}
