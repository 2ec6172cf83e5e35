package backup

import (
	"fmt"

	zb "github.com/shimmeringbee/zigbee"
)

const (
	channelsOf24GHz = 0x07FFF800 // channels 11 to 26
	allOnes         = 0xFFFFFFFFFFFFFFFF
)

// Check reports why the document cannot be of a network that works: the *FieldError of the first field that is
// out of range.
func (d Document) Check() error {
	if _, err := withoutCopies(d.Devices); err != nil {
		return err
	}
	return d.check()
}

func (d Document) check() error {
	for _, c := range []struct {
		bad            bool
		field, problem string
	}{
		{noAddress(d.Coordinator), "coordinator_ieee", "is no address of a device"},
		{d.PAN == 0xFFFF, "pan_id", "is ffff, which no network has"},
		{d.ExtendedPAN == 0 || d.ExtendedPAN == allOnes, "extended_pan_id", "is one that no network has"},
		{d.SecurityLevel > 7, "security_level", "is above 7"},
		{d.Channel < 11 || d.Channel > 26, "channel", "is not 11 to 26"},
		{d.ChannelMask&^channelsOf24GHz != 0, "channel_mask", "has channels outside 11 to 26"},
		{d.ChannelMask == 0, "channel_mask", "is empty"},
		{d.NetworkKey.Key.IsZero(), "network_key.key", "is all zeros, which is no key"},
	} {
		if c.bad {
			return &FieldError{Field: c.field, Problem: c.problem}
		}
	}
	for i, device := range d.Devices {
		if noAddress(device.IEEE) {
			return &FieldError{Field: fmt.Sprintf("devices[%d].ieee_address", i), Problem: "is no address of a device"}
		}
	}
	return nil
}

func noAddress(a zb.IEEEAddress) bool { return a == 0 || a == allOnes }

// withoutCopies leaves a device out that is listed again with the same content. Two that differ are refused: which
// of them is the device cannot be told.
func withoutCopies(list []Device) ([]Device, error) {
	var out []Device
	first := make(map[zb.IEEEAddress]Device, len(list))
	for i, device := range list {
		was, again := first[device.IEEE]
		switch {
		case !again:
			first[device.IEEE] = device
			out = append(out, device)
		case !sameDevice(was, device) || !equal(was.LinkKey, device.LinkKey):
			return nil, &FieldError{
				Field:   fmt.Sprintf("devices[%d].ieee_address", i),
				Problem: fmt.Sprintf("is %016x, which an earlier device has with other content", uint64(device.IEEE)),
			}
		}
	}
	return out, nil
}
