package sim

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zcl"
	"github.com/peerbee/peerbee/zigbee/zdo"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// TestJoinAndInterview goes the whole way of a device: join, descriptors, Basic attributes, binding, reporting,
// a report of a known value, leave.
func TestJoinAndInterview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: sensors("temperature")})
		h := plug(t, s)
		h.form()
		got := h.permit(254)
		tc, annce := expect[mt.ZDOTCDevInd](h, got), expect[mt.ZDOEndDeviceAnnceInd](h, got)
		d := joined(t, s, "temperature-1")
		if tc.IEEE.String() != d.IEEE || uint16(tc.Nwk) != d.Network || tc.Parent != 0 || annce.IEEE != tc.IEEE || annce.Nwk != tc.Nwk || !d.Joined {
			t.Fatalf("joined as %+v, announced as %+v, is %+v", tc, annce, d)
		}
		nwk := tc.Nwk

		node := expect[mt.ZDONodeDescRsp](h, h.accepted(&mt.ZDONodeDescReq{Dst: nwk, Nwk: nwk}, mt.Success))
		desc, err := zdo.DecodeNodeDescriptor(node.Descriptor)
		if err != nil || desc.LogicalType != zb.EndDevice || desc.ManufacturerCode != 0x1234 || node.Src != nwk {
			t.Errorf("node descriptor %+v %v", desc, err)
		}
		eps := expect[mt.ZDOActiveEPRsp](h, h.accepted(&mt.ZDOActiveEPReq{Dst: nwk, Nwk: nwk}, mt.Success))
		if diff := cmp.Diff([]zb.Endpoint{1}, eps.Endpoints); diff != "" {
			t.Error(diff)
		}
		simple := expect[mt.ZDOSimpleDescRsp](h, h.accepted(&mt.ZDOSimpleDescReq{Dst: nwk, Nwk: nwk, Endpoint: 1}, mt.Success))
		sd, err := zdo.DecodeSimpleDescriptor(simple.Descriptor)
		want := []zb.ClusterID{0x0000, 0x0001, 0x0003, 0x0402, 0x0405}
		if diff := cmp.Diff(want, sd.InClusters); err != nil || diff != "" {
			t.Error(err, diff)
		}

		answer, _ := h.zcl(nwk, zcl.ClusterBasic, zcl.Frame{Seq: 1, Command: zcl.CommandReadAttributes, Payload: zcl.AppendReadRequest(nil, 4, 5, 7, 0x99)})
		records := zcl.DecodeReadResponse(answer.Payload)
		values := []any{records[0].Value, records[1].Value, records[2].Value, records[3].Status}
		if diff := cmp.Diff([]any{"peerbee-sim", "SIM-TH1", uint64(3), zcl.StatusUnsupportedAttribute}, values); diff != "" {
			t.Error(diff)
		}

		own := expect[mt.UtilGetDeviceInfoRsp](h, h.ask(&mt.UtilGetDeviceInfo{})).IEEE
		bound := h.accepted(&mt.ZDOBindReq{Dst: nwk, Src: tc.IEEE, SrcEndpoint: 1, Cluster: 0x0402, Mode: mt.AddrIEEE, Target: uint64(own), TargetEndpoint: 1}, mt.Success)
		if len(bound) != 1 || bound[0].ID != 0xA1 || bound[0].Payload[2] != 0 {
			t.Errorf("bind: %v", bound)
		}
		config, err := zcl.AppendConfigureReporting(nil, []zcl.ReportConfig{{ID: 0, Type: zcl.TypeInt16, Min: 1, Max: 3600, Change: 5}})
		if err != nil {
			t.Fatal(err)
		}
		answer, _ = h.zcl(nwk, zcl.ClusterTemperature, zcl.Frame{Seq: 2, Command: zcl.CommandConfigureReporting, Payload: config})
		if refs, err := zcl.DecodeConfigureReportingResponse(answer.Payload); err != nil || len(refs) != 0 {
			t.Errorf("configure reporting: %v %v", refs, err)
		}

		if err := s.Set("temperature-1", "temperature", 22.53); err != nil {
			t.Fatal(err)
		}
		r := reports(t, h.all())
		if len(r) != 1 || r[0].src != nwk || r[0].cluster != zcl.ClusterTemperature || r[0].attrs[0].Value != int64(2253) {
			t.Fatalf("report %+v", r)
		}

		left := h.accepted(&mt.ZDOMgmtLeaveReq{Dst: nwk, Device: tc.IEEE}, mt.Success)
		if l := expect[mt.ZDOLeaveInd](h, left); l.IEEE != tc.IEEE || l.Rejoin || joined(t, s, "temperature-1").Joined {
			t.Errorf("leave %+v", l)
		}
		gone := h.accepted(&mt.AFDataRequest{Dst: nwk, DstEndpoint: 1, SrcEndpoint: 1, TransID: 8}, mt.Success)
		if c := expect[mt.AFDataConfirm](h, gone); c.Status != mt.NWKNoRoute {
			t.Errorf("a device that left is confirmed with %s", c.Status)
		}
	})
}

