package zigbee

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/device"
	"github.com/peerbee/peerbee/zigbee/zcl"
)

var _ zb.Provider = (*Provider)(nil)

func TestInterview(t *testing.T) {
	d := sensor(1)
	run(t, Options{}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		b.join(d)
		b.after(time.Minute)
		got := b.mustDevice(t, d.ieee)
		if got.LastSeen.IsZero() {
			t.Error("LastSeen is not set")
		}
		got.LastSeen = time.Time{}
		want := Device{
			IEEE: d.ieee, Network: d.address, Type: zb.EndDevice, ManufacturerCode: 0x1234,
			Manufacturer: "Acme", Model: "T-1", PowerSource: "battery", Interview: InterviewDone, LinkQuality: 99, Support: SupportGeneric,
			Endpoints: []Endpoint{
				{ID: 1, Profile: 0x0104, DeviceType: 0x0302, InClusters: d.endpoints[0].InClusters},
				{ID: 2, Profile: 0x0104, DeviceType: 0x0402, InClusters: d.endpoints[1].InClusters, OutClusters: d.endpoints[1].OutClusters},
			},
			Facts: []device.Fact{{Endpoint: 2, Cluster: zcl.ClusterIASZone, Attribute: zcl.AttrZoneType, Value: 0x15}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if cie := d.attrs[fakeAttribute{2, zcl.ClusterIASZone, zcl.AttrZoneCIE}].Value; cie != stickIEEE {
			t.Errorf("the sensor's coordinator is %v", cie)
		}
		if len(d.binds) != 2 || len(d.conf) != 3 { // power (percentage, voltage) and temperature
			t.Errorf("%d bindings %+v, %d reports %+v; want 2 and 3", len(d.binds), d.binds, len(d.conf), d.conf)
		}
		for _, bind := range d.binds {
			if bind.device != d.ieee || bind.address != d.address || bind.endpoint != 1 || bind.local != 1 {
				t.Errorf("binding %+v", bind)
			}
		}
		events := b.take()
		changes := eventsOf[DeviceChanged](events)
		if !changes[0].Joined || changes[0].Device.Interview != InterviewPending {
			t.Errorf("first change %+v, want a join", changes[0])
		}
		for i, c := range changes[1:] {
			if c.Joined {
				t.Errorf("change %d is a second join", i+1)
			}
		}
		if last := changes[len(changes)-1].Device; last.Interview != InterviewDone {
			t.Errorf("last change says %s", last.Interview)
		}
		// The zone status read in the interview is a first reading.
		if r := eventsOf[Report](events); len(r) != 1 || r[0].Measures[0].Property != "contact" {
			t.Errorf("reports %+v, want the contact's present state", r)
		}
	})
}

func TestFiftySensorsOneAfterAnother(t *testing.T) {
	var all []*fakeDevice
	for i := range 50 {
		all = append(all, sensor(i))
	}
	run(t, Options{}, all, func(t *testing.T, b *bench) {
		start := time.Now()
		for _, d := range all {
			b.join(d)
			b.after(0)
			for b.mustDevice(t, d.ieee).Interview != InterviewDone {
				b.after(time.Millisecond)
			}
			if b.asked(d) > 26 {
				t.Fatalf("device %s was asked %d times", d.ieee, b.asked(d))
			}
		}
		// In fake time, at a millisecond for each exchange, the interviews alone are what takes time.
		if took := time.Since(start); took > 50*30*time.Millisecond {
			t.Errorf("50 interviews of %d exchanges took %s", all[0].asked, took)
		}
	})
}

func TestManyInterviewsAtOnceAreBounded(t *testing.T) {
	var all []*fakeDevice
	for i := range 40 {
		all = append(all, sensor(i))
	}
	run(t, Options{}, all, func(t *testing.T, b *bench) {
		for _, d := range all {
			b.join(d)
		}
		b.after(time.Minute)
		for _, d := range all {
			if got := b.mustDevice(t, d.ieee).Interview; got != InterviewDone {
				t.Errorf("device %s: %s", d.ieee, got)
			}
		}
	})
}

func TestSleepyDeviceIsResumedWhenItSpeaks(t *testing.T) {
	d := sensor(1)
	run(t, Options{}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		b.radio.mu.Lock()
		d.mute = true
		b.radio.mu.Unlock()
		b.join(d)
		b.after(40 * time.Second)
		if got := b.mustDevice(t, d.ieee).Interview; got != InterviewPartial {
			t.Fatalf("mute device: %s, want partial", got)
		}
		if b.radio.routes == 0 {
			t.Error("no route was looked for")
		}
		b.radio.mu.Lock()
		d.mute = false
		b.radio.mu.Unlock()
		b.take()
		b.radio.hear(d, 1, zcl.ClusterTemperature, d.temperature(1, 2150))
		b.after(10 * time.Second)
		if got := b.mustDevice(t, d.ieee).Interview; got != InterviewDone {
			t.Fatalf("after it spoke: %s, want done", got)
		}
		want := []device.Measure{{Property: "temperature", Value: 21.5, Unit: "Cel"}}
		if r := eventsOf[Report](b.take()); len(r) == 0 || !cmp.Equal(r[0].Measures, want) {
			t.Errorf("reports %+v, want %+v first", r, want)
		}
	})
}

