package zigbee_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee"
	"github.com/peerbee/peerbee/zigbee/device"
	"github.com/peerbee/peerbee/zigbee/sim"
	"github.com/peerbee/peerbee/zigbee/sim/nv"
)

// cable is a port between a network and a simulated stick in memory. Bytes can be put on the line from outside.
type cable struct {
	conns  chan net.Conn
	closed chan struct{}

	mu   sync.Mutex // guards line and keeps writes whole
	line net.Conn   // towards the network
}

func newCable() *cable { return &cable{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (c *cable) Accept() (net.Conn, error) {
	select {
	case conn := <-c.conns:
		return conn, nil
	case <-c.closed:
		return nil, net.ErrClosed
	}
}

func (c *cable) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}

func (c *cable) Addr() net.Addr { return &net.UnixAddr{Name: "cable"} }

// open is the network's OpenPort; while nobody accepts there is no such port.
func (c *cable) open(ctx context.Context) (io.ReadWriteCloser, error) {
	host, line := net.Pipe()
	near, far := net.Pipe()
	select {
	case c.conns <- far:
	case <-time.After(10 * time.Millisecond):
		return nil, errors.New("no such port")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c.mu.Lock()
	c.line = line
	c.mu.Unlock()
	go func() { // to the stick
		_, err := io.Copy(near, line)
		_ = errors.Join(err, near.Close()) // the other side learns of it as of an unplugged stick
	}()
	go func() { // to the network
		defer line.Close()
		chunk := make([]byte, 1<<16)
		for {
			n, err := near.Read(chunk)
			if err != nil || c.put(line, chunk[:n]) != nil {
				return
			}
		}
	}()
	return host, nil
}

func (c *cable) put(line net.Conn, b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := line.Write(b)
	return err
}

// inject puts bytes between two frames of the stick.
func (c *cable) inject(t *testing.T, b []byte) {
	t.Helper()
	c.mu.Lock()
	line := c.line
	c.mu.Unlock()
	if err := c.put(line, b); err != nil {
		t.Fatal(err)
	}
}

// rig is a network on a simulated stick, with its events.
type rig struct {
	*zigbee.Network
	stick *sim.Stick
	cable *cable

	mu     sync.Mutex // guards events
	events []zigbee.Event
}

// simulate runs a test in a bubble of fake time.
func simulate(t *testing.T, so sim.Options, no zigbee.Options, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if testing.Verbose() {
			no.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
		}
		stick, err := sim.New(so)
		if err != nil {
			t.Fatal(err)
		}
		c := newCable()
		no.Open, no.Port = c.open, "cable"
		r := &rig{Network: zigbee.New(no), stick: stick, cable: c}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { ended(t, "stick", stick.ServeListener(ctx, c)) })
		group.Go(func() { ended(t, "network", r.Serve(ctx)) })
		group.Go(func() { r.collect(ctx) })
		test(t, r)
		cancel()
		group.Wait()
	})
}

func ended(t *testing.T, who string, err error) {
	if !errors.Is(err, context.Canceled) && !errors.Is(err, net.ErrClosed) {
		t.Errorf("%s: %v", who, err)
	}
}

func (r *rig) collect(ctx context.Context) {
	for {
		e, err := r.Next(ctx)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.events = append(r.events, e)
		r.mu.Unlock()
	}
}

func (r *rig) take() []zigbee.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events = nil
	return events
}

// until lets time pass until ok, or for at most d.
func (r *rig) until(t testing.TB, d time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !ok() {
		waited := time.Since(start)
		if waited > d {
			t.Fatalf("after %s: no %s; state %+v", d, what, r.State())
		}
		time.Sleep(max(time.Millisecond, waited/100))
	}
	return time.Since(start)
}

func (r *rig) form(t *testing.T) zigbee.NetworkParams {
	t.Helper()
	r.until(t, time.Minute, "blank stick", func() bool { return r.State().Phase == zigbee.PhaseNeedsDecision })
	params, err := r.Form(t.Context(), zigbee.FormParams{Channel: 20})
	if err != nil {
		t.Fatal(err)
	}
	r.until(t, time.Second, "running network", r.running)
	return params
}

func (r *rig) running() bool { return r.State().Phase == zigbee.PhaseRunning }

