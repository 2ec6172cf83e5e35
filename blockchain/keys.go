package blockchain

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Keys are what a gateway signs and recognises with. They stay out of backups: a gateway restored with old keys could
// sign a second history of its log.
type Keys struct {
	// Owner signs for the owner, OwnerNext is the key a rotation will bring. Both are nil when the owner keeps them
	// elsewhere; devices can then be registered but not released here.
	Owner, OwnerNext ed25519.PrivateKey
	// Log signs checkpoints and register records; Witness and Validator are named to others by the gateway's
	// binding.
	Log, Witness, Validator ed25519.PrivateKey
	// Circle is the secret that the home circle's members share to recognise devices by their tags.
	Circle [32]byte

	dir string // where the keys came from; empty for keys that live in memory
}

// The files of a key directory. log.key is created last: while it is missing the directory was never complete and
// nothing was signed; the claim says that something was.
const (
	fileOwner     = "owner.key"
	fileOwnerNext = "owner-next.key"
	fileWitness   = "witness.key"
	fileValidator = "validator.key"
	fileCircle    = "circle.key"
	fileLog       = "log.key"
	fileClaim     = "log.claim"
)

const (
	pemPrivate = "PRIVATE KEY" // PKCS #8
	pemCircle  = "PEERBEE CIRCLE KEY"
)

// ErrKeys is answered for a key directory that cannot be used as it is.
var ErrKeys = errors.New("the ledger's keys cannot be used")

// LoadOrCreateKeys reads the keys in dir, and creates them (files 0600, durable before it returns) in a directory that
// never held a complete set. It refuses files that others may read.
func LoadOrCreateKeys(dir string) (Keys, error) {
	if err := makeDir(dir); err != nil {
		return Keys{}, fmt.Errorf("ledger keys: %w", err)
	}
	k := Keys{dir: dir}
	complete, err := exists(filepath.Join(dir, fileLog))
	if err != nil {
		return Keys{}, fmt.Errorf("ledger keys: %w", err)
	}
	if claimed, err := exists(filepath.Join(dir, fileClaim)); err != nil {
		return Keys{}, fmt.Errorf("ledger keys: %w", err)
	} else if claimed && !complete {
		return Keys{}, fmt.Errorf("%w: %s is missing but has signed before; put it back", ErrKeys, filepath.Join(dir, fileLog))
	}
	for _, f := range []struct {
		name     string
		key      *ed25519.PrivateKey
		optional bool // once complete: the owner's keys may have been moved away
	}{
		{fileOwner, &k.Owner, true},
		{fileOwnerNext, &k.OwnerNext, true},
		{fileWitness, &k.Witness, false},
		{fileValidator, &k.Validator, false},
	} {
		if *f.key, err = loadSigningKey(filepath.Join(dir, f.name), !complete); errors.Is(err, os.ErrNotExist) && f.optional {
			*f.key = nil
		} else if err != nil {
			return Keys{}, err
		}
	}
	if k.Circle, err = loadCircleKey(filepath.Join(dir, fileCircle), !complete); err != nil {
		return Keys{}, err
	}
	if k.Log, err = loadSigningKey(filepath.Join(dir, fileLog), !complete); err != nil {
		return Keys{}, err
	}
	return k, nil
}

// HoldsOwnerKey says whether this gateway can sign for its owner: convenient, and what a thief would take.
func (k Keys) HoldsOwnerKey() bool { return k.Owner != nil }

// check refuses a set that Open cannot work with.
func (k Keys) check() error {
	for name, key := range map[string]ed25519.PrivateKey{fileLog: k.Log, fileWitness: k.Witness, fileValidator: k.Validator} {
		if len(key) != ed25519.PrivateKeySize {
			return fmt.Errorf("%w: %s is missing", ErrKeys, name)
		}
	}
	return nil
}

// claimed gives the origin this key directory signed for before, or "".
func (k Keys) claimed() (string, error) {
	if k.dir == "" {
		return "", nil
	}
	text, err := os.ReadFile(filepath.Join(k.dir, fileClaim))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("ledger keys: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// claim notes that the log key has signed a checkpoint, so that a lost journal is never taken for a fresh start.
func (k Keys) claim(origin string) error {
	if before, err := k.claimed(); k.dir == "" || before != "" || err != nil {
		return err
	}
	return createFile(filepath.Join(k.dir, fileClaim), []byte(origin+"\n"))
}

func loadSigningKey(path string, create bool) (ed25519.PrivateKey, error) {
	der, err := loadPEM(path, pemPrivate)
	if errors.Is(err, os.ErrNotExist) && create {
		return createSigningKey(path)
	}
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%w: %s holds no Ed25519 key; restore it", ErrKeys, path)
	}
	return key, nil
}

func createSigningKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("ledger keys: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("ledger keys: %w", err)
	}
	return key, createFile(path, pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: der}))
}

func loadCircleKey(path string, create bool) (key [32]byte, err error) {
	raw, err := loadPEM(path, pemCircle)
	if errors.Is(err, os.ErrNotExist) && create {
		if _, err := rand.Read(key[:]); err != nil {
			return key, fmt.Errorf("ledger keys: %w", err)
		}
		return key, createFile(path, pem.EncodeToMemory(&pem.Block{Type: pemCircle, Bytes: key[:]}))
	}
	if err != nil {
		return key, err
	}
	if len(raw) != len(key) {
		return key, fmt.Errorf("%w: %s holds no circle key; restore it", ErrKeys, path)
	}
	return [32]byte(raw), nil
}

// loadPEM gives the content of the one block in the file, which nobody but its owner may read.
func loadPEM(path, blockType string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; restore it from where the keys were copied to", ErrKeys, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o, so others can read it; run: chmod 600 %s", ErrKeys, path, mode, path)
	}
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("ledger keys: %w", err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != blockType || len(rest) != 0 {
		return nil, fmt.Errorf("%w: %s is not a file of type %q; restore it", ErrKeys, path, blockType)
	}
	return block.Bytes, nil
}

// createFile makes content durable under path, whole or not at all, and never replaces a file.
func createFile(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("ledger keys: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("ledger keys: write %s: %w", path, err)
	}
	if err := os.Link(f.Name(), path); err != nil {
		return fmt.Errorf("ledger keys: %w", err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("ledger keys: make %s durable: %w", path, err)
	}
	return nil
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
