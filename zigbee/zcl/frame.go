// Package zcl is the codec of the Zigbee Cluster Library: frames, data types, the foundation commands in both
// directions and the IAS zone commands (Zigbee document 07-5123 revision 8, named ZCL below). It must never
// know devices, units, addresses or sticks: what a number means is said elsewhere.
package zcl

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrShort says that the bytes end before the structure does.
var ErrShort = errors.New("too few bytes")

// FrameType tells which table a frame's command number belongs to (ZCL section 2.4.1.1.1).
type FrameType uint8

// Frame types. The two others are reserved.
const (
	ProfileWide     FrameType = 0 // a foundation command: CommandReadAttributes and its siblings
	ClusterSpecific FrameType = 1 // a command of the cluster
)

// Bits of the frame control byte.
const (
	controlTypeMask       = 0x03
	controlManufacturer   = 1 << 2
	controlFromServer     = 1 << 3
	controlDisableDefault = 1 << 4
)

// Frame is one ZCL frame (ZCL section 2.4.1). The payload is not copied.
type Frame struct {
	Type                   FrameType
	Manufacturer           uint16 // 0 for the standard's own commands and attributes
	FromServer             bool   // sent by the cluster's server side, that is: by the sensor
	DisableDefaultResponse bool
	Seq                    uint8
	Command                uint8
	Payload                []byte
}

// Decode reads a frame. Payload points into b. The errors are ErrShort and a reserved frame type.
func Decode(b []byte) (Frame, error) {
	if len(b) < 3 {
		return Frame{}, fmt.Errorf("decode zcl frame of %d bytes: %w", len(b), ErrShort)
	}
	control := b[0]
	f := Frame{
		Type:                   FrameType(control & controlTypeMask),
		FromServer:             control&controlFromServer != 0,
		DisableDefaultResponse: control&controlDisableDefault != 0,
	}
	if f.Type > ClusterSpecific {
		return Frame{}, fmt.Errorf("decode zcl frame: reserved frame type %d", f.Type)
	}
	b = b[1:]
	if control&controlManufacturer != 0 {
		if len(b) < 4 {
			return Frame{}, fmt.Errorf("decode zcl manufacturer frame: %w", ErrShort)
		}
		f.Manufacturer, b = binary.LittleEndian.Uint16(b), b[2:]
	}
	f.Seq, f.Command, f.Payload = b[0], b[1], b[2:]
	return f, nil
}

// Append adds the frame's bytes.
func (f Frame) Append(dst []byte) []byte {
	control := byte(f.Type) & controlTypeMask
	if f.Manufacturer != 0 {
		control |= controlManufacturer
	}
	if f.FromServer {
		control |= controlFromServer
	}
	if f.DisableDefaultResponse {
		control |= controlDisableDefault
	}
	dst = append(dst, control)
	if f.Manufacturer != 0 {
		dst = binary.LittleEndian.AppendUint16(dst, f.Manufacturer)
	}
	dst = append(dst, f.Seq, f.Command)
	return append(dst, f.Payload...)
}

// Reply gives the frame that answers f: same kind, manufacturer and sequence, the other direction, and no
// default response asked for, as for every response (ZCL section 2.5.12.2).
func (f Frame) Reply(command uint8, payload []byte) Frame {
	f.FromServer = !f.FromServer
	f.DisableDefaultResponse = true
	f.Command, f.Payload = command, payload
	return f
}
