package znp_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zdo"
	"github.com/peerbee/peerbee/zigbee/znp"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

// humidity is a report of cluster 0x0405.
func humidity(sequence, endpoint byte) *mt.AFIncomingMsg {
	return &mt.AFIncomingMsg{
		Cluster: 0x0405, Src: 0x56C5, SrcEndpoint: 1, DstEndpoint: zb.Endpoint(endpoint), LinkQuality: 69,
		Data: []byte{0x18, sequence, 0x0A, 0, 0, 0x21, 0xB5, 0x14},
	}
}

func TestIncoming(t *testing.T) {
	s := formedStick(t)
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		now := time.Now()
		s.say(humidity(1, 1))
		want := znp.Incoming{
			Time: now, Source: 0x56C5, SrcEndpoint: 1, DstEndpoint: 1, Cluster: 0x0405, LinkQuality: 69,
			Data: []byte{0x18, 1, 0x0A, 0, 0, 0x21, 0xB5, 0x14},
		}
		if diff := cmp.Diff(want, next[znp.Incoming](t, h)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCopiesOfABroadcastAreOne(t *testing.T) {
	s := formedStick(t)
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		var burst []mt.Message
		for endpoint := byte(1); endpoint <= 10; endpoint++ {
			burst = append(burst, humidity(1, endpoint))
		}
		s.say(burst...)
		s.say(humidity(2, 1), humidity(2, 242))
		// The same bytes to the same endpoint are a message of their own, and so are old bytes come again.
		s.say(humidity(2, 1))
		time.Sleep(2 * time.Second)
		s.say(humidity(1, 3))
		synctest.Wait()
		for i, want := range []struct{ sequence, endpoint byte }{{1, 1}, {2, 1}, {2, 1}, {1, 3}} {
			got := next[znp.Incoming](t, h)
			if got.Data[1] != want.sequence || got.DstEndpoint != zb.Endpoint(want.endpoint) {
				t.Errorf("message %d: sequence %d, endpoint %d", i, got.Data[1], got.DstEndpoint)
			}
		}
		if st := h.Stats(); st.Incoming != 14 || st.Duplicates != 10 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestLongMessageIsFetchedAndFreed(t *testing.T) {
	s := formedStick(t)
	long := bytes.Repeat([]byte("0123456789"), 60)
	var asked []mt.AFDataRetrieve
	s.hook = func(m mt.Message) bool {
		r, ok := m.(*mt.AFDataRetrieve)
		if !ok {
			return false
		}
		asked = append(asked, *r)
		s.say(&mt.AFDataRetrieveRsp{Data: long[r.Index : int(r.Index)+int(r.Length)]})
		return true
	}
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		s.say(&mt.AFIncomingMsgExt{Cluster: 0x0019, SrcMode: mt.AddrShort, Src: 0x1234, Timestamp: 77, Length: 600})
		got := next[znp.Incoming](t, h)
		if got.Source != 0x1234 || !bytes.Equal(got.Data, long) {
			t.Errorf("got %+v", got)
		}
		s.say(&mt.AFIncomingMsgExt{Cluster: 6, SrcMode: mt.AddrIEEE, Src: 0xAABB, Length: 3, Data: []byte{1, 2, 3}})
		if got := next[znp.Incoming](t, h); got.IEEE != 0xAABB || !bytes.Equal(got.Data, []byte{1, 2, 3}) {
			t.Errorf("got %+v", got)
		}
		want := []mt.AFDataRetrieve{
			{Timestamp: 77, Length: 240},
			{Timestamp: 77, Index: 240, Length: 240},
			{Timestamp: 77, Index: 480, Length: 120},
			{Timestamp: 77, Index: 600},
		}
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Error(diff)
		}
	})
}

