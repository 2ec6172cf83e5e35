package device

import "github.com/peerbee/peerbee/zigbee/zcl"

// kind names how an attribute's value becomes a property's.
type kind uint8

const (
	kindLinear   kind = iota // number: value * mul / div, a missing factor is 1
	kindLux                  // number: 10^((value-1)/10000), 0 is too dark to measure (ZCL section 4.2.2.2.1.1)
	kindBool                 // boolean as it stands
	kindBit                  // boolean: bit of the value
	kindRatio                // number: as kindLinear, and * device's multiplier / device's divisor
	kindUnit                 // number: as kindRatio, property and unit by the meter's unit of measure
	kindScaled               // number: value * 10^-(device's scale), Pa to hPa by div (ZCL section 4.5.2.2.2)
	kindInside               // number: hundredths of a degree where it is out of the standard's range of degrees
	kindNamed                // text: coverings by number
	kindZone                 // booleans of an IAS zone status
	kindFactor               // memory: multiplier or divisor, 1 when the device has none (ZCL section 4.9.2)
	kindMemory               // memory: no default
	kindConstant             // neither a reading nor needed: limits, addresses, names
)

// rule is the table's line: what one attribute means. Adding support for an attribute is adding a line.
type rule struct {
	cluster, attr uint16
	property      string
	unit          string // UCUM
	kind          kind
	mul, div      float64
	bit           uint8
	by, over      uint16 // attributes that hold the multiplier and the divisor, or the scale in by
	report        report
}

// report is what to ask of the device: nothing if its type is zero.
type report struct {
	kind     zcl.DataType
	min, max uint16 // seconds
	change   any
}

// Reporting intervals in seconds: an hour proves that a sleepy sensor lives without costing its battery much.
const (
	soon     = 10
	hourly   = 3600
	sixHours = 21600
)

