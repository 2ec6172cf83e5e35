package store

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peerbee/peerbee/gateway/reading"
)

// crash copies the files of an open store, as a kill would leave them, and gives the copy's path.
func crash(t *testing.T, s *Store) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "peerbee.db")
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(s.opt.Path + suffix)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestWhatKillsLostStaysKnown(t *testing.T) {
	now := start
	clock := func() (time.Time, reading.TimeQuality) { return now, reading.TimeSynchronised }
	s := open(t, Options{Clock: clock})
	put(t, s, dev1)
	add(t, s, dev1, now, num("temperature", 1))
	flush(t, s)

	s = open(t, Options{Path: crash(t, s), Clock: clock})
	first := Gap{dev1, 2, sequenceBlock}
	if diff := cmp.Diff([]Gap{first}, s.Lost()); diff != "" {
		t.Errorf("after the first kill (-want +got):\n%s", diff)
	}

	s = open(t, Options{Path: crash(t, s), Clock: clock})
	first.To = 2 * sequenceBlock
	if diff := cmp.Diff([]Gap{first}, s.Lost()); diff != "" {
		t.Errorf("a second kill without a commit makes the gap longer (-want +got):\n%s", diff)
	}
	next := add(t, s, dev1, now, num("temperature", 2)).Seq
	flush(t, s)

	now = now.Add(DefaultRetentionAge / 2)
	s = open(t, Options{Path: crash(t, s), Clock: clock})
	second := Gap{dev1, next + 1, 3 * sequenceBlock}
	if diff := cmp.Diff([]Gap{first, second}, s.Lost()); diff != "" {
		t.Errorf("a peer two kills behind has to hear of both (-want +got):\n%s", diff)
	}
	path := s.opt.Path
	shut(t, s)

	now = now.Add(DefaultRetentionAge/2 + time.Hour)
	s = open(t, Options{Path: path, Clock: clock})
	if diff := cmp.Diff([]Gap{second}, s.Lost()); diff != "" {
		t.Errorf("the older gap is past the retention (-want +got):\n%s", diff)
	}
}
