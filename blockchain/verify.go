package blockchain

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrBundle is answered for a file that proves nothing: malformed, altered, forged or incomplete.
var ErrBundle = errors.New("the proof does not hold")

// ErrUntrusted is answered for a sound proof about somebody the caller did not name.
var ErrUntrusted = errors.New("the proof is sound but not about whom you trust")

// Trust is what the reader of a bundle knows from elsewhere. All of it is optional; without any, a proof shows only
// what its own signers say, which Verdict.Limits spells out.
type Trust struct {
	Owners  []AID       // the device must be one of these owners'
	Origins []string    // the logs believed, by origin
	LogKeys []PublicKey // the logs believed, by key
	Device  *DeviceID   // the device it must be about; the bundle must carry the opening
}

// Verdict says what a bundle proved, by whom, and as of when.
type Verdict struct {
	Status   Status
	Owner    AID // of the current chain; after a release, who released it
	Circle   CircleID
	Chain    RecordID
	Releases uint64
	Gateway  string    // peer id of the gateway that registered it
	Device   *DeviceID // nil when the bundle keeps it closed
	Logged   string    // StandingLogged
	Standing string    // StandingLocal
	Records  []ProvedRecord
	Logs     []ProvedLog
	Limits   []string // what this file cannot show, each a sentence
}

// ProvedRecord is one record of a bundle.
type ProvedRecord struct {
	Type   Type
	ID     RecordID
	Signer string // "owner ..." or "gateway ..."
	Time   time.Time
	Origin string
	Index  int64
}

// ProvedLog is a log as one checkpoint shows it.
type ProvedLog struct {
	Origin string
	Key    PublicKey
	Size   int64
	Root   tlog.Hash
}

