package p2p

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// ErrDenied is what an Authorizer or Enroller answers to someone who may not; the other side learns no more.
var ErrDenied = errors.New("not allowed")

// Action is what a right allows.
type Action string

// ActionRead allows receiving a device's published properties.
const ActionRead Action = "read"

// Right names one thing a peer wants to do. Device and Property are opaque keys.
type Right struct {
	Action   Action
	Device   string
	Property string
}

// Authorizer decides what an authenticated peer may do. Default deny is its duty.
type Authorizer interface {
	// May answers nil when who may do what now. It is asked for every (device, property) after each change of
	// Generation and must not block on I/O.
	May(ctx context.Context, who peer.ID, what Right) error
	// Known reports whether who has any right at all: an unknown peer is disconnected after Noise unless a
	// ticket is open.
	Known(who peer.ID) bool
	// Generation grows whenever an answer of May or Known may have changed: grant, revocation, expiry, rename.
	Generation() uint64
}

// Enroller redeems one-time tickets.
type Enroller interface {
	// Redeem binds who to the rights stored for the ticket. It is idempotent for the same peer and durable
	// before it returns. The error is ErrDenied for unknown, expired, used or locked tickets.
	Redeem(ctx context.Context, who peer.ID, ticketID []byte, secret []byte) (Welcome, error)
	// Open reports whether any ticket could still be redeemed.
	Open() bool
}

// Welcome is what a freshly enrolled peer is told.
type Welcome struct {
	Gateway string // the gateway's own name
	Role    string
	Expires time.Time // zero: never
	// DiscoverySecret keys the provider records under which the gateway is found (HMAC(secret, week)).
	DiscoverySecret []byte
}

// Record is one published item. P2p knows keys and sequence numbers, never the meaning of the bytes.
type Record struct {
	Device string   // opaque key
	Seq    uint64   // per device, from 1, never reused, may have holes
	Time   int64    // Unix milliseconds, used for minimum intervals only
	Props  []string // property keys contained, sorted, unique
	// Encode gives the wire body limited to props (a sorted subset of Props). It must be safe for concurrent
	// use; callers cache its result per distinct subset and never change it.
	Encode func(props []string) (Body, error)
}

// Body is an encoded record and the descriptor it refers to.
type Body struct {
	Bytes []byte
	// Desc is the content hash of the descriptor; a stream carries each descriptor once, before its first use.
	Desc      string
	DescBytes []byte
}

// Backlog gives records that are no longer in the ring.
type Backlog interface {
	// Since calls yield for the stored records of device with Seq > after, ascending, until yield returns an
	// error or the records end; that error is returned. Sequence numbers missing between two records were
	// never acknowledged or have aged out.
	Since(ctx context.Context, device string, after uint64, yield func(Record) error) error
	// Latest gives the newest record of every device, for snapshots. Properties never reported together may
	// be merged into one record that carries the newest sequence.
	Latest(ctx context.Context) ([]Record, error)
	// Durable gives, per device, the highest sequence that is committed to disk.
	Durable() map[string]uint64
}