func TestInterviewFailsAndAnAnnounceStartsAgain(t *testing.T) {
	d := sensor(1)
	run(t, Options{}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		b.radio.mu.Lock()
		d.muteZDO = true
		b.radio.mu.Unlock()
		b.join(d)
		b.after(30 * time.Minute)
		if got := b.mustDevice(t, d.ieee).Interview; got != InterviewFailed {
			t.Fatalf("device without answers: %s, want failed", got)
		}
		asked := b.asked(d)
		b.radio.hear(d, 1, zcl.ClusterTemperature, d.temperature(1, 2150))
		b.after(2 * time.Minute)
		if b.asked(d) != asked {
			t.Error("a failed device is still asked")
		}
		b.after(time.Hour)
		b.radio.hear(d, 1, zcl.ClusterTemperature, d.temperature(2, 2150))
		b.after(time.Minute)
		if b.asked(d) == asked {
			t.Error("a failed device that speaks an hour later is not asked")
		}
		b.radio.mu.Lock()
		d.muteZDO = false
		b.radio.mu.Unlock()
		b.join(d)
		b.after(time.Minute)
		if got := b.mustDevice(t, d.ieee).Interview; got != InterviewDone {
			t.Errorf("after its announce: %s, want done", got)
		}
	})
}

func TestLumiIsAcceptedUnfinished(t *testing.T) {
	d := sensor(1)
	run(t, Options{}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		b.radio.mu.Lock()
		d.mute = true
		b.radio.mu.Unlock()
		b.join(d)
		payload, err := zcl.AppendReport(nil, []zcl.Attribute{{ID: 5, Type: zcl.TypeString, Value: "lumi.sensor_magnet"}})
		if err != nil {
			t.Fatal(err)
		}
		b.radio.hear(d, 1, zcl.ClusterBasic, zcl.Frame{FromServer: true, DisableDefaultResponse: true, Command: zcl.CommandReportAttributes, Payload: payload})
		b.after(2 * time.Minute)
		got := b.mustDevice(t, d.ieee)
		if got.Model != "lumi.sensor_magnet" || got.Interview != InterviewDone {
			t.Errorf("model %q, interview %s", got.Model, got.Interview)
		}
	})
}

func TestTuyaEndDeviceIsLeftAloneFirst(t *testing.T) {
	d := sensor(1)
	d.node.ManufacturerCode = tuyaManufacturer
	run(t, Options{}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		b.join(d)
		b.after(tuyaRest - time.Second)
		if b.asked(d) != 1 {
			t.Errorf("asked %d times while it rests, want once", b.asked(d))
		}
		b.after(time.Minute)
		if got := b.mustDevice(t, d.ieee).Interview; got != InterviewDone {
			t.Errorf("after its rest: %s", got)
		}
	})
}

