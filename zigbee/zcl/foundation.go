package zcl

import (
	"encoding/binary"
	"fmt"
)

// DefaultResponse is the answer to a command that has no answer of its own (ZCL section 2.5.12).
type DefaultResponse struct {
	Command uint8 // the command answered
	Status  Status
}

// Append adds the payload of a default response.
func (r DefaultResponse) Append(dst []byte) []byte { return append(dst, r.Command, byte(r.Status)) }

// DecodeDefaultResponse reads the payload of a default response. The error is ErrShort.
func DecodeDefaultResponse(b []byte) (DefaultResponse, error) {
	if len(b) < 2 {
		return DefaultResponse{}, fmt.Errorf("decode default response: %w", ErrShort)
	}
	return DefaultResponse{Command: b[0], Status: Status(b[1])}, nil
}

// DiscoverRequest asks which attributes a cluster has (ZCL section 2.5.13).
type DiscoverRequest struct {
	Start uint16 // first attribute to list
	Max   uint8  // how many at most
}

// Append adds the payload of a discover attributes command.
func (r DiscoverRequest) Append(dst []byte) []byte {
	return append(binary.LittleEndian.AppendUint16(dst, r.Start), r.Max)
}

// DecodeDiscoverRequest reads the payload of a discover attributes command. The error is ErrShort.
func DecodeDiscoverRequest(b []byte) (DiscoverRequest, error) {
	if len(b) < 3 {
		return DiscoverRequest{}, fmt.Errorf("decode discover request: %w", ErrShort)
	}
	return DiscoverRequest{Start: binary.LittleEndian.Uint16(b), Max: b[2]}, nil
}

// DiscoverResponse lists attributes in ascending order.
type DiscoverResponse struct {
	Complete   bool // no attribute lies above the last one listed
	Attributes []AttributeType
}

// AttributeType names an attribute and the type of its value.
type AttributeType struct {
	ID   uint16
	Type DataType
}

// Append adds the payload of a discover attributes response.
func (r DiscoverResponse) Append(dst []byte) []byte {
	dst = append(dst, boolByte(r.Complete))
	for _, a := range r.Attributes {
		dst = append(binary.LittleEndian.AppendUint16(dst, a.ID), byte(a.Type))
	}
	return dst
}

// DecodeDiscoverResponse reads the payload of a discover attributes response. The error is ErrShort.
func DecodeDiscoverResponse(b []byte) (DiscoverResponse, error) {
	if len(b) < 1 || (len(b)-1)%3 != 0 {
		return DiscoverResponse{}, fmt.Errorf("decode discover response of %d bytes: %w", len(b), ErrShort)
	}
	r := DiscoverResponse{Complete: b[0] != 0}
	for b = b[1:]; len(b) > 0; b = b[3:] {
		r.Attributes = append(r.Attributes, AttributeType{binary.LittleEndian.Uint16(b), DataType(b[2])})
	}
	return r, nil
}
