package sim

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// ErrRecording says that a recording is not one.
var ErrRecording = errors.New("not a recording of frames")

// Replayed tells what became of a recording.
type Replayed struct {
	Sent    int // indications given to the host
	Skipped int // requests and answers, which only a host causes
}

// recorded is one line of a recording.
type recorded struct {
	Hex  string  `json:"hex"`
	AtMS float64 `json:"at_ms"`
}

// Replay gives recorded indications (AREQ) to the host as if they came from the air now. A line is a whole frame
// in hex, or a JSON object with one in "hex" and optionally when to send it in "at_ms", counted from the start.
// Empty lines and lines that start with # are passed over. AF_INCOMING_MSG whose source is a key of sources are
// sent in the name of that sensor instead; all else stays as recorded. Replay waits until the stick runs and the
// host has registered an endpoint.
func (s *Stick) Replay(ctx context.Context, frames io.Reader, sources map[zb.NetworkAddress]string) (Replayed, error) {
	var done Replayed
	if err := s.awaitHost(ctx); err != nil {
		return done, err
	}
	start := time.Now()
	lines := bufio.NewScanner(frames)
	lines.Buffer(nil, maxLine)
	for number := 1; lines.Scan(); number++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		frame, at, err := parseRecorded(text)
		if err != nil {
			return done, fmt.Errorf("line %d: %w", number, err)
		}
		if frame.Type != unpi.AsyncRequest {
			done.Skipped++
			continue
		}
		if err := sleep(ctx, time.Until(start.Add(at))); err != nil {
			return done, err
		}
		if err := s.inject(ctx, frame, sources); err != nil {
			return done, fmt.Errorf("line %d: %w", number, err)
		}
		done.Sent++
	}
	if err := lines.Err(); err != nil {
		return done, fmt.Errorf("reading the recording: %w", err)
	}
	return done, nil
}

// awaitHost waits for a host that has set the stick up.
func (s *Stick) awaitHost(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.broadcast)
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for ctx.Err() == nil && (!s.line.up || s.state != stateRunning || len(s.endpoints) == 0) {
		s.cond.Wait()
	}
	return ended(ctx)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ended(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ended(ctx)
	case <-timer.C:
		return nil
	}
}

func parseRecorded(line []byte) (unpi.Frame, time.Duration, error) {
	r := recorded{Hex: string(line)}
	if line[0] == '{' {
		r.Hex = ""
		if err := json.Unmarshal(line, &r); err != nil {
			return unpi.Frame{}, 0, fmt.Errorf("%w: %v", ErrRecording, err) //nolint:errorlint // one sentinel for the caller
		}
	}
	wire, err := hex.DecodeString(r.Hex)
	if err != nil {
		return unpi.Frame{}, 0, fmt.Errorf("%w: no hex", ErrRecording)
	}
	if !(r.AtMS >= 0 && r.AtMS < maxSeconds*1000) {
		return unpi.Frame{}, 0, fmt.Errorf("%w: at_ms %v", ErrRecording, r.AtMS)
	}
	var parser unpi.Parser
	var found []unpi.Frame
	parser.Feed(wire, func(f unpi.Frame) {
		f.Payload = bytes.Clone(f.Payload)
		found = append(found, f)
	})
	if len(found) != 1 || parser.Pending() || parser.Stats().Skipped > 0 {
		return unpi.Frame{}, 0, fmt.Errorf("%w: %q is not exactly one frame", ErrRecording, r.Hex)
	}
	return found[0], time.Duration(r.AtMS * float64(time.Millisecond)), nil
}

// inject sends a recorded indication, in the name of a sensor if its source is mapped to one.
func (s *Stick) inject(ctx context.Context, f unpi.Frame, sources map[zb.NetworkAddress]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waitRoom(ctx)
	report := false
	if m, err := mt.DecodeFrame(f); err == nil {
		if in, ok := m.(*mt.AFIncomingMsg); ok {
			report = true
			if name, mapped := sources[in.Src]; mapped {
				d, err := s.byName(name)
				if err != nil {
					return err
				}
				in.Src = d.nwk
				if f.Payload, err = mt.Append(nil, in); err != nil {
					return fmt.Errorf("renaming the source: %w", err)
				}
			}
		}
	}
	s.sendRaw(mt.CommandOf(f), f.Payload, report)
	s.cond.Broadcast()
	return nil
}
