package sim

import (
	"slices"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zcl"
	"github.com/peerbee/peerbee/zigbee/zdo"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

// delivery is an application message on its way to a sensor.
type delivery struct {
	from, to zb.Endpoint
	cluster  zb.ClusterID
	data     []byte
	unicast  bool // only then is it answered
}

// deliver lets the sensor act on a message and answer it.
func (s *Stick) deliver(d *sensor, m delivery) {
	if m.to != endpoint1 && m.to != zdo.EndpointBroadcast {
		return
	}
	f, err := zcl.Decode(m.data)
	if err != nil || f.FromServer && f.Type == zcl.ProfileWide {
		return // no request to a sensor
	}
	answer := d.foundation
	if f.Type == zcl.ClusterSpecific {
		answer = func(cluster uint16, f zcl.Frame) (uint8, []byte, zcl.Status) { return s.clusterCommand(d, cluster, f) }
	}
	cluster := uint16(m.cluster)
	command, payload, status := answer(cluster, f)
	if payload == nil {
		own := f.Type == zcl.ProfileWide && f.Command == zcl.CommandDefaultResponse
		if own || f.DisableDefaultResponse && status == zcl.StatusSuccess {
			return
		}
		reply := zcl.DefaultResponse{Command: f.Command, Status: status}
		f.Type = zcl.ProfileWide
		command, payload = zcl.CommandDefaultResponse, reply.Append(nil)
	}
	if m.unicast {
		s.fromSensor(d, m.from, m.cluster, f.Reply(command, payload), false)
	}
	if f.Type == zcl.ProfileWide && f.Command == zcl.CommandWriteAttributes {
		s.afterWrite(d)
	}
}

// fromSensor sends a frame of the sensor to an endpoint of the stick.
func (s *Stick) fromSensor(d *sensor, to zb.Endpoint, cluster zb.ClusterID, f zcl.Frame, report bool) {
	d.polled(time.Now())
	s.incomingFrom(mt.AFIncomingMsg{
		Cluster: cluster, Src: d.nwk, SrcEndpoint: endpoint1, DstEndpoint: to, LinkQuality: d.lqi, Data: f.Append(nil),
	}, report)
}

// foundation answers the commands every cluster has. No payload stands for a default response.
func (d *sensor) foundation(cluster uint16, f zcl.Frame) (command uint8, payload []byte, status zcl.Status) {
	if !slices.Contains(d.kind.clusters(), zb.ClusterID(cluster)) && f.Command != zcl.CommandDefaultResponse {
		return 0, nil, zcl.StatusUnsupportedCluster
	}
	var err error
	switch f.Command {
	case zcl.CommandReadAttributes:
		command = zcl.CommandReadAttributesResponse
		payload, err = d.read(cluster, f)
	case zcl.CommandWriteAttributes, zcl.CommandWriteUndivided:
		command = zcl.CommandWriteAttributesResponse
		payload, err = d.write(cluster, f)
	case zcl.CommandWriteNoResponse:
		_, err = d.write(cluster, f)
		if err == nil {
			return 0, nil, zcl.StatusSuccess
		}
	case zcl.CommandConfigureReporting:
		command = zcl.CommandConfigureReportingRsp
		payload, err = d.configure(cluster, f.Payload)
	case zcl.CommandReadReporting:
		command = zcl.CommandReadReportingResponse
		payload, err = d.readReporting(cluster, f.Payload)
	case zcl.CommandDiscoverAttributes:
		command = zcl.CommandDiscoverAttributesRsp
		payload, err = d.discover(cluster, f.Payload)
	case zcl.CommandDefaultResponse:
		return 0, nil, zcl.StatusSuccess
	default:
		return 0, nil, zcl.StatusUnsupGeneralCommand
	}
	if err != nil {
		return 0, nil, zcl.StatusMalformedCommand
	}
	return command, payload, zcl.StatusSuccess
}

// find gives the attribute a frame is about. Attributes of a manufacturer are not among those of these sensors.
func (d *sensor) find(cluster, id uint16, f zcl.Frame) *attribute {
	if f.Manufacturer != 0 {
		return nil
	}
	return d.attrs[attrKey{cluster, id}]
}

func (d *sensor) read(cluster uint16, f zcl.Frame) ([]byte, error) {
	ids, err := zcl.DecodeReadRequest(f.Payload)
	if err != nil {
		return nil, err //nolint:wrapcheck // looked at, not shown
	}
	records := make([]zcl.ReadRecord, 0, len(ids))
	for _, id := range ids {
		r := zcl.ReadRecord{Status: zcl.StatusUnsupportedAttribute, Attribute: zcl.Attribute{ID: id}}
		if a := d.find(cluster, id, f); a != nil {
			r.Status, r.Type, r.Value = zcl.StatusSuccess, a.Type, a.Value
		}
		records = append(records, r)
	}
	return zcl.AppendReadResponse(nil, records) //nolint:wrapcheck // looked at, not shown
}

func (d *sensor) write(cluster uint16, f zcl.Frame) ([]byte, error) {
	attrs, err := zcl.DecodeWrite(f.Payload)
	if err != nil {
		return nil, err //nolint:wrapcheck // looked at, not shown
	}
	var records []zcl.WriteRecord
	for _, w := range attrs {
		a := d.find(cluster, w.ID, f)
		status := zcl.StatusSuccess
		switch {
		case a == nil:
			status = zcl.StatusUnsupportedAttribute
		case !a.Writable:
			status = zcl.StatusReadOnly
		case a.Type != w.Type:
			status = zcl.StatusInvalidDataType
		default:
			a.Value, a.dirty = w.Value, true
		}
		records = append(records, zcl.WriteRecord{Status: status, ID: w.ID})
	}
	return zcl.AppendWriteResponse(nil, records), nil
}

func (d *sensor) discover(cluster uint16, payload []byte) ([]byte, error) {
	q, err := zcl.DecodeDiscoverRequest(payload)
	if err != nil {
		return nil, err //nolint:wrapcheck // looked at, not shown
	}
	rsp := zcl.DiscoverResponse{Complete: true}
	for _, a := range d.sortedAttrs(cluster) {
		if a.ID < q.Start {
			continue
		}
		if len(rsp.Attributes) == int(q.Max) {
			rsp.Complete = false
			break
		}
		rsp.Attributes = append(rsp.Attributes, zcl.AttributeType{ID: a.ID, Type: a.Type})
	}
	return rsp.Append(nil), nil
}

// neverReport is the longest interval that switches reports off, and back to what the sensor does of itself.
const neverReport = 0xFFFF

func (d *sensor) configure(cluster uint16, payload []byte) ([]byte, error) {
	configs, err := zcl.DecodeConfigureReporting(payload)
	if err != nil {
		return nil, err //nolint:wrapcheck // looked at, not shown
	}
	var refs []zcl.AttributeRef
	for _, c := range configs {
		refs = append(refs, zcl.AttributeRef{Status: d.configureOne(cluster, c), Receive: c.Receive, ID: c.ID})
	}
	return zcl.AppendConfigureReportingResponse(nil, refs), nil
}

func (d *sensor) configureOne(cluster uint16, c zcl.ReportConfig) zcl.Status {
	a := d.attrs[attrKey{cluster, c.ID}]
	switch {
	case a == nil:
		return zcl.StatusUnsupportedAttribute
	case c.Receive || !a.sampled:
		return zcl.StatusUnreportable
	case c.Type != a.Type:
		return zcl.StatusInvalidDataType
	case c.Max == neverReport:
		a.config = &reportConfig{raw: c, min: -1}
		return zcl.StatusSuccess
	case c.Max != 0 && c.Max < c.Min:
		return zcl.StatusInvalidValue
	}
	change, _ := toFloat(c.Change)
	a.config = &reportConfig{
		min: time.Duration(c.Min) * time.Second, max: time.Duration(c.Max) * time.Second, change: change, raw: c,
	}
	a.sentAt, a.sent = time.Now(), a.Value
	return zcl.StatusSuccess
}

func (d *sensor) readReporting(cluster uint16, payload []byte) ([]byte, error) {
	refs, err := zcl.DecodeReadReporting(payload)
	if err != nil {
		return nil, err //nolint:wrapcheck // looked at, not shown
	}
	var records []zcl.ReportingRecord
	for _, ref := range refs {
		r := zcl.ReportingRecord{ReportConfig: zcl.ReportConfig{Receive: ref.Receive, ID: ref.ID}}
		switch a := d.attrs[attrKey{cluster, ref.ID}]; {
		case a == nil:
			r.Status = zcl.StatusUnsupportedAttribute
		case a.config == nil:
			r.Status = zcl.StatusNotFound
		default:
			r.ReportConfig = a.config.raw
		}
		records = append(records, r)
	}
	return zcl.AppendReadReportingResponse(nil, records) //nolint:wrapcheck // looked at, not shown
}