func TestMembershipEvents(t *testing.T) {
	s := formedStick(t)
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		s.say(
			&mt.ZDOTCDevInd{Nwk: 0x1111, IEEE: 0xAA, Parent: 0x2222},
			&mt.ZDOEndDeviceAnnceInd{Src: 0x1111, Nwk: 0x1111, IEEE: 0xAA, Capabilities: 0x80},
			&mt.ZDOLeaveInd{Src: 0x1111, IEEE: 0xAA, Rejoin: true},
			&mt.ZDOSrcRtgInd{Dst: 0x1111}, &mt.ZDOMsgCbIncoming{Src: 1}, &mt.ZDOPermitJoinInd{Seconds: 3},
		)
		want := []znp.Event{
			znp.Joined{IEEE: 0xAA, Network: 0x1111, Parent: 0x2222},
			znp.Announce{IEEE: 0xAA, Network: 0x1111, Capability: 0x80},
			znp.Left{IEEE: 0xAA, Network: 0x1111, Rejoin: true},
		}
		got := []znp.Event{next[znp.Joined](t, h), next[znp.Announce](t, h), next[znp.Left](t, h)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestForeignTrafficStaysOut: what a stick of somebody else's network hears is nobody's business here.
func TestForeignTrafficStaysOut(t *testing.T) {
	s := formedStick(t)
	s.start()
	with(t, s, nil, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseNeedsDecision, 0)
		s.say(humidity(1, 1), &mt.ZDOLeaveInd{IEEE: 0xAA})
		synctest.Wait()
		over, cancel := context.WithCancel(t.Context())
		cancel()
		for {
			e, err := h.Next(over)
			if err != nil {
				return
			}
			if _, ok := e.(znp.StateChanged); !ok {
				t.Errorf("got %+v", e)
			}
		}
	})
}

func TestSlowReaderLosesOldReportsOnly(t *testing.T) {
	s := formedStick(t)
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		const n = 6000
		s.say(&mt.ZDOTCDevInd{IEEE: 1})
		for i := range n {
			m := humidity(byte(i), 1)
			m.Data = append(m.Data, byte(i>>8))
			s.say(m)
			if i == 3000 {
				s.say(&mt.ZDOTCDevInd{IEEE: 2})
			}
		}
		s.say(&mt.ZDOTCDevInd{IEEE: 3})
		synctest.Wait()
		var joined []zb.IEEEAddress
		var reports, dropped uint64
		last := -1
		for len(joined) < 3 {
			event, err := h.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			switch e := event.(type) {
			case znp.Joined:
				joined = append(joined, e.IEEE)
			case znp.Incoming:
				reports++
				if number := int(e.Data[8])<<8 | int(e.Data[1]); number > last {
					last = number
				} else {
					t.Fatalf("report %d after %d", number, last)
				}
			case znp.Dropped:
				dropped += e.Count
			}
		}
		if diff := cmp.Diff([]zb.IEEEAddress{1, 2, 3}, joined); diff != "" {
			t.Error(diff)
		}
		if last != n-1 || dropped == 0 || reports+dropped != n || h.Stats().Dropped != dropped {
			t.Errorf("%d reports up to %d, %d dropped, stats %+v", reports, last, dropped, h.Stats())
		}
	})
}

