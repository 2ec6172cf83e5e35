package gateway_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/subscriber"
	"github.com/peerbee/peerbee/zigbee/sim"
	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// shared gives the folder of recorded data, or skips the test.
func shared(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("PEERBEE_SHARED"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			continue
		}
		if beside := filepath.Join(dir, "..", "shared"); dirExists(filepath.Join(beside, "zigbee")) {
			return beside
		}
		break
	}
	t.Skip("the recorded data is not here: set PEERBEE_SHARED to its folder")
	return ""
}

func dirExists(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// incoming wraps a ZCL frame as the stick gives it to its host: AF_INCOMING_MSG, a line of a recording.
func incoming(t testing.TB, source, cluster uint16, zclHex string) string {
	t.Helper()
	data, err := hex.DecodeString(zclHex)
	if err != nil {
		t.Fatal(err)
	}
	payload := []byte{0, 0, byte(cluster), byte(cluster >> 8), byte(source), byte(source >> 8), 1, 1, 0, 0x45, 0, 0, 0, 0, 0, 0, byte(len(data))}
	payload = append(append(payload, data...), byte(source), byte(source>>8), 29)
	frame := append([]byte{byte(len(payload)), 0x44, 0x81}, payload...)
	sum := byte(0)
	for _, b := range frame {
		sum ^= b
	}
	return fmt.Sprintf("%02x%x%02x\n", unpi.SOF, frame, sum)
}

// The sources of the recorded reports.
const (
	barometer = zb.NetworkAddress(0x56C5) // https://github.com/Koenkk/zigbee2mqtt/issues/20130
	door      = zb.NetworkAddress(0x4E91) // https://github.com/Koenkk/zigbee-herdsman-converters/issues/6816
)

// replayHouse has a sensor for each source of the recordings, interviewed, and a peer that follows all.
func replayHouse(t *testing.T) (*house, *guest, map[zb.NetworkAddress]string) {
	t.Helper()
	h := newHouse(t, sim.Options{Seed: 2, Sensors: []sim.SensorSpec{{Kind: "pressure"}, {Kind: "contact"}, {Kind: "temperature"}}})
	d := h.start()
	d.form()
	d.pair(3)
	g := newGuest(t)
	g.follow(g.enrol(d.share(api.Share{Label: "anna", Devices: []string{"*"}})), subscriber.Filter{})
	return h, g, map[zb.NetworkAddress]string{barometer: "pressure-1", door: "contact-1", 0x1111: "temperature-1"}
}

func (h *house) replay(recording string, sources map[zb.NetworkAddress]string) sim.Replayed {
	h.t.Helper()
	done, err := h.stick.Replay(h.t.Context(), strings.NewReader(recording), sources)
	if err != nil {
		h.t.Fatal(err)
	}
	return done
}

// TestRecordedFramesReachThePeer plays frames recorded from real sticks and sensors into the gateway's serial port;
// what they say has to arrive at a subscribing peer.
func TestRecordedFramesReachThePeer(t *testing.T) {
	recording, err := os.ReadFile(filepath.Join(shared(t), "zigbee", "unpi_recorded.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	h, g, sources := replayHouse(t)
	if done := h.replay(string(recording), sources); done.Sent == 0 || done.Sent+done.Skipped != bytes.Count(recording, []byte("\n")) {
		t.Errorf("played %+v", done)
	}
	g.receives(h.sensor(0), "pressure", 1011.1, "hPa")
	g.receives(h.sensor(1), "contact", true, "")
	g.receives(h.sensor(1), "tamper", false, "")
	g.receives(h.sensor(1), "battery_low", false, "")
}

// TestFramesReachThePeer does the same with single ZCL frames: measurements, an alarm and what an unknown cluster
// says.
func TestFramesReachThePeer(t *testing.T) {
	h, g, sources := replayHouse(t)
	h.replay(incoming(t, 0x1111, 0x0405, "1801"+"0a"+"000021b514")+
		incoming(t, 0x1111, 0x0402, "1802"+"0a"+"000029a2f8")+
		incoming(t, uint16(barometer), 0x0403, "1808"+"0a"+"000029f303140028ff1000297f27")+
		incoming(t, uint16(door), 0x0500, "1944"+"00"+"050000170000")+
		incoming(t, 0x1111, 0xFCC0, "1803"+"0a"+"3401202a"), sources)
	g.receives(h.sensor(2), "humidity", 53.01, "%")
	g.receives(h.sensor(2), "temperature", -18.86, "Cel")
	g.receives(h.sensor(0), "pressure", 1011.1, "hPa")
	g.receives(h.sensor(1), "contact", false, "")
	g.receives(h.sensor(1), "tamper", true, "")
	g.receives(h.sensor(2), "raw_fcc0_0134", int64(42), "")
}

// wire is a TCP line to a stick that notes which commands the gateway gives.
type wire struct {
	listener net.Listener

	mu       sync.Mutex // guards commands
	commands []uint16   // type and subsystem in the high byte, number in the low
}

// tap puts a wire between the gateway and the stick, which serves TCP.
func (h *house) tap() *wire {
	h.t.Helper()
	stick, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	background(h.t, "the stick", func(ctx context.Context) error { return h.stick.ServeListener(ctx, stick) })
	w := &wire{}
	if w.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		h.t.Fatal(err)
	}
	h.config.Zigbee.Port = "tcp://" + w.listener.Addr().String()
	background(h.t, "the tap", func(ctx context.Context) error { return w.serve(ctx, stick.Addr().String()) })
	return w
}

func (w *wire) serve(ctx context.Context, stick string) error {
	defer context.AfterFunc(ctx, func() { w.listener.Close() })()
	for {
		host, err := w.listener.Accept()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if err := w.link(ctx, host, stick); err != nil {
			return err
		}
	}
}

func (w *wire) link(ctx context.Context, host net.Conn, stick string) error {
	defer host.Close()
	conn, err := net.Dial("tcp", stick)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { host.Close() })()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(host, conn)
		host.Close()
	}()
	_, _ = io.Copy(conn, io.TeeReader(host, w))
	conn.Close()
	<-done
	return nil
}

