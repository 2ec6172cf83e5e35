package znp_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

func TestRestartOfTheStick(t *testing.T) {
	s := formedStick(t)
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		for range 3 {
			start := time.Now()
			s.crash()
			synctest.Wait()
			reach(t, h, znp.PhaseRunning, 2*time.Second)
			s.say(humidity(1, 1))
			next[znp.Incoming](t, h)
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("a report after %v", took)
			}
			if !slices.Equal(s.registered(), []zb.Endpoint{1, 242}) {
				t.Errorf("endpoints %v", s.registered())
			}
			time.Sleep(time.Hour)
		}
		if s.opens() != 1 || h.Stats().Resets != 3 {
			t.Errorf("opened %d times, stats %+v", s.opens(), h.Stats())
		}
	})
}

// TestBringUpOnADamagedLine loses the answer to each question of the bring-up in turn.
func TestBringUpOnADamagedLine(t *testing.T) {
	s := formedStick(t)
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
	})
	questions := 0
	for _, m := range s.received {
		switch m.(type) {
		case *mt.SysVersion, *mt.NVReadExt, *mt.NVLength, *mt.UtilGetDeviceInfo, *mt.ZDOExtNwkInfo:
			questions++
		}
	}
	for lost := range questions {
		s := formedStick(t)
		at := 0
		s.hook = func(m mt.Message) bool {
			switch m.(type) {
			case *mt.SysVersion, *mt.NVReadExt, *mt.NVLength, *mt.UtilGetDeviceInfo, *mt.ZDOExtNwkInfo:
				at++
				return at == lost+1
			}
			return false
		}
		with(t, s, &formed, func(t *testing.T, h *znp.Host) {
			reach(t, h, znp.PhaseRunning, 4*time.Second)
			if s.opens() != 1 {
				t.Errorf("question %d lost: the port was opened %d times", lost, s.opens())
			}
		})
	}
}

// TestStickThatAnswersNothingButPings must not hold the host for ever.
func TestStickThatAnswersNothingButPings(t *testing.T) {
	s := formedStick(t)
	s.hook = func(m mt.Message) bool {
		_, ping := m.(*mt.SysPing)
		return !ping
	}
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseNoStick, 30*time.Second)
		if p := h.State(); !strings.Contains(p.Problem, "SYS_VERSION") {
			t.Errorf("state %+v", p)
		}
	})
}

func TestStickThatKeepsRestarting(t *testing.T) {
	s := formedStick(t)
	s.hook = func(m mt.Message) bool {
		if _, ok := m.(*mt.AFRegister); ok {
			s.crash()
			return true
		}
		return false
	}
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseNoStick, time.Minute)
		s.set(func() { s.hook = nil })
		reach(t, h, znp.PhaseRunning, 10*time.Second)
	})
}

func TestLostRestartIsFound(t *testing.T) {
	s := formedStick(t)
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		s.set(func() { s.state, s.endpoints = mt.StateHold, nil })
		time.Sleep(41 * time.Second)
		reach(t, h, znp.PhaseRunning, 0)
		if !slices.Equal(s.registered(), []zb.Endpoint{1, 242}) {
			t.Errorf("endpoints %v", s.registered())
		}
	})
}

func TestStateLostIsFound(t *testing.T) {
	s := formedStick(t)
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		s.set(func() { s.state = mt.StateOrphan })
		s.say(&mt.ZDOStateChangeInd{State: mt.StateOrphan})
		synctest.Wait()
		reach(t, h, znp.PhaseRunning, 0)
		if s.state != mt.StateCoordinator {
			t.Errorf("state %d", s.state)
		}
	})
}

func TestUnplugged(t *testing.T) {
	for _, gone := range []time.Duration{time.Second, 10 * time.Second, time.Hour} {
		t.Run(gone.String(), func(t *testing.T) {
			s := formedStick(t)
			with(t, s, &formed, func(t *testing.T, h *znp.Host) {
				reach(t, h, znp.PhaseRunning, 0)
				s.unplug()
				reach(t, h, znp.PhaseNoStick, time.Second)
				if p := h.State(); p.Problem == "" || p.Hint == "" {
					t.Errorf("state %+v", p)
				}
				time.Sleep(gone)
				s.set(func() { s.absent = false })
				back := time.Now()
				reach(t, h, znp.PhaseRunning, 2*time.Second)
				s.say(humidity(1, 1))
				next[znp.Incoming](t, h)
				if took := time.Since(back); took > 2*time.Second {
					t.Errorf("a report %v after the port returned", took)
				}
			})
		})
	}
}

type explained struct{ foreign bool }

func (explained) Error() string { return "taken" }
func (explained) Explain() (problem, hint string) {
	return "the port is taken", "stop the other program"
}
func (e explained) WrongFamily() bool { return e.foreign }

func TestOpenErrorsInTheirOwnWords(t *testing.T) {
	if got, want := znp.OpenState(explained{}), (znp.State{
		Phase: znp.PhaseNoStick, Problem: "the port is taken", Hint: "stop the other program",
	}); got != want {
		t.Errorf("got %+v", got)
	}
	if got := znp.OpenState(explained{foreign: true}); got.Phase != znp.PhaseWrongFamily {
		t.Errorf("got %+v", got)
	}
}

func TestStalledStickIsReopened(t *testing.T) {
	s := formedStick(t)
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		s.set(func() { s.deaf = true })
		reach(t, h, znp.PhaseNoStick, 50*time.Second)
		s.set(func() { s.deaf, s.state, s.endpoints = false, mt.StateHold, nil })
		reach(t, h, znp.PhaseRunning, 6*time.Second)
		if s.opens() < 2 {
			t.Error("the port was not reopened")
		}
	})
}

