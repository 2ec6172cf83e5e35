package reading

import (
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"
)

// CBOR major types and simple values (RFC 8949 section 3).
const (
	majorUint  = 0 << 5
	majorNint  = 1 << 5
	majorBytes = 2 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
	majorMap   = 5 << 5
	majorTag   = 6 << 5

	simpleFalse = 0xf4
	simpleTrue  = 0xf5
	simpleNull  = 0xf6
	float16     = 0xf9
	float32bits = 0xfa
	float64bits = 0xfb

	tagDecimal = 4 // decimal fraction, RFC 8949 section 3.4.4
)

// Decoding errors; all of them are ErrWire.
var (
	errCut       = errors.New("cut short")
	errShape     = errors.New("unexpected item")
	errCanonical = errors.New("not in deterministic form")
	errRange     = errors.New("out of range")
	errText      = errors.New("text is not UTF-8")
)

// appendHead appends the shortest head of an item (RFC 8949 section 4.2.1).
func appendHead(dst []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n <= math.MaxUint8:
		return append(dst, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), n)
}

func appendInt(dst []byte, n int64) []byte {
	if n < 0 {
		return appendHead(dst, majorNint, uint64(-1-n))
	}
	return appendHead(dst, majorUint, uint64(n))
}

func appendText(dst []byte, s string) []byte {
	return append(appendHead(dst, majorText, uint64(len(s))), s...)
}

// appendNumber appends a finite float64 in the first of these forms that holds it exactly: half, single, a decimal
// fraction of at most 6 digits and a 32-bit mantissa, double.
func appendNumber(dst []byte, x float64) []byte {
	single := float32(x)
	if float64(single) == x {
		if half, ok := toHalf(single); ok {
			return binary.BigEndian.AppendUint16(append(dst, float16), half)
		}
		return binary.BigEndian.AppendUint32(append(dst, float32bits), math.Float32bits(single))
	}
	if mantissa, digits, ok := toDecimal(x); ok {
		dst = appendHead(dst, majorTag, tagDecimal)
		dst = appendHead(dst, majorArray, 2)
		dst = appendInt(dst, -int64(digits))
		return appendInt(dst, mantissa)
	}
	return binary.BigEndian.AppendUint64(append(dst, float64bits), math.Float64bits(x))
}

var powers = [...]float64{1, 10, 100, 1e3, 1e4, 1e5, 1e6}

// toDecimal finds the shortest mantissa and number of digits with mantissa / 10^digits == x. The division of two
// exact integers is rounded correctly, so that the reader gets x back bit by bit.
func toDecimal(x float64) (mantissa int64, digits int, ok bool) {
	for digits = 1; digits < len(powers); digits++ {
		m := math.Round(x * powers[digits])
		if math.Abs(m) > math.MaxUint32 {
			return 0, 0, false
		}
		if m/powers[digits] == x {
			return int64(m), digits, true
		}
	}
	return 0, 0, false
}

// toHalf converts to IEEE 754 binary16 where that is exact.
func toHalf(f float32) (uint16, bool) {
	b := math.Float32bits(f)
	sign, exp, frac := uint16(b>>16)&0x8000, int(b>>23&0xff)-127, b&0x7fffff
	switch {
	case b&0x7fffffff == 0:
		return sign, true
	case exp > 15 || exp < -24:
		return 0, false
	case exp >= -14:
		if frac&0x1fff != 0 {
			return 0, false
		}
		return sign | uint16(exp+15)<<10 | uint16(frac>>13), true
	}
	shift := uint(-exp - 14 + 13)
	frac |= 0x800000
	if frac&(1<<shift-1) != 0 {
		return 0, false
	}
	return sign | uint16(frac>>shift), true
}

func fromHalf(h uint16) float64 {
	exp, frac := int(h>>10&0x1f), float64(h&0x3ff)
	var x float64
	switch exp {
	case 0:
		x = math.Ldexp(frac, -24)
	case 31:
		return math.NaN() // infinities too: neither is allowed
	default:
		x = math.Ldexp(1024+frac, exp-25)
	}
	if h&0x8000 != 0 {
		x = math.Copysign(x, -1)
	}
	return x
}

// reader walks over an encoded message and keeps the first error.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err, r.b = err, nil
	}
}

// head reads the head of an item that is not of major type 7, in its shortest form only.
func (r *reader) head() (major byte, n uint64) {
	if len(r.b) == 0 {
		r.fail(errCut)
		return 0, 0
	}
	first := r.b[0]
	major, info := first&0xe0, first&0x1f
	if info < 24 {
		r.b = r.b[1:]
		return major, uint64(info)
	}
	if info > 27 {
		r.fail(errShape) // reserved, or of indefinite length
		return 0, 0
	}
	size := 1 << (info - 24)
	if len(r.b) < 1+size {
		r.fail(errCut)
		return 0, 0
	}
	for _, c := range r.b[1 : 1+size] {
		n = n<<8 | uint64(c)
	}
	if (size == 1 && n < 24) || (size > 1 && n>>(4*size) == 0) {
		r.fail(errCanonical)
		return 0, 0
	}
	r.b = r.b[1+size:]
	return major, n
}

func (r *reader) expect(major byte, limit uint64) uint64 {
	m, n := r.head()
	if r.err == nil && m != major {
		r.fail(errShape)
	}
	if r.err == nil && n > limit {
		r.fail(errRange)
	}
	if r.err != nil {
		return 0
	}
	return n
}

func (r *reader) uint() uint64 { return r.expect(majorUint, math.MaxUint64) }

func (r *reader) take(n uint64) []byte {
	if uint64(len(r.b)) < n {
		r.fail(errCut)
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) bytes(limit uint64) []byte { return r.take(r.expect(majorBytes, limit)) }

func (r *reader) text(limit uint64) string {
	s := string(r.take(r.expect(majorText, limit)))
	if !utf8.ValidString(s) {
		r.fail(errText)
	}
	return s
}

// int reads an integer of either sign.
func (r *reader) int() int64 {
	major, n := r.head()
	switch {
	case r.err != nil:
	case n > math.MaxInt64:
		r.fail(errRange)
	case major == majorUint:
		return int64(n)
	case major == majorNint:
		return -1 - int64(n)
	default:
		r.fail(errShape)
	}
	return 0
}

// number reads what appendNumber wrote, and nothing else.
func (r *reader) number() float64 {
	start := r.b
	var x float64
	switch start[0] {
	case float16:
		if b := r.take(3); b != nil {
			x = fromHalf(binary.BigEndian.Uint16(b[1:]))
		}
	case float32bits:
		if b := r.take(5); b != nil {
			x = float64(math.Float32frombits(binary.BigEndian.Uint32(b[1:])))
		}
	case float64bits:
		if b := r.take(9); b != nil {
			x = math.Float64frombits(binary.BigEndian.Uint64(b[1:]))
		}
	default:
		x = r.decimal()
	}
	if r.err != nil {
		return 0
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		r.fail(errRange)
		return 0
	}
	var scratch [16]byte
	if string(appendNumber(scratch[:0], x)) != string(start[:len(start)-len(r.b)]) {
		r.fail(errCanonical)
		return 0
	}
	return x
}

func (r *reader) decimal() float64 {
	r.expect(majorTag, tagDecimal)
	if r.expect(majorArray, 2) != 2 && r.err == nil {
		r.fail(errShape)
	}
	exponent, mantissa := r.int(), r.int()
	if r.err == nil && (exponent >= 0 || exponent <= -int64(len(powers))) {
		r.fail(errRange)
	}
	if r.err != nil {
		return 0
	}
	return float64(mantissa) / powers[-exponent]
}
