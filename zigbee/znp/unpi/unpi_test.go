package unpi_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// pressure is a report quoted in https://github.com/Koenkk/zigbee2mqtt/issues/20130.
const pressure = "fe25448100000304c556010100450026528400001118080a000029f303140028ff1000297f27c5561d3f"

func collect(into *[]unpi.Frame) func(unpi.Frame) {
	return func(f unpi.Frame) {
		f.Payload = bytes.Clone(f.Payload)
		*into = append(*into, f)
	}
}

func numbered(i int) unpi.Frame {
	payload := bytes.Repeat([]byte{byte(i)}, 20)
	payload[0], payload[1] = byte(i>>8), byte(i)
	return unpi.Frame{Type: unpi.AsyncRequest, Subsystem: unpi.AF, ID: 0x81, Payload: payload}
}

func encode(t testing.TB, f unpi.Frame) []byte {
	b, err := f.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAppend(t *testing.T) {
	got := encode(t, unpi.Frame{Type: unpi.SyncRequest, Subsystem: unpi.ZDO, ID: 0x36, Payload: []byte{0x0f, 0xfc, 0xff, 0xfe, 0}})
	if want := "fe0525360ffcfffe00e4"; hex.EncodeToString(got) != want { // zigbee2mqtt issue 2344
		t.Errorf("got %x, want %s", got, want)
	}
	dst := []byte("kept")
	out, err := unpi.Frame{Payload: make([]byte, 251)}.Append(dst)
	if !errors.Is(err, unpi.ErrPayloadTooLong) || string(out) != "kept" {
		t.Errorf("oversized: %q, %v", out, err)
	}
	if len(encode(t, unpi.Frame{Type: unpi.AsyncRequest, Subsystem: unpi.AF, Payload: make([]byte, 250)})) != 255 {
		t.Error("the largest frame does not encode")
	}
}

func TestRecordedCutAnywhere(t *testing.T) {
	for _, raw := range append(recorded(t), unhex(t, pressure)) {
		var whole []unpi.Frame
		new(unpi.Parser).Feed(raw, collect(&whole))
		if len(whole) != 1 {
			t.Fatalf("%x: %d frames", raw, len(whole))
		}
		if !bytes.Equal(encode(t, whole[0]), raw) {
			t.Errorf("%x is encoded as %x", raw, encode(t, whole[0]))
		}
		for cut := range raw {
			var p unpi.Parser
			var got []unpi.Frame
			p.Feed(raw[:cut], collect(&got))
			if p.Pending() != (cut > 0) {
				t.Errorf("cut at %d: pending %v", cut, p.Pending())
			}
			p.Feed(raw[cut:], collect(&got))
			if diff := cmp.Diff(whole, got); diff != "" {
				t.Errorf("cut at %d: %s", cut, diff)
			}
		}
		var p unpi.Parser
		var got []unpi.Frame
		for i := range raw {
			p.Feed(raw[i:i+1], collect(&got))
		}
		p.Feed(append(bytes.Clone(raw), raw...), collect(&got))
		if diff := cmp.Diff([]unpi.Frame{whole[0], whole[0], whole[0]}, got); diff != "" {
			t.Errorf("byte by byte, then doubled: %s", diff)
		}
	}
}

func TestResync(t *testing.T) {
	good := unhex(t, pressure)
	tests := []struct {
		name   string
		before string
	}{
		{"garbage without a start", "00112233445566778899aabbccddeeff"},
		{"stray start", "fe"},
		{"a command of no type", "fe20f5"},
		{"a command of no subsystem", "fe205e"},
		{"two stray starts", "fefe"},
		{"start with a length that is too long", "fefb"},
		{"false start of one more byte", "fe24"},
		{"bad checksum", "fe0345b6000000f1"},
		{"truncated frame", "fe25448100000304c5"},
		{"false start that claims the longest frame", "fefa0102"},
		{"baud garbage", "fe00fe0144fe0245"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p unpi.Parser
			var got []unpi.Frame
			p.Feed(append(unhex(t, tt.before), good...), collect(&got))
			p.Expire(collect(&got))
			if len(got) != 1 || !bytes.Equal(encode(t, got[0]), good) {
				t.Fatalf("got %v", got)
			}
			if p.Pending() {
				t.Error("something is still held back")
			}
			s := p.Stats()
			if s.Frames != 1 || s.Skipped != uint64(len(tt.before)/2) {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// TestContinuousTrafficAfterFalseStart never lets the stream fall silent: the false frame completes, its
// checksum is wrong, and the frames it swallowed come out.
func TestContinuousTrafficAfterFalseStart(t *testing.T) {
	var p unpi.Parser
	var got, want []unpi.Frame
	for i := range 100 {
		if i%5 == 0 {
			p.Feed([]byte{0xFE, 0xFA, 0x44, 0x81}, collect(&got))
		}
		want = append(want, numbered(i))
		p.Feed(encode(t, numbered(i)), collect(&got))
	}
	p.Expire(collect(&got))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestExpireKeepsALateHalf(t *testing.T) {
	var p unpi.Parser
	var got []unpi.Frame
	raw := encode(t, numbered(7))
	p.Feed(raw[:9], collect(&got))
	p.Expire(collect(&got))
	p.Feed(raw[9:], collect(&got))
	if diff := cmp.Diff([]unpi.Frame{numbered(7)}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFlushAndReset(t *testing.T) {
	raw := encode(t, numbered(7))
	for name, forget := range map[string]func(*unpi.Parser){
		"flush": func(p *unpi.Parser) { p.Flush(func(unpi.Frame) { t.Error("a frame out of nothing") }) },
		"reset": (*unpi.Parser).Reset,
	} {
		t.Run(name, func(t *testing.T) {
			var p unpi.Parser
			var got []unpi.Frame
			p.Feed([]byte{0xFE, 0x30, 0x44}, collect(&got))
			forget(&p)
			if p.Pending() {
				t.Error("still pending")
			}
			p.Feed(raw, collect(&got))
			if diff := cmp.Diff([]unpi.Frame{numbered(7)}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGarbageBeforeEveryFifthFrame(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var p unpi.Parser
	var got []unpi.Frame
	const n = 1000
	for i := range n {
		if i%5 == 0 {
			garbage := make([]byte, 16)
			for j := range garbage {
				garbage[j] = byte(rnd.Uint32())
			}
			p.Feed(garbage, collect(&got))
		}
		p.Feed(encode(t, numbered(i)), collect(&got))
	}
	p.Expire(collect(&got))
	if lost := n - count(got, n); lost != 0 {
		t.Errorf("%d frames lost", lost)
	}
}

func TestDroppedBytesLoseOnlyTheirOwnFrames(t *testing.T) {
	for seed := range uint64(10) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var p unpi.Parser
		var got []unpi.Frame
		const n = 1000
		hit := 0
		for i := range n {
			raw := encode(t, numbered(i))
			kept := raw[:0:0]
			for _, b := range raw {
				if rnd.IntN(1000) != 0 {
					kept = append(kept, b)
				}
			}
			if len(kept) != len(raw) {
				hit++
			}
			p.Feed(kept, collect(&got))
		}
		p.Expire(collect(&got))
		if hit == 0 {
			t.Fatal("no byte was dropped")
		}
		if lost := n - count(got, n); lost > hit+2 {
			t.Errorf("seed %d: %d frames lost, %d were hit", seed, lost, hit)
		}
	}
}

// count gives how many of the numbered frames below n arrived.
func count(frames []unpi.Frame, n int) int {
	seen := map[int]bool{}
	for _, f := range frames {
		if len(f.Payload) != 20 {
			continue
		}
		i := int(f.Payload[0])<<8 | int(f.Payload[1])
		want := numbered(i)
		if i < n && f.Type == want.Type && f.Subsystem == want.Subsystem && f.ID == want.ID && bytes.Equal(f.Payload, want.Payload) {
			seen[i] = true
		}
	}
	return len(seen)
}

func TestFeedDoesNotAllocate(t *testing.T) {
	chunk := bytes.Repeat(unhex(t, pressure), 50)
	var p unpi.Parser
	n := 0
	p.Feed(chunk[:7], func(unpi.Frame) {})
	p.Reset()
	if allocs := testing.AllocsPerRun(100, func() { p.Feed(chunk, func(unpi.Frame) { n++ }) }); allocs != 0 {
		t.Errorf("%v allocations per chunk", allocs)
	}
	if n != 101*50 {
		t.Errorf("%d frames", n)
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		unpi.SyncRequest.String(): "SREQ", unpi.Type(7).String(): "type 7",
		unpi.AppCnf.String(): "APP_CNF", unpi.Subsystem(0x1E).String(): "subsystem 0x1e",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func FuzzParser(f *testing.F) {
	for _, s := range []string{pressure, "fe0164010064", "fefa44" + pressure, "fefefe00fe", "fe074585b20500b2050105c3"} {
		f.Add(unhex(f, s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		var p unpi.Parser
		total := 0
		yield := func(f unpi.Frame) { total += len(encode(t, f)) }
		for rest := stream; len(rest) > 0; {
			n := min(int(step)+1, len(rest))
			p.Feed(rest[:n], yield)
			rest = rest[n:]
		}
		p.Flush(yield)
		if p.Pending() {
			t.Fatal("pending after a flush")
		}
		if got := total + int(p.Stats().Skipped); got != len(stream) {
			t.Fatalf("%d bytes accounted for, %d fed", got, len(stream))
		}
		// A good frame after whatever came before is found.
		var got []unpi.Frame
		p.Feed(encode(t, numbered(1)), collect(&got))
		if diff := cmp.Diff([]unpi.Frame{numbered(1)}, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkFeed(b *testing.B) {
	chunk := bytes.Repeat(unhex(b, pressure), 97)
	var p unpi.Parser
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		p.Feed(chunk, func(unpi.Frame) {})
	}
}

func recorded(t testing.TB) [][]byte {
	dir := os.Getenv("PEERBEE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared")
	}
	f, err := os.Open(filepath.Join(dir, "zigbee", "unpi_recorded.jsonl"))
	if err != nil {
		t.Log("no recorded frames beside the repository: ", err)
		return nil
	}
	defer f.Close()
	var frames [][]byte
	for s := bufio.NewScanner(f); s.Scan(); {
		var line struct{ Hex string }
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		frames = append(frames, unhex(t, line.Hex))
	}
	if len(frames) == 0 {
		t.Fatal("the file of recorded frames is empty")
	}
	return frames
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
