package profile

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"slices"
)

// maxDictionary is as far back as deflate reaches.
const maxDictionary = 1 << 15

// Definition is an entry of a table: a profile and the devices it is for.
type Definition struct {
	Profile    Profile
	Conditions []Condition
}

// Build makes a table of definitions; where several fit a device equally, the earlier is taken. The same
// definitions give the same bytes.
func Build(definitions []Definition) ([]byte, error) {
	pieces := make([][][]byte, len(definitions))
	for i := range definitions {
		pieces[i] = chunks(&definitions[i].Profile)
	}
	dictionary := commonest(pieces)
	var heads, names, bodies []byte
	places := map[string]place{}
	for i := range definitions {
		body := bytes.Join(pieces[i], nil)
		at, known := places[string(body)]
		if !known {
			packed, err := deflate(body, dictionary)
			if err != nil {
				return nil, err
			}
			at = place{len(bodies), len(packed)}
			places[string(body)] = at
			bodies = append(bodies, packed...)
		}
		heads = binary.LittleEndian.AppendUint32(heads, uint32(len(names)))
		names = appendHead(names, &definitions[i].Profile, at)
	}
	keys, conditions := buildIndex(definitions)
	table := []byte(magic)
	for _, part := range [][]byte{keys, conditions, heads, names, dictionary} {
		table = binary.LittleEndian.AppendUint32(table, uint32(len(part)))
	}
	return slices.Concat(table, keys, conditions, heads, names, dictionary, bodies), nil
}

type place struct{ start, length int }

func appendHead(b []byte, p *Profile, at place) []byte {
	b = append(b, 0)
	if p.Complete {
		b[len(b)-1] = 1
	}
	b = appendText(appendText(b, p.Vendor), p.Model)
	b = binary.AppendUvarint(b, uint64(len(p.Labels)))
	for _, l := range p.Labels {
		b = appendText(appendText(b, l.Vendor), l.Model)
	}
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(at.start)), uint64(at.length))
}

func deflate(body, dictionary []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := flate.NewWriterDict(&out, flate.BestCompression, dictionary)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("deflate a profile: %w", err)
	}
	return out.Bytes(), nil
}

// commonest gathers the properties that save most when they need not be written again; the best stand at the
// end, where references to them are shortest.
func commonest(pieces [][][]byte) []byte {
	counts := map[string]int{}
	seen := map[string]bool{}
	for _, profile := range pieces {
		if body := string(bytes.Join(profile, nil)); !seen[body] {
			seen[body] = true
			for _, piece := range profile {
				counts[string(piece)]++
			}
		}
	}
	list := make([]string, 0, len(counts))
	for piece, n := range counts {
		if n > 1 {
			list = append(list, piece)
		}
	}
	gain := func(piece string) int { return (counts[piece] - 1) * len(piece) }
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(gain(b)-gain(a), cmp.Compare(a, b)) })
	var dictionary []byte
	for _, piece := range list {
		if len(dictionary)+len(piece) <= maxDictionary && !bytes.Contains(dictionary, []byte(piece)) {
			dictionary = append([]byte(piece), dictionary...)
		}
	}
	return dictionary
}

// buildIndex groups the conditions by their key.
func buildIndex(definitions []Definition) (keys, conditions []byte) {
	type line struct {
		condition *Condition
		id        int
	}
	byKey := map[uint32][]line{}
	for id := range definitions {
		for i := range definitions[id].Conditions {
			c := &definitions[id].Conditions[i]
			key := hashKey(c.Model, c.Manufacturer)
			byKey[key] = append(byKey[key], line{c, id})
		}
	}
	sorted := make([]uint32, 0, len(byKey))
	for key := range byKey {
		sorted = append(sorted, key)
	}
	slices.Sort(sorted)
	for _, key := range sorted {
		keys = binary.LittleEndian.AppendUint32(keys, key)
		keys = binary.LittleEndian.AppendUint32(keys, uint32(len(conditions)))
		conditions = binary.AppendUvarint(conditions, uint64(len(byKey[key])))
		for _, l := range byKey[key] {
			conditions = binary.AppendUvarint(appendCondition(conditions, l.condition), uint64(l.id))
		}
	}
	return keys, conditions
}
