package mt_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

func TestTableIsConsistent(t *testing.T) {
	names := map[string]mt.Command{}
	for _, info := range mt.Commands() {
		if other, ok := names[info.Name]; ok {
			t.Errorf("%s names both %v and %v", info.Name, other, info.Command)
		}
		names[info.Name] = info.Command
		if got := info.New().Command(); got != info.Command {
			t.Errorf("%s: New gives a message of %v", info.Name, got)
		}
		switch info.Command.Type {
		case unpi.SyncRequest:
			if _, ok := mt.Lookup(info.Command.Response()); !ok {
				t.Errorf("%s has no response", info.Name)
			}
			if info.Indication != (mt.Command{}) {
				if ind, ok := mt.Lookup(info.Indication); !ok || ind.Command.Type != unpi.AsyncRequest {
					t.Errorf("%s: indication %v is not an AREQ of the table", info.Name, info.Indication)
				}
			}
		case unpi.SyncResponse:
			request := info.Command
			request.Type = unpi.SyncRequest
			if _, ok := mt.Lookup(request); !ok && info.Command.Subsystem != unpi.RPCError {
				t.Errorf("%s answers nothing", info.Name)
			}
		case unpi.AsyncRequest:
		case unpi.Poll:
			t.Errorf("%s has type %v", info.Name, info.Command.Type)
		}
	}
}

// TestTableCount guards against two commands falling onto one key, which a map would hide.
func TestTableCount(t *testing.T) {
	requests := 0
	for _, info := range mt.Commands() {
		if info.Command.Type == unpi.SyncRequest {
			requests++
		}
	}
	if want := mt.ExchangeCount(); requests != want {
		t.Errorf("%d distinct requests, %d described", requests, want)
	}
}

func TestNumbers(t *testing.T) {
	for name, want := range map[string]mt.Command{
		"SYS_PING":                     {Type: unpi.SyncRequest, Subsystem: unpi.SYS, ID: 0x01},
		"SYS_NV_READ_EXT":              {Type: unpi.SyncRequest, Subsystem: unpi.SYS, ID: 0x1C},
		"AF_DATA_CONFIRM":              {Type: unpi.AsyncRequest, Subsystem: unpi.AF, ID: 0x80},
		"ZDO_MGMT_PERMIT_JOIN_REQ":     {Type: unpi.SyncRequest, Subsystem: unpi.ZDO, ID: 0x36},
		"ZDO_MGMT_NWK_UPDATE_REQ":      {Type: unpi.SyncRequest, Subsystem: unpi.ZDO, ID: 0x37},
		"APP_CNF_BDB_SET_CHANNEL":      {Type: unpi.SyncRequest, Subsystem: unpi.AppCnf, ID: 0x08},
		"UTIL_ASSOC_FIND_DEVICE":       {Type: unpi.SyncRequest, Subsystem: unpi.UTIL, ID: 0x49},
		"ZDO_BIND_REQ AREQ":            {Type: unpi.AsyncRequest, Subsystem: unpi.ZDO, ID: 0xA1},
		"ZDO_MGMT_LEAVE_REQ AREQ":      {Type: unpi.AsyncRequest, Subsystem: unpi.ZDO, ID: 0xB4},
		"ZDO_MGMT_NWK_UPDATE_REQ AREQ": {Type: unpi.AsyncRequest, Subsystem: unpi.ZDO, ID: 0xB8},
	} {
		info, ok := mt.Lookup(want)
		if !ok || info.Name != name {
			t.Errorf("%s is not %#v but %q", name, want, info.Name)
		}
	}
}

// TestRoundTrip fills every message with random values and takes it through its bytes and back.
func TestRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, info := range mt.Commands() {
		t.Run(info.Name, func(t *testing.T) {
			for range 20 {
				m := info.New()
				fill(rnd, reflect.ValueOf(m).Elem())
				if ext, ok := m.(*mt.AFIncomingMsgExt); ok {
					ext.Length = uint16(len(ext.Data))
				}
				if v, ok := m.(*mt.SysVersionRsp); ok {
					v.Revision = 20230507
				}
				b, err := mt.Append(nil, m)
				if err != nil {
					t.Fatal(err)
				}
				back := info.New()
				if err := mt.Decode(b, back); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(m, back); diff != "" {
					t.Fatal(diff)
				}
				for cut := range b {
					short := info.New()
					if err := mt.Decode(b[:cut], short); err != nil && !errors.Is(err, mt.ErrShort) {
						t.Fatalf("cut at %d: %v", cut, err)
					}
				}
			}
		})
	}
}

