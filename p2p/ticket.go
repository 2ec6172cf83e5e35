package p2p

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	ticketName    = "peerbee"
	ticketPrefix  = ticketName + "1"
	ticketSumLen  = 4
	ticketSumSalt = "peerbee ticket 1\x00"

	// TicketIDLen is the length in bytes of a ticket's public number.
	TicketIDLen = 8

	maxTicketText   = 8 << 10
	maxTicketAddrs  = 16
	maxTicketHives  = 8
	maxTicketString = 128

	maxTicketDiscovery = 32
)

// Errors of ParseTicket a caller may tell apart. Each text names the next step.
var (
	ErrNotTicket      = errors.New(`this is no ticket: copy the whole text that begins with "` + ticketPrefix + `"`)
	ErrTicketDamaged  = errors.New("the ticket is damaged or incomplete: copy it again, or scan its QR code")
	ErrTicketVersion  = errors.New("the ticket was made by a newer peerbee: upgrade this one and try again")
	errTicketTooLarge = errors.New("the ticket names too many addresses: share it with fewer hives or addresses")
)

var ticketBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Secret is a ticket's one-time secret. It prints as a placeholder so that no log or error carries it.
type Secret [16]byte

// NewSecret draws a secret from the system's random source.
func NewSecret() Secret {
	var s Secret
	// crypto/rand.Read never fails: it ends the program when the system has no randomness.
	rand.Read(s[:])
	return s
}

// Hash gives the SHA-256 of the secret, the only form a gateway stores.
func (s Secret) Hash() [sha256.Size]byte { return HashSecret(s[:]) }

// String hides the secret.
func (s Secret) String() string { return "(secret)" }

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return "(secret)" }

// HashSecret gives the SHA-256 of a secret as it arrived in a redeem frame.
func HashSecret(secret []byte) [sha256.Size]byte { return sha256.Sum256(secret) }

// NewTicketID draws the public number under which a gateway remembers a ticket.
func NewTicketID() []byte {
	b := make([]byte, TicketIDLen)
	rand.Read(b)
	return b
}

// Ticket is an invitation to one peer. What it allows is decided by the gateway's own record of it: Role and
// Rights are for display only.
type Ticket struct {
	Gateway peer.ID
	Addrs   []ma.Multiaddr // where the gateway listens, without /p2p
	ID      []byte         // TicketIDLen bytes
	Secret  Secret
	Role    string
	Rights  string    // one line for a person
	Expires time.Time // whole seconds; zero: never
	Hives   []peer.AddrInfo
	// Discovery keys the provider records under which the gateway is found; empty: it is not to be looked for.
	Discovery []byte // at most 32 bytes
}

type ticketFields struct {
	Gateway []byte       `cbor:"1,keyasint"`
	Addrs   [][]byte     `cbor:"2,keyasint,omitempty"`
	ID      []byte       `cbor:"3,keyasint"`
	Secret  []byte       `cbor:"4,keyasint"`
	Role    string       `cbor:"5,keyasint,omitempty"`
	Rights  string       `cbor:"6,keyasint,omitempty"`
	Expires int64        `cbor:"7,keyasint,omitempty"`
	Hives   []ticketHive `cbor:"8,keyasint,omitempty"`

	Discovery []byte `cbor:"9,keyasint,omitempty"`
}

type ticketHive struct {
	_     struct{} `cbor:",toarray"`
	ID    []byte
	Addrs [][]byte
}

// Text gives the ticket's text form: "peerbee1" and lower-case base32 without padding. Upper-cased it fits the
// alphanumeric mode of a QR code.
func (t Ticket) Text() (string, error) {
	if err := t.check(); err != nil {
		return "", err
	}
	f := ticketFields{
		Gateway: []byte(t.Gateway), Addrs: addrBytes(t.Addrs), ID: t.ID, Secret: t.Secret[:],
		Role: t.Role, Rights: t.Rights, Discovery: t.Discovery,
	}
	if !t.Expires.IsZero() {
		f.Expires = t.Expires.Unix()
	}
	for _, h := range t.Hives {
		f.Hives = append(f.Hives, ticketHive{ID: []byte(h.ID), Addrs: addrBytes(h.Addrs)})
	}
	b, err := frameEnc.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("encoding a ticket: %w", err)
	}
	b = append(b, ticketSum(b)...)
	text := ticketPrefix + ticketBase32.EncodeToString(b)
	if len(text) > maxTicketText {
		return "", errTicketTooLarge
	}
	return text, nil
}

func (t Ticket) check() error {
	switch {
	case t.Gateway.Validate() != nil:
		return errors.New("a ticket needs the gateway's peer ID")
	case len(t.ID) != TicketIDLen:
		return fmt.Errorf("a ticket's number has %d bytes, not %d", TicketIDLen, len(t.ID))
	case len(t.Role) > maxTicketString || len(t.Rights) > maxTicketString:
		return fmt.Errorf("a ticket's role and rights have at most %d bytes: shorten them", maxTicketString)
	case len(t.Discovery) > maxTicketDiscovery:
		return fmt.Errorf("a ticket's discovery secret has at most %d bytes", maxTicketDiscovery)
	case len(t.Addrs) > maxTicketAddrs || len(t.Hives) > maxTicketHives:
		return errTicketTooLarge
	}
	for _, h := range t.Hives {
		if len(h.Addrs) > maxTicketAddrs {
			return errTicketTooLarge
		}
	}
	return nil
}

