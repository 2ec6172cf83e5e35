package profile

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Fingerprint is what is known of a device when its profile is looked for. What is not known yet stays empty.
type Fingerprint struct {
	Model, Manufacturer string // Basic attributes 0x0005 and 0x0004
	ManufacturerCode    uint16 // of the node descriptor
	IEEE                uint64
	Type                string // "Router" or "EndDevice"
	Power               string // "mains", "battery", "dc"
	Firmware            string // Basic attribute 0x4000
	Endpoints           []Endpoint
	// The rest of the Basic cluster, nil where it has not been read.
	ApplicationVersion, HardwareVersion, ZCLVersion *uint8
	DateCode                                        *string
}

// Endpoint is what a simple descriptor says (R22 section 2.3.2.5).
type Endpoint struct {
	ID                uint8
	Profile           uint16
	DeviceType        uint16
	Clusters, Outputs []uint16
}

// Condition is what a device must be for a profile to be its own. The flags say which fields count.
type Condition struct {
	// Plain conditions hold a model name only; any other condition that is met goes before them.
	Plain               bool
	HasModel            bool
	HasManufacturer     bool
	Model, Manufacturer string
	ManufacturerCode    uint16 // 0 for any, as all below
	IEEEPrefix          string // the first hex digits
	Type, Power         string
	Firmware            string
	DateCode            string
	// Versions are one more than the number; 0 for any.
	ApplicationVersion, HardwareVersion, ZCLVersion uint16
	Priority                                        int64
	Endpoints                                       []EndpointCondition
}

// EndpointCondition is what one endpoint must be; each list counts where its flag is set.
type EndpointCondition struct {
	ID                  uint8
	Profile, DeviceType uint16 // 0 for any
	HasClusters         bool
	HasOutputs          bool
	Clusters, Outputs   []uint16
}

// verdict is how far a condition is met by what is known.
type verdict uint8

const (
	no verdict = iota
	maybe
	yes
)

// verdict compares. It is maybe where something the condition asks for is not known of the device.
func (c *Condition) verdict(f *Fingerprint) verdict {
	if c.HasModel && c.Model != f.Model || c.HasManufacturer && c.Manufacturer != f.Manufacturer {
		return no
	}
	if len(c.IEEEPrefix) > 0 && !hasHexPrefix(f.IEEE, c.IEEEPrefix) {
		return no
	}
	v := yes
	for _, part := range []verdict{
		known(c.ManufacturerCode, f.ManufacturerCode),
		known(c.Type, f.Type),
		known(c.Power, f.Power),
		known(c.Firmware, f.Firmware),
		version(c.ApplicationVersion, f.ApplicationVersion),
		version(c.HardwareVersion, f.HardwareVersion),
		version(c.ZCLVersion, f.ZCLVersion),
		dateCode(c.DateCode, f.DateCode),
		endpoints(c.Endpoints, f.Endpoints),
	} {
		v = min(v, part)
	}
	return v
}

func known[T comparable](want, have T) verdict {
	var empty T
	switch {
	case want == empty || want == have:
		return yes
	case have == empty:
		return maybe
	}
	return no
}

func version(want uint16, have *uint8) verdict {
	switch {
	case want == 0:
		return yes
	case have == nil:
		return maybe
	case uint16(*have) == want-1:
		return yes
	}
	return no
}

func dateCode(want string, have *string) verdict {
	switch {
	case want == "":
		return yes
	case have == nil:
		return maybe
	case *have == want:
		return yes
	}
	return no
}

// endpoints wants all of the device's endpoints listed, and each as listed.
func endpoints(want []EndpointCondition, have []Endpoint) verdict {
	switch {
	case len(want) == 0:
		return yes
	case len(have) == 0:
		return maybe
	case len(have) != len(want):
		return no
	}
	for i := range want {
		w := &want[i]
		at := slices.IndexFunc(have, func(e Endpoint) bool { return e.ID == w.ID })
		if at < 0 || w.Profile != 0 && w.Profile != have[at].Profile || w.DeviceType != 0 && w.DeviceType != have[at].DeviceType ||
			w.HasClusters && !sameSet(w.Clusters, have[at].Clusters) || w.HasOutputs && !sameSet(w.Outputs, have[at].Outputs) {
			return no
		}
	}
	return yes
}

func sameSet(a, b []uint16) bool {
	if len(a) != len(b) {
		return false
	}
	for _, v := range a {
		if !slices.Contains(b, v) {
			return false
		}
	}
	return true
}

// hasHexPrefix compares the first digits of an address written as 16 hex digits.
func hasHexPrefix(ieee uint64, prefix string) bool {
	const digits = "0123456789abcdef"
	for i := 0; i < len(prefix) && i < 16; i++ {
		if digits[ieee>>(60-4*i)&0xf] != prefix[i] {
			return false
		}
	}
	return true
}

// Clean frees a device's text of what is not to be printed: devices fill with NULs, and worse may come.
func Clean(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, text))
}
