package zigbee

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	zb "github.com/shimmeringbee/zigbee"
	"go.uber.org/goleak"

	"github.com/peerbee/peerbee/zigbee/zcl"
	"github.com/peerbee/peerbee/zigbee/zdo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const stickIEEE zb.IEEEAddress = 0x00124b0001020304

// fakeRadio is a stick with scripted devices. Every exchange takes one millisecond.
type fakeRadio struct {
	events chan radioEvent

	mu       sync.Mutex // guards what follows
	devices  map[zb.NetworkAddress]*fakeDevice
	lookups  []zb.NetworkAddress
	sent     []outgoing
	permits  []permission
	routes   int
	unbound  int
	left     []zb.IEEEAddress
	register []zdo.SimpleDescriptor
}

// fakeDevice answers questions from its tables. Mute ones answer nothing.
type fakeDevice struct {
	ieee      zb.IEEEAddress
	address   zb.NetworkAddress
	node      zdo.NodeDescriptor
	endpoints []zdo.SimpleDescriptor
	attrs     map[fakeAttribute]zcl.Attribute
	mute      bool
	muteZDO   bool
	onOff     zcl.Status // answer to cluster commands
	asksEnrol bool       // sends an enroll request when it learns its coordinator

	asked int // exchanges, ZDO and ZCL
	binds []binding
	conf  []zcl.ReportConfig
	got   []zcl.Frame
}

type fakeAttribute struct {
	endpoint zb.Endpoint
	cluster  uint16
	id       uint16
}

func newFakeRadio(devices ...*fakeDevice) *fakeRadio {
	r := &fakeRadio{events: make(chan radioEvent, 4096), devices: map[zb.NetworkAddress]*fakeDevice{}}
	for _, d := range devices {
		r.devices[d.address] = d
	}
	return r
}

func (r *fakeRadio) Serve(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
func (r *fakeRadio) Next(ctx context.Context) (radioEvent, error) {
	select {
	case e := <-r.events:
		return e, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *fakeRadio) State() State {
	return State{Phase: PhaseRunning, Stick: StickInfo{IEEE: stickIEEE}}
}
func (r *fakeRadio) Stats() LinkStats { return LinkStats{Opens: 1} }
func (r *fakeRadio) Adopt(context.Context) (NetworkParams, error) {
	return NetworkParams{Channel: 15}, nil
}

func (r *fakeRadio) Form(_ context.Context, p FormParams) (NetworkParams, error) {
	return NetworkParams{Channel: p.Channel}, nil
}

func (r *fakeRadio) PermitJoin(_ context.Context, p permission) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.permits = append(r.permits, p)
	return nil
}

func (r *fakeRadio) RegisterEndpoint(_ context.Context, d zdo.SimpleDescriptor) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.register = append(r.register, d)
	return nil
}

var errSilence = errors.New("nothing came back")

// ask waits as an exchange would and gives the device, or silence.
func (r *fakeRadio) ask(ctx context.Context, address zb.NetworkAddress, zdo bool) (*fakeDevice, error) {
	r.mu.Lock()
	d := r.devices[address]
	silent := d == nil || d.mute || zdo && d.muteZDO
	if d != nil {
		d.asked++
	}
	r.mu.Unlock()
	wait := time.Millisecond
	if silent {
		wait = 6 * time.Second
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if silent {
		return nil, errSilence
	}
	return d, nil
}

func (r *fakeRadio) NodeDescriptor(ctx context.Context, a zb.NetworkAddress) (zdo.NodeDescriptor, error) {
	d, err := r.ask(ctx, a, true)
	if err != nil {
		return zdo.NodeDescriptor{}, err
	}
	return d.node, nil
}

func (r *fakeRadio) ActiveEndpoints(ctx context.Context, a zb.NetworkAddress) ([]zb.Endpoint, error) {
	d, err := r.ask(ctx, a, true)
	if err != nil {
		return nil, err
	}
	var list []zb.Endpoint
	for _, ep := range d.endpoints {
		list = append(list, ep.Endpoint)
	}
	return list, nil
}

func (r *fakeRadio) SimpleDescriptor(ctx context.Context, a zb.NetworkAddress, id zb.Endpoint) (zdo.SimpleDescriptor, error) {
	d, err := r.ask(ctx, a, true)
	if err != nil {
		return zdo.SimpleDescriptor{}, err
	}
	for _, ep := range d.endpoints {
		if ep.Endpoint == id {
			return ep, nil
		}
	}
	return zdo.SimpleDescriptor{}, errRefused
}

func (r *fakeRadio) Bind(ctx context.Context, b binding) error {
	d, err := r.ask(ctx, b.address, true)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	d.binds = append(d.binds, b)
	return nil
}

func (r *fakeRadio) Unbind(ctx context.Context, b binding) error {
	_, err := r.ask(ctx, b.address, true)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unbound++
	return err
}

func (r *fakeRadio) Leave(ctx context.Context, a zb.NetworkAddress, ieee zb.IEEEAddress) error {
	if _, err := r.ask(ctx, a, true); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = append(r.left, ieee)
	return nil
}

func (r *fakeRadio) NetworkAddress(_ context.Context, ieee zb.IEEEAddress) (zb.NetworkAddress, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for a, d := range r.devices {
		if d.ieee == ieee && !d.mute {
			return a, nil
		}
	}
	return 0, errSilence
}

func (r *fakeRadio) IEEEAddress(ctx context.Context, a zb.NetworkAddress) (zb.IEEEAddress, error) {
	r.mu.Lock()
	r.lookups = append(r.lookups, a)
	r.mu.Unlock()
	d, err := r.ask(ctx, a, true)
	if err != nil {
		return 0, err
	}
	return d.ieee, nil
}

func (r *fakeRadio) DiscoverRoute(context.Context, zb.NetworkAddress) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.routes++
	return nil
}

