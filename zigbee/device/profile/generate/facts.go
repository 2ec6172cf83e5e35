package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/peerbee/peerbee/zigbee/device/profile"
)

// facts is one entry of the facts file.
type facts struct {
	Model        string             `json:"m"`
	Vendor       string             `json:"v"`
	Models       []string           `json:"z"`
	Labels       [][2]string        `json:"w"`
	Fingerprints []fingerprintFacts `json:"f"`
	Exposed      []exposed          `json:"ex"`
	Rules        []ruleFacts        `json:"r"`
}

type fingerprintFacts struct {
	ModelID            *string `json:"modelID"`
	ManufacturerName   *string `json:"manufacturerName"`
	ManufacturerID     uint16  `json:"manufacturerID"`
	IEEE               string  `json:"ieeeAddr"`
	Type               string  `json:"type"`
	PowerSource        string  `json:"powerSource"`
	SoftwareBuildID    string  `json:"softwareBuildID"`
	DateCode           *string `json:"dateCode"`
	ApplicationVersion *uint8  `json:"applicationVersion"`
	HardwareVersion    *uint8  `json:"hardwareVersion"`
	ZCLVersion         *uint8  `json:"zclVersion"`
	Priority           int64   `json:"priority"`
	Endpoints          []struct {
		ID             uint8     `json:"ID"`
		ProfileID      uint16    `json:"profileID"`
		DeviceID       uint16    `json:"deviceID"`
		InputClusters  *[]uint16 `json:"inputClusters"`
		OutputClusters *[]uint16 `json:"outputClusters"`
	} `json:"endpoints"`
}

// exposed is a property; OnOff holds the values for on and off, in this order.
type exposed struct {
	Name     string   `json:"p"`
	Type     string   `json:"t"`
	Access   uint8    `json:"a"`
	Unit     string   `json:"u"`
	Low      *float64 `json:"lo"`
	High     *float64 `json:"hi"`
	Values   []any    `json:"v"`
	OnOff    []any    `json:"oo"`
	Category string   `json:"c"`
}

type ruleFacts struct {
	Source    string         `json:"s"`
	Property  string         `json:"p"`
	Kind      string         `json:"k"`
	Cluster   string         `json:"c"`
	Attribute any            `json:"attr"`
	Command   string         `json:"cmd"`
	Param     string         `json:"par"`
	Datapoint uint16         `json:"dp"`
	Tag       uint8          `json:"tag"`
	Endpoint  uint8          `json:"e"`
	A         float64        `json:"a"`
	B         float64        `json:"b"`
	A10       float64        `json:"a10"`
	Bit       uint8          `json:"bit"`
	On        any            `json:"t"`
	Off       any            `json:"f"`
	Map       map[string]any `json:"m"`
	Default   any            `json:"d"`
	Table     [][2]float64   `json:"tbl"`
	Value     any            `json:"v"`
	Round     int            `json:"round"`
	Approx    int            `json:"approx"`
	Guard     int            `json:"guard"`
}

// attribute gives the attribute's name or number as text.
func (r *ruleFacts) attribute() string {
	switch a := r.Attribute.(type) {
	case string:
		return a
	case float64:
		return strconv.FormatFloat(a, 'f', -1, 64)
	}
	return ""
}

// conditions says which devices the entry is for.
func (f *facts) conditions() []profile.Condition {
	var list []profile.Condition
	for i := range f.Fingerprints {
		if c, ok := f.Fingerprints[i].condition(); ok {
			list = append(list, c)
		}
	}
	for _, model := range f.Models {
		clean := profile.Clean(model)
		// A model of unprintable bytes tells devices no longer apart without them.
		if clean == "" || len(clean) < len(model)/2 && len(clean) < 4 {
			continue
		}
		same := func(c profile.Condition) bool { return c.Plain && c.Model == clean }
		if !slices.ContainsFunc(list, same) {
			list = append(list, profile.Condition{Plain: true, HasModel: true, Model: clean})
		}
	}
	return list
}

func (f *fingerprintFacts) condition() (profile.Condition, bool) {
	c := profile.Condition{
		ManufacturerCode: f.ManufacturerID, Type: f.Type, Firmware: f.SoftwareBuildID, Priority: f.Priority,
		ApplicationVersion: plusOne(f.ApplicationVersion), HardwareVersion: plusOne(f.HardwareVersion), ZCLVersion: plusOne(f.ZCLVersion),
	}
	if f.ModelID != nil {
		c.HasModel, c.Model = true, profile.Clean(*f.ModelID)
	}
	if f.ManufacturerName != nil {
		c.HasManufacturer, c.Manufacturer = true, profile.Clean(*f.ManufacturerName)
	}
	if f.DateCode != nil {
		c.DateCode = *f.DateCode
	}
	switch {
	case strings.HasPrefix(f.PowerSource, "Mains"):
		c.Power = "mains"
	case f.PowerSource == "Battery":
		c.Power = "battery"
	case f.PowerSource != "":
		return c, false
	}
	for _, e := range f.Endpoints {
		ec := profile.EndpointCondition{ID: e.ID, Profile: e.ProfileID, DeviceType: e.DeviceID}
		if e.InputClusters != nil {
			ec.HasClusters, ec.Clusters = true, *e.InputClusters
		}
		if e.OutputClusters != nil {
			ec.HasOutputs, ec.Outputs = true, *e.OutputClusters
		}
		c.Endpoints = append(c.Endpoints, ec)
	}
	if f.IEEE != "" {
		var ok bool
		if c.IEEEPrefix, ok = ieeePrefix(f.IEEE); !ok {
			return c, false
		}
	}
	// An empty model or maker is what a device has before it has been asked.
	empty := c.HasModel && c.Model == "" || c.HasManufacturer && c.Manufacturer == ""
	return c, !empty && (c.HasModel || c.HasManufacturer || c.ManufacturerCode != 0)
}

func plusOne(v *uint8) uint16 {
	if v == nil {
		return 0
	}
	return uint16(*v) + 1
}

// ieeePrefix reads the one pattern the facts use: /^0x0123..$/, where dots stand for any digit.
func ieeePrefix(pattern string) (string, bool) {
	digits, ok := strings.CutPrefix(pattern, "/^0x")
	if !ok {
		return "", false
	}
	digits, ok = strings.CutSuffix(digits, "$/")
	fixed := strings.TrimRight(digits, ".")
	return fixed, ok && len(digits) == 16 && !strings.ContainsAny(fixed, ".*[(")
}