// pair opens the network and waits until n devices are described.
func (r *rig) pair(t *testing.T, n int) {
	t.Helper()
	if err := r.PermitJoin(t.Context(), zigbee.Join{Duration: zigbee.MaxJoin}); err != nil {
		t.Fatal(err)
	}
	r.until(t, time.Minute, fmt.Sprintf("%d described devices", n), func() bool { return r.described() == n })
}

func (r *rig) described() int {
	n := 0
	for _, d := range r.Devices() {
		if d.Interview == zigbee.InterviewDone {
			n++
		}
	}
	return n
}

// ieee gives the address of a simulated sensor.
func (r *rig) ieee(t *testing.T, name string) zb.IEEEAddress {
	t.Helper()
	for _, s := range r.stick.Sensors() {
		if s.Name == name {
			var a uint64
			if _, err := fmt.Sscanf(s.IEEE, "%x", &a); err != nil {
				t.Fatal(err)
			}
			return zb.IEEEAddress(a)
		}
	}
	t.Fatalf("no sensor %s", name)
	return 0
}

// reported tells whether a report with a property at a value has come; it consumes the events.
func (r *rig) reported(d zb.IEEEAddress, property string, value any) bool {
	for _, e := range r.take() {
		report, ok := e.(zigbee.Report)
		if ok && report.Device == d && slices.ContainsFunc(report.Measures, func(m device.Measure) bool {
			return m.Property == property && same(m.Value, value)
		}) {
			return true
		}
	}
	return false
}

func same(a, b any) bool {
	x, okX := a.(float64)
	y, okY := b.(float64)
	return a == b || okX && okY && math.Abs(x-y) < 1e-9
}

// sets gives a simulated sensor a value and waits until its report is through.
func (r *rig) sets(t *testing.T, within time.Duration, sensor, property string, value float64, as string, want any) {
	t.Helper()
	if err := r.stick.Set(sensor, property, value); err != nil {
		t.Fatal(err)
	}
	d := r.ieee(t, sensor)
	r.until(t, within, fmt.Sprintf("report %s = %v of %s", as, want, sensor), func() bool { return r.reported(d, as, want) })
}

var fiveSensors = []sim.SensorSpec{{Kind: "temperature"}, {Kind: "pressure"}, {Kind: "contact"}, {Kind: "plug"}, {Kind: "unknown"}}

func TestFormJoinInterviewReport(t *testing.T) {
	simulate(t, sim.Options{Seed: 1, Sensors: fiveSensors}, zigbee.Options{}, func(t *testing.T, r *rig) {
		params := r.form(t)
		if got := r.State().Network; got == nil || *got != params || params.Channel != 20 {
			t.Errorf("state says %+v, Form said %+v", got, params)
		}
		r.pair(t, 5)
		for _, d := range r.Devices() {
			if d.Model == "" || d.Manufacturer == "" || d.PowerSource == "" || len(d.Endpoints) == 0 {
				t.Errorf("incomplete record %+v", d)
			}
		}
		r.sets(t, time.Second, "temperature-1", "temperature", 21.53, "temperature", 21.53)
		r.sets(t, time.Second, "temperature-1", "humidity", 53.01, "humidity", 53.01)
		r.sets(t, time.Second, "pressure-1", "pressure", 998.2, "pressure", 998.2)
		r.sets(t, time.Second, "contact-1", "contact", 0, "contact", false)
		r.sets(t, time.Second, "plug-1", "voltage", 229.5, "voltage", 229.5)
		r.sets(t, time.Second, "plug-1", "energy", 13.25, "energy", 13.25)
		r.sets(t, time.Second, "unknown-1", "odd", 4242, "raw_fc11_0002", int64(4242))

		got, err := r.Command(t.Context(), zigbee.Command{Device: r.ieee(t, "plug-1"), Cluster: zigbee.ClusterOnOff, ID: zigbee.CommandOff})
		if err != nil || got.Status != 0 {
			t.Errorf("switching off: %+v, %v", got, err)
		}
		if stats := r.Stats(); stats.Devices != 5 || stats.Reports == 0 || stats.LostReports != 0 || stats.Link.FramesIn == 0 {
			t.Errorf("stats %+v", stats)
		}
	})
}

