package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi/client"
	"github.com/peerbee/peerbee/zigbee/sim"
)

func (r *run) startStick(ctx context.Context) error {
	kinds := make([]string, len(sensors))
	for i, s := range sensors {
		kinds[i] = s.kind
	}
	a, err := r.cast.start("stick", nil, nil, "sim", "--pty", r.path("stick", "tty"), "--control", r.path("stick", "ctl"),
		"--sensors", strings.Join(kinds, ","), "--interval", sampleEvery.String())
	if err != nil {
		return err
	}
	err = until(ctx, "the stick's port", func() (bool, error) {
		if err := a.ended(); err != nil {
			return false, err
		}
		_, err := os.Stat(r.path("stick", "tty"))
		return err == nil, nil
	})
	if err != nil {
		return err
	}
	r.say("   serial port: %s", r.path("stick", "tty"))
	return until(ctx, "the stick's control socket", func() (bool, error) {
		r.stick, err = sim.Dial(r.path("stick", "ctl"))
		return err == nil, nil
	})
}

// config writes a configuration for one of the processes: loopback only, every file inside the demo's folder.
func (r *run) config(name string, lines ...string) (string, error) {
	if err := os.MkdirAll(r.path(name), 0o700); err != nil {
		return "", fmt.Errorf("folder of the %s: %w", name, err)
	}
	path := r.path(name, "peerbee.toml")
	return path, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

func (r *run) startHive(ctx context.Context) error {
	path, err := r.config("hive", "[hive]", fmt.Sprintf("state_dir = %q", r.path("hive", "state")), `listen = ["/ip4/127.0.0.1/tcp/0"]`)
	if err != nil {
		return err
	}
	out, in := io.Pipe()
	a, err := r.cast.start("hive", nil, in, "hive", "--config", path)
	if err != nil {
		return err
	}
	lines := make(chan string, 1)
	go firstLine(out, lines)
	select {
	case r.hiveAddr = <-lines:
	case <-a.done:
		return a.ended()
	case <-ctx.Done():
		return errors.New("the hive did not say its address")
	}
	r.say("   %s", r.hiveAddr)
	return nil
}

// firstLine passes the first line on and reads the rest away, so that the writer is never held up.
func firstLine(out io.Reader, lines chan<- string) {
	var b strings.Builder
	buf := make([]byte, 512)
	sent := false
	for {
		n, err := out.Read(buf)
		if !sent {
			b.Write(buf[:n])
			if line, _, ok := strings.Cut(b.String(), "\n"); ok {
				lines <- line
				sent = true
			}
		}
		if err != nil {
			return
		}
	}
}

func (r *run) startGateway(ctx context.Context) error {
	path, err := r.config("gateway",
		"[gateway]", `name = "home"`, fmt.Sprintf("state_dir = %q", r.path("gateway", "state")),
		"[zigbee]", fmt.Sprintf("port = %q", r.path("stick", "tty")),
		"[p2p]", `mode = "on"`, `listen = ["/ip4/127.0.0.1/tcp/0"]`, fmt.Sprintf("hives = [%q]", r.hiveAddr), "mdns = false",
		"[api]", fmt.Sprintf("socket = %q", r.path("gateway", "sock")),
		"[store]", `commit_every = "1s"`)
	if err != nil {
		return err
	}
	a, err := r.cast.start("gateway", nil, nil, "daemon", "--config", path)
	if err != nil {
		return err
	}
	r.gateway = client.New(r.path("gateway", "sock"))
	var s api.Status
	err = until(ctx, "the gateway", func() (bool, error) {
		if err := a.ended(); err != nil {
			return false, err
		}
		return r.gateway.Get(ctx, "/v1/status", &s) == nil && s.Zigbee.Phase == "needs-decision", nil
	})
	if err != nil {
		return err
	}
	r.say("   %s on %s", s.Zigbee.Stick, s.Zigbee.Port)
	r.say("   %s; next: %s", s.Zigbee.Problem, s.Zigbee.Hint)
	return nil
}

func (r *run) formNetwork(ctx context.Context) error {
	var n api.Network
	if err := r.gateway.Post(ctx, "/v1/network/form", api.Form{Channel: 15}, &n); err != nil {
		return err
	}
	r.say("   $ peerbee network form --channel 15\n   channel %d, PAN %s, extended PAN %s", n.Channel, n.PAN, n.ExtendedPAN)
	return nil
}

func (r *run) pairSensors(ctx context.Context) error {
	if err := r.gateway.Post(ctx, "/v1/pair", api.Pair{Seconds: 120}, nil); err != nil {
		return err
	}
	r.say("   $ peerbee pair")
	var devices []api.Device
	err := until(ctx, "five interviewed and registered sensors", func() (bool, error) {
		if err := r.gateway.Get(ctx, "/v1/devices", &devices); err != nil {
			return false, err
		}
		done := 0
		for _, d := range devices {
			if d.Interview == "done" && d.Chain != "" {
				done++
			}
		}
		return done == len(sensors), nil
	})
	if err != nil {
		return err
	}
	if err := r.gateway.Post(ctx, "/v1/pair", api.Pair{}, nil); err != nil {
		return err
	}
	return r.nameSensors(ctx)
}

// nameSensors gives each device the name of its kind; the simulator knows which address is which.
func (r *run) nameSensors(ctx context.Context) error {
	simulated, err := r.stick.Sensors(ctx)
	if err != nil {
		return err
	}
	for i, s := range simulated {
		if i >= len(sensors) {
			return fmt.Errorf("the stick has %d sensors, not %d", len(simulated), len(sensors))
		}
		var d api.Device
		if err := r.gateway.Patch(ctx, "/v1/devices/"+url.PathEscape(s.IEEE), api.Rename{Name: sensors[i].name}, &d); err != nil {
			return err
		}
		r.say("   %s  %-11s %s %s, record %.8s", d.ID, d.Name, d.Manufacturer, d.Model, d.Chain)
	}
	return nil
}

func (r *run) share(ctx context.Context) error {
	var t api.Ticket
	err := r.gateway.Post(ctx, "/v1/shares", api.Share{Label: "demo-peer", Devices: []string{"*"}, NoAddresses: true}, &t)
	if err != nil {
		return err
	}
	r.ticket = t.Text
	r.say("   $ peerbee share --all --no-addresses\n   %.60s...", t.Text)
	return nil
}

func (r *run) peerArgs(what string) []string {
	return []string{"subscribe", what, "--state", r.path("peer", "state"), "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--name", "home", "--no-snapshot", "-o", "jsonl"}
}

func (r *run) runPeer(what string, in io.Reader) (*actor, error) {
	out, pipe, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to the peer: %w", err)
	}
	a, err := r.cast.start("peer", in, pipe, r.peerArgs(what)...)
	if closed := pipe.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	go func() {
		r.journal.follow(out)
		_ = out.Close() // only read
	}()
	return a, nil
}

