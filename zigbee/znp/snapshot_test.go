package znp_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peerbee/peerbee/zigbee/sim"
	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/znp"
)

// saved gives a memory in the one form that two can be compared in.
func saved(t *testing.T, m *nv.Memory) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "memory.json")
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSnapshotIsTheWholeMemory copies the memory of real sticks, of a network that is whole and of parts of one.
func TestSnapshotIsTheWholeMemory(t *testing.T) {
	for _, name := range []string{"CC2531-ZStack3.formed", "CC2652R-ZStack4.formed"} {
		for _, part := range []struct {
			name  string
			spoil func(*nv.Memory)
		}{
			{"whole", func(*nv.Memory) {}},
			{"not on a network", func(m *nv.Memory) { m.Set(nv.Legacy(nv.OnANetwork), []byte{0}) }},
			{"no information base", func(m *nv.Memory) { m.Remove(nv.Legacy(nv.NIB)) }},
			{"only a key", func(m *nv.Memory) {
				m.Remove(nv.Legacy(nv.NIB))
				m.Set(nv.Legacy(nv.OnANetwork), []byte{0})
			}},
		} {
			t.Run(name+" "+part.name, func(t *testing.T) {
				memory := loadNV(t, name)
				part.spoil(memory)
				want := memory.Clone()
				if want.Aligned {
					want.Remove(nv.Legacy(nv.PollRateOld16)) // such firmware says that it has no such item
				}
				simulate(t, sim.Options{NV: memory}, nil, func(t *testing.T, s *simulated) {
					s.until(t, "decision", func() bool { return s.State().Phase == znp.PhaseNeedsDecision })
					s.set(nil)
					text, err := s.Snapshot(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					s.onlyRead(t)
					copied := filepath.Join(t.TempDir(), "copied")
					if err := os.WriteFile(copied, text, 0o600); err != nil {
						t.Fatal(err)
					}
					got, err := nv.Load(copied)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(saved(t, want), saved(t, got)); diff != "" {
						t.Error(diff)
					}
				})
			})
		}
	}
}

func TestSnapshotOfNothing(t *testing.T) {
	for _, name := range []string{"CC2531-ZStack3.reset", "CC2652R-ZStack4.reset"} {
		t.Run(name, func(t *testing.T) {
			memory := loadNV(t, name)
			simulate(t, sim.Options{NV: memory}, nil, func(t *testing.T, s *simulated) {
				s.until(t, "decision", func() bool { return s.State().Phase == znp.PhaseNeedsDecision })
				if text, err := s.Snapshot(t.Context()); text != nil || err != nil {
					t.Errorf("%q, %v", text, err)
				}
			})
		})
	}
}
