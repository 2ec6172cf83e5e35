package blockchain

import (
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

const bundleFormat = "peerbee/bundle/v1"

// Bounds on a bundle: the devices of a home change hands a few times, not thousands.
const (
	maxBundle = 1 << 20 // bytes
	maxHops   = 4096    // records
)

// bundle is a device's proof as a file (docs/protocol/ledger.md, section 8).
type bundle struct {
	_      struct{} `cbor:",toarray"`
	Format string
	Hops   []hop
}

// hop is one record with what proves it. Keys 2 and 3 are kept for the certificate and the circle record.
type hop struct {
	Record  []byte   `cbor:"1,keyasint"`
	Proofs  []string `cbor:"4,keyasint"` // c2sp.org/tlog-proof@v1
	Opening *Opening `cbor:"5,keyasint,omitempty"`
}

// ProveOption changes what a bundle shows.
type ProveOption func(*proving)

type proving struct{ open bool }

// WithOpening adds the opening of the current chain's commitment, so that the reader learns and can check which device
// the bundle is about. Without it the bundle does not tell the EUI-64.
func WithOpening() ProveOption { return func(p *proving) { p.open = true } }

// Prove gives a file that proves d's ownership to anybody, offline: every record of d with those that name its owners
// and gateways, each with its inclusion proof under this log's latest checkpoint.
func (l *Ledger) Prove(d DeviceID, options ...ProveOption) ([]byte, error) {
	var p proving
	for _, o := range options {
		o(&p)
	}
	l.mu.RLock()
	hops, err := l.hopsOf(d)
	opening, known := l.openingOf(d)
	t, checkpoint := l.tree, string(l.checkpoint)
	l.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	if p.open && !known {
		return nil, fmt.Errorf("device %s: the secret of its record is lost, so the record cannot be opened; prove it without opening", d)
	}
	out := bundle{Format: bundleFormat}
	for _, at := range hops {
		r, err := l.record(at)
		if err != nil {
			return nil, err
		}
		proof, err := t.prove(at)
		if err != nil {
			return nil, err
		}
		h := hop{Record: r.leaf, Proofs: []string{inclusion{at, tlog.RecordProof(proof), checkpoint}.String()}}
		if p.open && r.Type == TypeRegister && r.Body.(*Register).Commitment == opening.commitment() {
			h.Opening = &opening
		}
		out.Hops = append(out.Hops, h)
	}
	file := encode(out)
	if len(file) > maxBundle {
		return nil, fmt.Errorf("device %s: its %d records are more than fit one proof", d, len(hops))
	}
	return file, nil
}

// hopsOf gives the indexes of the records a proof about d needs, in log order: its chains, and of each owner all
// identity records, because each is chained to the one before. Callers hold mu.
func (l *Ledger) hopsOf(d DeviceID) ([]int64, error) {
	dev := l.state.devices[l.slotOf(d)]
	if dev == nil {
		return nil, fmt.Errorf("device %s: %w", d, ErrUnknownDevice)
	}
	var hops []int64
	for _, c := range dev.chains {
		for _, id := range slices.Concat(l.state.identities[c.aid].records, c.records) {
			hops = append(hops, l.index[id])
		}
	}
	slices.Sort(hops)
	hops = slices.Compact(hops)
	return hops, nil
}

// openingOf gives the opening of d's current chain. Callers hold mu.
func (l *Ledger) openingOf(d DeviceID) (Opening, bool) {
	dev := l.state.devices[l.slotOf(d)]
	if dev == nil {
		return Opening{}, false
	}
	o, ok := l.openings[dev.current().id]
	return o, ok
}