// rules is the table. Where two clusters of one endpoint give the same property, the earlier line keeps the
// plain name.
var rules = []rule{
	{cluster: zcl.ClusterTemperature, attr: 0x0000, property: "temperature", unit: "Cel", div: 100, report: report{zcl.TypeInt16, soon, hourly, int64(20)}},
	{cluster: zcl.ClusterHumidity, attr: 0x0000, property: "humidity", unit: "%", div: 100, report: report{zcl.TypeUint16, soon, hourly, uint64(50)}},
	{cluster: zcl.ClusterPressure, attr: 0x0000, property: "pressure", unit: "hPa", report: report{zcl.TypeInt16, soon, hourly, int64(1)}},
	{cluster: zcl.ClusterPressure, attr: 0x0010, property: "pressure", unit: "hPa", kind: kindScaled, div: 100, by: 0x0014},
	{cluster: zcl.ClusterPressure, attr: 0x0014, kind: kindMemory},
	{cluster: zcl.ClusterIlluminance, attr: 0x0000, property: "illuminance", unit: "lx", kind: kindLux, report: report{zcl.TypeUint16, soon, hourly, uint64(500)}},
	{cluster: zcl.ClusterOccupancy, attr: 0x0000, property: "occupancy", kind: kindBit, report: report{zcl.TypeBitmap8, 0, hourly, nil}},
	{cluster: zcl.ClusterOccupancy, attr: 0x0001, kind: kindConstant}, // sensor type
	{cluster: zcl.ClusterSoilMoisture, attr: 0x0000, property: "soil_moisture", unit: "%", div: 100, report: report{zcl.TypeUint16, 60, hourly, uint64(100)}},
	{cluster: zcl.ClusterCO2, attr: 0x0000, property: "co2", unit: "[ppm]", mul: 1e6, report: report{zcl.TypeSingle, 30, hourly, 10e-6}},
	{cluster: zcl.ClusterPM25, attr: 0x0000, property: "pm25", unit: "ug/m3", report: report{zcl.TypeSingle, 30, hourly, 1.0}},
	{cluster: zcl.ClusterPower, attr: 0x0021, property: "battery", unit: "%", div: 2, report: report{zcl.TypeUint8, hourly, sixHours, uint64(2)}},
	{cluster: zcl.ClusterPower, attr: 0x0020, property: "battery_voltage", unit: "V", div: 10, report: report{zcl.TypeUint8, hourly, sixHours, uint64(1)}},
	{cluster: zcl.ClusterPower, attr: 0x0000, property: "mains_voltage", unit: "V", div: 10},
	{cluster: zcl.ClusterPower, attr: 0x0031, kind: kindConstant}, // battery size
	{cluster: zcl.ClusterPower, attr: 0x0033, kind: kindConstant}, // battery quantity
	{cluster: zcl.ClusterPower, attr: 0x0034, kind: kindConstant}, // battery rated voltage
	{cluster: zcl.ClusterOnOff, attr: 0x0000, property: "on", kind: kindBool, report: report{zcl.TypeBool, 0, hourly, nil}},
	{cluster: zcl.ClusterDeviceTemp, attr: 0x0000, property: "device_temperature", unit: "Cel", kind: kindInside, div: 100},
	{cluster: zcl.ClusterBinaryInput, attr: 0x0055, property: "binary_input", kind: kindBool, report: report{zcl.TypeBool, 0, hourly, nil}},
	{cluster: zcl.ClusterCovering, attr: 0x0000, property: "window_covering_type", kind: kindNamed},
	{cluster: zcl.ClusterIASZone, attr: zcl.AttrZoneStatus, property: "alarm", kind: kindZone},
	{cluster: zcl.ClusterIASZone, attr: zcl.AttrZoneType, kind: kindMemory},
	{cluster: zcl.ClusterIASZone, attr: zcl.AttrZoneState, kind: kindConstant},
	{cluster: zcl.ClusterIASZone, attr: zcl.AttrZoneCIE, kind: kindConstant},
	{cluster: zcl.ClusterIASZone, attr: zcl.AttrZoneID, kind: kindConstant},

	{cluster: zcl.ClusterElectrical, attr: 0x0505, property: "voltage", unit: "V", kind: kindRatio, by: 0x0600, over: 0x0601, report: report{zcl.TypeUint16, soon, hourly, uint64(5)}},
	{cluster: zcl.ClusterElectrical, attr: 0x0508, property: "current", unit: "A", kind: kindRatio, by: 0x0602, over: 0x0603, report: report{zcl.TypeUint16, soon, hourly, uint64(10)}},
	{cluster: zcl.ClusterElectrical, attr: 0x050b, property: "power", unit: "W", kind: kindRatio, by: 0x0604, over: 0x0605, report: report{zcl.TypeInt16, soon, hourly, int64(1)}},
	{cluster: zcl.ClusterElectrical, attr: 0x050f, property: "apparent_power", unit: "V.A", kind: kindRatio, by: 0x0604, over: 0x0605},
	{cluster: zcl.ClusterElectrical, attr: 0x0510, property: "power_factor", unit: "%"},
	{cluster: zcl.ClusterElectrical, attr: 0x0304, property: "total_power", unit: "W", kind: kindRatio, by: 0x0402, over: 0x0403},
	{cluster: zcl.ClusterElectrical, attr: 0x0300, property: "frequency", unit: "Hz", kind: kindRatio, by: 0x0400, over: 0x0401},
	{cluster: zcl.ClusterElectrical, attr: 0x0905, property: "voltage_phase_b", unit: "V", kind: kindRatio, by: 0x0600, over: 0x0601},
	{cluster: zcl.ClusterElectrical, attr: 0x0908, property: "current_phase_b", unit: "A", kind: kindRatio, by: 0x0602, over: 0x0603},
	{cluster: zcl.ClusterElectrical, attr: 0x090b, property: "power_phase_b", unit: "W", kind: kindRatio, by: 0x0604, over: 0x0605},
	{cluster: zcl.ClusterElectrical, attr: 0x0a05, property: "voltage_phase_c", unit: "V", kind: kindRatio, by: 0x0600, over: 0x0601},
	{cluster: zcl.ClusterElectrical, attr: 0x0a08, property: "current_phase_c", unit: "A", kind: kindRatio, by: 0x0602, over: 0x0603},
	{cluster: zcl.ClusterElectrical, attr: 0x0a0b, property: "power_phase_c", unit: "W", kind: kindRatio, by: 0x0604, over: 0x0605},
	{cluster: zcl.ClusterElectrical, attr: 0x0400, kind: kindFactor}, // frequency multiplier, divisor
	{cluster: zcl.ClusterElectrical, attr: 0x0401, kind: kindFactor},
	{cluster: zcl.ClusterElectrical, attr: 0x0402, kind: kindFactor}, // total power
	{cluster: zcl.ClusterElectrical, attr: 0x0403, kind: kindFactor},
	{cluster: zcl.ClusterElectrical, attr: 0x0600, kind: kindFactor}, // voltage
	{cluster: zcl.ClusterElectrical, attr: 0x0601, kind: kindFactor},
	{cluster: zcl.ClusterElectrical, attr: 0x0602, kind: kindFactor}, // current
	{cluster: zcl.ClusterElectrical, attr: 0x0603, kind: kindFactor},
	{cluster: zcl.ClusterElectrical, attr: 0x0604, kind: kindFactor}, // power
	{cluster: zcl.ClusterElectrical, attr: 0x0605, kind: kindFactor},
	{cluster: zcl.ClusterElectrical, attr: 0x0000, kind: kindConstant}, // measurement type

	{cluster: zcl.ClusterMetering, attr: 0x0000, property: "energy", unit: "kWh", kind: kindUnit, by: 0x0301, over: 0x0302, report: report{zcl.TypeUint48, 60, hourly, uint64(1)}},
	{cluster: zcl.ClusterMetering, attr: 0x0001, property: "energy_returned", unit: "kWh", kind: kindUnit, by: 0x0301, over: 0x0302},
	{cluster: zcl.ClusterMetering, attr: 0x0400, property: "power", unit: "W", kind: kindUnit, by: 0x0301, over: 0x0302, report: report{zcl.TypeInt24, soon, hourly, int64(1)}},
	{cluster: zcl.ClusterMetering, attr: meterUnit, kind: kindMemory},
	{cluster: zcl.ClusterMetering, attr: 0x0301, kind: kindFactor},
	{cluster: zcl.ClusterMetering, attr: 0x0302, kind: kindFactor},
	{cluster: zcl.ClusterMetering, attr: 0x0303, kind: kindConstant}, // formatting and device type
	{cluster: zcl.ClusterMetering, attr: 0x0304, kind: kindConstant},
	{cluster: zcl.ClusterMetering, attr: 0x0306, kind: kindConstant},

	// Limits and tolerances of the measurement clusters, and what the interview reads of Basic.
	{cluster: zcl.ClusterTemperature, attr: 0x0001, kind: kindConstant},
	{cluster: zcl.ClusterTemperature, attr: 0x0002, kind: kindConstant},
	{cluster: zcl.ClusterTemperature, attr: 0x0003, kind: kindConstant},
	{cluster: zcl.ClusterHumidity, attr: 0x0001, kind: kindConstant},
	{cluster: zcl.ClusterHumidity, attr: 0x0002, kind: kindConstant},
	{cluster: zcl.ClusterHumidity, attr: 0x0003, kind: kindConstant},
	{cluster: zcl.ClusterPressure, attr: 0x0001, kind: kindConstant},
	{cluster: zcl.ClusterPressure, attr: 0x0002, kind: kindConstant},
	{cluster: zcl.ClusterPressure, attr: 0x0003, kind: kindConstant},
	{cluster: zcl.ClusterIlluminance, attr: 0x0001, kind: kindConstant},
	{cluster: zcl.ClusterIlluminance, attr: 0x0002, kind: kindConstant},
	{cluster: zcl.ClusterIlluminance, attr: 0x0003, kind: kindConstant},
	{cluster: zcl.ClusterBasic, attr: 0x0000, kind: kindConstant},
	{cluster: zcl.ClusterBasic, attr: 0x0001, kind: kindConstant},
	{cluster: zcl.ClusterBasic, attr: 0x0002, kind: kindConstant},
	{cluster: zcl.ClusterBasic, attr: 0x0003, kind: kindConstant},
	{cluster: zcl.ClusterBasic, attr: 0x0004, kind: kindConstant},
	{cluster: zcl.ClusterBasic, attr: 0x0005, kind: kindConstant},
	{cluster: zcl.ClusterBasic, attr: 0x0006, kind: kindConstant},
	{cluster: zcl.ClusterBasic, attr: 0x0007, kind: kindConstant},
	{cluster: zcl.ClusterBasic, attr: 0x4000, kind: kindConstant},
}

