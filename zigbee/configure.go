package zigbee

import (
	"context"
	"errors"
	"fmt"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/device"
	"github.com/peerbee/peerbee/zigbee/zcl"
)

// localEndpoint is the stick's endpoint that devices report to.
const localEndpoint zb.Endpoint = 1

// enrolled is the one answer to an IAS sensor; the zone number has no meaning here, all get the same.
var enrolled = zcl.ZoneEnrollResponse{Code: zcl.EnrollSuccess, Zone: 23}

const (
	// enrolPolls with enrolPause bound the wait for a sensor to take its enrolment in.
	enrolPolls = 8
	enrolPause = 500 * time.Millisecond
	// zoneEnrolled is the value of the zone state (ZCL table 8-5).
	zoneEnrolled = 1
)

// errNotEnrolled lets the interview go on with the next run.
var errNotEnrolled = errors.New("the sensor does not enrol")

// enrol makes this coordinator the one IAS sensors tell their alarms to.
func (s *session) enrol(ctx context.Context) error {
	d, err := s.device()
	if err != nil {
		return err
	}
	for _, ep := range d.Endpoints {
		for _, cluster := range ep.InClusters {
			if uint16(cluster) != zcl.ClusterIASZone {
				continue
			}
			err := s.ask(ctx, question{kind: askEnrol, endpoint: ep.ID}, func(ctx context.Context) error {
				return s.enrolEndpoint(ctx, target{device: s.ieee, endpoint: ep.ID, cluster: cluster})
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// enrolEndpoint goes both ways at once: it writes its address, upon which the sensor asks to be enrolled and is
// answered by receive, and answers unasked, for sensors that only wait (ZCL section 8.2.2.2.3).
func (s *session) enrolEndpoint(ctx context.Context, to target) error {
	us := s.n.radio.State().Stick.IEEE
	done, ours, err := s.zoneState(ctx, to, us)
	if err != nil || done && ours {
		return err
	}
	if !ours {
		cie := zcl.Attribute{ID: zcl.AttrZoneCIE, Type: zcl.TypeIEEE, Value: us}
		if err := s.n.writeAttribute(ctx, to, cie); err != nil {
			return fmt.Errorf("tell the sensor its coordinator: %w", err)
		}
	}
	for range enrolPolls {
		response := zcl.Frame{
			Type: zcl.ClusterSpecific, DisableDefaultResponse: true, Seq: s.n.exchanges.sequence(),
			Command: zcl.CommandZoneEnrollResponse, Payload: enrolled.Append(nil),
		}
		if err := s.n.send(ctx, to, response); err != nil {
			return err
		}
		if done, _, err = s.zoneState(ctx, to, us); err != nil || done {
			return err
		}
		select {
		case <-time.After(enrolPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errNotEnrolled
}

// zoneState reads whether a sensor is enrolled, and with us.
func (s *session) zoneState(ctx context.Context, to target, us zb.IEEEAddress) (done, ours bool, err error) {
	records, err := s.n.readAttributes(ctx, to, 0, zcl.AttrZoneState, zcl.AttrZoneCIE)
	for _, a := range succeeded(records) {
		switch v := a.Value.(type) {
		case uint64:
			done = done || a.ID == zcl.AttrZoneState && v == zoneEnrolled
		case zb.IEEEAddress:
			ours = ours || a.ID == zcl.AttrZoneCIE && v == us
		}
	}
	return done, ours, err
}

// configure binds the clusters that report and tells the device how often to.
func (s *session) configure(ctx context.Context) error {
	d, err := s.device()
	if err != nil {
		return err
	}
	var asks []func(context.Context) error
	for _, ep := range d.Endpoints {
		for _, cluster := range ep.InClusters {
			configs := device.Reporting(uint16(cluster))
			if len(configs) == 0 {
				continue
			}
			to := target{device: s.ieee, endpoint: ep.ID, cluster: cluster}
			asks = append(asks, func(ctx context.Context) error { return s.configureCluster(ctx, to, configs) })
		}
	}
	return together(ctx, asks)
}

// configureCluster sets up one cluster's reports and reads what they would say now: the first may be an hour away.
func (s *session) configureCluster(ctx context.Context, to target, configs []zcl.ReportConfig) error {
	ids := make([]uint16, 0, len(configs))
	for _, c := range configs {
		ids = append(ids, c.ID)
	}
	for _, part := range []struct {
		kind questionKind
		do   func(context.Context) error
	}{
		{askBind, func(ctx context.Context) error { return s.n.bind(ctx, to) }},
		{askReporting, func(ctx context.Context) error { return s.n.configureReporting(ctx, to, configs) }},
		{askFirst, func(ctx context.Context) error {
			_, err := s.n.readAttributes(ctx, to, 0, ids...)
			return err
		}},
	} {
		if err := s.ask(ctx, question{kind: part.kind, endpoint: to.endpoint, cluster: uint16(to.cluster)}, part.do); err != nil {
			return err
		}
	}
	return nil
}

// bind makes a device's cluster report to the stick.
func (n *Network) bind(ctx context.Context, to target) error {
	b, err := n.binding(ctx, to, localEndpoint)
	if err != nil {
		return err
	}
	return n.radio.Bind(ctx, b)
}

func (n *Network) binding(ctx context.Context, to target, local zb.Endpoint) (binding, error) {
	address, err := n.address(ctx, to.device)
	if err != nil {
		return binding{}, err
	}
	return binding{address: address, device: to.device, endpoint: to.endpoint, cluster: to.cluster, local: local}, nil
}

// configureReporting sets all of a cluster's reports. What a device refuses it will go on refusing, and it may
// report by its own rules: that is logged only.
func (n *Network) configureReporting(ctx context.Context, to target, configs []zcl.ReportConfig) error {
	payload, err := zcl.AppendConfigureReporting(nil, configs)
	if err != nil {
		return err
	}
	reply, err := n.request(ctx, to, zcl.Frame{Command: zcl.CommandConfigureReporting, Payload: payload})
	if err != nil {
		return err
	}
	refs, err := zcl.DecodeConfigureReportingResponse(reply.Payload)
	for _, r := range refs {
		n.log.Debug("device does not report an attribute", "device", to.device, "cluster", to.cluster, "attribute", r.ID, "status", r.Status)
	}
	if err != nil {
		n.log.Debug("answer to the reporting configuration is damaged", "device", to.device, "error", err)
	}
	return nil
}
