package sim

import (
	"slices"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

// Commands of the on/off and identify clusters.
const (
	commandOff           = 0x00
	commandOn            = 0x01
	commandToggle        = 0x02
	commandIdentify      = 0x00
	commandIdentifyQuery = 0x01

	zoneNotEnrolled = 0
	zoneEnrolled    = 1
	noZone          = 0xFF
)

// clusterCommand carries out a command of a cluster. No payload stands for a default response.
func (s *Stick) clusterCommand(d *sensor, cluster uint16, f zcl.Frame) (uint8, []byte, zcl.Status) {
	if f.Manufacturer != 0 {
		return 0, nil, zcl.StatusUnsupManufCluster
	}
	if !slices.Contains(d.kind.clusters(), zb.ClusterID(cluster)) {
		return 0, nil, zcl.StatusUnsupportedCluster
	}
	switch {
	case cluster == zcl.ClusterIdentify && (f.Command == commandIdentify || f.Command == commandIdentifyQuery):
		return 0, nil, zcl.StatusSuccess
	case cluster == zcl.ClusterOnOff && f.Command <= commandToggle:
		s.switchTo(d, f.Command)
		return 0, nil, zcl.StatusSuccess
	case cluster == zcl.ClusterIASZone && f.Command == zcl.CommandZoneEnrollResponse:
		return 0, nil, s.enrolled(d, f.Payload)
	}
	return 0, nil, zcl.StatusUnsupCommand
}

func (s *Stick) switchTo(d *sensor, command uint8) {
	for i := range d.props {
		p := &d.props[i]
		if p.Cluster != zcl.ClusterOnOff || p.Zone != 0 {
			continue
		}
		switch command {
		case commandToggle:
			p.value = 1 - p.value
		default:
			p.value = float64(command)
		}
		d.store(p)
	}
	// What it was told to do it answers first; that it did is said in a report.
	s.after(time.Millisecond, func() { s.tick(d, time.Now()) })
}

// afterWrite sends what a write sets off: an IAS zone that learns where to send its alarms asks to be enrolled
// (ZCL section 8.2.2.2.3).
func (s *Stick) afterWrite(d *sensor) {
	cie := d.attrs[attrKey{zcl.ClusterIASZone, zcl.AttrZoneCIE}]
	if cie == nil || !cie.dirty {
		return
	}
	cie.dirty = false
	if cie.Value != s.mem.IEEE() {
		return
	}
	d.seq++
	request := zcl.ZoneEnrollRequest{ZoneType: d.kind.ZoneType, Manufacturer: d.kind.ManufacturerCode}
	s.fromSensor(d, s.reportEndpoint(d, zcl.ClusterIASZone), zb.ClusterID(zcl.ClusterIASZone), zcl.Frame{
		Type: zcl.ClusterSpecific, FromServer: true, Seq: d.seq, Command: zcl.CommandZoneEnrollRequest, Payload: request.Append(nil),
	}, false)
}

// enrolled takes the answer to an enrolment, asked for or not.
func (s *Stick) enrolled(d *sensor, payload []byte) zcl.Status {
	r, err := zcl.DecodeZoneEnrollResponse(payload)
	if err != nil {
		return zcl.StatusMalformedCommand
	}
	if cie := d.attrs[attrKey{zcl.ClusterIASZone, zcl.AttrZoneCIE}]; cie.Value != s.mem.IEEE() {
		return zcl.StatusNotAuthorized
	}
	state, zone := uint64(zoneNotEnrolled), uint64(noZone)
	if r.Code == zcl.EnrollSuccess {
		state, zone = zoneEnrolled, uint64(r.Zone)
	}
	d.attrs[attrKey{zcl.ClusterIASZone, zcl.AttrZoneState}].Value = state
	d.attrs[attrKey{zcl.ClusterIASZone, zcl.AttrZoneID}].Value = zone
	return zcl.StatusSuccess
}

// trustNetwork enrols a sensor that was a member before the simulation began.
func (d *sensor) trustNetwork(cie zb.IEEEAddress) {
	if a := d.attrs[attrKey{zcl.ClusterIASZone, zcl.AttrZoneCIE}]; a != nil {
		a.Value = cie
		d.attrs[attrKey{zcl.ClusterIASZone, zcl.AttrZoneState}].Value = uint64(zoneEnrolled)
		d.attrs[attrKey{zcl.ClusterIASZone, zcl.AttrZoneID}].Value = uint64(0)
	}
}

// notify tells of a zone's status, as an enrolled zone does.
func (s *Stick) notify(d *sensor) {
	state, _ := toFloat(d.attrs[attrKey{zcl.ClusterIASZone, zcl.AttrZoneState}].Value)
	if state != zoneEnrolled {
		return
	}
	zone, _ := toFloat(d.attrs[attrKey{zcl.ClusterIASZone, zcl.AttrZoneID}].Value)
	d.seq++
	change := zcl.ZoneStatusChange{
		Status: zoneStatus(d.attrs[attrKey{zcl.ClusterIASZone, zcl.AttrZoneStatus}]), Zone: uint8(zone),
	}
	s.sent()
	s.fromSensor(d, s.reportEndpoint(d, zcl.ClusterIASZone), zb.ClusterID(zcl.ClusterIASZone), zcl.Frame{
		Type: zcl.ClusterSpecific, FromServer: true, Seq: d.seq, Command: zcl.CommandZoneStatusChange, Payload: change.Append(nil),
	}, true)
}
