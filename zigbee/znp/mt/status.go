package mt

import "fmt"

// Status is a Z-Stack status byte: MT, ZDO, APS, NWK and MAC codes share one space.
type Status uint8

// Status codes a host tells apart.
const (
	Success          Status = 0x00
	Failure          Status = 0x01
	InvalidParameter Status = 0x02
	NVItemCreated    Status = 0x09 // ITEM_INIT: did not exist and was created
	NVOperFailed     Status = 0x0A
	NVBadItemLength  Status = 0x0C
	MemoryError      Status = 0x10
	BufferFull       Status = 0x11
	UnsupportedMode  Status = 0x12
	MACNoResources   Status = 0x1A
	ZDONotSupported  Status = 0x84
	ZDOTimeout       Status = 0x85
	APSNoAck         Status = 0xB7
	NWKTableFull     Status = 0xC7
	NWKNoRoute       Status = 0xCD
	MACChannelAccess Status = 0xE1
	MACNoAck         Status = 0xE9
	MACExpired       Status = 0xF0
)

var statusNames = map[Status]string{
	Success: "success", Failure: "failure", InvalidParameter: "invalid parameter",
	0x03: "invalid task", 0x04: "message buffer not available", 0x05: "invalid message pointer",
	0x06: "invalid event id", 0x07: "invalid interrupt id", 0x08: "no timer available",
	NVItemCreated: "NV item did not exist", NVOperFailed: "NV operation failed", 0x0B: "invalid memory size",
	NVBadItemLength: "bad NV item length", MemoryError: "out of memory", BufferFull: "buffer full",
	UnsupportedMode: "unsupported mode", 0x13: "MAC out of memory", 0x14: "SAPI in progress",
	0x15: "SAPI timeout", 0x16: "SAPI init", MACNoResources: "MAC has no resources",
	0x7E: "not authorized", 0x7F: "reserved field not zero",
	0x80: "invalid request type", 0x81: "device not found", 0x82: "invalid endpoint",
	0x83: "endpoint not active", ZDONotSupported: "not supported", ZDOTimeout: "timeout",
	0x86: "no match", 0x88: "no entry", 0x89: "no descriptor", 0x8A: "insufficient space",
	0x8B: "not permitted", 0x8C: "table full", 0x8D: "not authorized",
	0xA1: "no security key", 0xA2: "old frame counter", 0xA3: "frame counter exhausted", 0xA4: "CCM failed",
	0xB1: "APS failure", 0xB2: "APS table full", 0xB3: "APS illegal request", 0xB4: "invalid binding",
	0xB5: "APS unsupported attribute", 0xB6: "APS not supported", APSNoAck: "no APS acknowledgement",
	0xB8: "APS duplicate entry", 0xB9: "no bound device", 0xBA: "APS not allowed", 0xBB: "not authenticated",
	0xC1: "NWK invalid parameter", 0xC2: "NWK invalid request", 0xC3: "NWK not permitted",
	0xC4: "NWK startup failure", 0xC5: "NWK already present", 0xC6: "NWK sync failure",
	NWKTableFull: "NWK table full", 0xC8: "NWK unknown device", 0xC9: "NWK unsupported attribute",
	0xCA: "no networks", 0xCB: "leave unconfirmed", 0xCC: "NWK no acknowledgement", NWKNoRoute: "no route",
	0xE0: "MAC beacon loss", MACChannelAccess: "channel busy", 0xE2: "MAC denied",
	0xE3: "MAC disable failed", 0xE4: "MAC security check failed", 0xE5: "MAC frame too long",
	0xE6: "MAC invalid GTS", 0xE7: "MAC invalid handle", 0xE8: "MAC invalid parameter",
	MACNoAck: "no acknowledgement", 0xEA: "MAC no beacon", 0xEB: "MAC no data", 0xEC: "MAC no short address",
	0xED: "MAC out of CAP", 0xEE: "PAN id conflict", 0xEF: "MAC realignment",
	MACExpired: "device did not ask for the message in time", 0xF1: "MAC transaction overflow",
	0xF2: "MAC transmitter active", 0xF3: "MAC key unavailable", 0xF4: "MAC unsupported attribute",
	0xF5: "MAC unsupported",
}

// String gives the code's meaning and number.
func (s Status) String() string {
	if name, ok := statusNames[s]; ok {
		return fmt.Sprintf("%s (0x%02x)", name, uint8(s))
	}
	return fmt.Sprintf("status 0x%02x", uint8(s))
}
