package znp

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

var testContents = contents{
	coordinator: 0xC0, onNetwork: true, nibValid: true,
	nib: nib{securityLevel: 5, channel: 15, pan: 0x4402, channelMask: 1 << 15, extendedPAN: 0xA2}, key: []byte("0123456789abcdef"),
}

func TestDecide(t *testing.T) {
	held := *testContents.network()
	with := func(change func(*contents)) contents {
		c := testContents
		change(&c)
		return c
	}
	expecting := func(change func(*Network)) *Network {
		n := held
		change(&n)
		return &n
	}
	same := expecting(func(*Network) {})
	tests := []struct {
		name   string
		held   contents
		expect *Network
		resume bool
		want   []string // words of the problem
		hint   string
	}{
		{"match", testContents, same, true, nil, ""},
		{"match of what is known", testContents, expecting(func(n *Network) { n.Coordinator, n.KeySum = 0, "" }), true, nil, ""},
		{"blank, none expected", contents{coordinator: 0xC0}, nil, false, []string{"blank"}, hintForm},
		{"blank, one expected", contents{coordinator: 0xC0}, same, false, []string{"blank", "channel 15, PAN 0x4402"}, hintForm},
		{"a key alone is no network", with(func(c *contents) { c.onNetwork, c.nibValid = false, false }), nil, false, []string{"blank"}, hintForm},
		{"foreign", testContents, nil, false, []string{"foreign", "channel 15, PAN 0x4402"}, hintAdopt},
		{"channel", testContents, expecting(func(n *Network) { n.Channel = 20 }), false, []string{"channel is 15, expected 20"}, hintAdopt},
		{"PAN", testContents, expecting(func(n *Network) { n.PAN = 0x1234 }), false, []string{"PAN is 0x4402, expected 0x1234"}, hintAdopt},
		{
			"extended PAN", testContents, expecting(func(n *Network) { n.ExtendedPAN = 0xB3 }), false,
			[]string{"extended PAN is 00000000000000a2, expected 00000000000000b3"},
			hintAdopt,
		},
		{
			"coordinator", testContents, expecting(func(n *Network) { n.Coordinator = 0xD0 }), false,
			[]string{"coordinator is 00000000000000c0, expected 00000000000000d0"},
			hintAdopt,
		},
		{"key", testContents, expecting(func(n *Network) { n.KeySum = "ff" }), false, []string{"network key is with sum 9f9f", "expected with sum ff"}, hintAdopt},
		{"not on a network", with(func(c *contents) { c.onNetwork = false }), same, false, []string{"incomplete"}, hintForm},
		{"no information base", with(func(c *contents) { c.nibValid = false }), same, false, []string{"incomplete"}, hintForm},
		{"no key", with(func(c *contents) { c.key = nil }), same, false, []string{"incomplete"}, hintForm},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := decide(tt.held, tt.expect)
			if d.resume != tt.resume || d.hint != tt.hint || (d.problem == "") != tt.resume {
				t.Errorf("decided %+v", d)
			}
			for _, want := range tt.want {
				if !strings.Contains(d.problem, want) {
					t.Errorf("problem %q does not tell %q", d.problem, want)
				}
			}
		})
	}
}

func TestParseNIBOfRealSticks(t *testing.T) {
	for file, want := range map[string]nib{
		"CC2652R-ZStack4.formed.json": {securityLevel: 5, channel: 15, pan: 0x4402, channelMask: 1 << 15, extendedPAN: 0xA2BA38A8B5E683A0},
		"CC2531-ZStack3.formed.json":  {securityLevel: 5, channel: 15, pan: 0xB6AB, channelMask: 1 << 15, extendedPAN: 0x629232463C772DB2},
		"CC2652R-ZStack4.reset.json":  {},
		"CC2531-ZStack3.reset.json":   {},
	} {
		items := dump(t, file)
		got, ok := parseNIB(items["NIB"])
		if got != want || ok != (want.channel != 0) {
			t.Errorf("%s: %+v, %v", file, got, ok)
		}
		wantLayout := aligned
		if strings.HasPrefix(file, "CC2531") {
			wantLayout = packed
		}
		if got := alignmentOf(uint16(len(items["NWKKEY"]))); got != wantLayout {
			t.Errorf("%s: alignment %d", file, got)
		}
		if _, ok := activeKey(items["NWK_ACTIVE_KEY_INFO"]); ok != (want.channel != 0) {
			t.Errorf("%s: key %v", file, ok)
		}
	}
}

