package zcl

import "fmt"

// Clusters used here (ZCL table 2-2 and the chapters it names).
const (
	ClusterBasic        uint16 = 0x0000
	ClusterPower        uint16 = 0x0001
	ClusterDeviceTemp   uint16 = 0x0002
	ClusterIdentify     uint16 = 0x0003
	ClusterOnOff        uint16 = 0x0006
	ClusterTime         uint16 = 0x000a
	ClusterBinaryInput  uint16 = 0x000f
	ClusterOTA          uint16 = 0x0019
	ClusterPollControl  uint16 = 0x0020
	ClusterCovering     uint16 = 0x0102
	ClusterIlluminance  uint16 = 0x0400
	ClusterTemperature  uint16 = 0x0402
	ClusterPressure     uint16 = 0x0403
	ClusterHumidity     uint16 = 0x0405
	ClusterOccupancy    uint16 = 0x0406
	ClusterSoilMoisture uint16 = 0x0408
	ClusterCO2          uint16 = 0x040d
	ClusterPM25         uint16 = 0x042a
	ClusterIASZone      uint16 = 0x0500
	ClusterIASACE       uint16 = 0x0501
	ClusterIASWD        uint16 = 0x0502
	ClusterMetering     uint16 = 0x0702
	ClusterElectrical   uint16 = 0x0b04
)

// Attributes used by the interview and by more than one package.
const (
	AttrClusterRevision  uint16 = 0xfffd // every cluster
	AttrBasicZCLVersion  uint16 = 0x0000
	AttrBasicManufacture uint16 = 0x0004
	AttrBasicModel       uint16 = 0x0005
	AttrBasicPowerSource uint16 = 0x0007
	AttrBasicFirmware    uint16 = 0x4000
	AttrMeasuredValue    uint16 = 0x0000 // every measurement cluster 0x04xx
	AttrBatteryVoltage   uint16 = 0x0020
	AttrBatteryPercent   uint16 = 0x0021
	AttrPressureScaled   uint16 = 0x0010
	AttrPressureScale    uint16 = 0x0014
	AttrZoneState        uint16 = 0x0000
	AttrZoneType         uint16 = 0x0001
	AttrZoneStatus       uint16 = 0x0002
	AttrZoneCIE          uint16 = 0x0010
	AttrZoneID           uint16 = 0x0011
)

// AttributeInfo describes one standard attribute.
type AttributeInfo struct {
	Cluster uint16
	ID      uint16
	Name    string
	Type    DataType
}

var clusterNames = map[uint16]string{
	ClusterBasic:        "basic",
	ClusterPower:        "power configuration",
	ClusterDeviceTemp:   "device temperature",
	ClusterIdentify:     "identify",
	0x0004:              "groups",
	0x0005:              "scenes",
	ClusterOnOff:        "on/off",
	0x0008:              "level control",
	ClusterTime:         "time",
	ClusterBinaryInput:  "binary input",
	ClusterOTA:          "ota upgrade",
	ClusterPollControl:  "poll control",
	ClusterCovering:     "window covering",
	ClusterIlluminance:  "illuminance",
	ClusterTemperature:  "temperature",
	ClusterPressure:     "pressure",
	ClusterHumidity:     "relative humidity",
	ClusterOccupancy:    "occupancy",
	ClusterSoilMoisture: "soil moisture",
	ClusterCO2:          "carbon dioxide",
	ClusterPM25:         "pm2.5",
	ClusterIASZone:      "ias zone",
	ClusterIASACE:       "ias ace",
	ClusterIASWD:        "ias wd",
	ClusterMetering:     "metering",
	ClusterElectrical:   "electrical measurement",
}

// ClusterName names a cluster; one without a name here is given as its number in hex.
func ClusterName(id uint16) string {
	if name, ok := clusterNames[id]; ok {
		return name
	}
	return fmt.Sprintf("cluster 0x%04x", id)
}

