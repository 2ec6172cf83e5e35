package sim

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"
	"golang.org/x/sys/unix"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
)

// eventually waits for real time to bring something about.
func eventually(t testing.TB, what string, happened func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !happened() {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// serving runs something that serves for the time of the test.
func serving(t *testing.T, serve func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) && err != nil {
			t.Errorf("serving ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// ping sends a ping and reads the answer.
func ping(port io.ReadWriter) error {
	if _, err := port.Write([]byte{0xEF, 0xFE, 0x00, 0x21, 0x01, 0x20}); err != nil {
		return err
	}
	want, err := hex.DecodeString(withFCS("6101", "5906"))
	if err != nil {
		return err
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(port, got); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New("wrong answer to a ping: " + hex.EncodeToString(got))
	}
	return nil
}

// openLink opens the terminal behind the link, once there is one that can be opened.
func openLink(t testing.TB, link string) *os.File {
	t.Helper()
	var port *os.File
	eventually(t, "opening "+link, func() bool {
		var err error
		port, err = os.OpenFile(link, os.O_RDWR|unix.O_NOCTTY, 0)
		return err == nil
	})
	return port
}

func TestPTY(t *testing.T) {
	link := filepath.Join(t.TempDir(), "stick")
	s := newStick(t, Options{})
	stop := serving(t, func(ctx context.Context) error { return s.ServePTY(ctx, link) })
	port := openLink(t, link)
	if err := ping(port); err != nil {
		t.Fatal(err)
	}
	// An exclusive terminal stays exclusive when its owner is killed.
	if err := unix.IoctlSetInt(int(port.Fd()), unix.TIOCEXCL, 0); err != nil {
		t.Fatal(err)
	}
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new terminal", func() bool {
		port = openLink(t, link)
		exclusive, err := unix.IoctlGetInt(int(port.Fd()), unix.TIOCGEXCL)
		if err == nil && exclusive == 0 {
			return true
		}
		if err := port.Close(); err != nil {
			t.Error(err)
		}
		return false
	})
	defer port.Close()
	if err := ping(port); err != nil {
		t.Fatalf("the second peer: %v", err)
	}

	s.Unplug(100 * time.Millisecond)
	eventually(t, "the link to vanish", func() bool { _, err := os.Lstat(link); return errors.Is(err, os.ErrNotExist) })
	again := openLink(t, link)
	defer again.Close()
	if err := ping(again); err != nil {
		t.Fatalf("after it was plugged in again: %v", err)
	}
	stop()
	if _, err := os.Lstat(link); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link is left behind: %v", err)
	}
}

func TestPTYRefusesAFile(t *testing.T) {
	link := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(link, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newStick(t, Options{}).ServePTY(t.Context(), link); err == nil || !strings.Contains(err.Error(), "no symbolic link") {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(link); err != nil || string(b) != "data" {
		t.Errorf("the file is now %q, %v", b, err)
	}
}

// TestPTYLoad takes a load over a terminal and counts what comes.
func TestPTYLoad(t *testing.T) {
	link := filepath.Join(t.TempDir(), "stick")
	s := newStick(t, Options{Sensors: []SensorSpec{{Kind: "plug", Joined: true}}})
	serving(t, func(ctx context.Context) error { return s.ServePTY(ctx, link) })
	port := openLink(t, link)
	if err := ping(port); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.commission()
	s.endpoints = append(s.endpoints, registered)
	s.paused = true
	s.mu.Unlock()
	h := listen(t, port)
	const count = 20000
	if err := s.SetLoad(Load{Count: count}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all reports", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(reports(t, h.frames)) == count
	})
	if st := s.Stats(); st.LoadSent != count || st.ReportsUnheard != 0 {
		t.Errorf("%+v", st)
	}
	if err := port.Close(); err != nil {
		t.Error(err)
	}
}

func TestTCP(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newStick(t, Options{})
	serving(t, func(ctx context.Context) error { return s.ServeListener(ctx, listener) })
	for range 3 {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := ping(conn); err != nil {
			t.Error(err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Serve(t.Context(), nil); !errors.Is(err, ErrBusy) {
		t.Errorf("a second port: %v", err)
	}
}

// TestRun drives a whole simulator as the command line does, with its memory kept from one run to the next.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	c := Config{
		PTY: filepath.Join(dir, "stick"), NVSave: filepath.Join(dir, "nv.json"), Control: filepath.Join(dir, "control"),
		Sensors: []string{"temperature,contact", "plug*2+joined"}, Seed: 7,
	}
	var before []SensorState
	for round := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- Run(ctx, c) }()
		var client *Client
		eventually(t, "the control socket", func() bool {
			var err error
			client, err = Dial(c.Control)
			return err == nil
		})
		all, err := client.Sensors(ctx)
		if err != nil {
			t.Fatal(err)
		}
		names := []string{all[0].Name, all[1].Name, all[2].Name, all[3].Name}
		if diff := cmp.Diff([]string{"temperature-1", "contact-1", "plug-1", "plug-2"}, names); diff != "" {
			t.Error(diff)
		}
		if round == 1 {
			if diff := cmp.Diff(before, all); diff != "" {
				t.Errorf("the second run differs: %s", diff)
			}
		} else {
			port := openLink(t, c.PTY)
			if err := ping(port); err != nil {
				t.Fatal(err)
			}
			wire, err := hex.DecodeString(withFCS("2f05", "04"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := port.Write(wire); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the network", func() bool {
				running, _, err := client.Status(ctx)
				return err == nil && running
			})
			if before, err = client.Sensors(ctx); err != nil {
				t.Fatal(err)
			}
			if err := port.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	m, err := nv.Load(c.NVSave)
	if err != nil {
		t.Fatal(err)
	}
	if n, on := m.Network(); !on || len(m.Devices()) != 2 {
		t.Errorf("saved network %+v with %v", n, m.Devices())
	}
}

func TestRunRefuses(t *testing.T) {
	for name, c := range map[string]Config{
		"no port":      {},
		"two ports":    {PTY: "a", TCP: "b"},
		"unknown kind": {PTY: "a", Sensors: []string{"toaster"}},
		"odd count":    {PTY: "a", Sensors: []string{"plug*x"}},
		"odd mark":     {PTY: "a", Sensors: []string{"plug+odd"}},
		"odd mapping":  {PTY: "a", ReplayAs: []string{"plug-1"}},
		"no dump":      {PTY: "a", NV: "/nonexistent/nv.json"},
	} {
		if err := Run(t.Context(), c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestParseSensors(t *testing.T) {
	got, err := ParseSensors([]string{"temperature, plug*2+joined", "contact+sleepy+joined"})
	want := []SensorSpec{
		{Kind: "temperature"},
		{Kind: "plug", Joined: true},
		{Kind: "plug", Joined: true},
		{Kind: "contact", Joined: true, Sleepy: sleepyWindow},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if _, err := New(Options{Sensors: []SensorSpec{{Kind: "plug", Name: "a"}, {Kind: "plug", Name: "a"}}}); err == nil {
		t.Error("two sensors of one name")
	}
	if sources, err := parseSources([]string{"0x56c5=pressure-1"}); err != nil || sources[zb.NetworkAddress(0x56C5)] != "pressure-1" {
		t.Error(sources, err)
	}
}