// ParseTicket reads a ticket's text. It forgives white space, line breaks, quotes and hyphens anywhere, upper
// case, and the digits 0, 1 and 8 written for o, l and b; the checksum catches what that gets wrong.
func ParseTicket(text string) (Ticket, error) {
	body, err := ticketBody(text)
	if err != nil {
		return Ticket{}, err
	}
	raw, err := ticketBase32.DecodeString(body)
	if err != nil || len(raw) <= ticketSumLen {
		return Ticket{}, ErrTicketDamaged
	}
	raw, sum := raw[:len(raw)-ticketSumLen], raw[len(raw)-ticketSumLen:]
	if !bytes.Equal(sum, ticketSum(raw)) {
		return Ticket{}, ErrTicketDamaged
	}
	var f ticketFields
	if err := frameDec.Unmarshal(raw, &f); err != nil {
		return Ticket{}, fmt.Errorf("%w (%w)", ErrTicketDamaged, err)
	}
	t, err := f.ticket()
	if err == nil {
		err = t.check()
	}
	if err != nil {
		return Ticket{}, fmt.Errorf("%w (%w)", ErrTicketDamaged, err)
	}
	return t, nil
}

// ticketBody strips what people and their programs add and returns the base32 part.
func ticketBody(text string) (string, error) {
	if len(text) > 4*maxTicketText {
		return "", ErrNotTicket
	}
	s := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), strings.ContainsRune("\"'`<>-\u00ad\u200b\ufeff", r):
			return -1
		}
		return unicode.ToLower(r)
	}, text)
	s, ok := strings.CutPrefix(s, ticketName)
	if !ok || s == "" {
		return "", ErrNotTicket
	}
	if s[0] > '1' && s[0] <= '9' {
		return "", ErrTicketVersion
	}
	s, ok = strings.CutPrefix(s, "1")
	if !ok || len(s) > maxTicketText {
		return "", ErrNotTicket
	}
	return strings.NewReplacer("0", "o", "1", "l", "8", "b").Replace(s), nil
}

func (f ticketFields) ticket() (Ticket, error) {
	t := Ticket{ID: f.ID, Role: f.Role, Rights: f.Rights, Discovery: f.Discovery}
	if len(f.Secret) != len(t.Secret) {
		return Ticket{}, fmt.Errorf("secret of %d bytes", len(f.Secret))
	}
	copy(t.Secret[:], f.Secret)
	if f.Expires != 0 {
		t.Expires = time.Unix(f.Expires, 0).UTC()
	}
	var err error
	if t.Gateway, err = peer.IDFromBytes(f.Gateway); err != nil {
		return Ticket{}, fmt.Errorf("gateway's peer ID: %w", err)
	}
	if t.Addrs, err = addrsFrom(f.Addrs); err != nil {
		return Ticket{}, err
	}
	for _, h := range f.Hives {
		info := peer.AddrInfo{}
		if info.ID, err = peer.IDFromBytes(h.ID); err != nil {
			return Ticket{}, fmt.Errorf("hive's peer ID: %w", err)
		}
		if info.Addrs, err = addrsFrom(h.Addrs); err != nil {
			return Ticket{}, err
		}
		t.Hives = append(t.Hives, info)
	}
	return t, nil
}

// Expired reports whether the ticket's own date has passed. The gateway decides by its record, not by this.
func (t Ticket) Expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// GatewayInfo gives every way to dial the gateway that the ticket names: its own addresses first, then through
// each hive's relay.
func (t Ticket) GatewayInfo() peer.AddrInfo {
	info := peer.AddrInfo{ID: t.Gateway, Addrs: append([]ma.Multiaddr(nil), t.Addrs...)}
	for _, h := range t.Hives {
		through, err := ma.NewMultiaddr("/p2p/" + h.ID.String() + "/p2p-circuit")
		if err != nil {
			continue // an invalid hive ID gives no way to dial
		}
		for _, a := range h.Addrs {
			info.Addrs = append(info.Addrs, a.Encapsulate(through))
		}
	}
	return info
}

// String gives a short form without the secret, for logs and errors.
func (t Ticket) String() string { return fmt.Sprintf("ticket %x of gateway %s", t.ID, t.Gateway) }

// LogValue keeps the secret out of structured logs.
func (t Ticket) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", fmt.Sprintf("%x", t.ID)), slog.String("gateway", t.Gateway.String()))
}

func ticketSum(b []byte) []byte {
	h := sha256.New()
	h.Write([]byte(ticketSumSalt))
	h.Write(b)
	return h.Sum(nil)[:ticketSumLen]
}

func addrBytes(addrs []ma.Multiaddr) [][]byte {
	var out [][]byte
	for _, a := range addrs {
		out = append(out, a.Bytes())
	}
	return out
}

func addrsFrom(raw [][]byte) ([]ma.Multiaddr, error) {
	var out []ma.Multiaddr
	for _, b := range raw {
		a, err := ma.NewMultiaddrBytes(b)
		if err != nil {
			return nil, fmt.Errorf("address: %w", err)
		}
		out = append(out, a)
	}
	return out, nil
}
