package reading

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of the wire form. A message beyond them is refused, by the writer and by the reader.
const (
	MaxSize      = 16 << 10 // of a reading
	MaxValues    = 256      // of a reading, and properties of a descriptor
	MaxName      = 64       // bytes of a property's name
	MaxText      = 4096     // bytes of a text or byte string value
	maxExtension = 16
)

// Version is the wire form's first element.
const Version = 1

// ErrWire is the reason why bytes are not a reading or a descriptor, or why a value has no wire form.
var ErrWire = errors.New("not a valid message")

// AppendBinary appends the wire form (docs/protocol/reading.md): the CBOR array
// [version, stream, epoch, seq, time, clock, descriptor, values]. No name may stand twice among the values, their
// order does not matter; a float that is not finite is written as unknown. It implements encoding.BinaryAppender.
func (r *Reading) AppendBinary(dst []byte) ([]byte, error) {
	start := len(dst)
	var err error
	dst = append(dst, majorArray|8, Version)
	if dst, err = appendHexID(dst, r.Stream); err != nil {
		return dst[:start], fmt.Errorf("stream: %w", err)
	}
	dst = appendHead(dst, majorUint, r.Epoch)
	dst = appendHead(dst, majorUint, r.Seq)
	ms := r.Time.UnixMilli()
	if ms < 0 || r.Clock > TimeUnknown {
		return dst[:start], fmt.Errorf("%w: time %d ms, clock %d", ErrWire, ms, r.Clock)
	}
	dst = appendHead(dst, majorUint, uint64(ms))
	dst = append(dst, majorUint|byte(r.Clock))
	if r.Desc == "" {
		dst = append(dst, majorBytes)
	} else if dst, err = appendHexID(dst, r.Desc); err != nil {
		return dst[:start], fmt.Errorf("descriptor: %w", err)
	}
	if dst, err = appendValues(dst, r.Values); err != nil {
		return dst[:start], err
	}
	if len(dst)-start > MaxSize {
		return dst[:start], fmt.Errorf("%w: longer than %d bytes", ErrWire, MaxSize)
	}
	return dst, nil
}

// appendHexID appends 16 lower-case hex digits as 8 bytes.
func appendHexID(dst []byte, s string) ([]byte, error) {
	if len(s) != 16 {
		return dst, fmt.Errorf("%w: %q is not 16 lower-case hex digits", ErrWire, s)
	}
	dst = append(dst, majorBytes|8)
	for i := 0; i < 16; i += 2 {
		hi, lo := hexDigit(s[i]), hexDigit(s[i+1])
		if hi|lo > 15 {
			return dst, fmt.Errorf("%w: %q is not 16 lower-case hex digits", ErrWire, s)
		}
		dst = append(dst, hi<<4|lo)
	}
	return dst, nil
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// appendValues writes the map of values: numbered names first by number, then the others by length and bytes.
func appendValues(dst []byte, values []Value) ([]byte, error) {
	if len(values) > MaxValues {
		return dst, fmt.Errorf("%w: %d values, at most %d", ErrWire, len(values), MaxValues)
	}
	dst = appendHead(dst, majorMap, uint64(len(values)))
	var room [24]key
	order := wireOrder(room[:0], values)
	for i, k := range order {
		v := &values[k.at]
		if i > 0 && values[order[i-1].at].Name == v.Name {
			return dst, fmt.Errorf("%w: property %q twice", ErrWire, v.Name)
		}
		if k.numbered {
			dst = appendHead(dst, majorUint, k.number)
		} else if v.Name == "" || len(v.Name) > MaxName || !utf8.ValidString(v.Name) {
			return dst, fmt.Errorf("%w: property name %q", ErrWire, v.Name)
		} else {
			dst = appendText(dst, v.Name)
		}
		var err error
		if dst, err = appendValue(dst, v); err != nil {
			return dst, fmt.Errorf("property %q: %w", v.Name, err)
		}
	}
	return dst, nil
}

// key is a property's name as a map key on the wire, and where its value stands.
type key struct {
	name     string
	number   uint64
	at       int
	numbered bool
}

func keyOf(name string, at int) key {
	n, ok := numbers[name]
	return key{name, n, at, ok}
}

// wireOrder sorts the values' keys by their encoded form: an insertion sort, for the few there are.
func wireOrder(order []key, values []Value) []key {
	for i := range values {
		order = append(order, keyOf(values[i].Name, i))
		for j := i; j > 0 && order[j].less(&order[j-1]); j-- {
			order[j], order[j-1] = order[j-1], order[j]
		}
	}
	return order
}

// less is the order of RFC 8949 section 4.2.1 (bytewise, of the encoded keys).
func (a *key) less(b *key) bool {
	switch {
	case a.numbered && b.numbered:
		return a.number < b.number
	case a.numbered != b.numbered:
		return a.numbered
	case len(a.name) != len(b.name):
		return len(a.name) < len(b.name)
	}
	return a.name < b.name
}

func appendValue(dst []byte, v *Value) ([]byte, error) {
	if v.Status == StatusUnknown && v.Value == nil {
		return append(dst, simpleNull), nil
	}
	if v.Status != StatusOK {
		return dst, fmt.Errorf("%w: status %d with a value", ErrWire, v.Status)
	}
	switch x := v.Value.(type) {
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return append(dst, simpleNull), nil
		}
		return appendNumber(dst, x), nil
	case int64:
		return appendInt(dst, x), nil
	case bool:
		if x {
			return append(dst, simpleTrue), nil
		}
		return append(dst, simpleFalse), nil
	case string:
		if !utf8.ValidString(x) {
			x = strings.ToValidUTF8(x, "\uFFFD")
		}
		if len(x) > MaxText {
			return dst, fmt.Errorf("%w: a text of %d bytes", ErrWire, len(x))
		}
		return appendText(dst, x), nil
	case []byte:
		if len(x) > MaxText {
			return dst, fmt.Errorf("%w: %d bytes", ErrWire, len(x))
		}
		return append(appendHead(dst, majorBytes, uint64(len(x))), x...), nil
	}
	return dst, fmt.Errorf("%w: a value of type %T", ErrWire, v.Value)
}

