package sim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/zcl"
	"github.com/peerbee/peerbee/zigbee/zdo"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

// Errors about sensors.
var (
	ErrNoSensor   = errors.New("no such sensor")
	ErrNoProperty = errors.New("the sensor has no such property")
	ErrNoKind     = errors.New("no such kind of sensor")
	ErrNotJoined  = errors.New("the sensor is not on the network")
	ErrClosed     = errors.New("joining is closed")
)

// maxSensors is how many addresses a seed can tell apart with room to spare, and more than a stick can have.
const maxSensors = 1000

// attrKey names an attribute of a sensor.
type attrKey struct{ cluster, id uint16 }

// attribute is an attribute with its value and the report that was asked for.
type attribute struct {
	Attribute
	sampled bool // a property writes it, so that it can be reported
	config  *reportConfig
	dirty   bool      // sampled since the last look
	sentAt  time.Time // last report
	sent    any       // the value in it
}

type reportConfig struct {
	min, max time.Duration // max 0: on change only
	change   float64
	raw      zcl.ReportConfig
}

// sensor is one simulated device. The stick's lock guards it.
type sensor struct {
	name   string
	kind   *Kind
	ieee   zb.IEEEAddress
	nwk    zb.NetworkAddress
	always bool          // joined whenever there is a network
	sleepy time.Duration // 0: never sleeps
	every  time.Duration // overrides the properties' own
	lqi    uint8
	rng    *rand.Rand

	joined     bool
	associated bool // a child of the stick in its association table
	awakeUntil time.Time
	seq        uint8
	attrs      map[attrKey]*attribute
	props      []property
	bindings   []mt.ZDOBindReq
	loaded     uint64 // reports of the load generator
}

// property is a Property with its value.
type property struct {
	Property
	value   float64
	samples uint64
	phase   float64
	next    time.Time
}

func newSensors(o Options) ([]*sensor, error) {
	if len(o.Sensors) > maxSensors {
		return nil, fmt.Errorf("%d sensors are more than the %d a simulation holds", len(o.Sensors), maxSensors)
	}
	count := map[string]int{}
	names, addresses, short := map[string]bool{}, map[zb.IEEEAddress]bool{}, map[zb.NetworkAddress]bool{}
	var all []*sensor
	for _, spec := range o.Sensors {
		kind, ok := kinds[spec.Kind]
		if !ok {
			return nil, fmt.Errorf("%w: %q; there are %s", ErrNoKind, spec.Kind, strings.Join(Kinds(), ", "))
		}
		count[spec.Kind]++
		if spec.Name == "" {
			spec.Name = fmt.Sprintf("%s-%d", spec.Kind, count[spec.Kind])
		}
		d := newSensor(kind, spec, o)
		for d.nwk == 0 || short[d.nwk] {
			d.nwk = zb.NetworkAddress(d.rng.UintN(0xFFF0) + 1)
		}
		if names[d.name] || addresses[d.ieee] {
			return nil, fmt.Errorf("two sensors named %q or with address %s", d.name, d.ieee)
		}
		names[d.name], addresses[d.ieee], short[d.nwk] = true, true, true
		all = append(all, d)
	}
	return all, nil
}

func newSensor(kind *Kind, spec SensorSpec, o Options) *sensor {
	d := &sensor{
		name: spec.Name, kind: kind, ieee: spec.IEEE, nwk: spec.Network, always: spec.Joined, sleepy: spec.Sleepy,
		every: o.Interval, rng: newRand(o.Seed, spec.Name), attrs: map[attrKey]*attribute{},
	}
	if d.ieee == 0 {
		d.ieee = zb.IEEEAddress(0x00158d0000000000 | d.rng.Uint64()&0xFFFFFFFFFF)
	}
	d.lqi = uint8(100 + d.rng.UintN(156))
	d.forget()
	return d
}