func (r *run) startPeer(ctx context.Context) error {
	r.journal = newJournal(r.Out)
	a, err := r.runPeer("-", strings.NewReader(r.ticket+"\n"))
	if err != nil {
		return err
	}
	r.say("   $ echo TICKET | peerbee subscribe -")
	err = until(ctx, "the peer's connection", func() (bool, error) {
		if err := a.ended(); err != nil {
			return false, err
		}
		return r.journal.reached() != "", nil
	})
	if err != nil {
		return err
	}
	if via := r.journal.reached(); via != "kademlia" {
		return fmt.Errorf("the gateway was reached by %q, not through Kademlia", via)
	}
	r.peer = a
	return nil
}

func (r *run) watchLive(ctx context.Context) error {
	return until(ctx, "readings of every sensor", func() (bool, error) {
		if err := errors.Join(r.peer.ended(), r.journal.fault()); err != nil {
			return false, err
		}
		return r.journal.devices() == len(sensors) && r.journal.count() >= 12, nil
	})
}

func (r *run) proveOwnership(ctx context.Context) error {
	var entries []api.LedgerEntry
	if err := r.gateway.Get(ctx, "/v1/ledger/devices/"+sensors[0].name, &entries); err != nil {
		return err
	}
	for _, e := range entries {
		r.say("   $ peerbee ledger show %s\n   entry %d, %s %.16s, owner %.16s", sensors[0].name, e.Index, e.Type, e.ID, e.Owner)
	}
	proof, err := r.gateway.Raw(ctx, "/v1/ledger/devices/"+sensors[0].name+"/proof?open=true")
	if err != nil {
		return err
	}
	file := r.path("kitchen.proof")
	if err := os.WriteFile(file, proof, 0o600); err != nil {
		return fmt.Errorf("write the proof: %w", err)
	}
	out, err := r.cast.run(ctx, "verifier", "ledger", "verify", "--device", entries[0].Device, file)
	if err != nil {
		return err
	}
	r.say("   $ peerbee ledger verify kitchen.proof   (%d bytes, no daemon, no network)", len(proof))
	for line := range strings.Lines(out) {
		r.say("   %s", strings.TrimSuffix(line, "\n"))
	}
	return r.refuseForged(ctx, proof)
}

