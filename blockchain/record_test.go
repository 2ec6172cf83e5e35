package blockchain

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/veraison/go-cose"
)

var testHour = time.Unix(500_000*3600, 0).UTC()

// rawMap joins encoded pairs to a map exactly as given.
func rawMap(pairs ...[]byte) []byte {
	return append([]byte{0xa0 | byte(len(pairs))}, bytes.Join(pairs, nil)...)
}

func pair(key byte, value []byte) []byte { return append([]byte{key}, value...) }

// releasePairs are the pairs of a well-formed release record's payload.
func releasePairs() [][]byte {
	id := bytes.Repeat([]byte{7}, 32)
	return [][]byte{
		pair(1, []byte{1}),
		pair(2, []byte{10}),
		pair(3, encode(id)),
		pair(4, []byte{1}),
		pair(5, encode(id)),
		pair(6, encode(id)),
		pair(7, encode(500_000)),
		pair(8, []byte{0xa0}),
	}
}

func TestRecordSpelling(t *testing.T) {
	key := testKeys("a").Owner
	with := func(i int, p []byte) []byte {
		pairs := releasePairs()
		pairs[i] = p
		return rawMap(pairs...)
	}
	good := rawMap(releasePairs()...)
	id := bytes.Repeat([]byte{7}, 32)
	for _, test := range []struct {
		name    string
		payload []byte
		ok      bool
	}{
		{"as it should be", good, true},
		{"keys out of order", rawMap(swapped(releasePairs(), 0, 1)...), false},
		{"a key twice", rawMap(append(releasePairs(), pair(8, []byte{0xa0}))...), false},
		{"a key nobody knows", rawMap(append(releasePairs(), pair(9, []byte{1}))...), false},
		{"indefinite length", append(append([]byte{0xbf}, good[1:]...), 0xff), false},
		{"indefinite byte string", with(4, pair(5, slices.Concat([]byte{0x5f}, encode(id), []byte{0xff}))), false},
		{"a tag", with(6, pair(7, append([]byte{0xc1}, encode(500_000)...))), false},
		{"a long head", with(0, pair(1, []byte{0x18, 1})), false},
		{"a float for a number", with(6, pair(7, []byte{0xfa, 0x48, 0xf4, 0x24, 0x00})), false},
		{"a negative number", with(6, pair(7, []byte{0x20})), false},
		{"an hour beyond 32 bits", with(6, pair(7, encode(uint64(1)<<32))), false},
		{"a short id", with(4, pair(5, encode(id[:31]))), false},
		{"a long id", with(4, pair(5, encode(append(bytes.Clone(id), 7)))), false},
		{"an id of zeros", with(4, pair(5, encode(make([]byte, 32)))), false},
		{"null for an id", with(4, pair(5, []byte{0xf6})), false},
		{"an id as an array", with(4, pair(5, encode(make([]int, 32)))), false},
		{"text for bytes", with(4, pair(5, append([]byte{0x78, 32}, id...))), false},
		{"null for the body", with(7, pair(8, []byte{0xf6})), false},
		{"a body with more in it", with(7, pair(8, []byte{0xa1, 1, 1})), false},
		{"another version", with(0, pair(1, []byte{2})), false},
		{"a type nobody knows", with(1, pair(2, []byte{6})), false},
		{"no chain", rawMap(slices.Delete(releasePairs(), 2, 3)...), false},
		{"no predecessor", rawMap(slices.Delete(releasePairs(), 4, 5)...), false},
		{"no owner", rawMap(slices.Delete(releasePairs(), 5, 6)...), false},
		{"no body", rawMap(releasePairs()[:7]...), false},
		{"sequence number 0", with(3, pair(4, []byte{0})), false},
		{"bytes after the end", append(bytes.Clone(good), 0), false},
		{"nothing", []byte{0xa0}, false},
	} {
		leaf, err := seal(key, test.payload)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseRecord(leaf); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if _, err := seal(key, make([]byte, maxLeaf)); err == nil {
		t.Error("a leaf beyond 65,535 bytes was made")
	}
	if _, err := parseRecord(make([]byte, maxLeaf+1)); err == nil || !strings.Contains(err.Error(), "at most 65535") {
		t.Errorf("a leaf beyond 65,535 bytes: %v", err)
	}
}

func swapped(p [][]byte, i, j int) [][]byte {
	p[i], p[j] = p[j], p[i]
	return p
}

func TestEnvelopeSpelling(t *testing.T) {
	key := testKeys("a").Owner
	leaf, err := seal(key, rawMap(releasePairs()...))
	if err != nil {
		t.Fatal(err)
	}
	msg, err := unseal(leaf)
	if err != nil {
		t.Fatal(err)
	}
	protected, payload, signature := encode(msg.Protected), encode(msg.Payload), encode(msg.Signature)
	header := func(raw []byte) []byte { return encode(raw) }
	kid := pair(4, encode(keyID(key.Public().(ed25519.PublicKey))))
	join := func(head byte, parts ...[]byte) []byte { return append([]byte{head}, bytes.Join(parts, nil)...) }
	none := []byte{0xa0}
	for name, bad := range map[string][]byte{
		"tagged":                       append([]byte{0xd2}, leaf...),
		"an unprotected header":        join(0x84, protected, []byte{0xa1, 4, 0x41, 0}, payload, signature),
		"null for the payload":         join(0x84, protected, none, []byte{0xf6}, signature),
		"null for the signature":       join(0x84, protected, none, payload, []byte{0xf6}),
		"a short signature":            join(0x84, protected, none, payload, encode(msg.Signature[1:])),
		"an element more":              join(0x85, protected, none, payload, signature, none),
		"an element less":              join(0x83, protected, none, payload),
		"an indefinite array":          append(join(0x9f, protected, none, payload, signature), 0xff),
		"a long head":                  join(0x84, protected, none, payload, []byte{0x59, 0, 64}, msg.Signature),
		"no algorithm":                 join(0x84, header(rawMap(kid)), none, payload, signature),
		"another algorithm":            join(0x84, header(rawMap(pair(1, []byte{0x26}), kid)), none, payload, signature),
		"no kid":                       join(0x84, header(rawMap(pair(1, []byte{0x27}))), none, payload, signature),
		"a long kid":                   join(0x84, header(rawMap(pair(1, []byte{0x27}), pair(4, encode(make([]byte, 9))))), none, payload, signature),
		"a protected header more":      join(0x84, header(rawMap(pair(1, []byte{0x27}), kid, pair(5, []byte{0x41, 0}))), none, payload, signature),
		"a critical header":            join(0x84, header(rawMap(pair(1, []byte{0x27}), pair(2, []byte{0x81, 1}), kid)), none, payload, signature),
		"protected keys out of order":  join(0x84, header(rawMap(kid, pair(1, []byte{0x27}))), none, payload, signature),
		"an empty protected header":    join(0x84, []byte{0x40}, none, payload, signature),
		"bytes after the end":          append(bytes.Clone(leaf), 0),
		"cut short":                    leaf[:len(leaf)-1],
		"nothing":                      {},
		"deep nesting":                 bytes.Repeat([]byte{0x81}, 10_000),
		"an array that claims a lot":   {0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"a string that claims a lot":   {0x84, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"a map for the whole":          none,
		"a number for the whole":       {1},
		"text for the protected bytes": join(0x84, append([]byte{0x60 | byte(len(msg.Protected))}, msg.Protected...), none, payload, signature),
	} {
		if _, err := parseRecord(bad); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRecordRoundTrip also reads our records with go-cose's own decoder.
func TestRecordRoundTrip(t *testing.T) {
	k := testKeys("a")
	id := RecordID(bytes.Repeat([]byte{7}, 32))
	for _, want := range []Record{
		{Time: testHour, Body: &Inception{Key: publicKey(k.Owner), NextKey: [32]byte{1}, Circle: CircleID{2}}},
		{AID: AID{3}, Seq: 1, Prev: id, Time: testHour, Body: &GatewayBind{PeerID: testPeer, Log: publicKey(k.Log), Scope: ScopeRegister}},
		{AID: AID{3}, Time: testHour, Body: &Register{Circle: CircleID{1}, Gateway: id, Tag: Tag{9}}},
		{AID: AID{3}, Prev: id, Time: testHour, Body: &Register{Circle: CircleID{1}, Gateway: id, Tag: Tag{9}, M: 3}},
		{AID: AID{3}, Chain: id, Seq: 1, Prev: id, Time: testHour, Body: &Release{}},
	} {
		late := want
		late.Time = want.Time.Add(59 * time.Minute)
		r, err := signRecord(k.Owner, late)
		if err != nil {
			t.Fatal(err)
		}
		want.Type = want.Body.recordType()
		if diff := cmp.Diff(want, r.Record); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.Type, diff)
		}
		var msg cose.UntaggedSign1Message
		if err := msg.UnmarshalCBOR(r.leaf); err != nil {
			t.Fatal(err)
		}
		verifier, err := cose.NewVerifier(cose.AlgorithmEdDSA, k.Owner.Public())
		if err != nil {
			t.Fatal(err)
		}
		if err := msg.Verify([]byte("peerbee/ledger/v1"), verifier); err != nil {
			t.Errorf("%s: %v", want.Type, err)
		}
		if err := msg.Verify([]byte("something else"), verifier); err == nil {
			t.Errorf("%s: verifies in another place", want.Type)
		}
	}
	if _, err := signRecord(k.Owner, Record{Time: time.Unix(-1e6, 0), Body: &Release{}}); err == nil {
		t.Error("signed with a clock before 1970")
	}
}

func TestIdentityText(t *testing.T) {
	aid := AID(bytes.Repeat([]byte{0xa5}, 32))
	for _, s := range []string{aid.String(), " " + aid.String() + "\n", aid.String()[:7] + " " + aid.String()[7:]} {
		if got, err := ParseAID(s); err != nil || got != aid {
			t.Errorf("ParseAID(%q) = %v, %v", s, got, err)
		}
	}
	text := []byte(aid.String())
	for i, c := range text {
		if c == '-' {
			continue
		}
		bad := bytes.Clone(text)
		bad[i] = 'a' + (c-'a'+1)%20
		if bad[i] == c {
			continue
		}
		if _, err := ParseAID(string(bad)); err == nil {
			t.Errorf("character %d wrong and not noticed", i)
		}
	}
	d := testDevice(0xab)
	for _, s := range []string{"00158d00000000ab", "0x00158D00000000AB", "00:15:8d:00:00:00:00:ab"} {
		if got, err := ParseDeviceID(s); err != nil || got != d {
			t.Errorf("ParseDeviceID(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "00158d00000000", "00158d00000000abcd", "00158d00000000zz"} {
		if _, err := ParseDeviceID(s); err == nil {
			t.Errorf("ParseDeviceID(%q) passed", s)
		}
	}
}