func TestLostFactsAreReadAgain(t *testing.T) {
	d := sensor(1)
	run(t, Options{}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		b.join(d)
		b.after(time.Minute)
		known := b.mustDevice(t, d.ieee)
		for name, c := range map[string]struct {
			facts []device.Fact
			asked bool
		}{"kept": {known.Facts, false}, "lost": {nil, true}} {
			d.asked, known.Facts = 0, c.facts
			r := newFakeRadio(d)
			again := newNetwork(r, Options{Devices: []Device{known}})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- again.Serve(ctx) }()
			r.events <- linkChanged{r.State()}
			b.after(time.Minute)
			got, _ := again.Device(d.ieee)
			if (b.asked(d) > 0) != c.asked || len(got.Facts) != 1 || got.Interview != InterviewDone {
				t.Errorf("%s: asked %d times, facts %+v, interview %s", name, b.asked(d), got.Facts, got.Interview)
			}
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
}

func TestUnknownSenderIsAskedOnceAndItsReportsKept(t *testing.T) {
	d := sensor(1)
	run(t, Options{}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		for i := range 3 {
			b.radio.hear(d, 1, zcl.ClusterTemperature, d.temperature(uint8(i), int64(100*i)))
		}
		b.after(time.Second)
		events := b.take()
		if len(b.radio.lookups) != 1 {
			t.Errorf("asked %d times, want once", len(b.radio.lookups))
		}
		var values []any
		for _, r := range eventsOf[Report](events) {
			if r.Measures[0].Property == "temperature" {
				values = append(values, r.Measures[0].Value)
			}
		}
		if diff := cmp.Diff([]any{0.0, 1.0, 2.0}, values); diff != "" {
			t.Error(diff)
		}
		if c := eventsOf[DeviceChanged](events); len(c) == 0 || c[0].Device.IEEE != d.ieee {
			t.Errorf("changes %+v", c)
		}
	})
}

func TestStrangerWhoNeverAnswersIsBounded(t *testing.T) {
	run(t, Options{}, nil, func(t *testing.T, b *bench) {
		for i := range 2000 {
			ghost := &fakeDevice{address: zb.NetworkAddress(0x2000 + i%200)}
			b.radio.hear(ghost, 1, zcl.ClusterTemperature, ghost.temperature(uint8(i), int64(i)))
		}
		b.after(time.Minute)
		b.strangers.mu.Lock()
		defer b.strangers.mu.Unlock()
		if n := len(b.strangers.byAddress); n > maxStrangers {
			t.Errorf("%d strangers kept", n)
		}
		for a, s := range b.strangers.byAddress {
			if len(s.frames) > maxStrangerFrames {
				t.Errorf("%d frames kept for %04x", len(s.frames), a)
			}
		}
		if b.Stats().StrangerFrames == 0 {
			t.Error("frames given up are not counted")
		}
	})
}

func TestRejoinMovesAndLeaveForgets(t *testing.T) {
	d, other := sensor(1), sensor(2)
	known := Device{IEEE: d.ieee, Network: d.address, Type: zb.EndDevice, Interview: InterviewDone}
	run(t, Options{Devices: []Device{known}}, []*fakeDevice{d, other}, func(t *testing.T, b *bench) {
		b.radio.events <- left{device: d.ieee, address: d.address, rejoin: true}
		b.after(time.Second)
		if len(eventsOf[DeviceLeft](b.take())) != 0 {
			t.Error("a leave to rejoin counts as a leave")
		}
		b.radio.events <- announced{device: d.ieee, address: 0x7777}
		b.after(time.Minute)
		changes := eventsOf[DeviceChanged](b.take())
		if len(changes) != 1 || !changes[0].Joined || changes[0].Device.Network != 0x7777 {
			t.Fatalf("changes %+v, want one join at 0x7777", changes)
		}
		if b.asked(d) != 0 {
			t.Errorf("a known device that rejoined was asked %d times", b.asked(d))
		}
		// Another device takes the address: reports from there are its own.
		b.radio.events <- announced{device: other.ieee, address: 0x7777}
		b.after(time.Second)
		if got := b.mustDevice(t, d.ieee).Network; got != addressUnknown {
			t.Errorf("address of the device that lost it: %04x", got)
		}
		b.take()
		b.radio.events <- left{address: 0x7777}
		b.radio.events <- left{device: d.ieee}
		b.after(time.Second)
		want := []DeviceLeft{{other.ieee}, {d.ieee}}
		if diff := cmp.Diff(want, eventsOf[DeviceLeft](b.take())); diff != "" {
			t.Error(diff)
		}
		if len(b.Devices()) != 0 {
			t.Errorf("devices left: %+v", b.Devices())
		}
	})
}