// forget brings the sensor to the state it left the factory in.
func (d *sensor) forget() {
	d.bindings, d.props = nil, nil
	clear(d.attrs)
	for _, a := range d.kind.attributes() {
		d.attrs[attrKey{a.Cluster, a.ID}] = &attribute{Attribute: a}
	}
	for _, p := range d.kind.Properties {
		if d.every > 0 && p.Every > 0 {
			p.Every, p.Period = d.every, 40*d.every
		}
		live := property{Property: p, value: p.Start, phase: d.rng.Float64()}
		if p.Zone == 0 {
			d.attrs[attrKey{p.Cluster, p.Attribute}] = &attribute{
				Attribute: Attribute{Cluster: p.Cluster, ID: p.Attribute, Type: p.Type}, sampled: true,
			}
			if m := p.Mirror; m != nil {
				d.attrs[attrKey{p.Cluster, m.ID}] = &attribute{
					Attribute: Attribute{Cluster: p.Cluster, ID: m.ID, Type: m.Type}, sampled: true,
				}
			}
		}
		d.props = append(d.props, live)
		d.store(&d.props[len(d.props)-1])
	}
	for _, a := range d.attrs {
		a.dirty = false
	}
}

// store writes a property's value into its attributes. It reports whether any changed.
func (d *sensor) store(p *property) bool {
	if p.Zone != 0 {
		a := d.attrs[attrKey{zcl.ClusterIASZone, zcl.AttrZoneStatus}]
		old := zoneStatus(a)
		status := old &^ p.Zone
		if (p.value != 0) != p.Inverted {
			status |= p.Zone
		}
		a.Value = uint64(status)
		return status != old
	}
	a := d.attrs[attrKey{p.Cluster, p.Attribute}]
	changed := d.put(a, encode(p.Property, a.Type, p.Scale, p.value))
	if m := p.Mirror; m != nil {
		changed = d.put(d.attrs[attrKey{p.Cluster, m.ID}], encode(p.Property, m.Type, m.Scale, p.value)) || changed
	}
	return changed
}

func (d *sensor) put(a *attribute, value any) bool {
	changed := a.Value != value
	a.Value, a.dirty = value, true
	return changed
}

func zoneStatus(a *attribute) uint16 {
	v, _ := toFloat(a.Value)
	return uint16(v)
}

// encode turns a value into what the attribute holds of it, cut to the range of its type.
func encode(p Property, t zcl.DataType, scale, value float64) any {
	if scale == 0 {
		scale = 1
	}
	raw := value * scale
	if p.Log {
		raw = 10000*math.Log10(max(value, 1)) + 1
	}
	switch t {
	case zcl.TypeBool:
		return value != 0
	case zcl.TypeBitmap8:
		if value != 0 {
			return p.Mask
		}
		return uint64(0)
	case zcl.TypeSingle:
		return float64(float32(raw))
	case zcl.TypeInt8, zcl.TypeInt16, zcl.TypeInt24, zcl.TypeInt32:
		limit := float64(int64(1)<<(8*typeSize(t)-1) - 1)
		return int64(math.Round(min(max(raw, -limit), limit)))
	default:
		limit := float64(uint64(1)<<(8*typeSize(t)) - 2) // the largest number of the type means "unknown"
		return uint64(math.Round(min(max(raw, 0), limit)))
	}
}

// typeSize is the number of bytes of an integer type: they are numbered by it.
func typeSize(t zcl.DataType) int { return int(t&0x07) + 1 }

// toFloat makes values of attributes comparable.
func toFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case int:
		return float64(v), true
	case uint8:
		return float64(v), true
	case uint16:
		return float64(v), true
	case float64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

func (d *sensor) enter() { d.joined, d.associated = true, !d.kind.Mains }

func (d *sensor) leave() { d.joined, d.associated = false, false }

// network is the address the sensor answers for; a nil sensor stands for the stick.
func (d *sensor) network() zb.NetworkAddress {
	if d == nil {
		return zdo.AddressCoordinator
	}
	return d.nwk
}

func (d *sensor) awake(now time.Time) bool { return d.sleepy == 0 || now.Before(d.awakeUntil) }

