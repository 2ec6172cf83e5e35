package gateway

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/blockchain"
	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi"
	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/gateway/store"
	"github.com/peerbee/peerbee/zigbee"
)

// show turns a reading into the local API's form, with the owner's name and the units.
func (g *Gateway) show(msg *reading.Reading) *api.Reading {
	r := &api.Reading{Device: msg.Stream, Name: g.roster.name(msg.Stream), Seq: msg.Seq, Time: msg.Time, Values: make([]api.Value, 0, len(msg.Values))}
	for _, v := range msg.Values {
		r.Values = append(r.Values, api.Value{Name: v.Name, Value: v.Value, Unit: g.roster.property(msg.Stream, v.Name).Unit})
	}
	return r
}

func (g *Gateway) showDevice(m *member, latest []store.LatestValue) api.Device {
	name, record, left := g.roster.snapshot(m)
	d := api.Device{
		ID: m.key, Name: name, Manufacturer: record.Manufacturer, Model: record.Model, Power: record.PowerSource,
		Type: record.Type.String(), Network: fmt.Sprintf("0x%04x", uint16(record.Network)), Interview: string(record.Interview),
		LastSeen: record.LastSeen, LinkQuality: record.LinkQuality, Properties: []api.Property{},
	}
	if live, ok := g.net.Device(record.IEEE); ok {
		d.LastSeen, d.LinkQuality = live.LastSeen, live.LinkQuality
	}
	if left {
		d.Interview = "left"
	}
	if o, err := g.ledger.Owner(blockchain.DeviceIDFromUint64(uint64(record.IEEE))); err == nil {
		d.Chain = o.Chain.String()
	}
	for _, v := range latest {
		d.Properties = append(d.Properties, api.Property{Name: v.Name, Value: v.Value.Value, Unit: g.roster.property(m.key, v.Name).Unit, Time: v.Time})
	}
	for _, e := range record.Endpoints {
		d.Endpoints = append(d.Endpoints, api.Endpoint{ID: uint8(e.ID), Profile: fmt.Sprintf("0x%04x", uint16(e.Profile)), In: clusters(e.InClusters), Out: clusters(e.OutClusters)})
	}
	return d
}

func clusters(ids []zb.ClusterID) []string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = fmt.Sprintf("0x%04x", uint16(id))
	}
	return names
}

func showZigbee(s zigbee.State) api.Zigbee {
	z := api.Zigbee{Phase: string(s.Phase), Problem: s.Problem, Hint: s.Hint, Port: s.Stick.Port}
	if s.Stick.Version != "" {
		z.Stick = strings.TrimSpace(fmt.Sprintf("%s %d", s.Stick.Version, s.Stick.Revision))
	}
	if s.Network != nil {
		n := showNetwork(*s.Network)
		z.Network = &n
	}
	return z
}

func showNetwork(n zigbee.NetworkParams) api.Network {
	return api.Network{
		Channel: n.Channel, PAN: fmt.Sprintf("0x%04x", uint16(n.PAN)), ExtendedPAN: fmt.Sprintf("%016x", uint64(n.ExtendedPAN)),
		Coordinator: n.Coordinator.String(), KeySum: n.NetworkKeySum,
	}
}

func retention(d config.Duration) string {
	text, err := d.MarshalText()
	if err != nil {
		return d.Std().String()
	}
	return string(text)
}

// audit writes one line about what a local user did. A line that cannot be written is logged: the action itself
// has happened.
func (g *Gateway) audit(ctx context.Context, who localapi.Caller, action, subject, outcome, detail string) {
	if err := g.access.Audit(ctx, actor(who), action, subject, outcome, detail); err != nil {
		g.log.Error("audit line not written", "actor", actor(who), "action", action, "subject", subject, "err", err)
	}
}

// actor names a local user in the audit log.
func actor(who localapi.Caller) string { return fmt.Sprintf("uid:%d", who.UID) }

// gatherText writes the registry in Prometheus' text format.
func gatherText(reg prometheus.Gatherer) ([]byte, error) {
	families, err := reg.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather metrics: %w", err)
	}
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			return nil, fmt.Errorf("write metrics: %w", err)
		}
	}
	return b.Bytes(), nil
}
