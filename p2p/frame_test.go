package p2p

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// vectors are the frames docs/protocol/sub.md and docs/protocol/enrol.md quote, one of every kind at least.
var vectors = []struct {
	name   string
	kind   frameKind
	fields any
}{
	{"hello first time", kindHello, helloFrame{Version: 1, Snapshot: true, Credit: &Credit{Frames: 1024, Bytes: 1 << 20}}},
	{"hello resuming", kindHello, helloFrame{
		Version: 1, Devices: []string{"00124b0001020304"}, Properties: []string{"humidity", "temperature"},
		Epoch: 0x0123456789abcdef, Cursors: map[string]uint64{"00124b0001020304": 41},
		MinInterval: 5000, Credit: &Credit{Frames: 16, Bytes: 65536}, Since: 1760000000000,
	}},
	{"credit", kindCredit, Credit{Frames: 256, Bytes: 20480}},
	{"ack", kindAck, ackFrame{Epoch: 0x0123456789abcdef, Heartbeat: 1000, Heads: map[string]uint64{"00124b0001020304": 41}}},
	{"ack after a snapshot was asked for", kindAck, ackFrame{Epoch: 0x0123456789abcdef, Heartbeat: 1000}},
	{"desc", kindDesc, descFrame{Hash: "0011223344556677", Bytes: []byte("\xa0")}},
	{"data", kindData, recordFrame{Device: "00124b0001020304", Seq: 43, Prev: 41, Body: []byte("\xa1\x01\x02")}},
	{"snapshot", kindSnapshot, recordFrame{Device: "00124b0001020304", Seq: 41, Body: []byte("\xa1\x01\x02")}},
	{"gap", kindGap, gapFrame{Device: "00124b0001020304", From: 44, To: 99, Reason: string(GapLost)}},
	{"gap of an unknown epoch", kindGap, gapFrame{Reason: string(GapEpoch)}},
	{"heartbeat", kindHeartbeat, heartbeatFrame{Time: 1760000001000, Durable: map[string]uint64{"00124b0001020304": 43}}},
	{"end", kindEnd, endFrame{Reason: string(EndRevoked)}},
	{"redeem", kindRedeem, redeemFrame{ID: []byte("\x01\x02\x03\x04\x05\x06\x07\x08"), Secret: []byte("0123456789abcdef")}},
	{"welcome", kindWelcome, welcomeFrame{Gateway: "kitchen-pi", Role: "viewer", Expires: 1790000000, Discovery: bytes.Repeat([]byte{7}, 16)}},
	{"refused", kindRefused, refusedFrame{}},
}

// golden compares got with a file in testdata, or rewrites the file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		noErr(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	noErr(t, err)
	if d := cmp.Diff(string(want), got); d != "" {
		t.Fatalf("%s (run with -update if the change is meant):\n%s", path, d)
	}
}

func TestFrameVectors(t *testing.T) {
	var out strings.Builder
	for _, v := range vectors {
		fmt.Fprintf(&out, "%s: %s\n", v.name, hex.EncodeToString(wire(t, v.kind, v.fields)))
	}
	golden(t, "frames.golden", out.String())
}

// The documentation quotes the vectors; it must quote them right.
func TestDocumentsQuoteTheVectors(t *testing.T) {
	var text strings.Builder
	for _, name := range []string{"sub.md", "enrol.md"} {
		b, err := os.ReadFile(filepath.Join("..", "docs", "protocol", name))
		noErr(t, err)
		text.Write(b)
	}
	for _, v := range vectors {
		if !strings.Contains(text.String(), hex.EncodeToString(wire(t, v.kind, v.fields))) {
			t.Errorf("neither document quotes the vector %q", v.name)
		}
	}
}

func TestEveryKindHasANameAndAVector(t *testing.T) {
	for k := kindHello; k <= kindRefused; k++ {
		found := false
		for _, v := range vectors {
			found = found || v.kind == k
		}
		if !found || strings.HasPrefix(k.String(), "kind ") {
			t.Errorf("%s: name or vector missing", k)
		}
	}
	if frameKind(23).String() != "kind 23" {
		t.Error("an unknown kind has a name")
	}
}

func TestVectorsDecodeToWhatTheyWere(t *testing.T) {
	for _, v := range vectors {
		b := wire(t, v.kind, v.fields)
		// Byte by byte, doubled: a reader sees the same two frames however the network cuts them.
		in := newFrameReader(iotest.OneByteReader(bytes.NewReader(append(b, b...))), readSmall)
		for range 2 {
			kind, fields, err := in.next()
			noErr(t, err)
			got := reflect.New(reflect.TypeOf(v.fields))
			noErr(t, decodeFields(kind, fields, got.Interface()))
			if d := cmp.Diff(v.fields, got.Elem().Interface()); d != "" || kind != v.kind {
				t.Errorf("%s: %s", v.name, d)
			}
		}
		if _, _, err := in.next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: after the last frame: %v", v.name, err)
		}
		for n := 1; n < len(b); n++ {
			if _, _, err := newFrameReader(bytes.NewReader(b[:n]), readSmall).next(); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s cut at %d: %v", v.name, n, err)
			}
		}
	}
}

