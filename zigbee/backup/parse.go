package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	zb "github.com/shimmeringbee/zigbee"
)

const (
	// MaxSize bounds a document in bytes; one of 1,000 devices takes 250 kB.
	MaxSize = 1 << 20

	formatName    = "zigpy/open-coordinator-backup"
	formatVersion = 1
)

// Parse reads a document. What zigbee2mqtt and zigpy write is accepted: hex without leading zeros, devices without
// an address or a link key, members nobody knows. Everything else that is no valid backup gives a *FieldError, or
// one of this package's other errors.
func Parse(b []byte) (Document, error) {
	root, err := decode(b)
	if err != nil {
		return Document{}, err
	}
	r := &reader{}
	top := node{r: r, value: root}
	if err := recognise(top); err != nil {
		return Document{}, err
	}
	d := readDocument(top)
	if r.err != nil {
		return Document{}, r.err
	}
	if d.Devices, err = withoutCopies(d.Devices); err != nil {
		return Document{}, err
	}
	return d, d.check()
}

func decode(b []byte) (any, error) {
	if bytes.HasPrefix(b, []byte("age-encryption.org/")) || bytes.HasPrefix(b, []byte("-----BEGIN AGE ENCRYPTED FILE")) {
		return nil, ErrEncrypted
	}
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrForeign, MaxSize)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var root any
	err := dec.Decode(&root)
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, ErrTruncated
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("%w: no JSON at byte %d", ErrForeign, syntax.Offset)
	case err != nil:
		return nil, fmt.Errorf("%w: no JSON", ErrForeign)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more follows after the document", ErrForeign)
	}
	return root, nil
}

// recognise looks whether the document is of this format at all, before any field is judged.
func recognise(top node) error {
	object, ok := top.value.(map[string]any)
	if !ok {
		return ErrForeign
	}
	metadata, ok := object["metadata"].(map[string]any)
	if !ok || metadata["format"] != formatName {
		return ErrForeign
	}
	version := node{r: top.r, path: "metadata.version", value: metadata["version"]}
	if v := version.number(0, math.MaxUint32); top.r.err == nil && v != formatVersion {
		return fmt.Errorf("%w, this one is version %d", ErrVersion, v)
	}
	return top.r.err
}

func readDocument(top node) Document {
	metadata, stack := top.field("metadata"), top.field("stack_specific")
	key := top.field("network_key")
	d := Document{
		Coordinator:   zb.IEEEAddress(top.field("coordinator_ieee").id(8)),
		PAN:           zb.PANID(top.field("pan_id").id(2)),
		ExtendedPAN:   zb.ExtendedPANID(top.field("extended_pan_id").id(8)),
		UpdateID:      uint8(top.field("nwk_update_id").number(0, math.MaxUint8)),
		SecurityLevel: uint8(top.field("security_level").number(0, 7)),
		Channel:       uint8(top.field("channel").number(11, 26)),
		NetworkKey: NetworkKey{
			Key:          key.field("key").key(),
			Sequence:     uint8(key.field("sequence_number").number(0, math.MaxUint8)),
			FrameCounter: uint32(key.field("frame_counter").number(0, math.MaxUint32)),
		},
		TCLKSeed:   stack.optional("zstack").optional("tclk_seed").optionalKey(),
		HashedTCLK: stack.optional("ezsp").optional("hashed_tclk").optionalKey(),
	}
	for _, c := range top.field("channel_mask").list() {
		d.ChannelMask |= 1 << c.number(11, 26)
	}
	readMetadata(&d, metadata)
	for _, n := range top.field("devices").list() {
		d.Devices = append(d.Devices, readDevice(n))
	}
	return d
}

// readMetadata takes who wrote the document and when, which nothing depends on, as far as it can be read.
func readMetadata(d *Document, metadata node) {
	object, _ := metadata.value.(map[string]any)
	d.Source, _ = object["source"].(string)
	internal, _ := object["internal"].(map[string]any)
	for _, name := range []string{"date", "creation_time"} {
		text, _ := internal[name].(string)
		if t, err := time.Parse(time.RFC3339Nano, text); err == nil && d.Written.IsZero() && t.UTC().Year() >= 0 && t.UTC().Year() <= 9999 {
			d.Written = t.UTC()
		}
	}
	if number, ok := internal["znpVersion"].(json.Number); ok {
		if v, err := number.Int64(); err == nil && v >= 0 && v <= math.MaxUint8 {
			version := uint8(v)
			d.ZNPVersion = &version
		}
	}
}

func readDevice(n node) Device {
	d := Device{
		IEEE: zb.IEEEAddress(n.field("ieee_address").id(8)), Network: NoAddress, Child: n.field("is_child").flag(),
	}
	if address := n.field("nwk_address"); address.value != nil {
		d.Network = zb.NetworkAddress(address.id(2))
	}
	if key := n.field("link_key"); key.value != nil {
		d.LinkKey = &LinkKey{
			Key:       key.field("key").key(),
			TxCounter: uint32(key.field("tx_counter").number(0, math.MaxUint32)),
			RxCounter: uint32(key.field("rx_counter").number(0, math.MaxUint32)),
		}
	}
	return d
}
