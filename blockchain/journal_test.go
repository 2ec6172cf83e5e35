package blockchain

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// place is a frame of a sound journal.
type place struct {
	kind       byte
	start, end int
}

func framesOf(t testing.TB, journal []byte) []place {
	t.Helper()
	var out []place
	for at := 0; at < len(journal); {
		end := at + int(binary.BigEndian.Uint32(journal[at:])) + frameOverhead
		out = append(out, place{journal[at+4], at, end})
		at = end
	}
	return out
}

func TestJournalLayout(t *testing.T) {
	var kinds []byte
	for _, f := range framesOf(t, sampleJournal(t)) {
		kinds = append(kinds, f.kind)
	}
	if diff := cmp.Diff("EEC"+"WEC"+"WEC"+"EC"+"WEC", string(kinds)); diff != "" {
		t.Errorf("frames (-want +got):\n%s", diff)
	}
}

// TestCutAnywhere cuts the journal after every byte: what remains is every whole batch, no more and no less, and the
// ledger goes on from there.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	journal := sampleJournal(t)
	frames := framesOf(t, journal)
	records, pending := 0, 0
	var kept, next int
	for cut := range len(journal) + 1 {
		if next < len(frames) && cut == frames[next].end {
			switch frames[next].kind {
			case kindEntry:
				pending++
			case kindCheckpoint:
				records, pending, kept = records+pending, 0, cut
			case kindPrivate:
				kept = cut // an opening may stay without its record
			}
			next++
		}
		d := newDisk(journal[:cut])
		var got int
		j, err := openJournal(d, func(b batch) error { got += len(b.entries); return nil })
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if got != records || int(j.size) != kept || !bytes.Equal(d.bytes(), journal[:kept]) {
			t.Fatalf("cut at %d: %d records and %d bytes, want %d and %d", cut, got, j.size, records, kept)
		}
		if atBoundary := next > 0 && (cut == frames[next-1].end || cut == frames[next-1].end+1); !atBoundary {
			continue
		}
		l := mustOpen(t, testOptions("a"), newDisk(journal[:cut]))
		if want := int64(max(records, 2)); l.Stats().Records != want {
			t.Fatalf("cut at %d: %d records, want %d", cut, l.Stats().Records, want)
		}
		stop := run(t, l)
		mustRegister(t, l, testDevice(7))
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFlipAnywhere changes every byte of the journal in turn. Only a length in the very last frame can make it look
// like a write cut short.
func TestFlipAnywhere(t *testing.T) {
	t.Parallel()
	journal := sampleJournal(t)
	frames := framesOf(t, journal)
	last := frames[len(frames)-1]
	for at := range journal {
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(journal)
			bad[at] ^= mask
			d := newDisk(bad)
			_, err := openJournal(d, func(batch) error { return nil })
			if err == nil && at >= last.start && at < last.start+4 {
				continue
			}
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("byte %d ^ %02x: %v", at, mask, err)
			}
			if !bytes.Equal(d.bytes(), bad) {
				t.Fatalf("byte %d ^ %02x: the journal was changed", at, mask)
			}
		}
	}
}

// TestForgedFrames changes bytes of records and checkpoints and mends the checksum.
func TestForgedFrames(t *testing.T) {
	t.Parallel()
	journal, _, _ := vectorJournal(t)
	for _, f := range framesOf(t, journal) {
		if f.kind == kindPrivate {
			continue
		}
		for at := f.start + frameHead; at < f.end-4; at++ {
			bad := bytes.Clone(journal)
			bad[at] ^= 0x01
			mend(bad, f)
			if _, err := open(testOptions("vectors"), newDisk(bad)); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
				t.Fatalf("frame %c at %d, byte %d: %v", f.kind, f.start, at, err)
			}
		}
	}
}

func mend(journal []byte, f place) {
	binary.BigEndian.PutUint32(journal[f.end-4:], crc32.Checksum(journal[f.start:f.end-4], castagnoli))
}

