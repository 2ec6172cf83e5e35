package backups_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peerbee/peerbee/gateway/backups"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestTheLastTenAreKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "backups")
	f := backups.New(dir)
	if body, path, err := f.Newest("network"); body != nil || path != "" || err != nil {
		t.Errorf("%q %q %v before anything was saved", body, path, err)
	}
	if _, err := f.Save("before", noon, []byte("x")); err != nil {
		t.Fatal(err)
	}
	for i := range 25 {
		when := noon.Add(-time.Duration(i) * time.Hour) // a clock that goes backwards changes nothing
		path, err := f.Save("network", when, fmt.Append(nil, i))
		if err != nil {
			t.Fatal(err)
		}
		body, newest, err := f.Newest("network")
		if err != nil || newest != path || string(body) != fmt.Sprint(i) {
			t.Errorf("the newest is %q at %q, want %q: %v", body, newest, path, err)
		}
	}
	got := names(t, dir)
	if len(got) != backups.Kept+1 || got[0] != "before-000001-20260304T120000Z.json" ||
		got[1] != "network-000016-20260303T210000Z.json" || !strings.HasPrefix(got[10], "network-000025-") {
		t.Errorf("kept %q", got)
	}
}

func TestOnlyTheOwnerReads(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "backups")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	leftover := filepath.Join(dir, ".unfinished")
	if err := os.WriteFile(leftover, []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	path, err := backups.New(dir).Save("network", noon, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, path: 0o600} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want %v", path, st.Mode(), err, want)
		}
	}
	if list := names(t, dir); !slices.Equal(list, []string{filepath.Base(path)}) {
		t.Errorf("left over: %q", list)
	}
}

func TestOtherFilesStay(t *testing.T) {
	dir := t.TempDir()
	others := []string{"network-note.json", "network-000007.json", "network-000008-x.txt", "notes"}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := backups.New(dir)
	for range 2 * backups.Kept {
		if _, err := f.Save("network", noon, nil); err != nil {
			t.Fatal(err)
		}
	}
	list := names(t, dir)
	for _, name := range others {
		if !slices.Contains(list, name) {
			t.Errorf("%s is gone", name)
		}
	}
	if len(list) != len(others)+backups.Kept {
		t.Errorf("%d files", len(list))
	}
}

// TestFailureKeepsTheOld saves where nothing can be written.
func TestFailureKeepsTheOld(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "backups")
	f := backups.New(dir)
	old, err := f.Save("network", noon, []byte("old"))
	if err != nil {
		t.Fatal(err)
	}
	// A folder where the new file would be written: works for root, whom no mode keeps out.
	if err := os.MkdirAll(filepath.Join(dir, ".unfinished", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Save("network", noon, []byte("new")); err == nil {
		t.Error("saved through a folder")
	}
	if body, path, err := f.Newest("network"); string(body) != "old" || path != old || err != nil {
		t.Errorf("the newest is %q at %q: %v", body, path, err)
	}
	if _, err := backups.New(filepath.Join(old, "below")).Save("network", noon, nil); err == nil {
		t.Error("saved below a file")
	}
}
