package profile

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
)

// errDamaged says that the bytes are no profile.
var errDamaged = errors.New("damaged profile")

const (
	// maxText bounds a name or value, maxCount any list in a profile.
	maxText  = 1 << 10
	maxCount = 1 << 10
)

// reader takes a profile apart. After a failure everything reads as zero and bad stays set.
type reader struct {
	b   []byte
	bad bool
}

// decodeProperties reads what chunks wrote, one after another.
func decodeProperties(b []byte) ([]Property, error) {
	r := &reader{b: b}
	var list []Property
	for len(r.b) > 0 && !r.bad && len(list) < maxCount {
		list = append(list, r.property())
	}
	if r.bad || len(r.b) > 0 {
		return nil, errDamaged
	}
	return list, nil
}

func (r *reader) property() Property {
	p := Property{Name: r.text(), Type: Type(r.byte()), Access: Access(r.byte())}
	flags := r.byte()
	p.Unit = r.text()
	if p.Type > Text {
		r.fail()
	}
	if flags&flagRange != 0 {
		p.HasRange, p.Min, p.Max = true, r.number(), r.number()
	}
	if flags&flagValues != 0 {
		p.Values = make([]string, 0, r.room())
		for range r.count() {
			p.Values = append(p.Values, r.text())
		}
	}
	if flags&flagRules != 0 {
		n := r.count()
		p.Rules = make([]Rule, 0, min(n, len(r.b)/6+1))
		for i := 0; i < n && !r.bad; i++ {
			p.Rules = append(p.Rules, r.rule())
		}
	}
	return p
}

func (r *reader) rule() Rule {
	head, flags := r.byte(), r.byte()
	rule := Rule{
		Source: Source(head >> 4), Kind: Kind(head & 0x0f), Cluster: r.uint16(), ID: r.uint16(),
		FromClient: flags&flagClient != 0, Whole: flags&flagWhole != 0, Bounded: flags&flagBounded != 0,
	}
	if rule.Source > TLV || rule.Kind > Const {
		r.fail()
	}
	if rule.Source == TLV {
		rule.Tag = r.byte()
	}
	if flags&flagEndpoint != 0 {
		rule.Endpoint = r.byte()
	}
	if flags&flagManufacturer != 0 {
		rule.Manufacturer = r.uint16()
	}
	if flags&flagParam != 0 {
		if rule.Param = (Param{r.byte(), r.byte()}); rule.Param.Size == 0 {
			r.fail() // the encoder leaves out what is not there
		}
	}
	if flags&flagDefault != 0 {
		rule.HasDefault, rule.Default = true, r.value()
	}
	r.body(&rule)
	return rule
}

// body reads what a rule's kind needs.
func (r *reader) body(rule *Rule) {
	switch rule.Kind {
	case Linear:
		rule.Mul, rule.Div, rule.Add = r.number(), r.number(), r.number()
	case Ratio:
		rule.Mul, rule.Div = r.number(), r.number()
	case Bits:
		mask := r.uvarint()
		if mask > math.MaxUint32 {
			r.fail()
		}
		rule.Mask, rule.On, rule.Off = uint32(mask), r.value(), r.value()
	case Const:
		rule.On = r.value()
	case Map:
		n := r.count()
		rule.Entries = make([]Entry, 0, min(n, len(r.b)))
		for i := 0; i < n && !r.bad; i++ {
			rule.Entries = append(rule.Entries, Entry{r.varint(), r.value()})
		}
	case Curve:
		n := r.count()
		rule.Points = make([]Point, 0, min(n, len(r.b)))
		for i := 0; i < n && !r.bad; i++ {
			rule.Points = append(rule.Points, Point{r.number(), r.number()})
		}
	}
	if (rule.Kind == Linear || rule.Kind == Ratio) && rule.Div == 0 {
		r.fail()
	}
}

func (r *reader) fail() { r.b, r.bad = nil, true }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uint16() uint16 {
	if len(r.b) < 2 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint16(r.b)
	r.b = r.b[2:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads the length of a list; each element takes a byte at least.
func (r *reader) count() int {
	n := r.uvarint()
	if n > maxCount || n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

// room is the length of the list to come, without taking it.
func (r *reader) room() int {
	n, _ := binary.Uvarint(r.b)
	return int(min(n, maxCount, uint64(len(r.b))))
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > maxText || n > uint64(len(r.b)) {
		r.fail()
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) number() float64 {
	v, err := strconv.ParseFloat(r.text(), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		r.fail()
		return 0
	}
	return v
}

func (r *reader) value() any {
	switch r.byte() {
	case tagNone:
		return nil
	case tagFalse:
		return false
	case tagTrue:
		return true
	case tagNumber:
		return r.number()
	case tagText:
		return r.text()
	}
	r.fail()
	return nil
}
