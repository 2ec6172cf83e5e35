package blockchain

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var cmpKeys = cmp.AllowUnexported(Keys{})

func TestKeysAreCreatedOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	k, err := LoadOrCreateKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadOrCreateKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(k, again, cmpKeys) {
		t.Error("other keys the second time")
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %04o", f.Name(), info.Mode().Perm())
		}
		names = append(names, f.Name())
	}
	if diff := cmp.Diff([]string{"circle.key", "log.key", "owner-next.key", "owner.key", "validator.key", "witness.key"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", info, err)
	}
}

func TestKeysAreRefused(t *testing.T) {
	file := func(name string) func(*testing.T, string) string {
		return func(_ *testing.T, dir string) string { return filepath.Join(dir, name) }
	}
	for _, test := range []struct {
		name   string
		path   func(*testing.T, string) string
		change func(path string) error
		hint   string
	}{
		{"readable by the group", file(fileLog), func(p string) error { return os.Chmod(p, 0o640) }, "chmod 600 "},
		{"readable by all", file(fileOwner), func(p string) error { return os.Chmod(p, 0o604) }, "chmod 600 "},
		{"witness key gone", file(fileWitness), os.Remove, "restore it"},
		{"circle key gone", file(fileCircle), os.Remove, "restore it"},
		{"not a key", file(fileValidator), func(p string) error { return os.WriteFile(p, []byte("hello"), 0o600) }, "restore it"},
		{"cut short", file(fileLog), func(p string) error { return os.Truncate(p, 40) }, "restore it"},
		{"a key of another kind", file(fileCircle), func(p string) error {
			other, err := os.ReadFile(filepath.Join(filepath.Dir(p), fileLog))
			if err != nil {
				return err
			}
			return os.WriteFile(p, other, 0o600)
		}, "restore it"},
	} {
		dir := t.TempDir()
		if _, err := LoadOrCreateKeys(dir); err != nil {
			t.Fatal(err)
		}
		path := test.path(t, dir)
		if err := test.change(path); err != nil {
			t.Fatal(err)
		}
		_, err := LoadOrCreateKeys(dir)
		wantError(t, err, ErrKeys, "%s", test.name)
		if err != nil && (!strings.Contains(err.Error(), test.hint) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s: the error does not help: %v", test.name, err)
		}
	}
}

// TestKeysAfterCrash finds a directory in which only some keys were created: the set is completed, none is replaced.
func TestKeysAfterCrash(t *testing.T) {
	dir := t.TempDir()
	k, err := LoadOrCreateKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fileLog, fileValidator} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	again, err := LoadOrCreateKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !k.Owner.Equal(again.Owner) || !k.Witness.Equal(again.Witness) || k.Circle != again.Circle || again.Log == nil || again.Validator == nil {
		t.Error("keys that were there were replaced, or missing ones not created")
	}
}

// TestOwnerKeysMoveAway: without them the rest still loads.
func TestOwnerKeysMoveAway(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadOrCreateKeys(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fileOwner, fileOwnerNext} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	k, err := LoadOrCreateKeys(dir)
	if err != nil || k.HoldsOwnerKey() || k.OwnerNext != nil {
		t.Errorf("holds the owner's key: %v, %v", k.HoldsOwnerKey(), err)
	}
	_, err = Open(t.Context(), Options{Dir: t.TempDir(), Keys: k, PeerID: testPeer})
	wantError(t, err, ErrNoOwnerKey, "first start without the owner's key")
}

// TestLostJournal: a log key that has signed never starts a second history.
func TestLostJournal(t *testing.T) {
	dir := t.TempDir()
	k, err := LoadOrCreateKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: dir, Keys: k, PeerID: testPeer}
	reopen := func() error {
		l, err := Open(t.Context(), o)
		if err != nil {
			return err
		}
		return l.Close()
	}
	for range 2 {
		if err := reopen(); err != nil {
			t.Fatal(err)
		}
	}
	journal := filepath.Join(dir, journalName)
	if err := os.Rename(journal, journal+".lost"); err != nil {
		t.Fatal(err)
	}
	wantError(t, reopen(), ErrJournalGone, "journal missing")
	if err := os.Rename(journal+".lost", journal); err != nil {
		t.Fatal(err)
	}
	if err := reopen(); err != nil {
		t.Errorf("journal put back: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, fileLog)); err != nil {
		t.Fatal(err)
	}
	_, err = LoadOrCreateKeys(dir)
	wantError(t, err, ErrKeys, "log key missing")
	if err := os.WriteFile(filepath.Join(dir, fileClaim), []byte("peerbee/log/other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, reopen(), ErrKeys, "log key replaced")
}