func TestSend(t *testing.T) {
	s := formedStick(t)
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		for _, m := range []znp.Message{
			{Network: 0x1234, DstEndpoint: 2, Cluster: 6, Data: []byte{1}},
			{Network: 0x1234, DstEndpoint: 2, SrcEndpoint: 242, Cluster: 6, Radius: 3, NoAck: true, Data: []byte{1}},
			{Mode: znp.ToGroup, Group: 0x4321, DstEndpoint: 255, Cluster: 6, Data: []byte{1}},
			{Mode: znp.ToBroadcast, Network: 0xFFFD, DstEndpoint: 255, Cluster: 6, Data: []byte{1}},
			{Mode: znp.ToIEEE, IEEE: 0xAABB, DstEndpoint: 1, Cluster: 6, Data: []byte{1}},
		} {
			if err := h.Send(t.Context(), m); err != nil {
				t.Errorf("%+v: %v", m, err)
			}
		}
		short := heard[*mt.AFDataRequest](s)
		if diff := cmp.Diff([]*mt.AFDataRequest{
			{Dst: 0x1234, DstEndpoint: 2, SrcEndpoint: 1, Cluster: 6, TransID: 1, Options: 0x10, Radius: 30, Data: []byte{1}},
			{Dst: 0x1234, DstEndpoint: 2, SrcEndpoint: 242, Cluster: 6, TransID: 2, Radius: 3, Data: []byte{1}},
		}, short); diff != "" {
			t.Error(diff)
		}
		ext := heard[*mt.AFDataRequestExt](s)
		if diff := cmp.Diff([]*mt.AFDataRequestExt{
			{Mode: mt.AddrGroup, Dst: 0x4321, DstEndpoint: 255, SrcEndpoint: 1, Cluster: 6, TransID: 3, Radius: 30, Data: []byte{1}},
			{Mode: mt.AddrBroadcast, Dst: 0xFFFD, DstEndpoint: 255, SrcEndpoint: 1, Cluster: 6, TransID: 4, Radius: 30, Data: []byte{1}},
			{Mode: mt.AddrIEEE, Dst: 0xAABB, DstEndpoint: 1, SrcEndpoint: 1, Cluster: 6, TransID: 5, Options: 0x10, Radius: 30, Data: []byte{1}},
		}, ext); diff != "" {
			t.Error(diff)
		}
		if err := h.Send(t.Context(), znp.Message{Data: make([]byte, 231)}); err == nil || !strings.Contains(err.Error(), "230") {
			t.Errorf("oversized: %v", err)
		}
		if st := h.Stats(); st.Sent != 5 || st.SendFailures != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

// failing makes the stick refuse data requests with the statuses in turn, then deliver.
func failing(s *stick, statuses ...mt.Status) {
	s.hook = func(m mt.Message) bool {
		switch m := m.(type) {
		case *mt.ZDONwkAddrReq:
			s.say(&mt.StatusRsp{Of: m.Command()}, &mt.ZDONwkAddrRsp{IEEE: m.IEEE, Nwk: 0x9999})
			return true
		case *mt.AFDataRequest:
			status := mt.Success
			if len(statuses) > 0 {
				status, statuses = statuses[0], statuses[1:]
			}
			s.say(&mt.StatusRsp{Of: m.Command()}, &mt.AFDataConfirm{Status: status, Endpoint: 99, TransID: m.TransID})
			return true
		}
		return false
	}
}

func TestSendRecovers(t *testing.T) {
	const noRoute, noAck, busy, invalid = mt.NWKNoRoute, mt.MACNoAck, mt.MACChannelAccess, mt.InvalidParameter
	tests := []struct {
		name     string
		statuses []mt.Status
		want     []zb.NetworkAddress
		routes   int
		status   mt.Status
		limit    time.Duration
	}{
		{"at once", []mt.Status{noAck}, []zb.NetworkAddress{1, 1}, 0, mt.Success, 0},
		{"after a pause", []mt.Status{busy, busy}, []zb.NetworkAddress{1, 1, 1}, 0, mt.Success, 2 * time.Second},
		{"by a new route", []mt.Status{noRoute, noRoute, noRoute}, []zb.NetworkAddress{1, 1, 1, 1}, 1, mt.Success, 5 * time.Second},
		{"at a new address", []mt.Status{noRoute, noRoute, noRoute, noRoute}, []zb.NetworkAddress{1, 1, 1, 1, 0x9999}, 1, mt.Success, 5 * time.Second},
		{"not at all", []mt.Status{noAck, noAck, noAck, noAck, noAck}, []zb.NetworkAddress{1, 1, 1, 1, 0x9999}, 1, noAck, 5 * time.Second},
		{"not to a sleeping child", []mt.Status{mt.MACExpired, mt.MACExpired}, []zb.NetworkAddress{1, 1}, 0, mt.MACExpired, 0},
		{"a refusal that stays", []mt.Status{invalid}, []zb.NetworkAddress{1}, 0, invalid, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := formedStick(t)
			with(t, s, &formed, func(t *testing.T, h *znp.Host) {
				reach(t, h, znp.PhaseRunning, 0)
				s.set(func() { failing(s, tt.statuses...) })
				start := time.Now()
				err := h.Send(t.Context(), znp.Message{Network: 1, IEEE: 0xAABB, Data: []byte{1}})
				var refused *znp.StatusError
				switch {
				case tt.status == mt.Success && err != nil:
					t.Error(err)
				case tt.status != mt.Success && (!errors.As(err, &refused) || refused.Status != tt.status):
					t.Errorf("got %v", err)
				}
				var dst []zb.NetworkAddress
				for _, m := range heard[*mt.AFDataRequest](s) {
					dst = append(dst, m.Dst)
				}
				if diff := cmp.Diff(tt.want, dst); diff != "" {
					t.Error(diff)
				}
				if n := len(heard[*mt.ZDOExtRouteDisc](s)); n != tt.routes {
					t.Errorf("%d route discoveries", n)
				}
				if took := time.Since(start); took > tt.limit {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestConcurrentSendsAreLimitedAndMatched(t *testing.T) {
	for _, tt := range []struct {
		name   string
		layout int
		limit  int
	}{{"CC253x", 21, 2}, {"CC26x2", 24, 16}} {
		t.Run(tt.name, func(t *testing.T) {
			s := formedStick(t)
			s.nv[0x82] = make([]byte, tt.layout)
			s.hook = func(m mt.Message) bool {
				if _, ok := m.(*mt.AFDataRequest); ok {
					s.say(&mt.StatusRsp{Of: m.Command()}) // confirmed later
					return true
				}
				return false
			}
			with(t, s, &formed, func(t *testing.T, h *znp.Host) {
				reach(t, h, znp.PhaseRunning, 0)
				var wg sync.WaitGroup
				results := make([]error, 40)
				for i := range results {
					wg.Go(func() {
						results[i] = h.Send(t.Context(), znp.Message{Network: zb.NetworkAddress(i), Data: []byte{1}})
					})
				}
				confirmed := 0
				for confirmed < len(results) {
					synctest.Wait()
					waiting := heard[*mt.AFDataRequest](s)[confirmed:]
					if len(waiting) > tt.limit {
						t.Fatalf("%d on their way at once", len(waiting))
					}
					// Newest first, odd destinations refused: a mix-up would show.
					for i := len(waiting) - 1; i >= 0; i-- {
						status := mt.Success
						if waiting[i].Dst%2 == 1 {
							status = mt.InvalidParameter
						}
						s.say(&mt.AFDataConfirm{Status: status, TransID: waiting[i].TransID})
					}
					confirmed += len(waiting)
				}
				wg.Wait()
				for i, err := range results {
					if (err != nil) != (i%2 == 1) {
						t.Errorf("message %d: %v", i, err)
					}
				}
			})
		})
	}
}

func TestSendEndsWithItsContextAndWithTheStick(t *testing.T) {
	s := formedStick(t)
	s.hook = func(m mt.Message) bool {
		_, ok := m.(*mt.AFDataRequest)
		if ok {
			s.say(&mt.StatusRsp{Of: m.Command()})
		}
		return ok
	}
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Send(ctx, znp.Message{Data: []byte{1}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with its context: %v", err)
		}
		if err := h.Send(t.Context(), znp.Message{Data: []byte{1}}); !errors.Is(err, znp.ErrTimeout) {
			t.Errorf("without a confirmation: %v", err)
		}
		time.AfterFunc(time.Second, s.crash)
		start := time.Now()
		if err := h.Send(t.Context(), znp.Message{Data: []byte{1}}); err == nil || time.Since(start) > time.Second {
			t.Errorf("with the stick: %v after %v", err, time.Since(start))
		}
	})
}

func TestQueries(t *testing.T) {
	descriptor := zdo.NodeDescriptor{LogicalType: zb.EndDevice, ManufacturerCode: 0x115F, MaxBufferSize: 80}
	simple := zdo.SimpleDescriptor{Endpoint: 1, Profile: 0x0104, DeviceType: 0x0302, InClusters: []zb.ClusterID{0, 0x0402}}
	neighbours := make([]zdo.Neighbour, 5)
	for i := range neighbours {
		neighbours[i] = zdo.Neighbour{IEEE: zb.IEEEAddress(i + 1), Type: zb.Router, RxOnWhenIdle: zdo.Yes, Relationship: 2, LQI: 99}
	}
	s := formedStick(t)
	s.hook = func(m mt.Message) bool {
		ok := &mt.StatusRsp{Of: m.Command()}
		switch m := m.(type) {
		case *mt.ZDONodeDescReq:
			// Another device's answer comes first, all in the same write as the SRSP.
			s.say(ok, &mt.ZDONodeDescRsp{Src: 7, Nwk: 7, Descriptor: make([]byte, 13)},
				&mt.ZDONodeDescRsp{Src: m.Nwk, Nwk: m.Nwk, Descriptor: descriptor.Append(nil)})
		case *mt.ZDOSimpleDescReq:
			s.say(ok, &mt.ZDOSimpleDescRsp{Nwk: m.Nwk, Descriptor: simple.Append(nil)})
		case *mt.ZDOActiveEPReq:
			if m.Nwk == 0 {
				return false
			}
			s.say(ok, &mt.ZDOActiveEPRsp{Src: m.Nwk, Status: 0x81, Nwk: m.Nwk})
		case *mt.ZDOIEEEAddrReq:
			s.say(ok, &mt.ZDOIEEEAddrRsp{IEEE: 0xAABB, Nwk: m.Nwk})
		case *mt.ZDONwkAddrReq:
			s.say(ok) // nobody answers
		case *mt.ZDOMgmtLqiReq:
			var rows []mt.Neighbour
			for i := int(m.StartIndex); i < min(len(neighbours), int(m.StartIndex)+2); i++ {
				rows = append(rows, mt.Neighbour{IEEE: neighbours[i].IEEE, Flags: 0x25, LinkQuality: 99})
			}
			s.say(ok, &mt.ZDOMgmtLqiRsp{Src: m.Dst, Total: 5, StartIndex: m.StartIndex, Neighbours: rows})
		case *mt.ZDOMgmtRtgReq:
			s.say(ok, &mt.ZDOMgmtRtgRsp{Src: m.Dst, Total: 1, Routes: []mt.Route{{Dst: 9, Status: 3, NextHop: 8}}})
		case *mt.ZDOMgmtNwkUpdateReq:
			s.say(ok, &mt.ZDOMgmtNwkUpdateNotify{Src: m.Dst, Channels: m.Channels, Energy: []byte{1, 2}})
		case *mt.ZDOBindReq, *mt.ZDOUnbindReq, *mt.ZDOMgmtLeaveReq:
			s.say(ok, &mt.ZDOStatusRsp{Of: m.Command(), Src: 3, Status: 0x8C}, &mt.ZDOStatusRsp{Of: m.Command(), Src: 2})
		default:
			return false
		}
		return true
	}
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		ctx := t.Context()
		check := func(what string, want, got any, err error) {
			t.Helper()
			if err != nil {
				t.Errorf("%s: %v", what, err)
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		nd, err := h.NodeDescriptor(ctx, 2)
		check("node descriptor", descriptor, nd, err)
		sd, err := h.SimpleDescriptor(ctx, 2, 1)
		check("simple descriptor", simple, sd, err)
		ieee, err := h.IEEEAddress(ctx, 2)
		check("IEEE address", zb.IEEEAddress(0xAABB), ieee, err)
		lqi, err := h.Neighbours(ctx, 2)
		check("neighbours", neighbours, lqi, err)
		rtg, err := h.Routes(ctx, 2)
		check("routes", []zdo.Route{{Destination: 9, Status: zdo.RouteInactive, NextHop: 8}}, rtg, err)
		energy, err := h.EnergyScan(ctx, 0, 0x1800)
		check("energy scan", []byte{1, 2}, energy, err)
		check("discover route", nil, nil, h.DiscoverRoute(ctx, 2))
		target := zdo.BindTarget{Mode: zdo.AddressModeIEEE, IEEE: stickIEEE, Endpoint: 1}
		check("bind", nil, nil, h.Bind(ctx, znp.Binding{Node: 2, Source: 0xAABB, SrcEndpoint: 1, Cluster: 6, Target: target}))
		check("leave", nil, nil, h.Leave(ctx, 2, 0xAABB))
		var refused *znp.StatusError
		if err := h.Unbind(ctx, znp.Binding{Node: 3, Target: zdo.BindTarget{Mode: zdo.AddressModeGroup, Group: 5}}); !errors.As(err, &refused) || refused.Status != 0x8C {
			t.Errorf("unbind: %v", err)
		}
		if _, err := h.ActiveEndpoints(ctx, 2); !errors.As(err, &refused) || refused.Status != 0x81 {
			t.Errorf("active endpoints: %v", err)
		}
		if _, err := h.NetworkAddress(ctx, 0xAABB); !errors.Is(err, znp.ErrTimeout) {
			t.Errorf("network address: %v", err)
		}
		bind := heard[*mt.ZDOBindReq](s)[0]
		if bind.Mode != mt.AddrIEEE || bind.Target != uint64(stickIEEE) || bind.TargetEndpoint != 1 {
			t.Errorf("bind request %+v", bind)
		}
		if unbind := heard[*mt.ZDOUnbindReq](s)[0]; unbind.Mode != mt.AddrGroup || unbind.Target != 5 {
			t.Errorf("unbind request %+v", unbind)
		}
	})
}

func TestPermitJoin(t *testing.T) {
	for _, tt := range []struct {
		name  string
		build uint32
		want  []mt.ZDOMgmtPermitJoinReq
	}{
		{"new firmware", 20230507, []mt.ZDOMgmtPermitJoinReq{{Mode: mt.AddrBroadcast, Dst: 0xFFFC, Seconds: 254}}},
		{"old firmware", 20200805, []mt.ZDOMgmtPermitJoinReq{
			{Mode: mt.AddrBroadcast, Dst: 0xFFFC, Seconds: 254}, {Mode: mt.AddrShort, Dst: 0, Seconds: 254},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := formedStick(t)
			s.version.Revision = tt.build
			s.hook = func(m mt.Message) bool {
				if p, ok := m.(*mt.ZDOMgmtPermitJoinReq); ok && p.Dst == 0x1234 {
					s.say(&mt.StatusRsp{Of: m.Command()}, &mt.ZDOStatusRsp{Of: m.Command(), Src: 0x1234})
					return true
				}
				return false
			}
			with(t, s, &formed, func(t *testing.T, h *znp.Host) {
				reach(t, h, znp.PhaseRunning, 0)
				s.forget()
				if err := h.PermitJoin(t.Context(), 255, nil); err == nil {
					t.Error("255 seconds accepted")
				}
				if err := h.PermitJoin(t.Context(), 254, nil); err != nil {
					t.Error(err)
				}
				router := zb.NetworkAddress(0x1234)
				if err := h.PermitJoin(t.Context(), 60, &router); err != nil {
					t.Error(err)
				}
				var got []mt.ZDOMgmtPermitJoinReq
				for _, m := range heard[*mt.ZDOMgmtPermitJoinReq](s) {
					got = append(got, *m)
				}
				want := append(tt.want, mt.ZDOMgmtPermitJoinReq{Mode: mt.AddrShort, Dst: 0x1234, Seconds: 60})
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestRegisterEndpoint(t *testing.T) {
	s := formedStick(t)
	with(t, s, &formed, func(t *testing.T, h *znp.Host) {
		reach(t, h, znp.PhaseRunning, 0)
		if err := h.RegisterEndpoint(t.Context(), zdo.SimpleDescriptor{Endpoint: 1}); err == nil {
			t.Error("endpoint 1 given away")
		}
		if err := h.RegisterEndpoint(t.Context(), zdo.SimpleDescriptor{Endpoint: 11, Profile: 0x0104}); err != nil {
			t.Error(err)
		}
		s.crash()
		time.Sleep(time.Second)
		reach(t, h, znp.PhaseRunning, 0)
		if diff := cmp.Diff([]zb.Endpoint{1, 242, 11}, s.registered()); diff != "" {
			t.Error(diff)
		}
	})
}
