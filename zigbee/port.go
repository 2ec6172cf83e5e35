package zigbee

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/peerbee/peerbee/zigbee/internal/port"
)

// OpenPort opens the byte stream to the stick. It is called again, for ever, whenever the stream ends. A result
// with SetDTR(bool) error and SetRTS(bool) error lets the network talk sticks out of their boot loader. An error
// with an Explain() (problem, hint string) method is shown to people in these words.
type OpenPort func(context.Context) (io.ReadWriteCloser, error)

// Stick is a serial port with a coordinator stick behind it, or one that may have.
type Stick struct {
	Path     string // the stable name, what goes into the configuration
	Name     string // the maker's name, or the bridge chip's when that is all that is known
	Family   string // "znp", "ezsp", "deconz"; empty when only the bridge chip is known
	Possible bool   // nothing but a general USB bridge was recognised
}

// Usable reports whether this package can drive the stick's family.
func (s Stick) Usable() bool { return s.Family == port.FamilyZNP || s.Family == "" }

// Discover lists the sticks plugged into this machine, certain ones first.
func Discover() ([]Stick, error) {
	found, err := port.Discover()
	if err != nil {
		return nil, fmt.Errorf("look for sticks: %w", err)
	}
	sticks := make([]Stick, 0, len(found))
	for _, s := range found {
		sticks = append(sticks, Stick{Path: s.Path, Name: s.Name, Family: s.Family, Possible: s.Possible})
	}
	return sticks, nil
}

// PortHolders names other processes that have the port at path open, at most four, as far as this user may look.
func PortHolders(path string) []string { return port.Holders(path) }

// CheckPort reports what is wrong with the text of a port setting, nil when it could be opened: a path such as
// /dev/serial/by-id/usb-..., optionally with ?rtscts=1, or tcp://host:port.
func CheckPort(spec string) error {
	_, err := port.ParseSpec(spec)
	return err
}

// OpenerFor gives the OpenPort of a port setting (see CheckPort). A port whose stick is known to speak a protocol
// that this package does not is refused by a *WrongFamilyError at the time it would be opened.
func OpenerFor(spec string) OpenPort {
	return func(ctx context.Context) (io.ReadWriteCloser, error) {
		if err := refuseForeign(spec, Discover); err != nil {
			return nil, err
		}
		return port.Open(ctx, spec)
	}
}

// WrongFamilyError says that the port holds a stick this package cannot drive.
type WrongFamilyError struct{ Stick Stick }

// Error names the stick and the way out.
func (e *WrongFamilyError) Error() string {
	problem, hint := e.Explain()
	return problem + "; " + hint
}

// Explain gives the problem and the next step apart.
func (e *WrongFamilyError) Explain() (problem, hint string) {
	return fmt.Sprintf("%s is a %s, which speaks %s; only Z-Stack sticks are driven", e.Stick.Path, e.Stick.Name, familyName(e.Stick.Family)),
		"plug in a Z-Stack stick such as the Sonoff Dongle-P and set its port"
}

// WrongFamily tells the stick's host that no retry helps until the stick is another.
func (e *WrongFamilyError) WrongFamily() bool { return true }

func familyName(family string) string {
	switch family {
	case port.FamilyEZSP:
		return "EZSP (Silicon Labs)"
	case port.FamilyDeconz:
		return "deCONZ"
	}
	return family
}

func refuseForeign(spec string, discover func() ([]Stick, error)) error {
	parsed, err := port.ParseSpec(spec)
	if err != nil {
		return err
	}
	if parsed.Path == "" {
		return nil
	}
	sticks, err := discover()
	if err != nil {
		return nil //nolint:nilerr // a machine that cannot list its sticks may still open one
	}
	for _, s := range sticks {
		if !s.Usable() && samePath(s.Path, parsed.Path) {
			return &WrongFamilyError{Stick: s}
		}
	}
	return nil
}

func samePath(a, b string) bool {
	if a == b {
		return true
	}
	ra, errA := filepath.EvalSymlinks(a)
	rb, errB := filepath.EvalSymlinks(b)
	return errA == nil && errB == nil && ra == rb
}