// TestLateAnswerIsNotTakenForALaterOne: the stick answers the first request only after its time is over.
func TestLateAnswerIsNotTakenForALaterOne(t *testing.T) {
	s := formedStick(t)
	held := 0
	s.hook = func(m mt.Message) bool {
		r, ok := m.(*mt.AFDataRequest)
		if !ok {
			return false
		}
		if held++; held > 1 {
			s.say(&mt.StatusRsp{Of: m.Command(), Status: mt.InvalidParameter})
			return true
		}
		time.AfterFunc(7*time.Second, func() { s.say(&mt.StatusRsp{Of: r.Command()}) })
		return true
	}
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		s.set(func() {
			inner := s.hook
			s.hook = func(m mt.Message) bool {
				if _, ok := m.(*mt.SysPing); ok && held == 1 {
					// In order: the late answer, then the ping's.
					time.AfterFunc(1500*time.Millisecond, func() { s.say(&mt.SysPingRsp{}) })
					return true
				}
				return inner(m)
			}
		})
		if err := h.Send(t.Context(), znp.Message{Data: []byte{1}}); !errors.Is(err, znp.ErrTimeout) {
			t.Errorf("first: %v", err)
		}
		var refused *znp.StatusError
		if err := h.Send(t.Context(), znp.Message{Data: []byte{2}}); !errors.As(err, &refused) || refused.Status != mt.InvalidParameter {
			t.Errorf("second: %v", err)
		}
	})
}

func TestUnknownCommandFailsAtOnce(t *testing.T) {
	s := formedStick(t)
	s.hook = func(m mt.Message) bool {
		if _, ok := m.(*mt.ZDOExtRouteDisc); ok {
			s.say(&mt.RPCError{Code: mt.ErrorInvalidCommand, CMD0: 0x25, CMD1: 0x45})
			return true
		}
		return false
	}
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		start := time.Now()
		if err := h.DiscoverRoute(t.Context(), 1); !errors.Is(err, znp.ErrUnsupported) || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func frameOf(t *testing.T, m mt.Message) []byte {
	b, err := mt.AppendFrame(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStrayStartByteCostsNothing(t *testing.T) {
	s := formedStick(t)
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		for i := range byte(10) {
			if i == 3 {
				s.sayRaw([]byte{0xFE})
			}
			s.say(humidity(i, 1))
			start := time.Now()
			if got := next[znp.Incoming](t, h); got.Data[1] != i || time.Since(start) > 100*time.Millisecond {
				t.Errorf("report %d after %v, want %d", got.Data[1], time.Since(start), i)
			}
			time.Sleep(time.Minute)
		}
	})
}

// TestFalseLengthDoesNotHoldBackARareReport: a false start claims far more bytes than come in a minute.
func TestFalseLengthDoesNotHoldBackARareReport(t *testing.T) {
	s := formedStick(t)
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		s.sayRaw(append([]byte{0xFE, 0xC8, 0x44, 0x81}, frameOf(t, humidity(1, 1))...))
		start := time.Now()
		next[znp.Incoming](t, h)
		if took := time.Since(start); took > 150*time.Millisecond {
			t.Errorf("held back for %v", took)
		}
		// Half a frame whose other half never comes does not delay the next report.
		s.sayRaw(frameOf(t, humidity(2, 1))[:9])
		time.Sleep(time.Minute)
		start = time.Now()
		s.say(humidity(3, 1))
		if got := next[znp.Incoming](t, h); got.Data[1] != 3 || time.Since(start) != 0 {
			t.Errorf("report %d after %v", got.Data[1], time.Since(start))
		}
		// A half that is merely late is not lost.
		late := frameOf(t, humidity(4, 1))
		s.sayRaw(late[:9])
		time.Sleep(300 * time.Millisecond)
		s.sayRaw(late[9:])
		if got := next[znp.Incoming](t, h); got.Data[1] != 4 {
			t.Errorf("report %d", got.Data[1])
		}
	})
}

func TestNoiseBetweenReports(t *testing.T) {
	s := formedStick(t)
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		rnd := rand.New(rand.NewPCG(5, 6))
		const n = 1000
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			for i := range n {
				if i%5 == 0 {
					garbage := make([]byte, 16)
					for j := range garbage {
						garbage[j] = byte(rnd.Uint32())
					}
					s.sayRaw(garbage)
				}
				m := humidity(byte(i), 1)
				m.Data = append(m.Data, byte(i>>8))
				s.say(m)
				time.Sleep(5 * time.Millisecond)
			}
		})
		var got []int
		for range n {
			e := next[znp.Incoming](t, h)
			got = append(got, int(e.Data[8])<<8|int(e.Data[1]))
		}
		want := make([]int, n)
		for i := range want {
			want[i] = i
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if h.State().Phase != znp.PhaseRunning || h.Stats().SkippedBytes == 0 {
			t.Errorf("state %+v, stats %+v", h.State(), h.Stats())
		}
	})
}

func TestStateEventsTellTheStory(t *testing.T) {
	s := formedStick(t)
	with(t, s, nil, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseNeedsDecision, 0)
		if _, err := h.Adopt(t.Context()); err != nil {
			t.Fatal(err)
		}
		var phases []string
		for len(phases) < 3 {
			phases = append(phases, string(next[znp.StateChanged](t, h).State.Phase))
		}
		if got := strings.Join(phases, " "); got != "needs-decision starting running" {
			t.Errorf("phases: %s", got)
		}
	})
}
