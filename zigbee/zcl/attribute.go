package zcl

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Foundation commands, those of ProfileWide frames (ZCL table 2-3).
const (
	CommandReadAttributes          uint8 = 0x00
	CommandReadAttributesResponse  uint8 = 0x01
	CommandWriteAttributes         uint8 = 0x02
	CommandWriteUndivided          uint8 = 0x03
	CommandWriteAttributesResponse uint8 = 0x04
	CommandWriteNoResponse         uint8 = 0x05
	CommandConfigureReporting      uint8 = 0x06
	CommandConfigureReportingRsp   uint8 = 0x07
	CommandReadReporting           uint8 = 0x08
	CommandReadReportingResponse   uint8 = 0x09
	CommandReportAttributes        uint8 = 0x0a
	CommandDefaultResponse         uint8 = 0x0b
	CommandDiscoverAttributes      uint8 = 0x0c
	CommandDiscoverAttributesRsp   uint8 = 0x0d
)

// Attribute is one attribute's value in a report or a write (ZCL sections 2.5.3, 2.5.11).
type Attribute struct {
	ID    uint16
	Type  DataType
	Value any // as DecodeValue gives it
	// Opaque says that Value could not be decoded and holds, as []byte, every byte behind the type: the rest of
	// the message belongs to it.
	Opaque bool
}

// Invalid reports whether the device says that it does not know the value.
func (a Attribute) Invalid() bool { return !a.Opaque && IsInvalid(a.Type, a.Value) }

// DecodeReport reads the payload of a report. It never fails: a value that cannot be decoded takes the rest of
// the payload as Opaque, and one or two bytes that are no attribute header are left out.
func DecodeReport(b []byte) []Attribute {
	if len(b) < 3 {
		return nil
	}
	// Most reports carry one attribute; the estimate is the shortest common record, so memory follows the input.
	attrs := make([]Attribute, 0, 1+(len(b)-3)/5)
	for len(b) >= 3 {
		a := Attribute{ID: binary.LittleEndian.Uint16(b), Type: DataType(b[2])}
		b = a.decodeValue(b[3:])
		attrs = append(attrs, a)
	}
	return attrs
}

// decodeValue fills in the value and gives the bytes behind it.
func (a *Attribute) decodeValue(b []byte) []byte {
	value, rest, err := DecodeValue(a.Type, b)
	if err != nil {
		a.Opaque, a.Value = true, append([]byte{}, b...)
		return nil
	}
	a.Value = value
	return rest
}

// AppendReport adds the payload of a report. The errors are those of AppendValue.
func AppendReport(dst []byte, attrs []Attribute) ([]byte, error) {
	var err error
	for _, a := range attrs {
		dst = binary.LittleEndian.AppendUint16(dst, a.ID)
		if dst, err = a.appendValue(append(dst, byte(a.Type))); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (a Attribute) appendValue(dst []byte) ([]byte, error) {
	if raw, ok := a.Value.([]byte); ok && a.Opaque {
		return append(dst, raw...), nil
	}
	dst, err := AppendValue(dst, a.Type, a.Value)
	if err != nil {
		return dst, fmt.Errorf("encode attribute 0x%04x: %w", a.ID, err)
	}
	return dst, nil
}

// AppendWrite adds the payload of the three write commands, which is that of a report.
func AppendWrite(dst []byte, attrs []Attribute) ([]byte, error) { return AppendReport(dst, attrs) }

// DecodeWrite reads the payload of the three write commands. Unlike a report, a write that is not whole is an
// error: half of it must not be carried out.
func DecodeWrite(b []byte) ([]Attribute, error) {
	var attrs []Attribute
	for len(b) > 0 {
		if len(b) < 3 {
			return nil, fmt.Errorf("decode write: %w", ErrShort)
		}
		a := Attribute{ID: binary.LittleEndian.Uint16(b), Type: DataType(b[2])}
		var err error
		if a.Value, b, err = DecodeValue(a.Type, b[3:]); err != nil {
			return nil, fmt.Errorf("decode write of attribute 0x%04x: %w", a.ID, err)
		}
		attrs = append(attrs, a)
	}
	return attrs, nil
}

// AppendReadRequest adds the payload of a read attributes command.
func AppendReadRequest(dst []byte, ids ...uint16) []byte {
	for _, id := range ids {
		dst = binary.LittleEndian.AppendUint16(dst, id)
	}
	return dst
}

// DecodeReadRequest reads the payload of a read attributes command.
func DecodeReadRequest(b []byte) ([]uint16, error) {
	if len(b)%2 != 0 {
		return nil, fmt.Errorf("decode read request of %d bytes: %w", len(b), ErrShort)
	}
	ids := make([]uint16, 0, len(b)/2)
	for ; len(b) > 0; b = b[2:] {
		ids = append(ids, binary.LittleEndian.Uint16(b))
	}
	return ids, nil
}

// ReadRecord is one answer to a read: an attribute, or why there is none.
type ReadRecord struct {
	Status Status
	Attribute
}

// AppendReadResponse adds the payload of a read attributes response. The errors are those of AppendValue.
func AppendReadResponse(dst []byte, records []ReadRecord) ([]byte, error) {
	var err error
	for _, r := range records {
		dst = binary.LittleEndian.AppendUint16(dst, r.ID)
		dst = append(dst, byte(r.Status))
		if r.Status != StatusSuccess {
			continue
		}
		if dst, err = r.appendValue(append(dst, byte(r.Type))); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// DecodeReadResponse reads the payload of a read attributes response. Like DecodeReport it never fails.
func DecodeReadResponse(b []byte) []ReadRecord {
	var records []ReadRecord
	for len(b) >= 3 {
		r := ReadRecord{Status: Status(b[2])}
		r.ID, b = binary.LittleEndian.Uint16(b), b[3:]
		if r.Status == StatusSuccess {
			if len(b) == 0 {
				break
			}
			r.Type = DataType(b[0])
			b = r.decodeValue(b[1:])
		}
		records = append(records, r)
	}
	return records
}

// WriteRecord is the outcome for one attribute of a write.
type WriteRecord struct {
	Status Status
	ID     uint16
}

// AppendWriteResponse adds the payload of a write attributes response. Successes are left out, and if nothing
// failed the payload is the single status success (ZCL section 2.5.5.1).
func AppendWriteResponse(dst []byte, records []WriteRecord) []byte {
	failed := false
	for _, r := range records {
		if r.Status != StatusSuccess {
			dst = binary.LittleEndian.AppendUint16(append(dst, byte(r.Status)), r.ID)
			failed = true
		}
	}
	if !failed {
		dst = append(dst, byte(StatusSuccess))
	}
	return dst
}

// DecodeWriteResponse gives the attributes that were not written: none means that all were.
func DecodeWriteResponse(b []byte) ([]WriteRecord, error) {
	if bytes.Equal(b, []byte{byte(StatusSuccess)}) {
		return nil, nil
	}
	if len(b) == 0 || len(b)%3 != 0 {
		return nil, fmt.Errorf("decode write response of %d bytes: %w", len(b), ErrShort)
	}
	var records []WriteRecord
	for ; len(b) > 0; b = b[3:] {
		// Some devices list successes too.
		if r := (WriteRecord{Status(b[0]), binary.LittleEndian.Uint16(b[1:])}); r.Status != StatusSuccess {
			records = append(records, r)
		}
	}
	return records, nil
}
