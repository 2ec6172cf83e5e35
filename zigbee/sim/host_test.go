package sim

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	zb "github.com/shimmeringbee/zigbee"
	"go.uber.org/goleak"

	"github.com/peerbee/peerbee/zigbee/zcl"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is the other end of the line, driven by hand.
type host struct {
	t      *testing.T
	conn   io.ReadWriteCloser
	mu     sync.Mutex
	frames []unpi.Frame // not looked at yet
	stats  unpi.Stats
}

// plug connects a host to the stick for the time of a synctest bubble.
func plug(t *testing.T, s *Stick) *host {
	t.Helper()
	near, far := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, far) }()
	h := listen(t, near)
	t.Cleanup(func() {
		cancel()
		if err := near.Close(); err != nil {
			t.Error(err)
		}
		<-served
	})
	return h
}

func listen(t *testing.T, conn io.ReadWriteCloser) *host {
	h := &host{t: t, conn: conn}
	go func() {
		var p unpi.Parser
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			h.mu.Lock()
			p.Feed(buf[:n], func(f unpi.Frame) {
				f.Payload = slices.Clone(f.Payload)
				h.frames = append(h.frames, f)
			})
			h.stats = p.Stats()
			h.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return h
}

func (h *host) write(b ...byte) {
	h.t.Helper()
	if _, err := h.conn.Write(b); err != nil {
		h.t.Fatalf("write: %v", err)
	}
}

func (h *host) send(m mt.Message) {
	h.t.Helper()
	b, err := mt.AppendFrame(nil, m)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write(b...)
}

func (h *host) raw(cmd mt.Command, payload ...byte) {
	h.t.Helper()
	b, err := unpi.Frame{Type: cmd.Type, Subsystem: cmd.Subsystem, ID: cmd.ID, Payload: payload}.Append(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write(b...)
}

// all gives what has come until everything is still.
func (h *host) all() []unpi.Frame {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	got := h.frames
	h.frames = nil
	return got
}

// expect gives the message of a type among what has come, and fails if there is none.
func expect[T any, M interface {
	*T
	mt.Message
}](h *host, among []unpi.Frame) M {
	h.t.Helper()
	m := M(new(T))
	for _, f := range among {
		if mt.CommandOf(f) == m.Command() {
			if err := mt.Decode(f.Payload, m); err != nil {
				h.t.Fatalf("%s: %v", m.Command(), err)
			}
			return m
		}
	}
	h.t.Fatalf("no %s among %v", m.Command(), names(among))
	return nil
}

func names(frames []unpi.Frame) []string {
	var out []string
	for _, f := range frames {
		out = append(out, mt.CommandOf(f).String())
	}
	return out
}

// ask sends a request and gives everything that comes back.
func (h *host) ask(m mt.Message) []unpi.Frame {
	h.t.Helper()
	h.send(m)
	return h.all()
}

// accepted sends a request and fails unless its status is the one wanted; it gives what else comes back.
func (h *host) accepted(m mt.Message, want mt.Status) []unpi.Frame {
	h.t.Helper()
	got := h.ask(m)
	for i, f := range got {
		if mt.CommandOf(f) == m.Command().Response() {
			if len(f.Payload) == 0 || mt.Status(f.Payload[0]) != want {
				h.t.Fatalf("%s was answered by % x, want status %s", m.Command(), f.Payload, want)
			}
			return slices.Delete(got, i, i+1)
		}
	}
	h.t.Fatalf("%s was not answered: %v", m.Command(), names(got))
	return nil
}

// form brings a blank stick on a network, with endpoint 1.
func (h *host) form() {
	h.t.Helper()
	h.accepted(&mt.BDBSetChannel{Primary: true, Channels: 1 << 15}, mt.Success)
	h.accepted(&mt.BDBSetChannel{}, mt.Success)
	h.accepted(&mt.BDBStartCommissioning{Mode: 4}, mt.Success)
	h.register(1)
}

func (h *host) register(endpoint zb.Endpoint) {
	h.t.Helper()
	h.accepted(&mt.AFRegister{Endpoint: endpoint, Profile: zb.ProfileHomeAutomation, DeviceType: 5}, mt.Success)
}

// permit opens joining and gives what comes of it.
func (h *host) permit(seconds uint8) []unpi.Frame {
	h.t.Helper()
	return h.accepted(&mt.ZDOMgmtPermitJoinReq{Mode: mt.AddrBroadcast, Dst: 0xFFFC, Seconds: seconds}, mt.Success)
}

// zcl sends a frame to endpoint 1 of a device and gives the frame that answers.
func (h *host) zcl(to zb.NetworkAddress, cluster uint16, f zcl.Frame) (zcl.Frame, []unpi.Frame) {
	h.t.Helper()
	got := h.accepted(&mt.AFDataRequest{
		Dst: to, DstEndpoint: 1, SrcEndpoint: 1, Cluster: zb.ClusterID(cluster), TransID: 7, Radius: 30, Data: f.Append(nil),
	}, mt.Success)
	if c := expect[mt.AFDataConfirm](h, got); c.Status != mt.Success || c.Endpoint != 1 || c.TransID != 7 {
		h.t.Fatalf("confirmed as %+v", c)
	}
	in := expect[mt.AFIncomingMsg](h, got)
	answer, err := zcl.Decode(in.Data)
	if err != nil {
		h.t.Fatal(err)
	}
	if in.Src != to || uint16(in.Cluster) != cluster || answer.Seq != f.Seq {
		h.t.Fatalf("answer %+v from %04x on cluster %04x", answer, in.Src, in.Cluster)
	}
	return answer, got
}

// reports decodes the attribute reports among frames.
func reports(t *testing.T, among []unpi.Frame) (out []report) {
	t.Helper()
	for _, f := range among {
		if mt.CommandOf(f) != (&mt.AFIncomingMsg{}).Command() {
			continue
		}
		in, err := mt.DecodeIncoming(f.Payload)
		if err != nil {
			t.Fatal(err)
		}
		z, err := zcl.Decode(in.Data)
		if err != nil {
			t.Fatal(err)
		}
		if z.Type == zcl.ProfileWide && z.Command == zcl.CommandReportAttributes {
			out = append(out, report{in.Src, uint16(in.Cluster), z.Seq, zcl.DecodeReport(z.Payload)})
		}
	}
	return out
}

type report struct {
	src     zb.NetworkAddress
	cluster uint16
	seq     uint8
	attrs   []zcl.Attribute
}

func newStick(t *testing.T, o Options) *Stick {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sensors(kinds ...string) []SensorSpec {
	var out []SensorSpec
	for _, k := range kinds {
		out = append(out, SensorSpec{Kind: k})
	}
	return out
}

// joined is the state of a stick's sensor.
func joined(t *testing.T, s *Stick, name string) SensorState {
	t.Helper()
	for _, d := range s.Sensors() {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("no sensor %s", name)
	return SensorState{}
}

const settle = 50 * time.Millisecond

// registered is an endpoint as a host registers it.
var registered = mt.AFRegister{Endpoint: 1, Profile: zb.ProfileHomeAutomation, DeviceType: 5}

func zbCluster(id uint16) zb.ClusterID { return zb.ClusterID(id) }

// runningStick is on a network with one sensor of every kind and endpoint 1, without goroutines. The caller
// stands in for all of them.
func runningStick(t *testing.T) *Stick {
	t.Helper()
	var specs []SensorSpec
	for i, kind := range Kinds() {
		specs = append(specs, SensorSpec{Kind: kind, Joined: true, Network: zb.NetworkAddress(0x1234 + i)})
	}
	s := newStick(t, Options{Sensors: specs})
	s.line.up = true
	s.commission()
	s.endpoints = append(s.endpoints, registered)
	s.line.buf = nil
	return s
}
