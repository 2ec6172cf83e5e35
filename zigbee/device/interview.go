package device

import "github.com/peerbee/peerbee/zigbee/zcl"

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
// of failure included: divisors, scales, units, zone types, and for IAS zones their present status.
func NeededAttributes(cluster uint16) []uint16 {
	var ids []uint16
	for i := range rules {
		r := &rules[i]
		if r.cluster != cluster {
			continue
		}
		switch r.kind {
		case kindFactor, kindMemory, kindZone:
			ids = append(ids, r.attr)
		}
	}
	return ids
}