// refuseForged shows that the verifier can say no: one changed byte must not pass.
func (r *run) refuseForged(ctx context.Context, proof []byte) error {
	forged := append([]byte(nil), proof...)
	forged[len(forged)/2] ^= 1
	file := r.path("forged.proof")
	if err := os.WriteFile(file, forged, 0o600); err != nil {
		return fmt.Errorf("write the forged proof: %w", err)
	}
	if _, err := r.cast.run(ctx, "verifier", "ledger", "verify", file); err == nil {
		return errors.New("a proof with one changed byte was accepted")
	}
	r.say("   one byte changed: refused")
	return nil
}

func (r *run) killPeer(ctx context.Context) error {
	if err := r.peer.kill(); err != nil {
		return err
	}
	r.killedAt = r.journal.count()
	r.say("   killed after %d readings; the sensors go on", r.killedAt)
	before, err := r.stored(ctx)
	if err != nil {
		return err
	}
	err = until(ctx, "readings while the peer is away", func() (bool, error) {
		now, err := r.stored(ctx)
		return total(now) >= total(before)+10, err
	})
	if err != nil {
		return err
	}
	r.journal.quiet(true)
	if r.peer, err = r.runPeer("home", nil); err != nil {
		return err
	}
	r.say("   $ peerbee subscribe home")
	return nil
}

func (r *run) checkResume(ctx context.Context) error {
	stored, err := r.stored(ctx)
	if err != nil {
		return err
	}
	defer r.journal.quiet(false)
	err = until(ctx, "the missed readings", func() (bool, error) {
		if err := errors.Join(r.peer.ended(), r.journal.fault()); err != nil {
			return false, err
		}
		for device, seqs := range stored {
			if len(r.journal.missing(device, seqs)) > 0 {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	r.say("   %d readings caught up, none missing", r.journal.count()-r.killedAt)
	return nil
}

// goOn shows live readings until the demo's time is over or ctx ends.
func (r *run) goOn(ctx context.Context) error {
	var end <-chan time.Time
	if r.For > 0 {
		// Some seconds are kept for the last check and a clean stop.
		end = time.After(max(0, r.For-time.Since(r.began)-3*time.Second))
	} else {
		r.say("   (Ctrl-C ends the demo)")
	}
	select {
	case <-end:
	case <-ctx.Done():
	case <-r.peer.done:
		return r.peer.ended()
	}
	return nil
}

// checkComplete compares the peer's readings with the gateway's history, number by number.
func (r *run) checkComplete(ctx context.Context) error {
	if err := r.stick.Pause(ctx); err != nil {
		return err
	}
	stored, err := r.stored(ctx)
	if err != nil {
		return err
	}
	var gone []string
	err = until(ctx, "the last readings", func() (bool, error) {
		if err := errors.Join(r.peer.ended(), r.journal.fault()); err != nil {
			return false, err
		}
		gone = gone[:0]
		for device, seqs := range stored {
			for _, seq := range r.journal.missing(device, seqs) {
				gone = append(gone, fmt.Sprintf("%s #%d", device, seq))
			}
		}
		return len(gone) == 0, nil
	})
	if err != nil {
		return errors.Join(err, fmt.Errorf("missing at the peer: %s", strings.Join(gone, ", ")))
	}
	r.say("   %d readings in the gateway's history, every one since the subscription began is at the peer", total(stored))
	return nil
}

// stored gives the sequence numbers in the gateway's history by device.
func (r *run) stored(ctx context.Context) (map[string][]uint64, error) {
	out := map[string][]uint64{}
	for _, s := range sensors {
		err := r.gateway.Stream(ctx, "/v1/devices/"+s.name+"/history", func(line json.RawMessage) error {
			var msg api.Reading
			if err := json.Unmarshal(line, &msg); err != nil {
				return fmt.Errorf("history: %w", err)
			}
			out[msg.Device] = append(out[msg.Device], msg.Seq)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func total(stored map[string][]uint64) int {
	n := 0
	for _, s := range stored {
		n += len(s)
	}
	return n
}
