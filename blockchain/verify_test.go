package blockchain

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"github.com/google/go-cmp/cmp"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func TestProveAndVerify(t *testing.T) {
	l := mustOpen(t, testOptions("a"), newDisk(sampleJournal(t)))
	dev := testDevice(1)
	closed, err := l.Prove(dev)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(closed, dev[:]) {
		t.Error("a bundle without opening tells the EUI-64")
	}
	v, err := VerifyBundle(closed, Trust{})
	if err != nil {
		t.Fatal(err)
	}
	own, err := l.Owner(dev)
	if err != nil {
		t.Fatal(err)
	}
	own.Device, own.Record, own.Index = DeviceID{}, RecordID{}, 0 // not in a verdict
	got := Ownership{Status: v.Status, Owner: v.Owner, Circle: v.Circle, Chain: v.Chain, Releases: v.Releases, Gateway: v.Gateway, Standing: v.Standing}
	if diff := cmp.Diff(own, got); diff != "" {
		t.Errorf("verdict (-ledger +bundle):\n%s", diff)
	}
	if v.Device != nil || len(v.Logs) != 1 || v.Logs[0].Size != l.Stats().Records || len(v.Records) != 5 {
		t.Errorf("verdict: %+v", v)
	}
	opened, err := l.Prove(dev, WithOpening())
	if err != nil {
		t.Fatal(err)
	}
	if v, err = VerifyBundle(opened, Trust{Device: &dev, Owners: []AID{l.AID()}, Origins: []string{l.Origin()}, LogKeys: []PublicKey{l.LogKey()}}); err != nil || *v.Device != dev {
		t.Errorf("with opening: %+v, %v", v, err)
	}
	text := strings.Join(v.Explain(), "\n")
	for _, want := range []string{"device " + dev.String() + " is owned by owner " + l.AID().String(), "gateway " + testPeer, "logged: as of", "local: ", "not ruled out"} {
		if !strings.Contains(text, want) {
			t.Errorf("the explanation lacks %q:\n%s", want, text)
		}
	}
	if _, err := l.Prove(testDevice(99)); err == nil {
		t.Error("proved an unknown device")
	}
}

func TestTrust(t *testing.T) {
	l := mustOpen(t, testOptions("a"), newDisk(sampleJournal(t)))
	dev, other := testDevice(1), testDevice(2)
	closed, err := l.Prove(dev)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := l.Prove(dev, WithOpening())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		file  []byte
		trust Trust
	}{
		{"another owner", closed, Trust{Owners: []AID{{1}}}},
		{"another origin", closed, Trust{Origins: []string{"peerbee/log/x"}}},
		{"another log key", closed, Trust{LogKeys: []PublicKey{{1}}}},
		{"another device", opened, Trust{Device: &other}},
		{"a device that is kept closed", closed, Trust{Device: &dev}},
	} {
		_, err := VerifyBundle(test.file, test.trust)
		wantError(t, err, ErrUntrusted, "%s", test.name)
	}
	if v, err := VerifyBundle(closed, Trust{}); err != nil || len(v.Limits) != 3 {
		t.Errorf("without any trust: %v, %v", v.Limits, err)
	}
}

// TestFlippedBundle changes every byte of a bundle in turn: none of them still proves anything.
func TestFlippedBundle(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, testOptions("a"), newDisk(sampleJournal(t)))
	file, err := l.Prove(testDevice(2), WithOpening())
	if err != nil {
		t.Fatal(err)
	}
	for at := range file {
		for _, mask := range []byte{0x01, 0x80} {
			bad := bytes.Clone(file)
			bad[at] ^= mask
			if v, err := VerifyBundle(bad, Trust{}); err == nil {
				t.Fatalf("byte %d ^ %02x: still proves %+v", at, mask, v)
			}
		}
	}
	for cut := range len(file) {
		if _, err := VerifyBundle(file[:cut], Trust{}); err == nil {
			t.Fatalf("cut at %d: still proves", cut)
		}
	}
}

