package zigbee

import (
	"context"
	"sync"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zdo"
)

// maxTapped bounds the events that wait for a reader of Provider.ReadEvent; the oldest go first.
const maxTapped = 512

// tap collects events for the reader of a Provider.
type tap struct {
	mu     sync.Mutex // guards events
	events []any
	signal chan struct{} // holds one token when events is not empty
}

func (t *tap) push(e any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.events) == maxTapped {
		t.events[0] = nil
		t.events = t.events[1:]
	}
	t.events = append(t.events, e)
	select {
	case t.signal <- struct{}{}:
	default:
	}
}

func (t *tap) pop() (any, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.events) == 0 {
		return nil, false
	}
	e := t.events[0]
	t.events[0] = nil
	t.events = t.events[1:]
	return e, true
}

func (n *Network) tapJoined(ieee zb.IEEEAddress, isNew bool) {
	t := n.tap.Load()
	if t == nil {
		return
	}
	d, _ := n.table.get(ieee)
	if isNew {
		t.push(zb.NodeJoinEvent{Node: node(d)})
		return
	}
	t.push(zb.NodeUpdateEvent{Node: node(d)})
}

func (n *Network) tapLeft(ieee zb.IEEEAddress) {
	if t := n.tap.Load(); t != nil {
		t.push(zb.NodeLeaveEvent{Node: zb.Node{IEEEAddress: ieee, NetworkAddress: addressUnknown, LogicalType: zb.Unknown}})
	}
}

func (n *Network) tapMessage(d Device, m incoming) {
	t := n.tap.Load()
	if t == nil {
		return
	}
	t.push(zb.NodeIncomingMessageEvent{Node: node(d), IncomingMessage: zb.IncomingMessage{
		GroupID:       m.group,
		SourceAddress: zb.SourceAddress{IEEEAddress: d.IEEE, NetworkAddress: m.source},
		Broadcast:     m.broadcast, Secure: m.secure, LinkQuality: m.linkQuality, Sequence: m.sequence,
		ApplicationMessage: zb.ApplicationMessage{
			ClusterID: m.cluster, SourceEndpoint: m.sourceEndpoint, DestinationEndpoint: m.endpoint, Data: m.data,
		},
	}})
}

// node gives a device as shimmeringbee describes it. The depth in the network is not kept.
func node(d Device) zb.Node {
	return zb.Node{
		IEEEAddress: d.IEEE, NetworkAddress: d.Network, LogicalType: d.Type, LQI: d.LinkQuality,
		LastDiscovered: d.LastSeen, LastReceived: d.LastSeen,
	}
}

// Provider is the network behind the interface of github.com/shimmeringbee/zigbee, for programs written for that.
// Its events are a copy beside Events, from the first call of Provider on; a slow reader loses the oldest.
type Provider struct {
	n   *Network
	tap *tap
}

// Provider gives the shimmeringbee view of the network; there is one, shared by all callers.
func (n *Network) Provider() *Provider {
	n.tap.CompareAndSwap(nil, &tap{signal: make(chan struct{}, 1)})
	return &Provider{n: n, tap: n.tap.Load()}
}

// PermitJoin opens the network for MaxJoin, at the stick alone unless allRouters.
func (p *Provider) PermitJoin(ctx context.Context, allRouters bool) error {
	seconds := uint8(MaxJoin / time.Second)
	if err := p.n.radio.PermitJoin(ctx, permission{seconds: seconds, coordinator: !allRouters}); err != nil {
		return err
	}
	p.n.joinUntil.Store(time.Now().Add(MaxJoin).UnixNano())
	return nil
}

// DenyJoin closes the network.
func (p *Provider) DenyJoin(ctx context.Context) error { return p.n.PermitJoin(ctx, Join{}) }

// AdapterNode describes the stick.
func (p *Provider) AdapterNode() zb.Node {
	return zb.Node{IEEEAddress: p.n.State().Stick.IEEE, LogicalType: zb.Coordinator}
}

