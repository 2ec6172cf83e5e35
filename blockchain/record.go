package blockchain

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"
	"golang.org/x/mod/sumdb/tlog"
)

// recordVersion is the only version of the record format.
const recordVersion = 1

// Type is a record's type. The numbers are part of the format for ever; every type is critical: a reader that does
// not know one cannot judge the log and refuses it.
type Type uint64

// The types of records this version writes and judges. docs/protocol/ledger.md lists the numbers kept for the others.
const (
	TypeInception   Type = 1
	TypeGatewayBind Type = 3
	TypeRegister    Type = 5
	TypeRelease     Type = 10
)

// String gives the type's name in docs/protocol/ledger.md.
func (t Type) String() string {
	if f, ok := forms[t]; ok {
		return f.name
	}
	return fmt.Sprintf("type %d", uint64(t))
}

// MarshalText is String, for JSON.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// PublicKey is an Ed25519 public key.
type PublicKey [ed25519.PublicKeySize]byte

// String gives 64 lower-case hexadecimal digits.
func (k PublicKey) String() string { return hex.EncodeToString(k[:]) }

// MarshalText is String, for JSON.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// KeyHash is the SHA-256 of a public key.
type KeyHash [32]byte

// MarshalText gives hexadecimal digits, for JSON.
func (h KeyHash) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h[:])), nil }

// Tag stands for a device inside one circle: whoever holds the circle key can recognise the device, nobody else can.
type Tag [16]byte

// MarshalText gives hexadecimal digits, for JSON.
func (t Tag) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(t[:])), nil }

// Commitment binds a register record to one device without telling which.
type Commitment [32]byte

// MarshalText gives hexadecimal digits, for JSON.
func (c Commitment) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(c[:])), nil }

// deviceTag is HMAC-SHA-256(circle key, EUI-64), its first 16 bytes. A plain hash would not hide the device: one
// vendor's whole EUI-64 space can be searched in a day.
func deviceTag(circleKey [32]byte, d DeviceID) Tag {
	mac := hmac.New(sha256.New, circleKey[:])
	mac.Write(d[:])
	return Tag(mac.Sum(nil))
}

// Opening is what a commitment hides. Showing it tells the device's EUI-64 to whoever sees it.
type Opening struct {
	Device DeviceID `cbor:"1,keyasint"`
	Secret [32]byte `cbor:"2,keyasint"`
}

// commitment is SHA-256(label || EUI-64 || secret).
func (o Opening) commitment() Commitment {
	h := sha256.New()
	h.Write([]byte("peerbee/device/v1"))
	h.Write(o.Device[:])
	h.Write(o.Secret[:])
	return Commitment(h.Sum(nil))
}

// Body is the part of a record that depends on its type: Inception, GatewayBind, Register or Release.
type Body interface{ recordType() Type }

// Inception founds an owner's identity.
type Inception struct {
	Key     PublicKey `cbor:"1,keyasint"`
	NextKey KeyHash   `cbor:"2,keyasint"` // of the public key that a rotation will bring
	Circle  CircleID  `cbor:"3,keyasint"` // the home circle
}

// GatewayBind lets a gateway register devices for its owner.
type GatewayBind struct {
	PeerID    string    `cbor:"1,keyasint"`
	Log       PublicKey `cbor:"2,keyasint"`
	Witness   PublicKey `cbor:"3,keyasint"`
	Validator PublicKey `cbor:"4,keyasint"`
	Scope     Scope     `cbor:"5,keyasint"`
}

// Scope is what a bound gateway may sign for its owner.
type Scope uint64

// ScopeRegister allows register records and nothing else.
const ScopeRegister Scope = 1

// Register claims a device. It founds a chain.
type Register struct {
	Circle     CircleID   `cbor:"1,keyasint"`
	Gateway    RecordID   `cbor:"2,keyasint"` // the gateway-bind whose log key signs this record
	Commitment Commitment `cbor:"3,keyasint"`
	Tag        Tag        `cbor:"4,keyasint"`
	M          uint64     `cbor:"5,keyasint"` // releases of this tag before this record
}

// Release gives a device up; it may be registered again with M one higher.
type Release struct{}

func (*Inception) recordType() Type   { return TypeInception }
func (*GatewayBind) recordType() Type { return TypeGatewayBind }
func (*Register) recordType() Type    { return TypeRegister }
func (*Release) recordType() Type     { return TypeRelease }

// Record is what a leaf says. Fields that a type does not carry are zero.
type Record struct {
	Type  Type
	Chain RecordID // the chain continued; zero in identity records and in the register record that founds one
	Seq   uint64   // place in the chain, or in the owner's identity
	Prev  RecordID // the record before; for a register with M > 0 the release that freed the device
	AID   AID      // the owner; zero in an inception, which the AID is the hash of
	Time  time.Time
	Body  Body
}

