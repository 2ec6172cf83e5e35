package znp

import (
	"fmt"

	zb "github.com/shimmeringbee/zigbee"
)

// Phase is where the link to the stick stands.
type Phase string

// Phases of the link. Only PhaseRunning carries reports.
const (
	PhaseStarting      Phase = "starting"
	PhaseNoStick       Phase = "no-stick"
	PhaseNeedsDecision Phase = "needs-decision"
	PhaseWrongFamily   Phase = "wrong-family"
	PhaseForming       Phase = "forming"
	PhaseRunning       Phase = "running"
)

// State is the link's state with the words for a person.
type State struct {
	Phase   Phase
	Problem string // empty while running
	Hint    string // the next step, a command where there is one
	Stick   Stick
	Network *Network // nil unless the stick holds a network
}

// Stick is what the stick says of itself.
type Stick struct {
	Version  string // "Z-Stack 3.x.0"
	Revision uint32 // build date as a number, 20230507; 0 when the firmware does not tell
	IEEE     zb.IEEEAddress
}

// Network identifies a Zigbee network without telling its key.
type Network struct {
	Channel     uint8 // 11..26
	PAN         zb.PANID
	ExtendedPAN zb.ExtendedPANID
	Coordinator zb.IEEEAddress
	KeySum      string // hex of the first 8 bytes of SHA-256 of the network key
}

// String is the network in one line.
func (n Network) String() string {
	return fmt.Sprintf("channel %d, PAN 0x%04x, extended PAN %016x", n.Channel, uint16(n.PAN), uint64(n.ExtendedPAN))
}

// setState stores the state and tells the reader of Next when it differs.
func (h *Host) setState(s State) {
	h.mu.Lock()
	if h.state.equal(s) {
		h.mu.Unlock()
		return
	}
	h.state = s
	h.queue.push(StateChanged{State: s})
	h.mu.Unlock()
	if s.Problem != "" {
		h.log.Warn("zigbee stick", "phase", string(s.Phase), "problem", s.Problem, "hint", s.Hint)
	} else {
		h.log.Info("zigbee stick", "phase", string(s.Phase), "version", s.Stick.Version, "revision", s.Stick.Revision)
	}
}

func (s State) equal(o State) bool {
	same := s.Network == o.Network || s.Network != nil && o.Network != nil && *s.Network == *o.Network
	s.Network, o.Network = nil, nil
	return same && s == o
}

// State gives the current state.
func (h *Host) State() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}
