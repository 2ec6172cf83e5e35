package blockchain

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"github.com/veraison/go-cose"
)

// maxLeaf is the largest record in bytes: what a C2SP entry bundle can carry.
const maxLeaf = 65535

// externalAAD keeps a signature made for the ledger from being used anywhere else (RFC 9052, section 4.3).
var externalAAD = []byte("peerbee/ledger/v1")

// ErrNotCanonical is answered for bytes that say something in another than the one allowed spelling. A second
// spelling of one record would have another record id.
var ErrNotCanonical = errors.New("not in canonical form")

// Core deterministic encoding, RFC 8949 section 4.2.1.
var encMode = must(cbor.CoreDetEncOptions().EncMode())

// The decoder refuses what it can; what it tolerates (unsorted keys, long heads) is caught by encoding again.
var decMode = must(cbor.DecOptions{
	DupMapKey:         cbor.DupMapKeyEnforcedAPF,
	IndefLength:       cbor.IndefLengthForbidden,
	TagsMd:            cbor.TagsForbidden,
	ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	MaxNestedLevels:   8,
	MaxArrayElements:  maxHops,
	MaxMapPairs:       32,
}.DecMode())

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // only reached by a wrong constant in this file, at start-up
	}
	return v
}

// encode gives v's deterministic CBOR. The types of this package always have one.
func encode(v any) []byte { return must(encMode.Marshal(v)) }

// decodeCanonical fills v and refuses data unless it is exactly what encode(v) gives.
func decodeCanonical(data []byte, v any) error {
	if err := decMode.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", ErrNotCanonical, err)
	}
	again, err := encMode.Marshal(v)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotCanonical, err)
	}
	if !bytes.Equal(again, data) {
		return fmt.Errorf("%w: the deterministic encoding of the same content has other bytes", ErrNotCanonical)
	}
	return nil
}

// sign1 is an untagged COSE_Sign1 (RFC 9052, section 4.2).
type sign1 struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected struct{}
	Payload     []byte
	Signature   []byte
}

// keyID is the kid of a public key: enough to pick it, never enough to trust it.
func keyID(pub ed25519.PublicKey) []byte {
	sum := sha256.Sum256(pub)
	return sum[:8]
}

// protectedHeader is the only protected header there is: alg EdDSA and kid.
type protectedHeader struct {
	Alg int64  `cbor:"1,keyasint"`
	Kid []byte `cbor:"4,keyasint"`
}

// coseHeaders gives the same header in go-cose's words.
func coseHeaders(pub ed25519.PublicKey) cose.Headers {
	return cose.Headers{Protected: cose.ProtectedHeader{
		cose.HeaderLabelAlgorithm: cose.AlgorithmEdDSA,
		cose.HeaderLabelKeyID:     keyID(pub),
	}}
}

// seal signs payload with key and gives the leaf.
func seal(key ed25519.PrivateKey, payload []byte) ([]byte, error) {
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("sign record: not an Ed25519 key")
	}
	msg := cose.UntaggedSign1Message{Headers: coseHeaders(pub), Payload: payload}
	signer, err := cose.NewSigner(cose.AlgorithmEdDSA, key)
	if err != nil {
		return nil, fmt.Errorf("sign record: %w", err)
	}
	if err := msg.Sign(rand.Reader, externalAAD, signer); err != nil {
		return nil, fmt.Errorf("sign record: %w", err)
	}
	leaf, err := msg.MarshalCBOR()
	if err != nil {
		return nil, fmt.Errorf("sign record: %w", err)
	}
	if len(leaf) > maxLeaf {
		return nil, fmt.Errorf("sign record: %d bytes, at most %d fit", len(leaf), maxLeaf)
	}
	return leaf, nil
}

// unseal splits a leaf into its parts and checks their form, not the signature.
func unseal(leaf []byte) (sign1, error) {
	if len(leaf) > maxLeaf {
		return sign1{}, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrNotCanonical, len(leaf), maxLeaf)
	}
	var msg sign1
	if err := decodeCanonical(leaf, &msg); err != nil {
		return sign1{}, err
	}
	var header protectedHeader
	if err := decodeCanonical(msg.Protected, &header); err != nil {
		return sign1{}, fmt.Errorf("protected header: %w", err)
	}
	if header.Alg != int64(cose.AlgorithmEdDSA) || len(header.Kid) != 8 {
		return sign1{}, fmt.Errorf("%w: protected header: want alg -8 and an 8-byte kid", ErrNotCanonical)
	}
	if len(msg.Signature) != ed25519.SignatureSize {
		return sign1{}, fmt.Errorf("%w: signature of %d bytes", ErrNotCanonical, len(msg.Signature))
	}
	return msg, nil
}

// verify checks that the message was signed by pub.
func (m sign1) verify(pub ed25519.PublicKey) error {
	want := encode(protectedHeader{Alg: int64(cose.AlgorithmEdDSA), Kid: keyID(pub)})
	if !bytes.Equal(m.Protected, want) {
		return fmt.Errorf("%w: it names another key", ErrSignature)
	}
	verifier, err := cose.NewVerifier(cose.AlgorithmEdDSA, pub)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	msg := cose.UntaggedSign1Message{Headers: coseHeaders(pub), Payload: m.Payload, Signature: m.Signature}
	if err := msg.Verify(externalAAD, verifier); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}