// signedRecord is a leaf taken apart. Its signature is checked by the state machine, which knows whose it must be.
type signedRecord struct {
	Record
	ID   RecordID
	leaf []byte
	msg  sign1
}

// payload is a record's CBOR form. Hours since the Unix epoch cannot be anything but rounded, and tell no more about
// a household than needed.
type payload struct {
	Ver   uint64          `cbor:"1,keyasint"`
	Type  Type            `cbor:"2,keyasint"`
	Chain RecordID        `cbor:"3,keyasint,omitzero"`
	Seq   uint64          `cbor:"4,keyasint"`
	Prev  RecordID        `cbor:"5,keyasint,omitzero"`
	AID   AID             `cbor:"6,keyasint,omitzero"`
	Hour  uint32          `cbor:"7,keyasint"`
	Body  cbor.RawMessage `cbor:"8,keyasint"`
}

// form is what a type's records must look like before anybody asks whether they are allowed.
type form struct {
	name  string
	body  func() Body
	check func(Record) bool // which common fields are present
}

var forms = map[Type]form{
	TypeInception: {"inception", func() Body { return new(Inception) }, func(r Record) bool {
		return r.Chain == RecordID{} && r.Prev == RecordID{} && r.AID == AID{} && r.Seq == 0
	}},
	TypeGatewayBind: {"gateway-bind", func() Body { return new(GatewayBind) }, func(r Record) bool {
		return r.Chain == RecordID{} && r.Prev != RecordID{} && r.AID != AID{} && r.Seq > 0
	}},
	TypeRegister: {"register", func() Body { return new(Register) }, func(r Record) bool {
		body, ok := r.Body.(*Register)
		again := ok && body.M > 0
		return r.Chain == RecordID{} && (r.Prev != RecordID{}) == again && r.AID != AID{} && r.Seq == 0
	}},
	TypeRelease: {"release", func() Body { return new(Release) }, func(r Record) bool {
		return r.Chain != RecordID{} && r.Prev != RecordID{} && r.AID != AID{} && r.Seq > 0
	}},
}

// ErrNewer is answered for well-formed content of a kind that this version does not know.
var ErrNewer = errors.New("written by a newer peerbee; update this one")

// errRecordForm is answered for a record whose common fields do not fit its type.
var errRecordForm = errors.New("fields do not fit the record's type")

// signRecord spells r and signs it. The caller must have made it durable before it sends the result anywhere.
func signRecord(key ed25519.PrivateKey, r Record) (*signedRecord, error) {
	r.Type = r.Body.recordType()
	hour := r.Time.Unix() / 3600
	if hour < 0 || hour > 1<<32-1 {
		return nil, fmt.Errorf("sign record: the clock says %s; set it right", r.Time.UTC().Format(time.RFC3339))
	}
	leaf, err := seal(key, encode(payload{
		Ver: recordVersion, Type: r.Type, Chain: r.Chain, Seq: r.Seq, Prev: r.Prev, AID: r.AID,
		Hour: uint32(hour), Body: encode(r.Body),
	}))
	if err != nil {
		return nil, err
	}
	return parseRecord(leaf)
}

// parseRecord reads a leaf. It is total: any bytes give a record in its one allowed spelling, or an error.
func parseRecord(leaf []byte) (*signedRecord, error) {
	msg, err := unseal(leaf)
	if err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	var p payload
	if err := decodeCanonical(msg.Payload, &p); err != nil {
		return nil, fmt.Errorf("read record: payload: %w", err)
	}
	if p.Ver != recordVersion {
		return nil, fmt.Errorf("read record: %w: version %d", ErrNewer, p.Ver)
	}
	f, ok := forms[p.Type]
	if !ok {
		return nil, fmt.Errorf("read record: %w: type %d", ErrNewer, uint64(p.Type))
	}
	body := f.body()
	if err := decodeCanonical(p.Body, body); err != nil {
		return nil, fmt.Errorf("read record: %s body: %w", f.name, err)
	}
	r := Record{
		Type: p.Type, Chain: p.Chain, Seq: p.Seq, Prev: p.Prev, AID: p.AID,
		Time: time.Unix(int64(p.Hour)*3600, 0).UTC(), Body: body,
	}
	if !f.check(r) {
		return nil, fmt.Errorf("read record: %s: %w", f.name, errRecordForm)
	}
	return &signedRecord{Record: r, ID: recordID(leaf), leaf: leaf, msg: msg}, nil
}

func recordID(leaf []byte) RecordID { return RecordID(tlog.RecordHash(leaf)) }
