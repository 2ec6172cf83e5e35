package blockchain

import (
	"crypto/sha256"
	"errors"
	"fmt"
)

// Reasons why a record is refused where it stands.
var (
	ErrSignature  = errors.New("the signature is not by the key that must sign here")
	ErrOutOfPlace = errors.New("the record does not follow the record before it")
	ErrTransition = errors.New("the device's state does not allow this")
	ErrUnknownAID = errors.New("the owner's inception record was not shown")
)

// Status is a device's state in one circle.
type Status string

// The states of a device. Offers, losses and contested slots belong to circles with validators.
const (
	StatusNone     Status = "none"
	StatusOwned    Status = "owned"
	StatusReleased Status = "released"
)

type move struct {
	from Status
	by   Type
}

// transitions is the whole state machine of a device; what it does not list is refused.
var transitions = map[move]Status{
	{StatusNone, TypeRegister}:     StatusOwned,
	{StatusOwned, TypeRelease}:     StatusReleased,
	{StatusReleased, TypeRegister}: StatusOwned,
}

// slot is a device's place in a circle: at most one chain stands in it at a time.
type slot struct {
	circle CircleID
	tag    Tag
}

// identity is an owner as its records left it.
type identity struct {
	inception *Inception
	records   []RecordID // by their sequence number
}

func (i *identity) last() RecordID { return i.records[len(i.records)-1] }

// binding is a gateway-bind in force.
type binding struct {
	aid  AID
	bind *GatewayBind
}

// chain is one ownership of one device, from its register record on.
type chain struct {
	id       RecordID
	aid      AID
	slot     slot
	register *Register
	records  []RecordID
}

// device is one tag in one circle with all chains that ever stood there, the current one last.
type device struct {
	status   Status
	releases uint64
	chains   []*chain
}

func (d *device) current() *chain { return d.chains[len(d.chains)-1] }

func (c *chain) last() RecordID { return c.records[len(c.records)-1] }

// state is what a sequence of records amounts to. The same replay serves the opening of a journal, the writer and the
// offline verifier, so that they cannot disagree.
type state struct {
	identities map[AID]*identity
	gateways   map[RecordID]*binding
	chains     map[RecordID]*chain
	devices    map[slot]*device
}

func newState() *state {
	return &state{
		identities: map[AID]*identity{},
		gateways:   map[RecordID]*binding{},
		chains:     map[RecordID]*chain{},
		devices:    map[slot]*device{},
	}
}

// apply admits r and takes it in.
func (s *state) apply(r *signedRecord) error {
	install, err := s.admit(r)
	if err != nil {
		return err
	}
	install()
	return nil
}

// admit judges r after all records taken in so far and changes nothing; install takes r in and cannot fail.
func (s *state) admit(r *signedRecord) (install func(), err error) {
	switch body := r.Body.(type) {
	case *Inception:
		install, err = s.admitInception(r, body)
	case *GatewayBind:
		install, err = s.admitBind(r, body)
	case *Register:
		install, err = s.admitRegister(r, body)
	case *Release:
		install, err = s.admitRelease(r)
	default:
		err = errRecordForm
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Type, r.ID.Short(), err)
	}
	return install, nil
}

func (s *state) admitInception(r *signedRecord, body *Inception) (func(), error) {
	if err := r.msg.verify(body.Key[:]); err != nil {
		return nil, err
	}
	aid := inceptionAID(r.leaf)
	if s.identities[aid] != nil {
		return nil, fmt.Errorf("%w: this owner has an inception already", ErrOutOfPlace)
	}
	return func() { s.identities[aid] = &identity{inception: body, records: []RecordID{r.ID}} }, nil
}

// inceptionAID is the identity an inception record founds: its SHA-256.
func inceptionAID(leaf []byte) AID { return sha256.Sum256(leaf) }

func (s *state) admitBind(r *signedRecord, body *GatewayBind) (func(), error) {
	owner := s.identities[r.AID]
	if owner == nil {
		return nil, ErrUnknownAID
	}
	if r.Seq != uint64(len(owner.records)) || r.Prev != owner.last() {
		return nil, ErrOutOfPlace
	}
	if body.Scope != ScopeRegister {
		return nil, fmt.Errorf("%w: scope %d", ErrNewer, uint64(body.Scope))
	}
	if !validPeerID(body.PeerID) {
		return nil, errPeerID
	}
	if err := r.msg.verify(owner.inception.Key[:]); err != nil {
		return nil, err
	}
	return func() {
		owner.records = append(owner.records, r.ID)
		s.gateways[r.ID] = &binding{aid: r.AID, bind: body}
	}, nil
}

var errPeerID = errors.New("peer id: want 1 to 128 letters and digits")

// validPeerID keeps the text form of a peer id printable; its meaning is not the ledger's business.
func validPeerID(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func (s *state) admitRegister(r *signedRecord, body *Register) (func(), error) {
	gateway := s.gateways[body.Gateway]
	if gateway == nil || gateway.aid != r.AID {
		return nil, fmt.Errorf("%w: the owner has not bound this gateway", ErrSignature)
	}
	if err := r.msg.verify(gateway.bind.Log[:]); err != nil {
		return nil, err
	}
	at := slot{body.Circle, body.Tag}
	d := s.devices[at]
	if d == nil {
		d = &device{status: StatusNone}
	}
	to, ok := transitions[move{d.status, TypeRegister}]
	if !ok {
		return nil, fmt.Errorf("%w: it is %s", ErrTransition, d.status)
	}
	var freedBy RecordID
	if d.status == StatusReleased {
		freedBy = d.current().last()
	}
	if body.M != d.releases || r.Prev != freedBy {
		return nil, fmt.Errorf("%w: it was released %d times before", ErrOutOfPlace, d.releases)
	}
	c := &chain{id: r.ID, aid: r.AID, slot: at, register: body, records: []RecordID{r.ID}}
	return func() {
		d.status = to
		d.chains = append(d.chains, c)
		s.devices[at], s.chains[c.id] = d, c
	}, nil
}

func (s *state) admitRelease(r *signedRecord) (func(), error) {
	c := s.chains[r.Chain]
	if c == nil {
		return nil, fmt.Errorf("%w: its chain was not shown", ErrOutOfPlace)
	}
	owner := s.identities[r.AID]
	if owner == nil {
		return nil, ErrUnknownAID
	}
	if c.aid != r.AID {
		return nil, fmt.Errorf("%w: the device is another owner's", ErrSignature)
	}
	d := s.devices[c.slot]
	to, ok := transitions[move{d.status, TypeRelease}]
	if !ok || d.current() != c {
		return nil, fmt.Errorf("%w: it is %s", ErrTransition, d.status)
	}
	if r.Seq != uint64(len(c.records)) || r.Prev != c.last() {
		return nil, ErrOutOfPlace
	}
	if err := r.msg.verify(owner.inception.Key[:]); err != nil {
		return nil, err
	}
	return func() {
		d.status = to
		d.releases++
		c.records = append(c.records, r.ID)
	}, nil
}
