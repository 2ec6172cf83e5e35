package znp_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

// changing are the commands that could destroy or make a network.
func changing(s *stick) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []string
	for _, m := range s.received {
		switch m.(type) {
		case *mt.NVItemInit, *mt.NVWrite, *mt.NVWriteExt, *mt.NVDelete, *mt.ExtNVCreate, *mt.ExtNVWrite,
			*mt.ExtNVUpdate, *mt.ExtNVDelete, *mt.ExtNVCompact, *mt.SysResetReq, *mt.BDBStartCommissioning,
			*mt.BDBSetChannel, *mt.ZDOStartupFromApp, *mt.ZDOMgmtNwkUpdateReq:
			found = append(found, m.Command().String())
		}
	}
	return found
}

func TestResumeTakesNoTimeOfItsOwn(t *testing.T) {
	s := formedStick(t)
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		start := time.Now()
		synctest.Wait()
		if got := time.Since(start); got != 0 {
			t.Errorf("waited for %v", got)
		}
		want := znp.State{
			Phase:   znp.PhaseRunning,
			Stick:   znp.Stick{Version: "Z-Stack 3.x.0", Revision: 20230507, IEEE: stickIEEE},
			Network: &formed,
		}
		if diff := cmp.Diff(want, h.State()); diff != "" {
			t.Error(diff)
		}
		if got := changing(s); !slices.Equal(got, []string{"ZDO_STARTUP_FROM_APP"}) {
			t.Errorf("sent %v", got)
		}
		if !slices.Equal(s.registered(), []zb.Endpoint{1, 242}) {
			t.Errorf("endpoints %v", s.registered())
		}
		shut := heard[*mt.ZDOMgmtPermitJoinReq](s)
		if len(shut) != 1 || shut[0].Seconds != 0 || shut[0].Dst != zb.BroadcastRoutersCoordinators {
			t.Errorf("joining was not shut: %+v", shut)
		}
	})
}

func TestResumeOfARunningStickDoesNotStartIt(t *testing.T) {
	s := formedStick(t)
	s.start()
	s.endpoints = []zb.Endpoint{1, 242}
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		if got := changing(s); got != nil {
			t.Errorf("sent %v", got)
		}
		if n := len(heard[*mt.AFRegister](s)); n != 0 {
			t.Errorf("%d endpoints registered a second time", n)
		}
	})
}

// TestNeverDecidesByItself keeps each undecided stick for ten minutes and finds nothing that could change it.
func TestNeverDecidesByItself(t *testing.T) {
	other := formed
	other.Channel, other.KeySum = 20, "0000000000000000"
	tests := []struct {
		name    string
		stick   func(testing.TB) *stick
		expect  *znp.Network
		problem []string
		hint    string
	}{
		{"blank, nothing expected", blankStick, nil, []string{"blank"}, "peerbee network form"},
		{"blank, a network expected", blankStick, &formed, []string{"blank", "channel 15", "0x4402"}, "peerbee network form"},
		{"foreign network", formedStick, nil, []string{"foreign", "channel 15", "0x4402"}, "peerbee network adopt"},
		{
			"another network", formedStick, &other,
			[]string{"channel is 15, expected 20", "network key is with sum 9f9f5111f7b27a78, expected with sum 0000000000000000"},
			"peerbee network adopt",
		},
		{"incomplete network", func(t testing.TB) *stick {
			s := formedStick(t)
			s.nv[0x55] = []byte{0}
			return s
		}, &formed, []string{"incomplete"}, "peerbee network form"},
		{"network without a key", func(t testing.TB) *stick {
			s := formedStick(t)
			delete(s.nv, 0x3A)
			return s
		}, &formed, []string{"incomplete"}, "peerbee network form"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.stick(t)
			with(t, s, tt.expect, func(t *testing.T, h *znp.Host) {
				reach(t, h, znp.PhaseNeedsDecision, 0)
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				state := h.State()
				for _, want := range tt.problem {
					if !strings.Contains(state.Problem, want) {
						t.Errorf("problem %q does not tell %q", state.Problem, want)
					}
				}
				if state.Phase != znp.PhaseNeedsDecision || state.Hint != tt.hint {
					t.Errorf("state %+v", state)
				}
				if got := changing(s); got != nil {
					t.Errorf("sent %v", got)
				}
				if s.opens() != 1 {
					t.Errorf("the port was opened %d times", s.opens())
				}
				if len(heard[*mt.UtilGetDeviceInfo](s)) < 10 {
					t.Error("the stick is not watched")
				}
				if err := h.PermitJoin(t.Context(), 60, nil); !errors.Is(err, znp.ErrNotRunning) || !strings.Contains(err.Error(), tt.hint) {
					t.Errorf("permit join: %v", err)
				}
			})
		})
	}
}

