package zigbee_test

import (
	"testing"

	"github.com/peerbee/peerbee/zigbee"
	"github.com/peerbee/peerbee/zigbee/sim"
)

// TestBackup compares the backup of a network with what the network says of itself.
func TestBackup(t *testing.T) {
	sensors := []sim.SensorSpec{{Kind: "temperature"}, {Kind: "contact"}}
	simulate(t, sim.Options{Sensors: sensors}, zigbee.Options{}, func(t *testing.T, r *rig) {
		params := r.form(t)
		r.pair(t, 2)
		d, err := r.Backup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d.Channel != params.Channel || d.PAN != params.PAN || d.ExtendedPAN != params.ExtendedPAN || d.Coordinator != params.Coordinator {
			t.Errorf("formed %+v, backed up %s", params, d)
		}
		for _, member := range d.Devices {
			if known, ok := r.Device(member.IEEE); !ok || known.Network != member.Network || member.LinkKey == nil {
				t.Errorf("%s at %04x is in the backup, with a key: %v", member.IEEE, member.Network, member.LinkKey != nil)
			}
		}
		if len(d.Devices) != 2 {
			t.Errorf("%d devices in the backup", len(d.Devices))
		}
	})
}