// TestForgedBundle alters a bundle with care. The reason is checked too, or one check would hide that another is gone.
func TestForgedBundle(t *testing.T) {
	l, stop := serve(t, testOptions("a"), newDisk(nil))
	one, two := testDevice(1), testDevice(2)
	mustRegister(t, l, one)
	early := readBundle(t, l, one)
	mustRegister(t, l, two)
	gone := mustRelease(t, l, one)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	// Owner b takes device 1 over, owner c is in the log with nothing.
	b, c, at := newOwner(t, "b"), newOwner(t, "c"), l.slotOf(one)
	theirs := b.sign(t, Record{AID: b.aid, Prev: gone.Record, Time: testHour, Body: &Register{
		Circle: at.circle, Gateway: b.bind.ID, Tag: at.tag, M: 1, Commitment: Opening{Device: one}.commitment(),
	}})
	l = mustOpen(t, testOptions("a"), newDisk(l.journal.file.(*disk).bytes()))
	if err := l.commitAtOpen(c.inception, b.inception, b.bind, theirs); err != nil {
		t.Fatal(err)
	}
	l.openings[theirs.ID] = Opening{Device: one}
	sound := readBundle(t, l, one) // inception, bind, register, release; b's inception, bind, register
	second := readBundle(t, l, two)
	stranger := hop{Record: c.inception.leaf, Proofs: []string{proofOf(t, l, c.inception.ID)}}
	otherLog, _ := serve(t, testOptions("b"), newDisk(nil))
	mustRegister(t, otherLog, one)
	foreign := readBundle(t, otherLog, one)
	swap := func(i, j int) func(*bundle) {
		return func(b *bundle) { b.Hops[i], b.Hops[j] = b.Hops[j], b.Hops[i] }
	}
	for _, test := range []struct {
		name   string
		change func(*bundle)
		why    string
	}{
		{"no records", func(b *bundle) { b.Hops = nil }, "about 0 devices"},
		{"another format", func(b *bundle) { b.Format = "peerbee/bundle/v2" }, "newer"},
		{"no device", func(b *bundle) { b.Hops = b.Hops[:2] }, "about 0 devices"},
		{"no binding", func(b *bundle) { b.Hops = slices.Delete(b.Hops, 1, 2) }, "not bound"},
		{"no inception", func(b *bundle) { b.Hops = b.Hops[1:] }, "inception record was not shown"},
		{"no register", func(b *bundle) { b.Hops = slices.Delete(b.Hops, 2, 3) }, "chain was not shown"},
		{"no release", func(b *bundle) { b.Hops = slices.Delete(b.Hops, 3, 4) }, "state does not allow"},
		{"a record twice", func(b *bundle) { b.Hops = append(b.Hops, b.Hops[3]) }, "state does not allow"},
		{"records out of order", swap(2, 3), "chain was not shown"},
		{"owners out of the log's order", func(b *bundle) {
			h := b.Hops[4]
			b.Hops = slices.Insert(slices.Delete(b.Hops, 4, 5), 0, h)
		}, "log's order"},
		{"two devices", func(b *bundle) { b.Hops = slices.Insert(b.Hops, 3, second.Hops[2]) }, "about 2 devices"},
		{"an owner who never owned it", func(b *bundle) { b.Hops = slices.Insert(b.Hops, 4, stranger) }, "never owned"},
		{"another owner's record", func(b *bundle) { b.Hops[2] = foreign.Hops[2] }, "not bound"},
		{"a proof of another record", func(b *bundle) { b.Hops[2].Proofs = b.Hops[3].Proofs }, "is not at index"},
		{"a proof under an older head", func(b *bundle) { b.Hops[2].Proofs = early.Hops[2].Proofs }, "two checkpoints"},
		{"a proof in a log of nobody here", func(b *bundle) {
			b.Hops, b.Hops[2].Proofs = b.Hops[:4], foreign.Hops[2].Proofs
		}, "no gateway shown here"},
		{"a proof in another's log", func(b *bundle) { b.Hops[2].Proofs = foreign.Hops[2].Proofs }, "is not at index"},
		{"no proof", func(b *bundle) { b.Hops[2].Proofs = []string{} }, "0 inclusion proofs"},
		{"two proofs", func(b *bundle) { b.Hops[2].Proofs = append(b.Hops[2].Proofs, b.Hops[2].Proofs[0]) }, "2 inclusion proofs"},
		{"another's opening", func(b *bundle) { b.Hops[6].Opening = second.Hops[2].Opening }, "does not fit"},
		{"an opening at a release", func(b *bundle) { b.Hops[3].Opening = b.Hops[6].Opening }, "only a register"},
		{"another device in the opening", func(b *bundle) { b.Hops[6].Opening.Device[7] ^= 1 }, "does not fit"},
	} {
		var forged bundle
		if err := decodeCanonical(encode(sound), &forged); err != nil {
			t.Fatal(err)
		}
		test.change(&forged)
		_, err := VerifyBundle(encode(forged), Trust{})
		wantError(t, err, ErrBundle, "%s", test.name)
		if err != nil && !strings.Contains(err.Error(), test.why) {
			t.Errorf("%s: refused for another reason: %v", test.name, err)
		}
	}
	if v, err := VerifyBundle(encode(sound), Trust{Device: &one}); err != nil || v.Owner != b.aid || v.Releases != 1 {
		t.Errorf("unchanged: %+v, %v", v, err)
	}
	if _, err := VerifyBundle(make([]byte, maxBundle+1), Trust{}); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("too large: %v", err)
	}
}

