package gateway_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/hive"
	"github.com/peerbee/peerbee/gateway/subscriber"
	"github.com/peerbee/peerbee/zigbee/sim"
)

// sockets gives this process's internet sockets as the kernel lists them, by inode: "tcp 0100007F:1051 0A".
func sockets(t *testing.T) map[string]string {
	t.Helper()
	mine := map[string]bool{}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		target, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if inode, ok := strings.CutPrefix(target, "socket:["); err == nil && ok {
			mine[strings.TrimSuffix(inode, "]")] = true
		}
	}
	found := map[string]string{}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		text, err := os.ReadFile("/proc/self/net/" + table)
		if err != nil {
			continue // a kernel without IPv6
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) > 9 && mine[f[9]] {
				found[f[9]] = fmt.Sprintf("%s local %s remote %s state %s", table, f[1], f[2], f[3])
			}
		}
	}
	return found
}

// TestMasterSwitchOff looks for sockets of the daemon in every state of its life.
func TestMasterSwitchOff(t *testing.T) {
	h := newHouse(t, sim.Options{Seed: 12, Sensors: []sim.SensorSpec{{Kind: "temperature"}}})
	before := sockets(t)
	h.config.P2P.Mode = config.ModeOff
	h.config.P2P.MDNS = true
	h.config.P2P.Hives = []string{"/ip4/127.0.0.1/tcp/1/p2p/12D3KooWGRUVhVfGBYmu9xTLTsz4AeyvUVAgKGqTPyEDHnBMvEMC"}
	d := h.start()
	d.form()
	d.pair(1)
	h.set(0, "temperature", 23.5)
	until(t, "a reading", func() bool { return len(d.history(h.sensor(0))) > 0 })
	e := d.refused(409, d.api.Post(t.Context(), "/v1/shares", api.Share{Label: "anna", Devices: []string{"*"}}, nil))
	if !strings.Contains(e.Hint, "p2p.mode") {
		t.Errorf("sharing while switched off: next %q", e.Hint)
	}
	s := d.status().P2P
	if s.Mode != "off" || s.PeerID == "" || len(s.Addresses) != 0 {
		t.Errorf("status: %+v", s)
	}
	for inode, line := range sockets(t) {
		if _, was := before[inode]; !was {
			t.Errorf("switched off, the daemon has a socket: %s", line)
		}
	}
	d.stop()
	h.config.P2P.Mode = config.ModeOn // what the look-up above has to find, were it there
	h.start()
	found := false
	for inode := range sockets(t) {
		_, was := before[inode]
		found = found || !was
	}
	if !found {
		t.Error("switched on, no socket is found: the test is blind")
	}
}

// newHive runs a hive and gives its address.
func newHive(t *testing.T) string {
	t.Helper()
	c := config.Default()
	c.Hive = config.Hive{StateDir: filepath.Join(short(t), "hive"), Listen: []string{"/ip4/127.0.0.1/tcp/0"}}
	h, err := hive.Build(context.Background(), c, newLogs(t).logger())
	if err != nil {
		t.Fatal(err)
	}
	background(t, "the hive", h.Serve)
	if len(h.Addresses()) == 0 {
		t.Fatal("the hive has no address")
	}
	return h.Addresses()[0]
}

// TestModes configures a hive: in mode on a ticket without addresses leads to the gateway, through Kademlia; in mode
// lan the hive is not even dialled.
func TestModes(t *testing.T) {
	address := newHive(t)
	for _, mode := range []config.Mode{config.ModeOn, config.ModeLAN} {
		t.Run(string(mode), func(t *testing.T) {
			h := newHouse(t, sim.Options{Seed: 13, Sensors: []sim.SensorSpec{{Kind: "temperature"}}})
			h.config.P2P.Mode = mode
			h.config.P2P.Hives = []string{address}
			d := h.start()
			d.form()
			d.pair(1)
			var k api.Ticket
			d.post("/v1/shares", api.Share{Label: "anna", Devices: []string{"*"}, NoAddresses: mode == config.ModeOn}, &k)
			g := newGuest(t)
			g.follow(g.enrol(k.Text), subscriber.Filter{})
			h.set(0, "temperature", 23.5)
			g.receives(h.sensor(0), "temperature", 23.5, "Cel")
			if mode == config.ModeOn {
				until(t, "the hive", func() bool { return d.status().P2P.Hives == 1 })
				return
			}
			if s := d.status().P2P; s.Hives != 0 || s.Connections != 1 {
				t.Errorf("on the local network only, the gateway is connected to %d hives, %d peers in all", s.Hives, s.Connections)
			}
			if len(k.Notices) != 1 || k.Notices[0].Code != "lan-only" || k.Notices[0].Hint == "" {
				t.Errorf("the ticket's notices: %+v", k.Notices)
			}
		})
	}
}
