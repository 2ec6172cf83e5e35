package sim

import (
	"encoding/hex"
	"testing"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// FuzzBytes gives a running stick any bytes of a host.
func FuzzBytes(f *testing.F) {
	for _, text := range []string{
		"fe00210120", "fe0525360ffcfffe00e4", "fe022113210011", "fe04211c000f000036", "fe04254520b6001eec",
		withFCS("2402", "02"+"3412000000000000"+"01"+"0000"+"01"+"0000"+"07"+"00"+"1e"+"f000"),
		withFCS("2411", "0000"+"05"+"0001020304"), withFCS("2411", "000000"), withFCS("2412", "000000000000f0"),
		withFCS("2401", "3412"+"0101"+"0000"+"01"+"00"+"1e"+"05"+"0001000400"),
		withFCS("2506", "3412"+"3412"+"0401"+"0304"+"01"), withFCS("2107", "f000"+"ffff"+"01"+"00"),
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := runningStick(t)
		var p unpi.Parser
		p.Feed(b, s.receive)
		p.Flush(s.receive)
	})
}

// FuzzCommands gives a running stick any payload of every command it knows.
func FuzzCommands(f *testing.F) {
	f.Add(uint8(unpi.AF), uint8(1), []byte{0x34, 0x12, 1, 1, 0, 0, 1, 0, 30, 5, 0, 1, 0, 4, 0})
	f.Add(uint8(unpi.ZDO), uint8(0x36), []byte{2, 0, 0, 60, 0})
	f.Add(uint8(unpi.ZDO), uint8(0x06), []byte{0x34, 0x12, 0x34, 0x12, 4, 1, 2, 0, 0, 4, 2, 0})
	f.Add(uint8(unpi.SYS), uint8(0x33), []byte{1, 4, 0, 0, 0, 0, 0, 20})
	f.Fuzz(func(t *testing.T, subsystem, id uint8, payload []byte) {
		s := runningStick(t)
		s.receive(unpi.Frame{Type: unpi.SyncRequest, Subsystem: unpi.Subsystem(subsystem & 0x1F), ID: id, Payload: payload})
		known := handlers[mt.Command{Type: unpi.SyncRequest, Subsystem: unpi.Subsystem(subsystem & 0x1F), ID: id}] != nil
		if len(s.line.buf) == 0 {
			t.Errorf("no answer (known: %v)", known)
		}
	})
}

// FuzzZCL gives every kind of sensor any message.
func FuzzZCL(f *testing.F) {
	f.Add(uint16(0x0500), []byte{1, 1, 0, 0, 23})
	f.Add(uint16(0x0402), []byte{0, 1, 6, 0, 0, 0, 0x29, 1, 0, 60, 0, 5, 0})
	f.Add(uint16(0x0006), []byte{1, 1, 2})
	f.Fuzz(func(t *testing.T, cluster uint16, b []byte) {
		s := runningStick(t)
		for _, d := range s.sensors {
			s.deliver(d, delivery{1, 1, zbCluster(cluster), b, true})
		}
	})
}

// FuzzControl gives the control socket any line.
func FuzzControl(f *testing.F) {
	f.Add([]byte(`{"op":"set","sensor":"plug-1","property":"power","value":1e300}`))
	f.Add([]byte(`{"op":"load","load":{"rate":1e9,"sensors":2}}`))
	f.Add([]byte(`{"op":"faults","faults":{"drop":0.1,"garbage_bytes":9}}`))
	f.Add([]byte(`{"op":"stall","seconds":1e300}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		s := newStick(t, Options{Sensors: sensors("plug", "contact")})
		s.control(line)
	})
}

// FuzzRecording gives the replay any line.
func FuzzRecording(f *testing.F) {
	f.Add([]byte(pressureFrame))
	f.Add([]byte(`{"hex":"` + pressureFrame + `","at_ms":5}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if len(line) > 0 {
			parseRecorded(line)
		}
	})
}
