package znp

import (
	"context"
	"errors"
	"fmt"
	"slices"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zdo"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

const (
	mainEndpoint      zb.Endpoint  = 1
	profileGreenPower zb.ProfileID = 0xA1E0
	groupGreenPower   zb.GroupID   = 0x0B84

	deviceConfigurationTool uint16 = 0x0005
	deviceGreenPowerProxy   uint16 = 0x0061 // proxy basic

	everyZDOCluster zb.ClusterID = 0xFFFF
	// openCoordinatorToo is the first build that opens the coordinator with a broadcast permit join.
	openCoordinatorToo uint32 = 20210708
)

// standing are the endpoints every stick gets. Sensors look for IAS zone and Time servers and clients there.
var standing = []zdo.SimpleDescriptor{
	{
		Endpoint: mainEndpoint, Profile: zb.ProfileHomeAutomation, DeviceType: deviceConfigurationTool,
		InClusters:  []zb.ClusterID{0x0000, 0x000A, 0x0019, 0x0501},
		OutClusters: []zb.ClusterID{0x0001, 0x0020, 0x0500, 0x0502},
	},
	{Endpoint: zdo.EndpointGreenPower, Profile: profileGreenPower, DeviceType: deviceGreenPowerProxy},
}

// prepare makes a started stick ready for traffic: endpoints, callbacks, and joining shut.
func (h *Host) prepare(ctx context.Context, l *link) error {
	h.mu.Lock()
	wanted := append(slices.Clone(standing), h.extra...)
	h.mu.Unlock()
	present, err := l.activeEndpoints(ctx, zdo.AddressCoordinator)
	known := err == nil
	if err != nil && !errors.Is(err, ErrTimeout) {
		var refused *StatusError
		if !errors.As(err, &refused) {
			return err
		}
	}
	for _, d := range wanted {
		if slices.Contains(present, d.Endpoint) {
			continue
		}
		if err := l.registerEndpoint(ctx, d); err != nil {
			var refused *StatusError
			if known || !errors.As(err, &refused) {
				return err
			}
		}
	}
	return l.finishPreparation(ctx, slices.Contains(present, zdo.EndpointGreenPower))
}

func (l *link) finishPreparation(ctx context.Context, inGroup bool) error {
	optional := []mt.Message{&mt.ZDOMsgCbRegister{Cluster: everyZDOCluster}}
	if !inGroup {
		optional = append(optional, &mt.ZDOExtAddGroup{Endpoint: zdo.EndpointGreenPower, Group: groupGreenPower})
	}
	for _, req := range optional {
		var refused *StatusError
		err := l.command(ctx, req)
		switch {
		case errors.As(err, &refused), errors.Is(err, ErrUnsupported):
			l.log.Debug("optional zigbee set-up refused", "error", err)
		case err != nil:
			return err
		}
	}
	return l.permitJoin(ctx, 0)
}

func (l *link) registerEndpoint(ctx context.Context, d zdo.SimpleDescriptor) error {
	err := l.command(ctx, &mt.AFRegister{
		Endpoint: d.Endpoint, Profile: d.Profile, DeviceType: d.DeviceType, Version: d.DeviceVersion,
		InClusters: d.InClusters, OutClusters: d.OutClusters,
	})
	if err != nil {
		return fmt.Errorf("register endpoint %d: %w", d.Endpoint, err)
	}
	return nil
}

// RegisterEndpoint gives the stick a further endpoint, now if it runs and at every later bring-up. An endpoint
// registered before is replaced from the next restart of the stick on.
func (h *Host) RegisterEndpoint(ctx context.Context, d zdo.SimpleDescriptor) error {
	if d.Endpoint == zdo.EndpointZDO || d.Endpoint == zdo.EndpointBroadcast ||
		slices.ContainsFunc(standing, func(s zdo.SimpleDescriptor) bool { return s.Endpoint == d.Endpoint }) {
		return fmt.Errorf("register endpoint %d: it is taken", d.Endpoint)
	}
	h.mu.Lock()
	replaced := false
	for i := range h.extra {
		if h.extra[i].Endpoint == d.Endpoint {
			h.extra[i], replaced = d, true
		}
	}
	if !replaced {
		h.extra = append(h.extra, d)
	}
	l := h.link
	h.mu.Unlock()
	if l == nil || replaced {
		return nil
	}
	return l.registerEndpoint(ctx, d)
}

// MaxPermitSeconds is the longest time joining can be opened for at once.
const MaxPermitSeconds = 254

// PermitJoin opens joining for seconds, at most MaxPermitSeconds, and shuts it with 0: in the whole network, or
// through one node only. The stick itself is node 0.
func (h *Host) PermitJoin(ctx context.Context, seconds uint8, router *zb.NetworkAddress) error {
	if seconds > MaxPermitSeconds {
		return fmt.Errorf("permit join for %d seconds: at most %d are possible", seconds, MaxPermitSeconds)
	}
	l, err := h.running()
	if err != nil {
		return fmt.Errorf("permit join: %w", err)
	}
	if router == nil {
		return l.permitJoin(ctx, seconds)
	}
	req := mt.ZDOMgmtPermitJoinReq{Mode: mt.AddrShort, Dst: *router, Seconds: seconds}
	return l.zdoStatus(ctx, &req, *router)
}

// permitJoin opens or shuts joining in the whole network. It goes as a ZDO command, not as a raw message:
// only then does the stick's trust centre hand out the key.
func (l *link) permitJoin(ctx context.Context, seconds uint8) error {
	err := l.command(ctx, &mt.ZDOMgmtPermitJoinReq{Mode: mt.AddrBroadcast, Dst: zb.BroadcastRoutersCoordinators, Seconds: seconds})
	if err != nil {
		return fmt.Errorf("permit join: %w", err)
	}
	if l.buildDate() >= openCoordinatorToo {
		return nil
	}
	if err := l.command(ctx, &mt.ZDOMgmtPermitJoinReq{Mode: mt.AddrShort, Dst: zdo.AddressCoordinator, Seconds: seconds}); err != nil {
		return fmt.Errorf("permit join through the stick: %w", err)
	}
	return nil
}

func (l *link) buildDate() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.build
}