// TestSchedule counts the reports of a sensor as it comes from the factory and as configured.
func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: []SensorSpec{{Kind: "temperature", Joined: true, Network: 0x1234}}})
		h := plug(t, s)
		h.form()
		count := func(d time.Duration) (n int, last []report) {
			time.Sleep(d)
			for _, r := range reports(t, h.all()) {
				if r.cluster == zcl.ClusterTemperature {
					n++
					last = append(last, r)
				}
			}
			return n, last
		}
		n, all := count(time.Minute + time.Millisecond)
		if n != 12 {
			t.Errorf("%d reports in a minute, want one every 5 s", n)
		}
		for i := 1; i < len(all); i++ {
			if all[i].seq == all[i-1].seq || all[i].attrs[0].Value == all[i-1].attrs[0].Value {
				t.Errorf("report %d is like the one before: %+v", i, all[i])
			}
		}
		d := s.sensors[0]
		b := mt.ZDOBindReq{Dst: 0x1234, Src: d.ieee, SrcEndpoint: 1, Cluster: 0x0402, Mode: mt.AddrIEEE, Target: uint64(s.mem.IEEE()), TargetEndpoint: 1}
		configure := func(minimum, maximum uint16, change int) {
			t.Helper()
			p, err := zcl.AppendConfigureReporting(nil, []zcl.ReportConfig{{Type: zcl.TypeInt16, Min: minimum, Max: maximum, Change: change}})
			if err != nil {
				t.Fatal(err)
			}
			h.zcl(0x1234, zcl.ClusterTemperature, zcl.Frame{Seq: 3, Command: zcl.CommandConfigureReporting, Payload: p})
		}
		configure(20, 3600, 1)
		if n, _ = count(time.Minute); n != 0 {
			t.Errorf("%d reports without a binding", n)
		}
		h.accepted(&b, mt.Success)
		configure(20, 3600, 1)
		if n, _ = count(time.Minute + time.Second); n != 3 {
			t.Errorf("%d reports in a minute with at least 20 s between them", n)
		}
		configure(1, 30, 32000)
		if n, _ = count(2*time.Minute + time.Second); n != 4 {
			t.Errorf("%d reports in two minutes with at most 30 s between them and no change", n)
		}
		configure(1, 0xFFFF, 1)
		if n, _ = count(time.Minute); n != 0 {
			t.Errorf("%d reports after they were switched off", n)
		}
		s.Pause(true)
		if got := h.all(); len(got) != 0 {
			t.Errorf("left over: %v", names(got))
		}
		time.Sleep(time.Hour)
		if got := h.all(); len(got) != 0 {
			t.Errorf("paused sensors sent %v", names(got))
		}
	})
}

