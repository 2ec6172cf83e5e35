package reading

// names numbers the property names that have a short form on the wire: the index is the number. The list only
// ever grows at its end (docs/protocol/reading.md); every other name travels as text.
var names = [...]string{
	0: "temperature", 1: "humidity", 2: "pressure", 3: "battery", 4: "battery_voltage", 5: "linkquality",
	6: "illuminance", 7: "occupancy", 8: "contact", 9: "water_leak", 10: "smoke", 11: "battery_low",
	12: "tamper", 13: "on", 14: "power", 15: "current", 16: "energy", 17: "voltage",
	18: "co2", 19: "pm25", 20: "soil_moisture", 21: "vibration", 22: "action", 23: "alarm",
	24: "gas", 25: "emergency", 26: "glass_break", 27: "mains_voltage", 28: "apparent_power", 29: "power_factor",
	30: "total_power", 31: "frequency", 32: "energy_returned", 33: "volume", 34: "flow", 35: "voltage_phase_b",
	36: "current_phase_b", 37: "power_phase_b", 38: "voltage_phase_c", 39: "current_phase_c", 40: "power_phase_c", 41: "temperature_2",
	42: "humidity_2", 43: "on_2", 44: "on_3", 45: "on_4", 46: "power_2", 47: "energy_2",
	48: "voc", 49: "formaldehyde", 50: "carbon_monoxide", 51: "position", 52: "brightness", 53: "noise",
}

var numbers = func() map[string]uint64 {
	m := make(map[string]uint64, len(names))
	for i, n := range names {
		m[n] = uint64(i)
	}
	return m
}()
