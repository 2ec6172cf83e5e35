package blockchain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// What a caller of the ledger tells apart.
var (
	ErrUnknownDevice = errors.New("the ledger has no record of this device")
	ErrLocked        = errors.New("another process has this ledger open; stop it first: sudo systemctl stop peerbee")
	ErrClosed        = errors.New("the ledger is closed")
	ErrStopped       = errors.New("the ledger stopped after a disk error; free or replace the disk, then restart the daemon")
	ErrNoOwnerKey    = errors.New("the owner key is not on this gateway; sign on the machine that holds it")
	ErrJournalGone   = errors.New("the ledger's journal is missing or empty, but its log key has signed records; " +
		"restore the journal from a backup or a mirror: a new one under the same key would be a second history")
)

const journalName = "journal"

// Options are what Open needs. All but Log are required.
type Options struct {
	Dir    string // where the journal lives; created with mode 0700
	Keys   Keys
	PeerID string // text form of the gateway's peer id, which its binding names
	Log    *slog.Logger
}

// Ledger is the one writer of a gateway's log, and answers questions about it. Its methods are safe for concurrent
// use. Records are appended only while Serve runs.
type Ledger struct {
	keys    Keys
	logKey  PublicKey
	log     *slog.Logger
	close   func() error
	journal *journal // Serve's alone, but for read

	aid     AID      // the owner whose gateway this is; fixed once open
	gateway RecordID // the gateway-bind that register records name; fixed once open

	requests chan request
	serving  atomic.Bool
	closing  sync.Once
	done     chan struct{} // closed when nothing will be appended any more

	mu sync.RWMutex // guards view; only Serve changes it, and only to what is durable
	view
}

// view is the durable ledger as readers see it.
type view struct {
	state      *state
	tree       tree
	spans      []span // of the records, by index
	index      map[RecordID]int64
	openings   map[RecordID]Opening // by the register record they belong to
	checkpoint []byte
	batches    uint64
	failed     error
}

// Open locks the ledger in o.Dir, verifies every byte of its journal, and at the first start founds the owner's
// identity and binds this gateway to it. The caller must then run Serve, or Close it.
func Open(_ context.Context, o Options) (*Ledger, error) {
	if err := makeDir(o.Dir); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	f, err := openFile(filepath.Join(o.Dir, journalName))
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	l, err := open(o, osFile{f})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open ledger in %s: %w", o.Dir, err), f.Close(), lock.Close())
	}
	l.close = func() error { return errors.Join(f.Close(), lock.Close()) }
	return l, nil
}

