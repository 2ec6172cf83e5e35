package reading

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// StreamKey is the stream of the device with that EUI-64.
func StreamKey(eui64 uint64) string { return fmt.Sprintf("%016x", eui64) }

// ParseStreamKey is the reverse of StreamKey; it takes nothing but 16 lower-case hex digits.
func ParseStreamKey(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 || strings.ToLower(s) != s {
		return 0, fmt.Errorf("stream %q is not 16 lower-case hex digits", s)
	}
	return n, nil
}

var timeQualities = [...]string{"synchronised", "holdover", "unknown"}

// String gives the quality's word in the JSON form.
func (q TimeQuality) String() string {
	if int(q) < len(timeQualities) {
		return timeQualities[q]
	}
	return "invalid"
}

func parseTimeQuality(s string) (TimeQuality, error) {
	for i, w := range timeQualities {
		if s == w {
			return TimeQuality(i), nil
		}
	}
	return 0, fmt.Errorf("%w: clock %q", ErrJSON, s)
}

// unitSigns gives the sign people know for a UCUM code; a code that is missing here is shown as it is.
var unitSigns = map[string]string{
	"Cel": "°C", "[degF]": "°F", "K": "K", "%": "%", "hPa": "hPa", "kPa": "kPa", "Pa": "Pa", "bar": "bar",
	"lx": "lx", "V": "V", "mV": "mV", "A": "A", "mA": "mA", "W": "W", "kW": "kW", "VA": "VA", "var": "var",
	"W.h": "Wh", "kW.h": "kWh", "kV.A": "kVA", "Hz": "Hz", "s": "s", "min": "min", "h": "h", "d": "d", "ms": "ms",
	"[ppm]": "ppm", "[ppb]": "ppb", "10*-6": "ppm", "ug/m3": "µg/m³", "mg/m3": "mg/m³", "m3": "m³", "m3/h": "m³/h", "L": "l", "L/min": "l/min",
	"m/s": "m/s", "m": "m", "cm": "cm", "mm": "mm", "deg": "°", "dB": "dB", "dB[SPL]": "dB", "dB[mW]": "dBm", "g": "g", "kg": "kg", "1": "",
	"uS/cm": "µS/cm", "m/s2": "m/s²", "g/m3": "g/m³",
}

// UnitSign gives the sign people know for a UCUM code: "Cel" is "°C".
func UnitSign(ucum string) string {
	if s, ok := unitSigns[ucum]; ok {
		return s
	}
	return ucum
}

// FormatValue writes a value for people, with at most three decimals: 21.5 in "Cel" is "21.5 °C".
func FormatValue(v Value, ucum string) string {
	if v.Status != StatusOK || v.Value == nil {
		return "unknown"
	}
	var s string
	switch x := v.Value.(type) {
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return "unknown"
		}
		s = strconv.FormatFloat(math.Round(x*1000)/1000+0, 'f', -1, 64)
	case int64:
		s = strconv.FormatInt(x, 10)
	case bool:
		return map[bool]string{true: "yes", false: "no"}[x]
	case string:
		return printable(x)
	case []byte:
		return hex.EncodeToString(x)
	default:
		return "unknown"
	}
	switch sign := UnitSign(ucum); sign {
	case "":
		return s
	case "°":
		return s + sign
	default:
		return s + " " + sign
	}
}

// printable keeps a device's text from moving the cursor of the terminal it is shown in.
func printable(s string) string {
	q := strconv.Quote(s)
	if q = q[1 : len(q)-1]; q == s {
		return s
	}
	return q
}

// String is one line for logs: stream, sequence, time and the values without units.
func (r Reading) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s #%d %s", r.Stream, r.Seq, r.Time.UTC().Format(timeLayout))
	for _, v := range r.Values {
		fmt.Fprintf(&b, " %s=%s", printable(v.Name), FormatValue(v, ""))
	}
	return b.String()
}

func compactJSON(w *strings.Builder, b []byte) error {
	var buf bytes.Buffer
	if err := json.Compact(&buf, b); err != nil {
		return fmt.Errorf("%w: %w", ErrJSON, err)
	}
	w.Write(buf.Bytes())
	return nil
}
