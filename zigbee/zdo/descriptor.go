package zdo

import (
	"encoding/binary"
	"fmt"

	zb "github.com/shimmeringbee/zigbee"
)

// NodeDescriptorSize is the encoded size of a NodeDescriptor in bytes.
const NodeDescriptorSize = 13

// NodeDescriptor says what a node is as a whole (R22 section 2.3.2.3).
type NodeDescriptor struct {
	LogicalType         zb.LogicalType // 3 bits
	ComplexDescriptor   bool
	UserDescriptor      bool
	Reserved            uint8 // 3 bits; bit 0 is "fragmentation supported" from R23 on
	APSFlags            uint8 // 3 bits
	FrequencyBand       uint8 // 5 bits; FrequencyBand2400MHz
	Capability          Capability
	ManufacturerCode    zb.ManufacturerCode
	MaxBufferSize       uint8  // bytes of an NSDU
	MaxIncomingTransfer uint16 // bytes of an ASDU
	ServerMask          uint16
	MaxOutgoingTransfer uint16 // bytes of an ASDU
	DescriptorFlags     uint8
}

// FrequencyBand2400MHz is the 2.4 GHz bit of NodeDescriptor.FrequencyBand.
const FrequencyBand2400MHz = 0x08

// Append adds the NodeDescriptorSize bytes of the descriptor.
func (d NodeDescriptor) Append(dst []byte) []byte {
	first := byte(d.LogicalType)&0x07 | d.Reserved<<5
	if d.ComplexDescriptor {
		first |= 1 << 3
	}
	if d.UserDescriptor {
		first |= 1 << 4
	}
	dst = append(dst, first, d.APSFlags&0x07|d.FrequencyBand<<3, byte(d.Capability))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(d.ManufacturerCode))
	dst = append(dst, d.MaxBufferSize)
	dst = binary.LittleEndian.AppendUint16(dst, d.MaxIncomingTransfer)
	dst = binary.LittleEndian.AppendUint16(dst, d.ServerMask)
	dst = binary.LittleEndian.AppendUint16(dst, d.MaxOutgoingTransfer)
	return append(dst, d.DescriptorFlags)
}

// DecodeNodeDescriptor reads a node descriptor; bytes behind it are ignored. The error is ErrShort.
func DecodeNodeDescriptor(b []byte) (NodeDescriptor, error) {
	if len(b) < NodeDescriptorSize {
		return NodeDescriptor{}, fmt.Errorf("decode node descriptor of %d bytes: %w", len(b), ErrShort)
	}
	return NodeDescriptor{
		LogicalType:         zb.LogicalType(b[0] & 0x07),
		ComplexDescriptor:   b[0]&(1<<3) != 0,
		UserDescriptor:      b[0]&(1<<4) != 0,
		Reserved:            b[0] >> 5,
		APSFlags:            b[1] & 0x07,
		FrequencyBand:       b[1] >> 3,
		Capability:          Capability(b[2]),
		ManufacturerCode:    zb.ManufacturerCode(binary.LittleEndian.Uint16(b[3:])),
		MaxBufferSize:       b[5],
		MaxIncomingTransfer: binary.LittleEndian.Uint16(b[6:]),
		ServerMask:          binary.LittleEndian.Uint16(b[8:]),
		MaxOutgoingTransfer: binary.LittleEndian.Uint16(b[10:]),
		DescriptorFlags:     b[12],
	}, nil
}

// SimpleDescriptor says what one endpoint offers (R22 section 2.3.2.5).
type SimpleDescriptor struct {
	Endpoint      zb.Endpoint
	Profile       zb.ProfileID
	DeviceType    uint16
	DeviceVersion uint8 // 4 bits used, 4 reserved
	InClusters    []zb.ClusterID
	OutClusters   []zb.ClusterID
}

// Append adds the descriptor as it stands in Simple_Desc_rsp behind its length byte. Of a cluster list longer
// than 255 the first 255 are written: the count is one byte.
func (d SimpleDescriptor) Append(dst []byte) []byte {
	dst = append(dst, byte(d.Endpoint))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(d.Profile))
	dst = binary.LittleEndian.AppendUint16(dst, d.DeviceType)
	dst = append(dst, d.DeviceVersion)
	dst = appendClusters(dst, d.InClusters)
	return appendClusters(dst, d.OutClusters)
}

// DecodeSimpleDescriptor reads a descriptor as it stands behind the length byte of Simple_Desc_rsp; bytes
// behind it are ignored. Some devices cut their cluster lists short: with ErrShort the descriptor holds what
// was readable.
func DecodeSimpleDescriptor(b []byte) (SimpleDescriptor, error) {
	if len(b) < 6 {
		return SimpleDescriptor{}, fmt.Errorf("decode simple descriptor of %d bytes: %w", len(b), ErrShort)
	}
	d := SimpleDescriptor{
		Endpoint:      zb.Endpoint(b[0]),
		Profile:       zb.ProfileID(binary.LittleEndian.Uint16(b[1:])),
		DeviceType:    binary.LittleEndian.Uint16(b[3:]),
		DeviceVersion: b[5],
	}
	rest, inErr := b[6:], error(nil)
	if d.InClusters, rest, inErr = decodeClusters(rest); inErr != nil {
		return d, fmt.Errorf("decode simple descriptor's input clusters: %w", inErr)
	}
	var err error
	if d.OutClusters, _, err = decodeClusters(rest); err != nil {
		return d, fmt.Errorf("decode simple descriptor's output clusters: %w", err)
	}
	return d, nil
}

func appendClusters(dst []byte, clusters []zb.ClusterID) []byte {
	clusters = clusters[:min(len(clusters), 0xff)]
	dst = append(dst, byte(len(clusters)))
	for _, c := range clusters {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(c))
	}
	return dst
}

func decodeClusters(b []byte) (clusters []zb.ClusterID, rest []byte, err error) {
	if len(b) < 1 {
		return nil, nil, ErrShort
	}
	n, b := int(b[0]), b[1:]
	for ; n > 0 && len(b) >= 2; n-- {
		clusters = append(clusters, zb.ClusterID(binary.LittleEndian.Uint16(b)))
		b = b[2:]
	}
	if n > 0 {
		return clusters, nil, ErrShort
	}
	return clusters, b, nil
}
