package zigbee

import (
	"bytes"
	"slices"
	"sync"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/device"
	"github.com/peerbee/peerbee/zigbee/device/profile"
)

const (
	// maxDevices bounds the table; sticks hold at most a few hundred.
	maxDevices = 1024
	// recentFrames is how many frames of a device are remembered to tell copies, and recentFor for how long.
	// A sequence number comes round only after 256 frames, so equal bytes within this few are a copy.
	recentFrames = 12
	recentFor    = time.Second
	// sameJoin is within how long the trust centre's word and the device's own announce are one join.
	sameJoin = 10 * time.Second
	// maxNames bounds the property names kept for Describe: a device can send any number of raw attributes.
	maxNames = 128
)

// addressUnknown stands for "no network address known" (R22 section 3.6.5).
const addressUnknown zb.NetworkAddress = 0xfffe

// table is the network's memory of its devices. It pushes DeviceChanged and DeviceLeft under its lock, so that
// their order in the stream is the order of the changes.
type table struct {
	mu        sync.Mutex // guards everything below
	byIEEE    map[zb.IEEEAddress]*entry
	byNetwork map[zb.NetworkAddress]*entry
	push      func(Event)
}

// entry is one device with what only this process needs to remember of it.
type entry struct {
	Device
	interview *interview
	meaning   *device.Interpreter
	profile   profile.ID      // the one meaning has, if any
	names     map[string]bool // properties reported until now, at most maxNames
	joinedAt  time.Time
	recent    [recentFrames]frameMark
	next      int // index in recent
}

// frameMark is one received frame.
type frameMark struct {
	at       time.Time
	endpoint zb.Endpoint
	cluster  zb.ClusterID
	data     []byte
}

func newTable(devices []Device, push func(Event)) *table {
	t := &table{
		byIEEE:    make(map[zb.IEEEAddress]*entry),
		byNetwork: make(map[zb.NetworkAddress]*entry),
		push:      push,
	}
	for _, d := range devices {
		if len(t.byIEEE) == maxDevices {
			break
		}
		if d.Interview == "" {
			d.Interview = InterviewPending
		}
		e := newEntry(d)
		t.byIEEE[d.IEEE] = e
		t.place(e, d.Network)
	}
	return t
}

func newEntry(d Device) *entry {
	e := &entry{Device: cloneDevice(d), interview: resumeInterview(d), meaning: device.New(), names: make(map[string]bool)}
	e.meaning.Recall(d.Facts)
	e.meaning.SetEndpoints(deviceEndpoints(d.Endpoints))
	e.recognise()
	return e
}

func deviceEndpoints(endpoints []Endpoint) []device.Endpoint {
	list := make([]device.Endpoint, 0, len(endpoints))
	for _, ep := range endpoints {
		list = append(list, device.Endpoint{ID: uint8(ep.ID), InClusters: clusterNumbers(ep.InClusters)})
	}
	return list
}

// place moves an entry to a network address, which may have been another device's until now.
func (t *table) place(e *entry, address zb.NetworkAddress) {
	if t.byNetwork[e.Network] == e {
		delete(t.byNetwork, e.Network)
	}
	e.Network = address
	if address >= 0xfff8 || address == 0 { // reserved, or the coordinator itself
		return
	}
	if other := t.byNetwork[address]; other != nil && other != e {
		other.Network = addressUnknown
	}
	t.byNetwork[address] = e
}

// joined notes that a device is at an address and says whether it is new. It is false, false when there is no room.
func (t *table) joined(ieee zb.IEEEAddress, address zb.NetworkAddress, now time.Time, room func() bool) (known, isNew bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byIEEE[ieee]
	if e == nil {
		if len(t.byIEEE) >= maxDevices || !room() {
			return false, false
		}
		isNew = true
		e = newEntry(Device{IEEE: ieee, Network: addressUnknown, Type: zb.Unknown, Interview: InterviewPending})
		t.byIEEE[ieee] = e
	}
	e.interview.hear()
	again := now.Sub(e.joinedAt) < sameJoin && e.Network == address
	t.place(e, address)
	e.LastSeen = now
	if !again {
		e.joinedAt = now
		t.push(DeviceChanged{Device: cloneDevice(e.Device), Joined: true})
	}
	return true, isNew
}

