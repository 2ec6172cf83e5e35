package znp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

// Items of the stick's NV memory (ZComDef.h of Z-Stack 3).
const (
	nvStartupOption    uint16 = 0x0003
	nvNIB              uint16 = 0x0021
	nvAddressManager   uint16 = 0x0023 // where there is no table for it
	nvExtendedPAN      uint16 = 0x002D
	nvBcastDelivery    uint16 = 0x0030
	nvConcentrator     uint16 = 0x0032
	nvConcDiscovery    uint16 = 0x0033
	nvConcRouteCache   uint16 = 0x0036
	nvSrcRtgExpiry     uint16 = 0x0038
	nvActiveKey        uint16 = 0x003A
	nvChildAge         uint16 = 0x003E
	nvUseExtendedPAN   uint16 = 0x0047
	nvAPSLinkKeys      uint16 = 0x004C
	nvOnNetwork        uint16 = 0x0055
	nvHasConfigured    uint16 = 0x0060
	nvPreconfiguredKey uint16 = 0x0062
	nvKeysEnable       uint16 = 0x0063
	nvNetworkKey       uint16 = 0x0082
	nvPAN              uint16 = 0x0083
	nvChannels         uint16 = 0x0084
	nvLogicalType      uint16 = 0x0087
	nvDirectCallback   uint16 = 0x008F
	nvTCLKSeed         uint16 = 0x0101
)

// configuredMark is what nvHasConfigured holds after a complete forming.
const configuredMark = 0x55

// nvRead gives a whole item of at most 248 bytes, nil when it does not exist.
func (l *link) nvRead(ctx context.Context, item uint16) ([]byte, error) {
	var rsp mt.NVReadExtRsp
	if err := l.query(ctx, &mt.NVReadExt{Item: item}, &rsp); err != nil {
		return nil, fmt.Errorf("read NV item 0x%04x: %w", item, err)
	}
	if rsp.Status != mt.Success {
		return nil, nil
	}
	return rsp.Value, nil
}

// nvWrite stores an item of at most 240 bytes, creates it when needed, and reads it back.
func (l *link) nvWrite(ctx context.Context, item uint16, value []byte) error {
	created := mt.StatusRsp{Of: (&mt.NVItemInit{}).Command()}
	req := mt.NVItemInit{Item: item, Length: uint16(len(value)), Value: value}
	if err := l.request(ctx, &req, &created); err != nil {
		return fmt.Errorf("create NV item 0x%04x: %w", item, err)
	}
	if created.Status != mt.NVItemCreated {
		if err := statusErr(fmt.Sprintf("create NV item 0x%04x", item), created.Status); err != nil {
			return err
		}
		if err := l.command(ctx, &mt.NVWriteExt{Item: item, Value: value}); err != nil {
			return fmt.Errorf("write NV item 0x%04x: %w", item, err)
		}
	}
	got, err := l.nvRead(ctx, item)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, value) {
		return fmt.Errorf("NV item 0x%04x was written but reads back differently", item)
	}
	return nil
}

// alignment tells how the firmware's compiler lays out structures.
type alignment int

const (
	alignmentUnknown alignment = iota
	packed                     // CC253x
	aligned                    // ARM
)

// alignmentOf judges by the length of the network key item.
func alignmentOf(keyItemLength uint16) alignment {
	switch keyItemLength {
	case 21:
		return packed
	case 24:
		return aligned
	default:
		return alignmentUnknown
	}
}

// nib is the part of the network information base that another stick would have to hold, too.
type nib struct {
	securityLevel uint8
	channel       uint8
	pan           zb.PANID
	channelMask   uint32
	extendedPAN   zb.ExtendedPANID
	updateID      uint8
}

// nibLayout gives the offsets of a NIB's fields; the bytes differ with the compiler's alignment.
type nibLayout struct{ size, securityLevel, channel, pan, channelMask, extendedPAN, updateID int }

var (
	nibPacked  = nibLayout{size: 110, securityLevel: 12, channel: 22, pan: 33, channelMask: 36, extendedPAN: 53, updateID: 109}
	nibAligned = nibLayout{size: 116, securityLevel: 12, channel: 24, pan: 36, channelMask: 40, extendedPAN: 57, updateID: 114}
)

// parseNIB reads a NIB item; false when it is none or describes no formed network.
func parseNIB(b []byte) (nib, bool) {
	layout := nibAligned
	if len(b) == nibPacked.size {
		layout = nibPacked
	}
	if len(b) < layout.size {
		return nib{}, false
	}
	n := nib{
		securityLevel: b[layout.securityLevel],
		channel:       b[layout.channel],
		pan:           zb.PANID(binary.LittleEndian.Uint16(b[layout.pan:])),
		channelMask:   binary.LittleEndian.Uint32(b[layout.channelMask:]),
		extendedPAN:   zb.ExtendedPANID(binary.LittleEndian.Uint64(b[layout.extendedPAN:])),
		updateID:      b[layout.updateID],
	}
	return n, n.pan != 0xFFFF && n.channel >= 11 && n.channel <= 26
}

// keySum identifies a network key without telling it.
func keySum(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// activeKey takes the key out of the active key item: sequence number, then 16 bytes.
func activeKey(item []byte) ([]byte, bool) {
	if len(item) < 17 {
		return nil, false
	}
	key := item[1:17]
	return key, !bytes.Equal(key, make([]byte, 16))
}
