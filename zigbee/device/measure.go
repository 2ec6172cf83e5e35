// Package device turns what a Zigbee device says (attributes, status notifications) into named properties
// with units, by tables of data. It must never know ports, sticks, peers or storage.
package device

// Measure is one property's value as people read it.
type Measure struct {
	// Property is the stable name: "temperature", "humidity", "contact". Endpoints beyond the first that
	// carry the same property add a suffix: "temperature_2". Raw attributes of clusters without a rule are
	// named "raw_<cluster>_<attribute>" in hex: "raw_fc11_0002".
	Property string
	// Value is a float64, int64, bool, string or []byte; nil when the device says the value is unknown.
	Value any
	// Unit is a UCUM code ("Cel", "%", "hPa", "lx"), empty where there is none.
	Unit string
}
