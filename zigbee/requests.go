package zigbee

import (
	"context"
	"fmt"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

// address gives a device's network address, asking the network when it is not known.
func (n *Network) address(ctx context.Context, ieee zb.IEEEAddress) (zb.NetworkAddress, error) {
	d, ok := n.table.get(ieee)
	if !ok {
		return 0, fmt.Errorf("%w %s", ErrUnknownDevice, ieee)
	}
	if d.Network != addressUnknown {
		return d.Network, nil
	}
	address, err := n.radio.NetworkAddress(ctx, ieee)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoAddress, err)
	}
	n.table.moved(ieee, address)
	return address, nil
}

func (n *Network) readAttributes(ctx context.Context, to target, manufacturer uint16, ids ...uint16) ([]zcl.ReadRecord, error) {
	reply, err := n.request(ctx, to, zcl.Frame{
		Manufacturer: manufacturer, Command: zcl.CommandReadAttributes, Payload: zcl.AppendReadRequest(nil, ids...),
	})
	if err != nil {
		return nil, err
	}
	return zcl.DecodeReadResponse(reply.Payload), nil
}

func (n *Network) writeAttribute(ctx context.Context, to target, a zcl.Attribute) error {
	payload, err := zcl.AppendWrite(nil, []zcl.Attribute{a})
	if err != nil {
		return err
	}
	reply, err := n.request(ctx, to, zcl.Frame{Command: zcl.CommandWriteAttributes, Payload: payload})
	if err != nil {
		return err
	}
	refusals, err := zcl.DecodeWriteResponse(reply.Payload)
	if err != nil {
		return err
	}
	if len(refusals) > 0 {
		return &StatusError{Status: refusals[0].Status}
	}
	return nil
}