func TestReportsGoOnAfterReset(t *testing.T) {
	delays := sim.Delays{Reset: 500 * time.Millisecond}
	simulate(t, sim.Options{Seed: 2, Sensors: fiveSensors, Delays: delays}, zigbee.Options{}, func(t *testing.T, r *rig) {
		r.form(t)
		r.pair(t, 5)
		r.take()
		r.stick.Reset()
		if running, _ := r.stick.Running(); running {
			t.Fatal("the stick did not restart")
		}
		r.until(t, 2*time.Second, "restarted stick with its endpoints", func() bool {
			running, endpoints := r.stick.Running()
			return running && endpoints >= 2 && r.Stats().Link.Resets > 0 && r.running()
		})
		r.sets(t, time.Second, "temperature-1", "temperature", 18.5, "temperature", 18.5)
	})
}

func TestReportsGoOnAfterUnplug(t *testing.T) {
	simulate(t, sim.Options{Seed: 3, Sensors: fiveSensors}, zigbee.Options{}, func(t *testing.T, r *rig) {
		r.form(t)
		r.pair(t, 5)
		r.stick.Unplug(10 * time.Second)
		r.until(t, time.Second, "notice of the missing stick", func() bool { return r.State().Phase == zigbee.PhaseNoStick })
		if s := r.State(); s.Problem == "" || s.Hint == "" {
			t.Errorf("state without words: %+v", s)
		}
		time.Sleep(9 * time.Second)
		if took := r.until(t, 5*time.Second, "running network", r.running); took > 4*time.Second {
			t.Errorf("back after %s", took)
		}
		r.sets(t, time.Second, "temperature-1", "temperature", 18.5, "temperature", 18.5)
	})
}

// count lets the stick send reports under faults and tells how many came through.
func (r *rig) count(t *testing.T, f sim.Faults, reports uint64) (got, lost, hit uint64) {
	t.Helper()
	r.stick.Pause(true)
	time.Sleep(time.Second)
	r.take()
	if err := r.stick.SetFaults(f); err != nil {
		t.Fatal(err)
	}
	before := r.stick.Stats()
	if err := r.stick.SetLoad(sim.Load{Rate: 200, Count: reports}); err != nil {
		t.Fatal(err)
	}
	r.until(t, time.Minute, "end of the load", func() bool { return r.stick.Stats().LoadSent-before.LoadSent >= reports })
	time.Sleep(5 * time.Second)
	for _, e := range r.take() {
		switch e := e.(type) {
		case zigbee.Report:
			got++
		case zigbee.Lost:
			lost += e.Count
		}
	}
	return got, lost, r.stick.Stats().ReportsHit - before.ReportsHit
}

func TestGarbageAndDroppedBytes(t *testing.T) {
	simulate(t, sim.Options{Seed: 4, Sensors: fiveSensors[:1]}, zigbee.Options{}, func(t *testing.T, r *rig) {
		r.form(t)
		r.pair(t, 1)
		const reports = 1000
		if got, lost, _ := r.count(t, sim.Faults{}, reports); got != reports || lost != 0 {
			t.Errorf("clean line: %d of %d, %d lost", got, reports, lost)
		}
		if got, _, _ := r.count(t, sim.Faults{GarbageBytes: 16, GarbageEvery: 5, ReportsOnly: true}, reports); got != reports {
			t.Errorf("garbage: %d of %d", got, reports)
		}
		got, _, hit := r.count(t, sim.Faults{Drop: 0.001, ReportsOnly: true}, reports)
		if hit == 0 || got+hit+2 < reports {
			t.Errorf("dropped bytes: %d of %d, %d were hit", got, reports, hit)
		}
		if got, _, _ := r.count(t, sim.Faults{Split: true}, 100); got != 100 {
			t.Errorf("byte by byte: %d of 100", got)
		}
		if got, _, _ := r.count(t, sim.Faults{Duplicate: 1, ReportsOnly: true}, 100); got != 100 {
			t.Errorf("everything twice: %d of 100", got)
		}
	})
}

