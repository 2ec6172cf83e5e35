package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/p2p"
	"github.com/peerbee/peerbee/zigbee"
	"github.com/peerbee/peerbee/zigbee/device"
)

// pipeline takes the radio's events one after another. A report becomes a numbered reading that is queued for the
// disk, published to peers and shown to local watchers, in that order; nothing here waits for any of them.
type pipeline struct {
	*Gateway
	// durable bounds the few writes that have to be on disk before the next event is looked at.
	durable time.Duration
	// stale holds the devices whose record in the store is behind the roster's, the first of them since staleSince.
	stale      map[string]struct{}
	staleSince time.Time
}

func newPipeline(g *Gateway) *pipeline {
	return &pipeline{Gateway: g, durable: durableTimeout, stale: map[string]struct{}{}}
}

func (p *pipeline) Serve(ctx context.Context) error {
	for {
		e, err := p.next(ctx)
		// What the radio handed over before the stop is still dealt with.
		unhurried := context.WithoutCancel(ctx)
		if e == nil && ctx.Err() != nil {
			return errors.Join(ctx.Err(), p.storeStale(unhurried))
		}
		if err == nil {
			err = p.handle(unhurried, e)
		}
		if err != nil {
			p.metrics.failures.Inc()
			p.log.Error("radio event not processed", "event", fmt.Sprintf("%T", e), "err", err)
		}
	}
}

// next waits for an event. While records wait for the disk it does not wait for longer than they may.
func (p *pipeline) next(ctx context.Context) (zigbee.Event, error) {
	for len(p.stale) > 0 {
		wait, cancel := context.WithDeadline(ctx, p.staleSince.Add(staleAfter))
		e, err := p.net.Next(wait)
		cancel()
		if err == nil || ctx.Err() != nil {
			return e, err
		}
		if err := p.storeStale(ctx); err != nil {
			p.staleSince = time.Now() // the next try comes after the same wait
			return nil, err
		}
	}
	return p.net.Next(ctx)
}

func (p *pipeline) handle(ctx context.Context, e zigbee.Event) error {
	switch e := e.(type) {
	case zigbee.Report:
		return p.report(ctx, e)
	case zigbee.DeviceChanged:
		return p.deviceChanged(ctx, e)
	case zigbee.DeviceLeft:
		return p.deviceLeft(ctx, e)
	case zigbee.StateChanged:
		return p.stateChanged(ctx, e.State)
	case zigbee.Lost:
		p.metrics.dropped.Add(float64(e.Count))
		p.hub.publish(api.Event{Kind: "lost", Time: time.Now(), Count: e.Count})
	}
	return nil
}

func (p *pipeline) report(ctx context.Context, r zigbee.Report) error {
	if len(r.Measures) == 0 {
		return nil
	}
	key := reading.StreamKey(uint64(r.Device))
	if _, ok := p.roster.get(key); !ok {
		if err := p.admit(ctx, zigbee.Device{IEEE: r.Device, Interview: zigbee.InterviewPending, LastSeen: r.Time}); err != nil {
			return err
		}
	}
	if !p.roster.knows(key, r.Measures) {
		p.learn(key, r)
	}
	now, quality := p.clock.Now()
	msg := &reading.Reading{Stream: key, Epoch: p.store.Epoch(), Time: now, Clock: quality, Values: valuesOf(r)}
	props := propsOf(msg.Values)
	desc, err := p.roster.describe(key, props)
	if err != nil {
		return err
	}
	if err := p.keepDescriptor(ctx, desc); err != nil {
		return err
	}
	msg.Desc = desc.hash
	if msg.Seq, err = p.store.Next(ctx, key); err != nil {
		return fmt.Errorf("sequence number: %w", err)
	}
	if err := p.store.AddReading(msg); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	p.metrics.reports.Inc()
	p.published.publish(p.record(msg, props))
	if !p.hub.idle() {
		p.hub.publish(api.Event{Kind: "reading", Time: now, Reading: p.show(msg)})
	}
	return nil
}

// learn describes the properties a report shows for the first time, or with another unit.
func (p *pipeline) learn(key string, r zigbee.Report) {
	sources := map[string]device.Description{}
	for _, d := range p.net.Describe(r.Device) {
		sources[d.Property] = d
	}
	props := make([]reading.Property, 0, len(r.Measures))
	for _, m := range r.Measures {
		d := sources[m.Property]
		kind := d.Type
		if kind == "" {
			kind = device.TypeOf(m.Value)
		}
		props = append(props, reading.Property{Name: m.Property, Type: kind, Unit: m.Unit, Access: "r", Source: d.Source})
	}
	p.roster.learn(key, props...)
}

// keepDescriptor stores a descriptor before its first use; later uses cost a map look-up.
func (p *pipeline) keepDescriptor(ctx context.Context, d described) error {
	if _, kept := p.kept[d.hash]; kept {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.durable)
	defer cancel()
	if err := p.store.PutDescriptor(ctx, d.hash, d.bytes); err != nil {
		return fmt.Errorf("descriptor: %w", err)
	}
	if len(p.kept) >= maxKept {
		clear(p.kept)
	}
	p.kept[d.hash] = struct{}{}
	return nil
}

// maxKept bounds the memory of stored descriptors; storing one twice is harmless.
const maxKept = 4096

// record wraps a reading for the p2p layer, which encodes it once per distinct set of permitted properties.
func (g *Gateway) record(msg *reading.Reading, props []string) p2p.Record {
	return p2p.Record{
		Device: msg.Stream, Seq: msg.Seq, Time: msg.Time.UnixMilli(), Props: props,
		Encode: func(permitted []string) (p2p.Body, error) { return g.encode(msg, permitted) },
	}
}

// encode writes the reading limited to the permitted properties, with a descriptor limited in the same way.
func (g *Gateway) encode(msg *reading.Reading, permitted []string) (p2p.Body, error) {
	desc, err := g.roster.describe(msg.Stream, permitted)
	if err != nil {
		return p2p.Body{}, err
	}
	limited := *msg
	limited.Desc = desc.hash
	if len(permitted) != len(msg.Values) {
		limited.Values = make([]reading.Value, 0, len(permitted))
		for _, v := range msg.Values {
			if _, ok := slices.BinarySearch(permitted, v.Name); ok {
				limited.Values = append(limited.Values, v)
			}
		}
	}
	b, err := limited.AppendBinary(make([]byte, 0, 48+24*len(limited.Values)))
	if err != nil {
		return p2p.Body{}, fmt.Errorf("encode reading: %w", err)
	}
	return p2p.Body{Bytes: b, Desc: desc.hash, DescBytes: desc.bytes}, nil
}

// valuesOf sorts the measures by name and keeps the last of equal names, so that a reading is canonical.
func valuesOf(r zigbee.Report) []reading.Value {
	values := make([]reading.Value, 0, len(r.Measures))
	for _, m := range r.Measures {
		v := reading.Value{Name: m.Property, Value: m.Value}
		if m.Value == nil {
			v.Status = reading.StatusUnknown
		}
		at, found := slices.BinarySearchFunc(values, v.Name, func(a reading.Value, name string) int { return strings.Compare(a.Name, name) })
		if found {
			values[at] = v
			continue
		}
		values = slices.Insert(values, at, v)
	}
	return values
}

func propsOf(values []reading.Value) []string {
	props := make([]string, len(values))
	for i, v := range values {
		props[i] = v.Name
	}
	return props
}
