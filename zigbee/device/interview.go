package device

import (
	"slices"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

// Reporting gives the attributes of a cluster to bind and to configure at the end of an interview; none if the
// cluster has no rule, or reports by itself as IAS zones do. The caller may change the result.
func Reporting(cluster uint16) []zcl.ReportConfig {
	var configs []zcl.ReportConfig
	for i := range rules {
		r := &rules[i]
		if r.cluster == cluster && r.report.kind != zcl.TypeNoData {
			configs = append(configs, zcl.ReportConfig{
				ID: r.attr, Type: r.report.kind, Min: r.report.min, Max: r.report.max, Change: r.report.change,
			})
		}
	}
	return configs
}

// NeededAttributes gives the attributes of a cluster to read at an interview and to hand to ApplyRead, answers
// of failure included: divisors, scales, units, zone types, and for IAS zones their present status. The caller
// may change the result.
func NeededAttributes(cluster uint16) []uint16 { return slices.Clone(needed[cluster]) }

var needed = indexNeeded()

func indexNeeded() map[uint16][]uint16 {
	index := map[uint16][]uint16{}
	for i := range rules {
		r := &rules[i]
		switch r.kind {
		case kindFactor, kindMemory, kindZone:
			index[r.cluster] = append(index[r.cluster], r.attr)
		}
	}
	return index
}