// VerifyBundle judges a bundle with nothing but its bytes and t: no ledger, no network, no clock. An error says why
// the file proves nothing (ErrBundle) or not what was asked (ErrUntrusted).
func VerifyBundle(file []byte, t Trust) (Verdict, error) {
	v, err := verifyBundle(file)
	if err != nil {
		return Verdict{}, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if err := t.check(v); err != nil {
		return Verdict{}, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	v.Limits = t.limits()
	return v, nil
}

func verifyBundle(file []byte) (Verdict, error) {
	if len(file) > maxBundle {
		return Verdict{}, fmt.Errorf("%d bytes, at most %d are read", len(file), maxBundle)
	}
	var b bundle
	if err := decodeCanonical(file, &b); err != nil {
		return Verdict{}, err
	}
	if b.Format != bundleFormat {
		return Verdict{}, fmt.Errorf("%w: format %.40q", ErrNewer, b.Format)
	}
	judge := judge{
		state: newState(), logs: map[string]PublicKey{}, heads: map[string]tlog.Tree{}, next: map[string]int64{},
		opened: map[RecordID]DeviceID{},
	}
	for i, h := range b.Hops {
		if err := judge.replay(h); err != nil {
			return Verdict{}, fmt.Errorf("record %d of %d: %w", i+1, len(b.Hops), err)
		}
	}
	// Only now is every log key known: the binding that names a log stands in that log itself.
	for i, h := range b.Hops {
		if err := judge.prove(i, h.Proofs); err != nil {
			return Verdict{}, fmt.Errorf("record %d of %d: %w", i+1, len(b.Hops), err)
		}
	}
	return judge.verdict()
}

// judge holds what a bundle has shown so far.
type judge struct {
	state   *state
	logs    map[string]PublicKey // by origin, as gateway-binds name them
	heads   map[string]tlog.Tree // by origin, as the first proof showed it
	next    map[string]int64     // by origin, the lowest index the next record may have
	records []*signedRecord
	opened  map[RecordID]DeviceID
	proved  []ProvedRecord
}

// replay checks a record's form, signature and place, and its opening.
func (j *judge) replay(h hop) error {
	r, err := parseRecord(h.Record)
	if err != nil {
		return err
	}
	if err := j.state.apply(r); err != nil {
		return err
	}
	j.records = append(j.records, r)
	p := ProvedRecord{Type: r.Type, ID: r.ID, Time: r.Time, Signer: "owner " + r.AID.Short()}
	switch body := r.Body.(type) {
	case *Inception:
		p.Signer = "owner " + inceptionAID(r.leaf).Short()
	case *GatewayBind:
		j.logs[Origin(body.Log)] = body.Log
	case *Register:
		p.Signer = "gateway " + j.state.gateways[body.Gateway].bind.PeerID
		if h.Opening != nil {
			if h.Opening.commitment() != body.Commitment {
				return errors.New("the opening does not fit the record's commitment")
			}
			j.opened[r.ID] = h.Opening.Device
		}
	}
	if _, ok := r.Body.(*Register); !ok && h.Opening != nil {
		return errors.New("only a register record can be opened")
	}
	j.proved = append(j.proved, p)
	return nil
}

// prove checks that the i-th record is in each of the logs its proofs name.
func (j *judge) prove(i int, proofs []string) error {
	if len(proofs) != 1 {
		return fmt.Errorf("%d inclusion proofs; want one", len(proofs))
	}
	p, err := parseInclusion(proofs[0])
	if err != nil {
		return err
	}
	origin := p.origin()
	key, ok := j.logs[origin]
	if !ok {
		return fmt.Errorf("%w: no gateway shown here keeps the log %.80q", ErrCheckpoint, origin)
	}
	head, err := p.check(key, j.records[i].ID)
	if err != nil {
		return err
	}
	// Two heads of one log could belong to two histories; nothing here would tell.
	if first, ok := j.heads[origin]; ok && first != head {
		return fmt.Errorf("%w: two checkpoints of one log; ask for a proof made in one go", ErrCheckpoint)
	}
	if p.index < j.next[origin] {
		return fmt.Errorf("%w: records are not in the log's order", ErrCheckpoint)
	}
	j.heads[origin], j.next[origin] = head, p.index+1
	j.proved[i].Origin, j.proved[i].Index = origin, p.index
	return nil
}

// verdict names the one device the records are about.
func (j *judge) verdict() (Verdict, error) {
	if len(j.state.devices) != 1 {
		return Verdict{}, fmt.Errorf("it is about %d devices; want one", len(j.state.devices))
	}
	v := Verdict{Logged: StandingLogged, Standing: StandingLocal, Records: j.proved}
	for at, dev := range j.state.devices {
		c := dev.current()
		v.Status, v.Owner, v.Circle, v.Chain, v.Releases = dev.status, c.aid, at.circle, c.id, dev.releases
		v.Gateway = j.state.gateways[c.register.Gateway].bind.PeerID
		for _, c := range dev.chains {
			delete(j.state.identities, c.aid)
		}
		if d, ok := j.opened[c.id]; ok {
			v.Device = &d
		}
	}
	if len(j.state.identities) > 0 {
		return Verdict{}, errors.New("it shows owners who never owned the device")
	}
	for origin, head := range j.heads {
		v.Logs = append(v.Logs, ProvedLog{Origin: origin, Key: j.logs[origin], Size: head.N, Root: head.Hash})
	}
	slices.SortFunc(v.Logs, func(a, b ProvedLog) int { return strings.Compare(a.Origin, b.Origin) })
	return v, nil
}

func (t Trust) check(v Verdict) error {
	if len(t.Owners) > 0 && !slices.Contains(t.Owners, v.Owner) {
		return fmt.Errorf("the owner is %s", v.Owner)
	}
	if t.Device != nil && v.Device == nil {
		return errors.New("it keeps closed which device it is about; ask for one made with the opening")
	}
	if t.Device != nil && *v.Device != *t.Device {
		return fmt.Errorf("it is about device %s", v.Device)
	}
	for _, l := range v.Logs {
		if len(t.Origins)+len(t.LogKeys) > 0 && !slices.Contains(t.Origins, l.Origin) && !slices.Contains(t.LogKeys, l.Key) {
			return fmt.Errorf("the log is %s", l.Origin)
		}
	}
	return nil
}

func (t Trust) limits() []string {
	limits := []string{
		"Records after the latest one shown, such as a release, are not ruled out: no validators have voted.",
		"Times are what the signers wrote; no witness has confirmed them.",
	}
	if len(t.Owners)+len(t.Origins)+len(t.LogKeys) == 0 {
		limits = append(limits, "Nobody named here was compared with anyone you trust: compare the owner id with one you got from the owner.")
	}
	return limits
}

// Explain puts the verdict into sentences for a person.
func (v Verdict) Explain() []string {
	device := "a device it does not name"
	if v.Device != nil {
		device = "device " + v.Device.String()
	}
	lines := []string{fmt.Sprintf("%s is %s by owner %s", device, v.Status, v.Owner)}
	if v.Status == StatusReleased {
		lines[0] = fmt.Sprintf("%s was released by owner %s and belongs to nobody", device, v.Owner)
	}
	for _, r := range v.Records {
		lines = append(lines, fmt.Sprintf("%s %s, signed by %s in the hour of %s, is entry %d of %s",
			r.Type, r.ID.Short(), r.Signer, r.Time.Format("2006-01-02 15:04 UTC"), r.Index, r.Origin))
	}
	for _, l := range v.Logs {
		lines = append(lines, fmt.Sprintf("%s: as of its checkpoint over %d records, root %s", v.Logged, l.Size, l.Root))
	}
	lines = append(lines, v.Standing+": on the word of the signers above; no circle of validators has made it final")
	return append(lines, v.Limits...)
}