func TestAdoptWritesNothing(t *testing.T) {
	s := formedStick(t)
	with(t, s, nil, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseNeedsDecision, 0)
		got, err := h.Adopt(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(formed, got); diff != "" {
			t.Error(diff)
		}
		reach(t, h, znp.PhaseRunning, 0)
		if got := changing(s); !slices.Equal(got, []string{"ZDO_STARTUP_FROM_APP"}) {
			t.Errorf("sent %v", got)
		}
		again, err := h.Adopt(t.Context())
		if err != nil || again != formed {
			t.Errorf("adopted again: %v, %v", again, err)
		}
		s.crash()
		time.Sleep(time.Second)
		reach(t, h, znp.PhaseRunning, 0)
	})
}

func TestAdoptOfNothing(t *testing.T) {
	with(t, blankStick(t), nil, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseNeedsDecision, 0)
		if _, err := h.Adopt(t.Context()); !errors.Is(err, znp.ErrNoNetwork) {
			t.Errorf("got %v", err)
		}
		reach(t, h, znp.PhaseNeedsDecision, 0)
	})
}

// TestStickThatStartsAnotherNetwork is what remains of firmware that forms by itself on a start.
func TestStickThatStartsAnotherNetwork(t *testing.T) {
	s := formedStick(t)
	s.hook = func(m mt.Message) bool {
		if _, ok := m.(*mt.ZDOExtNwkInfo); !ok {
			return false
		}
		s.say(&mt.ZDOExtNwkInfoRsp{PAN: 0x1234, Channel: 11})
		return true
	}
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseNeedsDecision, 0)
		if p := h.State().Problem; !strings.Contains(p, "0x1234") || !strings.Contains(p, "0x4402") {
			t.Errorf("problem %q", p)
		}
	})
}

func TestForm(t *testing.T) {
	s := blankStick(t)
	with(t, s, nil, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseNeedsDecision, 0)
		got, err := h.Form(t.Context(), znp.FormParams{Channel: 20})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if state := h.State(); state.Phase != znp.PhaseRunning || state.Network == nil || *state.Network != got {
			t.Errorf("state %+v, formed %+v", state, got)
		}
		if got.Channel != 20 || got.PAN == 0 || got.ExtendedPAN == 0 || got.Coordinator != stickIEEE || len(got.KeySum) != 16 {
			t.Errorf("formed %+v", got)
		}
		for item, want := range map[uint16][]byte{
			0x03: {0}, 0x60: {0x55}, 0x87: {0}, 0x8F: {1}, 0x63: {0}, 0x32: {1}, 0x33: {120}, 0x36: {1}, 0x38: {255},
			0x3E: {0}, 0x30: {30}, 0x84: {0, 0, 0x10, 0}, 0x83: {byte(got.PAN), byte(got.PAN >> 8)},
		} {
			if diff := cmp.Diff(want, s.nv[item]); diff != "" {
				t.Errorf("item 0x%02x: %s", item, diff)
			}
		}
		if !slices.Equal(s.nv[0x2D], s.nv[0x47]) {
			t.Error("the extended PAN ids differ")
		}
		s.forget()
		if _, err := h.Form(t.Context(), znp.FormParams{}); !errors.Is(err, znp.ErrHoldsNetwork) {
			t.Errorf("formed over a network: %v", err)
		}
		if got := changing(s); got != nil {
			t.Errorf("sent %v", got)
		}
		key := slices.Clone(s.nv[0x62])
		replaced, err := h.Form(t.Context(), znp.FormParams{PAN: 0x1A2B, ExtendedPAN: 0xDDDDDDDDDDDDDDDD, Replace: true})
		if err != nil || replaced.PAN != 0x1A2B || replaced.ExtendedPAN != 0xDDDDDDDDDDDDDDDD || replaced.Channel != 15 {
			t.Errorf("replaced by %+v, %v", replaced, err)
		}
		if slices.Equal(key, s.nv[0x62]) {
			t.Error("two networks share a key")
		}
	})
}

