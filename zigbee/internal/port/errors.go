package port

import "errors"

// What can be wrong with a port, for errors.Is.
var (
	ErrSpec        = errors.New("unusable port name")
	ErrMissing     = errors.New("no such port")
	ErrBusy        = errors.New("port in use")
	ErrPermission  = errors.New("no permission for the port")
	ErrNotSerial   = errors.New("not a serial port")
	ErrUnreachable = errors.New("stick unreachable over the network")
	ErrStalled     = errors.New("stick takes no data")
)

// Error says why a port cannot be used and what a person does next.
type Error struct {
	Port    string
	Kind    error  // one of the errors above
	Problem string // a sentence without full stop
	Next    string // the next step, a command where there is one
	Err     error  // the system's own error, nil when there is none
}

// Error holds the problem and the next step.
func (e *Error) Error() string {
	if e.Next == "" {
		return e.Problem
	}
	return e.Problem + "; " + e.Next
}

// Unwrap gives the kind and the system's error.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// Explain gives the problem and the next step apart, for callers that show them apart.
func (e *Error) Explain() (problem, hint string) { return e.Problem, e.Next }
