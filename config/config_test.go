package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOldFilesStillLoad(t *testing.T) {
	files, err := filepath.Glob("testdata/v*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no old configuration files: %v", err)
	}
	for _, f := range files {
		if _, err := Load(f, false); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

func TestDefaultsAreValidAndRoundTrip(t *testing.T) {
	want := Default()
	if err := want.Validate("default"); err != nil {
		t.Fatal(err)
	}
	text, err := Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Config
	if err := decode("default", text, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmp.Transformer("nil", func(s []string) string { return strings.Join(s, " ") })); d != "" {
		t.Errorf("default changed on the way through TOML (-want +got):\n%s", d)
	}
}

func TestErrorsNameLineAndNextStep(t *testing.T) {
	for _, tc := range []struct{ name, text, want, hint string }{
		{"typing error", "[p2p]\nmodee = \"on\"\n", "peerbee.toml:2:1: p2p.modee: unknown key", "did you mean p2p.mode?"},
		{"unknown section", "\n[nonsense_section]\nx = 1\n", "unknown key", "peerbee config show"},
		{"wrong type", "[store]\ncommit_batch = \"many\"\n", "peerbee.toml:2:", "peerbee config check"},
		{"broken syntax", "[p2p\nmode = 1\n", "peerbee.toml:1:", "peerbee config check"},
		{"mode", "[p2p]\nmode = \"wan\"\n", "p2p.mode: \"wan\" is not a mode", "off"},
		{"duration", "[store]\nretention = \"a while\"\n", "is not a duration", "peerbee config check"},
		{"port", "[zigbee]\nport = \"ttyUSB0\"\n", "zigbee.port", "/dev/serial/by-id"},
		{"hive", "[p2p]\nhives = [\"/ip4/1.2.3.4/tcp/1\"]\n", "p2p.hives", "peerbee hive"},
		{"relative", "[gateway]\nstate_dir = \"state\"\n", "gateway.state_dir", "whole path"},
		{"metrics", "[metrics]\nlisten = \"9177\"\n", "metrics.listen", "127.0.0.1:9177"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "peerbee.toml")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path, false)
			var fe *FileError
			if !errors.As(err, &fe) {
				t.Fatalf("got %v, want a FileError", err)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q does not say %q", err, tc.want)
			}
			if !strings.Contains(fe.Hint, tc.hint) {
				t.Errorf("hint %q does not say %q", fe.Hint, tc.hint)
			}
		})
	}
}

func TestConfDOverlaysInNameOrder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, "conf.d"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("peerbee.toml", "[gateway]\nname = \"attic\"\n[p2p]\nmode = \"off\"\n")
	write("conf.d/10-a.toml", "[p2p]\nmode = \"lan\"\n")
	write("conf.d/20-b.toml", "[p2p]\nmode = \"on\"\n[store]\nretention = \"30d\"\n")
	c, err := Load(filepath.Join(dir, "peerbee.toml"), false)
	if err != nil {
		t.Fatal(err)
	}
	if c.Gateway.Name != "attic" || c.P2P.Mode != ModeOn || c.Store.Retention.Std() != 30*24*time.Hour {
		t.Errorf("overlay gave %+v", c)
	}
}

func TestMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.toml")
	if _, err := Load(path, true); err != nil {
		t.Errorf("optional: %v", err)
	}
	_, err := Load(path, false)
	var fe *FileError
	if !errors.Is(err, os.ErrNotExist) || !errors.As(err, &fe) || fe.Hint == "" {
		t.Errorf("got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	text, err := Marshal(Default())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("[p2p]\nmode = \"on\"\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		c := Default()
		if decode("fuzz", data, &c) == nil {
			_ = c.Validate("fuzz") // only that it returns
		}
	})
}