func TestPairingAgainRestoresBindings(t *testing.T) {
	d := sensor(1)
	run(t, Options{}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		b.join(d)
		b.after(time.Minute)
		b.radio.mu.Lock()
		d.binds, d.conf = nil, nil // the device is reset
		b.radio.mu.Unlock()
		b.take()
		if err := b.PermitJoin(t.Context(), Join{Duration: time.Minute}); err != nil {
			t.Fatal(err)
		}
		b.join(d)
		b.after(30 * time.Second)
		if len(d.binds) != 2 || len(d.conf) != 3 {
			t.Errorf("%d bindings, %d reports after pairing again", len(d.binds), len(d.conf))
		}
		for _, c := range eventsOf[DeviceChanged](b.take()) {
			if c.Device.Interview != InterviewDone {
				t.Errorf("a complete record became %s", c.Device.Interview)
			}
		}
	})
}

func TestCopiesAreSuppressed(t *testing.T) {
	d := sensor(1)
	known := Device{IEEE: d.ieee, Network: d.address, Interview: InterviewDone}
	run(t, Options{Devices: []Device{known}}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		for range 10 {
			b.radio.hear(d, 1, zcl.ClusterTemperature, d.temperature(9, 2000))
		}
		b.radio.hear(d, 1, zcl.ClusterTemperature, d.temperature(10, 2000))
		b.after(time.Millisecond)
		if n := len(eventsOf[Report](b.take())); n != 2 {
			t.Errorf("%d reports, want 2", n)
		}
		if n := b.Stats().Copies; n != 9 {
			t.Errorf("%d copies counted, want 9", n)
		}
		// 256 reports later the number comes round; the same value then is a report of its own.
		for i := range 600 {
			b.radio.hear(d, 1, zcl.ClusterTemperature, d.temperature(uint8(20+i), 2000))
		}
		b.after(time.Millisecond)
		if n := len(eventsOf[Report](b.take())); n != 600 {
			t.Errorf("%d reports of 600", n)
		}
	})
}

