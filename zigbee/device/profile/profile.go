// Package profile holds the table of known devices: which properties a model has and which of its messages carry
// them, as data. Only the profile asked for is decoded. It must never know what a message looks like on the air,
// and nothing of sticks, peers or storage.
package profile

// Profile says what one model of device measures and how its messages tell it.
type Profile struct {
	Vendor, Model string
	// Labels are the other names the same hardware is sold under.
	Labels []Label
	// Complete says that every property the device publishes has a rule here.
	Complete   bool
	Properties []Property
}

// Label is a name a device is sold under.
type Label struct{ Vendor, Model string }

// Type is the type of a property's value.
type Type uint8

// The types of a property.
const (
	Number  Type = iota // float64
	Boolean             // bool
	Text                // string: one of Property.Values where those are given
)

// Access says what can be done with a property.
type Access uint8

// Bits of Access.
const (
	Published Access = 1 << iota // the device reports it
	Settable
	Gettable
)

// Property is one thing a device measures or can be told.
type Property struct {
	Name   string
	Type   Type
	Unit   string // UCUM, empty where there is none
	Access Access
	// Min and Max bound a number where HasRange says so, in Unit.
	HasRange bool
	Min, Max float64
	Values   []string
	// Rules are the ways a value arrives; none for a property that no rule describes.
	Rules []Rule
}

// Source says what kind of message a rule reads.
type Source uint8

// The sources of values.
const (
	Attribute Source = iota // Cluster and ID: an attribute of a report or of an answer to a read
	Zone                    // the status of an IAS zone (ZCL section 8.2.2.2.1.3)
	Command                 // Cluster and ID: a command the device sends
	Datapoint               // ID: a Tuya datapoint of cluster 0xef00
	TLV                     // Cluster, ID and Tag: a tagged value inside a Xiaomi attribute
)

// Kind says how a raw value becomes a property's.
type Kind uint8

// The kinds of rules. A value that a rule does not cover is unknown.
const (
	Raw    Kind = iota // as it stands
	Linear             // value * Mul / Div + Add
	Ratio              // value * Mul / Div * the device's own multiplier / its divisor
	Lux                // 10^((value-1)/10000) (ZCL section 4.2.2.2.1.1)
	Bits               // On where any bit of Mask is set, else Off
	Map                // by Entries, else Default where HasDefault
	Curve              // by linear interpolation between Points, the ends hold beyond them
	Const              // On, whatever the value
)

// AnyManufacturer is the Rule.Manufacturer of an attribute that is told by its number alone.
const AnyManufacturer uint16 = 0xffff

// Rule is one way a property's value arrives.
type Rule struct {
	Source   Source
	Kind     Kind
	Endpoint uint8  // 0 for any
	Cluster  uint16 // 0 for Datapoint
	ID       uint16 // attribute, command or datapoint
	Tag      uint8  // for TLV
	// Manufacturer is the code that frames with the attribute carry.
	Manufacturer uint16
	// FromClient says of a command that it comes from the cluster's client, as a remote control's do.
	FromClient bool
	// Param is where in a command's payload the value stands.
	Param Param

	Mul, Div, Add float64
	// Whole rounds the result to the nearest whole number.
	Whole bool
	// Bounded makes a result outside the property's range unknown.
	Bounded    bool
	Mask       uint32
	On, Off    any // bool or string
	Entries    []Entry
	HasDefault bool
	Default    any
	Points     []Point
}

// Param is an unsigned number inside a command's payload; a Size of 0 is none.
type Param struct{ Offset, Size uint8 }

// Entry is one line of a map: Value is a bool, float64 or string. Keys of a rule stand in ascending order.
type Entry struct {
	Key   int64
	Value any
}

// The keys of booleans, apart from the numbers: a device that sends a number for one means something else.
const (
	KeyFalse int64 = 1<<40 + iota
	KeyTrue
)

// Point is one point of a curve.
type Point struct{ X, Y float64 }
