package sim

import (
	"fmt"
	"log/slog"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
)

// Version is what the stick says of its firmware, and the struct layout that goes with it.
type Version struct {
	Product      uint8 // 2 for Z-Stack 3.0.x, 1 for 3.x.0
	Revision     uint32
	Capabilities uint16 // the answer to a ping
	Aligned      bool   // struct layout of the memory: ARM sticks pad, the CC253x does not
}

// The two kinds of stick in use.
var (
	ZStack3x0 = Version{Product: 1, Revision: 20230507, Capabilities: 0x0659, Aligned: true}
	ZStack30x = Version{Product: 2, Revision: 20211115, Capabilities: 0x0179}
)

// Numbers every version shares.
const (
	transportRevision = 2
	majorRelease      = 2
	minorRelease      = 7
	maintenance       = 1
)

// Delays are how long the stick takes. The zero value answers everything at once.
type Delays struct {
	Reset    time.Duration // from a reset to its indication; the stick is deaf meanwhile
	Form     time.Duration // from start of commissioning to running
	Join     time.Duration // between two sensors that join of themselves
	Response time.Duration // from a request to the answer of a sensor
}

// RealDelays are about what a CC2652 with sensors one hop away takes.
var RealDelays = Delays{Reset: 2 * time.Second, Form: 3 * time.Second, Join: 2 * time.Second, Response: 30 * time.Millisecond}

// SensorSpec asks for one simulated sensor.
type SensorSpec struct {
	Kind string // a name of Kinds
	Name string // empty: the kind and a number, "temperature-1"
	// IEEE and Network are chosen from the seed where 0.
	IEEE    zb.IEEEAddress
	Network zb.NetworkAddress
	Joined  bool // a member of the network whenever the stick is on one
	// Sleepy is how long the sensor can be reached after it has sent something; 0: always.
	Sleepy time.Duration
}

// Options configure a Stick.
type Options struct {
	NV         *nv.Memory // nil: the blank memory of Version
	Version    Version    // zero: ZStack3x0, or ZStack30x for a packed NV
	Log        *slog.Logger
	Sensors    []SensorSpec
	Seed       uint64        // values, addresses, keys and faults follow from it alone
	Interval   time.Duration // between samples of every property; 0: what the kind says
	Delays     Delays
	ManualJoin bool // sensors join by the control socket only, not whenever joining is open
}

// withDefaults fills in what was left out and refuses contradictions.
func (o Options) withDefaults() (Options, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Version == (Version{}) {
		o.Version = ZStack3x0
		if o.NV != nil && !o.NV.Aligned {
			o.Version = ZStack30x
		}
	}
	if o.NV == nil {
		rng := newRand(o.Seed, "stick")
		ieee := zb.IEEEAddress(0x00124b0000000000 | rng.Uint64()&0xFFFFFFFFFF)
		var seed [16]byte
		fill(rng, seed[:])
		o.NV = nv.Blank(o.Version.Aligned, ieee, seed)
	}
	if o.NV.Aligned != o.Version.Aligned {
		return o, fmt.Errorf("the memory is of the other struct layout (aligned: %v) than the firmware", o.NV.Aligned)
	}
	return o, nil
}
