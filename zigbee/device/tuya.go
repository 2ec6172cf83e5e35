package device

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

// clusterTuya carries Tuya's datapoints: numbered values with a type, in commands of its own.
const clusterTuya uint16 = 0xef00

// Commands that report datapoints.
const (
	tuyaResponse    = 0x01
	tuyaReport      = 0x02
	tuyaStatus      = 0x05
	tuyaOtherStatus = 0x06
)

// Types of a datapoint.
const (
	tuyaRaw    = 0x00
	tuyaBool   = 0x01
	tuyaValue  = 0x02
	tuyaString = 0x03
	tuyaEnum   = 0x04
	tuyaBitmap = 0x05
)

// datapoint is one of a report: number, type, big endian length and value.
type datapoint struct {
	id, kind uint8
	data     []byte
}

// nextDatapoint takes the first datapoint off; false where no whole one is left.
func nextDatapoint(b []byte) (d datapoint, rest []byte, ok bool) {
	const head = 4
	if len(b) < head {
		return datapoint{}, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if len(b)-head < n {
		return datapoint{}, nil, false
	}
	return datapoint{id: b[0], kind: b[1], data: b[head : head+n]}, b[head+n:], true
}

// value decodes a datapoint as a number, boolean, string or bytes; nil for one that is not as long as its type.
func (d datapoint) value() any {
	switch {
	case d.kind == tuyaBool && len(d.data) == 1:
		return d.data[0] != 0
	case d.kind == tuyaValue && len(d.data) == 4:
		return int64(int32(binary.BigEndian.Uint32(d.data)))
	case d.kind == tuyaEnum && len(d.data) == 1:
		return int64(d.data[0])
	case d.kind == tuyaBitmap && (len(d.data) == 1 || len(d.data) == 2 || len(d.data) == 4):
		n := int64(0)
		for _, b := range d.data {
			n = n<<8 | int64(b)
		}
		return n
	case d.kind == tuyaString && utf8.Valid(d.data):
		return string(d.data)
	case d.kind == tuyaRaw, d.kind == tuyaString:
		return append([]byte(nil), d.data...)
	}
	return nil
}

// applyTuya interprets a report of datapoints; false for another command. A datapoint without a rule becomes raw,
// what follows a damaged one is lost.
func (in *Interpreter) applyTuya(endpoint uint8, f zcl.Frame) ([]Measure, bool) {
	switch f.Command {
	case tuyaResponse, tuyaReport, tuyaStatus, tuyaOtherStatus:
	default:
		return nil, false
	}
	const sequence = 2
	if len(f.Payload) < sequence {
		return nil, true
	}
	measures := make([]Measure, 0, 2)
	for d, rest, ok := nextDatapoint(f.Payload[sequence:]); ok; d, rest, ok = nextDatapoint(rest) {
		measures = in.applyDatapoint(measures, endpoint, d)
	}
	return measures, true
}

func (in *Interpreter) applyDatapoint(dst []Measure, endpoint uint8, d datapoint) []Measure {
	v := d.value()
	before := len(dst)
	if in.known != nil {
		if x, ok := inputOf(v, zcl.TypeNoData); ok {
			for _, r := range in.known.datapoints[uint16(d.id)] {
				if v := r.value(x); v != nil {
					dst = append(dst, in.measure(endpoint, r, v))
				}
			}
		}
	}
	if len(dst) == before {
		dst = append(dst, Measure{Property: in.names.raw(endpoint, clusterTuya, uint16(d.id)), Value: v})
	}
	return dst
}