// TestEnrolment is the IAS sequence, asked for by the sensor, and the alarm that comes only then.
func TestEnrolment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: sensors("contact")})
		h := plug(t, s)
		h.form()
		nwk := expect[mt.ZDOTCDevInd](h, h.permit(60)).Nwk
		s.Pause(true)
		own := expect[mt.UtilGetDeviceInfoRsp](h, h.ask(&mt.UtilGetDeviceInfo{})).IEEE
		if err := s.Set("contact-1", "contact", 0); err != nil {
			t.Fatal(err)
		}
		if got := h.all(); len(got) != 0 {
			t.Errorf("an alarm before the enrolment: %v", names(got))
		}
		write, err := zcl.AppendWrite(nil, []zcl.Attribute{{ID: zcl.AttrZoneCIE, Type: zcl.TypeIEEE, Value: own}})
		if err != nil {
			t.Fatal(err)
		}
		answer, got := h.zcl(nwk, zcl.ClusterIASZone, zcl.Frame{Seq: 4, Command: zcl.CommandWriteAttributes, Payload: write})
		if bad, err := zcl.DecodeWriteResponse(answer.Payload); err != nil || len(bad) != 0 {
			t.Errorf("write: %v %v", bad, err)
		}
		request := incoming(t, got[len(got)-1:])
		enroll, err := zcl.DecodeZoneEnrollRequest(request.Payload)
		if err != nil || request.Command != zcl.CommandZoneEnrollRequest || enroll.ZoneType != zoneContact {
			t.Fatalf("enroll request %+v %+v %v", request, enroll, err)
		}
		reply := request.Reply(zcl.CommandZoneEnrollResponse, zcl.ZoneEnrollResponse{Zone: 23}.Append(nil))
		h.accepted(&mt.AFDataRequest{Dst: nwk, DstEndpoint: 1, SrcEndpoint: 1, Cluster: 0x0500, Data: reply.Append(nil)}, mt.Success)
		answer, _ = h.zcl(nwk, zcl.ClusterIASZone, zcl.Frame{Seq: 5, Command: zcl.CommandReadAttributes, Payload: zcl.AppendReadRequest(nil, zcl.AttrZoneState, zcl.AttrZoneID)})
		if r := zcl.DecodeReadResponse(answer.Payload); r[0].Value != uint64(1) || r[1].Value != uint64(23) {
			t.Errorf("zone state %+v", r)
		}
		for _, c := range []struct {
			closed float64
			status uint16
		}{{1, 0}, {0, zcl.ZoneAlarm1}} {
			if err := s.Set("contact-1", "contact", c.closed); err != nil {
				t.Fatal(err)
			}
			f := incoming(t, h.all())
			change, err := zcl.DecodeZoneStatusChange(f.Payload)
			if diff := cmp.Diff(zcl.ZoneStatusChange{Status: c.status, Zone: 23}, change); err != nil || diff != "" {
				t.Error(err, diff)
			}
		}
	})
}

// incoming decodes the one message of a sensor among frames.
func incoming(t *testing.T, among []unpi.Frame) zcl.Frame {
	t.Helper()
	at := slices.IndexFunc(among, func(f unpi.Frame) bool { return mt.CommandOf(f) == (&mt.AFIncomingMsg{}).Command() })
	if at < 0 {
		t.Fatalf("no message among %v", names(among))
	}
	in, err := mt.DecodeIncoming(among[at].Payload)
	if err != nil {
		t.Fatal(err)
	}
	f, err := zcl.Decode(in.Data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestEveryKind joins one of each, reads all it has, presses its button, and holds the reports against the kind.
func TestEveryKind(t *testing.T) {
	for _, kind := range Kinds() {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStick(t, Options{Sensors: []SensorSpec{{Kind: kind, Joined: true, Network: 0x1234}}})
				h := plug(t, s)
				h.form()
				k := kinds[kind]
				for _, cluster := range k.clusters() {
					f, _ := h.zcl(0x1234, uint16(cluster), zcl.Frame{Seq: 1, Command: zcl.CommandDiscoverAttributes, Payload: zcl.DiscoverRequest{Max: 255}.Append(nil)})
					list, err := zcl.DecodeDiscoverResponse(f.Payload)
					if err != nil || !list.Complete || len(list.Attributes) == 0 {
						t.Fatalf("cluster %04x: %+v %v", cluster, list, err)
					}
					for _, a := range list.Attributes {
						f, _ := h.zcl(0x1234, uint16(cluster), zcl.Frame{Seq: 2, Command: zcl.CommandReadAttributes, Payload: zcl.AppendReadRequest(nil, a.ID)})
						r := zcl.DecodeReadResponse(f.Payload)
						if len(r) != 1 || r[0].Status != zcl.StatusSuccess || r[0].Type != a.Type || r[0].Opaque {
							t.Errorf("cluster %04x attribute %04x: %+v", cluster, a.ID, r)
						}
						if info, ok := zcl.LookupAttribute(uint16(cluster), a.ID); ok && info.Type != a.Type {
							t.Errorf("cluster %04x attribute %04x has type %v, the standard says %v", cluster, a.ID, a.Type, info.Type)
						}
					}
				}
				if err := s.Press(kind + "-1"); err != nil {
					t.Fatal(err)
				}
				got := h.all()
				seen := map[attrKey]bool{}
				for _, r := range reports(t, got) {
					for _, a := range r.attrs {
						seen[attrKey{r.cluster, a.ID}] = !a.Opaque && !a.Invalid()
					}
				}
				for _, p := range k.Properties {
					if p.Zone == 0 && !seen[attrKey{p.Cluster, p.Attribute}] {
						t.Errorf("%s was not reported: %v", p.Name, seen)
					}
				}
				if k.ZoneType != 0 && incoming(t, got[len(got)-1:]).Command != zcl.CommandZoneStatusChange {
					t.Errorf("no zone status: %v", names(got))
				}
			})
		})
	}
}

func TestDefaultResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: []SensorSpec{{Kind: "plug", Joined: true, Network: 0x1234}}})
		h := plug(t, s)
		h.form()
		s.Pause(true)
		for _, c := range []struct {
			name    string
			cluster uint16
			frame   zcl.Frame
			want    zcl.DefaultResponse
		}{
			{"command", zcl.ClusterOnOff, zcl.Frame{Type: zcl.ClusterSpecific, Command: 0}, zcl.DefaultResponse{Command: 0}},
			{"unknown command", zcl.ClusterOnOff, zcl.Frame{Type: zcl.ClusterSpecific, Command: 9}, zcl.DefaultResponse{Command: 9, Status: zcl.StatusUnsupCommand}},
			{"unknown cluster", 0x0300, zcl.Frame{Type: zcl.ClusterSpecific, Command: 1}, zcl.DefaultResponse{Command: 1, Status: zcl.StatusUnsupportedCluster}},
			{"unknown general command", zcl.ClusterBasic, zcl.Frame{Command: 0x33}, zcl.DefaultResponse{Command: 0x33, Status: zcl.StatusUnsupGeneralCommand}},
			{"half a read", zcl.ClusterBasic, zcl.Frame{Command: 0, Payload: []byte{1}}, zcl.DefaultResponse{Command: 0, Status: zcl.StatusMalformedCommand}},
			{"half a write", zcl.ClusterBasic, zcl.Frame{Command: 2, Payload: []byte{1, 0, 0x20}}, zcl.DefaultResponse{Command: 2, Status: zcl.StatusMalformedCommand}},
		} {
			c.frame.Seq = 77
			f, _ := h.zcl(0x1234, c.cluster, c.frame)
			got, err := zcl.DecodeDefaultResponse(f.Payload)
			if diff := cmp.Diff(c.want, got); err != nil || f.Command != zcl.CommandDefaultResponse || diff != "" {
				t.Error(c.name, f, err, diff)
			}
			time.Sleep(settle)
			h.all()
		}
		quiet := zcl.Frame{Type: zcl.ClusterSpecific, DisableDefaultResponse: true, Seq: 1, Command: commandOn}
		got := h.accepted(&mt.AFDataRequest{Dst: 0x1234, DstEndpoint: 1, SrcEndpoint: 1, Cluster: 6, Data: quiet.Append(nil)}, mt.Success)
		if len(got) != 1 {
			t.Errorf("a command that wants no response got %v", names(got))
		}
		time.Sleep(settle)
		r := reports(t, h.all())
		if len(r) != 1 || r[0].cluster != zcl.ClusterOnOff || r[0].attrs[0].Value != true {
			t.Errorf("the plug that was switched on reports %+v", r)
		}
	})
}

