package gateway_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/subscriber"
	"github.com/peerbee/peerbee/zigbee/sim"
)

// TestReadingsGoOnWhateverTheStickDoes takes the stick away, resets it, stalls it and dirties its line. The same
// daemon and the same subscription go on.
func TestReadingsGoOnWhateverTheStickDoes(t *testing.T) {
	h := newHouse(t, sim.Options{Seed: 8, Sensors: []sim.SensorSpec{{Kind: "temperature"}}})
	d := h.start()
	d.form()
	d.pair(1)
	g := newGuest(t)
	g.follow(g.enrol(d.share(api.Share{Label: "anna", Devices: []string{"*"}})), subscriber.Filter{})
	network := *d.status().Zigbee.Network
	pause := time.Second
	if soak() {
		pause = 10 * time.Second
	}
	for i, fault := range []struct {
		name string
		do   func() error
		gone string // the phase to be seen meanwhile
	}{
		{"nothing", func() error { return nil }, ""},
		{"unplugged", func() error { h.stick.Unplug(pause); return nil }, "no-stick"},
		{"reset", func() error { h.stick.Reset(); return nil }, ""},
		{"stalled", func() error { h.stick.Stall(pause); return nil }, ""},
		{"stray start bytes", func() error {
			for range 5 {
				h.stick.Stray()
			}
			return nil
		}, ""},
		{"garbage", func() error { return h.stick.SetFaults(sim.Faults{GarbageBytes: 16, GarbageEvery: 2}) }, ""},
		{"bytes dropped", func() error { return h.stick.SetFaults(sim.Faults{Drop: 0.01}) }, ""},
		{"clean again", func() error { return h.stick.SetFaults(sim.Faults{}) }, ""},
	} {
		if err := fault.do(); err != nil {
			t.Fatal(err)
		}
		if fault.gone != "" {
			if z := d.phase(fault.gone); z.Problem == "" || z.Hint == "" {
				t.Errorf("%s: the problem is %q, next %q", fault.name, z.Problem, z.Hint)
			}
		}
		want := float64(20 + i)
		until(t, "readings while the stick is "+fault.name, func() bool {
			h.set(0, "temperature", want) // again: a report is not repeated by the sensor
			time.Sleep(20 * time.Millisecond)
			got, _ := g.value(h.sensor(0), "temperature")
			return got == want
		})
	}
	if z := d.phase("running"); *z.Network != network {
		t.Errorf("the network was %+v and is %+v", network, *z.Network)
	}
	if list := d.devices(); len(list) != 1 {
		t.Errorf("%d devices, want 1", len(list))
	}
}

func TestStickIsPluggedInLater(t *testing.T) {
	h := newEmptyHouse(t)
	port := filepath.Join(h.dir, "tty")
	h.config.Zigbee.Port = port
	d := h.start()
	if z := d.phase("no-stick"); z.Problem == "" || z.Hint == "" {
		t.Errorf("no stick: %q, next %q", z.Problem, z.Hint)
	}
	stick, err := sim.New(sim.Options{Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	background(t, "the stick", func(ctx context.Context) error { return stick.ServePTY(ctx, port) })
	if z := d.phase("needs-decision"); z.Hint != "peerbee network form" {
		t.Errorf("a blank stick: next %q", z.Hint)
	}
}

func TestBlankStickIsFormedByExplicitWordOnly(t *testing.T) {
	h := newHouse(t, sim.Options{Seed: 10, Sensors: []sim.SensorSpec{{Kind: "temperature"}}})
	d := h.start()
	z := d.phase("needs-decision")
	if z.Problem != "the stick is blank" || z.Hint != "peerbee network form" {
		t.Errorf("a blank stick: %q, next %q", z.Problem, z.Hint)
	}
	e := d.refused(409, d.api.Post(t.Context(), "/v1/pair", api.Pair{Seconds: 60}, nil))
	if e.Hint != "peerbee network form" || !strings.Contains(e.Text, "blank") {
		t.Errorf("pairing: %q, next %q", e.Text, e.Hint)
	}
	d.refused(409, d.api.Post(t.Context(), "/v1/network/adopt", nil, nil))
	d.refused(400, d.api.Post(t.Context(), "/v1/network/form", api.Form{Channel: 27}, nil))
	if running, _ := h.stick.Running(); running {
		t.Fatal("the stick runs a network that nobody asked for")
	}
	metrics, err := d.api.Raw(t.Context(), "/v1/metrics")
	if err != nil || !strings.Contains(string(metrics), `peerbee_stick_phase{phase="needs-decision"} 1`) {
		t.Errorf("no metric tells that a decision is needed (%v)", err)
	}
	var n api.Network
	d.post("/v1/network/form", api.Form{Channel: 20}, &n)
	if n.Channel != 20 || n.PAN == "" || n.KeySum == "" {
		t.Errorf("formed %+v", n)
	}
	d.pair(1)
	d.refused(409, d.api.Post(t.Context(), "/v1/network/form", api.Form{}, nil))
	if !d.audited("network.form", "ok", n.ExtendedPAN) {
		t.Error("no line in the audit log about forming")
	}
	if z := d.phase("running"); *z.Network != n {
		t.Errorf("formed %+v, runs %+v", n, *z.Network)
	}
}

// TestOtherFamilyIsNamed answers at the port as an EZSP stick does: the daemon says so and goes on.
func TestOtherFamilyIsNamed(t *testing.T) {
	h := newEmptyHouse(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	background(t, "the other stick", func(ctx context.Context) error { return serveASH(ctx, l) })
	h.config.Zigbee.Port = "tcp://" + l.Addr().String()
	d := h.start()
	z := d.phase("wrong-family")
	if !strings.Contains(z.Problem, "EZSP") || z.Hint == "" {
		t.Errorf("an EZSP stick: %q, next %q", z.Problem, z.Hint)
	}
	if e := d.refused(409, d.api.Post(t.Context(), "/v1/pair", api.Pair{Seconds: 60}, nil)); e.Hint != z.Hint {
		t.Errorf("pairing: next %q, want %q", e.Hint, z.Hint)
	}
}

// serveASH answers whatever comes with the frame RSTACK (UG101 section 4.4): a reset by software of an NCP that
// speaks ASH version 2.
func serveASH(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		conn, err := l.Accept()
		if err != nil {
			return ctx.Err()
		}
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		buf := make([]byte, 256)
		for {
			if _, err := conn.Read(buf); err != nil {
				break
			}
			if _, err := conn.Write([]byte{0x1A, 0xC1, 0x02, 0x0B, 0x0A, 0x52, 0x7E}); err != nil {
				break
			}
		}
		stop()
		conn.Close()
	}
}
