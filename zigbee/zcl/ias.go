package zcl

import (
	"encoding/binary"
	"fmt"
)

// Commands of the IAS zone cluster (ZCL section 8.2.2). Both directions count from 0.
const (
	CommandZoneStatusChange   uint8 = 0x00 // from the sensor
	CommandZoneEnrollRequest  uint8 = 0x01 // from the sensor
	CommandZoneEnrollResponse uint8 = 0x00 // to the sensor
)

// Bits of a zone status (ZCL table 8-5).
const (
	ZoneAlarm1      uint16 = 1 << 0
	ZoneAlarm2      uint16 = 1 << 1
	ZoneTamper      uint16 = 1 << 2
	ZoneBatteryLow  uint16 = 1 << 3
	ZoneSupervision uint16 = 1 << 4 // sends notifications regularly
	ZoneRestore     uint16 = 1 << 5 // tells when an alarm ends
	ZoneTrouble     uint16 = 1 << 6
	ZoneACFault     uint16 = 1 << 7
	ZoneTest        uint16 = 1 << 8
	ZoneBatteryBad  uint16 = 1 << 9
)

// ZoneStatusChange is the notification of an IAS sensor (ZCL section 8.2.2.4.1).
type ZoneStatusChange struct {
	Status   uint16 // ZoneAlarm1 and its siblings
	Extended uint8
	Zone     uint8  // 0xff before enrolment
	Delay    uint16 // quarter seconds since the change
}

// Append adds the payload of a zone status change notification.
func (c ZoneStatusChange) Append(dst []byte) []byte {
	dst = append(binary.LittleEndian.AppendUint16(dst, c.Status), c.Extended, c.Zone)
	return binary.LittleEndian.AppendUint16(dst, c.Delay)
}

// DecodeZoneStatusChange reads the payload of a zone status change notification. Older devices leave out the
// fields behind the status; Zone is 0xff then. The error is ErrShort.
func DecodeZoneStatusChange(b []byte) (ZoneStatusChange, error) {
	if len(b) < 2 {
		return ZoneStatusChange{}, fmt.Errorf("decode zone status change: %w", ErrShort)
	}
	c := ZoneStatusChange{Status: binary.LittleEndian.Uint16(b), Zone: 0xff}
	if len(b) >= 3 {
		c.Extended = b[2]
	}
	if len(b) >= 4 {
		c.Zone = b[3]
	}
	if len(b) >= 6 {
		c.Delay = binary.LittleEndian.Uint16(b[4:])
	}
	return c, nil
}

// ZoneEnrollRequest is an IAS sensor's wish to be enrolled (ZCL section 8.2.2.4.2).
type ZoneEnrollRequest struct {
	ZoneType     uint16
	Manufacturer uint16
}

// Append adds the payload of a zone enroll request.
func (r ZoneEnrollRequest) Append(dst []byte) []byte {
	return binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(dst, r.ZoneType), r.Manufacturer)
}

// DecodeZoneEnrollRequest reads the payload of a zone enroll request. The error is ErrShort.
func DecodeZoneEnrollRequest(b []byte) (ZoneEnrollRequest, error) {
	if len(b) < 4 {
		return ZoneEnrollRequest{}, fmt.Errorf("decode zone enroll request: %w", ErrShort)
	}
	return ZoneEnrollRequest{binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])}, nil
}

// EnrollCode is the outcome of an enrolment (ZCL table 8-8).
type EnrollCode uint8

// Outcomes of an enrolment.
const (
	EnrollSuccess      EnrollCode = 0
	EnrollNotSupported EnrollCode = 1
	EnrollNoPermit     EnrollCode = 2
	EnrollTooManyZones EnrollCode = 3
)

// ZoneEnrollResponse enrols an IAS sensor (ZCL section 8.2.2.3.1).
type ZoneEnrollResponse struct {
	Code EnrollCode
	Zone uint8 // the number the sensor gets
}

// Append adds the payload of a zone enroll response.
func (r ZoneEnrollResponse) Append(dst []byte) []byte { return append(dst, byte(r.Code), r.Zone) }

// DecodeZoneEnrollResponse reads the payload of a zone enroll response. The error is ErrShort.
func DecodeZoneEnrollResponse(b []byte) (ZoneEnrollResponse, error) {
	if len(b) < 2 {
		return ZoneEnrollResponse{}, fmt.Errorf("decode zone enroll response: %w", ErrShort)
	}
	return ZoneEnrollResponse{Code: EnrollCode(b[0]), Zone: b[1]}, nil
}
