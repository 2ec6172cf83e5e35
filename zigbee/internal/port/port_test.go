package port

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseSpec(t *testing.T) {
	good := map[string]Spec{
		"/dev/ttyUSB0":                      {Path: "/dev/ttyUSB0", Baud: 115200},
		"/dev/ttyUSB0?rtscts=1&baud=460800": {Path: "/dev/ttyUSB0", Baud: 460800, RTSCTS: true},
		"tcp://192.168.1.7:6638":            {Host: "192.168.1.7:6638"},
		"tcp://[fe80::1]:6638/":             {Host: "[fe80::1]:6638"},
	}
	for text, want := range good {
		got, err := ParseSpec(text)
		if err != nil || got != want {
			t.Errorf("ParseSpec(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "ttyUSB0", "tcp://", "tcp://host", "tcp://:6638", "tcp://host:0", "tcp://host:70000", "udp://host:1",
		"/dev/ttyUSB0?speed=9", "/dev/ttyUSB0?baud=0", "/dev/ttyUSB0?rtscts=perhaps", "/dev/ttyUSB0?%zz",
	} {
		_, err := ParseSpec(text)
		var e *Error
		if !errors.Is(err, ErrSpec) || !errors.As(err, &e) || e.Next == "" {
			t.Errorf("ParseSpec(%q): %v, want ErrSpec with a next step", text, err)
		}
	}
}

// openPTY gives the far side of a pseudo terminal and the path of the near side.
func openPTY(t *testing.T) (*os.File, string) {
	t.Helper()
	far, near, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	path := near.Name()
	if err := near.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() }) // a test may have closed it already
	return far, path
}

func openPort(t *testing.T, spec string) io.ReadWriteCloser {
	t.Helper()
	p, err := Open(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() }) // a test may have closed it already
	return p
}

func TestSerialCarriesEveryByte(t *testing.T) {
	far, path := openPTY(t)
	p := openPort(t, path)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, way := range []struct {
		name string
		from io.Writer
		to   io.Reader
	}{{"to the stick", p, far}, {"from the stick", far, p}} {
		if _, err := way.from.Write(all); err != nil {
			t.Fatal(way.name, err)
		}
		got := make([]byte, len(all))
		if _, err := io.ReadFull(way.to, got); err != nil || !bytes.Equal(got, all) {
			t.Errorf("%s: %x, %v", way.name, got, err)
		}
	}
}

func TestCloseUnblocksRead(t *testing.T) {
	_, path := openPTY(t)
	p := openPort(t, path)
	ended := make(chan error, 1)
	go func() {
		_, err := p.Read(make([]byte, 1))
		ended <- err
	}()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("Read of a closed port returned no error")
	}
	if err := p.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := p.Write([]byte{1}); err == nil {
		t.Error("Write to a closed port returned no error")
	}
}

func TestVanishedPortEndsRead(t *testing.T) {
	far, path := openPTY(t)
	p := openPort(t, path)
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Read(make([]byte, 8)); err == nil {
		t.Errorf("Read of a vanished port: %d bytes, no error", n)
	}
}

func TestSecondOpenIsBusy(t *testing.T) {
	_, path := openPTY(t)
	openPort(t, path)
	_, err := Open(t.Context(), path)
	var e *Error
	if !errors.Is(err, ErrBusy) || !errors.As(err, &e) || e.Next == "" {
		t.Fatalf("second Open: %v, want ErrBusy with a next step", err)
	}
}

func TestReopenAfterClose(t *testing.T) {
	_, path := openPTY(t)
	for range 3 {
		p, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenExplains(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, kind := range map[string]error{filepath.Join(dir, "absent"): ErrMissing, plain: ErrNotSerial, dir: ErrNotSerial} {
		_, err := Open(t.Context(), path)
		var e *Error
		if !errors.Is(err, kind) || !errors.As(err, &e) || e.Next == "" || !strings.Contains(e.Problem, path) {
			t.Errorf("Open(%s): %v, want %v with a next step", path, err, kind)
		}
	}
	if err := explainOpen("/dev/x", os.ErrPermission); !strings.Contains(err.Error(), "sudo adduser $USER dialout") {
		t.Errorf("no permission: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, "/dev/null"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled Open: %v", err)
	}
}

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	echoed := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			echoed <- err
			return
		}
		_, err = io.CopyN(c, c, 3)
		echoed <- errors.Join(err, c.Close(), l.Close())
	}()
	p := openPort(t, "tcp://"+l.Addr().String())
	if _, err := p.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3)
	if _, err := io.ReadFull(p, got); err != nil || string(got) != "abc" {
		t.Errorf("echo: %q, %v", got, err)
	}
	if err := <-echoed; err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(got); err == nil {
		t.Error("Read after the far end closed returned no error")
	}
	if _, err := Open(t.Context(), "tcp://"+l.Addr().String()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("closed TCP port: %v, want ErrUnreachable", err)
	}
}

func TestHolders(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "proc/4242/comm"), "zigbee2mqtt\n")
	link(t, "/dev/ttyUSB7", filepath.Join(root, "proc/4242/fd/12"))
	link(t, "/dev/ttyUSB7", filepath.Join(root, "proc/4242/fd/13"))
	link(t, "/dev/null", filepath.Join(root, "proc/4243/fd/0"))
	got := holders(root, "/dev/ttyUSB7")
	if diff := cmp.Diff([]string{"zigbee2mqtt (process 4242)"}, got); diff != "" {
		t.Error(diff)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func FuzzParseSpec(f *testing.F) {
	for _, text := range []string{"/dev/ttyUSB0?rtscts=1&baud=9600", "tcp://[fe80::1%25eth0]:6638", "tcp://host", "?", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		spec, err := ParseSpec(text)
		if (err == nil) == (spec.Path == "" && spec.Host == "") || err == nil && spec.Path != "" && spec.Baud <= 0 {
			t.Errorf("%q: %+v, %v", text, spec, err)
		}
	})
}
