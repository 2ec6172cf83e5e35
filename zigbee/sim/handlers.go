package sim

import (
	"errors"
	"fmt"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// errShort refuses a request that ends before its last field.
var errShort = errors.New("request too short")

// handler does what one command asks for, answers included. An error refuses the payload.
type handler func(s *Stick, payload []byte) error

// handlers is everything the stick understands.
var handlers = buildHandlers(sysHandlers, nvHandlers, afHandlers, zdoHandlers, mgmtHandlers, groupHandlers, utilHandlers, appHandlers)

// subsystems are those some command of which is understood.
var subsystems = buildSubsystems()

type table map[mt.Command]handler

func buildHandlers(parts ...func() table) table {
	all := table{}
	for _, part := range parts {
		for cmd, h := range part() {
			if _, twice := all[cmd]; twice {
				panic(fmt.Sprintf("two handlers for %s", cmd)) // found by any test that touches the package
			}
			all[cmd] = h
		}
	}
	return all
}

func buildSubsystems() map[unpi.Subsystem]bool {
	known := map[unpi.Subsystem]bool{}
	for cmd := range handlers {
		known[cmd.Subsystem] = true
	}
	return known
}

// on adds the handler of a command of the mt table to t.
func on[T any, M interface {
	*T
	mt.Message
}](t table, handle func(*Stick, M)) {
	t[M(new(T)).Command()] = func(s *Stick, payload []byte) error {
		m := M(new(T))
		if err := mt.Decode(payload, m); err != nil {
			return err //nolint:wrapcheck // looked at, not shown
		}
		handle(s, m)
		return nil
	}
}

// raw adds the handler of a request that the mt table does not have. The payload has at least size bytes.
func raw(t table, subsystem unpi.Subsystem, id uint8, size int, handle func(*Stick, mt.Command, []byte)) {
	cmd := mt.Command{Type: unpi.SyncRequest, Subsystem: subsystem, ID: id}
	t[cmd] = func(s *Stick, payload []byte) error {
		if len(payload) < size {
			return errShort
		}
		handle(s, cmd, payload)
		return nil
	}
}

// fixed answers a request the stick has no use for with always the same bytes.
func fixed(t table, subsystem unpi.Subsystem, id uint8, size int, answer ...byte) {
	raw(t, subsystem, id, size, func(s *Stick, cmd mt.Command, _ []byte) { s.sendRaw(cmd.Response(), answer, false) })
}
