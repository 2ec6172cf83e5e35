package device

import "github.com/peerbee/peerbee/zigbee/zcl"

var zoneTypeKey = attributeKey{zcl.ClusterIASZone, zcl.AttrZoneType}

// Properties every IAS zone has beside its alarm.
const (
	propertyTamper     = "tamper"
	propertyBatteryLow = "battery_low"
)

// zoneOf tells what the alarm bits of an endpoint mean.
func (in *Interpreter) zoneOf(endpoint uint8) zone {
	if code, ok := in.memory[memoryKey{endpoint, zoneTypeKey}]; ok {
		if z, ok := zones[code]; ok {
			return z
		}
	}
	return genericZone
}

// zoneMeasures adds the alarm, tamper and battery_low of a zone status. Which of the two alarm bits a sensor
// uses differs within one zone type, so either is the alarm.
func (in *Interpreter) zoneMeasures(dst []Measure, endpoint uint8, status uint16) []Measure {
	if dst, said := in.knownZone(dst, endpoint, status); said {
		return dst
	}
	z := in.zoneOf(endpoint)
	alarm := status&(zcl.ZoneAlarm1|zcl.ZoneAlarm2) != 0
	name := func(property string) string { return in.names.name(endpoint, zcl.ClusterIASZone, property) }
	return append(dst,
		Measure{Property: name(z.property), Value: alarm != z.inverted},
		Measure{Property: name(propertyTamper), Value: status&zcl.ZoneTamper != 0},
		Measure{Property: name(propertyBatteryLow), Value: status&zcl.ZoneBatteryLow != 0})
}
