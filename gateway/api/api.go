// Package api holds the JSON of the daemon's local interface: the bodies of requests, answers and stream lines.
// Field names are stable; additions are allowed, changes and removals are not. It must never know how an answer
// is found.
package api

import "time"

// Status is the answer of GET /v1/status.
type Status struct {
	Version string   `json:"version"`
	Name    string   `json:"name"`
	Uptime  string   `json:"uptime"`
	Zigbee  Zigbee   `json:"zigbee"`
	P2P     P2P      `json:"p2p"`
	Store   Store    `json:"store"`
	Ledger  Ledger   `json:"ledger"`
	Notices []Notice `json:"notices"` // what a person should know, worst first
}

// Notice is one problem or warning with its next step.
type Notice struct {
	Code     string `json:"code"`
	Severity string `json:"severity"` // "error", "warning", "info"
	Text     string `json:"text"`
	Hint     string `json:"hint,omitempty"`
}

// Zigbee is the radio's part of the status.
type Zigbee struct {
	Phase    string   `json:"phase"`
	Problem  string   `json:"problem,omitempty"`
	Hint     string   `json:"hint,omitempty"`
	Port     string   `json:"port,omitempty"`
	Stick    string   `json:"stick,omitempty"`
	Network  *Network `json:"network,omitempty"`
	Devices  int      `json:"devices"`
	Reports  uint64   `json:"reports"`
	Dropped  uint64   `json:"dropped"`
	JoinOpen bool     `json:"join_open"`
}

// Network identifies the Zigbee network; the key itself is never told.
type Network struct {
	Channel     uint8  `json:"channel"`
	PAN         string `json:"pan"`
	ExtendedPAN string `json:"extended_pan"`
	Coordinator string `json:"coordinator"`
	KeySum      string `json:"key_sum"`
}

// P2P is the network's part of the status.
type P2P struct {
	Mode        string   `json:"mode"`
	PeerID      string   `json:"peer_id,omitempty"`
	Addresses   []string `json:"addresses"`
	Connections int      `json:"connections"`
	Subscribers int      `json:"subscribers"`
	Hives       int      `json:"hives"` // hives connected
}

// Store is the history's part of the status.
type Store struct {
	Readings  int64  `json:"readings"`
	Retention string `json:"retention"`
	Problem   string `json:"problem,omitempty"`
}

// Ledger is the ledger's part of the status.
type Ledger struct {
	Origin  string `json:"origin"`
	Size    uint64 `json:"size"`
	Owner   string `json:"owner"` // AID, short form
	Devices int    `json:"devices"`
}

// Form is the body of POST /v1/network/form. Zero values: chosen by chance (PAN) or the default channel.
type Form struct {
	Channel uint8 `json:"channel,omitempty"`
}

// Pair is the body of POST /v1/pair.
type Pair struct {
	Seconds uint8  `json:"seconds"`          // 0 closes; at most 254
	Router  string `json:"router,omitempty"` // device name or address: open through this router only
}

// Device is one device as people see it.
type Device struct {
	ID           string     `json:"id"` // EUI-64, 16 hex digits
	Name         string     `json:"name"`
	Manufacturer string     `json:"manufacturer,omitempty"`
	Model        string     `json:"model,omitempty"`
	Power        string     `json:"power,omitempty"`
	Type         string     `json:"type,omitempty"`
	Network      string     `json:"network_address"`
	Interview    string     `json:"interview"`
	LastSeen     time.Time  `json:"last_seen,omitzero"`
	LinkQuality  uint8      `json:"link_quality"`
	Chain        string     `json:"chain,omitempty"` // record id of the register leaf in the ledger
	Properties   []Property `json:"properties"`
	Endpoints    []Endpoint `json:"endpoints,omitempty"`
}

// Property is one named value with its last reading.
type Property struct {
	Name  string    `json:"name"`
	Value any       `json:"value"`
	Unit  string    `json:"unit,omitempty"`
	Time  time.Time `json:"time,omitzero"`
}

