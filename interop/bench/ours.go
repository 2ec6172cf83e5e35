package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi/client"
	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/gateway/subscriber"
)

// ours is a peerbee daemon, and a peer that was invited with a ticket: Noise, history and ledger included.
type ours struct {
	program, dir string
	arrivals     *arrivals
	daemon       *process
	local        *client.Client
	devices      chan api.Device // what becomes of those that join
	stopWatch    context.CancelFunc
	peer         *subscriber.Peer
	stopPeer     context.CancelFunc
}

func newOurs(program, dir, port string, a *arrivals) (*ours, error) {
	listen, err := freePort()
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`[gateway]
state_dir = %q
[zigbee]
port = %q
[p2p]
mode = "lan"
listen = ["/ip4/127.0.0.1/tcp/%d"]
mdns = false
[api]
socket = %q
[log]
level = "warn"
`, filepath.Join(dir, "state"), port, listen, filepath.Join(dir, "api"))
	if err := os.WriteFile(filepath.Join(dir, "peerbee.toml"), []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	return &ours{program: program, dir: dir, arrivals: a, local: client.New(filepath.Join(dir, "api"))}, nil
}

func (o *ours) start(ctx context.Context) (err error) {
	o.daemon, err = spawn(filepath.Join(o.dir, "daemon.log"), nil, o.program, "daemon", "--config", filepath.Join(o.dir, "peerbee.toml"))
	if err != nil {
		return err
	}
	var s api.Status
	phase := func(wanted ...string) func() bool {
		return func() bool {
			if o.local.Get(ctx, "/v1/status", &s) != nil {
				return false
			}
			for _, w := range wanted {
				if s.Zigbee.Phase == w {
					return true
				}
			}
			return !o.daemon.running()
		}
	}
	if err := poll(ctx, startLimit, time.Millisecond, "the daemon", phase("needs-decision", "running")); err != nil {
		return err
	}
	if s.Zigbee.Phase == "needs-decision" {
		if err := o.local.Post(ctx, "/v1/network/form", api.Form{}, nil); err != nil {
			return err
		}
		return poll(ctx, startLimit, time.Millisecond, "the network", phase("running"))
	}
	return nil
}

func (o *ours) pair(ctx context.Context, ieee string, join func() error) error {
	if o.devices == nil {
		o.watch(ctx)
	}
	open := func() error { return o.local.Post(ctx, "/v1/pair", api.Pair{Seconds: 254}, nil) }
	if err := joinWhenOpen(ctx, join, open); err != nil {
		return err
	}
	late := time.After(pairLimit)
	for {
		select {
		case d := <-o.devices:
			if d.ID == ieee && d.Interview == "done" {
				return nil
			}
		case <-late:
			return fmt.Errorf("%s was not interviewed within %v", ieee, pairLimit)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watch follows the devices until stop.
func (o *ours) watch(ctx context.Context) {
	ctx, o.stopWatch = context.WithCancel(ctx)
	devices, ready := make(chan api.Device, 64), make(chan struct{})
	o.devices = devices
	go func() {
		greeted := false
		_ = o.local.Stream(ctx, "/v1/watch?kinds=device", func(line json.RawMessage) error { // ends with the daemon
			if !greeted {
				greeted = true
				close(ready)
			}
			var e api.Event
			if err := json.Unmarshal(line, &e); err != nil || e.Device == nil {
				return err
			}
			select {
			case devices <- *e.Device:
			case <-ctx.Done():
			}
			return nil
		})
	}()
	select {
	case <-ready:
	case <-time.After(joinLimit):
	}
}

func (o *ours) subscribe(ctx context.Context) error {
	if o.peer != nil {
		return nil
	}
	var ticket api.Ticket
	if err := o.local.Post(ctx, "/v1/shares", api.Share{Label: "bench", Devices: []string{"*"}}, &ticket); err != nil {
		return err
	}
	peer, err := subscriber.Open(ctx, subscriber.Options{Dir: filepath.Join(o.dir, "peer"), Listen: []string{"/ip4/127.0.0.1/tcp/0"}, NoMDNS: true})
	if err != nil {
		return err
	}
	name, err := peer.Enrol(ctx, ticket.Text, "")
	if err != nil {
		return errors.Join(err, peer.Close())
	}
	running, stop := context.WithCancel(ctx)
	o.peer, o.stopPeer = peer, stop
	connected := make(chan struct{}, 1)
	go func() {
		err := peer.Subscribe(running, name, subscriber.Filter{}, func(e subscriber.Event) error {
			if e.Reading != nil {
				o.take(e.Reading)
			} else if e.State == "connected" {
				select {
				case connected <- struct{}{}:
				default:
				}
			}
			return nil
		})
		if err != nil && running.Err() == nil {
			fmt.Fprintln(os.Stderr, "the subscription ended:", err)
		}
	}()
	select {
	case <-connected:
		return nil
	case <-time.After(joinLimit):
		return errors.New("the subscriber did not reach the gateway")
	}
}

// take notes a reading: its temperature counts, and the simulator's stamp stands in an attribute nobody knows.
func (o *ours) take(r *reading.Reading) {
	var value, stamp int64
	for _, v := range r.Values {
		switch v.Name {
		case "temperature":
			if f, ok := v.Value.(float64); ok {
				value = int64(math.Round(f * 100))
			}
		case "raw_0402_ff01":
			stamp, _ = v.Value.(int64)
		}
	}
	if value != 0 {
		o.arrivals.take(r.Stream, value, stamp)
	}
}

func (o *ours) parts() []*process { return []*process{o.daemon} }

func (o *ours) stop() error {
	if o.stopWatch != nil {
		o.stopWatch()
		o.stopWatch, o.devices = nil, nil
	}
	return o.daemon.stop()
}

func (o *ours) close() error {
	var err error
	if o.peer != nil {
		o.stopPeer()
		err = o.peer.Close()
	}
	return errors.Join(err, o.stop())
}