func TestStrayByteAndStall(t *testing.T) {
	simulate(t, sim.Options{Seed: 9, Sensors: fiveSensors[:1]}, zigbee.Options{}, func(t *testing.T, r *rig) {
		r.form(t)
		r.pair(t, 1)
		r.stick.Pause(true)
		time.Sleep(time.Second)
		r.take()
		lost := 0
		for i := range 20 {
			r.stick.Stray()
			if err := r.stick.Set("temperature-1", "temperature", float64(i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			if !r.reported(r.ieee(t, "temperature-1"), "temperature", float64(i)) {
				lost++
			}
		}
		if lost != 0 {
			t.Errorf("%d of 20 reports behind a stray start byte were lost", lost)
		}
		r.stick.Stall(8 * time.Second)
		time.Sleep(time.Second)
		r.sets(t, 10*time.Second, "temperature-1", "temperature", 33, "temperature", 33.0)
	})
}

func TestServeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stick, err := sim.New(sim.Options{Seed: 13, Sensors: fiveSensors})
		if err != nil {
			t.Fatal(err)
		}
		c := newCable()
		r := &rig{Network: zigbee.New(zigbee.Options{Open: c.open}), stick: stick, cable: c}
		all, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { ended(t, "stick", stick.ServeListener(all, c)) })
		group.Go(func() { r.collect(all) })
		for life := range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); ended(t, "network", r.Serve(ctx)) }()
			if life == 0 {
				r.form(t)
				r.pair(t, 5)
			}
			time.Sleep(time.Second)
			r.until(t, time.Minute, "running network", r.running)
			r.sets(t, time.Second, "temperature-1", "temperature", float64(20+life), "temperature", float64(20+life))
			cancel()
			<-done
		}
		stop()
		group.Wait()
	})
}

func TestSleepySensors(t *testing.T) {
	sensors := slices.Clone(fiveSensors[:3])
	for i := range sensors {
		sensors[i].Sleepy = 20 * time.Millisecond
	}
	delays := sim.Delays{Response: 15 * time.Millisecond}
	simulate(t, sim.Options{Seed: 10, Sensors: sensors, Delays: delays}, zigbee.Options{}, func(t *testing.T, r *rig) {
		r.form(t)
		if err := r.PermitJoin(t.Context(), zigbee.Join{Duration: zigbee.MaxJoin}); err != nil {
			t.Fatal(err)
		}
		// A door sensor that is not enrolled says nothing by itself until somebody presses its button.
		for range 20 {
			time.Sleep(3 * time.Second)
			if err := r.stick.Join("contact-1"); err != nil {
				t.Fatal(err)
			}
		}
		if n := r.described(); n != 3 {
			t.Errorf("%d of 3 described, %+v", n, r.Devices())
		}
	})
}

func TestMoveAndLeave(t *testing.T) {
	simulate(t, sim.Options{Seed: 11, Sensors: fiveSensors}, zigbee.Options{}, func(t *testing.T, r *rig) {
		r.form(t)
		r.pair(t, 5)
		d := r.ieee(t, "temperature-1")
		before, _ := r.Device(d)
		if err := r.stick.Move("temperature-1"); err != nil {
			t.Fatal(err)
		}
		r.until(t, time.Second, "new address", func() bool { now, _ := r.Device(d); return now.Network != before.Network })
		r.sets(t, time.Second, "temperature-1", "temperature", 12, "temperature", 12.0)
		if err := r.Interview(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		r.until(t, time.Minute, "description at the new address", func() bool { return r.described() == 5 })
		if err := r.stick.Leave("temperature-1"); err != nil {
			t.Fatal(err)
		}
		r.until(t, time.Second, "leave", func() bool { return len(r.Devices()) == 4 })
		if err := r.Remove(t.Context(), r.ieee(t, "plug-1"), false); err != nil {
			t.Fatal(err)
		}
		if n := len(r.Devices()); n != 3 {
			t.Errorf("%d devices after one left and one was removed", n)
		}
		r.until(t, time.Second, "sensor that obeys", func() bool {
			return slices.ContainsFunc(r.stick.Sensors(), func(s sim.SensorState) bool { return s.Name == "plug-1" && !s.Joined })
		})
	})
}

func TestAdoptedStickTellsItsDevices(t *testing.T) {
	sensors := slices.Clone(fiveSensors)
	for i := range sensors {
		sensors[i].Joined = true
	}
	memory, err := nv.Load(shared(t, filepath.Join("nvram", "CC2652R-ZStack4.formed.json")))
	if err != nil {
		t.Fatal(err)
	}
	simulate(t, sim.Options{Seed: 12, NV: memory, Sensors: sensors}, zigbee.Options{}, func(t *testing.T, r *rig) {
		r.until(t, time.Minute, "question", func() bool { return r.State().Phase == zigbee.PhaseNeedsDecision })
		if _, err := r.Adopt(t.Context()); err != nil {
			t.Fatal(err)
		}
		// They are known as soon as they speak.
		r.until(t, time.Minute, "running network", r.running)
		for _, s := range r.stick.Sensors() {
			if err := r.stick.Press(s.Name); err != nil {
				t.Fatal(err)
			}
		}
		r.until(t, time.Minute, "5 described devices", func() bool { return r.described() == 5 })
	})
}

func TestPairingFiftyUnderFaults(t *testing.T) {
	sensors := make([]sim.SensorSpec, 50)
	for i := range sensors {
		sensors[i].Kind = fiveSensors[i%len(fiveSensors)].Kind
	}
	delays := sim.Delays{Join: 50 * time.Millisecond, Response: 5 * time.Millisecond}
	simulate(t, sim.Options{Seed: 5, Sensors: sensors, Delays: delays}, zigbee.Options{}, func(t *testing.T, r *rig) {
		r.form(t)
		if err := r.stick.SetFaults(sim.Faults{Drop: 0.001, Flip: 0.0005}); err != nil {
			t.Fatal(err)
		}
		if err := r.PermitJoin(t.Context(), zigbee.Join{Duration: zigbee.MaxJoin}); err != nil {
			t.Fatal(err)
		}
		// A join whose frame was damaged is made up for by the device's first report.
		r.until(t, 20*time.Minute, "50 described devices", func() bool { return r.described() == 50 })
	})
}

// shared finds recorded data that is not part of this repository.
func shared(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("PEERBEE_SHARED")
	for at, err := os.Getwd(); dir == "" && err == nil && at != "/"; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			dir = filepath.Join(filepath.Dir(at), "shared")
		}
	}
	path := filepath.Join(dir, "zigbee", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the recorded data is not here (PEERBEE_SHARED names its folder): %v", err)
	}
	return path
}