func TestFormChecksItsParameters(t *testing.T) {
	h := znp.New(znp.Options{})
	for _, p := range []znp.FormParams{{Channel: 10}, {Channel: 27}, {PAN: 0xFFFF}, {ExtendedPAN: 0xFFFFFFFFFFFFFFFF}} {
		if _, err := h.Form(t.Context(), p); err == nil {
			t.Errorf("%+v accepted", p)
		}
	}
}

func TestFormThatFails(t *testing.T) {
	tests := []struct {
		name string
		hook func(s *stick, m mt.Message) bool
		want string
	}{
		{"formation failure told", func(s *stick, m mt.Message) bool {
			if _, ok := m.(*mt.BDBStartCommissioning); !ok {
				return false
			}
			s.say(&mt.StatusRsp{Of: m.Command()}, &mt.BDBNotification{Status: 8})
			return true
		}, "another network with the same ids is near"},
		{"no answer for ever", func(s *stick, m mt.Message) bool {
			if _, ok := m.(*mt.BDBStartCommissioning); !ok {
				return false
			}
			s.say(&mt.StatusRsp{Of: m.Command()})
			return true
		}, "another network with the same ids is near"},
		{"an item that does not keep its value", func(s *stick, m mt.Message) bool {
			w, ok := m.(*mt.NVItemInit)
			if !ok || w.Item != 0x62 {
				return false
			}
			s.set(func() { s.nv[0x62] = make([]byte, 16) })
			s.say(&mt.StatusRsp{Of: m.Command(), Status: mt.NVItemCreated})
			return true
		}, "0x0062 was written but reads back differently"},
		{"no network stored", func(s *stick, m mt.Message) bool {
			if _, ok := m.(*mt.BDBStartCommissioning); !ok {
				return false
			}
			s.say(&mt.StatusRsp{Of: m.Command()}, &mt.ZDOStateChangeInd{State: mt.StateCoordinator})
			return true
		}, "did not store one"},
		{"another key than asked for", func(s *stick, m mt.Message) bool {
			if _, ok := m.(*mt.BDBStartCommissioning); ok {
				s.set(func() { s.nv[0x62] = []byte("fedcba9876543210") })
			}
			return false
		}, "another network than asked for"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := blankStick(t)
			s.hook = func(m mt.Message) bool { return tt.hook(s, m) }
			with(t, s, nil, func(t *testing.T, h *znp.Host) {
				reach(t, h, znp.PhaseNeedsDecision, 0)
				if _, err := h.Form(t.Context(), znp.FormParams{}); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v", err)
				}
				reach(t, h, znp.PhaseNeedsDecision, 0)
				if _, ok := s.nv[0x60]; ok {
					t.Error("the stick is marked as configured")
				}
			})
		})
	}
}