func TestDamage(t *testing.T) {
	journal := sampleJournal(t)
	frames := framesOf(t, journal)
	first := frames[0]
	swap := func(a, b place) []byte {
		return bytes.Join([][]byte{journal[:a.start], journal[b.start:b.end], journal[a.end:b.start], journal[a.start:a.end], journal[b.end:]}, nil)
	}
	drop := func(p place) []byte { return append(bytes.Clone(journal[:p.start]), journal[p.end:]...) }
	for name, bad := range map[string][]byte{
		"first record gone":             drop(first),
		"first checkpoint gone":         drop(frames[2]),
		"two records swapped":           swap(frames[0], frames[1]),
		"batch doubled":                 append(bytes.Clone(journal), journal[frames[9].start:frames[10].end]...),
		"checkpoint doubled":            append(bytes.Clone(journal), journal[frames[13].start:]...),
		"hole of zeros before a batch":  bytes.Join([][]byte{journal[:frames[6].start], make([]byte, 4096), journal[frames[6].start:]}, nil),
		"hole far larger than a window": bytes.Join([][]byte{journal[:frames[6].start], make([]byte, 3*windowSize+17), journal[frames[6].start:]}, nil),
		"opening after its record":      swap(frames[3], frames[4]),
		"frame of an unknown kind":      appendFrame(bytes.Clone(journal), 'X', []byte("?")),
		"opening between records":       slices.Concat(journal, journal[frames[4].start:frames[4].end], journal[frames[3].start:frames[3].end]),
		"private frame in bad form":     appendFrame(bytes.Clone(journal), kindPrivate, []byte{0xa1, 0x01, 0x02}),
	} {
		d := newDisk(bad)
		_, err := open(testOptions("a"), d)
		wantError(t, err, ErrCorrupt, "%s", name)
		if !bytes.Equal(d.bytes(), bad) {
			t.Errorf("%s: the journal was changed", name)
		}
	}
	for name, tail := range map[string][]byte{
		"zeros":              make([]byte, 5000),
		"one byte":           {0},
		"noise":              bytes.Repeat([]byte{0xee}, 40_000),
		"record, then zeros": append(bytes.Clone(journal[frames[4].start:frames[4].end]), make([]byte, 100)...),
		"half a record, the rest zeros": append(bytes.Clone(journal[frames[4].start:frames[4].start+100]),
			make([]byte, frames[4].end-frames[4].start-100)...),
	} {
		d := newDisk(append(bytes.Clone(journal), tail...))
		l, err := open(testOptions("a"), d)
		if err != nil {
			t.Errorf("%s at the end: %v", name, err)
			continue
		}
		if !bytes.Equal(d.bytes(), journal) || l.journal.cut != int64(len(tail)) {
			t.Errorf("%s at the end: %d bytes cut, %d left of %d", name, l.journal.cut, len(d.bytes()), len(journal))
		}
	}
}

// TestForeignRecord puts another owner's sound record into a sound batch of this log.
func TestForeignRecord(t *testing.T) {
	other := newDisk(nil)
	l, _ := serve(t, testOptions("b"), other)
	mustRegister(t, l, testDevice(1))
	foreign, err := l.record(2)
	if err != nil {
		t.Fatal(err)
	}
	d := newDisk(sampleJournal(t))
	ours := mustOpen(t, testOptions("a"), d)
	next, err := ours.tree.extend(foreign.ID)
	if err != nil {
		t.Fatal(err)
	}
	write(t, ours, next, foreign)
	_, err = open(testOptions("a"), d.restart())
	wantError(t, err, ErrCorrupt, "foreign record")
	wantError(t, err, ErrSignature, "foreign record")
}

// write appends a batch of records under a checkpoint over any tree.
func write(t *testing.T, l *Ledger, signed tree, records ...*signedRecord) {
	t.Helper()
	head, err := signed.head()
	if err != nil {
		t.Fatal(err)
	}
	var b batch
	if b.checkpoint, err = signCheckpoint(l.keys.Log, head); err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		b.entries = append(b.entries, r.leaf)
	}
	if _, err := l.journal.append(b); err != nil {
		t.Fatal(err)
	}
}

// TestWrongTree closes a sound batch with a signed checkpoint over something else, or over nothing new.
func TestWrongTree(t *testing.T) {
	o := newOwner(t, "a")
	for _, name := range []string{"an older tree", "another tree of the same size", "no records"} {
		d := newDisk(nil)
		l := mustOpen(t, testOptions("a"), d)
		inception, err := l.record(0)
		if err != nil {
			t.Fatal(err)
		}
		o.aid, o.inception = l.aid, inception
		register := o.sign(t, Record{AID: l.aid, Time: testHour, Body: &Register{Gateway: l.gateway, Tag: Tag{1}}})
		other, err := l.tree.extend(RecordID{1})
		if err != nil {
			t.Fatal(err)
		}
		switch name {
		case "an older tree":
			write(t, l, l.tree, register)
		case "another tree of the same size":
			write(t, l, other, register)
		case "no records":
			write(t, l, l.tree)
		}
		_, err = open(testOptions("a"), d.restart())
		wantError(t, err, ErrCorrupt, "%s", name)
		wantError(t, err, ErrCheckpoint, "%s", name)
	}
}

func TestUnknownPrivateFrame(t *testing.T) {
	frame := encode(private{Kind: 2, Record: RecordID{1}})
	d := newDisk(appendFrame(sampleJournal(t), kindPrivate, frame))
	_, err := open(testOptions("a"), d)
	wantError(t, err, ErrNewer, "private frame of kind 2")
}

