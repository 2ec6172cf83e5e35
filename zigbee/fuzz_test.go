package zigbee

import (
	"testing"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

// FuzzReceive gives a network any message a device can send: it must take it, and stay within its bounds.
func FuzzReceive(f *testing.F) {
	d := sensor(1)
	for cluster, frame := range map[uint16]zcl.Frame{
		zcl.ClusterTemperature: d.temperature(1, 2150),
		zcl.ClusterIASZone:     {Type: zcl.ClusterSpecific, FromServer: true, Command: zcl.CommandZoneEnrollRequest, Payload: []byte{0x15, 0, 0, 0}},
		zcl.ClusterTime:        {Command: zcl.CommandReadAttributes, Payload: []byte{0, 0, 7, 0}},
		zcl.ClusterPollControl: {Type: zcl.ClusterSpecific, FromServer: true},
		zcl.ClusterOTA:         {Type: zcl.ClusterSpecific, Command: nextImageRequest},
		zcl.ClusterBasic:       {FromServer: true, Command: zcl.CommandReportAttributes, Payload: []byte{5, 0, 0x42, 2, 'T', 0xff}},
	} {
		f.Add(cluster, uint8(1), uint8(1), frame.Append(nil))
	}
	// https://github.com/Koenkk/zigbee2mqtt/issues/20130: pressure with scale and scaled value.
	f.Add(zcl.ClusterPressure, uint8(1), uint8(1), []byte("\x18\x08\x0a\x00\x00\x29\xf3\x03\x14\x00\x28\xff\x10\x00\x29\x7f\x27"))
	f.Fuzz(func(t *testing.T, cluster uint16, from, to uint8, data []byte) {
		n := newNetwork(newFakeRadio(d), Options{Devices: []Device{{IEEE: d.ieee, Network: d.address, Interview: InterviewDone}}})
		n.take(linkChanged{n.radio.State()})
		m := incoming{
			source: d.address, sourceEndpoint: zb.Endpoint(from), endpoint: zb.Endpoint(to), cluster: zb.ClusterID(cluster), data: data,
		}
		for range 2 {
			n.take(m)
			m.data = append([]byte(nil), data...)
			m.time = time.Now().Add(time.Minute)
		}
		if waiting, _ := n.queue.depth(); waiting > 6 {
			t.Errorf("%d events of two messages", waiting)
		}
		got, ok := n.Device(d.ieee)
		if !ok || len(got.Facts) > 4 || len(got.Model) > 255 || len(n.table.byIEEE[d.ieee].names) > maxNames {
			t.Errorf("device %+v", got)
		}
	})
}
