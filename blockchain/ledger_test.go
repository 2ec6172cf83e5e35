package blockchain

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOwnershipLife(t *testing.T) {
	d := newDisk(nil)
	l, stop := serve(t, testOptions("a"), d)
	dev := testDevice(1)

	if _, err := l.Owner(dev); !errors.Is(err, ErrUnknownDevice) {
		t.Fatalf("owner of an unknown device: %v", err)
	}
	if _, err := l.Release(t.Context(), dev); !errors.Is(err, ErrUnknownDevice) {
		t.Fatalf("release of an unknown device: %v", err)
	}
	first := mustRegister(t, l, dev)
	again := mustRegister(t, l, dev)
	if first.Existed || !again.Existed || first.Record != again.Record || first.Index != 2 {
		t.Errorf("register twice: %+v then %+v", first, again)
	}
	gone := mustRelease(t, l, dev)
	if goneAgain := mustRelease(t, l, dev); goneAgain.Record != gone.Record || !goneAgain.Existed || goneAgain.Type != TypeRelease {
		t.Errorf("release twice: %+v then %+v", gone, goneAgain)
	}
	if o, err := l.Owner(dev); err != nil || o.Status != StatusReleased || o.Releases != 1 {
		t.Errorf("after release: %+v, %v", o, err)
	}
	second := mustRegister(t, l, dev)
	want := Ownership{
		Device: dev, Status: StatusOwned, Owner: l.AID(), Circle: circleOf(0, publicKey(testKeys("a").Validator)),
		Chain: second.Record, Record: second.Record, Index: 4, Releases: 1, Gateway: testPeer, Standing: StandingLocal,
	}
	got, err := l.Owner(dev)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ownership (-want +got):\n%s", diff)
	}
	chain, err := l.Chain(dev)
	if err != nil {
		t.Fatal(err)
	}
	var types []Type
	for _, e := range chain {
		types = append(types, e.Record.Type)
		if e.Device == nil || *e.Device != dev {
			t.Errorf("entry %d does not name its device", e.Index)
		}
	}
	if diff := cmp.Diff([]Type{TypeRegister, TypeRelease, TypeRegister}, types); diff != "" {
		t.Errorf("chain (-want +got):\n%s", diff)
	}

	before := l.Checkpoint()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	reopened := mustOpen(t, testOptions("a"), d.restart())
	if got, err := reopened.Owner(dev); err != nil || !cmp.Equal(want, got) {
		t.Errorf("after reopening: %+v, %v", got, err)
	}
	if diff := cmp.Diff(string(before), string(reopened.Checkpoint())); diff != "" {
		t.Errorf("checkpoint changed by reopening:\n%s", diff)
	}
	if s := reopened.Stats(); s.JournalBytes != int64(len(d.bytes())) || s.Records != 5 || s.Batches != 4 || s.Owned != 1 {
		t.Errorf("stats: %+v, journal of %d bytes", s, len(d.bytes()))
	}
}

func TestReleaseNeedsOwnerKey(t *testing.T) {
	d := newDisk(nil)
	l, stop := serve(t, testOptions("a"), d)
	mustRegister(t, l, testDevice(1))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	o := testOptions("a")
	o.Keys.Owner, o.Keys.OwnerNext = nil, nil
	l, _ = serve(t, o, d.restart())
	if _, err := l.Release(t.Context(), testDevice(1)); !errors.Is(err, ErrNoOwnerKey) {
		t.Errorf("release: %v", err)
	}
	mustRegister(t, l, testDevice(2))
}

// TestBatches lets many callers register at once: far fewer writes than records, and one record per device.
func TestBatches(t *testing.T) {
	d := newDisk(nil)
	l, _ := serve(t, testOptions("a"), d)
	const devices, callers = 100, 3
	var wg sync.WaitGroup
	got := make([][callers]Receipt, devices)
	for i := range devices {
		for c := range callers {
			wg.Go(func() {
				r, err := l.Register(t.Context(), testDevice(i))
				if err != nil {
					t.Error(err)
				}
				got[i][c] = r
			})
		}
	}
	wg.Wait()
	for i, rs := range got {
		for _, r := range rs {
			if r.Record != rs[0].Record || r.Device != testDevice(i) {
				t.Errorf("device %d has two receipts: %+v", i, rs)
			}
		}
	}
	s := l.Stats()
	if s.Records != 2+devices || s.Owned != devices {
		t.Errorf("stats: %+v", s)
	}
	mustOpen(t, testOptions("a"), newDisk(d.bytes()))
	t.Logf("%d records in %d batches", s.Records, s.Batches)
}

