package sim

import (
	"slices"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zcl"
	"github.com/peerbee/peerbee/zigbee/zdo"
)

// Kind is a model of sensor, all data: what it says of itself, its attributes, and what it measures.
type Kind struct {
	Name             string
	Manufacturer     string
	Model            string
	ManufacturerCode uint16
	DeviceType       uint16
	Mains            bool // a router that never sleeps
	ZoneType         uint16
	Attributes       []Attribute // beside those every sensor has
	Out              []zb.ClusterID
	Properties       []Property // the first is the one a load test counts in
}

// Attribute is one attribute a sensor holds.
type Attribute struct {
	Cluster  uint16
	ID       uint16
	Type     zcl.DataType
	Value    any // as zcl.AppendValue takes it
	Writable bool
}

// Property is one thing a sensor measures, under the name people give it, and where its value goes.
type Property struct {
	Name      string
	Cluster   uint16
	Attribute uint16
	Type      zcl.DataType
	Scale     float64 // the attribute is the value times this, rounded for integer types; 0: 1
	Log       bool    // the attribute is 10000*log10(value)+1 (illuminance)
	Mirror    *Mirror // a second attribute of the same cluster that follows the first
	Zone      uint16  // the bit of an IAS zone's status it is instead of an attribute of its own
	Inverted  bool    // true clears the bit: a closed contact is no alarm
	Mask      uint64  // a bool that is this bit of a bitmap attribute

	Every  time.Duration // between samples
	Start  float64       // the value, or what it swings around
	Swing  float64
	Period time.Duration // of the swing
	Grow   float64       // added with every sample
	Toggle bool          // a bool that changes with every sample
	Draws  bool          // 0, or at rest if it grows, while the sensor's on/off cluster is off
}

// Mirror is a second attribute for one property.
type Mirror struct {
	ID    uint16
	Type  zcl.DataType
	Scale float64
}

const (
	endpoint1       = zb.Endpoint(1)
	deviceSensor    = 0x0302 // temperature sensor
	deviceLight     = 0x0106
	devicePressure  = 0x0305
	deviceOccupancy = 0x0107
	deviceZone      = 0x0402
	devicePlug      = 0x0051
	zoneMotion      = 0x000D
	zoneContact     = 0x0015
	zoneWater       = 0x002A

	clusterUnknown = 0xFC11
	powerMains     = 1
	powerBattery   = 3
)

// battery is a property of everything that runs on one.
var battery = Property{
	Name: "battery", Cluster: zcl.ClusterPower, Attribute: zcl.AttrBatteryPercent, Type: zcl.TypeUint8, Scale: 2,
	Every: time.Hour, Start: 98, Grow: -0.5,
}

func measured(name string, cluster uint16, t zcl.DataType, scale, start, swing float64, every time.Duration) Property {
	return Property{
		Name: name, Cluster: cluster, Attribute: zcl.AttrMeasuredValue, Type: t, Scale: scale,
		Start: start, Swing: swing, Period: 40 * every, Every: every,
	}
}

var (
	temperature = measured("temperature", zcl.ClusterTemperature, zcl.TypeInt16, 100, 21, 4, 5*time.Second)
	humidity    = measured("humidity", zcl.ClusterHumidity, zcl.TypeUint16, 100, 48, 12, 7*time.Second)
)

