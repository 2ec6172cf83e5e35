package reading

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrJSON is what the JSON readers answer to text that they did not write.
var ErrJSON = errors.New("not the JSON form of a reading")

// AppendValuesJSON appends the values as one JSON object, property to value. A float64 always carries a point
// or an exponent and an int64 never does, bytes are {"hex":"..."}, unknown (and a float that is not finite) is
// null: ParseValuesJSON gives back the same types.
func AppendValuesJSON(dst []byte, values []Value) []byte {
	dst = append(dst, '{')
	for i := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, values[i].Name)
		dst = append(dst, ':')
		dst = AppendValueJSON(dst, &values[i])
	}
	return append(dst, '}')
}

// AppendValueJSON appends one value without its name.
func AppendValueJSON(dst []byte, v *Value) []byte {
	if v.Status != StatusOK {
		return append(dst, "null"...)
	}
	switch x := v.Value.(type) {
	case float64:
		return appendFloat(dst, x)
	case int64:
		return strconv.AppendInt(dst, x, 10)
	case bool:
		return strconv.AppendBool(dst, x)
	case string:
		return appendString(dst, x)
	case []byte:
		dst = append(dst, `{"hex":"`...)
		return append(hex.AppendEncode(dst, x), `"}`...)
	}
	return append(dst, "null"...)
}

func appendFloat(dst []byte, x float64) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return append(dst, "null"...)
	}
	if a := math.Abs(x); a != 0 && (a < 1e-6 || a >= 1e15) {
		return strconv.AppendFloat(dst, x, 'e', -1, 64)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, x, 'f', -1, 64)
	for _, c := range dst[start:] {
		if c == '.' {
			return dst
		}
	}
	return append(dst, ".0"...)
}

func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			b, err := json.Marshal(s)
			if err != nil { // encoding/json has no failing case for a string
				return append(dst, `""`...)
			}
			return append(dst, b...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// ParseValuesJSON reads what AppendValuesJSON wrote.
func ParseValuesJSON(s string) ([]Value, error) {
	p := parser{s: s}
	if !p.take('{') {
		return nil, ErrJSON
	}
	values := make([]Value, 0, 1+strings.Count(s, ","))
	for !p.take('}') {
		if len(values) > 0 && !p.take(',') {
			return nil, ErrJSON
		}
		name, err := p.text()
		if err != nil || !p.take(':') {
			return nil, ErrJSON
		}
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		v.Name = name
		values = append(values, v)
	}
	if p.i != len(s) {
		return nil, ErrJSON
	}
	return values, nil
}

// ParseValueJSON reads what AppendValueJSON wrote.
func ParseValueJSON(s string) (Value, error) {
	p := parser{s: s}
	v, err := p.value()
	if err == nil && p.i != len(s) {
		err = ErrJSON
	}
	return v, err
}

// parser reads the subset of JSON that the writers above produce, without white space.
type parser struct {
	s string
	i int
}

func (p *parser) take(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *parser) word(w string) bool {
	if strings.HasPrefix(p.s[p.i:], w) {
		p.i += len(w)
		return true
	}
	return false
}

func (p *parser) text() (string, error) {
	if !p.take('"') {
		return "", ErrJSON
	}
	start, plain := p.i, true
	for ; p.i < len(p.s); p.i++ {
		switch p.s[p.i] {
		case '"':
			p.i++
			if s := p.s[start : p.i-1]; !utf8.ValidString(s) {
				return "", ErrJSON
			} else if plain {
				return s, nil
			}
			var out string
			if err := json.Unmarshal([]byte(p.s[start-1:p.i]), &out); err != nil {
				return "", fmt.Errorf("%w: %w", ErrJSON, err)
			}
			return out, nil
		case '\\':
			plain = false
			p.i++
		}
	}
	return "", ErrJSON
}

func (p *parser) value() (Value, error) {
	switch {
	case p.i >= len(p.s):
		return Value{}, ErrJSON
	case p.word("null"):
		return Value{Status: StatusUnknown}, nil
	case p.word("true"):
		return Value{Value: true}, nil
	case p.word("false"):
		return Value{Value: false}, nil
	case p.s[p.i] == '"':
		s, err := p.text()
		return Value{Value: s}, err
	case p.word(`{"hex":`):
		s, err := p.text()
		if err != nil || !p.take('}') {
			return Value{}, ErrJSON
		}
		b, err := hex.DecodeString(s)
		if err != nil {
			return Value{}, fmt.Errorf("%w: %w", ErrJSON, err)
		}
		return Value{Value: b}, nil
	}
	return p.number()
}

func (p *parser) number() (Value, error) {
	start, float := p.i, false
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '.' || c == 'e' || c == 'E':
			float = true
		case c != '-' && c != '+' && (c < '0' || c > '9'):
			return finishNumber(p.s[start:p.i], float)
		}
	}
	return finishNumber(p.s[start:p.i], float)
}

func finishNumber(s string, float bool) (v Value, err error) {
	if float {
		v.Value, err = strconv.ParseFloat(s, 64)
	} else {
		v.Value, err = strconv.ParseInt(s, 10, 64)
	}
	if err != nil {
		return Value{}, fmt.Errorf("%w: %w", ErrJSON, err)
	}
	return v, nil
}

// AppendJSON appends the reading's stable JSON form (docs/protocol/reading.md).
func (r *Reading) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"stream":`...)
	dst = appendString(dst, r.Stream)
	// A string: a JSON number loses an epoch's low bits in readers that know only float64.
	dst = append(dst, `,"epoch":"`...)
	dst = strconv.AppendUint(dst, r.Epoch, 10)
	dst = append(dst, `","seq":`...)
	dst = strconv.AppendUint(dst, r.Seq, 10)
	dst = append(dst, `,"time":"`...)
	dst = r.Time.UTC().AppendFormat(dst, timeLayout)
	dst = append(dst, `","clock":"`...)
	dst = append(dst, r.Clock.String()...)
	dst = append(dst, `","desc":`...)
	dst = appendString(dst, r.Desc)
	dst = append(dst, `,"values":`...)
	dst = AppendValuesJSON(dst, r.Values)
	return append(dst, '}')
}

const timeLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSON gives the form of AppendJSON.
func (r Reading) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

// UnmarshalJSON reads the form of MarshalJSON; white space around tokens is allowed as in any JSON.
func (r *Reading) UnmarshalJSON(b []byte) error {
	var w struct {
		Stream string        `json:"stream"`
		Epoch  uint64        `json:"epoch,string"`
		Seq    uint64        `json:"seq"`
		Time   time.Time     `json:"time"`
		Clock  string        `json:"clock"`
		Desc   string        `json:"desc"`
		Values orderedValues `json:"values"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return fmt.Errorf("%w: %w", ErrJSON, err)
	}
	clock, err := parseTimeQuality(w.Clock)
	if err != nil {
		return err
	}
	*r = Reading{Stream: w.Stream, Epoch: w.Epoch, Seq: w.Seq, Time: w.Time, Clock: clock, Desc: w.Desc, Values: w.Values}
	return nil
}

// orderedValues keeps the order that a map would lose.
type orderedValues []Value

func (o *orderedValues) UnmarshalJSON(b []byte) error {
	var compact strings.Builder
	if err := compactJSON(&compact, b); err != nil {
		return err
	}
	v, err := ParseValuesJSON(compact.String())
	*o = v
	return err
}