// moved notes a device's address without a join; false when the device is not known.
func (t *table) moved(ieee zb.IEEEAddress, address zb.NetworkAddress) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byIEEE[ieee]
	if e == nil {
		return false
	}
	if e.Network != address {
		t.place(e, address)
		t.push(DeviceChanged{Device: cloneDevice(e.Device)})
	}
	return true
}

// change lets do alter a device; a DeviceChanged follows when do returns true. False: the device is not known.
func (t *table) change(ieee zb.IEEEAddress, do func(*entry) bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byIEEE[ieee]
	if e == nil {
		return false
	}
	if do(e) {
		t.push(DeviceChanged{Device: cloneDevice(e.Device)})
	}
	return true
}

// remove forgets a device and says so; false when it was not known.
func (t *table) remove(ieee zb.IEEEAddress) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byIEEE[ieee]
	if e == nil {
		return false
	}
	if t.byNetwork[e.Network] == e {
		delete(t.byNetwork, e.Network)
	}
	delete(t.byIEEE, ieee)
	t.push(DeviceLeft{Device: ieee})
	return true
}

// heard is what the table knows of the sender of a frame.
type heard struct {
	device Device // shares its slices with the table: read only
	copied bool   // the frame is a copy of one just received
	resume bool   // its interview waits for a sign of life
}

// heardFrom notes a frame and gives its sender; false when no device is known at the address.
func (t *table) heardFrom(m incoming, now time.Time) (heard, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byNetwork[m.source]
	if m.device != 0 {
		e = t.byIEEE[m.device]
	}
	if e == nil {
		return heard{}, false
	}
	e.LastSeen, e.LinkQuality = now, m.linkQuality
	if e.Interview == InterviewFailed && !now.Before(e.interview.notBefore) && e.retry() {
		t.push(DeviceChanged{Device: cloneDevice(e.Device)})
	}
	from := heard{device: e.Device, copied: e.isCopy(m, now)}
	if e.wantsInterview() {
		from.resume = !now.Before(e.interview.notBefore)
		e.interview.hear()
	}
	return from, true
}

// isCopy tells a frame that came once per endpoint of the stick, or twice because an acknowledgement was lost,
// from a new one. The bytes include the sequence number.
func (e *entry) isCopy(m incoming, now time.Time) bool {
	for i := range e.recent {
		r := &e.recent[i]
		if r.cluster == m.cluster && r.endpoint == m.sourceEndpoint && r.data != nil &&
			now.Sub(r.at) < recentFor && bytes.Equal(r.data, m.data) {
			return true
		}
	}
	e.recent[e.next] = frameMark{at: now, endpoint: m.sourceEndpoint, cluster: m.cluster, data: m.data}
	e.next = (e.next + 1) % recentFrames
	return false
}

func (t *table) get(ieee zb.IEEEAddress) (Device, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byIEEE[ieee]
	if e == nil {
		return Device{}, false
	}
	return cloneDevice(e.Device), true
}

// at gives the device at a network address.
func (t *table) at(address zb.NetworkAddress) (zb.IEEEAddress, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.byNetwork[address]; e != nil {
		return e.IEEE, true
	}
	return 0, false
}

func (t *table) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byIEEE)
}

// devices lists all, by IEEE address.
func (t *table) devices() []Device {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]Device, 0, len(t.byIEEE))
	for _, e := range t.byIEEE {
		list = append(list, cloneDevice(e.Device))
	}
	slices.SortFunc(list, func(a, b Device) int {
		switch {
		case a.IEEE < b.IEEE:
			return -1
		case a.IEEE > b.IEEE:
			return 1
		}
		return 0
	})
	return list
}

func cloneDevice(d Device) Device {
	endpoints := make([]Endpoint, len(d.Endpoints))
	for i, ep := range d.Endpoints {
		ep.InClusters, ep.OutClusters = slices.Clone(ep.InClusters), slices.Clone(ep.OutClusters)
		endpoints[i] = ep
	}
	if d.Endpoints == nil {
		endpoints = nil
	}
	d.Endpoints = endpoints
	d.Facts = slices.Clone(d.Facts)
	return d
}