// kinds are the models, by name.
var kinds = index([]Kind{
	{
		Name: "temperature", Manufacturer: "peerbee-sim", Model: "SIM-TH1", ManufacturerCode: 0x1234, DeviceType: deviceSensor,
		Properties: []Property{temperature, humidity, battery},
	},
	{
		Name: "pressure", Manufacturer: "peerbee-sim", Model: "SIM-P1", ManufacturerCode: 0x1234, DeviceType: devicePressure,
		Attributes: []Attribute{{Cluster: zcl.ClusterPressure, ID: zcl.AttrPressureScale, Type: zcl.TypeInt8, Value: -1}},
		Properties: []Property{{
			Name: "pressure", Cluster: zcl.ClusterPressure, Attribute: zcl.AttrMeasuredValue, Type: zcl.TypeInt16, Scale: 1,
			Mirror: &Mirror{zcl.AttrPressureScaled, zcl.TypeInt16, 10},
			Start:  1011, Swing: 12, Period: 10 * time.Minute, Every: 10 * time.Second,
		}, temperature, battery},
	},
	{
		Name: "contact", Manufacturer: "peerbee-sim", Model: "SIM-C1", ManufacturerCode: 0x1234, DeviceType: deviceZone, ZoneType: zoneContact,
		Properties: []Property{
			{Name: "contact", Zone: zcl.ZoneAlarm1, Inverted: true, Start: 1, Toggle: true, Every: 9 * time.Second},
			battery,
		},
	},
	{
		Name: "motion", Manufacturer: "peerbee-sim", Model: "SIM-M1", ManufacturerCode: 0x1234, DeviceType: deviceZone, ZoneType: zoneMotion,
		Properties: []Property{{Name: "motion", Zone: zcl.ZoneAlarm1, Toggle: true, Every: 11 * time.Second}, battery},
	},
	{
		Name: "water", Manufacturer: "peerbee-sim", Model: "SIM-W1", ManufacturerCode: 0x1234, DeviceType: deviceZone, ZoneType: zoneWater,
		Properties: []Property{{Name: "water_leak", Zone: zcl.ZoneAlarm1, Toggle: true, Every: time.Minute}, battery},
	},
	{
		Name: "occupancy", Manufacturer: "peerbee-sim", Model: "SIM-O1", ManufacturerCode: 0x1234, DeviceType: deviceOccupancy,
		Properties: []Property{
			{Name: "occupancy", Cluster: zcl.ClusterOccupancy, Type: zcl.TypeBitmap8, Mask: 1, Toggle: true, Every: 12 * time.Second},
			measured("illuminance", zcl.ClusterIlluminance, zcl.TypeUint16, 1, 300, 250, 8*time.Second).asLog(),
			battery,
		},
	},
	{
		Name: "plug", Manufacturer: "peerbee-sim", Model: "SIM-S1", ManufacturerCode: 0x1234, DeviceType: devicePlug, Mains: true,
		Attributes: []Attribute{
			{Cluster: zcl.ClusterMetering, ID: 0x0300, Type: zcl.TypeEnum8, Value: 0},
			{Cluster: zcl.ClusterMetering, ID: 0x0301, Type: zcl.TypeUint24, Value: 1},
			{Cluster: zcl.ClusterMetering, ID: 0x0302, Type: zcl.TypeUint24, Value: 1000},
			{Cluster: zcl.ClusterMetering, ID: 0x0306, Type: zcl.TypeBitmap8, Value: 0},
			{Cluster: zcl.ClusterElectrical, ID: 0x0000, Type: zcl.TypeBitmap32, Value: 8},
			{Cluster: zcl.ClusterElectrical, ID: 0x0600, Type: zcl.TypeUint16, Value: 1},
			{Cluster: zcl.ClusterElectrical, ID: 0x0601, Type: zcl.TypeUint16, Value: 10},
			{Cluster: zcl.ClusterElectrical, ID: 0x0602, Type: zcl.TypeUint16, Value: 1},
			{Cluster: zcl.ClusterElectrical, ID: 0x0603, Type: zcl.TypeUint16, Value: 1000},
			{Cluster: zcl.ClusterElectrical, ID: 0x0604, Type: zcl.TypeUint16, Value: 1},
			{Cluster: zcl.ClusterElectrical, ID: 0x0605, Type: zcl.TypeUint16, Value: 10},
		},
		Properties: []Property{
			{Name: "energy", Cluster: zcl.ClusterMetering, Type: zcl.TypeUint48, Scale: 1000, Start: 12.5, Grow: 0.001, Every: 15 * time.Second, Draws: true},
			{Name: "on_off", Cluster: zcl.ClusterOnOff, Type: zcl.TypeBool, Start: 1},
			{Name: "power", Cluster: zcl.ClusterElectrical, Attribute: 0x050B, Type: zcl.TypeInt16, Scale: 10, Start: 60, Swing: 15, Period: 5 * time.Minute, Every: 6 * time.Second, Draws: true},
			{Name: "voltage", Cluster: zcl.ClusterElectrical, Attribute: 0x0505, Type: zcl.TypeUint16, Scale: 10, Start: 231, Swing: 3, Period: 7 * time.Minute, Every: 6 * time.Second},
			{Name: "current", Cluster: zcl.ClusterElectrical, Attribute: 0x0508, Type: zcl.TypeUint16, Scale: 1000, Start: 0.26, Swing: 0.06, Period: 5 * time.Minute, Every: 6 * time.Second, Draws: true},
		},
	},
	{
		Name: "illuminance", Manufacturer: "peerbee-sim", Model: "SIM-L1", ManufacturerCode: 0x1234, DeviceType: deviceLight,
		Properties: []Property{measured("illuminance", zcl.ClusterIlluminance, zcl.TypeUint16, 1, 420, 400, 6*time.Second).asLog(), battery},
	},
	{
		Name: "soil", Manufacturer: "peerbee-sim", Model: "SIM-G1", ManufacturerCode: 0x1234, DeviceType: deviceSensor,
		Properties: []Property{measured("soil_moisture", zcl.ClusterSoilMoisture, zcl.TypeUint16, 100, 35, 15, 10*time.Second), temperature, battery},
	},
	{
		Name: "co2", Manufacturer: "peerbee-sim", Model: "SIM-A1", ManufacturerCode: 0x1234, DeviceType: deviceSensor, Mains: true,
		Properties: []Property{measured("co2", zcl.ClusterCO2, zcl.TypeSingle, 1e-6, 640, 180, 8*time.Second), temperature, humidity},
	},
	{
		Name: "pm25", Manufacturer: "peerbee-sim", Model: "SIM-D1", ManufacturerCode: 0x1234, DeviceType: deviceSensor, Mains: true,
		Properties: []Property{measured("pm25", zcl.ClusterPM25, zcl.TypeSingle, 1, 9, 6, 8*time.Second)},
	},
	{
		Name: "unknown", Manufacturer: "nobody knows", Model: "ODD-1", ManufacturerCode: 0x1F2E, DeviceType: 0xFFF0,
		Properties: []Property{
			{Name: "odd", Cluster: clusterUnknown, Attribute: 0x0002, Type: zcl.TypeUint16, Start: 4000, Swing: 900, Period: 5 * time.Minute, Every: 10 * time.Second},
		},
	},
})