func TestBootLoaders(t *testing.T) {
	t.Run("serial boot loader", func(t *testing.T) {
		s := formedStick(t)
		s.deaf = true
		s.bytes = func(b []byte) {
			if slices.Contains(b, 0xEF) {
				s.set(func() { s.deaf = false })
			}
		}
		with(t, s, &formed, func(t *testing.T, h *znp.Host) { reach(t, h, znp.PhaseRunning, 5*time.Second) })
	})
	t.Run("control lines", func(t *testing.T) {
		s := formedStick(t)
		s.deaf, s.hasLines = true, true
		with(t, s, &formed, func(t *testing.T, h *znp.Host) {
			reach(t, h, znp.PhaseRunning, 5*time.Second)
			if want := []string{"dtr", "rts", "dtr", "rts+", "dtr", "rts"}; !slices.Equal(s.lines, want) {
				t.Errorf("lines %v", s.lines)
			}
		})
	})
	t.Run("an awake stick is not pushed", func(t *testing.T) {
		s := formedStick(t)
		s.hasLines = true
		with(t, s, &formed, func(t *testing.T, h *znp.Host) {
			reach(t, h, znp.PhaseRunning, 0)
			if len(s.lines) != 0 || slices.Contains(s.raw, 0xEF) {
				t.Errorf("lines %v, bytes %x", s.lines, s.raw)
			}
		})
	})
	t.Run("still starting when opened", func(t *testing.T) {
		s := formedStick(t)
		s.deaf = true
		with(t, s, &formed, func(t *testing.T, h *znp.Host) {
			time.Sleep(400 * time.Millisecond)
			s.set(func() { s.deaf = false })
			s.crash()
			reach(t, h, znp.PhaseRunning, 0)
		})
	})
	t.Run("restart on opening", func(t *testing.T) {
		s := formedStick(t)
		first := true
		s.hook = func(m mt.Message) bool {
			if _, ok := m.(*mt.SysPing); ok && first {
				first = false
				s.crash()
				return true
			}
			return false
		}
		with(t, s, &formed, func(t *testing.T, h *znp.Host) {
			reach(t, h, znp.PhaseRunning, 0)
			if s.opens() != 1 {
				t.Errorf("opened %d times", s.opens())
			}
		})
	})
}

func TestOtherFamilies(t *testing.T) {
	tests := []struct {
		name     string
		question byte   // what the stick answers to
		answer   string // in hex
		want     string
	}{
		// ERROR frame of https://github.com/Koenkk/zigbee-herdsman test/adapter/ember/consts.ts, after a cancel byte.
		{"EZSP", 0xC0, "1ac20251a8bd7e", "EZSP"},
		{"EZSP reset acknowledgement", 0xC0, "1ac1020b0a527e", "EZSP"},
		{"deCONZ", 0x0D, "c00d0100090000075826" + "64ff" + "c0", "deCONZ"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := blankStick(t)
			s.deaf = true
			s.bytes = func(b []byte) {
				if len(b) < 20 && len(b) > 4 && b[1] == tt.question {
					s.sayRaw(unhex(t, tt.answer))
				}
			}
			with(t, s, nil, func(t *testing.T, h *znp.Host) {
				reach(t, h, znp.PhaseWrongFamily, 2*time.Second)
				if state := h.State(); !strings.Contains(state.Problem, tt.want) || state.Hint == "" {
					t.Errorf("state %+v", state)
				}
				if _, err := h.Form(t.Context(), znp.FormParams{}); !errors.Is(err, znp.ErrNotRunning) {
					t.Errorf("form: %v", err)
				}
				time.Sleep(45 * time.Second)
				if s.opens() != 2 {
					t.Errorf("opened %d times", s.opens())
				}
			})
		})
	}
}

func TestOldFirmwareIsNamed(t *testing.T) {
	s := formedStick(t)
	s.version = mt.SysVersionRsp{Transport: 2, Product: 0, Major: 2, Minor: 6, Maintenance: 3}
	with(t, s, nil, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseWrongFamily, 0)
		if p := h.State().Problem; !strings.Contains(p, "Z-Stack 1.2") {
			t.Errorf("problem %q", p)
		}
	})
}

func TestSilentStick(t *testing.T) {
	s := formedStick(t)
	s.deaf = true
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseNoStick, 20*time.Second)
		if p := h.State().Problem; !strings.Contains(p, "does not answer") {
			t.Errorf("problem %q", p)
		}
		s.set(func() { s.deaf = false })
		reach(t, h, znp.PhaseRunning, 6*time.Second)
	})
}
