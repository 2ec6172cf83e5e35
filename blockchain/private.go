package blockchain

import (
	"crypto/sha256"
	"fmt"
	"slices"
)

// privateKind tells apart what private frames hold.
type privateKind uint64

const privateOpening privateKind = 1

// private is the payload of a private frame. The opening of a commitment stands in the same batch as its record and
// before it: a crash may leave an opening without a record, which is harmless, but never a record whose device
// nobody can name any more. One file keeps that to a single fdatasync.
type private struct {
	Kind    privateKind `cbor:"1,keyasint"`
	Record  RecordID    `cbor:"2,keyasint"`
	Opening Opening     `cbor:"3,keyasint"`
}

func (l *Ledger) learnPrivate(p []byte) error {
	var v private
	if err := decodeCanonical(p, &v); err != nil {
		return fmt.Errorf("private frame: %w", err)
	}
	if v.Kind != privateOpening {
		return fmt.Errorf("%w: private frame of kind %d", ErrNewer, v.Kind)
	}
	l.openings[v.Record] = v.Opening
	return nil
}

// checkOpenings verifies the openings against the records they belong to and forgets those without one.
func (l *Ledger) checkOpenings() error {
	for id, o := range l.openings {
		c := l.state.chains[id]
		if c == nil {
			delete(l.openings, id)
			continue
		}
		if o.commitment() != c.register.Commitment {
			return fmt.Errorf("%w: the kept opening of record %s does not fit its commitment", ErrCorrupt, id.Short())
		}
	}
	if missing := len(l.state.chains) - len(l.openings); missing > 0 {
		l.log.Warn("the openings of some devices' records are lost; these records can be shown but not opened to a buyer", "records", missing)
	}
	return nil
}

// circleOf gives the id of the circle founded by these validators: it commits to them and to f, the number of liars
// tolerated, so that nobody else can found a circle under the same id. Owners are not part of it, because an owner's
// inception names the circle.
func circleOf(f uint64, founders ...PublicKey) CircleID {
	slices.SortFunc(founders, func(a, b PublicKey) int { return slices.Compare(a[:], b[:]) })
	return sha256.Sum256(append([]byte("peerbee/circle/v1"), encode([]any{f, founders})...))
}

// keyHash is what an inception keeps of the next key.
func keyHash(k PublicKey) KeyHash { return sha256.Sum256(k[:]) }
