package zcl

import "fmt"

// Status is a ZCL status (ZCL section 2.6.3). The zero value is success.
type Status uint8

// Statuses of revision 8 and those of earlier revisions that devices still send.
const (
	StatusSuccess              Status = 0x00
	StatusFailure              Status = 0x01
	StatusNotAuthorized        Status = 0x7e
	StatusMalformedCommand     Status = 0x80
	StatusUnsupCommand         Status = 0x81
	StatusUnsupGeneralCommand  Status = 0x82
	StatusUnsupManufCluster    Status = 0x83
	StatusUnsupManufGeneral    Status = 0x84
	StatusInvalidField         Status = 0x85
	StatusUnsupportedAttribute Status = 0x86
	StatusInvalidValue         Status = 0x87
	StatusReadOnly             Status = 0x88
	StatusInsufficientSpace    Status = 0x89
	StatusDuplicateExists      Status = 0x8a
	StatusNotFound             Status = 0x8b
	StatusUnreportable         Status = 0x8c
	StatusInvalidDataType      Status = 0x8d
	StatusInvalidSelector      Status = 0x8e
	StatusWriteOnly            Status = 0x8f
	StatusInconsistent         Status = 0x90
	StatusActionDenied         Status = 0x93
	StatusTimeout              Status = 0x94
	StatusAbort                Status = 0x95
	StatusInvalidImage         Status = 0x96
	StatusWaitForData          Status = 0x97
	StatusNoImageAvailable     Status = 0x98
	StatusRequireMoreImage     Status = 0x99
	StatusNotificationPending  Status = 0x9a
	StatusHardwareFailure      Status = 0xc0
	StatusSoftwareFailure      Status = 0xc1
	StatusUnsupportedCluster   Status = 0xc3
	StatusLimitReached         Status = 0xc4
)

var statusNames = map[Status]string{
	StatusSuccess:              "success",
	StatusFailure:              "failure",
	StatusNotAuthorized:        "not authorized",
	StatusMalformedCommand:     "malformed command",
	StatusUnsupCommand:         "unsupported cluster command",
	StatusUnsupGeneralCommand:  "unsupported general command",
	StatusUnsupManufCluster:    "unsupported manufacturer cluster command",
	StatusUnsupManufGeneral:    "unsupported manufacturer general command",
	StatusInvalidField:         "invalid field",
	StatusUnsupportedAttribute: "unsupported attribute",
	StatusInvalidValue:         "invalid value",
	StatusReadOnly:             "read only",
	StatusInsufficientSpace:    "insufficient space",
	StatusDuplicateExists:      "duplicate exists",
	StatusNotFound:             "not found",
	StatusUnreportable:         "unreportable attribute",
	StatusInvalidDataType:      "invalid data type",
	StatusInvalidSelector:      "invalid selector",
	StatusWriteOnly:            "write only",
	StatusInconsistent:         "inconsistent startup state",
	StatusActionDenied:         "action denied",
	StatusTimeout:              "timeout",
	StatusAbort:                "abort",
	StatusInvalidImage:         "invalid image",
	StatusWaitForData:          "wait for data",
	StatusNoImageAvailable:     "no image available",
	StatusRequireMoreImage:     "require more image",
	StatusNotificationPending:  "notification pending",
	StatusHardwareFailure:      "hardware failure",
	StatusSoftwareFailure:      "software failure",
	StatusUnsupportedCluster:   "unsupported cluster",
	StatusLimitReached:         "limit reached",
}

// String names the status; an unnamed one is given as its number.
func (s Status) String() string {
	if name, ok := statusNames[s]; ok {
		return name
	}
	return fmt.Sprintf("status 0x%02x", uint8(s))
}