func fill(rnd *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[mt.Command]() {
			return // not on the wire, set by New
		}
		for i := range v.NumField() {
			fill(rnd, v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+rnd.IntN(5), 8))
		v.Set(v.Slice3(0, v.Len(), v.Len()))
		for i := range v.Len() {
			fill(rnd, v.Index(i))
		}
	case reflect.Bool:
		v.SetBool(rnd.IntN(2) == 1)
	default:
		v.SetUint(rnd.Uint64() & (1<<v.Type().Bits() - 1))
	}
}

func TestDecodeFrameOfLogs(t *testing.T) {
	tests := []struct {
		source, hex string
		want        mt.Message
	}{
		{
			"https://github.com/Koenkk/zigbee2mqtt/issues/2344", "fe0525360ffcfffe00e4",
			&mt.ZDOMgmtPermitJoinReq{Mode: mt.AddrBroadcast, Dst: zb.BroadcastRoutersCoordinators, Seconds: 254},
		},
		{
			"https://github.com/Koenkk/zigbee2mqtt/issues/5811", "fe03448000019650",
			&mt.AFDataConfirm{Endpoint: 1, TransID: 150},
		},
		{
			"https://github.com/Koenkk/zigbee2mqtt/issues/20130",
			"fe25448100000304c556010100450026528400001118080a000029f303140028ff1000297f27c5561d3f",
			&mt.AFIncomingMsg{
				Cluster: 0x0403, Src: 0x56C5, SrcEndpoint: 1, DstEndpoint: 1, LinkQuality: 0x45, Timestamp: 0x00845226,
				Data: mustHex(t, "18080a000029f303140028ff1000297f27"), Trailer: mustHex(t, "c5561d"),
			},
		},
		{
			"https://github.com/Koenkk/zigbee2mqtt/issues/17780", "fe04254520b6001eec",
			&mt.ZDOExtRouteDisc{Dst: 0xB620, Radius: 30},
		},
		{
			"https://github.com/Koenkk/zigbee2mqtt/issues/2344", "fe0345b6000000f0",
			&mt.ZDOStatusRsp{Of: (&mt.ZDOMgmtPermitJoinReq{}).Command()},
		},
		{
			"https://github.com/Koenkk/zigbee-herdsman/issues/372", "fe074585b20500b2050105c3",
			&mt.ZDOActiveEPRsp{Src: 0x05B2, Nwk: 0x05B2, Endpoints: []zb.Endpoint{5}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.want.Command().String(), func(t *testing.T) {
			raw := mustHex(t, tt.hex)
			m, err := mt.DecodeFrame(parse(t, raw))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, m); diff != "" {
				t.Errorf("%s: %s", tt.source, diff)
			}
			back, err := mt.AppendFrame(nil, m)
			if err != nil || !bytes.Equal(back, raw) {
				t.Errorf("encoded again: %x, %v", back, err)
			}
		})
	}
}

// TestRecorded takes every recorded frame of a command in the table through its type and back.
func TestRecorded(t *testing.T) {
	for _, line := range recorded(t) {
		raw := mustHex(t, line.Hex)
		m, err := mt.DecodeFrame(parse(t, raw))
		if err != nil {
			t.Errorf("%s (%s): %v", line.Hex, line.Meaning, err)
			continue
		}
		back, err := mt.AppendFrame(nil, m)
		if err != nil || !bytes.Equal(back, raw) {
			t.Errorf("%s (%s): encoded again %x, %v", line.Hex, line.Meaning, back, err)
		}
	}
}

