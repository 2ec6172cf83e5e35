package blockchain

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	vectorsFile  = "../docs/protocol/ledger.md"
	vectorsBegin = "<!-- vectors, written by: go test ./blockchain -run TestVectors -update -->\n"
	vectorsEnd   = "<!-- end of vectors -->\n"
)

// vectorJournal is a small ledger without anything random in it: a device registered and released.
func vectorJournal(t testing.TB) ([]byte, []*signedRecord, Opening) {
	t.Helper()
	o := newOwner(t, "vectors")
	opening := Opening{Device: testDevice(0x0001), Secret: [32]byte(bytes.Repeat([]byte{0x5e}, 32))}
	register := o.sign(t, Record{AID: o.aid, Time: testHour, Body: &Register{
		Circle: circleOf(0, publicKey(o.Validator)), Gateway: o.bind.ID, Commitment: opening.commitment(), Tag: deviceTag(o.Circle, opening.Device),
	}})
	release := o.release(t, register.ID, register.ID, 1)
	d := newDisk(nil)
	j, err := openJournal(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	var now tree
	for _, records := range [][]*signedRecord{{o.inception, o.bind}, {register}, {release}} {
		var b batch
		for _, r := range records {
			if r == register {
				b.private = append(b.private, encode(private{privateOpening, r.ID, opening}))
			}
			b.entries = append(b.entries, r.leaf)
			if now, err = now.extend(r.ID); err != nil {
				t.Fatal(err)
			}
		}
		head, err := now.head()
		if err != nil {
			t.Fatal(err)
		}
		if b.checkpoint, err = signCheckpoint(o.Log, head); err != nil {
			t.Fatal(err)
		}
		if _, err := j.append(b); err != nil {
			t.Fatal(err)
		}
	}
	return d.bytes(), []*signedRecord{o.inception, o.bind, register, release}, opening
}

// TestVectors holds the formats to the vectors in the protocol's page, for ever.
func TestVectors(t *testing.T) {
	journal, records, opening := vectorJournal(t)
	l := mustOpen(t, testOptions("vectors"), newDisk(journal))
	file, err := l.Prove(opening.Device, WithOpening())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyBundle(file, Trust{Owners: []AID{l.AID()}, Device: &opening.Device}); err != nil {
		t.Fatal(err)
	}
	var b bundle
	if err := decodeCanonical(file, &b); err != nil {
		t.Fatal(err)
	}
	k := testKeys("vectors")
	register, ok := records[2].Body.(*Register)
	if !ok {
		t.Fatal("the third record is no register")
	}

	var out strings.Builder
	line := func(name string, value any) { fmt.Fprintf(&out, "%s = %v\n", name, value) }
	bin := func(name string, value []byte) { line(name, hex.EncodeToString(value)) }
	out.WriteString("```text\n")
	for _, s := range []struct {
		name string
		key  ed25519.PrivateKey
	}{{"owner", k.Owner}, {"owner-next", k.OwnerNext}, {"log", k.Log}, {"witness", k.Witness}, {"validator", k.Validator}} {
		bin(s.name+" seed", s.key.Seed())
		line(s.name+" key", publicKey(s.key))
	}
	bin("circle key", k.Circle[:])
	line("peer id", testPeer)
	line("device", opening.Device)
	bin("secret", opening.Secret[:])
	bin("commitment", register.Commitment[:])
	bin("tag", register.Tag[:])
	line("circle id", register.Circle)
	bin("aid", l.aid[:])
	line("aid text", l.aid)
	for _, r := range records {
		bin(r.Type.String()+" payload", r.msg.Payload)
		bin(r.Type.String()+" record", r.leaf)
		line(r.Type.String()+" record id", r.ID)
	}
	line("log vkey", LogVerifierKey(l.LogKey()))
	bin("journal", journal)
	bin("bundle", file)
	out.WriteString("```\n\nThe last checkpoint:\n\n```text\n")
	out.Write(l.Checkpoint())
	out.WriteString("```\n\nThe inclusion proof of the register record:\n\n```text\n")
	out.WriteString(b.Hops[2].Proofs[0])
	out.WriteString("```\n")

	page, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found1 := strings.Cut(string(page), vectorsBegin)
	have, after, found2 := strings.Cut(rest, vectorsEnd)
	if !found1 || !found2 {
		t.Fatalf("%s has lost the marks around its vectors", vectorsFile)
	}
	if *update {
		if err := os.WriteFile(vectorsFile, []byte(before+vectorsBegin+out.String()+vectorsEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(have, out.String()); diff != "" {
		t.Errorf("the format changed, which breaks every ledger there is (-page +code):\n%s", diff)
	}
}
