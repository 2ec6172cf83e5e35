// Package demo runs the main job on one machine without hardware: a simulated stick with five sensors, a hive, a
// gateway and a subscribing peer, each its own process with its own state folder. It checks every step and ends
// with a verdict. It must never reach into those processes: it uses what a person could use.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/peerbee/peerbee/gateway/localapi/client"
	"github.com/peerbee/peerbee/zigbee/sim"
)

// Options of a demo.
type Options struct {
	Exe string        // the peerbee binary that every process runs
	For time.Duration // how long to go on in all; 0: until ctx ends
	Dir string        // where the state folders go; empty: a temporary folder that is removed at the end
	Out io.Writer     // what a person reads
}

// sensors are what the simulated home holds: kind of sensor and the name it gets.
var sensors = []struct{ kind, name string }{
	{"temperature", "kitchen"}, {"contact", "front-door"}, {"plug", "fridge"}, {"pressure", "attic"}, {"motion", "hallway"},
}

// sampleEvery is how often each simulated property is sampled: quick, so that there is something to see.
const sampleEvery = time.Second

// stepTimeout bounds every single step; on an idle machine each takes a second or two.
const stepTimeout = 60 * time.Second

// Run performs the demo and returns its verdict in one line. The error says which step failed and why.
func Run(ctx context.Context, o Options) (verdict string, err error) {
	dir := o.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "peerbee-demo-"); err != nil {
			return "", fmt.Errorf("folder of the demo: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	r := &run{Options: o, dir: dir, began: time.Now(), cast: newCast(o.Exe, dir)}
	defer func() { err = errors.Join(err, r.cast.stopAll()) }()
	for _, s := range r.steps() {
		if err := r.step(ctx, s); err != nil {
			return "", err
		}
	}
	return r.verdict(), nil
}

// run is one demo under way.
type run struct {
	Options
	dir   string
	began time.Time
	cast  *cast

	stick    *sim.Client
	gateway  *client.Client
	hiveAddr string
	ticket   string
	peer     *actor
	journal  *journal
	killedAt int
}

type step struct {
	title string
	do    func(context.Context) error
	// open steps end with the demo's own time, not with stepTimeout.
	open bool
}

func (r *run) steps() []step {
	return []step{
		{"a simulated Z-Stack stick with five sensors, on a pty", r.startStick, false},
		{"a hive: meeting point of a private Kademlia network", r.startHive, false},
		{"the gateway daemon, on the stick's serial port", r.startGateway, false},
		{"the stick is blank: form a network, by explicit word", r.formNetwork, false},
		{"pair the five sensors", r.pairSensors, false},
		{"share them: one ticket, without any address in it", r.share, false},
		{"a peer redeems the ticket and finds the gateway through Kademlia", r.startPeer, false},
		{"live readings at the peer", r.watchLive, false},
		{"the kitchen sensor's ledger record, and its proof verified offline", r.proveOwnership, false},
		{"kill the peer (SIGKILL), let readings pass, start it again", r.killPeer, false},
		{"it resumes: every reading it missed arrives", r.checkResume, false},
		{"and on it goes", r.goOn, true},
		{"nothing lost, from the first reading to the last", r.checkComplete, false},
	}
}

func (r *run) step(ctx context.Context, s step) error {
	r.say("\n== %s", s.title)
	limited, cancel := ctx, context.CancelFunc(func() {})
	if !s.open {
		// Ctrl-C during a step ends the demo; the verdict of a demo without an end comes after the open step.
		limited, cancel = context.WithTimeout(context.WithoutCancel(ctx), stepTimeout)
		defer context.AfterFunc(ctx, func() {
			if !r.closing(s) {
				cancel()
			}
		})()
	}
	defer cancel()
	err := s.do(limited)
	if ctx.Err() != nil && !s.open && err != nil && !r.closing(s) {
		return context.Canceled
	}
	if err != nil {
		return fmt.Errorf("%s: %w%s", s.title, err, r.cast.lastWords())
	}
	return nil
}

// closing reports whether s comes after the open step: Ctrl-C has led to it and must not end it.
func (r *run) closing(s step) bool {
	steps := r.steps()
	return s.title == steps[len(steps)-1].title
}

func (r *run) say(format string, args ...any) { fmt.Fprintf(r.Out, format+"\n", args...) }

func (r *run) verdict() string {
	return fmt.Sprintf("demo: ok: %d sensors paired, gateway found through Kademlia, %d readings at the peer, ownership proof verified offline, "+
		"peer killed and resumed, 0 readings lost (%s)", len(sensors), r.journal.count(), time.Since(r.began).Round(time.Second))
}

func (r *run) path(parts ...string) string {
	return filepath.Join(append([]string{r.dir}, parts...)...)
}

// until calls check every 50 ms until it is done, fails, or ctx ends with what was missing.
func until(ctx context.Context, what string, check func() (bool, error)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := check()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gave up waiting for %s", what)
		case <-tick.C:
		}
	}
}
