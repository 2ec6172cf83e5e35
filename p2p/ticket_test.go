package p2p

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func sampleTicket(tb testing.TB) Ticket {
	tb.Helper()
	gateway, err := peer.Decode("12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA")
	noErr(tb, err)
	hive, err := peer.Decode("12D3KooWEZXjE41uU4EL2gpkAQeDXYok6wghN7wwNVPF5bwkaNfS")
	noErr(tb, err)
	t := Ticket{
		Gateway: gateway,
		Addrs:   []ma.Multiaddr{ma.StringCast("/ip4/192.168.1.20/tcp/4101"), ma.StringCast("/ip6/2001:db8::20/tcp/4101")},
		ID:      []byte{1, 2, 3, 4, 5, 6, 7, 8},
		Role:    "viewer",
		Rights:  "kitchen: temperature, humidity",
		Expires: time.Unix(1790000000, 0).UTC(),
		Hives: []peer.AddrInfo{{
			ID: hive, Addrs: []ma.Multiaddr{ma.StringCast("/dns4/hive.example.org/tcp/4102")},
		}},
		Discovery: bytes.Repeat([]byte{9}, 16),
	}
	copy(t.Secret[:], "0123456789abcdef")
	return t
}

func sameTicket(tb testing.TB, want, got Ticket) {
	tb.Helper()
	equalAddrs := cmp.Comparer(func(a, b ma.Multiaddr) bool { return a.Equal(b) })
	if d := cmp.Diff(want, got, equalAddrs); d != "" {
		tb.Fatal(d)
	}
}

func TestTicketVector(t *testing.T) {
	text, err := sampleTicket(t).Text()
	noErr(t, err)
	golden(t, "ticket.golden", text+"\n")
	if len(text) > 600 {
		t.Errorf("%d characters are many for a QR code", len(text))
	}
}

