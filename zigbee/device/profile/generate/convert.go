package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/peerbee/peerbee/zigbee/device/profile"
)

// converter turns facts into profiles. What it leaves out it counts by reason.
type converter struct {
	// shared are names that several models have.
	shared []string
	names  map[string]*cluster
	// batteries are curves by model, battery the one of the definition in hand.
	batteries map[string][]profile.Point
	battery   []profile.Point
	// disputed are the definition's messages that have several outcomes.
	disputed map[sourceKey]bool
	left     map[string]int
	units    map[string]bool // those without a UCUM code
}

func (c *converter) definition(f *facts) profile.Definition {
	p := profile.Profile{Vendor: f.Vendor, Model: f.Model}
	c.disputed = map[sourceKey]bool{}
	c.battery = c.batteries[f.Vendor+"\t"+f.Model]
	for _, l := range f.Labels {
		p.Labels = append(p.Labels, profile.Label{Vendor: l[0], Model: l[1]})
	}
	at, exposedAs := map[string]int{}, map[string]*exposed{}
	whole := true
	for i := range f.Exposed {
		x := &f.Exposed[i]
		property, ok := c.property(x)
		if !ok {
			whole = whole && x.Access&uint8(profile.Published) == 0
			continue
		}
		if _, again := at[x.Name]; !again {
			at[x.Name], exposedAs[x.Name] = len(p.Properties), x
			p.Properties = append(p.Properties, property)
		}
	}
	for _, r := range c.choose(f.Rules) {
		i, ok := at[r.Property]
		if !ok {
			c.left["the property is not the device's"]++
			continue
		}
		if err := c.add(&p.Properties[i], r); err != nil {
			c.left[err.Error()]++
		}
	}
	for name, i := range at {
		x, property := exposedAs[name], &p.Properties[i]
		if !tells(property) && property.Access&profile.Published != 0 && x.Category != "config" {
			whole = false
		}
	}
	p.Complete = whole
	return profile.Definition{Profile: p, Conditions: f.conditions()}
}

// tells reports whether a property has a rule that says anything.
func tells(p *profile.Property) bool {
	return slices.ContainsFunc(p.Rules, func(r profile.Rule) bool { return r.Kind != profile.Map || len(r.Entries) > 0 })
}

// Reasons to leave a rule out.
var (
	errNoCluster    = errors.New("no number for the cluster's name")
	errNoAttribute  = errors.New("no number for the attribute's name")
	errNoCommand    = errors.New("no number for the command's name")
	errNoParam      = errors.New("no fixed place for the command's parameter")
	errRaw          = errors.New("an unnamed command's bytes")
	errKind         = errors.New("kind of rule has no form here")
	errOutcome      = errors.New("outcome is no value of the property")
	errConstant     = errors.New("outcome is always the same")
	errSampled      = errors.New("only samples of an unknown curve")
	errRounded      = errors.New("factor known only roughly")
	errGuarded      = errors.New("limits of the factor are not known")
	errRatio        = errors.New("no multiplier and divisor known for the attribute")
	errUnitMismatch = errors.New("unit and factor do not agree")
	errTwice        = errors.New("said twice")
	errDisputed     = errors.New("several outcomes for one message")
)

// add converts a rule and gives it to its property.
func (c *converter) add(p *profile.Property, f *ruleFacts) error {
	r := profile.Rule{Endpoint: f.Endpoint}
	if err := c.source(&r, f); err != nil {
		return err
	}
	if err := c.kind(&r, p, f); err != nil {
		if (errors.Is(err, errRounded) || errors.Is(err, errGuarded)) && r.Source == profile.Attribute {
			// A map of nothing: the standard's meaning of the attribute would be wrong.
			r = profile.Rule{Endpoint: r.Endpoint, Cluster: r.Cluster, ID: r.ID, Manufacturer: r.Manufacturer, Kind: profile.Map}
			p.Rules = append(p.Rules, r)
		}
		return err
	}
	if err := checkUnit(&r, p); err != nil {
		return err
	}
	key := sourceKey{p.Name, r.Source, r.Endpoint, r.Cluster, r.ID, r.Tag, 0}
	if r.Source == profile.Zone {
		key.mask = r.Mask
	}
	if c.disputed[key] {
		return errDisputed
	}
	for i := range p.Rules {
		if !sameSource(&p.Rules[i], &r) {
			continue
		}
		if reflect.DeepEqual(p.Rules[i], r) {
			return errTwice
		}
		// Two outcomes of one message: what tells them apart is not in the facts.
		p.Rules = slices.Delete(p.Rules, i, i+1)
		c.disputed[key] = true
		return errDisputed
	}
	p.Rules = append(p.Rules, r)
	return nil
}

