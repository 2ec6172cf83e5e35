package zigbee

import (
	"slices"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/device"
	"github.com/peerbee/peerbee/zigbee/zcl"
)

// report turns a frame into a Report if it carries values: attribute reports, IAS notifications, answers to reads.
func (n *Network) report(d Device, m incoming, f zcl.Frame, now time.Time) {
	var measures []device.Measure
	n.table.change(d.IEEE, func(e *entry) (changed bool) {
		measures, changed = e.interpret(m, f)
		return changed
	})
	if len(measures) == 0 {
		return
	}
	n.counters.reports.Add(1)
	n.queue.push(Report{Device: d.IEEE, Time: now, Measures: measures, LinkQuality: m.linkQuality})
}

// interpret gives a frame's measures; changed says that the device's record learned from it.
func (e *entry) interpret(m incoming, f zcl.Frame) (measures []device.Measure, changed bool) {
	endpoint, cluster := uint8(m.sourceEndpoint), uint16(m.cluster)
	if f.Type == zcl.ClusterSpecific {
		if cluster == zcl.ClusterIASZone && f.FromServer {
			measures, changed = e.zone(endpoint, f)
		} else {
			measures = e.meaning.ApplyCommand(endpoint, cluster, f)
		}
	} else {
		switch f.Command {
		case zcl.CommandReportAttributes:
			attrs := zcl.DecodeReport(f.Payload)
			if f.Manufacturer != 0 {
				return e.note(e.meaning.ApplyManufacturer(endpoint, cluster, f.Manufacturer, attrs)), false
			}
			measures = e.meaning.Apply(endpoint, cluster, attrs)
			changed = e.learn(cluster, attrs)
		case zcl.CommandReadAttributesResponse:
			records := zcl.DecodeReadResponse(f.Payload)
			if f.Manufacturer != 0 {
				return e.note(e.meaning.ApplyManufacturer(endpoint, cluster, f.Manufacturer, succeeded(records))), false
			}
			measures = e.meaning.ApplyRead(endpoint, cluster, records)
			changed = e.learnFacts()
		}
	}
	return e.note(measures), changed
}

func succeeded(records []zcl.ReadRecord) []zcl.Attribute {
	attrs := make([]zcl.Attribute, 0, len(records))
	for _, r := range records {
		if r.Status == zcl.StatusSuccess {
			attrs = append(attrs, r.Attribute)
		}
	}
	return attrs
}

func (e *entry) zone(endpoint uint8, f zcl.Frame) (measures []device.Measure, changed bool) {
	switch f.Command {
	case zcl.CommandZoneStatusChange:
		c, err := zcl.DecodeZoneStatusChange(f.Payload)
		if err != nil {
			return nil, false
		}
		return e.meaning.ApplyZoneStatus(endpoint, c.Status), false
	case zcl.CommandZoneEnrollRequest:
		r, err := zcl.DecodeZoneEnrollRequest(f.Payload)
		if err != nil {
			return nil, false
		}
		e.meaning.LearnZoneType(endpoint, r.ZoneType)
		return nil, e.learnFacts()
	}
	return nil, false
}

// learn takes what a report says of the device itself. Some devices never answer questions but tell their model
// in a report.
func (e *entry) learn(cluster uint16, attrs []zcl.Attribute) (changed bool) {
	if cluster == zcl.ClusterBasic {
		for _, a := range attrs {
			changed = e.setBasic(a) || changed
		}
		return changed
	}
	needed := device.NeededAttributes(cluster)
	if slices.ContainsFunc(attrs, func(a zcl.Attribute) bool { return slices.Contains(needed, a.ID) }) {
		return e.learnFacts()
	}
	return false
}

func (e *entry) learnFacts() bool {
	facts := e.meaning.Facts()
	if slices.Equal(facts, e.Facts) {
		return false
	}
	e.Facts = facts
	return true
}

// note remembers the names of the properties for Describe.
func (e *entry) note(measures []device.Measure) []device.Measure {
	for _, m := range measures {
		if len(e.names) < maxNames && !e.names[m.Property] {
			e.names[m.Property] = true
		}
	}
	return measures
}

// Describe tells what is known of the properties the device has reported since the start, by name.
func (n *Network) Describe(ieee zb.IEEEAddress) []device.Description {
	var list []device.Description
	n.table.change(ieee, func(e *entry) bool {
		for name := range e.names {
			if d, ok := e.meaning.Describe(name); ok {
				list = append(list, d)
			}
		}
		return false
	})
	slices.SortFunc(list, func(a, b device.Description) int {
		switch {
		case a.Property < b.Property:
			return -1
		case a.Property > b.Property:
			return 1
		}
		return 0
	})
	return list
}
