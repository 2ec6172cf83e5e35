package blockchain

import (
	"bytes"
	"fmt"
)

// How firmly a record stands. Votes of a circle's validators will add "final".
const (
	StandingLogged = "logged" // in a log whose checkpoint its key signed
	StandingLocal  = "local"  // no validators of a circle have voted: good against rewriting, no proof against a second sale
)

// Ownership is what the ledger says of a device now.
type Ownership struct {
	Device   DeviceID
	Status   Status
	Owner    AID // of the current chain; after a release, who released it
	Circle   CircleID
	Chain    RecordID
	Record   RecordID // the chain's latest
	Index    int64    // of that record in this gateway's log
	Releases uint64
	Gateway  string // peer id of the gateway that registered it
	Standing string
}

// Entry is one record of the log.
type Entry struct {
	Index  int64
	ID     RecordID
	Record Record
	Device *DeviceID // the device of its chain, when this gateway knows it
	Leaf   []byte    // the bytes signed and logged
}

// Owner answers ErrUnknownDevice for a device that was never registered here.
func (l *Ledger) Owner(d DeviceID) (Ownership, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	at := l.slotOf(d)
	dev := l.state.devices[at]
	if dev == nil {
		return Ownership{}, fmt.Errorf("device %s: %w", d, ErrUnknownDevice)
	}
	c := dev.current()
	return Ownership{
		Device: d, Status: dev.status, Owner: c.aid, Circle: at.circle, Chain: c.id,
		Record: c.last(), Index: l.index[c.last()], Releases: dev.releases,
		Gateway: l.state.gateways[c.register.Gateway].bind.PeerID, Standing: StandingLocal,
	}, nil
}

// Chain gives all records about d, oldest first, those of earlier registrations included.
func (l *Ledger) Chain(d DeviceID) ([]Entry, error) {
	l.mu.RLock()
	dev := l.state.devices[l.slotOf(d)]
	if dev == nil {
		l.mu.RUnlock()
		return nil, fmt.Errorf("device %s: %w", d, ErrUnknownDevice)
	}
	var at []int64
	for _, c := range dev.chains {
		for _, id := range c.records {
			at = append(at, l.index[id])
		}
	}
	l.mu.RUnlock()
	return l.entries(at)
}

// Log gives up to n records from index from on, fewer at the log's end.
func (l *Ledger) Log(from int64, n int) ([]Entry, error) {
	l.mu.RLock()
	size := l.tree.size
	l.mu.RUnlock()
	var at []int64
	for i := max(from, 0); i < size && len(at) < n; i++ {
		at = append(at, i)
	}
	return l.entries(at)
}

func (l *Ledger) entries(at []int64) ([]Entry, error) {
	out := make([]Entry, 0, len(at))
	for _, i := range at {
		r, err := l.record(i)
		if err != nil {
			return nil, err
		}
		e := Entry{Index: i, ID: r.ID, Record: r.Record, Leaf: r.leaf}
		chain := r.Chain
		if r.Type == TypeRegister {
			chain = r.ID
		}
		l.mu.RLock()
		if o, ok := l.openings[chain]; ok {
			e.Device = &o.Device
		}
		l.mu.RUnlock()
		out = append(out, e)
	}
	return out, nil
}

// record reads the record at index i from the journal.
func (l *Ledger) record(i int64) (*signedRecord, error) {
	l.mu.RLock()
	s := l.spans[i]
	l.mu.RUnlock()
	leaf, err := l.journal.read(s)
	if err != nil {
		return nil, err
	}
	return parseRecord(leaf)
}

// Checkpoint gives the latest signed checkpoint. What it covers is durable.
func (l *Ledger) Checkpoint() []byte {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return bytes.Clone(l.checkpoint)
}

// Stats are the ledger's numbers for status and metrics.
type Stats struct {
	Records      int64
	Devices      int // that were ever registered
	Owned        int
	JournalBytes int64
	Batches      uint64 // in the journal; each was one write and one fdatasync
	OwnerKeyHere bool   // the owner key lies on this gateway
	Err          error  // why nothing is appended any more, nil while all is well
}

// Stats gives the current numbers.
func (l *Ledger) Stats() Stats {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s := Stats{
		Records: l.tree.size, Devices: len(l.state.devices), Batches: l.batches,
		OwnerKeyHere: l.keys.HoldsOwnerKey(), Err: l.failed,
	}
	if n := len(l.spans); n > 0 {
		last := l.spans[n-1]
		s.JournalBytes = last.offset + int64(last.length) + 4 + frameOverhead + int64(len(l.checkpoint))
	}
	for _, d := range l.state.devices {
		if d.status == StatusOwned {
			s.Owned++
		}
	}
	return s
}
