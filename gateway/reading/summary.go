package reading

import "strings"

// RawPrefix begins the name of an attribute no profile explains.
const RawPrefix = "raw_"

// quietAlarms are properties every report of an alarm sensor carries: worth a word only when they are true.
var quietAlarms = map[string]bool{"battery_low": true, "tamper": true}

// Summary writes values on one line for people: "temperature 21.5 °C, humidity 48 %". units holds UCUM codes by
// property. Without raw, raw attributes are left out, and so are battery_low and tamper while they are false,
// unless there is nothing else to say. It is empty when everything was left out.
func Summary(values []Value, units map[string]string, raw bool) string {
	var said, quiet []string
	for _, v := range values {
		text := printable(v.Name) + " " + FormatValue(v, units[v.Name])
		on, isBool := v.Value.(bool)
		switch {
		case raw:
			said = append(said, text)
		case strings.HasPrefix(v.Name, RawPrefix):
		case isBool && !on && v.Status == StatusOK && quietAlarms[v.Name]:
			quiet = append(quiet, text)
		default:
			said = append(said, text)
		}
	}
	if len(said) == 0 {
		said = quiet
	}
	return strings.Join(said, ", ")
}
