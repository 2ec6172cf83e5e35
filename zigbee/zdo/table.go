package zdo

import (
	"encoding/binary"
	"fmt"

	zb "github.com/shimmeringbee/zigbee"
)

// NeighbourSize is the encoded size of a Neighbour in bytes.
const NeighbourSize = 22

// Neighbour is one entry of a node's neighbour table (Mgmt_Lqi_rsp, R22 table 2.126).
type Neighbour struct {
	ExtendedPAN  zb.ExtendedPANID
	IEEE         zb.IEEEAddress
	Network      zb.NetworkAddress
	Type         zb.LogicalType // 0..2, 3 unknown
	RxOnWhenIdle Tristate
	Relationship uint8    // zb.RelationshipParent and its siblings; 4 is a previous child
	PermitJoin   Tristate // whether the neighbour accepts joins
	Depth        uint8    // hops from the coordinator
	LQI          uint8
}

// Tristate is a two-bit answer of a management table.
type Tristate uint8

// Answers of a Tristate.
const (
	No      Tristate = 0
	Yes     Tristate = 1
	Unknown Tristate = 2
)

// Append adds the NeighbourSize bytes of the entry.
func (n Neighbour) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(n.ExtendedPAN))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(n.IEEE))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(n.Network))
	flags := byte(n.Type)&0x03 | byte(n.RxOnWhenIdle)&0x03<<2 | n.Relationship&0x07<<4
	return append(dst, flags, byte(n.PermitJoin)&0x03, n.Depth, n.LQI)
}

// DecodeNeighbour reads one entry and gives the bytes behind it. The error is ErrShort.
func DecodeNeighbour(b []byte) (n Neighbour, rest []byte, err error) {
	if len(b) < NeighbourSize {
		return Neighbour{}, nil, fmt.Errorf("decode neighbour of %d bytes: %w", len(b), ErrShort)
	}
	return Neighbour{
		ExtendedPAN:  zb.ExtendedPANID(binary.LittleEndian.Uint64(b)),
		IEEE:         zb.IEEEAddress(binary.LittleEndian.Uint64(b[8:])),
		Network:      zb.NetworkAddress(binary.LittleEndian.Uint16(b[16:])),
		Type:         zb.LogicalType(b[18] & 0x03),
		RxOnWhenIdle: Tristate(b[18] >> 2 & 0x03),
		Relationship: b[18] >> 4 & 0x07,
		PermitJoin:   Tristate(b[19] & 0x03),
		Depth:        b[20],
		LQI:          b[21],
	}, b[NeighbourSize:], nil
}

// RouteSize is the encoded size of a Route in bytes.
const RouteSize = 5

// RouteStatus is the state of a routing table entry (R22 table 2.128).
type RouteStatus uint8

// States of a Route.
const (
	RouteActive             RouteStatus = 0
	RouteDiscoveryUnderway  RouteStatus = 1
	RouteDiscoveryFailed    RouteStatus = 2
	RouteInactive           RouteStatus = 3
	RouteValidationUnderway RouteStatus = 4
)

// Route is one entry of a node's routing table (Mgmt_Rtg_rsp, R22 table 2.128).
type Route struct {
	Destination         zb.NetworkAddress
	Status              RouteStatus
	MemoryConstrained   bool
	ManyToOne           bool
	RouteRecordRequired bool
	NextHop             zb.NetworkAddress
}

// Append adds the RouteSize bytes of the entry.
func (r Route) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, uint16(r.Destination))
	flags := byte(r.Status) & 0x07
	if r.MemoryConstrained {
		flags |= 1 << 3
	}
	if r.ManyToOne {
		flags |= 1 << 4
	}
	if r.RouteRecordRequired {
		flags |= 1 << 5
	}
	dst = append(dst, flags)
	return binary.LittleEndian.AppendUint16(dst, uint16(r.NextHop))
}

// DecodeRoute reads one entry and gives the bytes behind it. The error is ErrShort.
func DecodeRoute(b []byte) (r Route, rest []byte, err error) {
	if len(b) < RouteSize {
		return Route{}, nil, fmt.Errorf("decode route of %d bytes: %w", len(b), ErrShort)
	}
	return Route{
		Destination:         zb.NetworkAddress(binary.LittleEndian.Uint16(b)),
		Status:              RouteStatus(b[2] & 0x07),
		MemoryConstrained:   b[2]&(1<<3) != 0,
		ManyToOne:           b[2]&(1<<4) != 0,
		RouteRecordRequired: b[2]&(1<<5) != 0,
		NextHop:             zb.NetworkAddress(binary.LittleEndian.Uint16(b[3:])),
	}, b[RouteSize:], nil
}
