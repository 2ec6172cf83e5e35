package sim

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zcl"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// shared gives the folder of recorded data, or skips the test.
func shared(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("PEERBEE_SHARED"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			if _, err := os.Stat(filepath.Join(dir, "..", "shared", "zigbee")); err == nil {
				return filepath.Join(dir, "..", "shared")
			}
			break
		}
	}
	t.Skip("the recorded data is not here: set PEERBEE_SHARED to its folder")
	return ""
}

// pressureFrame is a report of 1011 hPa from 0x56c5: https://github.com/Koenkk/zigbee2mqtt/issues/20130.
const pressureFrame = "fe25448100000304c556010100450026528400001118080a000029f303140028ff1000297f27c5561d3f"

func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: []SensorSpec{{Kind: "pressure", Joined: true, Network: 0x1234}}})
		h := plug(t, s)
		recording := "# a comment\n\n" + pressureFrame + "\n" +
			`{"hex":"` + pressureFrame + `","at_ms":5000}` + "\n" +
			`{"hex":"fe0164010064"}` + "\n"
		type outcome struct {
			done Replayed
			err  error
		}
		ended := make(chan outcome, 1)
		go func() {
			done, err := s.Replay(t.Context(), strings.NewReader(recording), map[zb.NetworkAddress]string{0x56C5: "pressure-1"})
			ended <- outcome{done, err}
		}()
		h.accepted(&mt.BDBStartCommissioning{Mode: 4}, mt.Success)
		s.Pause(true)
		start := time.Now()
		got := h.accepted(&mt.AFRegister{Endpoint: 1}, mt.Success)
		if r := reports(t, got); len(r) != 1 || r[0].src != 0x1234 || r[0].cluster != zcl.ClusterPressure || r[0].attrs[0].Value != int64(1011) {
			t.Errorf("replayed %+v", r)
		}
		o := <-ended
		if o.err != nil || o.done != (Replayed{Sent: 2, Skipped: 1}) || time.Since(start) < 5*time.Second {
			t.Errorf("%+v after %v", o, time.Since(start))
		}
	})
}

func TestReplayRefuses(t *testing.T) {
	for name, line := range map[string]string{
		"no hex":          "zz",
		"half a frame":    pressureFrame[:20],
		"two frames":      pressureFrame + pressureFrame,
		"a wrong sum":     pressureFrame[:len(pressureFrame)-2] + "00",
		"no json":         "{",
		"json without it": "{}",
		"the past":        `{"hex":"` + pressureFrame + `","at_ms":-1}`,
	} {
		if _, _, err := parseRecorded([]byte(line)); !errors.Is(err, ErrRecording) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReplayRecorded plays every recorded frame and finds the indications on the line as they are in the file.
func TestReplayRecorded(t *testing.T) {
	path := filepath.Join(shared(t), "zigbee", "unpi_recorded.jsonl")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want []unpi.Frame
	for line := range strings.Lines(string(text)) {
		f, _, err := parseRecorded([]byte(strings.TrimSpace(line)))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if f.Type == unpi.AsyncRequest {
			want = append(want, f)
		}
	}
	if len(want) == 0 {
		t.Fatal("nothing recorded")
	}
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{})
		h := plug(t, s)
		h.form()
		done, err := s.Replay(t.Context(), strings.NewReader(string(text)), nil)
		if err != nil || done.Sent != len(want) {
			t.Fatalf("%+v %v, want %d", done, err, len(want))
		}
		got := h.all()
		for i, f := range want {
			if mt.CommandOf(f) != mt.CommandOf(got[i]) || string(f.Payload) != string(got[i].Payload) {
				t.Errorf("frame %d: % x, want % x", i, got[i].Payload, f.Payload)
			}
		}
	})
}
