package gateway_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/gateway/subscriber"
	"github.com/peerbee/peerbee/p2p"
	"github.com/peerbee/peerbee/zigbee/sim"
)

// rightsHouse has a running gateway with two interviewed thermometers.
func rightsHouse(t *testing.T) (*house, *daemon) {
	t.Helper()
	h := newHouse(t, sim.Options{Seed: 7, Sensors: []sim.SensorSpec{{Kind: "temperature"}, {Kind: "temperature"}}})
	d := h.start()
	d.form()
	d.pair(2)
	return h, d
}

// hasEnded waits for the end of the subscription and gives the reason.
func (g *guest) hasEnded() error {
	g.t.Helper()
	var reason error
	until(g.t, "the end of the subscription", func() bool {
		_, ended, err := g.told()
		reason = err
		return ended
	})
	return reason
}

// seen gives the properties by device that the peer was told of.
func (g *guest) seen() map[string][]string {
	events, _, _ := g.told()
	seen := map[string][]string{}
	for _, e := range events {
		if e.Reading == nil {
			continue
		}
		for _, v := range e.Reading.Values {
			if !slices.Contains(seen[e.Reading.Stream], v.Name) {
				seen[e.Reading.Stream] = append(seen[e.Reading.Stream], v.Name)
			}
		}
		for name := range e.Units {
			if !slices.ContainsFunc(e.Reading.Values, func(v reading.Value) bool { return v.Name == name }) {
				seen[e.Reading.Stream] = append(seen[e.Reading.Stream], "unit of "+name)
			}
		}
	}
	return seen
}

func TestPeerSeesNothingBeyondItsShare(t *testing.T) {
	h, d := rightsHouse(t)
	few, all := newGuest(t), newGuest(t)
	few.follow(few.enrol(d.share(api.Share{Label: "few", Devices: []string{h.sensor(0)}, Properties: []string{"humidity"}})), subscriber.Filter{Snapshot: true})
	all.follow(all.enrol(d.share(api.Share{Label: "all", Devices: []string{"*"}})), subscriber.Filter{Snapshot: true})
	h.set(0, "temperature", 20.5)
	h.set(1, "humidity", 40)
	h.set(1, "temperature", 21.5)
	all.receives(h.sensor(1), "temperature", 21.5, "Cel")
	h.set(0, "humidity", 53.01) // the last of all: what came before it would have arrived
	few.receives(h.sensor(0), "humidity", 53.01, "%")
	want := map[string][]string{h.sensor(0): {"humidity"}}
	if diff := cmp.Diff(want, few.seen()); diff != "" {
		t.Errorf("the peer was told (-want +got):\n%s", diff)
	}
	if seen := all.seen(); !slices.Contains(seen[h.sensor(0)], "temperature") || len(seen) != 2 {
		t.Errorf("the peer with all rights was told only %v", seen)
	}
	events, _, _ := few.told()
	for _, e := range events {
		if e.Gap != nil {
			t.Errorf("a gap tells of what is not shared: %+v", *e.Gap)
		}
	}
}

func TestExpiredRightEndsTheStream(t *testing.T) {
	h, d := rightsHouse(t)
	g := newGuest(t)
	name := g.enrol(d.share(api.Share{Label: "anna", Devices: []string{"*"}, Expires: 1}))
	g.follow(name, subscriber.Filter{})
	h.set(0, "temperature", 23.5)
	if err := g.hasEnded(); !errors.Is(err, p2p.ErrRevoked) || hint(err) == "" {
		t.Errorf("the subscription ended with %v, next step %q", err, hint(err))
	}
	again := newGuest(t)
	again.enrol(d.share(api.Share{Label: "anna", Devices: []string{"*"}}))
	if err := g.peer.Subscribe(t.Context(), name, subscriber.Filter{}, func(subscriber.Event) error { return nil }); !errors.Is(err, p2p.ErrDenied) {
		t.Errorf("subscribed with an expired right: %v", err)
	}
}

