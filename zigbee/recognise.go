package zigbee

import (
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/device/profile"
)

// Support tells how much is known of a device's model.
type Support string

// Levels of support.
const (
	SupportTable   Support = "table"   // the table of models knows all it publishes
	SupportPartial Support = "partial" // the table knows the model, but not all of its properties
	SupportGeneric Support = "generic" // what the standard says of its clusters, the rest raw
)

// recognise looks the device up in the table of models, and says whether that changed its record. A model that
// depends on something not known yet is looked up again when more is.
func (e *entry) recognise() (changed bool) {
	before := e.Support
	id, found := profile.Find(fingerprint(e.Device))
	switch {
	case !found:
		if e.meaning.Profile() != nil {
			e.meaning.SetProfile(nil)
		}
		e.Support = SupportGeneric
	case e.meaning.Profile() == nil || e.profile != id:
		p, ok := profile.Load(id)
		if !ok {
			e.Support = SupportGeneric
			break
		}
		e.meaning.SetProfile(p)
		e.profile, e.Support = id, SupportPartial
		if p.Complete {
			e.Support = SupportTable
		}
	}
	return e.Support != before
}

// fingerprint is what a device's record tells of its model.
func fingerprint(d Device) profile.Fingerprint {
	f := profile.Fingerprint{
		Model: d.Model, Manufacturer: d.Manufacturer, ManufacturerCode: uint16(d.ManufacturerCode),
		IEEE: uint64(d.IEEE), Power: d.PowerSource, Firmware: d.Firmware,
	}
	switch d.Type {
	case zb.Router:
		f.Type = "Router"
	case zb.EndDevice:
		f.Type = "EndDevice"
	}
	for _, ep := range d.Endpoints {
		f.Endpoints = append(f.Endpoints, profile.Endpoint{
			ID: uint8(ep.ID), Profile: uint16(ep.Profile), DeviceType: ep.DeviceType,
			Clusters: clusterNumbers(ep.InClusters), Outputs: clusterNumbers(ep.OutClusters),
		})
	}
	return f
}

func clusterNumbers(list []zb.ClusterID) []uint16 {
	numbers := make([]uint16, 0, len(list))
	for _, c := range list {
		numbers = append(numbers, uint16(c))
	}
	return numbers
}
