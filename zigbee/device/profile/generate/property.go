package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/peerbee/peerbee/zigbee/device/profile"
)

// property gives an exposed property without its rules; false for those made of several values.
func (c *converter) property(x *exposed) (profile.Property, bool) {
	p := profile.Property{Name: x.Name, Access: profile.Access(x.Access)}
	var known bool
	if p.Unit, known = units[x.Unit]; !known {
		c.units[x.Unit] = true
	}
	switch x.Type {
	case "n":
		p.Type = profile.Number
		if x.Low != nil && x.High != nil && *x.Low < *x.High {
			p.HasRange, p.Min, p.Max = true, *x.Low, *x.High
		}
	case "b":
		p.Type = profile.Text
		if truths(x) {
			p.Type, p.Name = profile.Boolean, booleanName(x)
		} else {
			p.Values = texts(x.OnOff)
		}
	case "e":
		p.Type, p.Values = profile.Text, texts(x.Values)
	case "t":
		p.Type = profile.Text
	default:
		return p, false
	}
	return p, true
}

// words that say yes or no to a property's name. Of other pairs nobody can tell which one true would be.
var words = map[string]bool{
	"on": true, "off": false, "true": true, "false": false, "yes": true, "no": false, "enable": true, "disable": false,
	"lock": true, "unlock": false, "locked": true, "unlocked": false,
}

// truths tells whether the values of a binary property are true and false in plain words.
func truths(x *exposed) bool {
	if len(x.OnOff) != 2 {
		return false
	}
	list := texts(x.OnOff)
	if len(list) != 2 {
		return false
	}
	on, known := words[strings.ToLower(list[0])]
	off, known2 := words[strings.ToLower(list[1])]
	_, isBool := x.OnOff[0].(bool)
	switch {
	case !known || !known2 || on == off:
		return false
	case isState(x.Name) && !strings.EqualFold(list[0], "ON"): // "state: true" says nothing of a lock
		return false
	case x.Name == "contact" && !isBool: // a contact that is ON may be open or closed
		return false
	}
	return true
}

func isState(name string) bool { return name == "state" || strings.HasPrefix(name, "state_") }

// booleanName is the facts' name but for what switches: that is "on" here.
func booleanName(x *exposed) string {
	if isState(x.Name) {
		return "on" + strings.TrimPrefix(x.Name, "state")
	}
	return x.Name
}

func texts(list []any) []string {
	var out []string
	for _, v := range list {
		if s := text(v); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// value gives a rule's outcome in the property's type; false for one that is no value of it.
func value(p *profile.Property, v any) (any, bool) {
	switch p.Type {
	case profile.Number:
		n, ok := v.(float64)
		return n, ok
	case profile.Boolean:
		if b, ok := v.(bool); ok {
			return b, true
		}
		s, ok := v.(string)
		b, known := words[strings.ToLower(s)]
		return b, ok && known
	}
	if _, isBool := v.(bool); v == nil || isBool {
		return nil, false
	}
	s := text(v)
	if strings.Contains(s, "undefined") || strings.Contains(s, "NaN") || strings.Contains(s, "[obj") || isTime(s) {
		return nil, false
	}
	if p.Name == "action" && !listed(p.Values, s) {
		return nil, false
	}
	return s, true
}

// isTime tells a time of day on which the facts were observed.
func isTime(s string) bool {
	const date = "2006-01-02T"
	if len(s) < len(date) {
		return false
	}
	_, err := time.Parse(date, s[:len(date)])
	return err == nil
}

// listed looks for a value; one with a star stands for all that differ in a number there.
func listed(values []string, s string) bool {
	return slices.ContainsFunc(values, func(v string) bool {
		before, after, star := strings.Cut(v, "*")
		return v == s || star && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
	})
}