func hint(err error) string {
	var step interface{ NextStep() string }
	if errors.As(err, &step) {
		return step.NextStep()
	}
	return ""
}

func TestRevokedPeerIsToldAndCanComeBack(t *testing.T) {
	h, d := rightsHouse(t)
	g, other := newGuest(t), newGuest(t)
	name := g.enrol(d.share(api.Share{Label: "anna", Devices: []string{"*"}}))
	g.follow(name, subscriber.Filter{})
	other.follow(other.enrol(d.share(api.Share{Label: "bert", Devices: []string{"*"}})), subscriber.Filter{})
	h.set(0, "temperature", 23.5)
	g.receives(h.sensor(0), "temperature", 23.5, "Cel")

	var gone api.Revoked
	if err := d.api.Delete(t.Context(), "/v1/access/anna", &gone); err != nil || len(gone.Peers) != 1 {
		t.Fatalf("revoke: %+v %v", gone, err)
	}
	if err := g.hasEnded(); !errors.Is(err, p2p.ErrRevoked) || hint(err) == "" {
		t.Errorf("the subscription ended with %v, next step %q", err, hint(err))
	}
	h.set(0, "temperature", 24.5)
	other.receives(h.sensor(0), "temperature", 24.5, "Cel")
	if v, _ := g.value(h.sensor(0), "temperature"); v != 23.5 {
		t.Errorf("the revoked peer was told %v", v)
	}
	var rows []api.Access
	d.get("/v1/access", &rows)
	if slices.ContainsFunc(rows, func(a api.Access) bool { return a.Label == "anna" }) {
		t.Errorf("the revoked peer is on the list: %+v", rows)
	}
	d.refused(404, d.api.Delete(t.Context(), "/v1/access/anna", nil))
	if !d.audited("share", "ok", "anna") || !d.audited("redeem", "ok", "anna") || !d.audited("revoke", "ok", "anna") {
		t.Error("lines are missing in the audit log")
	}

	if again := g.enrol(d.share(api.Share{Label: "anna again", Devices: []string{h.sensor(0)}})); again != name {
		t.Errorf("the gateway was kept as %q and is now %q", name, again)
	}
	g.forget()
	g.follow(name, subscriber.Filter{})
	h.set(0, "temperature", 25.5)
	g.receives(h.sensor(0), "temperature", 25.5, "Cel")
}

func TestForgedAndReplayedTicketsAreRefused(t *testing.T) {
	_, d := rightsHouse(t)
	text := d.share(api.Share{Label: "anna", Devices: []string{"*"}})
	forged, err := p2p.ParseTicket(text)
	if err != nil {
		t.Fatal(err)
	}
	unknown := forged
	forged.Secret[0] ^= 1
	unknown.ID = slices.Clone(unknown.ID)
	unknown.ID[0] ^= 1
	for name, k := range map[string]p2p.Ticket{"a forged secret": forged, "an unknown ticket": unknown} {
		text, err := k.Text()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newGuest(t).peer.Enrol(t.Context(), text, ""); !errors.Is(err, p2p.ErrDenied) || hint(err) == "" {
			t.Errorf("%s: %v, next step %q", name, err, hint(err))
		}
	}
	g := newGuest(t)
	g.enrol(text)
	g.enrol(text) // the same peer may: the answer could have been lost
	// The gateway lets a stranger in only while a ticket is open.
	d.share(api.Share{Label: "open", Devices: []string{"*"}})
	if _, err := newGuest(t).peer.Enrol(t.Context(), text, ""); !errors.Is(err, p2p.ErrDenied) {
		t.Errorf("somebody else redeemed the same ticket: %v", err)
	}
	for _, why := range []string{"wrong secret", "no such ticket", "redeemed by someone else"} {
		if !d.audited("redeem", "denied", why) {
			t.Errorf("no line %q in the audit log", why)
		}
	}
}

