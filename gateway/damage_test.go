package gateway_test

import (
	"bytes"
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/peerbee/peerbee/gateway"
	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/zigbee/sim"
)

// files reads everything in a folder.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		all[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// lived gives a house whose gateway has worked and was stopped: a device, readings, ledger records, a share.
func lived(t *testing.T) *house {
	t.Helper()
	h := newHouse(t, sim.Options{Seed: 11, Sensors: []sim.SensorSpec{{Kind: "temperature"}}})
	d := h.start()
	d.form()
	d.pair(1)
	d.share(api.Share{Label: "anna", Devices: []string{"*"}})
	for i := range 50 {
		h.set(0, "temperature", float64(i))
	}
	until(t, "readings", func() bool { return len(d.history(h.sensor(0))) >= 50 })
	d.stop()
	return h
}

func flip(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 0x40
	write(t, path, b)
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedStateIsRefusedAndKept damages the state of a stopped gateway. Starting has to fail with words that name
// the next step, and must not change a byte.
func TestDamagedStateIsRefusedAndKept(t *testing.T) {
	h := lived(t)
	whole := files(t, h.config.Gateway.StateDir)
	at := func(name string) string { return filepath.Join(h.config.Gateway.StateDir, filepath.FromSlash(name)) }
	journal := at("ledger/journal")
	for path := range whole {
		if strings.Contains(filepath.Base(path), "journal") && strings.Contains(path, "ledger") {
			journal = path
		}
	}
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T)
		says   []string // of the error or its hint
	}{
		{"the database's header is overwritten", func(t *testing.T) {
			b := bytes.Clone(whole[at("peerbee.db")])
			copy(b, bytes.Repeat([]byte{0xA5}, 512))
			write(t, at("peerbee.db"), b)
		}, []string{"peerbee.db", ".recover", "Nothing was changed"}},
		{"the database is cut off", func(t *testing.T) {
			b := whole[at("peerbee.db")]
			write(t, at("peerbee.db"), b[:len(b)/2])
		}, []string{"peerbee.db", ".recover"}},
		{"a byte of the journal is flipped", func(t *testing.T) { flip(t, journal, len(whole[journal])/2) }, []string{"journal is damaged", "Restore"}},
		{"the first byte of the journal is flipped", func(t *testing.T) { flip(t, journal, 0) }, []string{"journal is damaged", "Restore"}},
		{"the journal is gone", func(t *testing.T) {
			if err := os.Remove(journal); err != nil {
				t.Fatal(err)
			}
		}, []string{"journal"}},
		{"others may read the host key", func(t *testing.T) {
			if err := os.Chmod(at("host.key"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, []string{"chmod 600 " + at("host.key")}},
		{"the host key is garbage", func(t *testing.T) { write(t, at("host.key"), []byte("garbage")) }, []string{at("host.key"), "restore"}},
		{"others may read the ledger's key", func(t *testing.T) {
			if err := os.Chmod(at("ledger/log.key"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, []string{"chmod 600 " + at("ledger/log.key")}},
		{"the ledger's key is gone", func(t *testing.T) {
			if err := os.Remove(at("ledger/log.key")); err != nil {
				t.Fatal(err)
			}
		}, []string{at("ledger/log.key"), "put it back"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for path, b := range whole {
				write(t, path, b)
				if err := os.Chmod(path, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			tt.damage(t)
			before := files(t, h.config.Gateway.StateDir)
			g, err := gateway.Build(t.Context(), h.config, h.logs.logger())
			if err == nil {
				stop := background(t, "the gateway", g.Serve)
				stop()
				t.Fatal("the daemon starts")
			}
			said := err.Error() + "\n" + hint(err)
			t.Log(said)
			for _, want := range tt.says {
				if !strings.Contains(said, want) {
					t.Errorf("%q is not in: %s", want, said)
				}
			}
			after := files(t, h.config.Gateway.StateDir)
			for path, was := range before {
				if strings.HasPrefix(path, at("peerbee.db")) && bytes.Equal(was, whole[path]) {
					continue // a whole database is opened, and notes that it was
				}
				if is, there := after[path]; !there || !bytes.Equal(was, is) {
					t.Errorf("%s was changed or removed", path)
				}
			}
		})
	}
	for path, b := range whole {
		if !strings.HasPrefix(path, at("peerbee.db")) {
			write(t, path, b)
		}
	}
	d := h.start()
	d.phase("running")
	if list := d.history(h.sensor(0)); len(list) < 50 {
		t.Errorf("put back, the state has %d readings", len(list))
	}
}

// TestWrongSettingsAreRefused gives Build what Validate cannot judge.
func TestWrongSettingsAreRefused(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, port, err := net.SplitHostPort(busy.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(h *house){
		"listen: garbage":       func(h *house) { h.config.P2P.Listen = []string{"/garbage"} },
		"listen: half":          func(h *house) { h.config.P2P.Listen = []string{"/ip4/127.0.0.1/tcp/x"} },
		"listen: taken":         func(h *house) { h.config.P2P.Listen = []string{"/ip4/127.0.0.1/tcp/" + port} },
		"hives: garbage":        func(h *house) { h.config.P2P.Hives = []string{"/ip4/127.0.0.1/tcp/1/p2p/garbage"} },
		"hives: no address":     func(h *house) { h.config.P2P.Hives = []string{"hive.example/p2p/x"} },
		"state_dir: a file":     func(h *house) { write(h.t.(*testing.T), h.config.Gateway.StateDir, nil) },
		"state_dir: impossible": func(h *house) { h.config.Gateway.StateDir = "/proc/peerbee" },
	} {
		t.Run(name, func(t *testing.T) {
			h := newEmptyHouse(t)
			set(h)
			g, err := gateway.Build(t.Context(), h.config, h.logs.logger())
			if err == nil {
				background(t, "the gateway", g.Serve)()
				t.Fatal("the daemon starts")
			}
			t.Logf("%v\nhint: %s", err, hint(err))
			if hint(err) == "" {
				t.Errorf("no next step: %v", err)
			}
		})
	}
}

// TestOneDaemonAtATime starts a second daemon on the same state.
func TestOneDaemonAtATime(t *testing.T) {
	h := newEmptyHouse(t)
	h.start()
	_, err := gateway.Build(t.Context(), h.config, h.logs.logger())
	if err == nil || !strings.Contains(err.Error(), "in use by another peerbee") {
		t.Errorf("a second daemon: %v", err)
	}
}

// TestFileInPlaceOfTheSocketIsKept has somebody's file where the local API's socket should be.
func TestFileInPlaceOfTheSocketIsKept(t *testing.T) {
	h := newEmptyHouse(t)
	write(t, h.config.API.Socket, []byte("precious"))
	g, err := gateway.Build(t.Context(), h.config, h.logs.logger())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := g.Serve(ctx); hint(err) == "" || !strings.Contains(err.Error(), h.config.API.Socket) {
		t.Errorf("the daemon ended with %v, next step %q", err, hint(err))
	}
	if b, err := os.ReadFile(h.config.API.Socket); err != nil || string(b) != "precious" {
		t.Errorf("the file is %q now (%v)", b, err)
	}
}
