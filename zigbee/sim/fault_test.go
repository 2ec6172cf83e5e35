package sim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peerbee/peerbee/zigbee/zcl"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

// loaded is a stick with n sensors on a network whose schedules rest.
func loaded(t *testing.T, n int) (*Stick, *host) {
	t.Helper()
	var specs []SensorSpec
	for range n {
		specs = append(specs, SensorSpec{Kind: "temperature", Joined: true})
	}
	s := newStick(t, Options{Sensors: specs})
	h := plug(t, s)
	h.form()
	s.Pause(true)
	h.all()
	return s, h
}

// run runs a load to its end.
func run(t *testing.T, s *Stick, l Load) {
	t.Helper()
	if err := s.SetLoad(l); err != nil {
		t.Fatal(err)
	}
	if l.Rate > 0 {
		time.Sleep(time.Duration(float64(l.Count)/l.Rate*float64(time.Second)) + time.Second)
	}
	synctest.Wait()
}

// TestLoad expects every number of every sensor, in order, at the rate asked for.
func TestLoad(t *testing.T) {
	for _, rate := range []float64{0, 0.5, 200, 25000} {
		synctest.Test(t, func(t *testing.T) {
			s, h := loaded(t, 3)
			count := uint64(3000)
			if rate > 0 && rate < 1 {
				count = 3
			}
			start := time.Now()
			run(t, s, Load{Rate: rate, Count: count, Stamp: true})
			got := reports(t, h.all())
			if uint64(len(got)) != count || s.Stats().LoadSent != count {
				t.Fatalf("rate %v: %d reports came, %d were sent, want %d", rate, len(got), s.Stats().LoadSent, count)
			}
			last := map[any]int64{}
			for _, r := range got {
				if v := r.attrs[0].Value.(int64); v != last[r.src]+1 {
					t.Fatalf("rate %v: %d after %d", rate, v, last[r.src])
				}
				last[r.src]++
				if at := int64(r.attrs[1].Value.(uint64)); r.attrs[1].ID != StampAttribute || at < start.UnixNano() || at > time.Now().UnixNano() {
					t.Fatalf("stamp %+v", r.attrs[1])
				}
			}
			if len(last) != 3 {
				t.Errorf("%d sensors took part", len(last))
			}
		})
	}
}

// TestLoadWaitsForReader finds nothing lost and little in store when the host does not read.
func TestLoadWaitsForReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := loaded(t, 1)
		s.Stall(time.Minute)
		if err := s.SetLoad(Load{Count: 5000}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		s.mu.Lock()
		stored, sent := len(s.line.buf), s.line.stats.LoadSent
		s.mu.Unlock()
		if stored > 2*highWater || sent == 5000 {
			t.Errorf("%d bytes are in store, %d reports sent, while nobody reads", stored, sent)
		}
		time.Sleep(time.Minute)
		if got := reports(t, h.all()); len(got) != 5000 {
			t.Errorf("%d reports came in the end", len(got))
		}
	})
}

func TestFaults(t *testing.T) {
	const count = 1000
	for _, c := range []struct {
		name   string
		faults Faults
		check  func(t *testing.T, got int, s Stats, h *host)
	}{
		{"none", Faults{}, func(t *testing.T, got int, s Stats, _ *host) {
			if got != count || s.ReportsHit != 0 {
				t.Errorf("%d reports, %+v", got, s)
			}
		}},
		{"drop", Faults{Drop: 0.001, ReportsOnly: true}, func(t *testing.T, got int, s Stats, h *host) {
			if s.BytesDropped == 0 || s.ReportsHit == 0 || s.ReportsHit > s.BytesDropped || s.FramesHit != s.ReportsHit {
				t.Errorf("%+v", s)
			}
			// The host may lose a whole frame behind a damaged one, but none of those not near one.
			if lost := uint64(count - got); lost < s.ReportsHit || lost > 2*s.ReportsHit+1 {
				t.Errorf("%d lost, %d hit", lost, s.ReportsHit)
			}
		}},
		{"flip", Faults{Flip: 0.001}, func(t *testing.T, got int, s Stats, _ *host) {
			if s.BytesFlipped == 0 || s.ReportsHit == 0 || s.BytesDropped != 0 || uint64(count-got) < s.ReportsHit/2 {
				t.Errorf("%d came, %+v", got, s)
			}
		}},
		{"duplicate", Faults{Duplicate: 10}, func(t *testing.T, got int, s Stats, _ *host) {
			if got != count+count/10 || s.Duplicates != count/10 || s.ReportsSent != uint64(got) {
				t.Errorf("%d came, %+v", got, s)
			}
		}},
		{"split", Faults{Split: true}, func(t *testing.T, got int, s Stats, _ *host) {
			if got != count || s.BytesSent == 0 {
				t.Errorf("%d came, %+v", got, s)
			}
		}},
		{"garbage", Faults{GarbageBytes: 16, GarbageEvery: 5}, func(t *testing.T, got int, s Stats, h *host) {
			if s.BytesGarbage != 16*count/5 || s.ReportsHit != 0 || got < count-count/20 {
				t.Errorf("%d came, %+v, the parser saw %+v", got, s, h.stats)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, h := loaded(t, 5)
				if err := s.SetFaults(c.faults); err != nil {
					t.Fatal(err)
				}
				run(t, s, Load{Count: count})
				c.check(t, len(reports(t, h.all())), s.Stats(), h)
			})
		})
	}
}