// sourceKey is one message with the property it decides.
type sourceKey struct {
	property    string
	source      profile.Source
	endpoint    uint8
	cluster, id uint16
	tag         uint8
	mask        uint32
}

func sameSource(a, b *profile.Rule) bool {
	return a.Source == b.Source && a.Endpoint == b.Endpoint && a.Cluster == b.Cluster && a.ID == b.ID && a.Tag == b.Tag &&
		(a.Source != profile.Zone || a.Kind != profile.Bits || b.Kind != profile.Bits || a.Mask == b.Mask)
}

const (
	clusterBasic    = 0x0000
	clusterPower    = 0x0001
	clusterPressure = 0x0403
	clusterHumidity = 0x0405
	clusterIASZone  = 0x0500
	clusterMetering = 0x0702
	clusterElectric = 0x0b04
)

// source fills in which message a rule reads.
func (c *converter) source(r *profile.Rule, f *ruleFacts) error {
	switch f.Source {
	case "dp":
		r.Source, r.ID = profile.Datapoint, f.Datapoint
		return nil
	case "ias":
		r.Source, r.Cluster = profile.Zone, clusterIASZone
		return nil
	}
	cl, ok := c.cluster(f.Cluster)
	if !ok {
		return errNoCluster
	}
	r.Cluster = cl.id
	switch f.Source {
	case "attr", "tlv":
		return attributeSource(r, cl, f)
	case "cmd":
		return commandSource(r, cl, f)
	}
	return fmt.Errorf("source %q has no form here", f.Source)
}

func (c *converter) cluster(name string) (*cluster, bool) {
	if cl, ok := c.names[name]; ok {
		return cl, true
	}
	n, err := strconv.ParseUint(name, 10, 16)
	return &cluster{id: uint16(n)}, err == nil
}

func attributeSource(r *profile.Rule, cl *cluster, f *ruleFacts) error {
	name := f.attribute()
	if cl.id == clusterIASZone && name == "zonestatus" {
		name = "zoneStatus"
	}
	a, ok := cl.attributes[name]
	if !ok {
		n, err := strconv.ParseUint(name, 10, 16)
		if err != nil {
			return errNoAttribute
		}
		a = attribute{uint16(n), profile.AnyManufacturer}
	}
	r.ID, r.Manufacturer = a.id, a.manufacturer
	if f.Source == "tlv" {
		r.Source, r.Tag = profile.TLV, f.Tag
	}
	return nil
}

func commandSource(r *profile.Rule, cl *cluster, f *ruleFacts) error {
	if f.Command == "" {
		return errRaw
	}
	cmd, ok := cl.commandOf(f.Command)
	if !ok {
		return errNoCommand
	}
	r.Source, r.ID, r.FromClient = profile.Command, cmd.id, cmd.fromClient
	if f.Param != "" {
		p, ok := cmd.params[f.Param]
		if !ok {
			return errNoParam
		}
		r.Param = profile.Param{Offset: p.offset, Size: p.size}
	}
	return nil
}

// checkUnit holds what the facts say of well-known attributes against the standard: a unit that belongs to
// another number would make every value wrong.
func checkUnit(r *profile.Rule, p *profile.Property) error {
	if r.Source != profile.Attribute || r.Kind != profile.Linear || r.Endpoint > 240 {
		return nil
	}
	factor := r.Mul / r.Div
	switch {
	case r.Cluster == clusterPower && (r.ID == 0x0020 || r.ID == 0x0000) && p.Unit != "%": // units of 0.1 V
		switch factor {
		case 100:
			p.Unit = "mV"
		case 0.1:
			p.Unit = "V"
		}
	case r.Cluster == clusterHumidity && r.ID == 0 && p.Unit == "%":
		p.HasRange, p.Min, p.Max, r.Bounded = true, 0, 100, true
	case r.Cluster == clusterPressure && r.ID == 0: // hPa
		want, known := map[string]float64{"hPa": 1, "kPa": 0.1, "bar": 0.001, "[psi]": 0.0145037738}[p.Unit]
		if !known || factor < want*0.999 || factor > want*1.001 {
			return errUnitMismatch
		}
	}
	return nil
}

