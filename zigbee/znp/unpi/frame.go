// Package unpi is the framing of TI's network processor interface: start byte, length, two command bytes,
// payload, checksum. It turns bytes into frames and frames into bytes, and recovers from damaged streams.
//
// It must never know what a command means, what a port is, or what time it is.
package unpi

import (
	"errors"
	"fmt"
)

// SOF starts every frame.
const SOF = 0xFE

// MaxPayload is the largest payload of a frame, in bytes.
const MaxPayload = 250

// subsystemMask selects the subsystem's bits of the first command byte.
const subsystemMask = 0x1F

// overhead counts SOF, length, the two command bytes and the checksum.
const overhead = 5

// ErrPayloadTooLong says that a payload does not fit into one frame.
var ErrPayloadTooLong = errors.New("payload does not fit into a frame")

// Type is the upper three bits of the first command byte.
type Type uint8

// Frame types.
const (
	Poll         Type = 0 // SPI transport only
	SyncRequest  Type = 1 // SREQ: answered by exactly one SyncResponse
	AsyncRequest Type = 2 // AREQ: both directions, not answered
	SyncResponse Type = 3 // SRSP
)

// String gives TI's name of the type.
func (t Type) String() string {
	switch t {
	case Poll:
		return "POLL"
	case SyncRequest:
		return "SREQ"
	case AsyncRequest:
		return "AREQ"
	case SyncResponse:
		return "SRSP"
	default:
		return fmt.Sprintf("type %d", uint8(t))
	}
}

// Subsystem is the lower five bits of the first command byte.
type Subsystem uint8

// Subsystems of the MT interface.
const (
	RPCError Subsystem = 0x00
	SYS      Subsystem = 0x01
	MAC      Subsystem = 0x02
	NWK      Subsystem = 0x03
	AF       Subsystem = 0x04
	ZDO      Subsystem = 0x05
	SAPI     Subsystem = 0x06
	UTIL     Subsystem = 0x07
	DBG      Subsystem = 0x08
	APP      Subsystem = 0x09
	UBL      Subsystem = 0x0D
	AppCnf   Subsystem = 0x0F
	ZGP      Subsystem = 0x15
)

var subsystemNames = map[Subsystem]string{
	RPCError: "RPC", SYS: "SYS", MAC: "MAC", NWK: "NWK", AF: "AF", ZDO: "ZDO", SAPI: "SAPI", UTIL: "UTIL",
	DBG: "DBG", APP: "APP", UBL: "UBL", AppCnf: "APP_CNF", ZGP: "ZGP",
}

// knownSubsystems has a bit for every subsystem that sends or takes commands.
const knownSubsystems uint32 = 1<<SYS | 1<<MAC | 1<<NWK | 1<<AF | 1<<ZDO | 1<<SAPI | 1<<UTIL | 1<<DBG | 1<<APP |
	1<<UBL | 1<<AppCnf | 1<<ZGP

// String gives TI's name of the subsystem.
func (s Subsystem) String() string {
	if name, ok := subsystemNames[s]; ok {
		return name
	}
	return fmt.Sprintf("subsystem 0x%02x", uint8(s))
}

// Frame is one command as it travels. Payload holds at most MaxPayload bytes.
type Frame struct {
	Type      Type
	Subsystem Subsystem
	ID        uint8
	Payload   []byte
}

// Append appends the frame's bytes to dst. The only error is ErrPayloadTooLong, with dst unchanged.
func (f Frame) Append(dst []byte) ([]byte, error) {
	if len(f.Payload) > MaxPayload {
		return dst, fmt.Errorf("frame %s %s 0x%02x with %d bytes: %w", f.Type, f.Subsystem, f.ID, len(f.Payload), ErrPayloadTooLong)
	}
	cmd0 := byte(f.Type)<<5 | byte(f.Subsystem)&subsystemMask
	start := len(dst)
	dst = append(dst, SOF, byte(len(f.Payload)), cmd0, f.ID)
	dst = append(dst, f.Payload...)
	return append(dst, checksum(dst[start+1:])), nil
}

// checksum is the XOR of all bytes between SOF and the checksum itself.
func checksum(b []byte) byte {
	var sum byte
	for _, c := range b {
		sum ^= c
	}
	return sum
}
