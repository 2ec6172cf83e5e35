package reading

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxDescriptor is the size limit of an encoded descriptor.
const MaxDescriptor = 48 << 10

// AppendBinary appends the wire form (docs/protocol/reading.md): the CBOR array
// [version, stream, name, manufacturer, model, [[property, type, unit, access, source], ...]], the properties
// sorted by name; name, manufacturer and model are cut at MaxName bytes. It implements encoding.BinaryAppender.
func (d *Descriptor) AppendBinary(dst []byte) ([]byte, error) {
	start := len(dst)
	var err error
	dst = append(dst, majorArray|6, Version)
	if dst, err = appendHexID(dst, d.Stream); err != nil {
		return dst[:start], fmt.Errorf("stream: %w", err)
	}
	for _, s := range []string{d.Name, d.Manufacturer, d.Model} {
		dst = appendText(dst, clip(s))
	}
	if len(d.Properties) > MaxValues {
		return dst[:start], fmt.Errorf("%w: %d properties, at most %d", ErrWire, len(d.Properties), MaxValues)
	}
	dst = appendHead(dst, majorArray, uint64(len(d.Properties)))
	for i, p := range d.Properties {
		if p.Name == "" || (i > 0 && d.Properties[i-1].Name >= p.Name) {
			return dst[:start], fmt.Errorf("%w: properties are not sorted by name, or %q stands twice", ErrWire, p.Name)
		}
		dst = append(dst, majorArray|5)
		for _, s := range []string{p.Name, p.Type, p.Unit, p.Access, p.Source} {
			if dst, err = appendField(dst, s); err != nil {
				return dst[:start], err
			}
		}
	}
	if len(dst)-start > MaxDescriptor {
		return dst[:start], fmt.Errorf("%w: longer than %d bytes", ErrWire, MaxDescriptor)
	}
	return dst, nil
}

func appendField(dst []byte, s string) ([]byte, error) {
	if len(s) > MaxName || !utf8.ValidString(s) {
		return dst, fmt.Errorf("%w: a descriptor's text %q", ErrWire, s)
	}
	return appendText(dst, s), nil
}

// clip shortens what a device says of itself to what a descriptor takes: valid UTF-8, at most MaxName bytes.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	for len(s) > MaxName {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// DecodeDescriptor reads one wire form and refuses everything AppendBinary would not have written.
func DecodeDescriptor(b []byte) (Descriptor, error) {
	if len(b) > MaxDescriptor {
		return Descriptor{}, fmt.Errorf("%w: longer than %d bytes", ErrWire, MaxDescriptor)
	}
	r := reader{b: b}
	var d Descriptor
	r.array(6)
	if v := r.uint(); r.err == nil && v != Version {
		return Descriptor{}, fmt.Errorf("%w: version %d; a newer peerbee may read it", ErrWire, v)
	}
	d.Stream = r.hexID(false)
	d.Name, d.Manufacturer, d.Model = r.text(MaxName), r.text(MaxName), r.text(MaxName)
	for range r.expect(majorArray, MaxValues) {
		r.array(5)
		p := Property{Name: r.text(MaxName), Type: r.text(MaxName), Unit: r.text(MaxName), Access: r.text(MaxName), Source: r.text(MaxName)}
		if n := len(d.Properties); p.Name == "" || (n > 0 && d.Properties[n-1].Name >= p.Name) {
			r.fail(errCanonical)
		}
		if r.err != nil {
			break
		}
		d.Properties = append(d.Properties, p)
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail(errors.New("bytes after the end"))
	}
	if r.err != nil {
		return Descriptor{}, fmt.Errorf("%w: descriptor: %w", ErrWire, r.err)
	}
	return d, nil
}

func (r *reader) array(n uint64) {
	if r.expect(majorArray, n) != n {
		r.fail(errShape)
	}
}

// HashDescriptor is the content hash of an encoded descriptor: the first 8 bytes of its SHA-256 in hex.
func HashDescriptor(encoded []byte) string {
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:8])
}

// Limit is the descriptor with only the named properties, for a peer that may not see the others.
func (d *Descriptor) Limit(properties []string) Descriptor {
	limited := *d
	limited.Properties = slices.DeleteFunc(slices.Clone(d.Properties), func(p Property) bool { return !slices.Contains(properties, p.Name) })
	return limited
}

// Unit gives the UCUM unit of a property, empty when it has none or is not described.
func (d *Descriptor) Unit(property string) string {
	i, ok := slices.BinarySearchFunc(d.Properties, property, func(p Property, name string) int { return strings.Compare(p.Name, name) })
	if !ok {
		return ""
	}
	return d.Properties[i].Unit
}