// choose picks the rules of a device that are worth converting: a command whose parameter decides leaves the
// command alone without a say, and where several parameters decide one property nothing can be said of it.
func (c *converter) choose(rules []ruleFacts) []*ruleFacts {
	type outcome struct {
		cluster, command, property string
		endpoint                   uint8
	}
	deciding := map[outcome]int{}
	of := func(r *ruleFacts) outcome { return outcome{r.Cluster, r.Command, r.Property, r.Endpoint} }
	for i := range rules {
		if r := &rules[i]; r.Source == "cmd" && r.Param != "" && decides(r) {
			deciding[of(r)]++
		}
	}
	ambiguous := c.ambiguous(rules)
	spread := map[string]int{}
	for i := range rules {
		if rules[i].Source == "dp" || rules[i].Source == "tlv" {
			spread[rules[i].Property]++
		}
	}
	var list []*ruleFacts
	for i := range rules {
		r := &rules[i]
		if r.Source == "attr" && ambiguous[numberedName{r.Cluster, r.attribute()}] {
			c.left["another name of the attribute's number"]++
			continue
		}
		if (r.Source == "dp" || r.Source == "tlv") && spread[r.Property] > maxNumbers {
			c.left["any number gives the property"]++
			continue
		}
		if r.Source == "cmd" {
			has := r.Param != "" && decides(r)
			switch n := deciding[of(r)]; {
			case n > 1:
				c.left["several parameters of a command decide"]++
				continue
			case n == 1 && !has, n == 0 && r.Param != "":
				c.left["another parameter of the command decides"]++
				continue
			}
		}
		list = append(list, r)
	}
	return list
}

type numberedName struct{ cluster, attribute string }

// ambiguous lists the attributes that share their number with another name of the device's: models differ in what
// one number is, and which of the names is meant cannot be told. A bare number gives way to a name.
func (c *converter) ambiguous(rules []ruleFacts) map[numberedName]bool {
	byNumber := map[[2]uint16][]numberedName{}
	for i := range rules {
		f := &rules[i]
		if f.Source != "attr" {
			continue
		}
		cl, ok := c.cluster(f.Cluster)
		var r profile.Rule
		if !ok || attributeSource(&r, cl, f) != nil {
			continue
		}
		name, key := numberedName{f.Cluster, f.attribute()}, [2]uint16{cl.id, r.ID}
		if name.attribute == "zonestatus" {
			name.attribute = "zoneStatus"
		}
		if !slices.Contains(byNumber[key], name) {
			byNumber[key] = append(byNumber[key], name)
		}
	}
	ambiguous := map[numberedName]bool{}
	for _, names := range byNumber {
		named := 0
		for _, n := range names {
			if !bare(n.attribute) {
				named++
			}
		}
		for _, n := range names {
			if named > 1 || named == 1 && bare(n.attribute) {
				ambiguous[n] = true
			}
		}
	}
	return ambiguous
}

func bare(attribute string) bool {
	_, err := strconv.ParseUint(attribute, 10, 64)
	return err == nil
}

// maxNumbers is more datapoints or tags than any property has. Facts with more were observed through a converter
// that does not look at the number.
const maxNumbers = 16

// decides reports whether a rule has more than one outcome.
func decides(r *ruleFacts) bool {
	if r.Kind != "map" {
		return r.Kind != "const"
	}
	return len(outcomes(r)) > 1
}

// outcomes lists what a map can give.
func outcomes(r *ruleFacts) []any {
	var list []any
	for _, key := range sortedKeys(r.Map) {
		if !slices.Contains(list, r.Map[key]) {
			list = append(list, r.Map[key])
		}
	}
	if r.Default != nil && !slices.Contains(list, r.Default) {
		list = append(list, r.Default)
	}
	return list
}
