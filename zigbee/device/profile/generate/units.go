package main

// units gives the facts' units in UCUM. What only counts something is dimensionless.
var units = map[string]string{
	"": "", "°C": "Cel", "C": "Cel", "  C": "Cel", "℃": "Cel", "ºC": "Cel", "°F": "[degF]", "℉": "[degF]", "K": "K",
	"%": "%", "‰": "[ppth]", "%LEL": "%{LEL}", "LEL %": "%{LEL}", "LEL": "%{LEL}",
	"mired": "/MK", "kWh": "kWh", "Wh": "Wh", "W": "W", "w": "W", "watt": "W", "kW": "kW", "mWt": "mW",
	"V": "V", "volt": "V", "Volt": "V", "mV": "mV", "A": "A", "mA": "mA", "Hz": "Hz",
	"VA": "V.A", "kVA": "kV.A", "VAR": "V.A{reactive}", "VAr": "V.A{reactive}", "VArh": "V.A.h{reactive}", "kVArh": "kV.A.h{reactive}",
	"ms": "ms", "10 ms": "10.ms", "s": "s", "S": "s", "sec": "s", "Sec": "s", "sec.": "s", "seconds": "s", "Seconds": "s", "10s": "10.s",
	"min": "min", "min.": "min", "minute": "min", "minutes": "min",
	"h": "h", "H": "h", "Hr": "h", "Hours": "h", "hours": "h", "d": "d", "day": "d", "Day": "d", "days": "d", "gg": "d",
	"m": "m", "meters": "m", "cm": "cm", "mm": "mm", "µm": "um", "m/s": "m/s", "mm/s": "mm/s", "mm/h": "mm/h",
	"lx": "lx", "Lx": "lx", "lux": "lx", "°": "deg", "*": "deg",
	"ppm": "[ppm]", "ppb": "[ppb]", "µg/m³": "ug/m3", "ug/m3": "ug/m3", "mg/m³": "mg/m3", "mg/L": "mg/L", "#/cm³": "/cm3",
	"kPa": "kPa", "hPa": "hPa", "hPa/h": "hPa/h", "bar": "bar", "psi": "[psi]", "g": "g",
	"L": "L", "L/h": "L/h", "m³": "m3", "m3": "m3", "m³/h": "m3/h", "gal": "[gal_us]", "gal/min": "[gal_us]/min",
	"μS/cm": "uS/cm", "µS/cm": "uS/cm", "pH": "[pH]", "μR/h": "uR/h",
	"dB": "dB", "dBA": "dB{A}", "dBm": "dB[mW]", "dB/m": "dB/m", "rpm": "/min{turns}", "breaths/min": "/min{breaths}",
	"VOC Index points": "{index}", "VOC index points": "{index}", "NOx Index points": "{index}", "PM2.5 Index": "{index}", "index": "{index}",
	"raw unit": "", "raw": "", "adc": "", "x": "", "level": "", "times": "", "portion": "", "lqi": "",
	// Which of two it is depends on another property.
	"minutes or litres": "", "seconds or litres": "",
}
