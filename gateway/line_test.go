package gateway_test

import (
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
