package sim

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/zcl"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

// TestControlLines holds lines against lines, as a script that is not Go writes and reads them.
func TestControlLines(t *testing.T) {
	s := newStick(t, Options{Sensors: []SensorSpec{{Kind: "unknown", IEEE: 0x00158d0000000001, Network: 0x1234}}})
	for _, c := range []struct{ in, out string }{
		{`{"op":"sensors"}`, `{"sensors":[{"name":"unknown-1","kind":"unknown","ieee":"00158d0000000001","network":4660,"joined":false,"properties":{"odd":4000},"load":0}]}`},
		{`{"op":"status"}`, `{}`},
		{`{"op":"pause"}`, `{}`},
		{`{"op":"resume"}`, `{}`},
		{`{"op":"faults","faults":{"drop":0.5}}`, `{}`},
		{`{"op":"faults"}`, `{}`},
		{`{"op":"load","load":{"rate":5}}`, `{}`},
		{`{"op":"load","load":{"stop":true}}`, `{}`},
		{`{"op":"set","sensor":"unknown-1","property":"odd","value":7}`, `{}`},
		{`{"op":"set","sensor":"unknown-1","property":"odd","value":true}`, `{}`},
		{`{"op":"set","sensor":"unknown-1","property":"odd","value":"7"}`, `{"error":"value out of range: 7 is neither a number nor a bool"}`},
		{`{"op":"set","sensor":"unknown-1","property":"even","value":7}`, `{"error":"the sensor has no such property: unknown-1 has [odd]"}`},
		{`{"op":"set","sensor":"nobody","property":"odd","value":7}`, `{"error":"no such sensor: \"nobody\""}`},
		{`{"op":"join","sensor":"unknown-1"}`, `{"error":"joining is closed: open it at the gateway, then let unknown-1 join"}`},
		{`{"op":"press","sensor":"unknown-1"}`, `{"error":"the sensor is not on the network: unknown-1"}`},
		{`{"op":"load"}`, `{"error":"value out of range: the request lacks a load"}`},
		{`{"op":"stall","seconds":-1}`, `{"error":"value out of range: seconds are between 0 and 86400"}`},
		{`{"op":"faults","faults":{"drop":2}}`, `{"error":"value out of range: a chance is between 0 and 1, not 2"}`},
		{`{"op":"dance"}`, `{"error":"no such operation: \"dance\""}`},
		{`dance`, `{"error":"not a request: invalid character 'd' looking for beginning of value"}`},
	} {
		got, err := json.Marshal(s.control([]byte(c.in)))
		if err != nil || string(got) != c.out {
			t.Errorf("%s\n got %s %v\nwant %s", c.in, got, err, c.out)
		}
	}
}

// TestClient steers a stick through the socket and sees the effect on the line.
func TestClient(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control")
	s := newStick(t, Options{Sensors: []SensorSpec{{Kind: "plug", Joined: true}}})
	serving(t, func(ctx context.Context) error { return s.ServeControl(ctx, path) })
	near, far := net.Pipe()
	serving(t, func(ctx context.Context) error { return s.Serve(ctx, far) })
	h := listen(t, near)
	var c *Client
	eventually(t, "the control socket", func() bool {
		var err error
		c, err = Dial(path)
		return err == nil
	})
	defer c.Close()
	ctx := t.Context()
	eventually(t, "the line", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.line.up
	})
	s.mu.Lock()
	s.commission()
	s.endpoints = append(s.endpoints, registered)
	s.mu.Unlock()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	must(c.Pause(ctx))
	must(c.Set(ctx, "plug-1", "power", 12.5))
	must(c.Set(ctx, "plug-1", "on_off", false))
	must(c.Join(ctx, "plug-1"))
	must(c.Move(ctx, "plug-1"))
	must(c.Press(ctx, "plug-1"))
	must(c.Stray(ctx))
	must(c.Load(ctx, Load{Count: 100}))
	eventually(t, "the load", func() bool { st, err := c.Stats(ctx); return err == nil && st.LoadSent == 100 })
	must(c.Faults(ctx, Faults{Duplicate: 1}))
	must(c.Faults(ctx, Faults{}))
	must(c.Stall(ctx, time.Millisecond))
	must(c.Resume(ctx))
	must(c.Reset(ctx))
	if running, endpoints, err := c.Status(ctx); err != nil || running || endpoints != 0 {
		t.Errorf("after a reset: %v %d %v", running, endpoints, err)
	}
	if err := c.Leave(ctx, "plug-1"); !errors.Is(err, ErrControl) {
		t.Errorf("leaving while the stick is down: %v", err)
	}
	eventually(t, "the reset indication", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, f := range h.frames {
			if mt.CommandOf(f) == (&mt.SysResetInd{}).Command() {
				return true
			}
		}
		return false
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	got := reports(t, h.frames)
	if len(got) < 2 || got[0].attrs[0].Value != int64(125) || got[1].attrs[0].Value != false {
		t.Errorf("reports %+v", got[:min(len(got), 3)])
	}
}

