package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	zb "github.com/shimmeringbee/zigbee"
	"golang.org/x/sync/errgroup"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
)

// Config is everything a simulator run from the command line is told.
type Config struct {
	PTY     string   // path of the link to the simulated serial port
	TCP     string   // or the address to listen at instead
	NV      string   // dump file the stick's memory is loaded from; empty: a blank stick
	NVSave  string   // dump file it is saved to; if it is there from an earlier run, it is loaded instead of NV
	Packed  bool     // a blank stick is a CC2531 with Z-Stack 3.0.x, not a CC2652 with 3.x.0
	Sensors []string // see ParseSensors
	Control string   // path of the control socket; empty: none
	Replay  string   // recording to play once the host has set the stick up
	// ReplayAs maps source addresses of the recording to sensors: "0x56c5=pressure-1".
	ReplayAs   []string
	Seed       uint64
	Interval   time.Duration // between samples of every property; 0: each kind's own
	Delays     Delays
	ManualJoin bool
	Log        *slog.Logger
}

// saveEvery is how often a changed memory is written to its file.
const saveEvery = 2 * time.Second

// Run simulates a stick until the context ends, which is no error, or the port cannot be made.
func Run(ctx context.Context, c Config) error {
	if (c.PTY == "") == (c.TCP == "") {
		return errors.New("give the simulated stick either a path for its serial port or a TCP address")
	}
	sensors, err := ParseSensors(c.Sensors)
	if err != nil {
		return err
	}
	sources, err := parseSources(c.ReplayAs)
	if err != nil {
		return err
	}
	memory, err := loadMemory(c)
	if err != nil {
		return err
	}
	o := Options{
		NV: memory, Log: c.Log, Sensors: sensors, Seed: c.Seed, Interval: c.Interval, Delays: c.Delays, ManualJoin: c.ManualJoin,
	}
	if c.Packed && memory == nil {
		o.Version = ZStack30x
	}
	stick, err := New(o)
	if err != nil {
		return err
	}
	return stick.run(ctx, c, sources)
}

func (s *Stick) run(ctx context.Context, c Config, sources map[zb.NetworkAddress]string) error {
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error {
		if c.TCP != "" {
			return s.ServeTCP(inner, c.TCP)
		}
		return s.ServePTY(inner, c.PTY)
	})
	if c.Control != "" {
		group.Go(func() error { return s.ServeControl(inner, c.Control) })
	}
	if c.Replay != "" {
		group.Go(func() error { return s.replayFile(inner, c.Replay, sources) })
	}
	if c.NVSave != "" {
		group.Go(func() error { return s.keepSaved(inner, c.NVSave) })
	}
	err := group.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	if c.NVSave != "" {
		err = errors.Join(err, s.SaveNV(c.NVSave))
	}
	return err
}

func (s *Stick) replayFile(ctx context.Context, path string, sources map[zb.NetworkAddress]string) error {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return fmt.Errorf("opening the recording: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	done, err := s.Replay(ctx, f, sources)
	if err != nil {
		return fmt.Errorf("replaying %s: %w", path, err)
	}
	s.log.Info("recording played", "sent", done.Sent, "skipped", done.Skipped)
	return nil
}

func (s *Stick) keepSaved(ctx context.Context, path string) error {
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ended(ctx)
		case <-ticker.C:
			if err := s.SaveNV(path); err != nil {
				return err
			}
		}
	}
}

// loadMemory gives the memory of the file named, nil for a blank stick.
func loadMemory(c Config) (*nv.Memory, error) {
	path := c.NV
	if c.NVSave != "" {
		if _, err := os.Stat(c.NVSave); err == nil {
			path = c.NVSave // the run before was here: go on from there
		}
	}
	if path == "" {
		return nil, nil //nolint:nilnil // a blank stick has no memory yet
	}
	return nv.Load(path) //nolint:wrapcheck // says all there is to say
}

// sleepyWindow is how long a sensor described as sleepy can be reached after it has sent something.
const sleepyWindow = 5 * time.Second

// ParseSensors reads descriptions of sensors: comma-separated kinds, each with an optional "*count" and optional
// marks. "+joined" sensors are members whenever the stick is on a network, "+sleepy" ones can be reached only
// shortly after they have sent something: "temperature,contact+sleepy,plug*3+joined".
func ParseSensors(texts []string) ([]SensorSpec, error) {
	var all []SensorSpec
	for _, text := range texts {
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			spec, count, err := parseSensor(item)
			if err != nil {
				return nil, err
			}
			for range count {
				all = append(all, spec)
			}
		}
	}
	return all, nil
}

func parseSensor(item string) (spec SensorSpec, count int, err error) {
	what, marks, marked := strings.Cut(item, "+")
	kind, number, many := strings.Cut(what, "*")
	spec.Kind, count = kind, 1
	if many {
		if count, err = strconv.Atoi(number); err != nil || count < 1 || count > maxSensors {
			return spec, 0, fmt.Errorf("%q: the count of sensors is a number from 1 to %d", item, maxSensors)
		}
	}
	if _, ok := kinds[kind]; !ok {
		return spec, 0, fmt.Errorf("%w: %q; there are %s", ErrNoKind, kind, strings.Join(Kinds(), ", "))
	}
	if !marked {
		return spec, count, nil
	}
	for mark := range strings.SplitSeq(marks, "+") {
		switch mark {
		case "joined":
			spec.Joined = true
		case "sleepy":
			spec.Sleepy = sleepyWindow
		default:
			return spec, 0, fmt.Errorf("%q: a sensor can be marked +joined or +sleepy, not +%s", item, mark)
		}
	}
	return spec, count, nil
}

func parseSources(texts []string) (map[zb.NetworkAddress]string, error) {
	sources := map[zb.NetworkAddress]string{}
	for _, text := range texts {
		address, sensor, ok := strings.Cut(text, "=")
		n, err := strconv.ParseUint(address, 0, 16)
		if !ok || err != nil || sensor == "" {
			return nil, fmt.Errorf("%q does not map an address to a sensor: write 0x56c5=pressure-1", text)
		}
		sources[zb.NetworkAddress(n)] = sensor
	}
	return sources, nil
}
