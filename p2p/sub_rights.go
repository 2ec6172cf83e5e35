package p2p

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"
)

// rights caches what one stream may see: the Authorizer's answers for one Generation, narrowed by the hello's
// filters. The stream's writer owns it.
type rights struct {
	auth       Authorizer
	who        peer.ID
	devices    map[string]struct{} // nil: all
	properties map[string]struct{}

	generation uint64
	answers    map[string]map[string]bool // device -> property
}

func newRights(auth Authorizer, who peer.ID, h *helloFrame) *rights {
	return &rights{
		auth: auth, who: who, devices: keySet(h.Devices), properties: keySet(h.Properties),
		// Before the first answer, so that a change in between is seen as one.
		generation: auth.Generation(),
		answers:    make(map[string]map[string]bool),
	}
}

func keySet(keys []string) map[string]struct{} {
	if len(keys) == 0 {
		return nil
	}
	m := make(map[string]struct{}, len(keys))
	for _, k := range keys {
		m[k] = struct{}{}
	}
	return m
}

func selected(set map[string]struct{}, key string) bool {
	if set == nil {
		return true
	}
	_, ok := set[key]
	return ok
}

// refresh asks everything again when the Generation has changed. It reports whether the stream may go on: the
// peer is still known, and not everything it had is gone.
func (r *rights) refresh(ctx context.Context) bool {
	now := r.auth.Generation()
	if now == r.generation {
		return true
	}
	had, has := 0, 0
	old := r.answers
	r.generation, r.answers = now, make(map[string]map[string]bool, len(old))
	for device, props := range old {
		for property, ok := range props {
			if ok {
				had++
			}
			if r.allowed(ctx, device, property) {
				has++
			}
		}
	}
	return r.auth.Known(r.who) && (had == 0 || has > 0)
}

// allowed reports whether the stream carries this property of this device.
func (r *rights) allowed(ctx context.Context, device, property string) bool {
	props := r.answers[device]
	if ok, known := props[property]; known {
		return ok
	}
	if !selected(r.devices, device) || !selected(r.properties, property) {
		return false
	}
	if props == nil {
		props = make(map[string]bool)
		r.answers[device] = props
	}
	err := r.auth.May(ctx, r.who, Right{Action: ActionRead, Device: device, Property: property})
	props[property] = err == nil
	return err == nil
}

// anyOf reports whether the stream carries anything of this device, as far as it has been asked.
func (r *rights) anyOf(device string) bool {
	for _, ok := range r.answers[device] {
		if ok {
			return true
		}
	}
	return false
}

// mask gives the part of rec the stream carries.
func (r *rights) mask(ctx context.Context, rec *Record) propMask {
	var m propMask
	for i, p := range rec.Props {
		if r.allowed(ctx, rec.Device, p) {
			m.set(i)
		}
	}
	return m
}
