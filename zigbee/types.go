package zigbee

import (
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/device"
)

// InterviewState tells how much of a device's description has been read.
type InterviewState string

// The states of an interview, in the order they are passed.
const (
	InterviewPending InterviewState = "pending" // joined, nothing read yet
	InterviewPartial InterviewState = "partial" // some answers are in; resumed when the device wakes
	InterviewDone    InterviewState = "done"    // descriptors, Basic attributes, bindings and reporting are in place
	InterviewFailed  InterviewState = "failed"  // too many tries went unanswered; an announce, or a message an hour later, starts again
)

// Endpoint is one application endpoint of a device (Zigbee simple descriptor, R22 section 2.3.2.5).
type Endpoint struct {
	ID          zb.Endpoint
	Profile     zb.ProfileID
	DeviceType  uint16
	InClusters  []zb.ClusterID
	OutClusters []zb.ClusterID
}

// Device is what the network knows of one joined node.
type Device struct {
	IEEE             zb.IEEEAddress
	Network          zb.NetworkAddress
	Type             zb.LogicalType
	ManufacturerCode zb.ManufacturerCode
	Manufacturer     string // Basic attribute 0x0004
	Model            string // Basic attribute 0x0005
	PowerSource      string // "mains", "battery", "dc", "unknown" (Basic attribute 0x0007)
	Firmware         string // Basic attribute 0x4000
	Endpoints        []Endpoint
	Interview        InterviewState
	LastSeen         time.Time
	LinkQuality      uint8
	// Facts are what the device said of its own numbers: divisors, units, zone types. Kept and given back in
	// Options.Devices they spare reading them again.
	Facts []device.Fact
	// Support is how much is known of the model. It is found out anew at every start.
	Support Support
}

// NetworkParams identifies a Zigbee network. The key never leaves the stick through this type.
type NetworkParams struct {
	Channel       uint8 // 11..26
	PAN           zb.PANID
	ExtendedPAN   zb.ExtendedPANID
	Coordinator   zb.IEEEAddress
	NetworkKeySum string // first 8 bytes of SHA-256 of the key in hex: tells keys apart without telling the key
}

// Phase is where the link to the stick stands.
type Phase string

// Phases of the link. Only PhaseRunning carries reports.
const (
	PhaseStarting      Phase = "starting"       // the port is being opened or the stick identified
	PhaseNoStick       Phase = "no-stick"       // no port, or it vanished; being retried for ever
	PhaseNeedsDecision Phase = "needs-decision" // blank or foreign stick: a person has to say form or adopt
	PhaseWrongFamily   Phase = "wrong-family"   // a stick peerbee cannot drive (EZSP, deCONZ)
	PhaseForming       Phase = "forming"
	PhaseRunning       Phase = "running"
)

// State is the link's state with the words for a person: what is wrong and the exact next command.
type State struct {
	Phase   Phase
	Problem string // empty while running
	Hint    string // the exact next command, without "hint: "
	Stick   StickInfo
	Network *NetworkParams // nil unless the stick holds a network
}

// StickInfo is what the stick says of itself.
type StickInfo struct {
	Family   string // "znp"
	Port     string
	Version  string // for example "Z-Stack 3.x.0"
	Revision uint32 // build date as a number, 20230507
	IEEE     zb.IEEEAddress
}

// Event is one entry of the network's ordered stream: Report, DeviceChanged, DeviceLeft, StateChanged or Lost.
type Event interface{ isEvent() }

// Report is a decoded attribute report or status notification.
type Report struct {
	Device      zb.IEEEAddress
	Time        time.Time
	Measures    []device.Measure
	LinkQuality uint8
}

// DeviceChanged carries the full record of a device that joined, moved, or progressed in its interview.
type DeviceChanged struct {
	Device Device
	Joined bool // true for the first event after a (re)join
}

// DeviceLeft says that a device left the network for good (a leave with the rejoin flag is not one).
type DeviceLeft struct{ Device zb.IEEEAddress }

// StateChanged carries the link's new state.
type StateChanged struct{ State State }

// Lost says that Count reports were dropped between the events before and after it because the reader was slow.
type Lost struct{ Count uint64 }

func (Report) isEvent()        {}
func (DeviceChanged) isEvent() {}
func (DeviceLeft) isEvent()    {}
func (StateChanged) isEvent()  {}
func (Lost) isEvent()          {}