// open is Open on any file.
func open(o Options, f file) (*Ledger, error) {
	if err := o.Keys.check(); err != nil {
		return nil, err
	}
	if !validPeerID(o.PeerID) {
		return nil, errPeerID
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Ledger{
		keys: o.Keys, logKey: publicKey(o.Keys.Log), log: o.Log, close: func() error { return nil },
		requests: make(chan request), done: make(chan struct{}),
		view: view{state: newState(), index: map[RecordID]int64{}, openings: map[RecordID]Opening{}},
	}
	claimed, err := l.keys.claimed()
	if err != nil {
		return nil, err
	}
	if claimed != "" && claimed != Origin(l.logKey) {
		return nil, fmt.Errorf("%w: %s belongs to %s, %s is another key; put the old one back", ErrKeys, fileClaim, claimed, fileLog)
	}
	if l.journal, err = openJournal(f, l.replay); err != nil {
		return nil, err
	}
	if claimed != "" && l.tree.size == 0 {
		return nil, ErrJournalGone
	}
	if err := l.checkOpenings(); err != nil {
		return nil, err
	}
	if err := l.ensureIdentity(o.PeerID); err != nil {
		return nil, err
	}
	if l.journal.cut > 0 {
		l.log.Warn("dropped an unfinished batch from the ledger's end; nothing in it was acknowledged", "bytes", l.journal.cut)
	}
	return l, l.keys.claim(Origin(l.logKey))
}

// replay verifies one batch of the journal and takes it in.
func (l *Ledger) replay(b batch) error {
	for _, p := range b.private {
		if err := l.learnPrivate(p); err != nil {
			return err
		}
	}
	if b.checkpoint == nil {
		return nil
	}
	next := l.tree
	for i, leaf := range b.entries {
		r, err := parseRecord(leaf)
		if err != nil {
			return err
		}
		if err := l.state.apply(r); err != nil {
			return err
		}
		l.index[r.ID] = next.size
		l.spans = append(l.spans, b.spans[i])
		if next, err = next.extend(r.ID); err != nil {
			return err
		}
	}
	signed, err := openCheckpoint(l.logKey, b.checkpoint)
	if err != nil {
		return fmt.Errorf("%w (or these are another log's keys)", err)
	}
	head, err := next.head()
	if err != nil {
		return err
	}
	if signed != head || len(b.entries) == 0 {
		return fmt.Errorf("%w: it signs another tree than the records before it make", ErrCheckpoint)
	}
	l.tree, l.checkpoint = next, b.checkpoint
	l.batches++
	return nil
}

// ensureIdentity makes sure that this gateway's owner is founded and the gateway bound, by adding what is missing.
func (l *Ledger) ensureIdentity(peerID string) error {
	want := &GatewayBind{
		PeerID: peerID, Log: l.logKey, Witness: publicKey(l.keys.Witness), Validator: publicKey(l.keys.Validator),
		Scope: ScopeRegister,
	}
	if l.tree.size == 0 {
		return l.found(want)
	}
	first, err := l.record(0)
	if err != nil {
		return err
	}
	l.aid = inceptionAID(first.leaf)
	owner := l.state.identities[l.aid]
	if l.keys.Owner != nil && publicKey(l.keys.Owner) != owner.inception.Key {
		return fmt.Errorf("%w: %s is not the key of this ledger's owner %s", ErrKeys, fileOwner, l.aid)
	}
	for i := len(owner.records) - 1; i > 0; i-- {
		if g := l.state.gateways[owner.records[i]]; g != nil && *g.bind == *want {
			l.gateway = owner.records[i]
			return nil
		}
	}
	if l.keys.Owner == nil {
		return fmt.Errorf("this gateway's peer id or keys changed, and its owner has to bind it anew: %w", ErrNoOwnerKey)
	}
	bind, err := signRecord(l.keys.Owner, Record{
		AID: l.aid, Seq: uint64(len(owner.records)), Prev: owner.last(), Time: time.Now(), Body: want,
	})
	if err != nil {
		return err
	}
	l.gateway = bind.ID
	return l.commitAtOpen(bind)
}

// found writes the first batch of a ledger: the owner's inception and this gateway's binding.
func (l *Ledger) found(want *GatewayBind) error {
	if l.keys.Owner == nil || l.keys.OwnerNext == nil {
		return fmt.Errorf("a new ledger needs its owner's signature: %w", ErrNoOwnerKey)
	}
	now := time.Now()
	inception, err := signRecord(l.keys.Owner, Record{Time: now, Body: &Inception{
		Key: publicKey(l.keys.Owner), NextKey: keyHash(publicKey(l.keys.OwnerNext)),
		Circle: circleOf(0, want.Validator),
	}})
	if err != nil {
		return err
	}
	l.aid = inceptionAID(inception.leaf)
	bind, err := signRecord(l.keys.Owner, Record{AID: l.aid, Seq: 1, Prev: inception.ID, Time: now, Body: want})
	if err != nil {
		return err
	}
	l.gateway = bind.ID
	l.log.Info("founded a ledger", "owner", l.aid.String(), "origin", Origin(l.logKey))
	return l.commitAtOpen(inception, bind)
}

// commitAtOpen writes identity records and takes them in the way a later opening will.
func (l *Ledger) commitAtOpen(records ...*signedRecord) error {
	next := l.tree
	var b batch
	for _, r := range records {
		b.entries = append(b.entries, r.leaf)
		var err error
		if next, err = next.extend(r.ID); err != nil {
			return err
		}
	}
	head, err := next.head()
	if err != nil {
		return err
	}
	if b.checkpoint, err = signCheckpoint(l.keys.Log, head); err != nil {
		return err
	}
	if b.spans, err = l.journal.append(b); err != nil {
		return err
	}
	return l.replay(b)
}

// AID is the owner this gateway registers devices for.
func (l *Ledger) AID() AID { return l.aid }

// Origin names this gateway's log.
func (l *Ledger) Origin() string { return Origin(l.logKey) }

// LogKey is the key that signs this gateway's checkpoints and register records.
func (l *Ledger) LogKey() PublicKey { return l.logKey }

// Close ends a ledger that is not served, and releases its lock. Serve does it by itself.
func (l *Ledger) Close() error {
	if !l.serving.CompareAndSwap(false, true) {
		return nil
	}
	return l.shut()
}

func (l *Ledger) shut() (err error) {
	l.closing.Do(func() {
		close(l.done)
		err = l.close()
	})
	return err
}
