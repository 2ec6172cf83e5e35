package blockchain

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// maxBatch bounds the records of one write.
const maxBatch = 64

// Receipt says where a record stands. It is given only for durable records.
type Receipt struct {
	Device  DeviceID
	Record  RecordID
	Chain   RecordID
	Type    Type
	AID     AID
	Index   int64 // in this gateway's log
	Existed bool  // the record was there before the request
}

type request struct {
	ctx    context.Context // the writer skips requests nobody waits for any more
	device DeviceID
	typ    Type
	reply  chan<- result // holds one
}

type result struct {
	receipt Receipt
	err     error
}

// staged is a record signed for the batch in hand.
type staged struct {
	request
	record  *signedRecord
	install func()
	opening *Opening
}

// Register claims d for this gateway's owner. It is idempotent: for a device already owned it gives the receipt of the
// record that says so. It returns when the record is durable; after an error, a repeated call tells what became of it.
func (l *Ledger) Register(ctx context.Context, d DeviceID) (Receipt, error) {
	return l.ask(ctx, d, TypeRegister)
}

// Release gives d up. It is idempotent like Register and needs the owner's key.
func (l *Ledger) Release(ctx context.Context, d DeviceID) (Receipt, error) {
	return l.ask(ctx, d, TypeRelease)
}

func (l *Ledger) ask(ctx context.Context, d DeviceID, typ Type) (Receipt, error) {
	reply := make(chan result, 1)
	select {
	case l.requests <- request{ctx, d, typ, reply}:
	case <-l.done:
		return Receipt{}, l.whyDone()
	case <-ctx.Done():
		return Receipt{}, fmt.Errorf("%s device %s: %w", typ, d, ctx.Err())
	}
	select {
	case r := <-reply:
		return r.receipt, r.err
	case <-ctx.Done():
		return Receipt{}, fmt.Errorf("%s device %s: %w", typ, d, ctx.Err())
	}
}

func (l *Ledger) whyDone() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.failed != nil {
		return l.failed
	}
	return ErrClosed
}

// Serve appends records until ctx ends or the disk fails, then closes the ledger. A disk error is fatal: it is
// returned, wraps ErrStopped, and only another Open tells what the disk kept. Serve runs once.
func (l *Ledger) Serve(ctx context.Context) error {
	if !l.serving.CompareAndSwap(false, true) {
		return ErrClosed
	}
	var waiting []request // taken, but not to be in the same batch as an earlier request
	for {
		reqs, next, ok := l.gather(ctx, waiting)
		if !ok {
			return l.shut()
		}
		waiting = next
		if err := l.commit(reqs); err != nil {
			for _, req := range waiting {
				req.reply <- result{err: err}
			}
			return errors.Join(err, l.shut())
		}
	}
}

// gather waits for a request and takes along those that wait already, maxBatch at most. A batch holds one request per
// device, so that each can be judged by the durable state alone; the others wait for the next batch.
func (l *Ledger) gather(ctx context.Context, earlier []request) (reqs, waiting []request, ok bool) {
	if len(earlier) == 0 {
		select {
		case req := <-l.requests:
			earlier = []request{req}
		case <-ctx.Done():
			return nil, nil, false
		}
	}
	seen := map[DeviceID]bool{}
	sort := func(req request) {
		if seen[req.device] {
			waiting = append(waiting, req)
			return
		}
		seen[req.device] = true
		reqs = append(reqs, req)
	}
	for _, req := range earlier {
		sort(req)
	}
	for len(reqs)+len(waiting) < maxBatch {
		select {
		case req := <-l.requests:
			sort(req)
		default:
			return reqs, waiting, true
		}
	}
	return reqs, waiting, true
}

// commit answers reqs, after one write and one fdatasync for all of them. Its error is a disk error.
func (l *Ledger) commit(reqs []request) error {
	var todo []staged
	for _, req := range reqs {
		s, known, err := l.stage(req)
		switch {
		case err != nil:
			req.reply <- result{err: fmt.Errorf("%s device %s: %w", req.typ, req.device, err)}
		case s == nil:
			req.reply <- result{receipt: known}
		default:
			todo = append(todo, *s)
		}
	}
	if len(todo) == 0 {
		return nil
	}
	b, next, err := l.batchOf(todo)
	if err == nil {
		b.spans, err = l.journal.append(b)
	}
	if err != nil {
		return l.fail(todo, err)
	}
	l.publish(todo, b, next)
	for _, s := range todo {
		s.reply <- result{receipt: l.receipt(s.device, s.record.ID, false)}
	}
	return nil
}