func TestUnknownAndErrors(t *testing.T) {
	if _, err := mt.DecodeFrame(unpi.Frame{Type: unpi.AsyncRequest, Subsystem: unpi.DBG, ID: 9}); !errors.Is(err, mt.ErrUnknown) {
		t.Errorf("unknown command: %v", err)
	}
	if _, err := mt.Append(nil, &mt.NVWrite{Value: make([]byte, 256)}); !errors.Is(err, mt.ErrTooLong) {
		t.Errorf("long value: %v", err)
	}
	if _, err := mt.AppendFrame(nil, &mt.NVWrite{Value: make([]byte, 250)}); !errors.Is(err, unpi.ErrPayloadTooLong) {
		t.Errorf("long frame: %v", err)
	}
	refused := mt.RPCError{Code: mt.ErrorInvalidCommand, CMD0: 0x2F, CMD1: 0x05}
	if got := refused.Request(); got != (&mt.BDBStartCommissioning{}).Command() {
		t.Errorf("refused request is %v", got)
	}
	// An error answer may end right after its status.
	var active mt.ZDOActiveEPRsp
	if err := mt.Decode([]byte{1, 2, 0x81}, &active); err != nil || active.Status != 0x81 {
		t.Errorf("short error answer: %+v, %v", active, err)
	}
	if err := mt.Decode([]byte{1, 2, 0}, &active); !errors.Is(err, mt.ErrShort) {
		t.Errorf("short good answer: %v", err)
	}
	for status, want := range map[mt.Status]string{mt.NWKNoRoute: "no route (0xcd)", 0x42: "status 0x42"} {
		if got := status.String(); got != want {
			t.Errorf("status is %q, want %q", got, want)
		}
	}
}

func TestDecodeIncomingDoesNotAllocate(t *testing.T) {
	payload := parse(t, mustHex(t, "fe1d448100000005914e0101003a00aeeb7d0000091943000000001700001b791c3a")).Payload
	if n := testing.AllocsPerRun(100, func() {
		if m, err := mt.DecodeIncoming(payload); err != nil || m.Cluster != 0x0500 {
			t.Fatal(m, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(uint8(0x44), uint8(0x81), mustHex(f, "00000304c556010100450026528400001118080a000029f303140028ff1000297f27c5561d"))
	f.Add(uint8(0x45), uint8(0xB1), []byte{0, 0, 0, 9, 0, 2, 1})
	f.Add(uint8(0x61), uint8(0x1C), []byte{0, 4, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, cmd0, cmd1 uint8, payload []byte) {
		frame := unpi.Frame{Type: unpi.Type(cmd0 >> 5), Subsystem: unpi.Subsystem(cmd0 & 0x1F), ID: cmd1, Payload: payload}
		m, err := mt.DecodeFrame(frame)
		if err != nil {
			if !errors.Is(err, mt.ErrUnknown) && !errors.Is(err, mt.ErrShort) {
				t.Fatal(err)
			}
			return
		}
		b, err := mt.Append(nil, m)
		if err != nil {
			t.Fatalf("%v does not encode again: %v", m, err)
		}
		again := reflect.New(reflect.TypeOf(m).Elem()).Interface().(mt.Message)
		if s, ok := again.(*mt.StatusRsp); ok {
			s.Of = m.(*mt.StatusRsp).Of
		}
		if s, ok := again.(*mt.ZDOStatusRsp); ok {
			s.Of = m.(*mt.ZDOStatusRsp).Of
		}
		if ext, ok := m.(*mt.AFIncomingMsgExt); ok && ext.Data == nil {
			return // a parked message keeps what follows its header as trailer, which may look like data
		}
		if err := mt.Decode(b, again); err != nil {
			t.Fatalf("%x of %+v does not decode again: %v", b, m, err)
		}
	})
}

type line struct{ Hex, Source, Meaning string }

func recorded(t testing.TB) []line {
	dir := os.Getenv("PEERBEE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared")
	}
	f, err := os.Open(filepath.Join(dir, "zigbee", "unpi_recorded.jsonl"))
	if err != nil {
		t.Skip("no recorded frames beside the repository: ", err)
	}
	defer f.Close()
	var lines []line
	for s := bufio.NewScanner(f); s.Scan(); {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	if len(lines) == 0 {
		t.Fatal("the file of recorded frames is empty")
	}
	return lines
}

func parse(t testing.TB, raw []byte) unpi.Frame {
	var frames []unpi.Frame
	new(unpi.Parser).Feed(raw, func(f unpi.Frame) {
		f.Payload = bytes.Clone(f.Payload)
		frames = append(frames, f)
	})
	if len(frames) != 1 {
		t.Fatalf("%x holds %d frames", raw, len(frames))
	}
	return frames[0]
}

func mustHex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
