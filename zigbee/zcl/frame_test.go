package zcl

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// frames were quoted in public issues.
var frames = []struct {
	source, hex string
	want        Frame
}{
	{
		"https://github.com/Koenkk/zigbee2mqtt/issues/20130",
		"1808" + "0a" + "000029f303140028ff1000297f27",
		Frame{FromServer: true, DisableDefaultResponse: true, Seq: 8, Command: CommandReportAttributes, Payload: []byte{0x00, 0x00, 0x29, 0xf3, 0x03, 0x14, 0x00, 0x28, 0xff, 0x10, 0x00, 0x29, 0x7f, 0x27}},
	},
	{
		"https://github.com/Koenkk/zigbee-herdsman-converters/issues/6816",
		"1943" + "00" + "000000170000",
		Frame{Type: ClusterSpecific, FromServer: true, DisableDefaultResponse: true, Seq: 0x43, Command: CommandZoneStatusChange, Payload: []byte{0, 0, 0, 0x17, 0, 0}},
	},
	{
		"https://github.com/zigpy/zha-device-handlers tests/test_inovelli_blue.py",
		"152f12" + "05" + "00" + "0300",
		Frame{Type: ClusterSpecific, Manufacturer: 0x122f, DisableDefaultResponse: true, Seq: 5, Command: 0, Payload: []byte{3, 0}},
	},
}

func TestFrames(t *testing.T) {
	for _, tt := range frames {
		b := unhex(t, tt.hex)
		got, err := Decode(b)
		if err != nil {
			t.Errorf("%s: %v", tt.hex, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.hex, diff)
		}
		if out := got.Append(nil); hex.EncodeToString(out) != tt.hex {
			t.Errorf("encoded %x, want %s", out, tt.hex)
		}
		for cut := range len(b) - len(tt.want.Payload) {
			if _, err := Decode(b[:cut]); !errors.Is(err, ErrShort) {
				t.Errorf("%s cut to %d bytes: %v, want ErrShort", tt.hex, cut, err)
			}
		}
	}
	if f, err := Decode([]byte{0x02, 1, 2}); err == nil {
		t.Errorf("reserved frame type decoded as %+v", f)
	}
}

func TestReply(t *testing.T) {
	request := Frame{Type: ClusterSpecific, Manufacturer: 0x1234, FromServer: true, Seq: 9, Command: CommandZoneEnrollRequest, Payload: []byte{1}}
	want := Frame{Type: ClusterSpecific, Manufacturer: 0x1234, DisableDefaultResponse: true, Seq: 9, Command: CommandZoneEnrollResponse, Payload: []byte{0, 23}}
	if diff := cmp.Diff(want, request.Reply(CommandZoneEnrollResponse, []byte{0, 23})); diff != "" {
		t.Error(diff)
	}
}

func FuzzFrame(f *testing.F) {
	for _, tt := range frames {
		f.Add(unhex(f, tt.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(frame.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(frame, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