func dump(t *testing.T, file string) map[string][]byte {
	dir := os.Getenv("PEERBEE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	b, err := os.ReadFile(filepath.Join(dir, "zigbee", "nvram", file))
	if err != nil {
		t.Skip("no NV dumps beside the repository: ", err)
	}
	var whole struct {
		Legacy map[string]hexBytes `json:"LEGACY"`
	}
	if err := json.Unmarshal(b, &whole); err != nil {
		t.Fatal(err)
	}
	items := map[string][]byte{}
	for name, value := range whole.Legacy {
		items[name] = value
	}
	return items
}

func FuzzParseNIB(f *testing.F) {
	f.Add(make([]byte, 110))
	f.Add(make([]byte, 116))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, ok := parseNIB(b); ok && (n.channel < 11 || n.channel > 26 || n.pan == 0xFFFF) {
			t.Errorf("accepted %+v", n)
		}
		if key, ok := activeKey(b); ok && len(key) != 16 {
			t.Errorf("key of %d bytes", len(key))
		}
	})
}

func FuzzRecognise(f *testing.F) {
	f.Add([]byte{0x1A, 0xC2, 0x02, 0x51, 0xA8, 0xBD, 0x7E})
	f.Add([]byte{0xC0, 0x0D, 0x01, 0x00, 0x09, 0x00, 0x00, 0x07, 0x58, 0x26, 0x64, 0xFF, 0xC0})
	f.Add([]byte{0x7D, 0x7E, 0xDB, 0xC0, 0xDB})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 4 && (speaksASH(b) || speaksDeconz(b)) {
			t.Errorf("%x taken for a frame", b)
		}
	})
}

func TestZNPIsNotForeign(t *testing.T) {
	for _, b := range [][]byte{
		{0xFE, 0x02, 0x61, 0x01, 0x59, 0x06, 0x3D},
		{0xFE, 0x06, 0x41, 0x80, 0, 2, 1, 2, 7, 1, 0xC0},
		nil,
	} {
		if speaksASH(b) || speaksDeconz(b) {
			t.Errorf("%x taken for another family", b)
		}
	}
}

func TestASHFramesOfLogs(t *testing.T) {
	dir := os.Getenv("PEERBEE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	b, err := os.ReadFile(filepath.Join(dir, "zigbee", "ash_recorded.jsonl"))
	if err != nil {
		t.Skip("no ASH frames beside the repository: ", err)
	}
	for line := range strings.Lines(string(b)) {
		var frame struct{ Wire hexBytes }
		if err := json.Unmarshal([]byte(line), &frame); err != nil {
			t.Fatal(err)
		}
		if !speaksASH(frame.Wire) {
			t.Errorf("%x is not recognised", []byte(frame.Wire))
		}
	}
}

func TestImportantEventsAreBounded(t *testing.T) {
	q := newEventQueue()
	for i := range maxImportant + 10 {
		q.push(Joined{IEEE: zb.IEEEAddress(i)})
	}
	if q.important.len() != maxImportant || q.droppedTotal() != 10 {
		t.Errorf("%d waiting, %d dropped", q.important.len(), q.droppedTotal())
	}
}

func TestBackoff(t *testing.T) {
	var b backoff
	for range 20 {
		if d := b.next(maxBringUp); d <= 0 || d > maxBringUp {
			t.Fatalf("pause %v", d)
		}
	}
	if d := b.next(maxBringUp); d < maxBringUp/2 {
		t.Errorf("after twenty failures %v", d)
	}
	b.reset()
	if d := b.next(maxBringUp); d > firstRetry {
		t.Errorf("after a success %v", d)
	}
}

// FuzzLink feeds arbitrary bytes to the owner of the port, as a stick gone mad would.
func FuzzLink(f *testing.F) {
	for _, m := range []mt.Message{
		&mt.AFIncomingMsg{Data: []byte{1}}, &mt.AFIncomingMsgExt{Length: 9}, &mt.AFDataConfirm{TransID: 1},
		&mt.SysResetInd{}, &mt.ZDOStateChangeInd{State: 1}, &mt.ZDOTCDevInd{}, &mt.ZDOLeaveInd{}, &mt.RPCError{},
		&mt.ZDOEndDeviceAnnceInd{}, &mt.SysPingRsp{},
	} {
		b, err := mt.AppendFrame(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, waiting bool) {
		q := newEventQueue()
		l := newLink(nil, slog.New(slog.DiscardHandler), q, &counters{})
		l.deliver.Store(true)
		l.steady.Store(true)
		if waiting {
			c, err := newCall(&mt.SysPing{}, requestTimeout)
			if err != nil {
				t.Fatal(err)
			}
			l.start(c)
			l.expectConfirm()
			l.expect(cmdReset, func([]byte) bool { return true })
		}
		chunk := make([]byte, min(len(b), readSize), readSize)
		copy(chunk, b)
		l.feed(chunk, l.handle)
		l.parser.Flush(l.handle)
		for {
			if _, ok := q.pop(); !ok {
				return
			}
		}
	})
}
