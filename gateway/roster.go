package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/zigbee"
	"github.com/peerbee/peerbee/zigbee/device"
)

var errNoDevice = errors.New("no such device")

// roster is the gateway's view of its devices in memory: the radio's record, the owner's name, and the
// descriptors that readings refer to.
type roster struct {
	// storing is held while a device is stored or removed, so that neither overtakes the other: a late record must
	// not bring a removed device back.
	storing sync.Mutex

	mu      sync.RWMutex // guards devices and the members' fields
	devices map[string]*member
}

// member is one device. Its fields are guarded by roster.mu.
type member struct {
	key        string
	name       string
	record     zigbee.Device
	left       bool                        // it left the network by itself
	properties map[string]reading.Property // what readings have shown so far
	// descriptors are cached by the joined names of the properties they describe.
	descriptors map[string]described
	version     uint64 // of what descriptors say
}

// changed drops the descriptors: something they say is no longer so.
func (m *member) changed() {
	clear(m.descriptors)
	m.version++
}

// described is an encoded descriptor with its content hash.
type described struct {
	hash  string
	bytes []byte
}

func newRoster() *roster { return &roster{devices: map[string]*member{}} }

// put stores the radio's record and gives back whether the device is new here.
func (r *roster) put(d zigbee.Device, name string) (m *member, isNew bool) {
	key := reading.StreamKey(uint64(d.IEEE))
	r.mu.Lock()
	defer r.mu.Unlock()
	m = r.devices[key]
	if m == nil {
		m = &member{key: key, name: name, properties: map[string]reading.Property{}, descriptors: map[string]described{}}
		r.devices[key] = m
		isNew = true
	}
	if m.record.Model != d.Model || m.record.Manufacturer != d.Manufacturer {
		m.changed()
	}
	m.record, m.left = d, false
	return m, isNew
}

func (r *roster) get(key string) (*member, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	m, ok := r.devices[key]
	return m, ok
}

// find looks a device up by its address or its owner's name.
func (r *roster) find(keyOrName string) (*member, bool) {
	if m, ok := r.get(strings.ToLower(strings.TrimPrefix(keyOrName, "0x"))); ok {
		return m, true
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, m := range r.devices {
		if m.name == keyOrName {
			return m, true
		}
	}
	return nil, false
}

func (r *roster) rename(key, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.devices[key]; m != nil {
		m.name = name
		m.changed()
	}
}

func (r *roster) remove(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.devices, key)
}

// name gives the owner's name, or the key of a device that is gone.
func (r *roster) name(key string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if m := r.devices[key]; m != nil {
		return m.name
	}
	return key
}

// markLeft notes that the device left the network by itself; put ends that.
func (r *roster) markLeft(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.devices[key]; m != nil {
		m.left = true
	}
}

// snapshot copies what the local API shows of one device.
func (r *roster) snapshot(m *member) (name string, record zigbee.Device, left bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return m.name, m.record, m.left
}

// keys lists the devices in the order of their names.
func (r *roster) keys() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	keys := make([]string, 0, len(r.devices))
	for key := range r.devices {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if c := strings.Compare(r.devices[a].name, r.devices[b].name); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	return keys
}

// maxDescriptors bounds the cache of one device: it grows with the distinct sets of properties ever sent.
const maxDescriptors = 64

// describe gives the descriptor of the stream limited to props, which must be sorted: whoever may not see a
// property does not learn of it from a descriptor either.
func (r *roster) describe(key string, props []string) (described, error) {
	joined := strings.Join(props, "\x00")
	r.mu.RLock()
	m := r.devices[key]
	if m == nil {
		r.mu.RUnlock()
		return described{}, fmt.Errorf("describe %s: %w", key, errNoDevice)
	}
	d, ok := m.descriptors[joined]
	version := m.version
	head := reading.Descriptor{Stream: key, Name: m.name, Manufacturer: m.record.Manufacturer, Model: m.record.Model}
	for _, name := range props {
		p := m.properties[name]
		p.Name = name
		head.Properties = append(head.Properties, p)
	}
	r.mu.RUnlock()
	if ok {
		return d, nil
	}
	d, err := buildDescriptor(head)
	if err != nil {
		return described{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(m.descriptors) >= maxDescriptors {
		clear(m.descriptors)
	}
	if m.version == version {
		m.descriptors[joined] = d
	}
	return d, nil
}

func buildDescriptor(d reading.Descriptor) (described, error) {
	b, err := d.AppendBinary(nil)
	if err != nil {
		return described{}, fmt.Errorf("descriptor of %s: %w", d.Stream, err)
	}
	return described{hash: reading.HashDescriptor(b), bytes: b}, nil
}

// maxProperties bounds what one device can make the gateway remember.
const maxProperties = 256

// knows reports whether every measure's property is already described with its unit.
func (r *roster) knows(key string, measures []device.Measure) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	m := r.devices[key]
	if m == nil {
		return false
	}
	for i := range measures {
		p, ok := m.properties[measures[i].Property]
		if !ok && len(m.properties) < maxProperties || ok && p.Unit != measures[i].Unit {
			return false
		}
	}
	return true
}

// learn adds descriptions of properties; descriptors that mention a changed one are made anew.
func (r *roster) learn(key string, props ...reading.Property) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.devices[key]
	if m == nil {
		return
	}
	for _, p := range props {
		if _, ok := m.properties[p.Name]; !ok && len(m.properties) >= maxProperties {
			continue
		}
		if m.properties[p.Name] != p {
			m.properties[p.Name] = p
			m.changed()
		}
	}
}

// property describes one property of a device.
func (r *roster) property(key, name string) reading.Property {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if m := r.devices[key]; m != nil {
		if p, ok := m.properties[name]; ok {
			return p
		}
	}
	return reading.Property{Name: name}
}

// storedRecord is the opaque form in which the store keeps the radio's record.
type storedRecord struct {
	zigbee.Device
	Left bool `json:",omitempty"`
}

func encodeRecord(r storedRecord) ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("record of %016x: %w", uint64(r.IEEE), err)
	}
	return b, nil
}

func decodeRecord(b []byte) (storedRecord, error) {
	var r storedRecord
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("stored device record: %w", err)
	}
	return r, nil
}