// QueryNodeDescription asks for a node descriptor.
func (p *Provider) QueryNodeDescription(ctx context.Context, ieee zb.IEEEAddress) (zb.NodeDescription, error) {
	address, err := p.n.address(ctx, ieee)
	if err != nil {
		return zb.NodeDescription{}, err
	}
	d, err := p.n.radio.NodeDescriptor(ctx, address)
	return zb.NodeDescription{LogicalType: d.LogicalType, ManufacturerCode: d.ManufacturerCode}, err
}

// QueryNodeEndpoints asks for the active endpoints.
func (p *Provider) QueryNodeEndpoints(ctx context.Context, ieee zb.IEEEAddress) ([]zb.Endpoint, error) {
	address, err := p.n.address(ctx, ieee)
	if err != nil {
		return nil, err
	}
	return p.n.radio.ActiveEndpoints(ctx, address)
}

// QueryNodeEndpointDescription asks for a simple descriptor.
func (p *Provider) QueryNodeEndpointDescription(ctx context.Context, ieee zb.IEEEAddress, endpoint zb.Endpoint) (zb.EndpointDescription, error) {
	address, err := p.n.address(ctx, ieee)
	if err != nil {
		return zb.EndpointDescription{}, err
	}
	d, err := p.n.radio.SimpleDescriptor(ctx, address, endpoint)
	return zb.EndpointDescription{
		Endpoint: d.Endpoint, ProfileID: d.Profile, DeviceID: d.DeviceType, DeviceVersion: d.DeviceVersion,
		InClusterList: d.InClusters, OutClusterList: d.OutClusters,
	}, err
}

// BindNodeToController binds a node's cluster to an endpoint of the stick.
func (p *Provider) BindNodeToController(ctx context.Context, ieee zb.IEEEAddress, source, destination zb.Endpoint, cluster zb.ClusterID) error {
	b, err := p.n.binding(ctx, target{device: ieee, endpoint: source, cluster: cluster}, destination)
	if err != nil {
		return err
	}
	return p.n.radio.Bind(ctx, b)
}

// UnbindNodeFromController takes such a binding away.
func (p *Provider) UnbindNodeFromController(ctx context.Context, ieee zb.IEEEAddress, source, destination zb.Endpoint, cluster zb.ClusterID) error {
	b, err := p.n.binding(ctx, target{device: ieee, endpoint: source, cluster: cluster}, destination)
	if err != nil {
		return err
	}
	return p.n.radio.Unbind(ctx, b)
}

// SendApplicationMessageToNode sends any message, ZCL or not.
func (p *Provider) SendApplicationMessageToNode(ctx context.Context, ieee zb.IEEEAddress, m zb.ApplicationMessage, requireAck bool) error {
	address, err := p.n.address(ctx, ieee)
	if err != nil {
		return err
	}
	return p.n.radio.Send(ctx, outgoing{
		device: ieee, destination: address, endpoint: m.DestinationEndpoint, source: m.SourceEndpoint, cluster: m.ClusterID,
		data: m.Data, noAck: !requireAck,
	})
}

// RequestNodeLeave asks a node to leave.
func (p *Provider) RequestNodeLeave(ctx context.Context, ieee zb.IEEEAddress) error {
	return p.n.Remove(ctx, ieee, false)
}

// ForceNodeLeave forgets a node even if it cannot be reached.
func (p *Provider) ForceNodeLeave(ctx context.Context, ieee zb.IEEEAddress) error {
	return p.n.Remove(ctx, ieee, true)
}

// ReadEvent waits for the next NodeJoinEvent, NodeUpdateEvent, NodeLeaveEvent or NodeIncomingMessageEvent.
func (p *Provider) ReadEvent(ctx context.Context) (any, error) {
	for {
		if e, ok := p.tap.pop(); ok {
			return e, nil
		}
		select {
		case <-p.tap.signal:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// RegisterAdapterEndpoint adds an endpoint to the stick, again after every restart of it.
func (p *Provider) RegisterAdapterEndpoint(ctx context.Context, endpoint zb.Endpoint, profile zb.ProfileID, deviceType uint16, version uint8, in, out []zb.ClusterID) error {
	return p.n.radio.RegisterEndpoint(ctx, zdo.SimpleDescriptor{
		Endpoint: endpoint, Profile: profile, DeviceType: deviceType, DeviceVersion: version, InClusters: in, OutClusters: out,
	})
}
