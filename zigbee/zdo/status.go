// Package zdo holds the types and codecs of the Zigbee Device Objects: descriptors, management tables and the
// statuses of the Zigbee Device Profile (R22 section 2.4). The stick's host, the network and the simulator
// share them. It must never know how a request travels: no command numbers of a stick, no port, no retry.
package zdo

import "fmt"

// Status is a Zigbee Device Profile status (R22 section 2.4.5) or, from the layers below it, an APS, NWK or
// MAC status as Z-Stack passes them through. The zero value is success.
type Status uint8

// Statuses of the Zigbee Device Profile.
const (
	StatusSuccess            Status = 0x00
	StatusInvalidRequestType Status = 0x80
	StatusDeviceNotFound     Status = 0x81
	StatusInvalidEndpoint    Status = 0x82
	StatusNotActive          Status = 0x83
	StatusNotSupported       Status = 0x84
	StatusTimeout            Status = 0x85
	StatusNoMatch            Status = 0x86
	StatusNoEntry            Status = 0x88
	StatusNoDescriptor       Status = 0x89
	StatusInsufficientSpace  Status = 0x8a
	StatusNotPermitted       Status = 0x8b
	StatusTableFull          Status = 0x8c
	StatusNotAuthorized      Status = 0x8d
	StatusBindingTableFull   Status = 0x8e
	StatusInvalidIndex       Status = 0x8f
)

var statusNames = map[Status]string{
	StatusSuccess:            "success",
	StatusInvalidRequestType: "invalid request type",
	StatusDeviceNotFound:     "device not found",
	StatusInvalidEndpoint:    "invalid endpoint",
	StatusNotActive:          "endpoint not active",
	StatusNotSupported:       "not supported",
	StatusTimeout:            "timeout",
	StatusNoMatch:            "no match",
	StatusNoEntry:            "no entry",
	StatusNoDescriptor:       "no descriptor",
	StatusInsufficientSpace:  "insufficient space",
	StatusNotPermitted:       "not permitted",
	StatusTableFull:          "table full",
	StatusNotAuthorized:      "not authorized",
	StatusBindingTableFull:   "binding table full",
	StatusInvalidIndex:       "invalid index",
	0xa7:                     "aps: no acknowledgement",
	0xc2:                     "nwk: invalid request",
	0xcd:                     "nwk: no route",
	0xd0:                     "nwk: route discovery failed",
	0xe1:                     "mac: channel busy",
	0xe9:                     "mac: no acknowledgement",
	0xf0:                     "mac: transaction expired",
	0xf1:                     "mac: transaction overflow",
}

// String names the status; an unnamed one is given as its number.
func (s Status) String() string {
	if name, ok := statusNames[s]; ok {
		return name
	}
	return fmt.Sprintf("status 0x%02x", uint8(s))
}
