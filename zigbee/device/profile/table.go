package profile

import (
	"bytes"
	"compress/flate"
	_ "embed" // the table
	"encoding/binary"
	"io"
	"sort"
)

//go:embed table.bin
var embedded []byte

// magic begins a table and counts its format.
const magic = "PBP1"

// maxBody bounds what one profile may unfold to.
const maxBody = 1 << 20

// ID names a profile of the embedded table.
type ID int32

// Lookup gives the profile of a device; false where the table has none, or where it depends on something that is
// not known yet.
func Lookup(f Fingerprint) (*Profile, bool) {
	id, ok := Find(f)
	if !ok {
		return nil, false
	}
	return Load(id)
}

// Find tells which profile is a device's, without decoding it.
func Find(f Fingerprint) (ID, bool) {
	t, ok := open(embedded)
	if !ok {
		return 0, false
	}
	return t.find(&f)
}

// Load decodes a profile that Find gave.
func Load(id ID) (*Profile, bool) {
	t, ok := open(embedded)
	if !ok {
		return nil, false
	}
	return t.load(id)
}

// Count is how many profiles the embedded table holds: IDs are below it.
func Count() int {
	t, _ := open(embedded)
	return len(t.heads) / 4
}

// table is the parts of a table, none of them decoded.
//
//	magic, the lengths of the parts in bytes as u32 each, then the parts:
//	keys     hash u32, offset into conditions u32; ascending
//	conditions  a count and the conditions with one key, each followed by a profile's number
//	heads    offset into names u32, for each profile
//	names    vendor, model, labels, place of the body
//	dictionary  what the bodies have in common
//	bodies   properties, each profile's deflated by itself with the dictionary
type table struct {
	keys, conditions, heads, names, dictionary, bodies []byte
}

func open(b []byte) (t table, ok bool) {
	const parts = 5
	if len(b) < len(magic)+4*parts || string(b[:len(magic)]) != magic {
		return table{}, false
	}
	lengths, rest := b[len(magic):], b[len(magic)+4*parts:]
	for i, part := range []*[]byte{&t.keys, &t.conditions, &t.heads, &t.names, &t.dictionary} {
		n := uint64(binary.LittleEndian.Uint32(lengths[4*i:]))
		if n > uint64(len(rest)) {
			return table{}, false
		}
		*part, rest = rest[:n], rest[n:]
	}
	t.bodies = rest
	return t, true
}

// hashKey is the key of the conditions that name a model and a manufacturer. Either may be empty.
func hashKey(model, manufacturer string) uint32 {
	const prime = 16777619
	h := uint32(2166136261)
	for i := range len(model) {
		h = (h ^ uint32(model[i])) * prime
	}
	h *= prime
	for i := range len(manufacturer) {
		h = (h ^ uint32(manufacturer[i])) * prime
	}
	return h
}

// find picks the condition that is met best: one with more than a model before a plain one, then by priority,
// then the earlier. One that may be met, and would go first, makes the answer unknown. Conditions that name no
// model are for devices whose model nobody knows.
func (t table) find(f *Fingerprint) (ID, bool) {
	var best, doubt candidate
	look := func(model, manufacturer string) {
		t.candidates(hashKey(model, manufacturer), func(c *Condition, id ID) {
			this := candidate{set: true, plain: c.Plain, priority: c.Priority, id: id}
			switch c.verdict(f) {
			case yes:
				if this.before(best) {
					best = this
				}
			case maybe:
				if this.before(doubt) {
					doubt = this
				}
			}
		})
	}
	look(f.Model, f.Manufacturer)
	if f.Manufacturer != "" {
		look(f.Model, "")
	}
	if f.Model != "" && !best.set && !doubt.set {
		look("", f.Manufacturer)
		look("", "")
	}
	if !best.set || doubt.set && doubt.id != best.id && doubt.before(best) {
		return 0, false
	}
	return best.id, true
}

type candidate struct {
	set, plain bool
	priority   int64
	id         ID
}

func (c candidate) before(o candidate) bool {
	switch {
	case !o.set:
		return true
	case c.plain != o.plain:
		return o.plain
	case c.priority != o.priority:
		return c.priority > o.priority
	}
	return c.id < o.id
}

// candidates calls do with every condition under a key.
func (t table) candidates(key uint32, do func(*Condition, ID)) {
	n := len(t.keys) / 8
	at := sort.Search(n, func(i int) bool { return binary.LittleEndian.Uint32(t.keys[8*i:]) >= key })
	if at == n || binary.LittleEndian.Uint32(t.keys[8*at:]) != key {
		return
	}
	offset := binary.LittleEndian.Uint32(t.keys[8*at+4:])
	if uint64(offset) > uint64(len(t.conditions)) {
		return
	}
	r := &reader{b: t.conditions[offset:]}
	for range r.count() {
		c := r.condition()
		id := ID(r.uvarint())
		if r.bad {
			return
		}
		do(&c, id)
	}
}

// load decodes one profile.
func (t table) load(id ID) (*Profile, bool) {
	if id < 0 || int(id) >= len(t.heads)/4 {
		return nil, false
	}
	offset := binary.LittleEndian.Uint32(t.heads[4*id:])
	if uint64(offset) > uint64(len(t.names)) {
		return nil, false
	}
	r := &reader{b: t.names[offset:]}
	p := &Profile{Complete: r.byte() != 0, Vendor: r.text(), Model: r.text()}
	for range r.count() {
		p.Labels = append(p.Labels, Label{r.text(), r.text()})
	}
	start, length := r.uvarint(), r.uvarint()
	if r.bad || start > uint64(len(t.bodies)) || length > uint64(len(t.bodies))-start {
		return nil, false
	}
	unfolded := flate.NewReaderDict(bytes.NewReader(t.bodies[start:start+length]), t.dictionary)
	body, err := io.ReadAll(io.LimitReader(unfolded, maxBody))
	if err != nil {
		return nil, false
	}
	if p.Properties, err = decodeProperties(body); err != nil {
		return nil, false
	}
	return p, true
}
