package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/creack/pty"
)

const cannedBackup = `{"metadata": {"format": "zigpy/open-coordinator-backup"}, "network_key": {"key": "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"}}`

// backupDaemon answers the request for a backup on a socket in a folder of its own.
func backupDaemon(t *testing.T) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	socket = filepath.Join(dir, "sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/network/backup", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, cannedBackup); err != nil {
			t.Error(err)
		}
	})
	s := &http.Server{Handler: mux}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return socket
}

// backUp runs the command and gives its exit status and all it printed.
func backUp(in io.Reader, args ...string) (int, string) {
	var out bytes.Buffer
	code := run(context.Background(), append([]string{"network", "backup"}, args...), in, &out, &out)
	return code, out.String()
}

// TestBackupDecrypts opens what the command wrote with age itself.
func TestBackupDecrypts(t *testing.T) {
	socket, dir := backupDaemon(t), t.TempDir()
	one, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	two, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	words := filepath.Join(dir, "words")
	if err := os.WriteFile(words, []byte("correct horse\r\nnot this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	passphrase, err := age.NewScryptIdentity("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		args   []string
		opened []age.Identity
	}{
		{"recipients", []string{"--recipient", one.Recipient().String(), "--recipient", two.Recipient().String()}, []age.Identity{one, two}},
		{"passphrase", []string{"--passphrase-file", words}, []age.Identity{passphrase}},
		{"plain", []string{"--plain"}, nil},
	} {
		file := filepath.Join(dir, c.name)
		code, said := backUp(nil, append(c.args, "-f", file, "--socket", socket)...)
		if code != exitOK || strings.Contains(said, "a5a5") {
			t.Errorf("%s: exit status %d, %s", c.name, code, said)
		}
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", c.name, st.Mode(), err)
		}
		for _, identity := range c.opened {
			if bytes.Contains(body, []byte("a5a5")) {
				t.Errorf("%s: the key is in the file", c.name)
			}
			r, err := age.Decrypt(bytes.NewReader(body), identity)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if plain, err := io.ReadAll(r); err != nil || strings.TrimSpace(string(plain)) != cannedBackup {
				t.Errorf("%s: %v, %s", c.name, err, plain)
			}
		}
		if c.opened == nil && strings.TrimSpace(string(body)) != cannedBackup {
			t.Errorf("%s: %s", c.name, body)
		}
		again, said := backUp(nil, append(c.args, "-f", file, "--socket", socket)...)
		if now, err := os.ReadFile(file); again != exitFailed || err != nil || !bytes.Equal(now, body) {
			t.Errorf("%s: written over: exit status %d, %s, %v", c.name, again, said, err)
		}
	}
}

// TestBackupAsks types passphrases at a terminal.
func TestBackupAsks(t *testing.T) {
	socket := backupDaemon(t)
	for _, c := range []struct {
		typed string
		code  int
		says  string
	}{
		{"one\ntwo\n", exitUsage, "the two passphrases differ"},
		{"\n\n", exitUsage, "the passphrase is empty"},
		{"one\none\n", exitOK, "encrypted"},
	} {
		file := filepath.Join(t.TempDir(), "backup")
		terminal, tty, err := pty.Open()
		if err != nil {
			t.Skip("this machine has no terminals to give:", err)
		}
		if _, err := io.WriteString(terminal, c.typed); err != nil {
			t.Fatal(err)
		}
		code, said := backUp(tty, "-f", file, "--socket", socket)
		if code != c.code || !strings.Contains(said, c.says) || strings.Contains(said, "one") {
			t.Errorf("%q: exit status %d, %s", c.typed, code, said)
		}
		if _, err := os.Stat(file); (err == nil) != (c.code == exitOK) {
			t.Errorf("%q: file: %v", c.typed, err)
		}
		if err := errors.Join(tty.Close(), terminal.Close()); err != nil {
			t.Error(err)
		}
	}
}
