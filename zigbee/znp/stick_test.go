package znp_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	zb "github.com/shimmeringbee/zigbee"
	"go.uber.org/goleak"

	"github.com/peerbee/peerbee/zigbee/znp"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stick is a scripted stick: it answers what the host's tests need, from the memory and the hooks a test sets.
type stick struct {
	t testing.TB

	mu        sync.Mutex // guards what follows
	nv        map[uint16][]byte
	state     mt.DeviceState
	version   mt.SysVersionRsp
	network   mt.ZDOExtNwkInfoRsp // what runs
	endpoints []zb.Endpoint
	received  []mt.Message
	raw       []byte // everything ever received
	hook      func(mt.Message) bool
	deaf      bool // drops all that arrives
	absent    bool // the port cannot be opened
	bytes     func(b []byte)
	conn      net.Conn
	opened    int
	lines     []string
	hasLines  bool
}

const stickIEEE zb.IEEEAddress = 0x00124B001E17EFA8

var formed = znp.Network{
	Channel: 15, PAN: 0x4402, ExtendedPAN: 0xA2BA38A8B5E683A0, Coordinator: stickIEEE, KeySum: "9f9f5111f7b27a78",
}

func blankStick(t testing.TB) *stick {
	return &stick{
		t: t, nv: map[uint16][]byte{0x82: make([]byte, 24), 0x55: {0}, 0x3A: make([]byte, 17)},
		version: mt.SysVersionRsp{Transport: 2, Product: 1, Major: 2, Minor: 7, Maintenance: 1, Revision: 20230507},
	}
}

// formedStick holds a network made of the bytes of a published dump of a CC2652R.
func formedStick(t testing.TB) *stick {
	s := blankStick(t)
	s.nv[0x21] = unhex(t, "600502330f33001e0000000105018f000700020d1e0000000f000000000000000000000002440800008000000f0f0400010000000100000000a083e6b5a838baa2010000000000000000000000000000000000000000000000000000000000000000000000000000050001780a0100000000000000")[:116]
	s.nv[0x3A] = append([]byte{0}, []byte("0123456789abcdef")...)
	s.nv[0x55] = []byte{1}
	s.nv[0x60] = []byte{0x55}
	return s
}

// Open gives the host's end of a new pipe.
func (s *stick) Open(context.Context) (io.ReadWriteCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.absent {
		return nil, errors.New("no such file")
	}
	host, own := net.Pipe()
	s.conn = own
	s.opened++
	go s.serve(own)
	if s.hasLines {
		return &linedPort{Conn: host, stick: s}, nil
	}
	return host, nil
}

// linedPort is a port with control lines.
type linedPort struct {
	net.Conn
	stick *stick
}

func (p *linedPort) SetDTR(on bool) error { return p.stick.line("dtr", on) }
func (p *linedPort) SetRTS(on bool) error { return p.stick.line("rts", on) }

func (s *stick) line(name string, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on {
		name += "+"
	}
	s.lines = append(s.lines, name)
	if len(s.lines) == 6 {
		s.deaf = false
	}
	return nil
}

func (s *stick) serve(conn net.Conn) {
	var parser unpi.Parser
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.raw = append(s.raw, buf[:n]...)
		deaf, watch := s.deaf, s.bytes
		s.mu.Unlock()
		if watch != nil {
			watch(buf[:n])
		}
		if deaf {
			continue
		}
		parser.Feed(buf[:n], func(f unpi.Frame) {
			f.Payload = slices.Clone(f.Payload)
			s.frame(f)
		})
	}
}

func (s *stick) frame(f unpi.Frame) {
	m, err := mt.DecodeFrame(f)
	if err != nil {
		s.say(&mt.RPCError{Code: mt.ErrorInvalidCommand, CMD0: byte(f.Type)<<5 | byte(f.Subsystem), CMD1: f.ID})
		return
	}
	s.mu.Lock()
	s.received = append(s.received, m)
	hook := s.hook
	s.mu.Unlock()
	if hook != nil && hook(m) {
		return
	}
	s.answer(m)
}

