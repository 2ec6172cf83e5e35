package p2p

import (
	"fmt"
	"strconv"
)

// frameKind is the first element of every frame. Numbers are shared by all protocols of this package so that a
// frame sent on the wrong stream is recognised as such.
type frameKind uint8

// Frame kinds; docs/protocol/sub.md and docs/protocol/enrol.md give their fields.
const (
	kindHello     frameKind = 1  // subscriber: what it wants and where it stands
	kindCredit    frameKind = 2  // subscriber: how much more it takes
	kindAck       frameKind = 3  // publisher: the stream is open
	kindDesc      frameKind = 4  // publisher: a descriptor, before its first use
	kindData      frameKind = 5  // publisher: one record
	kindSnapshot  frameKind = 6  // publisher: a device's latest state
	kindGap       frameKind = 7  // publisher: records that will not come
	kindHeartbeat frameKind = 8  // publisher: alive, and what is durable
	kindEnd       frameKind = 9  // publisher: the stream ends, and why
	kindRedeem    frameKind = 10 // redeemer: ticket and secret
	kindWelcome   frameKind = 11 // gateway: redeemed
	kindRefused   frameKind = 12 // gateway: not redeemed
)

var kindNames = [...]string{
	kindHello: "hello", kindCredit: "credit", kindAck: "ack", kindDesc: "desc", kindData: "data",
	kindSnapshot: "snapshot", kindGap: "gap", kindHeartbeat: "heartbeat", kindEnd: "end",
	kindRedeem: "redeem", kindWelcome: "welcome", kindRefused: "refused",
}

func (k frameKind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// Keys of data and snapshot fields, as appendRecordFrame writes them.
const (
	keyDevice = 1
	keySeq    = 2
	keyPrev   = 3
	keyBody   = 4
)

// subVersion is the hello version spoken here; the protocol id carries the incompatible part.
const subVersion = 1

// Bounds of a hello. They keep what a stranger can make the gateway remember to a few ten kilobytes.
const (
	maxFilter  = 256
	maxCursors = 4096
	maxKey     = 128
)

// Credit is what a subscriber lets the gateway send: data and snapshot frames, and the bytes of their bodies.
// A frame may be sent while both are positive; the last one may overdraw the bytes.
type Credit struct {
	Frames uint64 `cbor:"1,keyasint,omitempty"`
	Bytes  uint64 `cbor:"2,keyasint,omitempty"`
}

type helloFrame struct {
	Version     uint64            `cbor:"1,keyasint"`
	Devices     []string          `cbor:"2,keyasint,omitempty"`
	Properties  []string          `cbor:"3,keyasint,omitempty"`
	Epoch       uint64            `cbor:"4,keyasint,omitempty"`
	Cursors     map[string]uint64 `cbor:"5,keyasint,omitempty"`
	MinInterval uint64            `cbor:"6,keyasint,omitempty"` // milliseconds
	Credit      *Credit           `cbor:"7,keyasint,omitempty"` // absent: the stream's own window is the limit
	Snapshot    bool              `cbor:"8,keyasint,omitempty"`
	Since       int64             `cbor:"9,keyasint,omitempty"` // Unix milliseconds, the last heartbeat's time
}

// check enforces the quotas the CBOR limits cannot express.
func (h *helloFrame) check() error {
	switch {
	case h.Version == 0:
		return fmt.Errorf("hello without a version: %w", ErrFrame)
	case len(h.Devices) > maxFilter || len(h.Properties) > maxFilter:
		return fmt.Errorf("hello with more than %d filters: %w", maxFilter, ErrFrame)
	case len(h.Cursors) > maxCursors:
		return fmt.Errorf("hello with more than %d cursors: %w", maxCursors, ErrFrame)
	}
	for _, list := range [][]string{h.Devices, h.Properties} {
		for _, k := range list {
			if len(k) == 0 || len(k) > maxKey {
				return fmt.Errorf("hello with a filter of %d bytes: %w", len(k), ErrFrame)
			}
		}
	}
	for k := range h.Cursors {
		if len(k) == 0 || len(k) > maxKey {
			return fmt.Errorf("hello with a cursor for a key of %d bytes: %w", len(k), ErrFrame)
		}
	}
	return nil
}

type ackFrame struct {
	Epoch     uint64            `cbor:"1,keyasint"`
	Heartbeat uint64            `cbor:"2,keyasint"` // milliseconds
	Heads     map[string]uint64 `cbor:"3,keyasint,omitempty"`
}

type descFrame struct {
	Hash  string `cbor:"1,keyasint"`
	Bytes []byte `cbor:"2,keyasint"`
}

// recordFrame is a data or a snapshot frame as decoded; a snapshot has no Prev.
type recordFrame struct {
	Device string `cbor:"1,keyasint"`
	Seq    uint64 `cbor:"2,keyasint"`
	Prev   uint64 `cbor:"3,keyasint,omitempty"`
	Body   []byte `cbor:"4,keyasint"`
}

type gapFrame struct {
	Device string `cbor:"1,keyasint"`
	From   uint64 `cbor:"2,keyasint"`
	To     uint64 `cbor:"3,keyasint"` // inclusive
	Reason string `cbor:"4,keyasint"`
}

type heartbeatFrame struct {
	Time    int64             `cbor:"1,keyasint"` // Unix milliseconds
	Durable map[string]uint64 `cbor:"2,keyasint,omitempty"`
}

type endFrame struct {
	Reason string `cbor:"1,keyasint"`
}

type redeemFrame struct {
	ID     []byte `cbor:"1,keyasint"`
	Secret []byte `cbor:"2,keyasint"`
}

type welcomeFrame struct {
	Gateway   string `cbor:"1,keyasint"`
	Role      string `cbor:"2,keyasint"`
	Expires   int64  `cbor:"3,keyasint,omitempty"` // Unix seconds; absent: never
	Discovery []byte `cbor:"4,keyasint,omitempty"`
}

type refusedFrame struct{}

// GapReason says why records will not come. It is part of the wire format.
type GapReason string

// Reasons of a gap.
const (
	GapSlow     GapReason = "slow"     // the subscriber took too long and was given the latest instead
	GapEvicted  GapReason = "evicted"  // no longer kept by the gateway
	GapLost     GapReason = "lost"     // lost before it was durable
	GapEpoch    GapReason = "epoch"    // the gateway's numbering began anew; Device is empty
	GapOversize GapReason = "oversize" // too large for a frame, or could not be encoded
	GapMissed   GapReason = "missed"   // found by the receiver from prev; never sent
)

// EndReason says why a gateway closed a stream. It is part of the wire format.
type EndReason string

// Reasons of an end.
const (
	EndDenied   EndReason = "denied"   // the peer may not subscribe at all
	EndRevoked  EndReason = "revoked"  // the last right was taken away or ran out
	EndShutdown EndReason = "shutdown" // the gateway stops; come back
	EndLimit    EndReason = "limit"    // too many streams; come back later
	EndProtocol EndReason = "protocol" // what the subscriber sent breaks the protocol
	EndVersion  EndReason = "version"  // the hello's version is not spoken here
)
