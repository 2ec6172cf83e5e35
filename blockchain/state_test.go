package blockchain

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// owner is somebody who signs by hand.
type owner struct {
	Keys
	aid             AID
	inception, bind *signedRecord
}

func newOwner(t testing.TB, name string) *owner {
	t.Helper()
	o := &owner{Keys: testKeys(name)}
	o.inception = o.sign(t, Record{Time: testHour, Body: &Inception{
		Key: publicKey(o.Owner), NextKey: keyHash(publicKey(o.OwnerNext)), Circle: circleOf(0, publicKey(o.Validator)),
	}})
	o.aid = inceptionAID(o.inception.leaf)
	o.bind = o.sign(t, Record{AID: o.aid, Seq: 1, Prev: o.inception.ID, Time: testHour, Body: &GatewayBind{
		PeerID: testPeer, Log: publicKey(o.Log), Witness: publicKey(o.Witness), Validator: publicKey(o.Validator), Scope: ScopeRegister,
	}})
	return o
}

func (o *owner) sign(t testing.TB, r Record) *signedRecord {
	t.Helper()
	key := o.Owner
	if _, ok := r.Body.(*Register); ok {
		key = o.Log
	}
	s, err := signRecord(key, r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// register claims a device in circle 1 by the last record about it, if it was there before.
func (o *owner) register(t testing.TB, tag byte, m uint64, prev RecordID) *signedRecord {
	t.Helper()
	return o.sign(t, Record{AID: o.aid, Prev: prev, Time: testHour, Body: &Register{
		Circle: CircleID{1}, Gateway: o.bind.ID, Tag: Tag{tag}, M: m,
	}})
}

func (o *owner) release(t testing.TB, chain, prev RecordID, seq uint64) *signedRecord {
	t.Helper()
	return o.sign(t, Record{AID: o.aid, Chain: chain, Prev: prev, Seq: seq, Time: testHour, Body: &Release{}})
}

func stateOf(t testing.TB, records ...*signedRecord) *state {
	t.Helper()
	s := newState()
	for i, r := range records {
		if err := s.apply(r); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
	return s
}

// TestTransitionTable tries every move from every status.
func TestTransitionTable(t *testing.T) {
	o := newOwner(t, "a")
	first := o.register(t, 1, 0, RecordID{})
	gone := o.release(t, first.ID, first.ID, 1)
	history := map[Status][]*signedRecord{
		StatusNone: nil, StatusOwned: {first}, StatusReleased: {first, gone},
	}
	tries := map[Status]map[Type]*signedRecord{
		StatusNone:     {TypeRegister: first, TypeRelease: gone},
		StatusOwned:    {TypeRegister: o.register(t, 1, 1, first.ID), TypeRelease: gone},
		StatusReleased: {TypeRegister: o.register(t, 1, 1, gone.ID), TypeRelease: o.release(t, first.ID, gone.ID, 2)},
	}
	for from, moves := range tries {
		for by, r := range moves {
			s := stateOf(t, append([]*signedRecord{o.inception, o.bind}, history[from]...)...)
			err := s.apply(r)
			to, listed := transitions[move{from, by}]
			if listed != (err == nil) {
				t.Errorf("%s, %s: %v", from, by, err)
			}
			if listed && s.devices[slot{CircleID{1}, Tag{1}}].status != to {
				t.Errorf("%s, %s: not %s", from, by, to)
			}
		}
	}
	for m := range transitions {
		if tries[m.from][m.by] == nil {
			t.Errorf("the table's %v is not tried", m)
		}
	}
}

// TestRefusedRecords shows every reason to refuse a record, and that a refused one changes nothing.
func TestRefusedRecords(t *testing.T) {
	a, b := newOwner(t, "a"), newOwner(t, "b")
	mine, other := a.register(t, 1, 0, RecordID{}), a.register(t, 2, 0, RecordID{})
	otherGone := a.release(t, other.ID, other.ID, 1)
	theirs := b.register(t, 3, 0, RecordID{})
	base := []*signedRecord{a.inception, a.bind, b.inception, b.bind, mine, other, otherGone, theirs}

	// forged is signed by b with everything else as a would write it.
	forged := func(r *signedRecord) *signedRecord {
		key := b.Owner
		if r.Type == TypeRegister {
			key = b.Log
		}
		f, err := signRecord(key, r.Record)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	flipped := func(r *signedRecord) *signedRecord {
		leaf := append([]byte(nil), r.leaf...)
		leaf[len(leaf)-1] ^= 1
		f, err := parseRecord(leaf)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	unbound := newOwner(t, "c")
	byLogKey, err := signRecord(a.Log, Record{AID: a.aid, Chain: mine.ID, Prev: mine.ID, Seq: 1, Time: testHour, Body: &Release{}})
	if err != nil {
		t.Fatal(err)
	}
	lent, err := signRecord(b.Log, Record{AID: a.aid, Time: testHour, Body: &Register{Circle: CircleID{1}, Gateway: b.bind.ID, Tag: Tag{9}}})
	if err != nil {
		t.Fatal(err)
	}
	renamed := func(r *signedRecord) *signedRecord {
		f, err := parseRecord(bytes.Replace(r.leaf, keyID(a.Owner.Public().(ed25519.PublicKey)), []byte("another8"), 1))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	rebind := func(change func(*GatewayBind), seq uint64, prev RecordID) *signedRecord {
		body := *a.bind.Body.(*GatewayBind)
		change(&body)
		return a.sign(t, Record{AID: a.aid, Seq: seq, Prev: prev, Time: testHour, Body: &body})
	}
	same := func(*GatewayBind) {}
	for _, test := range []struct {
		name string
		r    *signedRecord
		want error
	}{
		{"inception again", a.inception, ErrOutOfPlace},
		{"bind again", a.bind, ErrOutOfPlace},
		{"bind with a hole before it", rebind(same, 3, a.bind.ID), ErrOutOfPlace},
		{"bind after another record", rebind(same, 2, a.inception.ID), ErrOutOfPlace},
		{"bind of an unknown owner", unbound.bind, ErrUnknownAID},
		{"bind by another owner", forged(rebind(same, 2, a.bind.ID)), ErrSignature},
		{"bind of a bad peer id", rebind(func(g *GatewayBind) { g.PeerID = "a b" }, 2, a.bind.ID), errPeerID},
		{"register by an unbound gateway", unbound.register(t, 9, 0, RecordID{}), ErrSignature},
		{"register by another's gateway", forged(a.register(t, 9, 0, RecordID{})), ErrSignature},
		{"register naming another's gateway", a.sign(t, Record{AID: a.aid, Time: testHour, Body: &Register{Circle: CircleID{1}, Gateway: b.bind.ID}}), ErrSignature},
		{"register by another's gateway in one's name", lent, ErrSignature},
		{"register again", mine, ErrTransition},
		{"register what another owns", b.register(t, 1, 0, RecordID{}), ErrTransition},
		{"register again without its release", a.register(t, 2, 0, RecordID{}), ErrOutOfPlace},
		{"register with a wrong count", a.register(t, 2, 2, otherGone.ID), ErrOutOfPlace},
		{"register after the wrong record", a.register(t, 2, 1, other.ID), ErrOutOfPlace},
		{"register naming releases that never were", a.register(t, 9, 1, otherGone.ID), ErrOutOfPlace},
		{"release by another owner", b.release(t, mine.ID, mine.ID, 1), ErrSignature},
		{"release with a forged signature", forged(a.release(t, mine.ID, mine.ID, 1)), ErrSignature},
		{"release with a bit of its signature changed", flipped(a.release(t, mine.ID, mine.ID, 1)), ErrSignature},
		{"release by the gateway's key", byLogKey, ErrSignature},
		{"release with another kid", renamed(a.release(t, mine.ID, mine.ID, 1)), ErrSignature},
		{"release of an unknown chain", a.release(t, RecordID{9}, mine.ID, 1), ErrOutOfPlace},
		{"release with a wrong sequence number", a.release(t, mine.ID, mine.ID, 2), ErrOutOfPlace},
		{"release after another chain's record", a.release(t, mine.ID, other.ID, 1), ErrOutOfPlace},
		{"release twice", otherGone, ErrTransition},
	} {
		s := stateOf(t, base...)
		err := s.apply(test.r)
		wantError(t, err, test.want, "%s", test.name)
		// The same state still admits what it should.
		for _, next := range []*signedRecord{
			rebind(same, 2, a.bind.ID), a.release(t, mine.ID, mine.ID, 1), b.register(t, 2, 1, otherGone.ID), b.register(t, 9, 0, RecordID{}),
		} {
			if err := s.apply(next); err != nil {
				t.Errorf("%s: afterwards: %v", test.name, err)
			}
		}
	}
	scope := rebind(func(g *GatewayBind) { g.Scope = 2 }, 2, a.bind.ID)
	wantError(t, stateOf(t, base...).apply(scope), ErrNewer, "a scope nobody knows")
}

// TestRecordsLieInAnyOrderOfOwners replays two owners' records interleaved: a device given up by one is the other's.
func TestRecordsLieInAnyOrderOfOwners(t *testing.T) {
	a, b := newOwner(t, "a"), newOwner(t, "b")
	mine := a.register(t, 1, 0, RecordID{})
	gone := a.release(t, mine.ID, mine.ID, 1)
	theirs := b.register(t, 1, 1, gone.ID)
	s := stateOf(t, b.inception, a.inception, a.bind, mine, b.bind, gone, theirs)
	d := s.devices[slot{CircleID{1}, Tag{1}}]
	if d.status != StatusOwned || d.current().aid != b.aid || d.releases != 1 {
		t.Errorf("device: %+v", d)
	}
	if err := s.apply(a.release(t, mine.ID, gone.ID, 2)); !errors.Is(err, ErrTransition) {
		t.Errorf("the first owner released it once more: %v", err)
	}
	if diff := cmp.Diff(2, len(s.chains)); diff != "" {
		t.Error(diff)
	}
}