// TestFaults fails every call to the disk in every way. Whatever fails, nothing acknowledged is lost, neither for the
// next process nor after a power cut, and the ledger does not go on by itself.
func TestFaults(t *testing.T) {
	t.Parallel()
	start := sampleJournal(t)
	start = append(start, start[:50]...) // an unfinished batch, so that opening has something to cut
	calls := faultRun(t, start, -1, fault{})
	if calls < 10 {
		t.Fatalf("only %d calls to fail", calls)
	}
	for call := 1; call <= calls; call++ {
		for _, f := range []fault{
			{syscall.EIO, 0}, {syscall.EIO, 100}, {syscall.ENOSPC, 0}, {syscall.ENOSPC, 50}, {syscall.ENOSPC, 100},
		} {
			faultRun(t, start, call, f)
		}
	}
}

func faultRun(t *testing.T, start []byte, call int, f fault) (calls int) {
	t.Helper()
	what := fmt.Sprintf("call %d fails with %v, %d %% stored", call, f.err, f.stored)
	d := newDisk(start)
	d.fault = func(n int, _ string) fault {
		if n == call {
			return f
		}
		return fault{}
	}
	acked := map[DeviceID]RecordID{}
	before := ""
	if l, err := open(testOptions("a"), d); err != nil {
		wantError(t, err, f.err, "%s: open", what)
	} else {
		stop := run(t, l)
		for n := 20; n < 23; n++ {
			before = string(l.Checkpoint())
			r, err := l.Register(t.Context(), testDevice(n))
			if err == nil {
				acked[testDevice(n)] = r.Record
				continue
			}
			wantError(t, err, ErrStopped, "%s: register", what)
			wantError(t, err, f.err, "%s: register", what)
			_, err = l.Register(t.Context(), testDevice(30))
			wantError(t, err, ErrStopped, "%s: register after the error", what)
			wantError(t, stop(), ErrStopped, "%s: serve", what)
			if string(l.Checkpoint()) != before {
				t.Errorf("%s: a checkpoint was released after the error", what)
			}
			break
		}
	}
	calls = d.calls
	afterwards(t, what+", power cut", d.crash(), acked)
	next := d.restart()
	seen := afterwards(t, what+", restart", next, acked)
	afterwards(t, what+", restart and then power cut", next.crash(), seen)
	return calls
}

// afterwards opens d, checks that all acked records are there, works, and gives all records it acknowledged.
func afterwards(t *testing.T, what string, d *disk, acked map[DeviceID]RecordID) map[DeviceID]RecordID {
	t.Helper()
	l, err := open(testOptions("a"), d)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	seen := map[DeviceID]RecordID{}
	for dev, record := range acked {
		if own, err := l.Owner(dev); err != nil || own.Record != record {
			t.Errorf("%s: device %s: %+v, %v", what, dev, own, err)
		}
		seen[dev] = record
	}
	// What is there without having been acknowledged is acknowledged now.
	for n := 20; n < 23; n++ {
		if own, err := l.Owner(testDevice(n)); err == nil {
			seen[testDevice(n)] = own.Record
		}
	}
	return seen
}

// TestBrokenJournalStaysBroken: after an error nobody knows what the disk holds, so a second write must not even be
// tried.
func TestBrokenJournalStaysBroken(t *testing.T) {
	d := newDisk(sampleJournal(t))
	j, err := openJournal(d, func(batch) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	d.fault = func(int, string) fault { return fault{syscall.EIO, 0} }
	b := batch{entries: [][]byte{{1}}, checkpoint: []byte{2}}
	_, err = j.append(b)
	wantError(t, err, syscall.EIO, "first append")
	d.fault = nil
	calls := d.calls
	_, err = j.append(b)
	wantError(t, err, syscall.EIO, "second append")
	if d.calls != calls {
		t.Error("the disk was touched after an error")
	}
}

// TestWrongOpening: an opening that does not fit its record is damage; one without a record is not.
func TestWrongOpening(t *testing.T) {
	journal, records, opening := vectorJournal(t)
	opening.Secret[0] ^= 1
	for id, want := range map[RecordID]error{records[2].ID: ErrCorrupt, {1}: nil} {
		bad := appendFrame(bytes.Clone(journal), kindPrivate, encode(private{privateOpening, id, opening}))
		l, err := open(testOptions("vectors"), newDisk(bad))
		wantError(t, err, want, "opening of %s", id.Short())
		if err == nil && len(l.openings) != 1 {
			t.Errorf("%d openings are known", len(l.openings))
		}
	}
}
