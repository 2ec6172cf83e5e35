package zigbee

import (
	"context"
	"slices"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/device"
	"github.com/peerbee/peerbee/zigbee/device/profile"
	"github.com/peerbee/peerbee/zigbee/zcl"
)

const (
	// nodeTries is how often a device just joined is asked for its node descriptor, the first question of all:
	// it may still be busy with joining, and the route to it may have to be found.
	nodeTries = 6
	// nodeTimeout bounds one such try.
	nodeTimeout = 5 * time.Second
	// tuyaManufacturer's end devices lose their way when asked too early; tuyaRest is what they need.
	tuyaManufacturer zb.ManufacturerCode = 0x120b
	tuyaRest                             = 10 * time.Second
	// maxEndpoints bounds what a node may claim; nothing known has more than a dozen.
	maxEndpoints = 32
	// neededAtOnce keeps an answer well below the 80 bytes that fit one radio frame.
	neededAtOnce = 5
)

func (s *session) readNode(ctx context.Context) error {
	err := s.ask(ctx, question{kind: askNode}, func(ctx context.Context) error {
		tries := nodeTries
		if s.failures > 0 {
			tries = 1
		}
		var err error
		for try := range tries {
			if try > 0 {
				s.findRoute(ctx)
			}
			if err = s.readNodeOnce(ctx); err == nil || refused(err) || ctx.Err() != nil {
				return err
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	d, err := s.device()
	if err != nil {
		return err
	}
	if d.ManufacturerCode == tuyaManufacturer && d.Type == zb.EndDevice && !s.tuyaRest && !s.repeat {
		s.tuyaRest = true
		s.rest(tuyaRest)
		return errRest
	}
	return nil
}

func (s *session) rest(d time.Duration) {
	s.n.table.change(s.ieee, func(*entry) bool {
		s.notBefore = time.Now().Add(d)
		return false
	})
}

func (s *session) readNodeOnce(parent context.Context) error {
	ctx, cancel := context.WithTimeout(parent, nodeTimeout)
	defer cancel()
	address, err := s.n.address(ctx, s.ieee)
	if err != nil {
		return err
	}
	node, err := s.n.radio.NodeDescriptor(ctx, address)
	switch {
	case err != nil && ctx.Err() != nil && parent.Err() == nil:
		return ErrNoAnswer
	case err != nil:
		return err
	}
	s.record(func(d *Device) bool {
		d.Type, d.ManufacturerCode = node.LogicalType, node.ManufacturerCode
		return true
	})
	return nil
}

// findRoute is a help only: an error shows in the next try.
func (s *session) findRoute(ctx context.Context) {
	address, err := s.n.address(ctx, s.ieee)
	if err == nil {
		err = s.n.radio.DiscoverRoute(ctx, address)
	}
	if err != nil {
		s.n.log.Debug("no route discovered", "device", s.ieee, "error", err)
	}
}

func (s *session) readEndpoints(ctx context.Context) error {
	return s.ask(ctx, question{kind: askEndpoints}, func(ctx context.Context) error {
		address, err := s.n.address(ctx, s.ieee)
		if err != nil {
			return err
		}
		active, err := s.n.radio.ActiveEndpoints(ctx, address)
		if err != nil {
			return err
		}
		slices.Sort(active)
		// Endpoints that are not there must never be asked for: some coordinators crash on the answer.
		active = slices.DeleteFunc(slices.Compact(active), func(ep zb.Endpoint) bool { return ep == 0 || ep == 0xff })
		s.active = active[:min(len(active), maxEndpoints)]
		return nil
	})
}

func (s *session) readDescriptors(ctx context.Context) error {
	asks := make([]func(context.Context) error, 0, len(s.active))
	for _, id := range s.active {
		asks = append(asks, func(ctx context.Context) error {
			return s.ask(ctx, question{kind: askDescriptor, endpoint: id}, func(ctx context.Context) error {
				return s.readDescriptor(ctx, id)
			})
		})
	}
	return together(ctx, asks)
}

func (s *session) readDescriptor(ctx context.Context, id zb.Endpoint) error {
	address, err := s.n.address(ctx, s.ieee)
	if err != nil {
		return err
	}
	simple, err := s.n.radio.SimpleDescriptor(ctx, address, id)
	if err != nil {
		return err
	}
	ep := Endpoint{
		ID: id, Profile: simple.Profile, DeviceType: simple.DeviceType,
		InClusters: simple.InClusters, OutClusters: simple.OutClusters,
	}
	s.record(func(d *Device) bool {
		at, found := slices.BinarySearchFunc(d.Endpoints, id, func(e Endpoint, id zb.Endpoint) int { return int(e.ID) - int(id) })
		// Readers may hold the old slice.
		d.Endpoints = slices.Clone(d.Endpoints)
		if found {
			d.Endpoints[at] = ep
		} else {
			d.Endpoints = slices.Insert(d.Endpoints, at, ep)
		}
		return true
	})
	return nil
}

// basicAttributes are asked for one by one: some devices answer no question that holds an attribute they lack.
var basicAttributes = []uint16{
	zcl.AttrBasicManufacture, zcl.AttrBasicModel, zcl.AttrBasicPowerSource, zcl.AttrBasicFirmware,
}

func (s *session) readBasic(ctx context.Context) error {
	d, err := s.device()
	if err != nil {
		return err
	}
	endpoint, ok := d.endpointWith(zb.ClusterID(zcl.ClusterBasic))
	if !ok {
		return nil
	}
	asks := make([]func(context.Context) error, 0, len(basicAttributes))
	for _, id := range basicAttributes {
		asks = append(asks, func(ctx context.Context) error {
			return s.ask(ctx, question{askBasic, endpoint, zcl.ClusterBasic, id}, func(ctx context.Context) error {
				return s.readBasicAttribute(ctx, endpoint, id)
			})
		})
	}
	return together(ctx, asks)
}

func (s *session) readBasicAttribute(ctx context.Context, endpoint zb.Endpoint, id uint16) error {
	records, err := s.n.readAttributes(ctx, target{device: s.ieee, endpoint: endpoint, cluster: zb.ClusterID(zcl.ClusterBasic)}, 0, id)
	if err != nil {
		return err
	}
	s.n.table.change(s.ieee, func(e *entry) bool {
		changed := false
		for _, a := range succeeded(records) {
			changed = e.setBasic(a) || changed
		}
		return changed
	})
	return nil
}

// setBasic takes an attribute of the Basic cluster into the record.
func (e *entry) setBasic(a zcl.Attribute) bool {
	before := e.Device
	switch a.ID {
	case zcl.AttrBasicManufacture:
		setText(&e.Manufacturer, a.Value)
	case zcl.AttrBasicModel:
		setText(&e.Model, a.Value)
	case zcl.AttrBasicFirmware:
		setText(&e.Firmware, a.Value)
	case zcl.AttrBasicPowerSource:
		if v, ok := a.Value.(uint64); ok {
			e.PowerSource = powerSource(v)
		}
	}
	changed := e.Manufacturer != before.Manufacturer || e.Model != before.Model ||
		e.Firmware != before.Firmware || e.PowerSource != before.PowerSource
	if changed {
		e.recognise()
	}
	return changed
}

// setText keeps a device's text free of what a terminal would act on: devices fill with NULs, and worse may come.
func setText(to *string, value any) {
	text, ok := value.(string)
	if !ok {
		return
	}
	text = profile.Clean(text)
	if text != "" {
		*to = text
	}
}

// powerSource names a value of the attribute (ZCL table 3-9); bit 7 only tells of a second source.
func powerSource(v uint64) string {
	switch v & 0x7f {
	case 1, 2, 5, 6: // single phase, three phases, emergency mains
		return "mains"
	case 3:
		return "battery"
	case 4:
		return "dc"
	}
	return "unknown"
}

// readNeeded reads what the reports to come cannot be understood without. What the answers mean is taken from
// them as they pass, as from every answer.
func (s *session) readNeeded(ctx context.Context) error {
	d, err := s.device()
	if err != nil {
		return err
	}
	var asks []func(context.Context) error
	for _, ep := range d.Endpoints {
		for _, cluster := range ep.InClusters {
			for ids := range slices.Chunk(device.NeededAttributes(uint16(cluster)), neededAtOnce) {
				asks = append(asks, func(ctx context.Context) error {
					return s.ask(ctx, question{askNeeded, ep.ID, uint16(cluster), ids[0]}, func(ctx context.Context) error {
						_, err := s.n.readAttributes(ctx, target{device: s.ieee, endpoint: ep.ID, cluster: cluster}, 0, ids...)
						return err
					})
				})
			}
		}
	}
	return together(ctx, asks)
}

// endpointWith gives the lowest endpoint that serves a cluster.
func (d Device) endpointWith(cluster zb.ClusterID) (zb.Endpoint, bool) {
	for _, ep := range d.Endpoints {
		if slices.Contains(ep.InClusters, cluster) {
			return ep.ID, true
		}
	}
	return 0, false
}
