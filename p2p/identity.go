package p2p

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// KeyProvider hands out the host's identity key. A file does it today; a TPM or a secure element, whose keys are
// P-256 and never leave the chip, fits the same face: callers use the key's type and public half only.
type KeyProvider interface {
	HostKey(ctx context.Context) (crypto.PrivKey, error)
}

// ErrKeyMode says that others than the owner may read or write the key file.
var ErrKeyMode = errors.New("host key is open to others")

// ErrKeyDamaged says that the key file holds no key.
var ErrKeyDamaged = errors.New("host key is damaged")

// keyFileLimit is far above any key and keeps a wrong path from being read into memory.
const keyFileLimit = 4096

// KeyFile keeps the identity key in one file of mode 0600: base64 of libp2p's key message, which names the key's
// type. A missing file is created with a fresh Ed25519 key.
type KeyFile struct{ Path string }

// HostKey loads the key, or creates it where the file does not exist yet. A new key is on disk before it returns.
func (f KeyFile) HostKey(context.Context) (crypto.PrivKey, error) {
	key, err := f.load()
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := f.create(); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create host key: %w", err)
	}
	return f.load()
}

func (f KeyFile) load() (crypto.PrivKey, error) {
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, fmt.Errorf("open host key: %w", err)
	}
	defer file.Close() //nolint:errcheck // read only: nothing can be lost
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("stat host key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o; run: chmod 600 %s", ErrKeyMode, f.Path, info.Mode().Perm(), f.Path)
	}
	text, err := io.ReadAll(io.LimitReader(file, keyFileLimit))
	if err != nil {
		return nil, fmt.Errorf("read host key: %w", err)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, f.damaged(err)
	}
	key, err := crypto.UnmarshalPrivateKey(raw)
	if err != nil {
		return nil, f.damaged(err)
	}
	return key, nil
}

func (f KeyFile) damaged(err error) error {
	return fmt.Errorf("%w: %s (%w); restore it from a backup, or move it away for a new identity: every peer then needs a new ticket",
		ErrKeyDamaged, f.Path, err)
}

func (f KeyFile) create() error {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return err
	}
	raw, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return err
	}
	return writeDurable(f.Path, []byte(base64.StdEncoding.EncodeToString(raw)+"\n"), os.Link)
}

// writeDurable writes data to a temporary file of mode 0600 beside path, puts it in place and returns once both
// the file and its name are on disk. With os.Link an existing file is never replaced, with os.Rename it is.
func writeDurable(path string, data []byte, place func(from, to string) error) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // created 0600
	if err != nil {
		return err
	}
	defer func() {
		if rerr := os.Remove(tmp.Name()); err == nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = rerr
		}
	}()
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	if err := place(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ShortID is the form of a peer ID for logs: its last eight characters. The first ones are the same for every
// key of a type.
func ShortID(id peer.ID) string {
	s := id.String()
	return s[max(0, len(s)-8):]
}
