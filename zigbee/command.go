package zigbee

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

// MaxJoin is the longest a network may be opened for; 255 would mean for ever.
const MaxJoin = 254 * time.Second

// ErrNoEndpoint says that no endpoint of the device serves the cluster.
var ErrNoEndpoint = errors.New("the device does not have this function")

// FormParams say what network to form. The zero value leaves everything to chance and good practice.
type FormParams struct {
	Channel     uint8            // 11..26; 0 is 15
	PAN         zb.PANID         // 0 picks a random one
	ExtendedPAN zb.ExtendedPANID // 0 picks a random one
	// Replace allows destroying the network the stick holds. Every device has to be paired again.
	Replace bool
}

// Join is a permission to join.
type Join struct {
	Duration time.Duration   // up to MaxJoin, rounded up to seconds; 0 closes the network
	Router   *zb.IEEEAddress // join through this router only; nil: through the stick and every router
}

// PermitJoin opens or closes the network for new devices.
func (n *Network) PermitJoin(ctx context.Context, j Join) error {
	if j.Duration < 0 || j.Duration > MaxJoin {
		return fmt.Errorf("permit join for %s: a network can be opened for %s at most", j.Duration, MaxJoin)
	}
	p := permission{seconds: uint8(math.Ceil(j.Duration.Seconds()))}
	if j.Router != nil {
		address, err := n.address(ctx, *j.Router)
		if err != nil {
			return fmt.Errorf("permit join: %w", err)
		}
		p.router, p.hasRouter = address, true
	}
	if err := n.radio.PermitJoin(ctx, p); err != nil {
		return err
	}
	n.joinUntil.Store(time.Now().Add(j.Duration).UnixNano())
	return nil
}

// JoinOpen reports whether new devices may join now.
func (n *Network) JoinOpen() bool { return time.Now().UnixNano() < n.joinUntil.Load() }

// Form makes a new network on the stick. The parameters it returns belong into Options.Expect from then on.
func (n *Network) Form(ctx context.Context, p FormParams) (NetworkParams, error) {
	return n.radio.Form(ctx, p)
}

// Adopt takes over the network the stick holds. The parameters it returns belong into Options.Expect from then on.
func (n *Network) Adopt(ctx context.Context) (NetworkParams, error) { return n.radio.Adopt(ctx) }

// Remove asks a device to leave the network and forgets it. With force it is forgotten even if it cannot be
// reached; it may come back while the network is open.
func (n *Network) Remove(ctx context.Context, ieee zb.IEEEAddress, force bool) error {
	if _, ok := n.table.get(ieee); !ok {
		return fmt.Errorf("remove: %w %s", ErrUnknownDevice, ieee)
	}
	address, err := n.address(ctx, ieee)
	if err == nil {
		err = n.radio.Leave(ctx, address, ieee)
	}
	if err != nil && !force {
		return fmt.Errorf("ask device %s to leave: %w", ieee, err)
	}
	n.forget(ieee)
	return nil
}

// Interview asks a device everything again. It returns at once; DeviceChanged events tell the progress.
func (n *Network) Interview(_ context.Context, ieee zb.IEEEAddress) error {
	known := n.table.change(ieee, func(e *entry) bool {
		e.interview = &interview{settled: make(map[question]bool)}
		changed := e.Interview != InterviewPending
		e.Interview = InterviewPending
		return changed
	})
	if !known {
		return fmt.Errorf("interview: %w %s", ErrUnknownDevice, ieee)
	}
	n.schedule.at(ieee, time.Now())
	return nil
}

// Commands of the on/off cluster (ZCL section 3.8.2.3).
const (
	CommandOff    uint8 = 0x00
	CommandOn     uint8 = 0x01
	CommandToggle uint8 = 0x02
)

// ClusterOnOff is the cluster of switches and sockets.
const ClusterOnOff = zb.ClusterID(zcl.ClusterOnOff)

// Command is one cluster command for a device.
type Command struct {
	Device       zb.IEEEAddress
	Endpoint     zb.Endpoint // 0: the lowest that serves the cluster
	Cluster      zb.ClusterID
	ID           uint8 // CommandOn and its siblings for ClusterOnOff
	Manufacturer zb.ManufacturerCode
	Payload      []byte
}

// Result is a device's answer to a command.
type Result struct {
	Status  zcl.Status // zcl.StatusSuccess, or why the device refuses
	Payload []byte     // of a response with content; nil for a plain status
}

// Command sends a cluster command and waits for the device's answer. A refusal is a Result, not an error.
func (n *Network) Command(ctx context.Context, c Command) (Result, error) {
	to, err := n.targetOf(c.Device, c.Endpoint, c.Cluster)
	if err != nil {
		return Result{}, fmt.Errorf("command: %w", err)
	}
	reply, err := n.request(ctx, to, zcl.Frame{
		Type: zcl.ClusterSpecific, Manufacturer: uint16(c.Manufacturer), Command: c.ID, Payload: c.Payload,
	})
	var refusal *StatusError
	switch {
	case errors.As(err, &refusal):
		return Result{Status: refusal.Status}, nil
	case err != nil:
		return Result{}, fmt.Errorf("command to device %s: %w", c.Device, err)
	case reply.Type == zcl.ProfileWide:
		return Result{Status: zcl.StatusSuccess}, nil
	}
	return Result{Status: zcl.StatusSuccess, Payload: reply.Payload}, nil
}

// Read names attributes of one cluster.
type Read struct {
	Device       zb.IEEEAddress
	Endpoint     zb.Endpoint // 0: the lowest that serves the cluster
	Cluster      zb.ClusterID
	Manufacturer zb.ManufacturerCode // 0 for the standard's own attributes
	Attributes   []uint16
}

// ReadAttributes asks a device for attributes. What it answers also goes out as a Report.
func (n *Network) ReadAttributes(ctx context.Context, r Read) ([]zcl.ReadRecord, error) {
	to, err := n.targetOf(r.Device, r.Endpoint, r.Cluster)
	if err != nil {
		return nil, fmt.Errorf("read attributes: %w", err)
	}
	records, err := n.readAttributes(ctx, to, uint16(r.Manufacturer), r.Attributes...)
	if err != nil {
		return nil, fmt.Errorf("read attributes of device %s: %w", r.Device, err)
	}
	return records, nil
}

func (n *Network) targetOf(ieee zb.IEEEAddress, endpoint zb.Endpoint, cluster zb.ClusterID) (target, error) {
	d, ok := n.table.get(ieee)
	if !ok {
		return target{}, fmt.Errorf("%w %s", ErrUnknownDevice, ieee)
	}
	if endpoint == 0 {
		if endpoint, ok = d.endpointWith(cluster); !ok {
			return target{}, fmt.Errorf("%w (%s)", ErrNoEndpoint, zcl.ClusterName(uint16(cluster)))
		}
	}
	return target{device: ieee, endpoint: endpoint, cluster: cluster}, nil
}