func (p Property) asLog() Property {
	p.Log = true
	return p
}

func index(all []Kind) map[string]*Kind {
	m := make(map[string]*Kind, len(all))
	for i := range all {
		m[all[i].Name] = &all[i]
	}
	return m
}

// Kinds lists the names of the models.
func Kinds() []string {
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (k *Kind) logicalType() zb.LogicalType {
	if k.Mains {
		return zb.Router
	}
	return zb.EndDevice
}

func (k *Kind) capability() zdo.Capability {
	if k.Mains {
		return zdo.CapabilityFullFunction | zdo.CapabilityMainsPowered | zdo.CapabilityRxOnWhenIdle | zdo.CapabilityAllocateAddress
	}
	return zdo.CapabilityAllocateAddress
}

// attributes are all attributes of the model with their first values.
func (k *Kind) attributes() []Attribute {
	source := uint8(powerBattery)
	if k.Mains {
		source = powerMains
	}
	all := []Attribute{
		{Cluster: zcl.ClusterBasic, ID: zcl.AttrBasicZCLVersion, Type: zcl.TypeUint8, Value: 3},
		{Cluster: zcl.ClusterBasic, ID: 0x0001, Type: zcl.TypeUint8, Value: 1},
		{Cluster: zcl.ClusterBasic, ID: 0x0002, Type: zcl.TypeUint8, Value: 2},
		{Cluster: zcl.ClusterBasic, ID: 0x0003, Type: zcl.TypeUint8, Value: 1},
		{Cluster: zcl.ClusterBasic, ID: zcl.AttrBasicManufacture, Type: zcl.TypeString, Value: k.Manufacturer},
		{Cluster: zcl.ClusterBasic, ID: zcl.AttrBasicModel, Type: zcl.TypeString, Value: k.Model},
		{Cluster: zcl.ClusterBasic, ID: 0x0006, Type: zcl.TypeString, Value: "20240101"},
		{Cluster: zcl.ClusterBasic, ID: zcl.AttrBasicPowerSource, Type: zcl.TypeEnum8, Value: source},
		{Cluster: zcl.ClusterBasic, ID: zcl.AttrBasicFirmware, Type: zcl.TypeString, Value: "1.0.0"},
		{Cluster: zcl.ClusterIdentify, ID: 0x0000, Type: zcl.TypeUint16, Value: 0, Writable: true},
	}
	if k.ZoneType != 0 {
		all = append(all,
			Attribute{Cluster: zcl.ClusterIASZone, ID: zcl.AttrZoneState, Type: zcl.TypeEnum8, Value: 0},
			Attribute{Cluster: zcl.ClusterIASZone, ID: zcl.AttrZoneType, Type: zcl.TypeEnum16, Value: k.ZoneType},
			Attribute{Cluster: zcl.ClusterIASZone, ID: zcl.AttrZoneStatus, Type: zcl.TypeBitmap16, Value: 0},
			Attribute{Cluster: zcl.ClusterIASZone, ID: zcl.AttrZoneCIE, Type: zcl.TypeIEEE, Value: zb.IEEEAddress(0), Writable: true},
			Attribute{Cluster: zcl.ClusterIASZone, ID: zcl.AttrZoneID, Type: zcl.TypeUint8, Value: 0xFF},
		)
	}
	return append(all, k.Attributes...)
}

// clusters lists what the first endpoint serves, in order.
func (k *Kind) clusters() []zb.ClusterID {
	var in []zb.ClusterID
	for _, a := range k.attributes() {
		in = append(in, zb.ClusterID(a.Cluster))
	}
	for _, p := range k.Properties {
		if p.Zone == 0 {
			in = append(in, zb.ClusterID(p.Cluster))
		}
	}
	slices.Sort(in)
	return slices.Compact(in)
}

// descriptors lists the endpoints of the model.
func (k *Kind) descriptors() []zdo.SimpleDescriptor {
	all := []zdo.SimpleDescriptor{{
		Endpoint: endpoint1, Profile: zb.ProfileHomeAutomation, DeviceType: k.DeviceType, DeviceVersion: 1,
		InClusters: k.clusters(), OutClusters: append([]zb.ClusterID{zb.ClusterID(zcl.ClusterOTA)}, k.Out...),
	}}
	if k.Mains {
		all = append(all, zdo.SimpleDescriptor{
			Endpoint: zdo.EndpointGreenPower, Profile: greenPowerProfile, DeviceType: greenPowerProxy,
			OutClusters: []zb.ClusterID{greenPowerCluster},
		})
	}
	return all
}

// Every router of Zigbee 3.0 is a Green Power proxy.
const (
	greenPowerProfile = 0xA1E0
	greenPowerProxy   = 0x0061
	greenPowerCluster = 0x0021
)
