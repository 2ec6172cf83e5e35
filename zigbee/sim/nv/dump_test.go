package nv

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shared returns the folder of recorded data, or skips the test.
func shared(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("PEERBEE_SHARED"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			if _, err := os.Stat(filepath.Join(dir, "..", "shared", "zigbee")); err == nil {
				return filepath.Join(dir, "..", "shared")
			}
			break
		}
	}
	t.Skip("the recorded data is not here: set PEERBEE_SHARED to its folder")
	return ""
}

func TestDumpRoundTrip(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(shared(t), "zigbee", "nvram", "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no dumps: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			m, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			saved := filepath.Join(t.TempDir(), "out.json")
			if err := m.Save(saved); err != nil {
				t.Fatal(err)
			}
			again, err := Load(saved)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m.items, again.items); diff != "" {
				t.Error(diff)
			}
			if m.Aligned != again.Aligned {
				t.Error("the struct layout changed")
			}
		})
	}
}

func TestDumpRefusesNonsense(t *testing.T) {
	for name, text := range map[string]string{
		"not json":      "FE",
		"no key":        `{"LEGACY":{"PANID":"ffff"}}`,
		"unknown item":  `{"LEGACY":{"NWKKEY":"` + zeros(24) + `","NOVEL":"00"}}`,
		"unknown table": `{"LEGACY":{"NWKKEY":"` + zeros(24) + `"},"NOVEL":{"0x0000":"00"}}`,
		"not hex":       `{"LEGACY":{"NWKKEY":"zz"}}`,
		"range end":     `{"LEGACY":{"NWKKEY":"` + zeros(24) + `","LEGACY_TCLK_TABLE_START+239":"00"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "nv.json")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(path); !errors.Is(err, ErrDump) {
				t.Fatalf("got %v, want ErrDump", err)
			}
		})
	}
}

func zeros(n int) string {
	b := make([]byte, 2*n)
	for i := range b {
		b[i] = '0'
	}
	return string(b)
}
