package p2p

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

func TestKeyFileCreatesThenLoadsTheSameKey(t *testing.T) {
	f := KeyFile{filepath.Join(t.TempDir(), "host.key")}
	first, err := f.HostKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.HostKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !first.Equals(again) || first.Type() != crypto.Ed25519 {
		t.Error("the second key differs")
	}
	info, err := os.Stat(f.Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(f.Path)); err != nil || len(left) != 1 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

func TestKeyFileAtOnceFromManyGivesOneKey(t *testing.T) {
	f := KeyFile{filepath.Join(t.TempDir(), "host.key")}
	keys := make([]crypto.PrivKey, 8)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			key, err := f.HostKey(t.Context())
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	all.Wait()
	for _, k := range keys {
		if k == nil || !k.Equals(keys[0]) {
			t.Fatal("keys differ")
		}
	}
}

func TestKeyFileOfAnotherTypeLoads(t *testing.T) {
	f := KeyFile{filepath.Join(t.TempDir(), "host.key")}
	if _, err := f.HostKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	key := p256Key(t)
	writeKey(t, f.Path, key)
	got, err := f.HostKey(t.Context())
	if err != nil || !got.Equals(key) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestKeyFileRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		content string
		mode    os.FileMode
		want    error
		hint    string
	}{
		"open to others": {"", 0o640, ErrKeyMode, "chmod 600"},
		"empty":          {"", 0o600, ErrKeyDamaged, "backup"},
		"not base64":     {"%%%", 0o600, ErrKeyDamaged, "backup"},
		"no key":         {"AAAA", 0o600, ErrKeyDamaged, "backup"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "host.key")
			if err := os.WriteFile(path, []byte(tc.content), tc.mode); err != nil {
				t.Fatal(err)
			}
			_, err := KeyFile{path}.HostKey(t.Context())
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.hint) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
			if left, err := os.ReadFile(path); err != nil || string(left) != tc.content {
				t.Errorf("the file was touched: %q, %v", left, err)
			}
		})
	}
}

func TestShortID(t *testing.T) {
	id, err := peer.Decode("12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X")
	if err != nil {
		t.Fatal(err)
	}
	if got := ShortID(id); got != "ft9HyQ6X" {
		t.Errorf("got %q", got)
	}
	if got := ShortID(""); got != "" {
		t.Errorf("got %q", got)
	}
}
