package zdo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	zb "github.com/shimmeringbee/zigbee"
)

// ErrShort says that the bytes end before the structure does.
var ErrShort = errors.New("too few bytes")

// Reserved network addresses (R22 section 3.6.5).
const (
	BroadcastAll         zb.NetworkAddress = 0xffff // every device, sleepers through their parents
	BroadcastRxOn        zb.NetworkAddress = 0xfffd // every device whose receiver is always on
	BroadcastRouters     zb.NetworkAddress = 0xfffc // routers and the coordinator
	BroadcastLowPower    zb.NetworkAddress = 0xfffb // low power routers
	AddressUnknown       zb.NetworkAddress = 0xfffe // no network address is known
	AddressCoordinator   zb.NetworkAddress = 0x0000
	firstReservedAddress zb.NetworkAddress = 0xfff8
)

// IsBroadcast reports whether a is one of the broadcast or reserved addresses, 0xfff8 and above.
func IsBroadcast(a zb.NetworkAddress) bool { return a >= firstReservedAddress }

// Endpoints with a fixed meaning (R22 section 2.2.4.1.1).
const (
	EndpointZDO        zb.Endpoint = 0x00 // the device itself
	EndpointGreenPower zb.Endpoint = 0xf2
	EndpointBroadcast  zb.Endpoint = 0xff // every endpoint of the device
)

// Capability is the MAC capability information a device announces (R22 table 2.38).
type Capability uint8

// Bits of Capability.
const (
	CapabilityAlternatePANCoordinator Capability = 1 << 0
	CapabilityFullFunction            Capability = 1 << 1 // router or coordinator
	CapabilityMainsPowered            Capability = 1 << 2
	CapabilityRxOnWhenIdle            Capability = 1 << 3 // never sleeps
	CapabilitySecurity                Capability = 1 << 6
	CapabilityAllocateAddress         Capability = 1 << 7
)

var capabilityNames = []struct {
	bit  Capability
	name string
}{
	{CapabilityAlternatePANCoordinator, "alternate-pan-coordinator"},
	{CapabilityFullFunction, "full-function"},
	{CapabilityMainsPowered, "mains"},
	{CapabilityRxOnWhenIdle, "rx-on-when-idle"},
	{CapabilitySecurity, "security"},
	{CapabilityAllocateAddress, "allocate-address"},
}

// Has reports whether every bit of want is set.
func (c Capability) Has(want Capability) bool { return c&want == want }

// String lists the names of the set bits, joined by "|".
func (c Capability) String() string {
	var set []string
	for _, n := range capabilityNames {
		if c.Has(n.bit) {
			set = append(set, n.name)
		}
	}
	return strings.Join(set, "|")
}

// AddressMode tells what kind of address a binding points to (R22 table 2.61).
type AddressMode uint8

// Address modes of a binding's target.
const (
	AddressModeGroup AddressMode = 0x01 // 16-bit group, no endpoint
	AddressModeIEEE  AddressMode = 0x03 // 64-bit address and endpoint
)

// BindTarget is the destination of a binding: a group, or an endpoint of a device.
type BindTarget struct {
	Mode     AddressMode
	Group    zb.GroupID     // AddressModeGroup
	IEEE     zb.IEEEAddress // AddressModeIEEE
	Endpoint zb.Endpoint    // AddressModeIEEE
}

// Append adds the target as it stands in Bind_req and in binding tables (R22 section 2.4.3.2.2).
func (t BindTarget) Append(dst []byte) []byte {
	dst = append(dst, byte(t.Mode))
	if t.Mode == AddressModeGroup {
		return binary.LittleEndian.AppendUint16(dst, uint16(t.Group))
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(t.IEEE))
	return append(dst, byte(t.Endpoint))
}

// DecodeBindTarget reads a target and gives the bytes behind it.
func DecodeBindTarget(b []byte) (t BindTarget, rest []byte, err error) {
	if len(b) < 1 {
		return BindTarget{}, nil, fmt.Errorf("decode bind target: %w", ErrShort)
	}
	t.Mode, b = AddressMode(b[0]), b[1:]
	switch {
	case t.Mode == AddressModeGroup && len(b) >= 2:
		t.Group = zb.GroupID(binary.LittleEndian.Uint16(b))
		return t, b[2:], nil
	case t.Mode == AddressModeIEEE && len(b) >= 9:
		t.IEEE = zb.IEEEAddress(binary.LittleEndian.Uint64(b))
		t.Endpoint = zb.Endpoint(b[8])
		return t, b[9:], nil
	case t.Mode == AddressModeGroup || t.Mode == AddressModeIEEE:
		return BindTarget{}, nil, fmt.Errorf("decode bind target: %w", ErrShort)
	}
	return BindTarget{}, nil, fmt.Errorf("decode bind target: address mode 0x%02x is neither group nor IEEE", uint8(t.Mode))
}
