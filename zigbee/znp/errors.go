package znp

import (
	"errors"
	"fmt"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

// Errors a caller tells apart.
var (
	// ErrNotRunning says that the stick carries no traffic now; State tells why and what to do.
	ErrNotRunning = errors.New("the zigbee stick is not running")
	// ErrHoldsNetwork says that forming would destroy the network the stick holds.
	ErrHoldsNetwork = errors.New("the stick holds a network")
	// ErrNoNetwork says that the stick holds no network that could be adopted.
	ErrNoNetwork = errors.New("the stick holds no network")
	// ErrUnsupported says that the stick's firmware does not know a command.
	ErrUnsupported = errors.New("the firmware does not support this command")
	// ErrTimeout says that the stick or the device did not answer in time.
	ErrTimeout = errors.New("no answer in time")
)

var (
	errReset      = errors.New("the stick restarted")
	errLinkDown   = errors.New("the link to the stick ended")
	errStateLost  = errors.New("the stick stopped being a coordinator")
	errWriteStall = errors.New("the port takes no more bytes")
)

// StatusError is a refusal with the stick's or the device's status.
type StatusError struct {
	Op     string // what was asked for
	Status mt.Status
}

// Error gives the refused operation and the status.
func (e *StatusError) Error() string { return fmt.Sprintf("%s: %s", e.Op, e.Status) }

// statusErr gives nil for success.
func statusErr(op string, s mt.Status) error {
	if s == mt.Success {
		return nil
	}
	return &StatusError{Op: op, Status: s}
}

// notRunning gives ErrNotRunning with the state's own words.
func notRunning(s State) error {
	switch {
	case s.Problem == "":
		return fmt.Errorf("%w (%s)", ErrNotRunning, s.Phase)
	case s.Hint == "":
		return fmt.Errorf("%w: %s", ErrNotRunning, s.Problem)
	default:
		return fmt.Errorf("%w: %s; next: %s", ErrNotRunning, s.Problem, s.Hint)
	}
}