func TestStrangerGetsNothing(t *testing.T) {
	h, d := rightsHouse(t)
	text := d.share(api.Share{Label: "anna", Devices: []string{"*"}})
	g := newGuest(t)
	name := g.enrol(text)
	stranger := newWitness(t, d.share(api.Share{Label: "bert", Devices: []string{"*"}}))
	if err := d.api.Delete(t.Context(), "/v1/access/"+stranger.host.ID().String(), nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sub, err := p2p.Subscribe(ctx, p2p.SubscribeOptions{Host: stranger.host, Gateway: stranger.info.ID})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	g.follow(name, subscriber.Filter{})
	h.set(0, "temperature", 23.5)
	g.receives(h.sensor(0), "temperature", 23.5, "Cel")
	short, stop := context.WithTimeout(ctx, 200*time.Millisecond)
	defer stop()
	for {
		e, err := sub.Next(short)
		if err != nil {
			break
		}
		if e.Kind == p2p.EventData || e.Kind == p2p.EventSnapshot || e.Kind == p2p.EventDescriptor {
			t.Fatalf("a stranger was told %+v", e)
		}
	}
}

func TestRemovedDeviceIsGoneEverywhere(t *testing.T) {
	h, d := rightsHouse(t)
	g := newGuest(t)
	g.follow(g.enrol(d.share(api.Share{Label: "anna", Devices: []string{h.sensor(0)}})), subscriber.Filter{})
	h.set(0, "temperature", 23.5)
	g.receives(h.sensor(0), "temperature", 23.5, "Cel")
	last := d.history(h.sensor(0))

	if err := d.api.Delete(t.Context(), "/v1/devices/"+h.sensor(0), nil); err != nil {
		t.Fatal(err)
	}
	if err := g.hasEnded(); !errors.Is(err, p2p.ErrRevoked) {
		t.Errorf("the subscription of a removed device ended with %v", err)
	}
	if _, there := d.devices()[h.sensor(0)]; there {
		t.Error("the removed device is on the list")
	}
	if types := d.chain(h.sensor(0)); !slices.Equal(types, []string{"register", "release"}) {
		t.Errorf("the ledger says %v of the removed device", types)
	}
	if h.stick.Sensors()[0].Joined {
		t.Error("the removed device is a member of the network")
	}
	d.stop()
	d = h.start()
	d.phase("running")
	if _, there := d.devices()[h.sensor(0)]; there {
		t.Error("after a restart the removed device is on the list again")
	}

	d.pair(2)
	until(t, "the second register record", func() bool {
		return slices.Equal(d.chain(h.sensor(0)), []string{"register", "release", "register"})
	})
	h.set(0, "temperature", 25.5)
	until(t, "a reading of the device that came back", func() bool {
		list := d.history(h.sensor(0))
		return len(list) > 0 && list[len(list)-1].Seq > last[len(last)-1].Seq
	})
	var rows []api.Access
	d.get("/v1/access", &rows)
	if len(rows) != 0 {
		t.Errorf("a share outlived its device: %+v", rows)
	}
}

// chain gives the types of a device's records in the ledger.
func (d *daemon) chain(device string) (types []string) {
	d.t.Helper()
	var log []api.LedgerEntry
	d.get("/v1/ledger/log", &log)
	for _, e := range log {
		if e.Device == device {
			types = append(types, e.Type)
		}
	}
	return types
}

func TestSensorThatLeftKeepsItsShares(t *testing.T) {
	h, d := rightsHouse(t)
	g := newGuest(t)
	g.follow(g.enrol(d.share(api.Share{Label: "anna", Devices: []string{h.sensor(0)}})), subscriber.Filter{})
	if err := h.stick.Leave(h.stick.Sensors()[0].Name); err != nil {
		t.Fatal(err)
	}
	until(t, "the device to have left", func() bool { return d.devices()[h.sensor(0)].Interview == "left" })
	d.pair(2)
	h.set(0, "temperature", 25.5)
	g.receives(h.sensor(0), "temperature", 25.5, "Cel")
	if types := strings.Join(d.chain(h.sensor(0)), " "); types != "register" {
		t.Errorf("the ledger says %s of a device that left and came back", types)
	}
}