func readBundle(t *testing.T, l *Ledger, d DeviceID) (b bundle) {
	t.Helper()
	file, err := l.Prove(d, WithOpening())
	if err != nil {
		t.Fatal(err)
	}
	if err := decodeCanonical(file, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

func proofOf(t *testing.T, l *Ledger, id RecordID) string {
	t.Helper()
	p, err := l.tree.prove(l.index[id])
	if err != nil {
		t.Fatal(err)
	}
	return inclusion{l.index[id], p, string(l.checkpoint)}.String()
}

// TestProofSpelling: one proof, one text.
func TestProofSpelling(t *testing.T) {
	l := mustOpen(t, testOptions("a"), newDisk(sampleJournal(t)))
	file, err := l.Prove(testDevice(2))
	if err != nil {
		t.Fatal(err)
	}
	var b bundle
	if err := decodeCanonical(file, &b); err != nil {
		t.Fatal(err)
	}
	good := b.Hops[2].Proofs[0]
	id := recordID(b.Hops[2].Record)
	p, err := parseInclusion(good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.check(l.LogKey(), id); err != nil {
		t.Fatal(err)
	}
	sigAt := strings.LastIndex(good, "=\n")
	for name, bad := range map[string]string{
		"a sign before the index":   strings.Replace(good, "index 3", "index +3", 1),
		"a zero before the index":   strings.Replace(good, "index 3", "index 03", 1),
		"a negative index":          strings.Replace(good, "index 3", "index -3", 1),
		"extra data":                strings.Replace(good, "index", "extra AA==\nindex", 1),
		"another version":           strings.Replace(good, "@v1", "@v2", 1),
		"a carriage return":         strings.Replace(good, "\n\n", "\r\n\n", 1),
		"no checkpoint":             good[:strings.Index(good, "\n\n")+2],
		"an extension line":         strings.Replace(good, "\n\n— ", "\nmore\n\n— ", 1),
		"stray bits in a signature": good[:sigAt-1] + string(good[sigAt-1]+1) + good[sigAt:],
		"a hash more":               strings.Replace(good, "\n\npeer", "\n"+tlog.Hash{}.String()+"\n\npeer", 1),
		"the empty text":            "",
	} {
		p, err := parseInclusion(bad)
		if err == nil {
			_, err = p.check(l.LogKey(), id)
		}
		wantError(t, err, ErrCheckpoint, "%s", name)
	}
}

// TestHugeTreeSize: tlog does not end for sizes near 2^63, which a hostile log may sign.
func TestHugeTreeSize(t *testing.T) {
	k := testKeys("a")
	for _, n := range []int64{maxTree + 1, 1<<62 + 1, 1<<63 - 1} {
		signed, err := signCheckpoint(k.Log, tlog.Tree{N: n})
		if err != nil {
			t.Fatal(err)
		}
		_, err = inclusion{1, make(tlog.RecordProof, 2), string(signed)}.check(publicKey(k.Log), RecordID{})
		if err == nil || !strings.Contains(err.Error(), "a size of") {
			t.Errorf("size %d: %v", n, err)
		}
	}
}

// TestSignedButRefused: checkpoints that the log key did sign and that are none of ours.
func TestSignedButRefused(t *testing.T) {
	k := testKeys("a")
	pub := publicKey(k.Log)
	ours := torchwood.Checkpoint{Origin: Origin(pub), Tree: tlog.Tree{N: 1}}
	extended, renamed := ours, ours
	extended.Extension = "more\n"
	renamed.Origin = Origin(publicKey(k.Witness))
	for name, c := range map[string]torchwood.Checkpoint{"ours": ours, "an extension line": extended, "another origin": renamed} {
		signed, err := note.Sign(&note.Note{Text: c.String()}, noteSigner{logVerifier(pub), k.Log})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := openCheckpoint(pub, signed); (err == nil) != (name == "ours") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestProofsAgainstMerkle has a verifier that is not ours judge every proof of many trees, and every altered proof.
func TestProofsAgainstMerkle(t *testing.T) {
	var now tree
	var ids []RecordID
	for size := 1; size <= 70; size++ {
		ids = append(ids, recordID([]byte{byte(size), byte(size >> 8)}))
		var err error
		if now, err = now.extend(ids[size-1]); err != nil {
			t.Fatal(err)
		}
		head, err := now.head()
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range ids {
			p, err := now.prove(int64(i))
			if err != nil {
				t.Fatal(err)
			}
			outside(t, head, i, id, p)
		}
	}
	// The hashes of a smaller tree are a prefix: an older reader's view stays what it was.
	small := tree{hashes: now.hashes[:tlog.StoredHashCount(13)], size: 13}
	head, err := small.head()
	if err != nil {
		t.Fatal(err)
	}
	p, err := small.prove(12)
	if err != nil {
		t.Fatal(err)
	}
	outside(t, head, 12, ids[12], p)
}

func outside(t *testing.T, head tlog.Tree, index int, id RecordID, p tlog.RecordProof) {
	t.Helper()
	check := func(index int, id RecordID, p tlog.RecordProof, root tlog.Hash) error {
		hashes := make([][]byte, len(p))
		for i := range p {
			hashes[i] = p[i][:]
		}
		return proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(head.N), id[:], hashes, root[:])
	}
	if err := check(index, id, p, head.Hash); err != nil {
		t.Fatalf("record %d of %d: %v", index, head.N, err)
	}
	refused := func(what string, err error) {
		if err == nil {
			t.Errorf("record %d of %d: passes with %s", index, head.N, what)
		}
	}
	for i := range p {
		altered := slices.Clone(p)
		altered[i][i%32] ^= 1
		refused("a hash changed", check(index, id, altered, head.Hash))
		refused("a hash less", check(index, id, slices.Delete(slices.Clone(p), i, i+1), head.Hash))
	}
	refused("a hash more", check(index, id, append(slices.Clone(p), tlog.Hash{}), head.Hash))
	refused("another record", check(index, RecordID{1}, p, head.Hash))
	refused("another root", check(index, id, p, tlog.Hash{1}))
	if head.N > 1 {
		refused("another index", check((index+1)%int(head.N), id, p, head.Hash))
	}
}

// TestLedgerProofsAgainstMerkle takes the proofs out of a real bundle.
func TestLedgerProofsAgainstMerkle(t *testing.T) {
	l := mustOpen(t, testOptions("a"), newDisk(sampleJournal(t)))
	for n := 1; n <= 2; n++ {
		file, err := l.Prove(testDevice(n))
		if err != nil {
			t.Fatal(err)
		}
		var b bundle
		if err := decodeCanonical(file, &b); err != nil {
			t.Fatal(err)
		}
		for _, h := range b.Hops {
			p, err := parseInclusion(h.Proofs[0])
			if err != nil {
				t.Fatal(err)
			}
			head, err := openCheckpoint(l.LogKey(), []byte(p.checkpoint))
			if err != nil {
				t.Fatal(err)
			}
			outside(t, head, int(p.index), recordID(h.Record), p.proof)
		}
	}
}