func TestRealMemoryIsResumedNotFormed(t *testing.T) {
	for _, name := range []string{"CC2652R-ZStack4.formed.json", "CC2531-ZStack3.formed.json"} {
		t.Run(name, func(t *testing.T) {
			memory, err := nv.Load(shared(t, filepath.Join("nvram", name)))
			if err != nil {
				t.Fatal(err)
			}
			want, ok := memory.Network()
			if !ok {
				t.Fatal("the dump holds no network")
			}
			var params zigbee.NetworkParams
			simulate(t, sim.Options{NV: memory.Clone()}, zigbee.Options{}, func(t *testing.T, r *rig) {
				r.until(t, time.Minute, "question", func() bool { return r.State().Phase == zigbee.PhaseNeedsDecision })
				var err error
				if params, err = r.Adopt(t.Context()); err != nil {
					t.Fatal(err)
				}
				r.until(t, time.Second, "running network", r.running)
			})
			if params.Channel != want.Channel || params.PAN != want.PAN || params.ExtendedPAN != want.ExtendedPAN {
				t.Errorf("adopted %+v, the dump holds %+v", params, want)
			}
			simulate(t, sim.Options{NV: memory.Clone()}, zigbee.Options{Expect: &params}, func(t *testing.T, r *rig) {
				r.until(t, 10*time.Second, "running network", r.running)
				if got := r.State().Network; got == nil || *got != params {
					t.Errorf("resumed %+v, want %+v", got, params)
				}
				if now, _ := r.stick.Network(); now.Key != want.Key || now.PAN != want.PAN {
					t.Error("the network on the stick was changed")
				}
			})
			other := params
			other.PAN++
			simulate(t, sim.Options{NV: memory.Clone()}, zigbee.Options{Expect: &other}, func(t *testing.T, r *rig) {
				r.until(t, time.Minute, "question", func() bool { return r.State().Phase == zigbee.PhaseNeedsDecision })
				time.Sleep(time.Minute)
				if now, _ := r.stick.Network(); r.running() || now.PAN == other.PAN {
					t.Error("a foreign network was taken")
				}
			})
		})
	}
}

// TestSerialPort goes through a real pseudo terminal, in real time.
func TestSerialPort(t *testing.T) {
	link := filepath.Join(t.TempDir(), "stick")
	stick, err := sim.New(sim.Options{Seed: 7, Sensors: fiveSensors})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Network: zigbee.New(zigbee.Options{Open: zigbee.OpenerFor(link), Port: link}), stick: stick}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { ended(t, "stick", stick.ServePTY(ctx, link)) })
	group.Go(func() { ended(t, "network", r.Serve(ctx)) })
	group.Go(func() { r.collect(ctx) })
	defer group.Wait()
	defer cancel()
	r.form(t)
	r.pair(t, 5)
	r.sets(t, 10*time.Second, "temperature-1", "temperature", 21.53, "temperature", 21.53)
	stick.Unplug(300 * time.Millisecond)
	r.until(t, 10*time.Second, "notice of the missing stick", func() bool { return r.State().Phase == zigbee.PhaseNoStick })
	r.until(t, 10*time.Second, "running network", r.running)
	r.sets(t, 10*time.Second, "temperature-1", "temperature", 20.25, "temperature", 20.25)
}

