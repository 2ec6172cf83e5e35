package backup

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	zb "github.com/shimmeringbee/zigbee"
)

// NoAddress is a device's short address when it is not known.
const NoAddress zb.NetworkAddress = 0xFFFE

// Document is a coordinator and its network: all another stick has to hold to take the coordinator's place. It
// holds keys; whoever has them can read and command the network.
type Document struct {
	Source  string    // program and version that wrote it: "zigbee-herdsman@0.13.65"
	Written time.Time // zero: not told
	// ZNPVersion is zigbee-herdsman's name for the firmware's family: 0 Z-Stack 1.2, 1 3.x.0, 2 3.0.x; nil: not
	// told.
	ZNPVersion *uint8

	Coordinator   zb.IEEEAddress
	PAN           zb.PANID
	ExtendedPAN   zb.ExtendedPANID
	UpdateID      uint8  // nwkUpdateId (R22 section 3.6.1)
	SecurityLevel uint8  // nwkSecurityLevel, 5 in every network of today (R22 section 4.5)
	Channel       uint8  // 11..26
	ChannelMask   uint32 // bit n: channel n may be used
	NetworkKey    NetworkKey
	TCLKSeed      *Key // Z-Stack: what link keys are derived from
	HashedTCLK    *Key // EmberZNet: the same
	Devices       []Device
}

// NetworkKey is the network's key as it is in use.
type NetworkKey struct {
	Key          Key
	Sequence     uint8
	FrameCounter uint32 // of the coordinator's next frame, or below
}

// Device is a member of the network.
type Device struct {
	IEEE    zb.IEEEAddress
	Network zb.NetworkAddress // NoAddress: not known
	Child   *bool             // associated with the coordinator itself; nil: not told
	LinkKey *LinkKey          // nil: the well-known one, or not told
}

// LinkKey is the key between a device and the coordinator, with the counters of the frames it secured.
type LinkKey struct {
	Key       Key
	TxCounter uint32
	RxCounter uint32
}

// Format shows which network the document is of, for every verb, and no key.
func (d Document) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(d.String())) } // fmt keeps its writer's error

// String tells which network the document is of, and no key.
func (d Document) String() string {
	return fmt.Sprintf("backup of coordinator %016x, channel %d, PAN 0x%04x, extended PAN %016x, %d devices",
		uint64(d.Coordinator), d.Channel, uint16(d.PAN), uint64(d.ExtendedPAN), len(d.Devices))
}

// LogValue gives what String gives.
func (d Document) LogValue() slog.Value { return slog.StringValue(d.String()) }

// SameContent reports whether two documents are of the same network with the same devices and keys. Counters, who
// wrote the document and when, make no difference.
func (d Document) SameContent(o Document) bool {
	same := d.Coordinator == o.Coordinator && d.PAN == o.PAN && d.ExtendedPAN == o.ExtendedPAN &&
		d.UpdateID == o.UpdateID && d.SecurityLevel == o.SecurityLevel && d.Channel == o.Channel &&
		d.ChannelMask == o.ChannelMask && d.NetworkKey.Key == o.NetworkKey.Key &&
		d.NetworkKey.Sequence == o.NetworkKey.Sequence && equal(d.TCLKSeed, o.TCLKSeed) && equal(d.HashedTCLK, o.HashedTCLK)
	return same && slices.EqualFunc(d.sorted(), o.sorted(), sameDevice)
}

func sameDevice(a, b Device) bool {
	keys := (a.LinkKey == nil) == (b.LinkKey == nil) && (a.LinkKey == nil || a.LinkKey.Key == b.LinkKey.Key)
	return keys && a.IEEE == b.IEEE && a.Network == b.Network && equal(a.Child, b.Child)
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

func (d Document) sorted() []Device {
	list := slices.Clone(d.Devices)
	slices.SortFunc(list, func(a, b Device) int {
		if a.IEEE < b.IEEE {
			return -1
		}
		return 1
	})
	return list
}