// Endpoint is one application endpoint.
type Endpoint struct {
	ID      uint8    `json:"id"`
	Profile string   `json:"profile"`
	In      []string `json:"in"`
	Out     []string `json:"out"`
}

// Rename is the body of PATCH /v1/devices/{id}.
type Rename struct {
	Name string `json:"name"`
}

// Event is one line of GET /v1/watch. Exactly one of Reading, Device and Notice is set.
type Event struct {
	Kind    string    `json:"kind"` // "reading", "device", "left", "state", "lost"
	Time    time.Time `json:"time"`
	Reading *Reading  `json:"reading,omitempty"`
	Device  *Device   `json:"device,omitempty"`
	State   *Zigbee   `json:"state,omitempty"`
	Count   uint64    `json:"count,omitempty"`
}

// Reading is one reading in the local API and in `-o json`.
type Reading struct {
	Device string    `json:"device"` // EUI-64
	Name   string    `json:"name"`
	Seq    uint64    `json:"seq"`
	Time   time.Time `json:"time"`
	Values []Value   `json:"values"`
}

// Value is one property's value; nil means the device says it does not know.
type Value struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
	Unit  string `json:"unit,omitempty"`
}

// Share is the body of POST /v1/shares.
type Share struct {
	Label      string   `json:"label"`
	Devices    []string `json:"devices"`              // names or addresses; "*": all
	Properties []string `json:"properties,omitempty"` // empty: all
	Expires    Duration `json:"expires,omitempty"`    // of the rights; 0: never
	TicketLife Duration `json:"ticket_life,omitempty"`
	// NoAddresses leaves this machine's addresses out of the ticket: the peer has to find it through the hives.
	NoAddresses bool `json:"no_addresses,omitempty"`
}

// Duration is written as seconds.
type Duration int64

// Ticket is the answer of POST /v1/shares.
type Ticket struct {
	Text    string    `json:"ticket"`
	Label   string    `json:"label"`
	Expires time.Time `json:"expires"`
	Notices []Notice  `json:"notices,omitempty"`
}

// Access is one line of GET /v1/access: who may see what.
type Access struct {
	Peer       string    `json:"peer,omitempty"` // peer ID; empty for a ticket nobody redeemed yet
	Label      string    `json:"label"`
	Role       string    `json:"role"`
	Device     string    `json:"device"`
	Property   string    `json:"property"`
	Action     string    `json:"action"`
	State      string    `json:"state"` // "active", "ticket", "expired"
	Created    time.Time `json:"created"`
	Expires    time.Time `json:"expires,omitzero"`
	LastSeen   time.Time `json:"last_seen,omitzero"`
	Connected  bool      `json:"connected"`
	DeviceName string    `json:"device_name,omitempty"`
}

// Revoked is the answer of DELETE /v1/access/{who}.
type Revoked struct {
	Peers   []string `json:"peers"`
	Tickets int      `json:"tickets"` // open ones that can no longer be redeemed
}

// LedgerEntry is one record of GET /v1/ledger/log.
type LedgerEntry struct {
	Index  uint64    `json:"index"`
	ID     string    `json:"id"`
	Type   string    `json:"type"`
	Chain  string    `json:"chain,omitempty"`
	Seq    uint64    `json:"seq"`
	Owner  string    `json:"owner"`
	Signer string    `json:"signer,omitempty"`
	Time   time.Time `json:"time"`
	Device string    `json:"device,omitempty"` // EUI-64, known on this gateway only
	Name   string    `json:"name,omitempty"`
}

// Audit is one line of GET /v1/audit.
type Audit struct {
	Time    time.Time `json:"time"`
	Actor   string    `json:"actor"`
	Action  string    `json:"action"`
	Subject string    `json:"subject"`
	Outcome string    `json:"outcome"`
	Detail  string    `json:"detail,omitempty"`
}
