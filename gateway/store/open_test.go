package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peerbee/peerbee/gateway/reading"
)

// oldFile makes a database from testdata/name, the text of a file that an older version wrote.
func oldFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "peerbee.db")
	execute(t, path, string(text))
	return path
}

func execute(t *testing.T, path, text string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOldSchemas(t *testing.T) {
	for _, name := range []string{"schema1.sql"} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Options{Path: oldFile(t, name)})
			var version int
			if err := s.w.QueryRowContext(t.Context(), "PRAGMA user_version").Scan(&version); err != nil || version != len(migrations) {
				t.Errorf("version %d, %v", version, err)
			}
			if s.Epoch() != 0x0102030405060708 {
				t.Errorf("epoch %x", s.Epoch())
			}
			d, err := s.Device(t.Context(), "kitchen")
			if err != nil || d.Key != dev1 || string(d.Record) != `{"model":"lumi.weather"}` {
				t.Errorf("got %+v, %v", d, err)
			}
			want := []reading.Reading{
				{Stream: dev1, Epoch: s.Epoch(), Seq: 1, Time: time.UnixMilli(1_790_000_000_000), Values: []reading.Value{num("temperature", 21.5)}},
				{
					Stream: dev1, Epoch: s.Epoch(), Seq: 2, Time: time.UnixMilli(1_790_000_060_000), Clock: reading.TimeHoldover, Desc: "2d134959ca560fa7",
					Values: []reading.Value{num("temperature", 21.75), {Name: "contact", Value: true}},
				},
			}
			if diff := cmp.Diff(want, sinceAll(t, s, dev1, 0)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]Gap{{dev1, 3, 4096}}, s.Lost()); diff != "" {
				t.Errorf("lost (-want +got):\n%s", diff)
			}
			grants, err := s.Grants(t.Context())
			if err != nil || len(grants) != 1 || grants[0].Device != "*" || len(grants[0].Except) != 0 {
				t.Errorf("got %+v, %v", grants, err)
			}
			tickets, err := s.Tickets(t.Context())
			if err != nil || len(tickets) != 1 || tickets[0].Rights[0].Device != "*" {
				t.Errorf("got %+v, %v", tickets, err)
			}
			if r := add(t, s, dev1, start, num("temperature", 1)); r.Seq != 4097 {
				t.Errorf("the next number is %d", r.Seq)
			}
		})
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peerbee.db")
	shut(t, open(t, Options{Path: path}))
	execute(t, path, "PRAGMA user_version = 1000")
	if _, err := Open(t.Context(), Options{Path: path}); !errors.Is(err, ErrNewer) {
		t.Errorf("got %v", err)
	}
}

func TestDamageIsToldAndNothingIsTouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peerbee.db")
	s := open(t, Options{Path: path})
	put(t, s, dev1)
	for range 5000 {
		add(t, s, dev1, start, num("temperature", 21.5))
	}
	shut(t, s)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := func(n int, b []byte) []byte { return b[n*4096 : (n+1)*4096] }
	root := func(table string) int {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}()
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT rootpage FROM sqlite_schema WHERE name = ?", table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n - 1
	}
	devices, latest, readings := root("devices"), root("latest"), root("readings")
	for name, damage := range map[string]func([]byte) []byte{
		"another file":     func([]byte) []byte { return bytes.Repeat([]byte("not a database\n"), 1000) },
		"a damaged header": func(b []byte) []byte { copy(b, "SQLite format 9"); return b },
		"a page of zeros":  func(b []byte) []byte { clear(page(devices, b)); return b },
		"a page of noise":  func(b []byte) []byte { copy(page(latest, b), bytes.Repeat([]byte{0xa5}, 4096)); return b },
		"readings, after an unclean stop": func(b []byte) []byte {
			path := filepath.Join(t.TempDir(), "unclean.db")
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			execute(t, path, "UPDATE meta SET value = '0' WHERE key = 'clean'")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			clear(page(readings, b))
			return b
		},
		"half of it":          func(b []byte) []byte { return b[:len(b)/8192*4096] },
		"a damaged page head": func(b []byte) []byte { page(latest, b)[3] = 0xff; return b },
	} {
		t.Run(name, func(t *testing.T) {
			bad := damage(bytes.Clone(good))
			path := filepath.Join(t.TempDir(), "peerbee.db")
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), Options{Path: path})
			if err == nil {
				shut(t, s)
				t.Fatal("it is opened")
			}
			var ce *CorruptError
			if !errors.As(err, &ce) || !strings.Contains(err.Error(), "mv -f '"+path) || !strings.Contains(err.Error(), ".recover") {
				t.Errorf("got %v", err)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, bad) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

func TestTwoProcessesCannotShareAFile(t *testing.T) {
	s := open(t, Options{})
	if _, err := Open(t.Context(), Options{Path: s.opt.Path}); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v", err)
	}
	if fi, err := os.Stat(s.opt.Path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

func TestMeta(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peerbee.db")
	s := open(t, Options{Path: path})
	secret, err := s.DiscoverySecret(t.Context())
	if err != nil || len(secret) != 32 {
		t.Errorf("%x, %v", secret, err)
	}
	if err := errors.Join(s.SetName(t.Context(), "home"), s.SetNetwork(t.Context(), []byte("{}")), s.SetMeta(t.Context(), "x/y", []byte("z"))); err != nil {
		t.Fatal(err)
	}
	if at, err := s.LastTime(t.Context()); err != nil || !at.IsZero() {
		t.Errorf("%v, %v", at, err)
	}
	late := time.UnixMilli(4_000_000_000_000)
	for _, at := range []time.Time{start, late, start} {
		if err := s.SetLastTime(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, s)
	s = open(t, Options{Path: path})
	if at, err := s.LastTime(t.Context()); err != nil || !at.Equal(late) {
		t.Errorf("%v, %v", at, err)
	}
	if name, err := s.Name(t.Context()); err != nil || name != "home" {
		t.Errorf("%q, %v", name, err)
	}
	if b, err := s.Network(t.Context()); err != nil || string(b) != "{}" {
		t.Errorf("%q, %v", b, err)
	}
	if b, ok, err := s.Meta(t.Context(), "x/y"); err != nil || !ok || string(b) != "z" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestDevices(t *testing.T) {
	s := open(t, Options{})
	put(t, s, dev1, dev2)
	if err := s.RenameDevice(t.Context(), dev1, "kitchen"); err != nil {
		t.Fatal(err)
	}
	if err := s.RenameDevice(t.Context(), dev2, "kitchen"); !errors.Is(err, ErrNameTaken) {
		t.Errorf("got %v", err)
	}
	if err := s.RenameDevice(t.Context(), "garden", "x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if err := s.PutDevice(t.Context(), "xyz", nil); err == nil {
		t.Error("a bad key is taken")
	}
	add(t, s, dev1, start, num("a", 1))
	flush(t, s)
	if err := s.RemoveDevice(t.Context(), "kitchen"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(t.Context(), dev1); !errors.Is(err, ErrNotFound) {
		t.Errorf("a removed device gets a number: %v", err)
	}
	if err := s.AddReading(&reading.Reading{Stream: dev1, Seq: 2}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a removed device's reading: %v", err)
	}
	if latest, err := s.Latest(t.Context()); err != nil || len(latest) != 0 {
		t.Errorf("%v, %v", latest, err)
	}
	if err := s.RenameDevice(t.Context(), dev2, "kitchen"); err != nil {
		t.Errorf("the name is not free: %v", err)
	}
	all, err := s.Devices(t.Context(), true)
	if err != nil || len(all) != 2 || !all[0].Removed || all[1].Name != "kitchen" {
		t.Errorf("%+v, %v", all, err)
	}
	path := s.opt.Path
	shut(t, s)
	s = open(t, Options{Path: path})
	put(t, s, dev1)
	if r := add(t, s, dev1, start, num("a", 2)); r.Seq != 2 {
		t.Errorf("a device that came back gets number %d", r.Seq)
	}
	if all, err = s.Devices(t.Context(), false); err != nil || len(all) != 2 || all[0].Name != dev1 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestAuditIsAppendOnly(t *testing.T) {
	s := open(t, Options{})
	if err := s.Audit(t.Context(), AuditEntry{Actor: "uid:0", Action: "test", Subject: "s", Outcome: "ok", Detail: "d"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.w.ExecContext(t.Context(), "UPDATE audit SET actor = 'x'"); err == nil {
		t.Error("a line was changed")
	}
	log, err := s.AuditLog(t.Context(), 10)
	if err != nil || len(log) != 1 || log[0].Actor != "uid:0" || log[0].Detail != "d" || log[0].Time.IsZero() {
		t.Errorf("%+v, %v", log, err)
	}
	if err := s.Update(t.Context(), func(tx *Tx) error {
		return errors.Join(tx.Audit(t.Context(), AuditEntry{}), errDisk)
	}); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
	if log, err = s.AuditLog(t.Context(), 10); err != nil || len(log) != 1 {
		t.Errorf("a failed change left %d lines, %v", len(log), err)
	}
}

func TestClosedStore(t *testing.T) {
	s := open(t, Options{})
	put(t, s, dev1)
	shut(t, s)
	ctx := context.Background()
	if err := s.Close(ctx); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := s.Flush(ctx); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := s.Next(ctx, dev1); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := s.AddReading(&reading.Reading{Stream: dev1}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := s.Since(ctx, dev1, 0, nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func FuzzSegment(f *testing.F) {
	g := newSegment(1)
	g.add(&row{dev: &deviceState{id: 3}, seq: 7})
	g.add(&row{dev: &deviceState{id: 200}, seq: 1 << 40})
	f.Add(g.encode(), int64(200))
	f.Fuzz(func(t *testing.T, b []byte, device int64) {
		var g segment
		err := g.decode(b)
		sp, ok, findErr := findSpan(b, device)
		if err == nil && (findErr != nil || ok && sp.hi-sp.lo > 0 && len(g.spans) == 0) {
			t.Fatalf("%x: %v, %v", b, sp, findErr)
		}
	})
}
