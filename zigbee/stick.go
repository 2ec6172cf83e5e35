package zigbee

import (
	"context"
	"errors"
	"fmt"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/internal/port"
	"github.com/peerbee/peerbee/zigbee/zdo"
	"github.com/peerbee/peerbee/zigbee/znp"
)

// New gives a network on a Z-Stack stick; it does nothing until Serve.
func New(o Options) *Network {
	host := znp.Options{Open: o.Open, Log: o.Log}
	if o.Expect != nil {
		host.Expect = &znp.Network{
			Channel: o.Expect.Channel, PAN: o.Expect.PAN, ExtendedPAN: o.Expect.ExtendedPAN,
			Coordinator: o.Expect.Coordinator, KeySum: o.Expect.NetworkKeySum,
		}
	}
	return newNetwork(&zstack{Host: znp.New(host), port: o.Port}, o)
}

// zstack is a znp.Host as a radio.
type zstack struct {
	*znp.Host
	port string
}

// Next gives the host's next event in this package's words.
func (z *zstack) Next(ctx context.Context) (radioEvent, error) {
	e, err := z.Host.Next(ctx)
	if err != nil {
		return nil, err
	}
	return z.event(e), nil
}

func (z *zstack) event(e znp.Event) radioEvent {
	switch e := e.(type) {
	case znp.Incoming:
		return incoming{
			time: e.Time, device: e.IEEE, source: e.Source, sourceEndpoint: e.SrcEndpoint, endpoint: e.DstEndpoint,
			cluster: e.Cluster, group: e.Group, broadcast: e.Broadcast, secure: e.Secure,
			linkQuality: e.LinkQuality, sequence: e.Sequence, data: e.Data,
		}
	case znp.Joined:
		return announced{device: e.IEEE, address: e.Network, trustCentre: true}
	case znp.Announce:
		return announced{device: e.IEEE, address: e.Network}
	case znp.Left:
		return left{device: e.IEEE, address: e.Network, rejoin: e.Rejoin}
	case znp.StateChanged:
		return linkChanged{state: z.state(e.State)}
	case znp.Dropped:
		return dropped{count: e.Count}
	}
	return nil
}

func (z *zstack) State() State { return z.state(z.Host.State()) }

func (z *zstack) state(s znp.State) State {
	state := State{
		Phase: Phase(s.Phase), Problem: s.Problem, Hint: s.Hint,
		Stick: StickInfo{Port: z.port, Version: s.Stick.Version, Revision: s.Stick.Revision, IEEE: s.Stick.IEEE},
	}
	if s.Stick.Version != "" {
		state.Stick.Family = port.FamilyZNP
	}
	if s.Network != nil {
		params := networkParams(*s.Network)
		state.Network = &params
	}
	return state
}

func networkParams(n znp.Network) NetworkParams {
	return NetworkParams{
		Channel: n.Channel, PAN: n.PAN, ExtendedPAN: n.ExtendedPAN, Coordinator: n.Coordinator, NetworkKeySum: n.KeySum,
	}
}

func (z *zstack) Stats() LinkStats {
	s := z.Host.Stats()
	return LinkStats{
		FramesIn: s.Frames, BadFrames: s.BadChecksum, BytesLost: s.SkippedBytes, Messages: s.Incoming, Copies: s.Duplicates,
		MessagesLost: s.Dropped, Requests: s.Requests, Timeouts: s.Timeouts, Sent: s.Sent, SendRetries: s.SendRetries,
		SendFailures: s.SendFailures, Opens: s.Opens, Resets: s.Resets,
	}
}

func (z *zstack) Form(ctx context.Context, p FormParams) (NetworkParams, error) {
	n, err := z.Host.Form(ctx, znp.FormParams{Channel: p.Channel, PAN: p.PAN, ExtendedPAN: p.ExtendedPAN, Replace: p.Replace})
	return networkParams(n), err
}

func (z *zstack) Adopt(ctx context.Context) (NetworkParams, error) {
	n, err := z.Host.Adopt(ctx)
	return networkParams(n), err
}

func (z *zstack) PermitJoin(ctx context.Context, p permission) error {
	switch {
	case p.hasRouter:
		return z.Host.PermitJoin(ctx, p.seconds, &p.router)
	case p.coordinator:
		coordinator := zdo.AddressCoordinator
		return z.Host.PermitJoin(ctx, p.seconds, &coordinator)
	}
	return z.Host.PermitJoin(ctx, p.seconds, nil)
}

func (z *zstack) Send(ctx context.Context, m outgoing) error {
	return z.Host.Send(ctx, znp.Message{
		Mode: znp.ToNode, Network: m.destination, IEEE: m.device, DstEndpoint: m.endpoint, SrcEndpoint: m.source,
		Cluster: m.cluster, NoAck: m.noAck, Data: m.data,
	})
}

func (z *zstack) NodeDescriptor(ctx context.Context, a zb.NetworkAddress) (zdo.NodeDescriptor, error) {
	d, err := z.Host.NodeDescriptor(ctx, a)
	return d, refusal(err)
}

func (z *zstack) ActiveEndpoints(ctx context.Context, a zb.NetworkAddress) ([]zb.Endpoint, error) {
	list, err := z.Host.ActiveEndpoints(ctx, a)
	return list, refusal(err)
}

// SimpleDescriptor takes a descriptor that ends within its cluster lists as far as it goes.
func (z *zstack) SimpleDescriptor(ctx context.Context, a zb.NetworkAddress, ep zb.Endpoint) (zdo.SimpleDescriptor, error) {
	d, err := z.Host.SimpleDescriptor(ctx, a, ep)
	if errors.Is(err, zdo.ErrShort) && d.Endpoint == ep {
		return d, nil
	}
	return d, refusal(err)
}

func (z *zstack) Bind(ctx context.Context, b binding) error {
	return refusal(z.Host.Bind(ctx, z.binding(b)))
}

func (z *zstack) Unbind(ctx context.Context, b binding) error {
	return refusal(z.Host.Unbind(ctx, z.binding(b)))
}

func (z *zstack) binding(b binding) znp.Binding {
	return znp.Binding{
		Node: b.address, Source: b.device, SrcEndpoint: b.endpoint, Cluster: b.cluster,
		Target: zdo.BindTarget{Mode: zdo.AddressModeIEEE, IEEE: z.Host.State().Stick.IEEE, Endpoint: b.local},
	}
}

// refusal marks the statuses by which a node says no for good; all others may be better next time.
func refusal(err error) error {
	var status *znp.StatusError
	if !errors.As(err, &status) {
		return err
	}
	switch zdo.Status(status.Status) {
	case zdo.StatusInvalidRequestType, zdo.StatusInvalidEndpoint, zdo.StatusNotActive, zdo.StatusNotSupported,
		zdo.StatusNoMatch, zdo.StatusNoEntry, zdo.StatusNoDescriptor, zdo.StatusInsufficientSpace,
		zdo.StatusNotPermitted, zdo.StatusTableFull, zdo.StatusNotAuthorized, zdo.StatusBindingTableFull:
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return err
}