// BenchmarkPairFifty pairs, interviews and configures 50 sensors one after another over a pseudo terminal.
func BenchmarkPairFifty(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		pairFifty(b)
		b.StartTimer()
	}
}

func pairFifty(b *testing.B) {
	link := filepath.Join(b.TempDir(), "stick")
	sensors := make([]sim.SensorSpec, 50)
	for i := range sensors {
		sensors[i] = sim.SensorSpec{Kind: fiveSensors[i%len(fiveSensors)].Kind, Name: fmt.Sprint("sensor-", i)}
	}
	stick, err := sim.New(sim.Options{Seed: 8, Sensors: sensors, ManualJoin: true})
	if err != nil {
		b.Fatal(err)
	}
	r := &rig{Network: zigbee.New(zigbee.Options{Open: zigbee.OpenerFor(link)}), stick: stick}
	ctx, cancel := context.WithCancel(b.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = stick.ServePTY(ctx, link) }) // ends with the context
	group.Go(func() { _ = r.Serve(ctx) })              // ends with the context
	group.Go(func() { r.collect(ctx) })
	defer group.Wait()
	defer cancel()
	r.until(b, time.Minute, "blank stick", func() bool { return r.State().Phase == zigbee.PhaseNeedsDecision })
	if _, err := r.Form(ctx, zigbee.FormParams{}); err != nil {
		b.Fatal(err)
	}
	r.until(b, time.Minute, "running network", r.running)
	if err := r.PermitJoin(ctx, zigbee.Join{Duration: zigbee.MaxJoin}); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
	for i, s := range sensors {
		if err := stick.Join(s.Name); err != nil {
			b.Fatal(err)
		}
		r.until(b, time.Minute, s.Name, func() bool { return r.described() == i+1 })
	}
	b.StopTimer()
}

type recordedFrame struct{ Hex, Meaning string }

func TestRecordedFrames(t *testing.T) {
	file, err := os.Open(shared(t, "unpi_recorded.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var frames []recordedFrame
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var f recordedFrame
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			t.Fatal(err)
		}
		frames = append(frames, f)
	}
	const barometer, door = zb.IEEEAddress(0x00158d0000000001), zb.IEEEAddress(0x00158d0000000002)
	known := []zigbee.Device{
		{IEEE: barometer, Network: 0x56c5, Type: zb.EndDevice, Interview: zigbee.InterviewDone},
		{IEEE: door, Network: 0x4e91, Type: zb.EndDevice, Interview: zigbee.InterviewDone, Facts: []device.Fact{{Endpoint: 1, Cluster: 0x0500, Attribute: 1, Value: 0x15}}},
	}
	simulate(t, sim.Options{Seed: 6}, zigbee.Options{Devices: known}, func(t *testing.T, r *rig) {
		r.form(t)
		time.Sleep(time.Second)
		reports := map[zb.IEEEAddress][]device.Measure{}
		for _, f := range frames {
			raw, err := hex.DecodeString(f.Hex)
			if err != nil {
				t.Fatal(err)
			}
			r.take()
			r.cable.inject(t, raw)
			time.Sleep(100 * time.Millisecond)
			for _, e := range r.take() {
				if e, ok := e.(zigbee.Report); ok {
					reports[e.Device] = append(reports[e.Device], e.Measures...)
				}
			}
		}
		if !r.running() {
			t.Errorf("the frames brought the link down: %+v", r.State())
		}
		pressure, ok := measure(reports[barometer], "pressure").(float64)
		if !ok || math.Floor(pressure) != 1011 {
			t.Errorf("barometer: %+v", reports[barometer])
		}
		if got := measure(reports[door], "contact"); got != true {
			t.Errorf("door: %+v", reports[door])
		}
	})
}

func measure(measures []device.Measure, property string) any {
	for _, m := range measures {
		if m.Property == property {
			return m.Value
		}
	}
	return nil
}