// coverings are the types of window coverings (ZCL table 7-46).
var coverings = []string{
	"Rollershade", "Rollershade - 2 Motor", "Rollershade - Exterior", "Rollershade - Exterior - 2 Motor", "Drapery", "Awning",
	"Shutter", "Tilt Blind - Tilt Only", "Tilt Blind - Lift and Tilt", "Projector Screen",
}

// meterUnitKey is a meter's unit of measure.
var meterUnitKey = attributeKey{zcl.ClusterMetering, meterUnit}

const meterUnit uint16 = 0x0300

// measureUnit says what a meter's total and its rate are in one unit of measure.
type measureUnit struct {
	total, rate         string // properties
	totalUnit, rateUnit string // UCUM
	rateMul             float64
}

// measureUnits by the value of meterUnit (ZCL table 10-65). The same units in packed decimal, 0x80 and above,
// are left raw: devices disagree on whether their numbers really are.
var measureUnits = map[int64]measureUnit{
	0x00: {"energy", "power", "kWh", "W", 1000},
	0x01: {"volume", "flow", "m3", "m3/h", 1},
	0x02: {"volume", "flow", "[cft_i]", "[cft_i]/h", 1},
	0x04: {"volume", "flow", "[gal_us]", "[gal_us]/h", 1},
	0x05: {"volume", "flow", "[gal_br]", "[gal_br]/h", 1},
	0x07: {"volume", "flow", "L", "L/h", 1},
}

// zone says what the alarm bits of an IAS zone type mean (ZCL table 8-6).
type zone struct {
	property string
	inverted bool // the property is true while there is no alarm
}

var zones = map[int64]zone{
	0x000d: {property: "occupancy"},
	0x0015: {property: "contact", inverted: true}, // contact made: the door is closed
	0x0016: {property: "contact", inverted: true},
	0x0028: {property: "smoke"},
	0x002a: {property: "water_leak"},
	0x002b: {property: "gas"},
	0x002c: {property: "emergency"},
	0x002d: {property: "vibration"},
	0x010f: {property: "emergency"},
	0x0115: {property: "emergency"},
	0x0226: {property: "glass_break"},
}

// genericZone is for a zone whose type the table or the device does not tell.
var genericZone = zone{property: "alarm"}

type attributeKey struct{ cluster, attr uint16 }

var ruleIndex = indexRules()

func indexRules() map[attributeKey]*rule {
	index := make(map[attributeKey]*rule, len(rules))
	for i := range rules {
		r := &rules[i]
		index[attributeKey{r.cluster, r.attr}] = r
	}
	return index
}