// Decode reads one wire form and refuses everything AppendBinary would not have written, except extensions that
// may be ignored. Values come sorted by name.
func Decode(b []byte) (Reading, error) {
	if len(b) > MaxSize {
		return Reading{}, fmt.Errorf("%w: longer than %d bytes", ErrWire, MaxSize)
	}
	d := reader{b: b}
	var r Reading
	n := d.expect(majorArray, 9)
	if d.err == nil && n < 8 {
		d.fail(errShape)
	}
	if v := d.uint(); d.err == nil && v != Version {
		return Reading{}, fmt.Errorf("%w: version %d; a newer peerbee may read it", ErrWire, v)
	}
	r.Stream = d.hexID(false)
	r.Epoch, r.Seq = d.uint(), d.uint()
	r.Time = time.UnixMilli(int64(d.expect(majorUint, math.MaxInt64)))
	r.Clock = TimeQuality(d.expect(majorUint, uint64(TimeUnknown)))
	r.Desc = d.hexID(true)
	r.Values = d.values()
	if n == 9 {
		d.extensions()
	}
	if d.err == nil && len(d.b) > 0 {
		d.fail(errors.New("bytes after the end"))
	}
	if d.err != nil {
		return Reading{}, fmt.Errorf("%w: reading: %w", ErrWire, d.err)
	}
	return r, nil
}

func (r *reader) hexID(mayBeEmpty bool) string {
	b := r.bytes(8)
	if len(b) == 8 || (len(b) == 0 && mayBeEmpty) {
		return hex.EncodeToString(b)
	}
	r.fail(errShape)
	return ""
}

func (r *reader) values() []Value {
	n := r.expect(majorMap, MaxValues)
	// Two bytes are the least a value takes: a short message cannot ask for much memory.
	values := make([]Value, 0, min(n, uint64(len(r.b)/2)))
	var last key
	for i := uint64(0); i < n && r.err == nil; i++ {
		k := keyOf(r.name(), 0)
		if r.err == nil && i > 0 && !last.less(&k) {
			r.fail(errCanonical) // out of order, or twice
		}
		v := r.value()
		v.Name, last = k.name, k
		values = append(values, v)
	}
	slices.SortFunc(values, func(a, b Value) int { return strings.Compare(a.Name, b.Name) })
	return values
}

// name reads a property's name: its number, or text when it has none.
func (r *reader) name() string {
	if len(r.b) > 0 && r.b[0]&0xe0 == majorUint {
		n := r.uint()
		if r.err == nil && n >= uint64(len(names)) {
			r.fail(fmt.Errorf("property number %d; a newer peerbee may know it", n))
		}
		if r.err != nil {
			return ""
		}
		return names[n]
	}
	s := r.text(MaxName)
	if _, numbered := numbers[s]; r.err == nil && (numbered || s == "") {
		r.fail(errCanonical)
	}
	return s
}

func (r *reader) value() Value {
	if len(r.b) == 0 {
		r.fail(errCut)
		return Value{}
	}
	first := r.b[0]
	switch first & 0xe0 {
	case majorUint, majorNint:
		return Value{Value: r.int()}
	case majorBytes:
		return Value{Value: append([]byte{}, r.bytes(MaxText)...)}
	case majorText:
		return Value{Value: r.text(MaxText)}
	case majorTag:
		return Value{Value: r.number()}
	}
	switch first {
	case simpleFalse, simpleTrue:
		r.b = r.b[1:]
		return Value{Value: first == simpleTrue}
	case simpleNull:
		r.b = r.b[1:]
		return Value{Status: StatusUnknown}
	case float16, float32bits, float64bits:
		return Value{Value: r.number()}
	}
	r.fail(errShape)
	return Value{}
}

// extensions reads the optional ninth element: a map from integers to bytes. A key above zero is critical, and
// none is known; a key below zero may be ignored.
func (r *reader) extensions() {
	n := r.expect(majorMap, maxExtension)
	if r.err == nil && n == 0 {
		r.fail(errCanonical)
	}
	last := int64(0)
	for range n {
		key := r.int()
		r.bytes(MaxText)
		switch {
		case r.err != nil:
			return
		case key >= 0:
			r.fail(fmt.Errorf("critical extension %d; a newer peerbee may know it", key))
		case key >= last:
			r.fail(errCanonical)
		}
		last = key
	}
}
