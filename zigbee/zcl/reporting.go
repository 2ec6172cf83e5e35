package zcl

import (
	"encoding/binary"
	"fmt"
)

// ReportConfig is one record of configure reporting and of the answer to reading it (ZCL section 2.5.7).
type ReportConfig struct {
	// Receive is the direction field: false asks the receiver to send reports, true tells it to expect them.
	Receive bool
	ID      uint16
	Type    DataType // unless Receive
	Min     uint16   // seconds between reports at least, unless Receive
	Max     uint16   // seconds between reports at most; 0xffff never reports, 0 on change only; unless Receive
	Change  any      // smallest change to report, for analog types only; unless Receive
	Timeout uint16   // seconds without a report before it counts as missing; only if Receive
}

// Append adds the record. A nil Change of an analog type is written as the type's invalid value. The errors are
// those of AppendValue.
func (c ReportConfig) Append(dst []byte) ([]byte, error) {
	dst = binary.LittleEndian.AppendUint16(append(dst, boolByte(c.Receive)), c.ID)
	if c.Receive {
		return binary.LittleEndian.AppendUint16(dst, c.Timeout), nil
	}
	dst = append(dst, byte(c.Type))
	dst = binary.LittleEndian.AppendUint16(dst, c.Min)
	dst = binary.LittleEndian.AppendUint16(dst, c.Max)
	if !c.Type.IsAnalog() {
		return dst, nil
	}
	dst, err := AppendValue(dst, c.Type, c.Change)
	if err != nil {
		return dst, fmt.Errorf("encode reportable change of attribute 0x%04x: %w", c.ID, err)
	}
	return dst, nil
}

// AppendConfigureReporting adds the payload of a configure reporting command. The errors are those of AppendValue.
func AppendConfigureReporting(dst []byte, configs []ReportConfig) ([]byte, error) {
	var err error
	for _, c := range configs {
		if dst, err = c.Append(dst); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// DecodeConfigureReporting reads the payload of a configure reporting command.
func DecodeConfigureReporting(b []byte) ([]ReportConfig, error) {
	var configs []ReportConfig
	for len(b) > 0 {
		if len(b) < 3 {
			return nil, fmt.Errorf("decode configure reporting: %w", ErrShort)
		}
		c := ReportConfig{Receive: b[0] != 0, ID: binary.LittleEndian.Uint16(b[1:])}
		var err error
		if b, err = c.decode(b[3:]); err != nil {
			return nil, fmt.Errorf("decode configure reporting of attribute 0x%04x: %w", c.ID, err)
		}
		configs = append(configs, c)
	}
	return configs, nil
}

// decode reads what follows the attribute and gives the bytes behind the record.
func (c *ReportConfig) decode(b []byte) (rest []byte, err error) {
	if c.Receive {
		if len(b) < 2 {
			return nil, ErrShort
		}
		c.Timeout = binary.LittleEndian.Uint16(b)
		return b[2:], nil
	}
	if len(b) < 5 {
		return nil, ErrShort
	}
	c.Type = DataType(b[0])
	c.Min, c.Max = binary.LittleEndian.Uint16(b[1:]), binary.LittleEndian.Uint16(b[3:])
	b = b[5:]
	if c.Type.IsAnalog() {
		c.Change, b, err = DecodeValue(c.Type, b)
	}
	return b, err
}

// AttributeRef names an attribute and a direction: the request to read a reporting configuration, and the
// outcome of setting one.
type AttributeRef struct {
	Status  Status // in responses only
	Receive bool   // see ReportConfig
	ID      uint16
}

// AppendConfigureReportingResponse adds the payload of the response. Successes are left out, and if nothing
// failed the payload is the single status success (ZCL section 2.5.8.1).
func AppendConfigureReportingResponse(dst []byte, refs []AttributeRef) []byte {
	failed := false
	for _, r := range refs {
		if r.Status != StatusSuccess {
			dst = append(dst, byte(r.Status), boolByte(r.Receive))
			dst = binary.LittleEndian.AppendUint16(dst, r.ID)
			failed = true
		}
	}
	if !failed {
		dst = append(dst, byte(StatusSuccess))
	}
	return dst
}

// DecodeConfigureReportingResponse gives the attributes that will not be reported: none means that all will. A
// refusal of one status byte alone, as some devices send it, is a ref with attribute 0xffff.
func DecodeConfigureReportingResponse(b []byte) ([]AttributeRef, error) {
	if len(b) == 1 {
		if Status(b[0]) == StatusSuccess {
			return nil, nil
		}
		return []AttributeRef{{Status: Status(b[0]), ID: 0xffff}}, nil
	}
	if len(b) == 0 || len(b)%4 != 0 {
		return nil, fmt.Errorf("decode configure reporting response of %d bytes: %w", len(b), ErrShort)
	}
	var refs []AttributeRef
	for ; len(b) > 0; b = b[4:] {
		r := AttributeRef{Status: Status(b[0]), Receive: b[1] != 0, ID: binary.LittleEndian.Uint16(b[2:])}
		if r.Status != StatusSuccess {
			refs = append(refs, r)
		}
	}
	return refs, nil
}

// AppendReadReporting adds the payload of a read reporting configuration command.
func AppendReadReporting(dst []byte, refs []AttributeRef) []byte {
	for _, r := range refs {
		dst = binary.LittleEndian.AppendUint16(append(dst, boolByte(r.Receive)), r.ID)
	}
	return dst
}

// DecodeReadReporting reads the payload of a read reporting configuration command.
func DecodeReadReporting(b []byte) ([]AttributeRef, error) {
	if len(b)%3 != 0 {
		return nil, fmt.Errorf("decode read reporting of %d bytes: %w", len(b), ErrShort)
	}
	refs := make([]AttributeRef, 0, len(b)/3)
	for ; len(b) > 0; b = b[3:] {
		refs = append(refs, AttributeRef{Receive: b[0] != 0, ID: binary.LittleEndian.Uint16(b[1:])})
	}
	return refs, nil
}

// ReportingRecord is one answer to reading a reporting configuration. Without success only Receive and ID of
// the configuration mean something.
type ReportingRecord struct {
	Status Status
	ReportConfig
}

// AppendReadReportingResponse adds the payload of the response. The errors are those of AppendValue.
func AppendReadReportingResponse(dst []byte, records []ReportingRecord) ([]byte, error) {
	var err error
	for _, r := range records {
		dst = append(dst, byte(r.Status))
		if r.Status != StatusSuccess {
			dst = binary.LittleEndian.AppendUint16(append(dst, boolByte(r.Receive)), r.ID)
			continue
		}
		if dst, err = r.Append(dst); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// DecodeReadReportingResponse reads the payload of the response.
func DecodeReadReportingResponse(b []byte) ([]ReportingRecord, error) {
	var records []ReportingRecord
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, fmt.Errorf("decode read reporting response: %w", ErrShort)
		}
		r := ReportingRecord{Status: Status(b[0])}
		r.Receive, r.ID, b = b[1] != 0, binary.LittleEndian.Uint16(b[2:]), b[4:]
		if r.Status == StatusSuccess {
			var err error
			if b, err = r.decode(b); err != nil {
				return nil, fmt.Errorf("decode read reporting response, attribute 0x%04x: %w", r.ID, err)
			}
		}
		records = append(records, r)
	}
	return records, nil
}
