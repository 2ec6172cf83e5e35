package gateway

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/peerbee/peerbee/zigbee"
)

// openPort opens the configured stick. With "auto" the sticks are looked for each time, so that one plugged in
// later, or into another socket, is found.
func (g *Gateway) openPort(ctx context.Context) (io.ReadWriteCloser, error) {
	spec := g.config.Zigbee.Port
	switch spec {
	case "none":
		return nil, &portError{"no stick is configured (zigbee.port = \"none\")", "set zigbee.port to \"auto\" or to the stick's path"}
	case "auto":
		found, err := pickStick(zigbee.Discover)
		if err != nil {
			return nil, err
		}
		spec = found
	}
	if g.config.Zigbee.FlowRTSCTS && strings.HasPrefix(spec, "/") {
		spec += "?rtscts=1"
	}
	return zigbee.OpenerFor(spec)(ctx)
}

// pickStick takes the one stick that can be driven. Two candidates are a question, not a guess.
func pickStick(discover func() ([]zigbee.Stick, error)) (string, error) {
	sticks, err := discover()
	if err != nil {
		return "", err
	}
	var usable, sure []zigbee.Stick
	for _, s := range sticks {
		if s.Usable() {
			usable = append(usable, s)
			if !s.Possible {
				sure = append(sure, s)
			}
		}
	}
	switch {
	case len(sure) == 1:
		return sure[0].Path, nil
	case len(sure) == 0 && len(usable) == 1:
		return usable[0].Path, nil
	case len(usable) > 1:
		return "", &portError{fmt.Sprintf("%d sticks are plugged in: %s", len(usable), paths(usable)), "name one in zigbee.port"}
	case len(sticks) > 0:
		return "", &zigbee.WrongFamilyError{Stick: sticks[0]}
	}
	return "", &portError{"no coordinator stick is plugged in", "plug one in, or set zigbee.port; peerbee doctor shows what is seen"}
}

func paths(sticks []zigbee.Stick) string {
	names := make([]string, len(sticks))
	for i, s := range sticks {
		names[i] = s.Path
	}
	return strings.Join(names, ", ")
}

// portError is shown to people in these words.
type portError struct{ problem, hint string }

func (e *portError) Error() string { return e.problem }

// Explain gives the problem and the next step apart.
func (e *portError) Explain() (problem, hint string) { return e.problem, e.hint }

// NextStep is the hint shown below the error.
func (e *portError) NextStep() string { return e.hint }
