package sim

import (
	"encoding/binary"
	"math/bits"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/zdo"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// Reasons of a reset indication.
const (
	resetExternal = 1
	resetWatchdog = 2
)

// Bits of the start-up option item.
const (
	clearConfig = 0x01
	clearState  = 0x02
)

// commissionFormation is the mode of commissioning a coordinator has.
const commissionFormation = 0x04

// Outcomes of commissioning.
const (
	bdbSuccess          = 0x00
	bdbFormationFailure = 0x08
	bdbNetworkRestored  = 0x0D
)

// counterStep is by how much the stored frame counter runs ahead, so that flash is written seldom.
const counterStep = 1250

// maxInstallCodes is the size of the table of install codes.
const maxInstallCodes = 50

// appSetTCRequireKeyExchange is an APP_CNF command outside the mt table.
const appSetTCRequireKeyExchange = 0x09

// restart is what happens between power or a reset and readiness.
func (s *Stick) restart() {
	s.radio = radio{
		boot: s.boot + 1, installed: map[zb.IEEEAddress]bool{}, callbacks: map[uint16]bool{}, started: time.Now(),
	}
	s.timers = s.timers[:0]
	options := s.startupOptions()
	if options&clearConfig != 0 {
		s.mem.ClearConfig()
		s.setStartupOptions(options &^ clearConfig)
	}
	if options&clearState != 0 {
		s.mem.ClearNetwork()
		s.groups = nil
	}
	s.recall()
}

// reset restarts the stick and says so when it is back.
func (s *Stick) reset(reason uint8) {
	s.restart()
	s.deaf = true
	s.after(s.delays.Reset, func() {
		s.deaf = false
		s.send(&mt.SysResetInd{
			Reason: reason, Transport: transportRevision, Product: s.version.Product,
			Major: majorRelease, Minor: minorRelease, Maintenance: maintenance,
		})
		s.log.Info("stick restarted", "reason", reason)
	})
}

func (s *Stick) startupOptions() uint8 {
	if v := s.mem.Get(nv.Legacy(nv.StartupOption)); len(v) == 1 {
		return v[0]
	}
	return 0
}

func (s *Stick) setStartupOptions(options uint8) {
	s.mem.Set(nv.Legacy(nv.StartupOption), []byte{options})
}

// recall joins the sensors that the memory knows, and the others out.
func (s *Stick) recall() {
	_, on := s.mem.Network()
	known := map[zb.IEEEAddress]nv.Known{}
	for _, k := range s.mem.Devices() {
		known[k.IEEE] = k
	}
	for _, d := range s.sensors {
		k, member := known[d.ieee]
		fresh := !d.joined
		switch {
		case on && member:
			d.nwk = k.Network
			d.enter()
		case on && d.always:
			s.admit(d)
		default:
			d.leave()
		}
		if d.joined && fresh {
			d.trustNetwork(s.mem.IEEE())
		}
	}
}

// start brings the network of the memory up. It reports whether there is one.
func (s *Stick) start() bool {
	if s.startupOptions()&clearState != 0 {
		s.mem.ClearNetwork()
		s.setStartupOptions(s.startupOptions() &^ clearState)
	}
	network, on := s.mem.Network()
	if !on {
		return false
	}
	s.network = network
	s.counter = s.mem.FrameCounter(network.ExtendedPAN) + counterStep
	s.savedCount = s.counter
	s.mem.SetFrameCounter(network.ExtendedPAN, s.counter)
	s.recall()
	s.setState(mt.StateStartingCoordinator)
	s.setState(stateRunning)
	s.log.Info("stick is on its network", "channel", network.Channel, "pan", network.PAN)
	return true
}

func (s *Stick) setState(state mt.DeviceState) {
	if s.state == state {
		return
	}
	s.state = state
	s.send(&mt.ZDOStateChangeInd{State: state})
	s.poke()
}

// sent counts a transmission over the air.
func (s *Stick) sent() {
	s.counter++
	if s.counter-s.savedCount >= counterStep {
		s.savedCount = s.counter
		s.mem.SetFrameCounter(s.network.ExtendedPAN, s.counter)
	}
}

// commission forms the network the memory is configured for, or resumes the one it holds: then the answer is a
// failure to form, and the stick is on its network all the same.
func (s *Stick) commission() {
	life := s.boot
	s.after(s.delays.Form, func() {
		if s.boot != life {
			return
		}
		if s.state == stateRunning {
			s.send(&mt.BDBNotification{Status: bdbFormationFailure, Mode: commissionFormation})
			return
		}
		if s.start() {
			s.send(&mt.BDBNotification{Status: bdbNetworkRestored})
			s.send(&mt.BDBNotification{Status: bdbFormationFailure, Mode: commissionFormation})
			return
		}
		s.mem.Form(s.configured())
		s.groups = nil
		s.start()
		s.send(&mt.BDBNotification{Status: bdbSuccess, Mode: commissionFormation})
	})
}

// configured is the network the configuration items ask for, with what they leave open chosen.
func (s *Stick) configured() nv.Network {
	n := nv.Network{ChannelMask: s.channels[1] | s.channels[0]}
	if s.channels[1] != 0 {
		n.ChannelMask = s.channels[1]
	}
	if v := s.mem.Get(nv.Legacy(nv.ChanList)); n.ChannelMask == 0 && len(v) == 4 {
		n.ChannelMask = binary.LittleEndian.Uint32(v)
	}
	n.ChannelMask &= zigbeeChannels
	if n.ChannelMask == 0 {
		n.ChannelMask = 1 << defaultChannel
	}
	n.Channel = uint8(bits.TrailingZeros32(n.ChannelMask))
	n.PAN = 0xFFFF
	if v := s.mem.Get(nv.Legacy(nv.PANID)); len(v) == 2 {
		n.PAN = zb.PANID(binary.LittleEndian.Uint16(v))
	}
	if n.PAN == 0xFFFF {
		n.PAN = zb.PANID(s.rng.UintN(0xFFFE) + 1)
	}
	for _, item := range []uint16{nv.APSUseExtPANID, nv.ExtendedPANID, nv.ExtAddr} {
		if v := s.mem.Get(nv.Legacy(item)); len(v) == 8 && n.ExtendedPAN == 0 {
			n.ExtendedPAN = zb.ExtendedPANID(binary.LittleEndian.Uint64(v))
		}
	}
	if v := s.mem.Get(nv.Legacy(nv.PrecfgKey)); len(v) == len(n.Key) {
		n.Key = zb.NetworkKey(v)
	}
	if n.Key == (zb.NetworkKey{}) {
		fill(s.rng, n.Key[:])
	}
	return n
}

// zigbeeChannels are channels 11 to 26.
const (
	zigbeeChannels = 0x07FFF800
	defaultChannel = 11
)

func appHandlers() table {
	t := table{}
	on(t, func(s *Stick, m *mt.BDBStartCommissioning) {
		if m.Mode != commissionFormation {
			s.status(m.Command(), nv.InvalidParameter)
			return
		}
		s.status(m.Command(), nv.Success)
		s.commission()
	})
	on(t, func(s *Stick, m *mt.BDBSetChannel) {
		which := 0
		if m.Primary {
			which = 1
		}
		s.channels[which] = m.Channels
		s.status(m.Command(), nv.Success)
	})
	on(t, func(s *Stick, m *mt.BDBJoinUsesInstallCode) {
		s.installOnly = m.Enforce
		s.status(m.Command(), nv.Success)
	})
	on(t, func(s *Stick, m *mt.BDBAddInstallCode) {
		want := map[uint8]int{1: 18, 2: 16}[m.Format]
		if want == 0 || len(m.Code) < want {
			s.status(m.Command(), nv.InvalidParameter)
			return
		}
		if len(s.installed) >= maxInstallCodes {
			s.status(m.Command(), uint8(mt.NWKTableFull))
			return
		}
		s.installed[m.IEEE] = true
		s.status(m.Command(), nv.Success)
	})
	fixed(t, unpi.AppCnf, appSetTCRequireKeyExchange, 1, 0)
	on(t, func(s *Stick, m *mt.ZDOStartupFromApp) {
		const restored, created = 0, 1
		answer := uint8(created)
		if _, on := s.mem.Network(); on {
			answer = restored
		}
		s.status(m.Command(), answer)
		s.commission()
	})
	on(t, func(s *Stick, m *mt.ZDOExtNwkInfo) {
		rsp := &mt.ZDOExtNwkInfoRsp{Nwk: zdo.AddressUnknown, State: s.state, PAN: 0xFFFF, Parent: zdo.AddressUnknown}
		if s.state == stateRunning {
			rsp.Nwk, rsp.PAN, rsp.Parent = zdo.AddressCoordinator, s.network.PAN, zdo.AddressCoordinator
			rsp.ExtendedPAN, rsp.Channel = s.network.ExtendedPAN, s.network.Channel
		}
		s.send(rsp)
	})
	return t
}