func (s *stick) answer(m mt.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := &mt.StatusRsp{Of: m.Command()}
	switch m := m.(type) {
	case *mt.SysPing:
		s.write(&mt.SysPingRsp{Capabilities: 0x0659})
	case *mt.SysVersion:
		s.write(&s.version)
	case *mt.SysResetReq:
		s.restart()
	case *mt.NVLength:
		s.write(&mt.NVLengthRsp{Length: uint16(len(s.nv[m.Item]))})
	case *mt.NVReadExt:
		value, ok := s.nv[m.Item]
		if !ok {
			s.write(&mt.NVReadExtRsp{Status: mt.InvalidParameter})
			return
		}
		s.write(&mt.NVReadExtRsp{Value: value})
	case *mt.NVItemInit:
		if _, ok := s.nv[m.Item]; !ok {
			s.nv[m.Item], status.Status = m.Value, mt.NVItemCreated
		}
		s.write(status)
	case *mt.NVWriteExt:
		s.nv[m.Item] = m.Value
		s.write(status)
	case *mt.UtilGetDeviceInfo:
		s.write(&mt.UtilGetDeviceInfoRsp{IEEE: stickIEEE, Kind: 7, State: s.state})
	case *mt.ZDOExtNwkInfo:
		s.write(&s.network)
	case *mt.ZDOStartupFromApp:
		s.start()
		s.write(status, &mt.ZDOStateChangeInd{State: s.state})
	case *mt.BDBStartCommissioning:
		s.form()
		s.write(status, &mt.ZDOStateChangeInd{State: mt.StateCoordinator})
	case *mt.ZDOActiveEPReq:
		s.write(status, &mt.ZDOActiveEPRsp{Endpoints: s.endpoints})
	case *mt.AFRegister:
		s.endpoints = append(s.endpoints, m.Endpoint)
		s.write(status)
	case *mt.AFDataRequest:
		s.write(status, &mt.AFDataConfirm{Endpoint: m.SrcEndpoint, TransID: m.TransID})
	case *mt.AFDataRequestExt:
		s.write(status, &mt.AFDataConfirm{Endpoint: m.SrcEndpoint, TransID: m.TransID})
	default:
		if m.Command().Type == unpi.SyncRequest {
			s.write(status)
		}
	}
}

// start brings the stored network up.
func (s *stick) start() {
	s.state = mt.StateCoordinator
	nib := s.nv[0x21]
	s.network = mt.ZDOExtNwkInfoRsp{
		State: s.state, Channel: nib[24], PAN: zb.PANID(binary.LittleEndian.Uint16(nib[36:])),
		ExtendedPAN: zb.ExtendedPANID(binary.LittleEndian.Uint64(nib[57:])),
	}
}

// form makes a network of the written parameters, as firmware does.
func (s *stick) form() {
	nib := make([]byte, 116)
	channels := binary.LittleEndian.Uint32(s.nv[0x84])
	for c := byte(11); c <= 26; c++ {
		if channels&(1<<c) != 0 {
			nib[24] = c
		}
	}
	copy(nib[36:], s.nv[0x83])
	copy(nib[57:], s.nv[0x2D])
	s.nv[0x21] = nib
	s.nv[0x3A] = append([]byte{0}, s.nv[0x62]...)
	s.nv[0x55] = []byte{1}
	s.start()
}

// restart loses what is not in NV memory, and the NV memory too if asked for.
func (s *stick) restart() {
	if option := s.nv[0x03]; len(option) > 0 && option[0] == 3 {
		s.nv = map[uint16][]byte{0x03: option, 0x82: make([]byte, 24), 0x55: {0}, 0x3A: make([]byte, 17)}
	}
	s.state, s.endpoints = mt.StateHold, nil
	s.write(&mt.SysResetInd{Transport: 2, Product: 1})
}

// crash restarts the stick unasked.
func (s *stick) crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restart()
}

// say sends messages to the host, all in one write.
func (s *stick) say(messages ...mt.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(messages...)
}

func (s *stick) write(messages ...mt.Message) {
	var b []byte
	for _, m := range messages {
		var err error
		if b, err = mt.AppendFrame(b, m); err != nil {
			s.t.Error(err)
		}
	}
	s.writeRaw(b)
}

func (s *stick) writeRaw(b []byte) {
	if s.conn == nil {
		return
	}
	if _, err := s.conn.Write(b); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		s.t.Error(err)
	}
}

// sayRaw sends bytes to the host.
func (s *stick) sayRaw(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeRaw(b)
}

// set changes the stick while it is in use.
func (s *stick) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// opens tells how often the port was opened.
func (s *stick) opens() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened
}

// registered gives the stick's endpoints.
func (s *stick) registered() []zb.Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.endpoints)
}

// unplug takes the port away.
func (s *stick) unplug() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.absent, s.state, s.endpoints = true, mt.StateHold, nil
	_ = s.conn.Close() // a pipe's Close never fails
}

// heard gives the received messages of one type.
func heard[T mt.Message](s *stick) []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []T
	for _, m := range s.received {
		if typed, ok := m.(T); ok {
			found = append(found, typed)
		}
	}
	return found
}

// forget empties the record of received messages.
func (s *stick) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = nil
}

// with runs a host on the stick in a bubble of fake time.
func with(t *testing.T, s *stick, expect *znp.Network, test func(*testing.T, *znp.Host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := znp.New(znp.Options{Open: s.Open, Expect: expect})
		done := make(chan error)
		go func() { done <- h.Serve(ctx) }()
		defer func() {
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("Serve gave %v", err)
			}
		}()
		test(t, h)
	})
}

// reach waits, in fake time, until the host is in a phase, and gives the time that took.
func reach(t *testing.T, h *znp.Host, phase znp.Phase, limit time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	for {
		synctest.Wait()
		if h.State().Phase == phase {
			return time.Since(start)
		}
		if time.Since(start) > limit {
			t.Fatalf("not %s after %v but %+v", phase, limit, h.State())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// next gives the next event of a type, leaving out others.
func next[E znp.Event](t *testing.T, h *znp.Host) E {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		e, err := h.Next(ctx)
		if err != nil {
			var want E
			t.Fatalf("no %T in a minute", want)
		}
		if typed, ok := e.(E); ok {
			return typed
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