func TestRecordFramesAreWhatTheEncoderWrites(t *testing.T) {
	for _, n := range []uint64{1, 23, 24, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64} {
		for _, size := range []int{0, 1, 23, 24, 200, 300, 60000} {
			f := recordFrame{Device: strings.Repeat("d", size%100), Seq: n, Prev: n - 1, Body: make([]byte, size)}
			got, err := appendRecordFrame(nil, kindData, f.Device, f.Seq, f.Prev, f.Body)
			noErr(t, err)
			want := wire(t, kindData, f)
			if f.Prev == 0 { // omitted by the struct, written as 0 in a data frame
				continue
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("data %d, %d bytes:\n%x\n%x", n, size, got, want)
			}
			f.Prev = 0
			got, err = appendRecordFrame(nil, kindSnapshot, f.Device, f.Seq, 0, f.Body)
			noErr(t, err)
			if !bytes.Equal(got, wire(t, kindSnapshot, f)) {
				t.Fatalf("snapshot %d, %d bytes", n, size)
			}
		}
	}
	for body := MaxFrame - 64; body <= MaxFrame; body++ {
		b, err := appendRecordFrame(nil, kindData, "d", 1, 0, make([]byte, body))
		if _, _, readErr := newFrameReader(bytes.NewReader(b), readSmall).next(); err == nil && readErr != nil {
			t.Fatalf("a body of %d bytes gives a frame no reader takes: %v", body, readErr)
		}
		if err != nil && !errors.Is(err, ErrFrameSize) {
			t.Fatal(err)
		}
	}
}

func TestMalformedFramesAreRefused(t *testing.T) {
	prefixed := func(payload string) string {
		return string(binary.AppendUvarint(nil, uint64(len(payload)))) + payload
	}
	for name, c := range map[string]struct {
		in   string
		want error
	}{
		"empty":                     {"\x00", ErrFrameSize},
		"one byte over the limit":   {"\x81\x80\x04", ErrFrameSize},
		"endless prefix":            {"\xff\xff\xff\xff\xff", ErrFrameSize},
		"prefix in a longer form":   {"\x83\x00\x82\x01\xa0", ErrFrameSize},
		"not an array":              {prefixed("\xa1\x01\x02"), ErrFrame},
		"array of three":            {prefixed("\x83\x01\xa0\xa0"), ErrFrame},
		"kind that is no number":    {prefixed("\x82\x41\xa0"), ErrFrame},
		"fields missing":            {prefixed("\x82\x01"), ErrFrame},
		"duplicate key":             {prefixed("\x82\x01\xa2\x01\x01\x01\x02"), ErrFrame},
		"indefinite length":         {prefixed("\x82\x01\xbf\x01\x01\xff"), ErrFrame},
		"tag":                       {prefixed("\x82\x01\xa1\x01\xc1\x01"), ErrFrame},
		"something after the value": {prefixed("\x82\x01\xa1\x01\x01\x00"), ErrFrame},
		"negative version":          {prefixed("\x82\x01\xa1\x01\x20"), ErrFrame},
		"broken UTF-8":              {prefixed("\x82\x01\xa2\x01\x01\x02\x81\x61\xff"), ErrFrame},
		"nested too deep":           {prefixed("\x82\x01\xa2\x01\x01\x18\x63\x81\x81\x81\x81\x81\x81\x01"), ErrFrame},
	} {
		kind, fields, err := newFrameReader(strings.NewReader(c.in), readSmall).next()
		if err == nil {
			var h helloFrame
			err = decodeFields(kind, fields, &h)
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnknownKeysArePassedOver(t *testing.T) {
	var h helloFrame
	noErr(t, decodeFields(kindHello, []byte("\xa2\x01\x01\x18\x63\x05"), &h))
	if h.Version != 1 {
		t.Fatalf("version %d", h.Version)
	}
}

func TestHelloQuotas(t *testing.T) {
	many := make([]string, maxFilter+1)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	cursors := make(map[string]uint64)
	for i := range maxCursors + 1 {
		cursors[fmt.Sprint(i)] = 1
	}
	long := strings.Repeat("x", maxKey+1)
	for name, h := range map[string]helloFrame{
		"no version":          {},
		"too many devices":    {Version: 1, Devices: many},
		"too many keys":       {Version: 1, Properties: many},
		"too many cursors":    {Version: 1, Cursors: cursors},
		"long device":         {Version: 1, Devices: []string{long}},
		"long property":       {Version: 1, Properties: []string{long}},
		"long cursor":         {Version: 1, Cursors: map[string]uint64{long: 1}},
		"empty device":        {Version: 1, Devices: []string{""}},
		"cursor of no device": {Version: 1, Cursors: map[string]uint64{"": 1}},
	} {
		if err := h.check(); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ok := helloFrame{Version: 1, Devices: many[:maxFilter], Properties: many[:maxFilter]}
	noErr(t, ok.check())
}

// FuzzFrames feeds a reader anything: it gives frames or a plain error, and never holds more than MaxFrame.
func FuzzFrames(f *testing.F) {
	for _, v := range vectors {
		f.Add(wire(f, v.kind, v.fields))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := newFrameReader(bytes.NewReader(b), readSmall)
		for {
			kind, fields, err := in.next()
			if err != nil {
				return
			}
			if cap(in.buf) > keepFrame {
				t.Fatalf("buffer of %d bytes", cap(in.buf))
			}
			for _, v := range vectors {
				if v.kind != kind {
					continue
				}
				dst := reflect.New(reflect.TypeOf(v.fields))
				if err := decodeFields(kind, fields, dst.Interface()); err != nil {
					continue
				}
				again := reflect.New(reflect.TypeOf(v.fields))
				enc, err := appendFrame(nil, kind, dst.Interface())
				if errors.Is(err, ErrFrameSize) {
					continue // shortest forms may be longer than half floats given for numbers
				}
				noErr(t, err)
				_, fields, err := newFrameReader(bytes.NewReader(enc), readSmall).next()
				noErr(t, err)
				noErr(t, decodeFields(kind, fields, again.Interface()))
				break
			}
			if kind == kindHello {
				var h helloFrame
				if decodeFields(kind, fields, &h) == nil && h.check() == nil && len(h.Cursors) > maxCursors {
					t.Fatal("quota not kept")
				}
			}
		}
	})
}
