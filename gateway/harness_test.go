package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/gateway"
	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi"
	"github.com/peerbee/peerbee/gateway/localapi/client"
	"github.com/peerbee/peerbee/gateway/subscriber"
	"github.com/peerbee/peerbee/zigbee/sim"
)

// TestMain is also the daemon that the kill test runs and kills: this binary, started again.
func TestMain(m *testing.M) {
	if file := os.Getenv(daemonEnv); file != "" {
		os.Exit(daemonMain(file))
	}
	goleak.VerifyTestMain(m)
}

// patience bounds every wait; a test that has to wait so long has failed.
const patience = 60 * time.Second

// soak reports whether the long counts are asked for.
func soak() bool { return os.Getenv("PEERBEE_SOAK") != "" }

// short makes a folder with a short path: a unix socket's has at most 107 bytes.
func short(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// until waits for check to hold.
func until(t testing.TB, what string, check func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for !check() {
		if time.Now().After(end) {
			t.Fatalf("gave up waiting for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// logs keeps what is logged and shows it only when the test fails.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func newLogs(t testing.TB) *logs {
	l := &logs{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(l.String())
		}
	})
	return l
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// background runs serve until the test ends and fails the test when it ends by itself.
func background(t testing.TB, what string, serve func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			early := false
			select {
			case err := <-done:
				early = true
				done <- err
			default:
			}
			cancel()
			select {
			case err := <-done:
				if early || err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("%s ended: %v", what, err)
				}
			case <-time.After(patience):
				t.Errorf("%s does not stop", what)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// house is where a gateway lives: a simulated stick on a serial port, a state folder, a configuration.
type house struct {
	t      testing.TB
	dir    string
	stick  *sim.Stick
	config config.Config
	logs   *logs
}

// newHouse plugs a simulated stick in; nothing else runs yet.
func newHouse(t testing.TB, o sim.Options) *house {
	t.Helper()
	h := newEmptyHouse(t)
	if o.Interval == 0 {
		o.Interval = time.Hour // readings come when a test asks for them
	}
	stick, err := sim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.stick = stick
	port := filepath.Join(h.dir, "tty")
	h.config.Zigbee.Port = port
	background(t, "the stick", func(ctx context.Context) error { return stick.ServePTY(ctx, port) })
	until(t, "the serial port", func() bool { _, err := os.Lstat(port); return err == nil })
	return h
}

// newEmptyHouse has no stick.
func newEmptyHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, dir: short(t), config: config.Default(), logs: newLogs(t)}
	h.config.Gateway = config.Gateway{Name: "home", StateDir: filepath.Join(h.dir, "state")}
	h.config.Zigbee.Port = "none"
	h.config.P2P = config.P2P{Mode: config.ModeOn, Listen: []string{fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", freePort(t))}}
	h.config.API.Socket = filepath.Join(h.dir, "sock")
	h.config.Store.CommitEvery = config.Duration(100 * time.Millisecond)
	if err := h.config.Validate("test"); err != nil {
		t.Fatal(err)
	}
	return h
}

// freePort gives a TCP port that nobody listens at, for gateways that have to be found there again.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// daemon is a running gateway with a client of its local API.
type daemon struct {
	t    testing.TB
	api  *client.Client
	stop func()
}

func (h *house) start() *daemon {
	h.t.Helper()
	g, err := gateway.Build(context.Background(), h.config, h.logs.logger())
	if err != nil {
		h.t.Fatal(err)
	}
	stop := background(h.t, "the gateway", g.Serve)
	d := h.dial()
	d.stop = func() { d.api.Close(); stop() }
	return d
}

// dial waits for the daemon's local API, whoever runs it.
func (h *house) dial() *daemon {
	h.t.Helper()
	d := &daemon{t: h.t, api: client.New(h.config.API.Socket)}
	h.t.Cleanup(d.api.Close)
	until(h.t, "the local API", func() bool {
		var s api.Status
		return d.api.Get(context.Background(), "/v1/status", &s) == nil
	})
	return d
}

func (d *daemon) get(path string, out any) {
	d.t.Helper()
	if err := d.api.Get(d.t.Context(), path, out); err != nil {
		d.t.Fatalf("GET %s: %v", path, err)
	}
}

func (d *daemon) post(path string, in, out any) {
	d.t.Helper()
	if err := d.api.Post(d.t.Context(), path, in, out); err != nil {
		d.t.Fatalf("POST %s: %v", path, err)
	}
}

// refused expects an answer with that status and gives it.
func (d *daemon) refused(code int, err error) *localapi.Error {
	d.t.Helper()
	var e *localapi.Error
	if !errors.As(err, &e) || e.Code != code {
		d.t.Fatalf("answered %v, want status %d", err, code)
	}
	if e.Hint == "" {
		d.t.Errorf("%q names no next step", e.Text)
	}
	return e
}

func (d *daemon) status() api.Status {
	d.t.Helper()
	var s api.Status
	d.get("/v1/status", &s)
	return s
}

func (d *daemon) phase(want string) api.Zigbee {
	d.t.Helper()
	var z api.Zigbee
	until(d.t, "phase "+want, func() bool { z = d.status().Zigbee; return z.Phase == want })
	return z
}

func (d *daemon) devices() map[string]api.Device {
	d.t.Helper()
	var list []api.Device
	d.get("/v1/devices", &list)
	m := map[string]api.Device{}
	for _, dev := range list {
		m[dev.ID] = dev
	}
	return m
}

func (d *daemon) form() {
	d.t.Helper()
	d.phase("needs-decision")
	var n api.Network
	d.post("/v1/network/form", api.Form{Channel: 15}, &n)
	d.phase("running")
}

// pair opens the network until want devices are interviewed and registered.
func (d *daemon) pair(want int) {
	d.t.Helper()
	d.post("/v1/pair", api.Pair{Seconds: 254}, nil)
	until(d.t, fmt.Sprintf("%d registered devices", want), func() bool {
		done := 0
		for _, dev := range d.devices() {
			if dev.Interview == "done" && dev.Chain != "" {
				done++
			}
		}
		return done == want
	})
	d.post("/v1/pair", api.Pair{}, nil)
}

func (d *daemon) share(s api.Share) string {
	d.t.Helper()
	var k api.Ticket
	d.post("/v1/shares", s, &k)
	return k.Text
}

// history gives the stored readings of a device in the order of their numbers.
func (d *daemon) history(device string) []api.Reading {
	d.t.Helper()
	var list []api.Reading
	err := d.api.Stream(d.t.Context(), "/v1/devices/"+device+"/history", func(line json.RawMessage) error {
		var r api.Reading
		err := json.Unmarshal(line, &r)
		list = append(list, r)
		return err
	})
	if err != nil {
		d.t.Fatalf("history of %s: %v", device, err)
	}
	slices.SortFunc(list, func(a, b api.Reading) int { return int(a.Seq) - int(b.Seq) })
	return list
}

// audited reports whether the audit log has a line with that action and outcome whose subject or detail contains
// text.
func (d *daemon) audited(action, outcome, text string) bool {
	d.t.Helper()
	var lines []api.Audit
	d.get("/v1/audit", &lines)
	return slices.ContainsFunc(lines, func(l api.Audit) bool {
		return l.Action == action && l.Outcome == outcome && strings.Contains(l.Subject+" "+l.Detail, text)
	})
}

// sensor gives the address of the n-th simulated sensor.
func (h *house) sensor(n int) string { return h.stick.Sensors()[n].IEEE }

// set gives a simulated sensor's property a value, which it reports.
func (h *house) set(n int, property string, value float64) {
	h.t.Helper()
	if err := h.stick.Set(h.stick.Sensors()[n].Name, property, value); err != nil {
		h.t.Fatal(err)
	}
}

// guest is a subscribing peer with what it was told so far.
type guest struct {
	t    testing.TB
	peer *subscriber.Peer

	mu     sync.Mutex // guards the fields below
	events []subscriber.Event
	ended  bool
	err    error
}

func newGuest(t testing.TB, hives ...string) *guest {
	t.Helper()
	return openGuest(t, filepath.Join(short(t), "peer"), hives...)
}

// openGuest is newGuest in a folder that may hold an earlier life.
func openGuest(t testing.TB, dir string, hives ...string) *guest {
	t.Helper()
	p, err := subscriber.Open(t.Context(), subscriber.Options{
		Dir: dir, Hives: hives, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, NoMDNS: true, Log: newLogs(t).logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return &guest{t: t, peer: p}
}

func (g *guest) enrol(ticket string) string {
	g.t.Helper()
	name, err := g.peer.Enrol(g.t.Context(), ticket, "")
	if err != nil {
		g.t.Fatal(err)
	}
	return name
}

// follow subscribes until the test ends or the returned function is called.
func (g *guest) follow(gateway string, f subscriber.Filter) (stop func()) {
	g.t.Helper()
	g.mu.Lock()
	g.ended, g.err = false, nil
	g.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := g.peer.Subscribe(ctx, gateway, f, func(e subscriber.Event) error {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.events = append(g.events, e)
			return nil
		})
		g.mu.Lock()
		defer g.mu.Unlock()
		g.ended, g.err = true, err
	}()
	stop = func() { cancel(); <-done }
	g.t.Cleanup(stop)
	until(g.t, "the peer's connection", func() bool {
		_, ended, err := g.told()
		if ended {
			g.t.Fatalf("the subscription ended: %v", err)
		}
		return g.has(func(e subscriber.Event) bool { return e.State == "connected" })
	})
	return stop
}

// told gives what arrived so far, and whether and why the subscription ended.
func (g *guest) told() (events []subscriber.Event, ended bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.events), g.ended, g.err
}

// forget drops what arrived so far.
func (g *guest) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.events = nil
}

func (g *guest) has(match func(subscriber.Event) bool) bool {
	events, _, _ := g.told()
	return slices.ContainsFunc(events, match)
}

// value gives the newest value that arrived of a device's property, with its unit.
func (g *guest) value(device, property string) (value any, unit string) {
	events, _, _ := g.told()
	for _, e := range slices.Backward(events) {
		if e.Reading == nil || e.Reading.Stream != device {
			continue
		}
		for _, v := range e.Reading.Values {
			if v.Name == property {
				return v.Value, e.Units[property]
			}
		}
	}
	return nil, ""
}

// receives waits for a value.
func (g *guest) receives(device, property string, want any, unit string) {
	g.t.Helper()
	var got any
	var gotUnit string
	end := time.Now().Add(patience)
	for {
		if got, gotUnit = g.value(device, property); got == want && gotUnit == unit {
			return
		}
		if _, ended, err := g.told(); ended || time.Now().After(end) {
			g.t.Fatalf("%s of %s is %v %q, want %v %q (subscription: %v)", property, device, got, gotUnit, want, unit, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