// Send gives the message to the device, whose answer comes as an event before Send returns.
func (r *fakeRadio) Send(ctx context.Context, m outgoing) error {
	r.mu.Lock()
	r.sent = append(r.sent, m)
	r.mu.Unlock()
	d, err := r.ask(ctx, m.destination, false)
	if err != nil {
		return err
	}
	f, err := zcl.Decode(m.data)
	if err != nil {
		return err
	}
	r.mu.Lock()
	answers := d.take(m, f)
	r.mu.Unlock()
	for _, a := range answers {
		r.hear(d, m.endpoint, uint16(m.cluster), a)
	}
	return nil
}

func (r *fakeRadio) hear(d *fakeDevice, endpoint zb.Endpoint, cluster uint16, f zcl.Frame) {
	r.events <- incoming{
		source: d.address, sourceEndpoint: endpoint, endpoint: 1, cluster: zb.ClusterID(cluster), linkQuality: 99, data: f.Append(nil),
	}
}

// take is the device's side of ZCL.
func (d *fakeDevice) take(m outgoing, f zcl.Frame) []zcl.Frame {
	d.got = append(d.got, f)
	if f.Type == zcl.ClusterSpecific {
		if uint16(m.cluster) == zcl.ClusterIASZone {
			d.set(m.endpoint, zcl.ClusterIASZone, zcl.Attribute{ID: zcl.AttrZoneState, Type: zcl.TypeEnum8, Value: uint64(zoneEnrolled)})
			return nil
		}
		return []zcl.Frame{defaultResponse(f, d.onOff)}
	}
	switch f.Command {
	case zcl.CommandReadAttributes:
		ids, _ := zcl.DecodeReadRequest(f.Payload)
		var records []zcl.ReadRecord
		for _, id := range ids {
			a, ok := d.attrs[fakeAttribute{m.endpoint, uint16(m.cluster), id}]
			r := zcl.ReadRecord{Attribute: a}
			if !ok {
				r = zcl.ReadRecord{Status: zcl.StatusUnsupportedAttribute, Attribute: zcl.Attribute{ID: id}}
			}
			records = append(records, r)
		}
		payload, _ := zcl.AppendReadResponse(nil, records)
		return []zcl.Frame{f.Reply(zcl.CommandReadAttributesResponse, payload)}
	case zcl.CommandWriteAttributes:
		attrs, _ := zcl.DecodeWrite(f.Payload)
		for _, a := range attrs {
			d.set(m.endpoint, uint16(m.cluster), a)
		}
		replies := []zcl.Frame{f.Reply(zcl.CommandWriteAttributesResponse, zcl.AppendWriteResponse(nil, nil))}
		if d.asksEnrol {
			replies = append(replies, zcl.Frame{
				Type: zcl.ClusterSpecific, FromServer: true, Seq: 77, Command: zcl.CommandZoneEnrollRequest,
				Payload: zcl.ZoneEnrollRequest{ZoneType: 0x15}.Append(nil),
			})
		}
		return replies
	case zcl.CommandConfigureReporting:
		conf, _ := zcl.DecodeConfigureReporting(f.Payload)
		d.conf = append(d.conf, conf...)
		return []zcl.Frame{f.Reply(zcl.CommandConfigureReportingRsp, zcl.AppendConfigureReportingResponse(nil, nil))}
	}
	return nil
}

func (d *fakeDevice) set(endpoint zb.Endpoint, cluster uint16, a zcl.Attribute) {
	d.attrs[fakeAttribute{endpoint, cluster, a.ID}] = a
}