// polled keeps a sleepy sensor within reach for a while.
func (d *sensor) polled(now time.Time) { d.awakeUntil = now.Add(d.sleepy) }

func (d *sensor) relation() uint8 {
	if d.kind.Mains {
		return relationChildFFD
	}
	return relationChildRFD
}

// powerDescriptor is R22 table 2.33: mode, sources, source in use and level.
func (d *sensor) powerDescriptor() []byte {
	const mains, cells = 0x1, 0x2
	source := uint16(cells)
	if d == nil || d.kind.Mains {
		source = mains
	}
	return binary.LittleEndian.AppendUint16(nil, source<<4|source<<8|0xC<<12)
}

// bindingRows is the binding table as Mgmt_Bind_rsp carries it.
func (d *sensor) bindingRows() [][]byte {
	if d == nil {
		return nil
	}
	var rows [][]byte
	for _, b := range d.bindings {
		row := binary.LittleEndian.AppendUint64(nil, uint64(b.Src))
		row = binary.LittleEndian.AppendUint16(append(row, byte(b.SrcEndpoint)), uint16(b.Cluster))
		rows = append(rows, bindTarget(b).Append(row))
	}
	return rows
}

func bindTarget(b mt.ZDOBindReq) zdo.BindTarget {
	return zdo.BindTarget{
		Mode: zdo.AddressMode(b.Mode), Group: zb.GroupID(b.Target), IEEE: zb.IEEEAddress(b.Target), Endpoint: b.TargetEndpoint,
	}
}

const maxBindings = 32

// bind adds a binding to the sensor; the stick itself keeps none here.
func (s *Stick) bind(d *sensor, b mt.ZDOBindReq) zdo.Status {
	switch {
	case d == nil || b.Src != d.ieee:
		return zdo.StatusNotSupported
	case !slices.Contains(d.kind.clusters(), b.Cluster) || b.SrcEndpoint != endpoint1:
		return zdo.StatusInvalidEndpoint
	case slices.Contains(d.bindings, b):
		return zdo.StatusSuccess
	case len(d.bindings) >= maxBindings:
		return zdo.StatusTableFull
	}
	d.bindings = append(d.bindings, b)
	return zdo.StatusSuccess
}

func (s *Stick) unbind(d *sensor, b mt.ZDOBindReq) zdo.Status {
	if d == nil {
		return zdo.StatusNotSupported
	}
	at := slices.Index(d.bindings, b)
	if at < 0 {
		return zdo.StatusNoEntry
	}
	d.bindings = slices.Delete(d.bindings, at, at+1)
	return zdo.StatusSuccess
}

func (s *Stick) byNwk(nwk zb.NetworkAddress) *sensor {
	for _, d := range s.sensors {
		if d.joined && d.nwk == nwk {
			return d
		}
	}
	return nil
}

func (s *Stick) byIEEE(ieee zb.IEEEAddress) *sensor {
	for _, d := range s.sensors {
		if d.joined && d.ieee == ieee {
			return d
		}
	}
	return nil
}

func (s *Stick) byName(name string) (*sensor, error) {
	for _, d := range s.sensors {
		if d.name == name {
			return d, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrNoSensor, name)
}

// admit makes the sensor a member without any message.
func (s *Stick) admit(d *sensor) {
	if !s.mem.AddDevice(nv.Known{IEEE: d.ieee, Network: d.nwk, Child: !d.kind.Mains}) {
		s.log.Warn("the stick's memory has no room for another device", "sensor", d.name)
		return
	}
	d.enter()
}

// sortedAttrs lists the attributes of a cluster by id.
func (d *sensor) sortedAttrs(cluster uint16) []*attribute {
	keys := slices.SortedFunc(maps.Keys(d.attrs), func(a, b attrKey) int {
		return (int(a.cluster)<<16 | int(a.id)) - (int(b.cluster)<<16 | int(b.id))
	})
	var out []*attribute
	for _, k := range keys {
		if k.cluster == cluster {
			out = append(out, d.attrs[k])
		}
	}
	return out
}
