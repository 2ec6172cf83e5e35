package gateway

import (
	"errors"
	"strings"
	"testing"

	"github.com/peerbee/peerbee/zigbee"
)

func TestPickStick(t *testing.T) {
	znp := zigbee.Stick{Path: "/dev/serial/by-id/znp", Name: "Sonoff ZBDongle-P", Family: "znp"}
	other := zigbee.Stick{Path: "/dev/serial/by-id/znp2", Name: "CC2531", Family: "znp"}
	maybe := zigbee.Stick{Path: "/dev/ttyUSB0", Name: "CP2102", Possible: true}
	maybe2 := zigbee.Stick{Path: "/dev/ttyUSB1", Name: "CH340", Possible: true}
	ezsp := zigbee.Stick{Path: "/dev/serial/by-id/ezsp", Name: "SkyConnect", Family: "ezsp"}
	broken := errors.New("no /sys")
	for _, tt := range []struct {
		name   string
		sticks []zigbee.Stick
		err    error
		want   string
		says   []string // of the error and its hint
	}{
		{name: "nothing", says: []string{"no coordinator stick", "plug one in"}},
		{name: "one", sticks: []zigbee.Stick{znp}, want: znp.Path},
		{name: "one certain, one possible", sticks: []zigbee.Stick{znp, maybe}, want: znp.Path},
		{name: "one of ours, one of another family", sticks: []zigbee.Stick{ezsp, znp}, want: znp.Path},
		{name: "one possible", sticks: []zigbee.Stick{maybe}, want: maybe.Path},
		{name: "one possible, one of another family", sticks: []zigbee.Stick{ezsp, maybe}, want: maybe.Path},
		{name: "two certain", sticks: []zigbee.Stick{znp, other}, says: []string{"2 sticks", znp.Path, other.Path, "zigbee.port"}},
		{name: "two possible", sticks: []zigbee.Stick{maybe, maybe2}, says: []string{"2 sticks", maybe.Path, maybe2.Path, "zigbee.port"}},
		{name: "another family only", sticks: []zigbee.Stick{ezsp}, says: []string{"SkyConnect"}},
		{name: "no look-up", err: broken, says: []string{"no /sys"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pickStick(func() ([]zigbee.Stick, error) { return tt.sticks, tt.err })
			if got != tt.want || (err == nil) != (tt.says == nil) {
				t.Fatalf("picked %q, %v, want %q", got, err, tt.want)
			}
			if err == nil {
				return
			}
			said := err.Error()
			var explained interface{ Explain() (string, string) }
			if errors.As(err, &explained) {
				problem, hint := explained.Explain()
				said = problem + "; " + hint
				if hint == "" {
					t.Errorf("%q names no next step", problem)
				}
			} else if tt.err == nil {
				t.Errorf("%v explains nothing", err)
			}
			for _, want := range tt.says {
				if !strings.Contains(said, want) {
					t.Errorf("%q is not in %q", want, said)
				}
			}
		})
	}
}
