package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/zigbee"
)

// admit stores a device and puts it on the roster.
func (p *pipeline) admit(ctx context.Context, d zigbee.Device) error {
	key := reading.StreamKey(uint64(d.IEEE))
	p.roster.storing.Lock()
	defer p.roster.storing.Unlock()
	if err := p.storeDevice(ctx, key, storedRecord{Device: d}); err != nil {
		return err
	}
	if _, isNew := p.roster.put(d, key); isNew {
		stored, err := p.store.Device(ctx, key)
		if err != nil {
			return fmt.Errorf("name of device %s: %w", key, err)
		}
		p.roster.rename(key, stored.Name)
	}
	return nil
}

func (p *pipeline) storeDevice(ctx context.Context, key string, r storedRecord) error {
	body, err := encodeRecord(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.durable)
	defer cancel()
	if err := p.store.PutDevice(ctx, key, body); err != nil {
		return fmt.Errorf("store device: %w", err)
	}
	delete(p.stale, key)
	return nil
}

// staleAfter is how long the steps of an interview may wait for the disk: an SD card takes tens of milliseconds for
// each durable write, and an interview lost half-way is done again.
const staleAfter = 2 * time.Second

// storeStale brings the waiting records to disk.
func (p *pipeline) storeStale(ctx context.Context) error {
	p.roster.storing.Lock()
	defer p.roster.storing.Unlock()
	for key := range p.stale {
		m, ok := p.roster.get(key)
		if !ok {
			delete(p.stale, key)
			continue
		}
		_, record, left := p.roster.snapshot(m)
		if err := p.storeDevice(ctx, key, storedRecord{Device: record, Left: left}); err != nil {
			return err
		}
	}
	return nil
}

// settled reports whether a change may not be lost: who the device is, where it is, or that its interview ended.
func settled(was, now zigbee.Device) bool {
	return was.Network != now.Network || now.Interview != zigbee.InterviewPartial && was.Interview != now.Interview
}

func (p *pipeline) deviceChanged(ctx context.Context, e zigbee.DeviceChanged) error {
	key := reading.StreamKey(uint64(e.Device.IEEE))
	m, known := p.roster.get(key)
	if known && !e.Joined {
		_, was, left := p.roster.snapshot(m)
		known = !left && !settled(was, e.Device)
	}
	if known && !e.Joined {
		p.roster.put(e.Device, key)
		if len(p.stale) == 0 {
			p.staleSince = time.Now()
		}
		p.stale[key] = struct{}{}
	} else if err := p.admit(ctx, e.Device); err != nil {
		return err
	}
	if e.Joined {
		p.log.Info("device joined", "device", key)
	}
	if e.Device.Interview == zigbee.InterviewDone {
		p.registrar.wake()
	}
	if m, ok := p.roster.get(key); ok && !p.hub.idle() {
		shown := p.showDevice(m, nil)
		p.hub.publish(api.Event{Kind: "device", Time: time.Now(), Device: &shown})
	}
	return nil
}

// deviceLeft keeps name, history, shares and ledger record: only `devices remove` ends those. A device that
// comes back is the same device.
func (p *pipeline) deviceLeft(ctx context.Context, e zigbee.DeviceLeft) error {
	key := reading.StreamKey(uint64(e.Device))
	p.roster.storing.Lock()
	defer p.roster.storing.Unlock()
	m, ok := p.roster.get(key)
	if !ok {
		return nil
	}
	p.log.Info("device left", "device", key)
	p.roster.markLeft(key)
	_, record, _ := p.roster.snapshot(m)
	if err := p.storeDevice(ctx, key, storedRecord{Device: record, Left: true}); err != nil {
		return err
	}
	shown := p.showDevice(m, nil)
	p.hub.publish(api.Event{Kind: "left", Time: time.Now(), Device: &shown})
	return nil
}

func (p *pipeline) stateChanged(ctx context.Context, s zigbee.State) error {
	p.log.Info("stick", "phase", string(s.Phase), "port", s.Stick.Port, "problem", s.Problem, "hint", s.Hint)
	p.metrics.setPhase(string(s.Phase))
	p.notifier.Status(statusLine(s))
	shown := showZigbee(s)
	p.hub.publish(api.Event{Kind: "state", Time: time.Now(), State: &shown})
	if s.Phase == zigbee.PhaseRunning && s.Network != nil {
		return p.keepNetwork(ctx, *s.Network)
	}
	return nil
}

func statusLine(s zigbee.State) string {
	if s.Problem != "" {
		return s.Problem + "; next: " + s.Hint
	}
	if s.Phase == zigbee.PhaseRunning && s.Network != nil {
		return fmt.Sprintf("Zigbee network running on channel %d", s.Network.Channel)
	}
	return "Zigbee: " + string(s.Phase)
}

// keepNetwork remembers which network is the owner's: the next start resumes it and nothing else.
func (g *Gateway) keepNetwork(ctx context.Context, n zigbee.NetworkParams) error {
	was, err := g.knownNetwork(ctx)
	if err != nil || was != nil && *was == n {
		return err
	}
	b, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("network parameters: %w", err)
	}
	if err := g.store.SetNetwork(ctx, b); err != nil {
		return fmt.Errorf("store network parameters: %w", err)
	}
	return nil
}

func (g *Gateway) knownNetwork(ctx context.Context) (*zigbee.NetworkParams, error) {
	b, err := g.store.Network(ctx)
	if err != nil || len(b) == 0 {
		return nil, err
	}
	n := new(zigbee.NetworkParams)
	if err := json.Unmarshal(b, n); err != nil {
		return nil, fmt.Errorf("stored network parameters: %w", err)
	}
	return n, nil
}