// sensor is a battery sensor for temperature with a door contact on the second endpoint.
func sensor(number int) *fakeDevice {
	d := &fakeDevice{
		ieee: zb.IEEEAddress(0x00158d0000000000 + number), address: zb.NetworkAddress(0x1000 + number), asksEnrol: true,
		node: zdo.NodeDescriptor{LogicalType: zb.EndDevice, ManufacturerCode: 0x1234},
		endpoints: []zdo.SimpleDescriptor{
			{Endpoint: 1, Profile: 0x0104, DeviceType: 0x0302, InClusters: clusterIDs(zcl.ClusterBasic, zcl.ClusterPower, zcl.ClusterTemperature)},
			{Endpoint: 2, Profile: 0x0104, DeviceType: 0x0402, InClusters: clusterIDs(zcl.ClusterIASZone), OutClusters: clusterIDs(zcl.ClusterOTA)},
		},
		attrs: map[fakeAttribute]zcl.Attribute{},
	}
	d.set(1, zcl.ClusterBasic, zcl.Attribute{ID: 4, Type: zcl.TypeString, Value: "Acme\x00\x00"})
	d.set(1, zcl.ClusterBasic, zcl.Attribute{ID: 5, Type: zcl.TypeString, Value: "T-1"})
	d.set(1, zcl.ClusterBasic, zcl.Attribute{ID: 7, Type: zcl.TypeEnum8, Value: uint64(3)})
	d.set(2, zcl.ClusterIASZone, zcl.Attribute{ID: zcl.AttrZoneState, Type: zcl.TypeEnum8, Value: uint64(0)})
	d.set(2, zcl.ClusterIASZone, zcl.Attribute{ID: zcl.AttrZoneType, Type: zcl.TypeEnum16, Value: uint64(0x15)})
	d.set(2, zcl.ClusterIASZone, zcl.Attribute{ID: zcl.AttrZoneStatus, Type: zcl.TypeBitmap16, Value: uint64(0)})
	d.set(2, zcl.ClusterIASZone, zcl.Attribute{ID: zcl.AttrZoneCIE, Type: zcl.TypeIEEE, Value: zb.IEEEAddress(0)})
	return d
}

func clusterIDs(ids ...uint16) []zb.ClusterID {
	list := make([]zb.ClusterID, 0, len(ids))
	for _, id := range ids {
		list = append(list, zb.ClusterID(id))
	}
	return list
}

func (d *fakeDevice) temperature(seq uint8, hundredths int64) zcl.Frame {
	payload, _ := zcl.AppendReport(nil, []zcl.Attribute{{Type: zcl.TypeInt16, Value: hundredths}})
	return zcl.Frame{FromServer: true, DisableDefaultResponse: true, Seq: seq, Command: zcl.CommandReportAttributes, Payload: payload}
}

// bench runs a network on a fake radio within a synctest bubble and records its events.
type bench struct {
	*Network
	radio *fakeRadio

	mu     sync.Mutex // guards events
	events []Event
}

// run starts the network, lets test work with it, and ends it.
func run(t *testing.T, o Options, devices []*fakeDevice, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRadio(devices...)
		if testing.Verbose() {
			o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
		}
		b := &bench{Network: newNetwork(r, o), radio: r}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if err := b.Serve(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Serve: %v", err)
			}
		})
		group.Go(func() {
			for {
				e, err := b.Next(ctx)
				if err != nil {
					return
				}
				b.mu.Lock()
				b.events = append(b.events, e)
				b.mu.Unlock()
			}
		})
		r.events <- linkChanged{r.State()}
		synctest.Wait()
		test(t, b)
		cancel()
		group.Wait()
	})
}

// join lets the trust centre and then the device itself announce it.
func (b *bench) join(d *fakeDevice) {
	b.radio.events <- announced{device: d.ieee, address: d.address, trustCentre: true}
	b.radio.events <- announced{device: d.ieee, address: d.address}
}

// after lets fake time pass until everything is quiet again.
func (b *bench) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// asked tells how many exchanges a device had.
func (b *bench) asked(d *fakeDevice) int {
	b.radio.mu.Lock()
	defer b.radio.mu.Unlock()
	return d.asked
}

func (b *bench) take() []Event {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	events := b.events
	b.events = nil
	return events
}

func eventsOf[T Event](events []Event) []T {
	var list []T
	for _, e := range events {
		if e, ok := e.(T); ok {
			list = append(list, e)
		}
	}
	return list
}

func (b *bench) mustDevice(t *testing.T, ieee zb.IEEEAddress) Device {
	t.Helper()
	d, ok := b.Device(ieee)
	if !ok {
		t.Fatalf("device %s is not known", ieee)
	}
	return d
}

// answersTo lists what the stick sent to a device, decoded.
func (r *fakeRadio) answersTo(d *fakeDevice) []zcl.Frame {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(d.got)
}
