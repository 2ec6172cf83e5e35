package sim

import (
	"encoding/binary"
	"time"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// Ids of SYS commands outside the mt table.
const (
	sysSetExtAddr = 0x03
	sysRandom     = 0x0C
	sysGPIO       = 0x0E
	sysStackTune  = 0x0F
	sysSetTime    = 0x10
	sysGetTime    = 0x11
	sysSetTxPower = 0x14
)

func sysHandlers() table {
	t := table{}
	on(t, func(s *Stick, _ *mt.SysResetReq) { s.reset(resetExternal) })
	on(t, func(s *Stick, _ *mt.SysPing) { s.send(&mt.SysPingRsp{Capabilities: s.version.Capabilities}) })
	on(t, func(s *Stick, _ *mt.SysVersion) {
		s.send(&mt.SysVersionRsp{
			Transport: transportRevision, Product: s.version.Product, Major: majorRelease,
			Minor: minorRelease, Maintenance: maintenance, Revision: s.version.Revision,
		})
	})
	on(t, func(s *Stick, _ *mt.SysGetExtAddr) { s.send(&mt.SysGetExtAddrRsp{IEEE: s.mem.IEEE()}) })
	raw(t, unpi.SYS, sysSetExtAddr, 8, func(s *Stick, cmd mt.Command, b []byte) {
		s.status(cmd, s.mem.Write(nv.ExtAddr, 0, b[:8]))
	})
	raw(t, unpi.SYS, sysRandom, 0, func(s *Stick, cmd mt.Command, _ []byte) {
		s.sendRaw(cmd.Response(), binary.LittleEndian.AppendUint16(nil, uint16(s.rng.Uint32())), false)
	})
	raw(t, unpi.SYS, sysGetTime, 0, func(s *Stick, cmd mt.Command, _ []byte) {
		s.sendRaw(cmd.Response(), zigbeeTime(time.Now().UTC()), false)
	})
	fixed(t, unpi.SYS, sysGPIO, 2, 0)
	fixed(t, unpi.SYS, sysStackTune, 2, 0)
	fixed(t, unpi.SYS, sysSetTime, 4, 0)
	fixed(t, unpi.SYS, sysSetTxPower, 1, 0)
	return t
}

// zigbeeEpoch is where Zigbee's seconds start.
var zigbeeEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func zigbeeTime(now time.Time) []byte {
	seconds := now.Sub(zigbeeEpoch) / time.Second
	b := binary.LittleEndian.AppendUint32(nil, uint32(seconds))
	b = append(b, byte(now.Hour()), byte(now.Minute()), byte(now.Second()), byte(now.Month()), byte(now.Day()))
	return binary.LittleEndian.AppendUint16(b, uint16(now.Year()))
}

func nvHandlers() table {
	t := table{}
	on(t, func(s *Stick, m *mt.NVItemInit) { s.status(m.Command(), s.nvInit(m)) })
	on(t, func(s *Stick, m *mt.NVDelete) {
		if s.gone(m.Item) {
			s.status(m.Command(), nv.Success)
			return
		}
		s.status(m.Command(), s.mem.Delete(m.Item, int(m.Length)))
	})
	on(t, func(s *Stick, m *mt.NVLength) {
		length := s.mem.Len(nv.Legacy(m.Item))
		if s.gone(m.Item) {
			length = 0
		}
		s.send(&mt.NVLengthRsp{Length: uint16(length)})
	})
	on(t, func(s *Stick, m *mt.NVRead) {
		status, value := s.nvRead(m.Item, int(m.Offset))
		s.send(&mt.NVReadRsp{Status: status, Value: value})
	})
	on(t, func(s *Stick, m *mt.NVReadExt) {
		status, value := s.nvRead(m.Item, int(m.Offset))
		if s.gone(m.Item) {
			s.send(&mt.NVReadRsp{Status: status, Value: value}) // TI answers this one under the other id
			return
		}
		s.send(&mt.NVReadExtRsp{Status: status, Value: value})
	})
	on(t, func(s *Stick, m *mt.NVWrite) { s.status(m.Command(), s.nvWrite(m.Item, int(m.Offset), m.Value)) })
	on(t, func(s *Stick, m *mt.NVWriteExt) { s.status(m.Command(), s.nvWrite(m.Item, int(m.Offset), m.Value)) })
	extHandlers(t)
	return t
}

// gone reports whether the item is the old poll rate, which ARM sticks only pretend to have.
func (s *Stick) gone(item uint16) bool { return s.version.Aligned && item == nv.PollRateOld16 }

func (s *Stick) nvInit(m *mt.NVItemInit) uint8 {
	if s.gone(m.Item) {
		return nv.Success
	}
	return s.mem.Init(m.Item, int(m.Length), m.Value)
}

func (s *Stick) nvRead(item uint16, offset int) (mt.Status, []byte) {
	if s.gone(item) {
		rate := s.mem.Get(nv.Legacy(nv.PollRate))
		if len(rate) < 2 {
			return mt.Failure, nil
		}
		return mt.Success, rate[:2]
	}
	status, value := s.mem.Read(item, offset)
	return mt.Status(status), value
}

func (s *Stick) nvWrite(item uint16, offset int, value []byte) uint8 {
	if s.gone(item) {
		item = nv.PollRate
	}
	return s.mem.Write(item, offset, value)
}

// understands reports whether the firmware has the command: the extended memory came with the ARM sticks.
func (s *Stick) understands(cmd mt.Command) bool {
	extended := cmd.Subsystem == unpi.SYS && cmd.ID >= 0x30 && cmd.ID <= 0x36
	return s.version.Aligned || !extended
}

// extHandlers adds the extended memory.
func extHandlers(t table) {
	on(t, func(s *Stick, m *mt.ExtNVCreate) {
		s.status(m.Command(), s.mem.Create(nv.ID{System: m.System, Item: m.Item, Sub: m.Sub}, m.Length))
	})
	on(t, func(s *Stick, m *mt.ExtNVDelete) {
		s.status(m.Command(), s.mem.DeleteExt(nv.ID{System: m.System, Item: m.Item, Sub: m.Sub}))
	})
	on(t, func(s *Stick, m *mt.ExtNVLength) {
		length := s.mem.Len(nv.ID{System: m.System, Item: m.Item, Sub: m.Sub})
		s.send(&mt.ExtNVLengthRsp{Length: uint32(length)})
	})
	on(t, func(s *Stick, m *mt.ExtNVRead) {
		status, value := s.mem.ReadExt(nv.ID{System: m.System, Item: m.Item, Sub: m.Sub}, int(m.Offset), int(m.Length))
		s.send(&mt.ExtNVReadRsp{Status: mt.Status(status), Value: value})
	})
	on(t, func(s *Stick, m *mt.ExtNVWrite) {
		id := nv.ID{System: m.System, Item: m.Item, Sub: m.Sub}
		s.status(m.Command(), s.mem.WriteExt(id, int(m.Offset), m.Value))
	})
	on(t, func(s *Stick, m *mt.ExtNVUpdate) {
		s.status(m.Command(), s.mem.WriteExt(nv.ID{System: m.System, Item: m.Item, Sub: m.Sub}, 0, m.Value))
	})
	on(t, func(s *Stick, m *mt.ExtNVCompact) { s.status(m.Command(), nv.Success) })
}
