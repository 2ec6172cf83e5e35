package blockchain

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// DeviceID is a device's EUI-64, big endian.
type DeviceID [8]byte

// DeviceIDFromUint64 gives the id of an EUI-64 held as a number.
func DeviceIDFromUint64(eui64 uint64) DeviceID {
	var d DeviceID
	binary.BigEndian.PutUint64(d[:], eui64)
	return d
}

// ParseDeviceID reads 16 hexadecimal digits; a leading 0x, colons and dashes are allowed.
func ParseDeviceID(s string) (DeviceID, error) {
	digits := strings.NewReplacer(":", "", "-", "").Replace(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "0x"))
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != len(DeviceID{}) {
		return DeviceID{}, fmt.Errorf("device id %q: want the 16 hexadecimal digits of its EUI-64", s)
	}
	return DeviceID(raw), nil
}

// String gives 16 lower-case hexadecimal digits.
func (d DeviceID) String() string { return hex.EncodeToString(d[:]) }

// MarshalText is String, for JSON.
func (d DeviceID) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// RecordID names a record: its RFC 6962 leaf hash, SHA-256(0x00 || leaf). A chain is named by the record id of its
// register record.
type RecordID [32]byte

// ParseRecordID reads the 64 hexadecimal digits of a record id.
func ParseRecordID(s string) (RecordID, error) {
	raw, err := hex.DecodeString(strings.ToLower(strings.TrimSpace(s)))
	if err != nil || len(raw) != len(RecordID{}) {
		return RecordID{}, fmt.Errorf("record id %q: want 64 hexadecimal digits", s)
	}
	return RecordID(raw), nil
}

// String gives 64 lower-case hexadecimal digits.
func (id RecordID) String() string { return hex.EncodeToString(id[:]) }

// Short gives the first 8 digits, for logs and tables.
func (id RecordID) Short() string { return hex.EncodeToString(id[:4]) }

// MarshalText is String, for JSON.
func (id RecordID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// CircleID names a circle of validators (docs/protocol/ledger.md, section 5).
type CircleID [32]byte

// String gives 64 lower-case hexadecimal digits.
func (id CircleID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText is String, for JSON.
func (id CircleID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// AID names an owner: SHA-256 of the owner's inception record. Its text form carries two check bytes, because
// people compare and type it.
type AID [32]byte

var (
	aidAlphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	errAID      = errors.New("owner id: want five groups of 11 letters and digits, as `peerbee ledger show` prints them")
)

func (a AID) checked() []byte {
	sum := sha256.Sum256(append([]byte("peerbee/aid/v1"), a[:]...))
	return append(a[:], sum[:2]...)
}

// String gives five groups of 11 characters, the last ones check characters.
func (a AID) String() string {
	s := aidAlphabet.EncodeToString(a.checked())
	return s[:11] + "-" + s[11:22] + "-" + s[22:33] + "-" + s[33:44] + "-" + s[44:]
}

// Short gives the first group, for logs and tables. It does not identify an owner.
func (a AID) Short() string { return a.String()[:11] }

// MarshalText is String, for JSON.
func (a AID) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// ParseAID reads the text form. Case, dashes and blanks do not matter, and digits that are not in the alphabet are
// taken for the letters they look like.
func ParseAID(s string) (AID, error) {
	s = strings.NewReplacer("-", "", " ", "", "0", "o", "1", "l", "8", "b").Replace(strings.ToLower(strings.TrimSpace(s)))
	raw, err := aidAlphabet.DecodeString(s)
	if err != nil || len(raw) != len(AID{})+2 {
		return AID{}, errAID
	}
	a := AID(raw[:32])
	// Comparing the text also refuses stray bits after the last whole byte.
	if strings.ReplaceAll(a.String(), "-", "") != s {
		return AID{}, fmt.Errorf("owner id: the check characters do not fit, so a character is wrong: %w", errAID)
	}
	return a, nil
}