func TestTicketSurvivesPeopleAndTheirPrograms(t *testing.T) {
	want := sampleTicket(t)
	text, err := want.Text()
	noErr(t, err)
	body := strings.TrimPrefix(text, "peerbee1")
	for name, in := range map[string]string{
		"as it is":        text,
		"a QR code":       strings.ToUpper(text),
		"white space":     "  \t" + text + "\r\n",
		"line breaks":     text[:20] + "\n" + text[20:70] + "\r\n  " + text[70:],
		"quoted":          "\"" + text + "\"",
		"markdown":        "`" + text + "`",
		"hyphenated":      text[:30] + "-\n" + text[30:],
		"no-break spaces": text[:9] + "\u00a0" + text[9:] + "\ufeff",
		"digits by hand":  "peerbee1" + strings.NewReplacer("o", "0", "l", "1", "b", "8").Replace(body),
	} {
		got, err := ParseTicket(in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sameTicket(t, want, got)
	}
}

func TestTicketRefusalsNameTheNextStep(t *testing.T) {
	text, err := sampleTicket(t).Text()
	noErr(t, err)
	for in, want := range map[string]error{
		"":                             ErrNotTicket,
		"hello":                        ErrNotTicket,
		"peerbee":                      ErrNotTicket,
		"peerbeex":                     ErrNotTicket,
		"peerbee2" + text[8:]:          ErrTicketVersion,
		"peerbee1":                     ErrTicketDamaged,
		text[:len(text)-1]:             ErrTicketDamaged,
		text + "a":                     ErrTicketDamaged,
		text[:40] + text[41:]:          ErrTicketDamaged,
		text[:40] + "!" + text[41:]:    ErrTicketDamaged,
		strings.Repeat("peerbee1", 99): ErrTicketDamaged,
		"peerbee1" + strings.Repeat("a", 2*maxTicketText): ErrNotTicket,
	} {
		if _, err := ParseTicket(in); !errors.Is(err, want) {
			t.Errorf("%.50q: %v, want %v", in, err, want)
		}
	}
	// One wrong character anywhere is found.
	for i := len("peerbee1"); i < len(text); i++ {
		for _, c := range []byte("aq7") {
			if text[i] == c {
				continue
			}
			if _, err := ParseTicket(text[:i] + string(c) + text[i+1:]); err == nil && i < len(text)-1 {
				t.Fatalf("character %d changed unnoticed", i)
			}
		}
	}
}

func TestTicketThatCannotBeWritten(t *testing.T) {
	for name, spoil := range map[string]func(*Ticket){
		"no gateway":     func(t *Ticket) { t.Gateway = "" },
		"short number":   func(t *Ticket) { t.ID = t.ID[:3] },
		"long rights":    func(t *Ticket) { t.Rights = strings.Repeat("x", maxTicketString+1) },
		"many addresses": func(t *Ticket) { t.Addrs = make([]ma.Multiaddr, maxTicketAddrs+1) },
		"many hives":     func(t *Ticket) { t.Hives = make([]peer.AddrInfo, maxTicketHives+1) },
	} {
		ticket := sampleTicket(t)
		spoil(&ticket)
		if text, err := ticket.Text(); err == nil {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestTicketSecretsAreNotPrinted(t *testing.T) {
	ticket := sampleTicket(t)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("ticket", "ticket", ticket, "secret", ticket.Secret)
	out := log.String() + fmt.Sprintf("%v %+v %s %#v %v", ticket, ticket, ticket, ticket.Secret, ticket.Secret)
	for _, leak := range []string{"0123456789abcdef", "30313233", "48 49 50"} {
		if strings.Contains(out, leak) {
			t.Fatalf("%q in %s", leak, out)
		}
	}
	if !strings.Contains(out, "0102030405060708") {
		t.Fatalf("the ticket's number is missing in %s", out)
	}
}

func TestTicketNamesWaysThroughHives(t *testing.T) {
	ticket := sampleTicket(t)
	info := ticket.GatewayInfo()
	want := "/dns4/hive.example.org/tcp/4102/p2p/12D3KooWEZXjE41uU4EL2gpkAQeDXYok6wghN7wwNVPF5bwkaNfS/p2p-circuit"
	if len(info.Addrs) != 3 || info.Addrs[2].String() != want {
		t.Fatalf("addresses %v", info.Addrs)
	}
	if !ticket.Expired(ticket.Expires) || ticket.Expired(ticket.Expires.Add(-time.Second)) || (Ticket{}).Expired(time.Now()) {
		t.Error("expiry is not told right")
	}
}

func TestSecretsAreDrawnAnew(t *testing.T) {
	a, b := NewSecret(), NewSecret()
	if a == b || a == (Secret{}) || bytes.Equal(NewTicketID(), NewTicketID()) {
		t.Fatal("two draws gave the same")
	}
	if a.Hash() != HashSecret(a[:]) || a.Hash() == b.Hash() {
		t.Fatal("hashes disagree")
	}
}

func FuzzParseTicket(f *testing.F) {
	text, err := sampleTicket(f).Text()
	noErr(f, err)
	f.Add(text)
	f.Add(strings.ToUpper(text))
	f.Add("peerbee1")
	f.Fuzz(func(t *testing.T, in string) {
		got, err := ParseTicket(in)
		if err != nil {
			return
		}
		text, err := got.Text()
		noErr(t, err)
		again, err := ParseTicket(text)
		noErr(t, err)
		sameTicket(t, got, again)
	})
}

// FuzzTicketFields gets past the checksum, which no mutation of text does.
func FuzzTicketFields(f *testing.F) {
	text, err := sampleTicket(f).Text()
	noErr(f, err)
	raw, err := ticketBase32.DecodeString(strings.TrimPrefix(text, ticketPrefix))
	noErr(f, err)
	f.Add(raw[:len(raw)-ticketSumLen])
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := ParseTicket(ticketPrefix + ticketBase32.EncodeToString(append(raw[:len(raw):len(raw)], ticketSum(raw)...)))
		if err == nil {
			_, err = got.Text()
			noErr(t, err)
		}
	})
}
