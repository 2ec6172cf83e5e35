package gateway_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/subscriber"
	"github.com/peerbee/peerbee/zigbee/sim"
)

// TestTheWholeLine goes from a blank stick to a value at a subscribing peer, with a restart of the gateway in
// between.
func TestTheWholeLine(t *testing.T) {
	h := newHouse(t, sim.Options{Seed: 1, Sensors: []sim.SensorSpec{{Kind: "temperature"}, {Kind: "contact"}}})
	d := h.start()
	d.form()
	d.pair(2)
	g := newGuest(t)
	name := g.enrol(d.share(api.Share{Label: "anna", Devices: []string{"*"}}))
	if name != "home" {
		t.Errorf("the gateway calls itself %q", name)
	}
	g.follow(name, subscriber.Filter{})
	h.set(0, "temperature", 23.5)
	g.receives(h.sensor(0), "temperature", 23.5, "Cel")
	h.set(1, "contact", 0)
	g.receives(h.sensor(1), "contact", false, "")
	network := d.status().Zigbee.Network
	d.stop()

	d = h.start()
	if z := d.phase("running"); z.Network == nil || *z.Network != *network {
		t.Errorf("after the restart the network is %+v, before it was %+v", z.Network, network)
	}
	h.set(0, "temperature", -4.25)
	g.receives(h.sensor(0), "temperature", -4.25, "Cel")
	if list := d.devices(); len(list) != 2 || list[h.sensor(0)].Chain == "" {
		t.Errorf("devices after the restart: %+v", list)
	}
	if g.has(func(e subscriber.Event) bool { return e.Gap != nil }) {
		t.Error("a clean restart left a gap")
	}
}

// TestSubscriberResumesWithoutLoss closes the peer, lets readings pass, and opens it again in the same folder.
func TestSubscriberResumesWithoutLoss(t *testing.T) {
	h := newHouse(t, sim.Options{Seed: 14, Sensors: []sim.SensorSpec{{Kind: "temperature"}}})
	d := h.start()
	d.form()
	d.pair(1)
	dir := filepath.Join(short(t), "peer")
	g := openGuest(t, dir)
	name := g.enrol(d.share(api.Share{Label: "anna", Devices: []string{"*"}}))
	stop := g.follow(name, subscriber.Filter{})
	seqs := func(g *guest) (list []uint64) {
		events, _, _ := g.told()
		for _, e := range events {
			if e.Reading != nil {
				list = append(list, e.Reading.Seq)
			}
			if e.Gap != nil {
				t.Errorf("a gap: %+v", *e.Gap)
			}
		}
		return list
	}
	for i := range 20 {
		h.set(0, "temperature", float64(i))
	}
	g.receives(h.sensor(0), "temperature", 19.0, "Cel")
	stop()
	if err := g.peer.Close(); err != nil {
		t.Fatal(err)
	}
	first := seqs(g)
	for i := range 20 {
		h.set(0, "temperature", 20+float64(i))
	}
	until(t, "the readings", func() bool { return len(d.history(h.sensor(0))) >= int(first[len(first)-1])+20 })
	d.stop() // what was missed is on disk only
	d = h.start()

	again := openGuest(t, dir)
	if names, err := again.peer.Gateways(); err != nil || !slices.Equal(names, []string{name}) {
		t.Errorf("the peer knows %v, %v", names, err)
	}
	again.follow(name, subscriber.Filter{})
	again.receives(h.sensor(0), "temperature", 39.0, "Cel")
	second := seqs(again)
	if last := first[len(first)-1]; second[0] != last+1 || second[len(second)-1] != last+uint64(len(second)) {
		t.Errorf("told up to #%d before, then %v", last, second)
	}
}

// TestFilter asks for one property of one device, and for few readings.
func TestFilter(t *testing.T) {
	h := newHouse(t, sim.Options{Seed: 15, Sensors: []sim.SensorSpec{{Kind: "temperature"}, {Kind: "temperature"}}})
	d := h.start()
	d.form()
	d.pair(2)
	g := newGuest(t)
	name := g.enrol(d.share(api.Share{Label: "anna", Devices: []string{"*"}}))
	g.follow(name, subscriber.Filter{Devices: []string{h.sensor(1)}, Properties: []string{"humidity"}})
	h.set(0, "humidity", 41)
	h.set(1, "temperature", 21)
	h.set(1, "humidity", 42)
	g.receives(h.sensor(1), "humidity", 42.0, "%")
	if seen := g.seen(); len(seen) != 1 || !slices.Equal(seen[h.sensor(1)], []string{"humidity"}) {
		t.Errorf("the filter lets through %v", seen)
	}
}

// TestRemovedDeviceStaysRemoved removes devices while they report: nothing that was on its way may bring them back.
func TestRemovedDeviceStaysRemoved(t *testing.T) {
	const devices = 12
	specs := make([]sim.SensorSpec, devices)
	for i := range specs {
		specs[i].Kind = "temperature"
	}
	h := newHouse(t, sim.Options{Seed: 16, Sensors: specs})
	d := h.start()
	d.form()
	d.pair(devices)
	if err := h.stick.SetLoad(sim.Load{Rate: 2000}); err != nil {
		t.Fatal(err)
	}
	for i := range devices {
		if err := d.api.Delete(t.Context(), "/v1/devices/"+h.sensor(i), nil); err != nil {
			t.Fatal(err)
		}
	}
	d.stop()
	d = h.start()
	d.phase("running")
	for id, dev := range d.devices() {
		t.Errorf("the removed device %s is on the list (%s)", id, dev.Interview)
	}
}