var attributes = []AttributeInfo{
	{ClusterBasic, AttrBasicZCLVersion, "zcl version", TypeUint8},
	{ClusterBasic, 0x0001, "application version", TypeUint8},
	{ClusterBasic, 0x0002, "stack version", TypeUint8},
	{ClusterBasic, 0x0003, "hardware version", TypeUint8},
	{ClusterBasic, AttrBasicManufacture, "manufacturer name", TypeString},
	{ClusterBasic, AttrBasicModel, "model identifier", TypeString},
	{ClusterBasic, 0x0006, "date code", TypeString},
	{ClusterBasic, AttrBasicPowerSource, "power source", TypeEnum8},
	{ClusterBasic, AttrBasicFirmware, "software build", TypeString},
	{ClusterPower, 0x0000, "mains voltage", TypeUint16},
	{ClusterPower, AttrBatteryVoltage, "battery voltage", TypeUint8},
	{ClusterPower, AttrBatteryPercent, "battery percentage remaining", TypeUint8},
	{ClusterPower, 0x0031, "battery size", TypeEnum8},
	{ClusterPower, 0x0033, "battery quantity", TypeUint8},
	{ClusterDeviceTemp, 0x0000, "current temperature", TypeInt16},
	{ClusterCovering, 0x0000, "window covering type", TypeEnum8},
	{ClusterBinaryInput, 0x0055, "present value", TypeBool},
	{ClusterOnOff, 0x0000, "on/off", TypeBool},
	{ClusterPollControl, 0x0000, "check-in interval", TypeUint32},
	{ClusterIlluminance, AttrMeasuredValue, "measured value", TypeUint16},
	{ClusterTemperature, AttrMeasuredValue, "measured value", TypeInt16},
	{ClusterTemperature, 0x0001, "min measured value", TypeInt16},
	{ClusterTemperature, 0x0002, "max measured value", TypeInt16},
	{ClusterPressure, AttrMeasuredValue, "measured value", TypeInt16},
	{ClusterPressure, AttrPressureScaled, "scaled value", TypeInt16},
	{ClusterPressure, AttrPressureScale, "scale", TypeInt8},
	{ClusterHumidity, AttrMeasuredValue, "measured value", TypeUint16},
	{ClusterOccupancy, AttrMeasuredValue, "occupancy", TypeBitmap8},
	{ClusterSoilMoisture, AttrMeasuredValue, "measured value", TypeUint16},
	{ClusterCO2, AttrMeasuredValue, "measured value", TypeSingle},
	{ClusterPM25, AttrMeasuredValue, "measured value", TypeSingle},
	{ClusterIASZone, AttrZoneState, "zone state", TypeEnum8},
	{ClusterIASZone, AttrZoneType, "zone type", TypeEnum16},
	{ClusterIASZone, AttrZoneStatus, "zone status", TypeBitmap16},
	{ClusterIASZone, AttrZoneCIE, "ias cie address", TypeIEEE},
	{ClusterIASZone, AttrZoneID, "zone id", TypeUint8},
	{ClusterMetering, 0x0000, "current summation delivered", TypeUint48},
	{ClusterMetering, 0x0001, "current summation received", TypeUint48},
	{ClusterMetering, 0x0200, "status", TypeBitmap8},
	{ClusterMetering, 0x0300, "unit of measure", TypeEnum8},
	{ClusterMetering, 0x0301, "multiplier", TypeUint24},
	{ClusterMetering, 0x0302, "divisor", TypeUint24},
	{ClusterMetering, 0x0303, "summation formatting", TypeBitmap8},
	{ClusterMetering, 0x0304, "demand formatting", TypeBitmap8},
	{ClusterMetering, 0x0306, "metering device type", TypeBitmap8},
	{ClusterMetering, 0x0400, "instantaneous demand", TypeInt24},
	{ClusterElectrical, 0x0000, "measurement type", TypeBitmap32},
	{ClusterElectrical, 0x0300, "ac frequency", TypeUint16},
	{ClusterElectrical, 0x0304, "total active power", TypeInt32},
	{ClusterElectrical, 0x0400, "ac frequency multiplier", TypeUint16},
	{ClusterElectrical, 0x0401, "ac frequency divisor", TypeUint16},
	{ClusterElectrical, 0x0402, "power multiplier", TypeUint32},
	{ClusterElectrical, 0x0403, "power divisor", TypeUint32},
	{ClusterElectrical, 0x0505, "rms voltage", TypeUint16},
	{ClusterElectrical, 0x0508, "rms current", TypeUint16},
	{ClusterElectrical, 0x050b, "active power", TypeInt16},
	{ClusterElectrical, 0x050e, "reactive power", TypeInt16},
	{ClusterElectrical, 0x050f, "apparent power", TypeUint16},
	{ClusterElectrical, 0x0510, "power factor", TypeInt8},
	{ClusterElectrical, 0x0600, "ac voltage multiplier", TypeUint16},
	{ClusterElectrical, 0x0601, "ac voltage divisor", TypeUint16},
	{ClusterElectrical, 0x0602, "ac current multiplier", TypeUint16},
	{ClusterElectrical, 0x0603, "ac current divisor", TypeUint16},
	{ClusterElectrical, 0x0604, "ac power multiplier", TypeUint16},
	{ClusterElectrical, 0x0605, "ac power divisor", TypeUint16},
}

type attributeKey struct{ cluster, id uint16 }

var attributeIndex = indexAttributes()

func indexAttributes() map[attributeKey]AttributeInfo {
	index := make(map[attributeKey]AttributeInfo, len(attributes))
	for _, a := range attributes {
		index[attributeKey{a.Cluster, a.ID}] = a
	}
	return index
}

// LookupAttribute describes a standard attribute; false if it is not in the table.
func LookupAttribute(cluster, id uint16) (AttributeInfo, bool) {
	a, ok := attributeIndex[attributeKey{cluster, id}]
	return a, ok
}
