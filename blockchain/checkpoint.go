package blockchain

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrCheckpoint is answered for a checkpoint or inclusion proof that does not hold.
var ErrCheckpoint = errors.New("the log's checkpoint or proof does not hold")

// maxTree bounds the tree sizes believed, in records.
const maxTree = 1 << 40

// Origin names the log of a log key, and is the key's name in signed notes. A key signs for one origin for ever.
func Origin(logKey PublicKey) string {
	sum := sha256.Sum256(logKey[:])
	return "peerbee/log/" + aidAlphabet.EncodeToString(sum[:20])
}

// LogVerifierKey gives the log's key as a C2SP signed-note verifier key, for programs not ours.
func LogVerifierKey(logKey PublicKey) string {
	return must(note.NewEd25519VerifierKey(Origin(logKey), logKey[:]))
}

func logVerifier(logKey PublicKey) note.Verifier {
	return must(note.NewVerifier(LogVerifierKey(logKey)))
}

// noteSigner makes note.Signer of a key held as such rather than as text.
type noteSigner struct {
	note.Verifier
	key ed25519.PrivateKey
}

func (s noteSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// signCheckpoint gives the signed head (c2sp.org/tlog-checkpoint without extension lines). The same head always gives
// the same bytes.
func signCheckpoint(key ed25519.PrivateKey, head tlog.Tree) ([]byte, error) {
	pub := publicKey(key)
	text := torchwood.Checkpoint{Origin: Origin(pub), Tree: head}.String()
	signed, err := note.Sign(&note.Note{Text: text}, noteSigner{logVerifier(pub), key})
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return signed, nil
}

// openCheckpoint verifies a checkpoint of the log of logKey. Signatures by others, such as witnesses, are passed over.
func openCheckpoint(logKey PublicKey, signed []byte) (tlog.Tree, error) {
	v := logVerifier(logKey)
	policy := torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(v.Name()), torchwood.SingleVerifierPolicy(v))
	c, n, err := torchwood.VerifyCheckpoint(signed, policy)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	if c.N > maxTree {
		// tlog's arithmetic does not end near 2^63, and a hostile log may sign any number.
		return tlog.Tree{}, fmt.Errorf("%w: a size of %d records", ErrCheckpoint, c.N)
	}
	if c.Extension != "" {
		return tlog.Tree{}, fmt.Errorf("%w: unexpected extension lines", ErrCheckpoint)
	}
	for _, sig := range append(n.Sigs, n.UnverifiedSigs...) {
		// Base64 with stray last bits decodes too; one signature must have one spelling.
		raw, err := base64.StdEncoding.DecodeString(sig.Base64)
		if err != nil || base64.StdEncoding.EncodeToString(raw) != sig.Base64 {
			return tlog.Tree{}, fmt.Errorf("%w: signature not in canonical base64", ErrCheckpoint)
		}
	}
	return c.Tree, nil
}

// inclusion is a parsed c2sp.org/tlog-proof@v1 text.
type inclusion struct {
	index      int64
	proof      tlog.RecordProof
	checkpoint string
}

func (p inclusion) String() string {
	return string(torchwood.FormatProof(p.index, p.proof, []byte(p.checkpoint)))
}

// origin gives the checkpoint's first line, unverified.
func (p inclusion) origin() string {
	line, _, _ := strings.Cut(p.checkpoint, "\n")
	return line
}

// parseInclusion reads a proof text in its one allowed spelling.
func parseInclusion(text string) (inclusion, error) {
	malformed := fmt.Errorf("%w: not a c2sp.org/tlog-proof@v1 text", ErrCheckpoint)
	head, checkpoint, ok := strings.Cut(text, "\n\n")
	if !ok {
		return inclusion{}, malformed
	}
	lines := strings.Split(head, "\n")
	if len(lines) < 2 || len(lines) > 2+63 {
		return inclusion{}, malformed
	}
	p := inclusion{checkpoint: checkpoint}
	var err error
	if p.index, err = strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64); err != nil || p.index < 0 {
		return inclusion{}, malformed
	}
	for _, line := range lines[2:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return inclusion{}, malformed
		}
		p.proof = append(p.proof, h)
	}
	if p.String() != text {
		return inclusion{}, malformed
	}
	return p, nil
}

// check verifies that the record is in the log of logKey and gives the head it was shown under.
func (p inclusion) check(logKey PublicKey, id RecordID) (tlog.Tree, error) {
	head, err := openCheckpoint(logKey, []byte(p.checkpoint))
	if err != nil {
		return tlog.Tree{}, err
	}
	if err := tlog.CheckRecord(p.proof, head.N, head.Hash, p.index, tlog.Hash(id)); err != nil {
		return tlog.Tree{}, fmt.Errorf("%w: record %s is not at index %d: %w", ErrCheckpoint, id.Short(), p.index, err)
	}
	return head, nil
}

func publicKey(key ed25519.PrivateKey) PublicKey { return PublicKey(key[ed25519.SeedSize:]) }
