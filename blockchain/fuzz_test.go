package blockchain

import (
	"bytes"
	"testing"
)

func FuzzRecord(f *testing.F) {
	journal, records, _ := vectorJournal(f)
	for _, r := range records {
		f.Add(r.leaf)
	}
	f.Add(journal)
	f.Fuzz(func(t *testing.T, leaf []byte) {
		r, err := parseRecord(leaf)
		if err != nil {
			return
		}
		// What is accepted has this one spelling.
		again := encode(sign1{
			Protected: r.msg.Protected, Signature: r.msg.Signature,
			Payload: encode(payload{
				Ver: recordVersion, Type: r.Type, Chain: r.Chain, Seq: r.Seq, Prev: r.Prev, AID: r.AID,
				Hour: uint32(r.Time.Unix() / 3600), Body: encode(r.Body),
			}),
		})
		if !bytes.Equal(again, leaf) {
			t.Errorf("accepted a second spelling of\n%x", again)
		}
		_ = newState().apply(r) // any verdict will do, as long as there is one
	})
}

func FuzzJournal(f *testing.F) {
	journal, _, _ := vectorJournal(f)
	f.Add(journal)
	f.Add(journal[:len(journal)-1])
	f.Add(journal[:700])
	f.Fuzz(func(t *testing.T, content []byte) {
		d := newDisk(content)
		l, err := open(testOptions("vectors"), d)
		if err != nil {
			if !bytes.Equal(d.bytes(), content) {
				t.Error("a refused journal was changed")
			}
			return
		}
		again, err := open(testOptions("vectors"), d.restart())
		if err != nil {
			t.Fatalf("opens once only: %v", err)
		}
		if !bytes.Equal(again.checkpoint, l.checkpoint) || again.journal.cut != 0 {
			t.Error("opens differently the second time")
		}
	})
}

func FuzzBundle(f *testing.F) {
	journal, _, opening := vectorJournal(f)
	l := mustOpen(f, testOptions("vectors"), newDisk(journal))
	for _, options := range [][]ProveOption{nil, {WithOpening()}} {
		file, err := l.Prove(opening.Device, options...)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		v, err := VerifyBundle(file, Trust{Owners: []AID{l.AID()}})
		if err == nil && (v.Owner != l.AID() || len(v.Explain()) == 0) {
			t.Errorf("verdict: %+v", v)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	journal, _, opening := vectorJournal(f)
	l := mustOpen(f, testOptions("vectors"), newDisk(journal))
	file, err := l.Prove(opening.Device)
	if err != nil {
		f.Fatal(err)
	}
	var b bundle
	if err := decodeCanonical(file, &b); err != nil {
		f.Fatal(err)
	}
	f.Add(string(l.Checkpoint()))
	f.Add(b.Hops[2].Proofs[0])
	head, err := openCheckpoint(l.LogKey(), l.Checkpoint())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := openCheckpoint(l.LogKey(), []byte(text)); err == nil && got.N > head.N {
			t.Errorf("a checkpoint nobody signed: %+v", got)
		}
		p, err := parseInclusion(text)
		if err != nil {
			return
		}
		if p.String() != text {
			t.Error("accepted a second spelling")
		}
		_, err = p.check(l.LogKey(), recordID(b.Hops[2].Record))
		if err == nil && p.index != 2 {
			t.Errorf("proved at index %d", p.index)
		}
	})
}
