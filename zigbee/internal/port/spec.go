package port

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// DefaultBaud is the speed of every Z-Stack stick, in bits per second, with 8 data bits, no parity, one stop bit.
const DefaultBaud = 115200

// Spec is a parsed port name.
type Spec struct {
	Path   string // serial device; empty for TCP
	Host   string // "host:port"; empty for a serial device
	Baud   int    // bits per second, serial only
	RTSCTS bool   // hardware flow control, serial only
}

// ParseSpec reads "/dev/serial/by-id/...", "tcp://host:port", or a serial path followed by options as in
// "/dev/ttyUSB0?rtscts=1&baud=115200".
func ParseSpec(text string) (Spec, error) {
	const example = `use a path like /dev/serial/by-id/usb-... or tcp://host:6638`
	bad := func(problem string) (Spec, error) {
		return Spec{}, &Error{Port: text, Kind: ErrSpec, Problem: problem, Next: example}
	}
	if text == "" {
		return bad("no port is named")
	}
	if rest, ok := strings.CutPrefix(text, "tcp://"); ok {
		host, port, err := net.SplitHostPort(strings.TrimSuffix(rest, "/"))
		if err != nil || host == "" {
			return bad(fmt.Sprintf("%q is not tcp://host:port", text))
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return bad(fmt.Sprintf("%q is not a TCP port number", port))
		}
		return Spec{Host: net.JoinHostPort(host, port)}, nil
	}
	if strings.Contains(text, "://") {
		return bad(fmt.Sprintf("%q is neither a path nor tcp://host:port", text))
	}
	path, options, _ := strings.Cut(text, "?")
	if !filepath.IsAbs(path) {
		return bad(fmt.Sprintf("%q is not an absolute path", path))
	}
	spec := Spec{Path: path, Baud: DefaultBaud}
	values, err := url.ParseQuery(options)
	if err != nil {
		return bad(fmt.Sprintf("the options %q cannot be read", options))
	}
	for name, value := range values {
		if err := spec.set(name, value[0]); err != nil {
			return bad(err.Error())
		}
	}
	return spec, nil
}

func (s *Spec) set(name, value string) error {
	switch name {
	case "rtscts":
		on, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("rtscts is %q, not 0 or 1", value)
		}
		s.RTSCTS = on
	case "baud":
		baud, err := strconv.ParseUint(value, 10, 31)
		if err != nil || baud == 0 {
			return fmt.Errorf("baud is %q, not a speed such as 115200", value)
		}
		s.Baud = int(baud)
	default:
		return fmt.Errorf("there is no port option %q, only rtscts and baud", name)
	}
	return nil
}
