// Package reading defines the message peerbee publishes: its type, its deterministic CBOR wire form and its
// text form (docs/protocol/reading.md). It must never know radios, peers, storage or rights.
package reading

import "time"

// TimeQuality says how far a reading's time can be trusted.
type TimeQuality uint8

// Clock qualities, from best to worst.
const (
	TimeSynchronised TimeQuality = 0 // the system clock was synchronised
	TimeHoldover     TimeQuality = 1 // last synchronised time plus uptime
	TimeUnknown      TimeQuality = 2 // never synchronised since installation
)

// Status says what a value stands for.
type Status uint8

// Statuses of a value.
const (
	StatusOK      Status = 0
	StatusUnknown Status = 1 // the device reports that it does not know; Value is nil
)

// Value is one property's value: float64, int64, bool, string, []byte, or nil with StatusUnknown.
type Value struct {
	Name   string
	Value  any
	Status Status
}

// Reading is the published envelope.
type Reading struct {
	Stream string // the device's key: 16 lower-case hex digits of its EUI-64
	Epoch  uint64 // random per store; sequences of different epochs are not comparable
	Seq    uint64 // per stream, from 1, never reused
	Time   time.Time
	Clock  TimeQuality
	Desc   string // content hash of the Descriptor, 16 lower-case hex digits
	Values []Value
}

// Property describes one named value of a stream.
type Property struct {
	Name   string
	Type   string // "number", "integer", "boolean", "string", "bytes"
	Unit   string // UCUM
	Access string // "r", "w", "rw"
	Source string // "zcl:0402/0000"
}

// Descriptor says what a stream's readings mean. It is sent once a stream and named by its content hash.
type Descriptor struct {
	Stream       string
	Name         string // the owner's name for the device
	Manufacturer string
	Model        string
	Properties   []Property // sorted by Name
}
