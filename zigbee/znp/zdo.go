package znp

import (
	"context"
	"fmt"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zdo"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

// deviceTimeout is how long a device may take to answer a ZDO request. A sleeping one polls its parent every
// few seconds, and the parent keeps a message for 7.68 s.
const deviceTimeout = 10 * time.Second

// exchange sends a SREQ whose result is an AREQ that match accepts, and decodes that into out.
func exchange[T any, M interface {
	*T
	mt.Message
}](ctx context.Context, l *link, req mt.Message, match func(*T) bool) (T, error) {
	var out T
	w := l.expect(M(new(T)).Command(), func(payload []byte) bool {
		var m T
		return mt.Decode(payload, M(&m)) == nil && match(&m)
	})
	defer l.release(w)
	if err := l.command(ctx, req); err != nil {
		return out, err
	}
	err := l.await(ctx, w, deviceTimeout, M(&out))
	return out, err
}

// zdoStatus sends a ZDO request that ends with a status alone, from the node asked.
func (l *link) zdoStatus(ctx context.Context, req mt.Message, node zb.NetworkAddress) error {
	ended := mt.ZDOStatusRsp{Of: req.Command()}
	w := l.expect(ended.Command(), func(payload []byte) bool {
		m := mt.ZDOStatusRsp{Of: req.Command()}
		return mt.Decode(payload, &m) == nil && m.Src == node
	})
	defer l.release(w)
	if err := l.command(ctx, req); err != nil {
		return err
	}
	if err := l.await(ctx, w, deviceTimeout, &ended); err != nil {
		return err
	}
	return statusErr(req.Command().String(), ended.Status)
}

// NodeDescriptor asks a node for its node descriptor.
func (h *Host) NodeDescriptor(ctx context.Context, node zb.NetworkAddress) (zdo.NodeDescriptor, error) {
	l, err := h.running()
	if err != nil {
		return zdo.NodeDescriptor{}, fmt.Errorf("node descriptor: %w", err)
	}
	rsp, err := exchange(ctx, l, &mt.ZDONodeDescReq{Dst: node, Nwk: node},
		func(m *mt.ZDONodeDescRsp) bool { return m.Nwk == node })
	if err == nil {
		err = statusErr("ZDO_NODE_DESC_REQ", rsp.Status)
	}
	if err != nil {
		return zdo.NodeDescriptor{}, fmt.Errorf("node descriptor of 0x%04x: %w", uint16(node), err)
	}
	return zdo.DecodeNodeDescriptor(rsp.Descriptor)
}

// ActiveEndpoints asks a node for its endpoints.
func (h *Host) ActiveEndpoints(ctx context.Context, node zb.NetworkAddress) ([]zb.Endpoint, error) {
	l, err := h.running()
	if err != nil {
		return nil, fmt.Errorf("active endpoints: %w", err)
	}
	return l.activeEndpoints(ctx, node)
}

func (l *link) activeEndpoints(ctx context.Context, node zb.NetworkAddress) ([]zb.Endpoint, error) {
	rsp, err := exchange(ctx, l, &mt.ZDOActiveEPReq{Dst: node, Nwk: node},
		func(m *mt.ZDOActiveEPRsp) bool { return m.Nwk == node })
	if err == nil {
		err = statusErr("ZDO_ACTIVE_EP_REQ", rsp.Status)
	}
	if err != nil {
		return nil, fmt.Errorf("active endpoints of 0x%04x: %w", uint16(node), err)
	}
	return rsp.Endpoints, nil
}

// SimpleDescriptor asks a node for the description of one of its endpoints. Ask for endpoints the node has told
// of only: some sticks take others badly.
func (h *Host) SimpleDescriptor(ctx context.Context, node zb.NetworkAddress, endpoint zb.Endpoint) (zdo.SimpleDescriptor, error) {
	l, err := h.running()
	if err != nil {
		return zdo.SimpleDescriptor{}, fmt.Errorf("simple descriptor: %w", err)
	}
	rsp, err := exchange(ctx, l, &mt.ZDOSimpleDescReq{Dst: node, Nwk: node, Endpoint: endpoint},
		func(m *mt.ZDOSimpleDescRsp) bool {
			return m.Nwk == node && (len(m.Descriptor) == 0 || zb.Endpoint(m.Descriptor[0]) == endpoint)
		})
	if err == nil {
		err = statusErr("ZDO_SIMPLE_DESC_REQ", rsp.Status)
	}
	if err != nil {
		return zdo.SimpleDescriptor{}, fmt.Errorf("simple descriptor of 0x%04x endpoint %d: %w", uint16(node), endpoint, err)
	}
	return zdo.DecodeSimpleDescriptor(rsp.Descriptor)
}

// Binding makes a node's cluster send to a target by itself.
type Binding struct {
	Node        zb.NetworkAddress // that holds the binding
	Source      zb.IEEEAddress    // of the same node
	SrcEndpoint zb.Endpoint
	Cluster     zb.ClusterID
	Target      zdo.BindTarget
}

// Bind adds a binding to a node.
func (h *Host) Bind(ctx context.Context, b Binding) error {
	mode, target := bindTarget(b.Target)
	return h.zdoCommand(ctx, "bind", b.Node, &mt.ZDOBindReq{
		Dst: b.Node, Src: b.Source, SrcEndpoint: b.SrcEndpoint, Cluster: b.Cluster,
		Mode: mode, Target: target, TargetEndpoint: b.Target.Endpoint,
	})
}

// Unbind removes a binding from a node.
func (h *Host) Unbind(ctx context.Context, b Binding) error {
	mode, target := bindTarget(b.Target)
	return h.zdoCommand(ctx, "unbind", b.Node, &mt.ZDOUnbindReq{
		Dst: b.Node, Src: b.Source, SrcEndpoint: b.SrcEndpoint, Cluster: b.Cluster,
		Mode: mode, Target: target, TargetEndpoint: b.Target.Endpoint,
	})
}

func bindTarget(t zdo.BindTarget) (mt.AddrMode, uint64) {
	if t.Mode == zdo.AddressModeGroup {
		return mt.AddrGroup, uint64(t.Group)
	}
	return mt.AddrIEEE, uint64(t.IEEE)
}

// Leave makes a node leave the network, for good.
func (h *Host) Leave(ctx context.Context, node zb.NetworkAddress, device zb.IEEEAddress) error {
	return h.zdoCommand(ctx, "leave", node, &mt.ZDOMgmtLeaveReq{Dst: node, Device: device})
}

func (h *Host) zdoCommand(ctx context.Context, what string, node zb.NetworkAddress, req mt.Message) error {
	l, err := h.running()
	if err == nil {
		err = l.zdoStatus(ctx, req, node)
	}
	if err != nil {
		return fmt.Errorf("%s 0x%04x: %w", what, uint16(node), err)
	}
	return nil
}

// NetworkAddress asks the whole network for the address of a device.
func (h *Host) NetworkAddress(ctx context.Context, device zb.IEEEAddress) (zb.NetworkAddress, error) {
	l, err := h.running()
	if err != nil {
		return 0, fmt.Errorf("network address: %w", err)
	}
	return l.networkAddress(ctx, device)
}

func (l *link) networkAddress(ctx context.Context, device zb.IEEEAddress) (zb.NetworkAddress, error) {
	rsp, err := exchange(ctx, l, &mt.ZDONwkAddrReq{IEEE: device},
		func(m *mt.ZDONwkAddrRsp) bool { return m.IEEE == device })
	if err == nil {
		err = statusErr("ZDO_NWK_ADDR_REQ", rsp.Status)
	}
	if err != nil {
		return 0, fmt.Errorf("network address of %s: %w", device, err)
	}
	return rsp.Nwk, nil
}

// IEEEAddress asks a node for its IEEE address.
func (h *Host) IEEEAddress(ctx context.Context, node zb.NetworkAddress) (zb.IEEEAddress, error) {
	l, err := h.running()
	if err != nil {
		return 0, fmt.Errorf("IEEE address: %w", err)
	}
	rsp, err := exchange(ctx, l, &mt.ZDOIEEEAddrReq{Nwk: node},
		func(m *mt.ZDOIEEEAddrRsp) bool { return m.Nwk == node })
	if err == nil {
		err = statusErr("ZDO_IEEE_ADDR_REQ", rsp.Status)
	}
	if err != nil {
		return 0, fmt.Errorf("IEEE address of 0x%04x: %w", uint16(node), err)
	}
	return rsp.IEEE, nil
}

// maxTable bounds the tables of a node that tells of ever more rows; the protocol's counts are one byte.
const maxTable = 255

// Neighbours reads a node's whole neighbour table.
func (h *Host) Neighbours(ctx context.Context, node zb.NetworkAddress) ([]zdo.Neighbour, error) {
	l, err := h.running()
	if err != nil {
		return nil, fmt.Errorf("neighbours: %w", err)
	}
	var all []zdo.Neighbour
	for total := 1; len(all) < min(total, maxTable); {
		start := uint8(len(all))
		rsp, err := exchange(ctx, l, &mt.ZDOMgmtLqiReq{Dst: node, StartIndex: start},
			func(m *mt.ZDOMgmtLqiRsp) bool {
				return m.Src == node && (m.Status != mt.Success || m.StartIndex == start)
			})
		if err == nil {
			err = statusErr("ZDO_MGMT_LQI_REQ", rsp.Status)
		}
		if err != nil {
			return all, fmt.Errorf("neighbours of 0x%04x: %w", uint16(node), err)
		}
		if len(rsp.Neighbours) == 0 {
			break
		}
		total = int(rsp.Total)
		for _, n := range rsp.Neighbours {
			all = append(all, zdo.Neighbour{
				ExtendedPAN: n.ExtendedPAN, IEEE: n.IEEE, Network: n.Nwk, Type: zb.LogicalType(n.Flags & 0x03),
				RxOnWhenIdle: zdo.Tristate(n.Flags >> 2 & 0x03), Relationship: n.Flags >> 4 & 0x07,
				PermitJoin: zdo.Tristate(n.PermitJoin & 0x03), Depth: n.Depth, LQI: n.LinkQuality,
			})
		}
	}
	return all, nil
}

// Routes reads a node's whole routing table.
func (h *Host) Routes(ctx context.Context, node zb.NetworkAddress) ([]zdo.Route, error) {
	l, err := h.running()
	if err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	var all []zdo.Route
	for total := 1; len(all) < min(total, maxTable); {
		start := uint8(len(all))
		rsp, err := exchange(ctx, l, &mt.ZDOMgmtRtgReq{Dst: node, StartIndex: start},
			func(m *mt.ZDOMgmtRtgRsp) bool {
				return m.Src == node && (m.Status != mt.Success || m.StartIndex == start)
			})
		if err == nil {
			err = statusErr("ZDO_MGMT_RTG_REQ", rsp.Status)
		}
		if err != nil {
			return all, fmt.Errorf("routes of 0x%04x: %w", uint16(node), err)
		}
		if len(rsp.Routes) == 0 {
			break
		}
		total = int(rsp.Total)
		for _, r := range rsp.Routes {
			all = append(all, zdo.Route{
				Destination: r.Dst, Status: zdo.RouteStatus(r.Status & 0x07), MemoryConstrained: r.Status&0x08 != 0,
				ManyToOne: r.Status&0x10 != 0, RouteRecordRequired: r.Status&0x20 != 0, NextHop: r.NextHop,
			})
		}
	}
	return all, nil
}

// EnergyScan measures the energy on the channels of mask (bit 11 to bit 26) at a node, one value per channel in
// ascending order, 0 quiet to 255 loud.
func (h *Host) EnergyScan(ctx context.Context, node zb.NetworkAddress, mask uint32) ([]byte, error) {
	l, err := h.running()
	if err != nil {
		return nil, fmt.Errorf("energy scan: %w", err)
	}
	const shortest, once = 2, 1
	rsp, err := exchange(ctx, l,
		&mt.ZDOMgmtNwkUpdateReq{Dst: node, Mode: mt.AddrShort, Channels: mask, Duration: shortest, Count: once},
		func(m *mt.ZDOMgmtNwkUpdateNotify) bool { return m.Src == node })
	if err == nil {
		err = statusErr("ZDO_MGMT_NWK_UPDATE_REQ", rsp.Status)
	}
	if err != nil {
		return nil, fmt.Errorf("energy scan at 0x%04x: %w", uint16(node), err)
	}
	return rsp.Energy, nil
}

// DiscoverRoute makes the stick look for a route to a node.
func (h *Host) DiscoverRoute(ctx context.Context, node zb.NetworkAddress) error {
	l, err := h.running()
	if err == nil {
		err = l.discoverRoute(ctx, node)
	}
	if err != nil {
		return fmt.Errorf("discover route to 0x%04x: %w", uint16(node), err)
	}
	return nil
}

func (l *link) discoverRoute(ctx context.Context, node zb.NetworkAddress) error {
	return l.command(ctx, &mt.ZDOExtRouteDisc{Dst: node, Radius: defaultRadius})
}
