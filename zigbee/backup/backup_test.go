package backup_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/peerbee/peerbee/zigbee/backup"
)

func samplePath() string {
	dir := os.Getenv("PEERBEE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	return filepath.Join(dir, "zigbee", "coordinator-backup-sample.json")
}

// sample gives the published document, or skips the test.
func sample(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(samplePath())
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the recorded data is not here: set PEERBEE_SHARED to its folder")
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ptr[T any](v T) *T { return &v }

func key(b byte) backup.Key { return backup.Key(bytes.Repeat([]byte{b}, 16)) }

// whole has every member, each with a value of its own.
func whole() backup.Document {
	return backup.Document{
		Source: "peerbee@1.0", Written: time.Date(2026, 3, 4, 5, 6, 7, 800e6, time.UTC), ZNPVersion: ptr(uint8(1)),
		Coordinator: 0x00124b0001020304, PAN: 0x0a62, ExtendedPAN: 0x0dddddddddddddd1, UpdateID: 3, SecurityLevel: 5,
		Channel: 15, ChannelMask: 1<<15 | 1<<26,
		NetworkKey: backup.NetworkKey{Key: key(0xA5), Sequence: 2, FrameCounter: 108522},
		TCLKSeed:   ptr(key(0xB6)), HashedTCLK: ptr(key(0xC7)),
		Devices: []backup.Device{
			{IEEE: 0x00158d0000000001, Network: 0x0012, Child: ptr(true), LinkKey: &backup.LinkKey{Key: key(0xD8), TxCounter: 7, RxCounter: 9}},
			{IEEE: 0x00158d0000000002, Network: backup.NoAddress},
		},
	}
}

func written(t testing.TB, d backup.Document) string {
	t.Helper()
	b, err := backup.Append(nil, d)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSampleRoundTrip(t *testing.T) {
	original := sample(t)
	d, err := backup.Parse(original)
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := json.Unmarshal(original, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(written(t, d)), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if d.Coordinator != 0x00124b0009d80ba7 || d.PAN != 0xcd0a || d.Channel != 21 || d.ChannelMask != 1<<21 || len(d.Devices) != 6 {
		t.Errorf("read as %s", d)
	}
}

func TestWholeRoundTrip(t *testing.T) {
	text := written(t, whole())
	got, err := backup.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole(), got); diff != "" {
		t.Error(diff)
	}
	if again := written(t, got); again != text {
		t.Errorf("written differently the second time:\n%s\n%s", text, again)
	}
	for _, want := range []string{
		`"coordinator_ieee": "00124b0001020304"`, `"pan_id": "0a62"`, `"extended_pan_id": "0dddddddddddddd1"`,
		`"nwk_address": "0012"`, `"nwk_address": null`, `"date": "2026-03-04T05:06:07.8Z"`, `"key": "` + strings.Repeat("a5", 16) + `"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// change gives the text of whole with one piece replaced, and fails the test when it is not there.
func change(t testing.TB, from, to string) string {
	t.Helper()
	text := written(t, whole())
	if !strings.Contains(text, from) {
		t.Fatalf("no %s in\n%s", from, text)
	}
	return strings.Replace(text, from, to, 1)
}

// TestRealPrograms has what zigbee2mqtt and zigpy write.
func TestRealPrograms(t *testing.T) {
	for _, c := range []struct {
		name, from, to string
		want           func(*backup.Document)
	}{
		{"unpadded PAN", `"0a62"`, `"a62"`, func(*backup.Document) {}},
		{"unpadded short address", `"0012"`, `"12"`, func(*backup.Document) {}},
		{"unpadded extended PAN", `"0dddddddddddddd1"`, `"dddddddddddddd1"`, func(*backup.Document) {}},
		{"unpadded coordinator", `"00124b0001020304"`, `"124b0001020304"`, func(*backup.Document) {}},
		{"capitals", `"0a62"`, `"0A62"`, func(*backup.Document) {}},
		{"zigpy's name for the date", `"date"`, `"creation_time"`, func(*backup.Document) {}},
		{"a date with a zone", `"2026-03-04T05:06:07.8Z"`, `"2026-03-04T06:06:07.800000+01:00"`, func(*backup.Document) {}},
		{"no date", `"date"`, `"other"`, func(d *backup.Document) { d.Written = time.Time{} }},
		{"a member nobody knows", `"metadata": {`, `"more": [1.5e9, null], "metadata": {`, func(*backup.Document) {}},
		{"no address member", `"nwk_address": null,`, ``, func(*backup.Document) {}},
		{"an empty link key", `"is_child": true`, `"is_child": null`, func(d *backup.Document) { d.Devices[0].Child = nil }},
		{"no stack", `"stack_specific"`, `"unspecific"`, func(d *backup.Document) { d.TCLKSeed, d.HashedTCLK = nil, nil }},
		{"another stack", `"zstack"`, `"deconz"`, func(d *backup.Document) { d.TCLKSeed = nil }},
		{
			"a device twice", `"devices": [`,
			`"devices": [{"nwk_address": null, "ieee_address": "00158d0000000002"},`,
			func(d *backup.Document) { d.Devices[0], d.Devices[1] = d.Devices[1], d.Devices[0] },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := backup.Parse([]byte(change(t, c.from, c.to)))
			if err != nil {
				t.Fatal(err)
			}
			want := whole()
			c.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefusedFields(t *testing.T) {
	secret := strings.Repeat("a5", 16)
	for _, c := range []struct{ from, to, field, says string }{
		{`"0a62"`, `2658`, "pan_id", "is a number, expected 4 hex digits"},
		{`"0a62"`, `"0x0a"`, "pan_id", `is "0x0a"`},
		{`"0a62"`, `"10a62"`, "pan_id", `is "10a62"`},
		{`"0a62"`, `"00a62"`, "pan_id", `is "00a62"`},
		{`"0a62"`, `"+a62"`, "pan_id", `is "+a62"`},
		{`"0a62"`, `""`, "pan_id", `is ""`},
		{`"0a62"`, `"ffff"`, "pan_id", "which no network has"},
		{`"pan_id"`, `"panid"`, "pan_id", "is missing"},
		{`"0dddddddddddddd1"`, `"0000000000000000"`, "extended_pan_id", "no network has"},
		{`"00124b0001020304"`, `"ffffffffffffffff"`, "coordinator_ieee", "no address"},
		{`"00124b0001020304"`, `["00124b0001020304"]`, "coordinator_ieee", "is a list"},
		{`"channel": 15`, `"channel": 27`, "channel", "is 27, expected a whole number from 11 to 26"},
		{`"channel": 15`, `"channel": 15.0`, "channel", "is 15.0"},
		{`"channel": 15`, `"channel": -15`, "channel", "is -15"},
		{`"channel": 15`, `"channel": "15"`, "channel", "is text, expected a number"},
		{`"channel_mask": [`, `"channel_mask": [0,`, "channel_mask[0]", "is 0"},
		{`"channel_mask"`, `"channels"`, "channel_mask", "is missing"},
		{`"nwk_update_id": 3`, `"nwk_update_id": 256`, "nwk_update_id", "is 256"},
		{`"security_level": 5`, `"security_level": 8`, "security_level", "is 8"},
		{`"sequence_number": 2`, `"sequence_number": 256`, "network_key.sequence_number", "is 256"},
		{`"frame_counter": 108522`, `"frame_counter": 4294967296`, "network_key.frame_counter", "is 4294967296"},
		{`"frame_counter": 108522`, `"frame_counter": null`, "network_key.frame_counter", "is missing"},
		{`"network_key": {`, `"network_key": 5, "was": {`, "network_key", "is a number, expected an object"},
		{`"` + secret, `"` + secret[1:], "network_key.key", "is not a key"},
		{`"` + secret, `"z` + secret[1:], "network_key.key", "is not a key"},
		{`"` + secret, `"` + strings.Repeat("0", 32), "network_key.key", "all zeros"},
		{`"zstack": {`, `"zstack": "", "was": {`, "stack_specific.zstack", "is text"},
		{`"tclk_seed": "`, `"tclk_seed": "0`, "stack_specific.zstack.tclk_seed", "is not a key"},
		{`"devices": [`, `"devices": 2, "were": [`, "devices", "is a number, expected a list"},
		{`"devices": [`, `"devices": [null,`, "devices[0]", "is missing"},
		{`"00158d0000000002"`, `""`, "devices[1].ieee_address", `is ""`},
		{`"00158d0000000002"`, `"00158d0000000001"`, "devices[1].ieee_address", "an earlier device has"},
		{`"00158d0000000002"`, `"0"`, "devices[1].ieee_address", "no address"},
		{`"0012"`, `18`, "devices[0].nwk_address", "is a number"},
		{`"is_child": true`, `"is_child": 1`, "devices[0].is_child", "is a number"},
		{`"tx_counter": 7`, `"tx_counter": "7"`, "devices[0].link_key.tx_counter", "is text"},
		{`"rx_counter": 9`, `"rx": 9`, "devices[0].link_key.rx_counter", "is missing"},
		{`"` + strings.Repeat("d8", 16), `"`, "devices[0].link_key.key", "is not a key"},
		{`"version": 1`, `"version": "1"`, "metadata.version", "is text"},
	} {
		t.Run(c.field+" "+c.to, func(t *testing.T) {
			_, err := backup.Parse([]byte(change(t, c.from, c.to)))
			var field *backup.FieldError
			if !errors.As(err, &field) || field.Field != c.field || !strings.Contains(field.Problem, c.says) {
				t.Errorf("got %v, want %s: %s", err, c.field, c.says)
			}
			if err != nil && strings.Contains(err.Error(), secret[4:28]) {
				t.Errorf("tells a key: %v", err)
			}
		})
	}
}

func TestForeign(t *testing.T) {
	text := written(t, whole())
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"nothing", "", backup.ErrTruncated},
		{"half", text[:len(text)/2], backup.ErrTruncated},
		{"all but the end", text[:len(text)-2], backup.ErrTruncated},
		{"a picture", "\x89PNG\r\n\x1a\n", backup.ErrForeign},
		{"a configuration", "serial:\n  port: /dev/ttyUSB0\n", backup.ErrForeign},
		{"a list", "[]", backup.ErrForeign},
		{"another document", `{"metadata": {"format": "other"}}`, backup.ErrForeign},
		{"another shape", `{"metadata": "zigpy/open-coordinator-backup"}`, backup.ErrForeign},
		{"two documents", text + text, backup.ErrForeign},
		{"much", `{"metadata": "` + strings.Repeat("x", backup.MaxSize) + `"}`, backup.ErrForeign},
		{"another version", change(t, `"version": 1`, `"version": 2`), backup.ErrVersion},
		{"encrypted", "age-encryption.org/v1\n-> scrypt", backup.ErrEncrypted},
		{"encrypted as text", "-----BEGIN AGE ENCRYPTED FILE-----\n", backup.ErrEncrypted},
	} {
		if _, err := backup.Parse([]byte(c.text)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestTruncatedAnywhere cuts a document at each byte: no part of it passes for the whole.
func TestTruncatedAnywhere(t *testing.T) {
	text := strings.TrimSpace(written(t, whole()))
	for n := range len(text) {
		if _, err := backup.Parse([]byte(text[:n])); !errors.Is(err, backup.ErrTruncated) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	for field, damage := range map[string]func(*backup.Document){
		"channel":                 func(d *backup.Document) { d.Channel = 10 },
		"channel_mask":            func(d *backup.Document) { d.ChannelMask = 0 },
		"network_key.key":         func(d *backup.Document) { d.NetworkKey.Key = backup.Key{} },
		"security_level":          func(d *backup.Document) { d.SecurityLevel = 8 },
		"devices[1].ieee_address": func(d *backup.Document) { d.Devices[1].IEEE = d.Devices[0].IEEE },
	} {
		d := whole()
		damage(&d)
		b, err := backup.Append([]byte("x"), d)
		var refused *backup.FieldError
		if !errors.As(err, &refused) || refused.Field != field || string(b) != "x" {
			t.Errorf("%s: %q %v", field, b, err)
		}
	}
}

// TestKeysAreNeverShown prints, logs and marshals a document in every way there is.
func TestKeysAreNeverShown(t *testing.T) {
	d := whole()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U"} {
		fmt.Fprintf(&out, verb+"\n", d)
		fmt.Fprintf(&out, verb+"\n", &d)
		fmt.Fprintf(&out, verb+"\n", d.NetworkKey)
		fmt.Fprintf(&out, verb+"\n", d.NetworkKey.Key)
		fmt.Fprintf(&out, verb+"\n", *d.Devices[0].LinkKey)
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("shown", "doc", d, "pointer", &d, "key", d.NetworkKey.Key, "network", d.NetworkKey, "device", d.Devices[0])
	}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	text := strings.ToLower(out.String())
	for _, key := range []byte{0xA5, 0xB6, 0xC7, 0xD8} {
		for _, shape := range []string{"%02x%[1]02x", "%d %[1]d", "%d,%[1]d", "0x%02x, 0x%[1]02x", "%o %[1]o", "%c%[1]c"} {
			if told := fmt.Sprintf(shape, key); strings.Contains(text, strings.ToLower(told)) {
				t.Errorf("%q is in\n%s", told, text)
			}
		}
	}
	if !strings.Contains(text, "(secret)") || !strings.Contains(text, "channel 15") {
		t.Errorf("nothing was shown at all: %s", text)
	}
}

func TestSameContent(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*backup.Document)
		same   bool
	}{
		{"nothing", func(*backup.Document) {}, true},
		{"counters", func(d *backup.Document) { d.NetworkKey.FrameCounter++; d.Devices[0].LinkKey.TxCounter++ }, true},
		{"time", func(d *backup.Document) { d.Written = time.Time{}; d.Source = "" }, true},
		{"order", func(d *backup.Document) { d.Devices[0], d.Devices[1] = d.Devices[1], d.Devices[0] }, true},
		{"channel", func(d *backup.Document) { d.Channel++ }, false},
		{"key", func(d *backup.Document) { d.NetworkKey.Key[3]++ }, false},
		{"seed", func(d *backup.Document) { d.TCLKSeed = nil }, false},
		{"device left", func(d *backup.Document) { d.Devices = d.Devices[:1] }, false},
		{"device moved", func(d *backup.Document) { d.Devices[0].Network++ }, false},
		{"link key", func(d *backup.Document) { d.Devices[0].LinkKey.Key[0]++ }, false},
		{"parent", func(d *backup.Document) { d.Devices[0].Child = ptr(false) }, false},
	} {
		d := whole()
		c.change(&d)
		if got := d.SameContent(whole()); got != c.same {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	d := whole()
	f.Add([]byte(written(f, d)))
	d.Devices, d.TCLKSeed, d.HashedTCLK, d.ZNPVersion = nil, nil, nil, nil
	f.Add([]byte(written(f, d)))
	if b, err := os.ReadFile(samplePath()); err == nil {
		f.Add(b)
	}
	f.Add([]byte(`{"metadata":{"format":"zigpy/open-coordinator-backup","version":1},"stack_specific":null,"devices":[{"ieee_address":"1"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := backup.Parse(b)
		if err != nil {
			var field *backup.FieldError
			if !errors.As(err, &field) && !errors.Is(err, backup.ErrForeign) && !errors.Is(err, backup.ErrTruncated) &&
				!errors.Is(err, backup.ErrVersion) && !errors.Is(err, backup.ErrEncrypted) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		text, err := backup.Append(nil, d)
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		again, err := backup.Parse(text)
		if err != nil {
			t.Fatalf("written but not read: %v\n%s", err, text)
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Error(diff)
		}
	})
}