// Write takes what the gateway sends; it is called from one goroutine, frame by frame or in parts.
func (w *wire) Write(p []byte) (int, error) {
	var parser unpi.Parser
	parser.Feed(p, func(f unpi.Frame) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.commands = append(w.commands, uint16(f.Type)<<13|uint16(f.Subsystem)<<8|uint16(f.ID))
	})
	return len(p), nil
}

func (w *wire) gave(commands ...uint16) (found []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.commands {
		if slices.Contains(commands, c) {
			found = append(found, fmt.Sprintf("%04x", c))
		}
	}
	return found
}

// Commands that change a stick's memory (MT API 3.12): OSAL_NV_ITEM_INIT, _WRITE, _DELETE, _WRITE_EXT, NV_CREATE,
// NV_DELETE, NV_WRITE, NV_UPDATE, NV_COMPACT; and SYS_PING, which every bring-up begins with.
var (
	memoryWrites = []uint16{0x2107, 0x2109, 0x2112, 0x211D, 0x2130, 0x2131, 0x2134, 0x2135, 0x2136}
	commandPing  = uint16(0x2101)
)

// TestRealDumpIsAdoptedAndResumed gives the gateway a stick whose memory was dumped from a real one.
func TestRealDumpIsAdoptedAndResumed(t *testing.T) {
	for _, dump := range []string{"CC2652R-ZStack4.formed.json", "CC2531-ZStack3.formed.json"} {
		t.Run(dump, func(t *testing.T) {
			path := filepath.Join(shared(t), "zigbee", "nvram", dump)
			memory, err := nv.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			before := memory.Clone()
			h := newEmptyHouse(t)
			if h.stick, err = sim.New(sim.Options{NV: memory}); err != nil {
				t.Fatal(err)
			}
			w := h.tap()
			d := h.start()
			z := d.phase("needs-decision")
			if z.Hint != "peerbee network adopt" || !strings.Contains(z.Problem, "foreign") {
				t.Errorf("a foreign network: %q, next %q", z.Problem, z.Hint)
			}
			if e := d.refused(409, d.api.Post(t.Context(), "/v1/pair", api.Pair{Seconds: 60}, nil)); e.Hint != "peerbee network adopt" {
				t.Errorf("pairing: %q, next %q", e.Text, e.Hint)
			}
			var n api.Network
			d.post("/v1/network/adopt", nil, &n)
			if z := d.phase("running"); z.Network == nil || *z.Network != n {
				t.Errorf("adopted %+v, running %+v", n, z.Network)
			}
			d.stop()
			d = h.start()
			if z := d.phase("running"); z.Network == nil || *z.Network != n {
				t.Errorf("adopted %+v, resumed %+v", n, z.Network)
			}
			d.stop()
			if len(w.gave(commandPing)) == 0 {
				t.Fatal("the tap heard nothing")
			}
			if wrote := w.gave(memoryWrites...); len(wrote) > 0 {
				t.Errorf("the gateway wrote into the stick's memory: %v", wrote)
			}
			for _, id := range []uint16{0x0021, 0x003A, 0x003B, 0x002D, 0x0062, 0x0083, 0x0084, 0x0087} {
				if was, is := before.Get(nv.Legacy(id)), memory.Get(nv.Legacy(id)); !bytes.Equal(was, is) {
					t.Errorf("item %04x was % x, is % x", id, was, is)
				}
			}
		})
	}
}

// TestAnotherStickIsNotFormed swaps the stick for a blank one behind the same port: the gateway knows its network
// and waits for a person.
func TestAnotherStickIsNotFormed(t *testing.T) {
	h := newEmptyHouse(t)
	var err error
	if h.stick, err = sim.New(sim.Options{Seed: 3}); err != nil {
		t.Fatal(err)
	}
	first := h.tap()
	d := h.start()
	d.form()
	network := d.status().Zigbee.Network
	d.stop()
	if len(first.gave(memoryWrites...)) == 0 {
		t.Fatal("forming writes nothing into the stick's memory, or the tap is deaf")
	}
	if h.stick, err = sim.New(sim.Options{Seed: 4}); err != nil {
		t.Fatal(err)
	}
	second := h.tap()
	d = h.start()
	z := d.phase("needs-decision")
	if !strings.Contains(z.Problem, "blank") || !strings.Contains(z.Problem, network.ExtendedPAN) || z.Hint == "" {
		t.Errorf("a blank stick instead of the known one: %q, next %q", z.Problem, z.Hint)
	}
	if e := d.refused(409, d.api.Post(t.Context(), "/v1/pair", api.Pair{Seconds: 60}, nil)); e.Hint != z.Hint {
		t.Errorf("pairing: %q, next %q", e.Text, e.Hint)
	}
	if wrote := second.gave(memoryWrites...); len(wrote) > 0 {
		t.Errorf("the gateway wrote into the stick's memory: %v", wrote)
	}
}