func TestSleepySensor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: []SensorSpec{{Kind: "contact", Joined: true, Network: 0x1234, Sleepy: 3 * time.Second}}})
		h := plug(t, s)
		h.form()
		s.Pause(true)
		ask := func() mt.Status {
			read := zcl.Frame{Payload: zcl.AppendReadRequest(nil, 5)}
			return expect[mt.AFDataConfirm](h, h.accepted(&mt.AFDataRequest{Dst: 0x1234, DstEndpoint: 1, SrcEndpoint: 1, Data: read.Append(nil)}, mt.Success)).Status
		}
		if got := ask(); got != mt.MACExpired {
			t.Errorf("asleep: %s", got)
		}
		if got := h.accepted(&mt.ZDOActiveEPReq{Dst: 0x1234, Nwk: 0x1234}, mt.Success); len(got) != 0 {
			t.Errorf("a sleeper answered: %v", names(got))
		}
		if err := s.Press("contact-1"); err != nil {
			t.Fatal(err)
		}
		if got := ask(); got != mt.Success {
			t.Errorf("awake: %s", got)
		}
		time.Sleep(4 * time.Second)
		if got := ask(); got != mt.MACExpired {
			t.Errorf("asleep again: %s", got)
		}
	})
}

// TestResetForgets finds the sensors' messages refused until the endpoint is registered again.
func TestResetForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: []SensorSpec{{Kind: "temperature", Joined: true}}, Delays: Delays{Reset: time.Second}})
		h := plug(t, s)
		h.form()
		s.Pause(true)
		s.Reset()
		h.send(&mt.SysPing{})
		if got := h.all(); len(got) != 0 {
			t.Errorf("a stick in reset answered %v", names(got))
		}
		time.Sleep(2 * time.Second)
		if r := expect[mt.SysResetInd](h, h.all()); r.Reason != resetWatchdog {
			t.Errorf("reset indication %+v", r)
		}
		h.accepted(&mt.ZDOStartupFromApp{}, mt.Success)
		if err := s.Set("temperature-1", "temperature", 20); err != nil {
			t.Fatal(err)
		}
		if got := reports(t, h.all()); len(got) != 0 || s.Stats().ReportsRefused != 1 {
			t.Errorf("reports to an endpoint that is not registered: %v, stats %+v", got, s.Stats())
		}
		h.register(1)
		if err := s.Set("temperature-1", "temperature", 21); err != nil {
			t.Fatal(err)
		}
		if got := reports(t, h.all()); len(got) != 1 {
			t.Errorf("%d reports", len(got))
		}
	})
}

func TestMoveAndAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: []SensorSpec{{Kind: "plug", Joined: true, IEEE: 0x1122334455667788, Network: 0x1234}}})
		h := plug(t, s)
		h.form()
		s.Pause(true)
		got := h.accepted(&mt.ZDOIEEEAddrReq{Nwk: 0x1234}, mt.Success)
		if diff := cmp.Diff(&mt.ZDOIEEEAddrRsp{IEEE: 0x1122334455667788, Nwk: 0x1234}, expect[mt.ZDOIEEEAddrRsp](h, got)); diff != "" {
			t.Error(diff)
		}
		if err := s.Move("plug-1"); err != nil {
			t.Fatal(err)
		}
		nwk := expect[mt.ZDOEndDeviceAnnceInd](h, h.all()).Nwk
		if nwk == 0x1234 {
			t.Error("it did not move")
		}
		got = h.accepted(&mt.ZDONwkAddrReq{IEEE: 0x1122334455667788}, mt.Success)
		if rsp := expect[mt.ZDONwkAddrRsp](h, got); rsp.Nwk != nwk {
			t.Errorf("moved to %04x, answers %04x", nwk, rsp.Nwk)
		}
		if got := h.accepted(&mt.ZDOIEEEAddrReq{Nwk: 0x1234}, mt.Success); len(got) != 0 {
			t.Errorf("the old address answers: %v", names(got))
		}
		lqi := expect[mt.ZDOMgmtLqiRsp](h, h.accepted(&mt.ZDOMgmtLqiReq{}, mt.Success))
		if len(lqi.Neighbours) != 1 || lqi.Neighbours[0].Nwk != nwk {
			t.Errorf("neighbours %+v", lqi)
		}
		scan := expect[mt.ZDOMgmtNwkUpdateNotify](h, h.accepted(&mt.ZDOMgmtNwkUpdateReq{Mode: mt.AddrShort, Channels: 0x07FFF800, Duration: 2, Count: 1}, mt.Success))
		if len(scan.Energy) != 16 {
			t.Errorf("energy scan %+v", scan)
		}
	})
}