// TestFaultsFollowTheSeed damages the same bytes in two runs.
func TestFaultsFollowTheSeed(t *testing.T) {
	var first Stats
	for i := range 2 {
		synctest.Test(t, func(t *testing.T) {
			s, _ := loaded(t, 2)
			if err := s.SetFaults(Faults{Drop: 0.01, Flip: 0.01}); err != nil {
				t.Fatal(err)
			}
			run(t, s, Load{Count: 500})
			if got := s.Stats(); i == 1 && got != first {
				t.Errorf("%+v, then %+v", first, got)
			}
			first = s.Stats()
		})
	}
}

// TestBroadcastCopies has every report come once for every endpoint of the host.
func TestBroadcastCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := loaded(t, 1)
		h.register(2)
		h.register(3)
		if err := s.SetFaults(Faults{Broadcast: true}); err != nil {
			t.Fatal(err)
		}
		if err := s.Set("temperature-1", "temperature", 20); err != nil {
			t.Fatal(err)
		}
		got := h.all()
		var endpoints []uint8
		for _, f := range got {
			in, err := mt.DecodeIncoming(f.Payload)
			if err != nil || !in.Broadcast {
				t.Errorf("%+v %v", in, err)
			}
			endpoints = append(endpoints, uint8(in.DstEndpoint))
		}
		r := reports(t, got)
		if diff := cmp.Diff([]uint8{1, 2, 3}, endpoints); diff != "" || len(r) != 3 || r[0].seq != r[2].seq {
			t.Errorf("%v %s", r, diff)
		}
	})
}

func TestStrayByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := loaded(t, 1)
		before := s.Stats()
		s.Stray()
		h.all()
		if got := s.Stats(); got.BytesSent-before.BytesSent != 1 || got.BytesGarbage != 1 || got.FramesSent != before.FramesSent {
			t.Errorf("%+v after %+v", got, before)
		}
	})
}

func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := loaded(t, 1)
		s.Stall(5 * time.Second)
		h.send(&mt.SysPing{})
		time.Sleep(4 * time.Second)
		if got := h.all(); len(got) != 0 {
			t.Errorf("a stalled stick sent %v", names(got))
		}
		time.Sleep(2 * time.Second)
		expect[mt.SysPingRsp](h, h.all())
	})
}

func TestStatusFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := loaded(t, 1)
		nwk := s.sensors[0].nwk
		request := &mt.AFDataRequest{Dst: nwk, DstEndpoint: 1, SrcEndpoint: 1, Data: zcl.Frame{Payload: []byte{5, 0}}.Append(nil)}
		if err := s.SetFaults(Faults{RequestStatus: 0x11, RequestCount: 2, ConfirmStatus: 0xE9, ConfirmCount: 1}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := h.accepted(request, mt.BufferFull); len(got) != 0 {
				t.Errorf("a refused request caused %v", names(got))
			}
		}
		got := h.accepted(request, mt.Success)
		if c := expect[mt.AFDataConfirm](h, got); c.Status != mt.MACNoAck || len(got) != 1 {
			t.Errorf("confirmed as %s, with %v", c.Status, names(got))
		}
		if got := h.accepted(request, mt.Success); expect[mt.AFDataConfirm](h, got).Status != mt.Success || len(got) != 2 {
			t.Errorf("the faults did not end: %v", names(got))
		}
		if err := s.SetFaults(Faults{ConfirmStatus: 0xE9, ConfirmCount: 1, ConfirmDelivers: true}); err != nil {
			t.Fatal(err)
		}
		if got := h.accepted(request, mt.Success); expect[mt.AFDataConfirm](h, got).Status != mt.MACNoAck || len(got) != 2 {
			t.Errorf("failed but delivered: %v", names(got))
		}
	})
}

func TestUnplugEndsServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := loaded(t, 1)
		s.Unplug(10 * time.Second)
		synctest.Wait()
		if _, err := h.conn.Write([]byte{0xEF}); err == nil {
			t.Error("an unplugged stick still reads")
		}
		again := plug(t, s)
		time.Sleep(11 * time.Second)
		if state := expect[mt.UtilGetDeviceInfoRsp](again, again.ask(&mt.UtilGetDeviceInfo{})).State; state != mt.StateHold {
			t.Errorf("state %d after power came back, want 0", state)
		}
		again.accepted(&mt.ZDOStartupFromApp{}, mt.Success)
		if running, _ := s.Running(); !running {
			t.Error("the network is gone")
		}
	})
}

func TestFaultsAreChecked(t *testing.T) {
	s := newStick(t, Options{})
	for _, f := range []Faults{{Drop: -1}, {Drop: 1.5}, {Flip: 2}, {GarbageBytes: -1}, {GarbageBytes: highWater + 1}, {Duplicate: -2}} {
		if s.SetFaults(f) == nil {
			t.Errorf("%+v was taken", f)
		}
	}
	if s.SetLoad(Load{Rate: -1}) == nil {
		t.Error("a negative rate was taken")
	}
}

// TestFullLine finds memory bounded when the control socket insists and nobody reads.
func TestFullLine(t *testing.T) {
	s := runningStick(t)
	for range 20000 {
		if err := s.Press("plug-1"); err != nil {
			t.Fatal(err)
		}
	}
	if st := s.Stats(); len(s.line.buf) > lineLimit+1024 || st.ReportsUnheard == 0 || st.ReportsSent+st.ReportsUnheard != 3*20000 {
		t.Errorf("%d bytes wait, %+v", len(s.line.buf), st)
	}
}