func TestStickAnswersDevices(t *testing.T) {
	d := sensor(1)
	known := Device{IEEE: d.ieee, Network: d.address, Interview: InterviewDone}
	plain := d.temperature(1, 2000)
	wanted := d.temperature(2, 2000)
	wanted.DisableDefaultResponse = false
	for name, c := range map[string]struct {
		cluster uint16
		frame   zcl.Frame
		want    []zcl.Frame
	}{
		"report without default response": {zcl.ClusterTemperature, plain, nil},
		"report with default response": {zcl.ClusterTemperature, wanted, []zcl.Frame{
			{DisableDefaultResponse: true, Seq: 2, Command: zcl.CommandDefaultResponse, Payload: []byte{zcl.CommandReportAttributes, 0}},
		}},
		"default response": {zcl.ClusterTemperature, zcl.Frame{FromServer: true, Seq: 3, Command: zcl.CommandDefaultResponse, Payload: []byte{0, 0}}, nil},
		"enroll request": {zcl.ClusterIASZone, zcl.Frame{
			Type: zcl.ClusterSpecific, FromServer: true, Seq: 4, Command: zcl.CommandZoneEnrollRequest, Payload: []byte{0x15, 0, 0, 0},
		}, []zcl.Frame{{Type: zcl.ClusterSpecific, DisableDefaultResponse: true, Seq: 4, Command: zcl.CommandZoneEnrollResponse, Payload: []byte{0, 23}}}},
		"time": {zcl.ClusterTime, zcl.Frame{Seq: 5, Command: zcl.CommandReadAttributes, Payload: []byte{0, 0, 0x99, 0}}, []zcl.Frame{
			// The bubble's clock starts on 2000-01-01 00:00 UTC, a millisecond in.
			{FromServer: true, DisableDefaultResponse: true, Seq: 5, Command: zcl.CommandReadAttributesResponse, Payload: []byte{0, 0, 0, 0xe2, 0, 0, 0, 0, 0x99, 0, 0x86}},
		}},
		"read of another cluster": {zcl.ClusterBasic, zcl.Frame{Seq: 6, Command: zcl.CommandReadAttributes, Payload: []byte{4, 0}}, []zcl.Frame{
			{FromServer: true, DisableDefaultResponse: true, Seq: 6, Command: zcl.CommandReadAttributesResponse, Payload: []byte{4, 0, 0x86}},
		}},
		"check-in": {zcl.ClusterPollControl, zcl.Frame{Type: zcl.ClusterSpecific, FromServer: true, Seq: 8}, []zcl.Frame{
			{Type: zcl.ClusterSpecific, DisableDefaultResponse: true, Seq: 8, Payload: []byte{0, 0, 0}},
		}},
		"search for new firmware": {zcl.ClusterOTA, zcl.Frame{Type: zcl.ClusterSpecific, Seq: 9, Command: 1, Payload: make([]byte, 9)}, []zcl.Frame{
			{Type: zcl.ClusterSpecific, FromServer: true, DisableDefaultResponse: true, Seq: 9, Command: 2, Payload: []byte{0x98}},
		}},
		"write": {zcl.ClusterBasic, zcl.Frame{Seq: 7, Command: zcl.CommandWriteAttributes, Payload: []byte{4, 0, 0x20, 1}}, []zcl.Frame{
			{FromServer: true, DisableDefaultResponse: true, Seq: 7, Command: zcl.CommandDefaultResponse, Payload: []byte{2, 0x82}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, Options{Devices: []Device{known}}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
				d.got = nil
				b.radio.hear(d, 1, c.cluster, c.frame)
				b.after(10 * time.Millisecond)
				if diff := cmp.Diff(c.want, b.radio.answersTo(d)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestCommand(t *testing.T) {
	d := sensor(1)
	known := Device{
		IEEE: d.ieee, Network: d.address, Interview: InterviewDone,
		Endpoints: []Endpoint{{ID: 1}, {ID: 3, InClusters: []zb.ClusterID{ClusterOnOff}}},
	}
	run(t, Options{Devices: []Device{known}}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		on := Command{Device: d.ieee, Cluster: ClusterOnOff, ID: CommandOn}
		for _, status := range []zcl.Status{zcl.StatusSuccess, zcl.StatusUnsupCommand} {
			d.onOff = status
			got, err := b.Command(t.Context(), on)
			if err != nil || got.Status != status {
				t.Errorf("command: %+v, %v; want %v", got, err, status)
			}
		}
		if last := b.radio.sent[len(b.radio.sent)-1]; last.endpoint != 3 {
			t.Errorf("sent to endpoint %d, want 3", last.endpoint)
		}
		if _, err := b.Command(t.Context(), Command{Device: d.ieee, Cluster: 8}); !errors.Is(err, ErrNoEndpoint) {
			t.Errorf("command without an endpoint: %v", err)
		}
		if _, err := b.Command(t.Context(), Command{Device: 5, Cluster: 8}); !errors.Is(err, ErrUnknownDevice) {
			t.Errorf("command to nobody: %v", err)
		}
		records, err := b.ReadAttributes(t.Context(), Read{Device: d.ieee, Endpoint: 1, Attributes: []uint16{5, 99}})
		if err != nil || len(records) != 2 || records[0].Value != "T-1" || records[1].Status != zcl.StatusUnsupportedAttribute {
			t.Errorf("read: %+v, %v", records, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.Command(ctx, on); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled command: %v", err)
		}
	})
}

func TestRequestWithoutAnswer(t *testing.T) {
	d := sensor(1)
	known := Device{IEEE: d.ieee, Network: d.address, Interview: InterviewDone}
	run(t, Options{Devices: []Device{known}}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		// Discovery is confirmed by this device but not answered.
		_, err := b.request(t.Context(), target{device: d.ieee, endpoint: 1}, zcl.Frame{Command: zcl.CommandDiscoverAttributes})
		if !errors.Is(err, ErrNoAnswer) {
			t.Errorf("%v, want ErrNoAnswer", err)
		}
		if len(b.exchanges.waiting) != 0 {
			t.Errorf("%d requests still wait", len(b.exchanges.waiting))
		}
	})
}

func TestAnswers(t *testing.T) {
	read := zcl.Frame{Seq: 1, Command: zcl.CommandReadAttributes}
	reply := zcl.Frame{Seq: 1, FromServer: true, Command: zcl.CommandReadAttributesResponse}
	refuse := zcl.Frame{Seq: 1, FromServer: true, Command: zcl.CommandDefaultResponse, Payload: []byte{0, 0x86}}
	report := zcl.Frame{Seq: 1, FromServer: true, Command: zcl.CommandReportAttributes}
	on := zcl.Frame{Seq: 1, Type: zcl.ClusterSpecific, Command: CommandOn}
	for name, c := range map[string]struct {
		f, request zcl.Frame
		want       bool
	}{
		"its answer":                        {reply, read, true},
		"a refusal":                         {refuse, read, true},
		"a refusal of another command":      {refuse, on, false},
		"a report with the same number":     {report, read, false},
		"the request itself":                {read, read, false},
		"an answer of another kind":         {reply, on, false},
		"a damaged refusal":                 {zcl.Frame{FromServer: true, Command: zcl.CommandDefaultResponse}, read, false},
		"an answer of the maker's own kind": {zcl.Frame{FromServer: true, Command: 1, Manufacturer: 7}, read, false},
	} {
		if got := answers(c.f, c.request); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestPermitJoin(t *testing.T) {
	d := sensor(1)
	known := Device{IEEE: d.ieee, Network: d.address, Interview: InterviewDone}
	run(t, Options{Devices: []Device{known}}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		for _, j := range []Join{{Duration: MaxJoin}, {}, {Duration: 90*time.Second + 1, Router: &d.ieee}} {
			if err := b.PermitJoin(t.Context(), j); err != nil {
				t.Fatal(err)
			}
		}
		want := []permission{{seconds: 254}, {}, {seconds: 91, router: d.address, hasRouter: true}}
		if diff := cmp.Diff(want, b.radio.permits, cmp.AllowUnexported(permission{})); diff != "" {
			t.Error(diff)
		}
		nobody := zb.IEEEAddress(5)
		for _, j := range []Join{{Duration: MaxJoin + 1}, {Duration: -1}, {Duration: 1, Router: &nobody}} {
			if err := b.PermitJoin(t.Context(), j); err == nil {
				t.Errorf("%+v was allowed", j)
			}
		}
	})
}

func TestRemove(t *testing.T) {
	d, mute := sensor(1), sensor(2)
	mute.mute = true
	known := []Device{{IEEE: d.ieee, Network: d.address, Interview: InterviewDone}, {IEEE: mute.ieee, Network: mute.address, Interview: InterviewDone}}
	run(t, Options{Devices: known}, []*fakeDevice{d, mute}, func(t *testing.T, b *bench) {
		if err := b.Remove(t.Context(), d.ieee, false); err != nil {
			t.Error(err)
		}
		if err := b.Remove(t.Context(), mute.ieee, false); err == nil {
			t.Error("a device that does not answer was removed without force")
		}
		if err := b.Remove(t.Context(), mute.ieee, true); err != nil {
			t.Error(err)
		}
		if err := b.Remove(t.Context(), mute.ieee, true); !errors.Is(err, ErrUnknownDevice) {
			t.Errorf("removed twice: %v", err)
		}
		if diff := cmp.Diff([]DeviceLeft{{d.ieee}, {mute.ieee}}, eventsOf[DeviceLeft](b.take())); diff != "" {
			t.Error(diff)
		}
	})
}

func TestInterviewStartsAgainOnRequest(t *testing.T) {
	d := sensor(1)
	known := Device{IEEE: d.ieee, Network: d.address, Interview: InterviewDone}
	run(t, Options{Devices: []Device{known}}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		if err := b.Interview(t.Context(), d.ieee); err != nil {
			t.Fatal(err)
		}
		b.after(time.Minute)
		if got := b.mustDevice(t, d.ieee); got.Model != "T-1" || got.Interview != InterviewDone {
			t.Errorf("%+v", got)
		}
		if err := b.Interview(t.Context(), 5); !errors.Is(err, ErrUnknownDevice) {
			t.Errorf("interview of nobody: %v", err)
		}
		names := map[string]bool{}
		for _, p := range b.Describe(d.ieee) {
			names[p.Property] = true
		}
		if !names["contact"] {
			t.Errorf("described: %v", names)
		}
	})
}

func TestFullTableTakesNoMore(t *testing.T) {
	run(t, Options{}, nil, func(t *testing.T, b *bench) {
		for i := range maxDevices + 10 {
			b.radio.events <- announced{device: zb.IEEEAddress(i + 1), address: zb.NetworkAddress(i + 1)}
		}
		b.after(time.Millisecond)
		if n := len(b.Devices()); n != maxDevices {
			t.Errorf("%d devices", n)
		}
		if n := b.Stats().RefusedDevices; n != 10 {
			t.Errorf("%d refused", n)
		}
	})
}

func TestProvider(t *testing.T) {
	d := sensor(1)
	run(t, Options{}, []*fakeDevice{d}, func(t *testing.T, b *bench) {
		p := b.Provider()
		b.join(d)
		b.after(time.Minute)
		e, err := p.ReadEvent(t.Context())
		if join, ok := e.(zb.NodeJoinEvent); err != nil || !ok || join.IEEEAddress != d.ieee {
			t.Fatalf("first event %+v, %v", e, err)
		}
		if err := errors.Join(p.PermitJoin(t.Context(), false), p.DenyJoin(t.Context()),
			p.RegisterAdapterEndpoint(t.Context(), 9, 0x0104, 5, 0, nil, nil),
			p.BindNodeToController(t.Context(), d.ieee, 1, 9, 6), p.UnbindNodeFromController(t.Context(), d.ieee, 1, 9, 6),
		); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]permission{{seconds: 254, coordinator: true}, {}}, b.radio.permits, cmp.AllowUnexported(permission{})); diff != "" {
			t.Error(diff)
		}
		if got := p.AdapterNode(); got.IEEEAddress != stickIEEE || got.LogicalType != zb.Coordinator {
			t.Errorf("stick: %+v", got)
		}
		if got, err := p.QueryNodeDescription(t.Context(), d.ieee); err != nil || got.LogicalType != zb.EndDevice {
			t.Errorf("node: %+v, %v", got, err)
		}
		eps, err := p.QueryNodeEndpoints(t.Context(), d.ieee)
		if err != nil || len(eps) != 2 {
			t.Errorf("endpoints: %v, %v", eps, err)
		}
		if got, err := p.QueryNodeEndpointDescription(t.Context(), d.ieee, 1); err != nil || len(got.InClusterList) != 3 {
			t.Errorf("endpoint: %+v, %v", got, err)
		}
		for { // what the interview itself made
			if _, ok := p.tap.pop(); !ok {
				break
			}
		}
		if err := p.SendApplicationMessageToNode(t.Context(), d.ieee, zb.ApplicationMessage{ClusterID: 6, DestinationEndpoint: 1, SourceEndpoint: 1, Data: []byte{1, 8, 1}}, true); err != nil {
			t.Error(err)
		}
		e, err = p.ReadEvent(t.Context())
		if m, ok := e.(zb.NodeIncomingMessageEvent); err != nil || !ok || m.ApplicationMessage.ClusterID != 6 || m.SourceAddress.IEEEAddress != d.ieee {
			t.Errorf("message event %+v, %v", e, err)
		}
		if err := p.RequestNodeLeave(t.Context(), d.ieee); err != nil {
			t.Error(err)
		}
		if e, err := p.ReadEvent(t.Context()); err != nil || e.(zb.NodeLeaveEvent).IEEEAddress != d.ieee {
			t.Errorf("leave event %+v, %v", e, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.ReadEvent(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("no event: %v", err)
		}
	})
}