// batchOf puts the staged records into a batch and signs the tree they make.
func (l *Ledger) batchOf(todo []staged) (batch, tree, error) {
	next := l.tree
	var b batch
	var err error
	for _, s := range todo {
		if s.opening != nil {
			b.private = append(b.private, encode(private{privateOpening, s.record.ID, *s.opening}))
		}
		b.entries = append(b.entries, s.record.leaf)
		if next, err = next.extend(s.record.ID); err != nil {
			return batch{}, tree{}, err
		}
	}
	head, err := next.head()
	if err != nil {
		return batch{}, tree{}, err
	}
	b.checkpoint, err = signCheckpoint(l.keys.Log, head)
	return b, next, err
}

// publish lets readers see what is durable now.
func (l *Ledger) publish(todo []staged, b batch, next tree) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, s := range todo {
		s.install()
		l.index[s.record.ID] = l.tree.size + int64(i)
		if s.opening != nil {
			l.openings[s.record.ID] = *s.opening
		}
	}
	l.spans = append(l.spans, b.spans...)
	l.tree, l.checkpoint = next, b.checkpoint
	l.batches++
}

func (l *Ledger) fail(todo []staged, cause error) error {
	err := fmt.Errorf("%w: %w", ErrStopped, cause)
	l.mu.Lock()
	l.failed = err
	l.mu.Unlock()
	for _, s := range todo {
		s.reply <- result{err: err}
	}
	return err
}

// stage judges req by the durable state: it gives a signed record to write, or the receipt of one already there.
func (l *Ledger) stage(req request) (*staged, Receipt, error) {
	if err := req.ctx.Err(); err != nil {
		return nil, Receipt{}, err
	}
	dev := l.state.devices[l.slotOf(req.device)]
	s := &staged{request: req}
	var err error
	switch {
	case req.typ == TypeRegister && dev != nil && dev.status == StatusOwned && dev.current().aid == l.aid:
		return nil, l.receipt(req.device, dev.current().id, true), nil
	case req.typ == TypeRelease && dev == nil:
		return nil, Receipt{}, ErrUnknownDevice
	case req.typ == TypeRelease && dev.status == StatusReleased:
		return nil, l.receipt(req.device, dev.current().last(), true), nil
	case req.typ == TypeRegister:
		err = l.signRegister(s, dev)
	default:
		err = l.signRelease(s, dev.current())
	}
	if err != nil {
		return nil, Receipt{}, err
	}
	s.install, err = l.state.admit(s.record)
	return s, Receipt{}, err
}

func (l *Ledger) signRegister(s *staged, dev *device) (err error) {
	s.opening = &Opening{Device: s.device}
	if _, err := rand.Read(s.opening.Secret[:]); err != nil {
		return fmt.Errorf("draw secret: %w", err)
	}
	at := l.slotOf(s.device)
	body := &Register{Circle: at.circle, Gateway: l.gateway, Commitment: s.opening.commitment(), Tag: at.tag}
	r := Record{AID: l.aid, Time: time.Now(), Body: body}
	if dev != nil {
		body.M, r.Prev = dev.releases, dev.current().last()
	}
	s.record, err = signRecord(l.keys.Log, r)
	return err
}

func (l *Ledger) signRelease(s *staged, c *chain) (err error) {
	if l.keys.Owner == nil {
		return ErrNoOwnerKey
	}
	s.record, err = signRecord(l.keys.Owner, Record{
		Chain: c.id, Seq: uint64(len(c.records)), Prev: c.last(), AID: l.aid, Time: time.Now(), Body: &Release{},
	})
	return err
}

// receipt describes a record of d's chain. Only Serve calls it, so nothing changes meanwhile.
func (l *Ledger) receipt(d DeviceID, id RecordID, existed bool) Receipt {
	c := l.state.devices[l.slotOf(d)].current()
	r := Receipt{Device: d, Record: id, Chain: c.id, Type: TypeRelease, AID: c.aid, Index: l.index[id], Existed: existed}
	if c.id == id {
		r.Type = TypeRegister
	}
	return r
}

// slotOf gives d's place in the owner's home circle.
func (l *Ledger) slotOf(d DeviceID) slot {
	return slot{l.state.identities[l.aid].inception.Circle, deviceTag(l.keys.Circle, d)}
}