// TestAnothersDevice has another owner register, in this circle, the device that this one released.
func TestAnothersDevice(t *testing.T) {
	d := newDisk(nil)
	l, stop := serve(t, testOptions("a"), d)
	dev := testDevice(1)
	mustRegister(t, l, dev)
	gone := mustRelease(t, l, dev)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	b, at := newOwner(t, "b"), l.slotOf(dev)
	theirs := b.sign(t, Record{AID: b.aid, Prev: gone.Record, Time: testHour, Body: &Register{
		Circle: at.circle, Gateway: b.bind.ID, Tag: at.tag, M: 1,
	}})
	l = mustOpen(t, testOptions("a"), d.restart())
	if err := l.commitAtOpen(b.inception, b.bind, theirs); err != nil {
		t.Fatal(err)
	}
	run(t, l)
	if own, err := l.Owner(dev); err != nil || own.Owner != b.aid {
		t.Errorf("owner: %+v, %v", own, err)
	}
	_, err := l.Register(t.Context(), dev)
	wantError(t, err, ErrTransition, "register")
	_, err = l.Release(t.Context(), dev)
	wantError(t, err, ErrSignature, "release")
	if _, err := l.Prove(dev, WithOpening()); err == nil {
		t.Error("opened another owner's record")
	}
	file, err := l.Prove(dev)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := VerifyBundle(file, Trust{Owners: []AID{b.aid}}); err != nil || v.Releases != 1 {
		t.Errorf("verdict: %+v, %v", v, err)
	}
}

// TestNobodyWaits: a record is not signed for a caller who has gone.
func TestNobodyWaits(t *testing.T) {
	l := mustOpen(t, testOptions("a"), newDisk(nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := l.stage(request{ctx: ctx, device: testDevice(1), typ: TypeRegister})
	wantError(t, err, context.Canceled, "stage")
	_, err = l.Register(ctx, testDevice(1))
	wantError(t, err, context.Canceled, "register while nobody serves")
}

func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	o := testOptions("a")
	o.Dir = dir
	l, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), o)
	wantError(t, err, ErrLocked, "second opening")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = l.Register(t.Context(), testDevice(1))
	wantError(t, err, ErrClosed, "register after close")
	wantError(t, l.Serve(t.Context()), ErrClosed, "serve after close")
	l, err = Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open after close: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, journalName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("journal's mode: %v, %v", info, err)
	}
}

func TestOtherKeysAreRefused(t *testing.T) {
	journal := sampleJournal(t)
	a, b := testKeys("a"), testKeys("b")
	for _, test := range []struct {
		name   string
		change func(*Keys)
		want   error
	}{
		{"log key", func(k *Keys) { k.Log = b.Log }, ErrCheckpoint},
		{"owner key", func(k *Keys) { k.Owner = b.Owner }, ErrKeys},
		{"no log key", func(k *Keys) { k.Log = nil }, ErrKeys},
		{"validator key without the owner's", func(k *Keys) { k.Validator, k.Owner = b.Validator, nil }, ErrNoOwnerKey},
	} {
		k := a
		test.change(&k)
		d := newDisk(journal)
		_, err := open(Options{Keys: k, PeerID: testPeer}, d)
		wantError(t, err, test.want, "%s", test.name)
		if !cmp.Equal(d.bytes(), journal) {
			t.Errorf("%s: the journal was changed", test.name)
		}
	}
}

// TestNewPeerIDIsBound gives a gateway a new peer id: the owner's key, being there, binds it once.
func TestNewPeerIDIsBound(t *testing.T) {
	d := newDisk(sampleJournal(t))
	o := testOptions("a")
	o.PeerID = "12D3KooWOther"
	for range 2 {
		l := mustOpen(t, o, d.restart())
		if s := l.Stats(); s.Records != 7 {
			t.Fatalf("%d records", s.Records)
		}
		d = newDisk(l.journal.file.(*disk).bytes())
	}
	l, _ := serve(t, o, d)
	mustRegister(t, l, testDevice(9))
	if own, err := l.Owner(testDevice(9)); err != nil || own.Gateway != o.PeerID {
		t.Errorf("gateway of a device registered after: %+v, %v", own, err)
	}
	file, err := l.Prove(testDevice(9))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyBundle(file, Trust{Owners: []AID{l.AID()}}); err != nil {
		t.Error(err)
	}
}
