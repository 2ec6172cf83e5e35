package backup

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// The members of the document in the order they are written.
type document struct {
	Metadata      metadata      `json:"metadata"`
	StackSpecific stackSpecific `json:"stack_specific"`
	Coordinator   string        `json:"coordinator_ieee"`
	PAN           string        `json:"pan_id"`
	ExtendedPAN   string        `json:"extended_pan_id"`
	UpdateID      uint8         `json:"nwk_update_id"`
	SecurityLevel uint8         `json:"security_level"`
	Channel       uint8         `json:"channel"`
	ChannelMask   []int         `json:"channel_mask"`
	NetworkKey    networkKey    `json:"network_key"`
	Devices       []device      `json:"devices"`
}

type metadata struct {
	Format   string   `json:"format"`
	Version  int      `json:"version"`
	Source   string   `json:"source"`
	Internal internal `json:"internal"`
}

type internal struct {
	Date       string `json:"date,omitempty"`
	ZNPVersion *uint8 `json:"znpVersion,omitempty"`
}

type stackSpecific struct {
	ZStack *zstackSpecific `json:"zstack,omitempty"`
	EZSP   *ezspSpecific   `json:"ezsp,omitempty"`
}

type zstackSpecific struct {
	TCLKSeed string `json:"tclk_seed"`
}

type ezspSpecific struct {
	HashedTCLK string `json:"hashed_tclk"`
}

type networkKey struct {
	Key          string `json:"key"`
	Sequence     uint8  `json:"sequence_number"`
	FrameCounter uint32 `json:"frame_counter"`
}

type device struct {
	Network *string  `json:"nwk_address"` // null: not known
	IEEE    string   `json:"ieee_address"`
	Child   *bool    `json:"is_child,omitempty"`
	LinkKey *linkKey `json:"link_key,omitempty"`
}

type linkKey struct {
	Key       string `json:"key"`
	RxCounter uint32 `json:"rx_counter"`
	TxCounter uint32 `json:"tx_counter"`
}

// Append appends the document as indented JSON that ends with a newline. The same document always gives the same
// bytes, and Parse reads them back. A document that Check refuses is not written.
func Append(b []byte, d Document) ([]byte, error) {
	if err := d.Check(); err != nil {
		return b, err
	}
	text, err := json.MarshalIndent(wire(d), "", "  ")
	if err != nil {
		return b, fmt.Errorf("write the backup: %w", err)
	}
	return append(append(b, text...), '\n'), nil
}

func wire(d Document) document {
	out := document{
		Metadata: metadata{
			Format: formatName, Version: formatVersion, Source: d.Source, Internal: internal{ZNPVersion: d.ZNPVersion},
		},
		Coordinator:   fmt.Sprintf("%016x", uint64(d.Coordinator)),
		PAN:           fmt.Sprintf("%04x", uint16(d.PAN)),
		ExtendedPAN:   fmt.Sprintf("%016x", uint64(d.ExtendedPAN)),
		UpdateID:      d.UpdateID,
		SecurityLevel: d.SecurityLevel,
		Channel:       d.Channel,
		NetworkKey: networkKey{
			Key: keyText(d.NetworkKey.Key), Sequence: d.NetworkKey.Sequence, FrameCounter: d.NetworkKey.FrameCounter,
		},
		Devices: make([]device, 0, len(d.Devices)),
	}
	if !d.Written.IsZero() {
		out.Metadata.Internal.Date = d.Written.UTC().Format(time.RFC3339Nano)
	}
	if d.TCLKSeed != nil {
		out.StackSpecific.ZStack = &zstackSpecific{keyText(*d.TCLKSeed)}
	}
	if d.HashedTCLK != nil {
		out.StackSpecific.EZSP = &ezspSpecific{keyText(*d.HashedTCLK)}
	}
	for channel := 11; channel <= 26; channel++ {
		if d.ChannelMask&(1<<channel) != 0 {
			out.ChannelMask = append(out.ChannelMask, channel)
		}
	}
	for _, member := range d.Devices {
		out.Devices = append(out.Devices, wireDevice(member))
	}
	return out
}

func wireDevice(d Device) device {
	out := device{IEEE: fmt.Sprintf("%016x", uint64(d.IEEE)), Child: d.Child}
	if d.Network != NoAddress {
		address := fmt.Sprintf("%04x", uint16(d.Network))
		out.Network = &address
	}
	if k := d.LinkKey; k != nil {
		out.LinkKey = &linkKey{Key: keyText(k.Key), RxCounter: k.RxCounter, TxCounter: k.TxCounter}
	}
	return out
}

func keyText(k Key) string { return hex.EncodeToString(k[:]) }
