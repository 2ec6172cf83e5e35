package p2p

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/fxamacker/cbor/v2"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// maxRecord bounds a signed address record, in bytes.
const maxRecord = 1024

// errBadRecord is what a hive and a finder say to any record that is not the named gateway's own.
var errBadRecord = errors.New("bad address record")

// addressRecord is what a gateway says of where it is. It carries no time: hives drop it 24 hours after they got
// it, and a gateway without a clock may publish all the same.
type addressRecord struct {
	seq   uint64
	addrs []ma.Multiaddr
}

// wireRecord is the record's form: a CBOR array. The signature covers recordDomain and the array without it.
type wireRecord struct {
	_       struct{} `cbor:",toarray"`
	Version uint64
	Key     []byte // the signer's public key in libp2p's form: a P-256 peer ID does not hold its key
	Seq     uint64
	Addrs   [][]byte
	Sig     []byte
}

const (
	recordVersion = 1
	recordDomain  = "peerbee address record v1"
)

// addressKey is the Kademlia key under which id's record stands.
func addressKey(id peer.ID) string { return "/" + kadNamespace + "/" + id.String() }

// signAddressRecord makes the record of key's owner. Addresses that do not fit are left out from the end.
func signAddressRecord(key crypto.PrivKey, seq uint64, addrs []ma.Multiaddr) ([]byte, error) {
	pub, err := crypto.MarshalPublicKey(key.GetPublic())
	if err != nil {
		return nil, fmt.Errorf("sign address record: %w", err)
	}
	for n := min(len(addrs), maxAddrs); n >= 0; n-- {
		rec := wireRecord{Version: recordVersion, Key: pub, Seq: seq, Addrs: [][]byte{}, Sig: []byte{}}
		for _, a := range addrs[:n] {
			rec.Addrs = append(rec.Addrs, a.Bytes())
		}
		body, err := rec.signed()
		if err != nil {
			return nil, err
		}
		if rec.Sig, err = key.Sign(body); err != nil {
			return nil, fmt.Errorf("sign address record: %w", err)
		}
		raw, err := cbor.Marshal(rec)
		if err != nil {
			return nil, fmt.Errorf("encode address record: %w", err)
		}
		if len(raw) <= maxRecord {
			return raw, nil
		}
	}
	return nil, errors.New("the host key is too large for an address record")
}

func (r wireRecord) signed() ([]byte, error) {
	r.Sig = nil
	body, err := cbor.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode address record: %w", err)
	}
	return append([]byte(recordDomain), body...), nil
}

// openAddressRecord checks that raw is id's own record and decodes it.
func openAddressRecord(id peer.ID, raw []byte) (addressRecord, error) {
	bad := func(why string) (addressRecord, error) {
		return addressRecord{}, fmt.Errorf("%w: %s", errBadRecord, why)
	}
	if len(raw) > maxRecord {
		return bad("too long")
	}
	var wire wireRecord
	if err := cbor.Unmarshal(raw, &wire); err != nil || wire.Version != recordVersion || len(wire.Addrs) > maxAddrs {
		return bad("malformed")
	}
	key, err := crypto.UnmarshalPublicKey(wire.Key)
	if err != nil || !id.MatchesPublicKey(key) {
		return bad("another peer's key")
	}
	body, err := wire.signed()
	if err != nil {
		return bad("malformed")
	}
	if ok, err := key.Verify(body, wire.Sig); err != nil || !ok {
		return bad("wrong signature")
	}
	rec := addressRecord{seq: wire.Seq}
	for _, b := range wire.Addrs {
		a, err := ma.NewMultiaddrBytes(b)
		if err != nil {
			return bad("malformed address")
		}
		rec.addrs = append(rec.addrs, a)
	}
	return rec, nil
}

// addressRecords validates the namespace's records for whoever stores or finds them (go-libp2p-record Validator).
type addressRecords struct{}

func (addressRecords) Validate(key string, value []byte) error {
	_, err := openKeyedRecord(key, value)
	return err
}

// Select prefers the highest sequence, which a gateway never takes back.
func (addressRecords) Select(key string, values [][]byte) (int, error) {
	best, bestSeq := -1, uint64(0)
	for i, v := range values {
		if rec, err := openKeyedRecord(key, v); err == nil && (best < 0 || rec.seq > bestSeq) {
			best, bestSeq = i, rec.seq
		}
	}
	if best < 0 {
		return 0, errBadRecord
	}
	return best, nil
}

func openKeyedRecord(key string, value []byte) (addressRecord, error) {
	name, ok := strings.CutPrefix(key, "/"+kadNamespace+"/")
	if !ok {
		return addressRecord{}, fmt.Errorf("%w: foreign key", errBadRecord)
	}
	id, err := peer.Decode(name)
	if err != nil || id.String() != name { // one gateway, one key
		return addressRecord{}, fmt.Errorf("%w: malformed key", errBadRecord)
	}
	return openAddressRecord(id, value)
}

// sequence is a counter that never goes back, whatever the clock does: it is on disk before it is used.
type sequence struct {
	path string // empty: not kept

	mu   sync.Mutex // guards last
	last uint64
}

const sequenceFile = "address-record.seq"

func loadSequence(dir string) (*sequence, error) {
	if dir == "" {
		return &sequence{}, nil
	}
	s := &sequence{path: filepath.Join(dir, sequenceFile)}
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read address record sequence: %w", err)
	}
	s.last, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged; write into it a number above any it held, for example %d: %w",
			s.path, 1<<20, err)
	}
	return s, nil
}

func (s *sequence) next() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.last + 1
	if s.path != "" {
		if err := writeDurable(s.path, strconv.AppendUint(nil, next, 10), os.Rename); err != nil {
			return 0, fmt.Errorf("keep address record sequence: %w", err)
		}
	}
	s.last = next
	return next, nil
}