// TestClientGivesUp has a context end a request to a simulator that does not answer.
func TestClientGivesUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mute")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(settle, cancel)
	if _, err := c.Stats(ctx); err == nil {
		t.Error("an answer from nobody")
	}
}

func TestOverlongControlLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control")
	s := newStick(t, Options{})
	serving(t, func(ctx context.Context) error { return s.ServeControl(ctx, path) })
	var conn net.Conn
	eventually(t, "the control socket", func() bool {
		var err error
		conn, err = net.Dial("unix", path)
		return err == nil
	})
	defer conn.Close()
	go conn.Write(make([]byte, 2*maxLine))
	if _, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
		t.Error("an answer to a line without end")
	}
}

// TestResumeFromDump plugs in sticks whose memory is that of real ones.
func TestResumeFromDump(t *testing.T) {
	for _, c := range []struct {
		file    string
		channel uint8
		pan     zb.PANID
		formed  bool
	}{
		{"CC2652R-ZStack4.formed.json", 15, 0x4402, true},
		{"CC2531-ZStack3.formed.json", 15, 0xB6AB, true},
		{"CC2652R-ZStack4.reset.json", 0, 0, false},
		{"CC2531-ZStack3.reset.json", 0, 0, false},
	} {
		t.Run(c.file, func(t *testing.T) {
			m, err := nv.Load(filepath.Join(shared(t), "zigbee", "nvram", c.file))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				known := m.Devices()
				spec := SensorSpec{Kind: "temperature"}
				if c.formed {
					spec.IEEE = known[len(known)-1].IEEE
				}
				s := newStick(t, Options{NV: m, Sensors: []SensorSpec{spec}})
				if d := joined(t, s, "temperature-1"); d.Joined != c.formed || c.formed && d.Network != uint16(known[len(known)-1].Network) {
					t.Errorf("the sensor of the memory: %+v", d)
				}
				h := plug(t, s)
				if state := expect[mt.UtilGetDeviceInfoRsp](h, h.ask(&mt.UtilGetDeviceInfo{})).State; state != mt.StateHold {
					t.Errorf("state %d before start-up", state)
				}
				before := m.FrameCounter(zb.ExtendedPANID(0xa2ba38a8b5e683a0))
				got := h.accepted(&mt.BDBStartCommissioning{Mode: 4}, mt.Success)
				n, on := s.Network()
				if !on {
					t.Fatal("not on a network")
				}
				last := expect[mt.BDBNotification](h, got[len(got)-1:])
				if !c.formed {
					if last.Status != bdbSuccess || n.PAN == 0xFFFF || n.Channel != 11 {
						t.Errorf("formed %+v, status %d", n, last.Status)
					}
					return
				}
				if n.Channel != c.channel || n.PAN != c.pan || last.Status != bdbFormationFailure {
					t.Errorf("resumed %+v, status %d", n, last.Status)
				}
				if len(m.Devices()) != len(known) {
					t.Errorf("%d devices became %d", len(known), len(m.Devices()))
				}
				if after := m.FrameCounter(n.ExtendedPAN); after <= before {
					t.Errorf("the frame counter stayed at %d", after)
				}
				h.register(1)
				if err := s.Set("temperature-1", "temperature", 19); err != nil {
					t.Fatal(err)
				}
				if r := reports(t, h.all()); len(r) != 1 || r[0].cluster != zcl.ClusterTemperature {
					t.Errorf("reports %+v", r)
				}
			})
		})
	}
}
