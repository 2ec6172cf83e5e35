package reading

import "testing"

func TestSummary(t *testing.T) {
	units := map[string]string{"temperature": "Cel", "humidity": "%"}
	for _, c := range []struct {
		name   string
		values []Value
		raw    bool
		want   string
	}{
		{"two values", []Value{{Name: "temperature", Value: 21.5}, {Name: "humidity", Value: 48.0}}, false, "temperature 21.5 °C, humidity 48 %"},
		{"quiet alarms", []Value{{Name: "battery_low", Value: false}, {Name: "contact", Value: true}, {Name: "tamper", Value: false}}, false, "contact yes"},
		{"loud alarm", []Value{{Name: "contact", Value: true}, {Name: "tamper", Value: true}}, false, "contact yes, tamper yes"},
		{"nothing but quiet alarms", []Value{{Name: "tamper", Value: false}}, false, "tamper no"},
		{"unknown alarm is not quiet", []Value{{Name: "contact", Value: true}, {Name: "tamper", Status: StatusUnknown}}, false, "contact yes, tamper unknown"},
		{"raw left out", []Value{{Name: "raw_fc11_0002", Value: []byte{1}}, {Name: "on", Value: true}}, false, "on yes"},
		{"only raw", []Value{{Name: "raw_fc11_0002", Value: []byte{1}}}, false, ""},
		{"raw asked for", []Value{{Name: "raw_fc11_0002", Value: []byte{1, 255}}, {Name: "tamper", Value: false}}, true, "raw_fc11_0002 01ff, tamper no"},
		{"a name that moves the cursor", []Value{{Name: "on\x1b[2J", Value: true}}, false, `on\x1b[2J yes`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Summary(c.values, units, c.raw); got != c.want {
				t.Errorf("Summary = %q, want %q", got, c.want)
			}
		})
	}
}
