// Package mt is the command table of TI's Monitor and Test interface as Z-Stack network processors speak it:
// which commands exist, what answers what, and the fields of every payload, for both directions.
//
// It must never know ports, timing or what a host does with an answer.
package mt

import (
	"fmt"

	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// Command names one command in one direction.
type Command struct {
	Type      unpi.Type
	Subsystem unpi.Subsystem
	ID        uint8
}

// Response gives the command that answers a SREQ.
func (c Command) Response() Command {
	return Command{Type: unpi.SyncResponse, Subsystem: c.Subsystem, ID: c.ID}
}

// String gives the table's name of the command, with type and numbers for one it does not know.
func (c Command) String() string {
	if info, ok := Lookup(c); ok {
		return info.Name
	}
	return fmt.Sprintf("%s %s 0x%02x", c.Type, c.Subsystem, c.ID)
}

// CommandOf gives the command a frame carries.
func CommandOf(f unpi.Frame) Command {
	return Command{Type: f.Type, Subsystem: f.Subsystem, ID: f.ID}
}

// Message is a typed payload. The types of this package are the only ones.
type Message interface {
	Command() Command
	fields(c *codec)
}

// AppendFrame appends the message as a whole frame, from start byte to checksum.
func AppendFrame(dst []byte, m Message) ([]byte, error) {
	payload, err := Append(make([]byte, 0, 64), m)
	if err != nil {
		return dst, err
	}
	cmd := m.Command()
	return unpi.Frame{Type: cmd.Type, Subsystem: cmd.Subsystem, ID: cmd.ID, Payload: payload}.Append(dst)
}

// DecodeFrame gives the typed message of a frame. A command outside the table gives ErrUnknown.
func DecodeFrame(f unpi.Frame) (Message, error) {
	info, ok := Lookup(CommandOf(f))
	if !ok {
		return nil, fmt.Errorf("%s: %w", CommandOf(f), ErrUnknown)
	}
	m := info.New()
	if err := Decode(f.Payload, m); err != nil {
		return nil, err
	}
	return m, nil
}

func sreq(s unpi.Subsystem, id uint8) Command {
	return Command{Type: unpi.SyncRequest, Subsystem: s, ID: id}
}

func srsp(s unpi.Subsystem, id uint8) Command {
	return Command{Type: unpi.SyncResponse, Subsystem: s, ID: id}
}

func areq(s unpi.Subsystem, id uint8) Command {
	return Command{Type: unpi.AsyncRequest, Subsystem: s, ID: id}
}

// StatusRsp is the SRSP of every command that is answered by a status alone.
type StatusRsp struct {
	Of     Command // the SREQ it answers; not on the wire
	Status Status
}

// Command implements Message.
func (m *StatusRsp) Command() Command { return m.Of.Response() }

func (m *StatusRsp) fields(c *codec) { u8(c, &m.Status) }

// RPC error codes.
const (
	ErrorInvalidSubsystem uint8 = 1
	ErrorInvalidCommand   uint8 = 2
	ErrorInvalidParameter uint8 = 3
	ErrorInvalidLength    uint8 = 4
)

// RPCError answers a SREQ that the firmware does not know or cannot parse.
type RPCError struct {
	Code uint8
	CMD0 uint8 // first command byte of the request: type and subsystem
	CMD1 uint8 // its id
}

// Command implements Message.
func (m *RPCError) Command() Command { return srsp(unpi.RPCError, 0) }

func (m *RPCError) fields(c *codec) { u8(c, &m.Code); u8(c, &m.CMD0); u8(c, &m.CMD1) }

// Request gives the command that was refused.
func (m *RPCError) Request() Command {
	return Command{Type: unpi.Type(m.CMD0 >> 5), Subsystem: unpi.Subsystem(m.CMD0 & 0x1F), ID: m.CMD1}
}
