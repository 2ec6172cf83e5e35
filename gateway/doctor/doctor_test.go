package doctor

import (
	"context"
	"errors"
	"testing"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/gateway/api"
)

// healthy is a machine on which nothing is wrong; each row of the table breaks one thing.
func healthy() *Env {
	c := config.Default()
	c.P2P.Mode = config.ModeOn
	c.P2P.Hives = []string{"/ip4/127.0.0.1/tcp/1/p2p/x"}
	return &Env{
		Config: c,
		Status: func(context.Context) (api.Status, error) {
			return api.Status{
				Zigbee: api.Zigbee{Phase: "running", Network: &api.Network{Channel: 15}},
				P2P:    api.P2P{Addresses: []string{"/ip4/10.0.0.2/tcp/4177"}, Hives: 1},
			}, nil
		},
		Sticks: func() ([]Stick, error) {
			return []Stick{{Path: "/dev/ttyUSB0", Name: "Dongle-P", Family: "znp", Usable: true}}, nil
		},
		CanOpen:    func(string) error { return nil },
		Holders:    func(string) []string { return []string{"peerbee (1)"} },
		DiskFree:   func(string) (uint64, error) { return 1 << 30, nil },
		ClockKnown: func() bool { return true },
	}
}

func TestHealthyMachine(t *testing.T) {
	for _, f := range Run(t.Context(), healthy()) {
		if f.Verdict != OK {
			t.Errorf("%s: %s: %s", f.Code, f.Verdict, f.Text)
		}
	}
}

func TestEveryFailureHasItsNextStep(t *testing.T) {
	status := func(change func(*api.Status)) func(*Env) {
		return func(e *Env) {
			was := e.Status
			e.Status = func(ctx context.Context) (api.Status, error) {
				s, err := was(ctx)
				change(&s)
				return s, err
			}
		}
	}
	for _, tc := range []struct {
		code    string
		verdict string
		breakIt func(*Env)
	}{
		{"config", Failed, func(e *Env) { e.ConfigErr = &config.FileError{Path: "p", Reason: "r", Hint: "h"} }},
		{"daemon", Failed, func(e *Env) {
			e.Status = func(context.Context) (api.Status, error) { return api.Status{}, errors.New("no answer") }
		}},
		{"stick", Failed, func(e *Env) { e.Sticks = func() ([]Stick, error) { return nil, nil } }},
		{"stick", Failed, func(e *Env) {
			e.Sticks = func() ([]Stick, error) { return []Stick{{Name: "ConBee II", Family: "deconz"}}, nil }
		}},
		{"stick", Failed, func(e *Env) {
			e.Config.Zigbee.Port = "/dev/no-such-port"
			e.Sticks = func() ([]Stick, error) { return nil, nil }
		}},
		{"port", Warning, func(e *Env) { e.CanOpen = func(string) error { return errors.New("permission denied") } }},
		{"busy", Failed, func(e *Env) { e.Holders = func(string) []string { return []string{"node (77)"} } }},
		{"network", Failed, status(func(s *api.Status) { s.Zigbee.Problem, s.Zigbee.Hint = "blank stick", "peerbee network form" })},
		{"clock", Warning, func(e *Env) { e.ClockKnown = func() bool { return false } }},
		{"disk", Failed, func(e *Env) { e.DiskFree = func(string) (uint64, error) { return 1 << 20, nil } }},
		{"p2p", Failed, status(func(s *api.Status) { s.P2P.Addresses = nil })},
		{"p2p", Warning, func(e *Env) { e.Config.P2P.Hives = nil }},
		{"p2p", Failed, status(func(s *api.Status) { s.P2P.Hives = 0 })},
	} {
		env := healthy()
		tc.breakIt(env)
		found := false
		for _, f := range Run(t.Context(), env) {
			if f.Code != tc.code {
				continue
			}
			found = true
			if f.Verdict != tc.verdict || f.Text == "" || f.Hint == "" {
				t.Errorf("%s: got %+v, want %s with a hint", tc.code, f, tc.verdict)
			}
		}
		if !found {
			t.Errorf("no check %s", tc.code)
		}
	}
}
