package subscriber

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/p2p"
)

const (
	// keepEvery is how much may come again after a kill; syncEvery after a power cut.
	keepEvery = 100 * time.Millisecond
	syncEvery = 5 * time.Second
	// maxDescriptors bounds what a gateway can make its subscriber remember.
	maxDescriptors = 4096
)

// meaning is what a subscriber needs of a descriptor.
type meaning struct {
	name  string
	units map[string]string // never changed once stored: events share it
}

// session is one Subscribe call.
type session struct {
	peer        *Peer
	gateway     Gateway
	id          peer.ID
	host        *p2p.Host
	handle      func(Event) error
	descriptors map[string]*meaning

	since        time.Time
	kept, synced time.Time
	dirty        bool
}

func (s *session) run(ctx context.Context, f Filter) error {
	info, err := s.gateway.info()
	if err != nil {
		return err
	}
	s.id = info.ID
	pos := s.peer.position(s.gateway.Name)
	s.since = pos.Since
	sub, err := p2p.Subscribe(ctx, p2p.SubscribeOptions{
		Host: s.host, Gateway: info.ID,
		Connect: func(ctx context.Context) (peer.ID, error) {
			return info.ID, s.host.ConnectPeer(ctx, info.ID, info.Addrs, s.gateway.Secret)
		},
		Devices: f.Devices, Properties: f.Properties, MinInterval: f.MinInterval, Snapshot: f.Snapshot,
		Epoch: pos.Epoch, Cursors: pos.Cursors, Since: pos.Since, Log: s.peer.log,
	})
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	defer sub.Close()
	err = s.follow(ctx, sub)
	if s.dirty {
		err = errors.Join(err, s.keep(sub, true))
	}
	return explain(err, s.gateway.Name)
}

func (s *session) follow(ctx context.Context, sub *p2p.Subscription) error {
	for {
		wait, cancel := ctx, context.CancelFunc(func() {})
		if s.dirty { // nothing more coming is a reason to keep the position, too
			wait, cancel = context.WithTimeout(ctx, keepEvery)
		}
		e, err := sub.Next(wait)
		cancel()
		if err == nil {
			err = s.take(e)
		} else if s.dirty && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
		if err != nil {
			return err
		}
		if now := time.Now(); s.dirty && now.Sub(s.kept) >= keepEvery {
			if err := s.keep(sub, now.Sub(s.synced) >= syncEvery); err != nil {
				return err
			}
		}
	}
}

func (s *session) keep(sub *p2p.Subscription, sync bool) error {
	epoch, cursors := sub.Cursors()
	s.kept, s.dirty = time.Now(), false
	if sync {
		s.synced = s.kept
	}
	return writeJSON(s.peer.path(s.gateway.Name, ".position.json"), position{Epoch: epoch, Cursors: cursors, Since: s.since}, sync)
}

func (s *session) take(e p2p.Event) error {
	switch e.Kind {
	case p2p.EventConnected:
		return s.handle(Event{Gateway: s.gateway.Name, State: "connected", Detail: s.host.Reached(s.id)})
	case p2p.EventDisconnected:
		return s.handle(Event{Gateway: s.gateway.Name, State: "interrupted", Detail: fmt.Sprint(e.Err)})
	case p2p.EventDescriptor:
		return s.learn(e)
	case p2p.EventData, p2p.EventSnapshot:
		return s.deliver(e)
	case p2p.EventGap:
		s.dirty = true
		return s.handle(Event{Gateway: s.gateway.Name, Gap: &Gap{Device: e.Device, From: e.From, To: e.To, Reason: string(e.Reason)}})
	case p2p.EventHeartbeat:
		if !e.Through.IsZero() {
			s.since, s.dirty = e.Through, true
		}
	}
	return nil
}

func (s *session) learn(e p2p.Event) error {
	d, err := reading.DecodeDescriptor(e.Body)
	if err != nil {
		s.peer.log.Warn("descriptor not understood", "gateway", s.gateway.Name, "err", err)
		return nil
	}
	if len(s.descriptors) >= maxDescriptors {
		clear(s.descriptors)
	}
	m := &meaning{name: d.Name, units: map[string]string{}}
	if m.name == "" {
		m.name = d.Stream
	}
	for _, p := range d.Properties {
		if p.Unit != "" {
			m.units[p.Name] = p.Unit
		}
	}
	s.descriptors[e.Hash] = m
	return nil
}

func (s *session) deliver(e p2p.Event) error {
	s.dirty = true
	r, err := reading.Decode(e.Body)
	if err != nil || r.Stream != e.Device || r.Seq != e.Seq {
		s.peer.log.Warn("reading not understood", "gateway", s.gateway.Name, "device", e.Device, "seq", e.Seq, "err", err)
		return s.handle(Event{Gateway: s.gateway.Name, Gap: &Gap{Device: e.Device, From: e.Seq, To: e.Seq, Reason: "unreadable"}})
	}
	out := Event{Gateway: s.gateway.Name, Name: e.Device, Reading: &r, Snapshot: e.Kind == p2p.EventSnapshot}
	if d := s.descriptors[r.Desc]; d != nil {
		out.Name, out.Units = d.name, d.units
	}
	return s.handle(out)
}

// explain adds the next step to the ways a gateway ends a subscription.
func explain(err error, gateway string) error {
	switch {
	case errors.Is(err, p2p.ErrRevoked):
		return &Error{Text: "the owner of " + gateway + " has ended this access", Hint: "ask for a new ticket", cause: err}
	case errors.Is(err, p2p.ErrNotEnrolled):
		return &Error{Text: gateway + " gives this peer nothing", Hint: "ask its owner for a ticket: peerbee share DEVICE", cause: err}
	}
	return err
}
