package sim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/sim/nv"
	"github.com/peerbee/peerbee/zigbee/zcl"
	"github.com/peerbee/peerbee/zigbee/zdo"
	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

// TestPartlyConfigured configures one attribute of a plug's cluster: the others are silent then.
func TestPartlyConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: []SensorSpec{{Kind: "plug", Joined: true, Network: 0x1234}}})
		h := plug(t, s)
		h.form()
		time.Sleep(6*time.Second + settle)
		r := reports(t, h.all())
		if len(r) != 1 || r[0].cluster != zcl.ClusterElectrical || len(r[0].attrs) != 3 {
			t.Fatalf("from the factory: %+v", r)
		}
		d := s.sensors[0]
		h.accepted(&mt.ZDOBindReq{
			Dst: 0x1234, Src: d.ieee, SrcEndpoint: 1, Cluster: zbCluster(zcl.ClusterElectrical), Mode: mt.AddrIEEE, Target: uint64(s.mem.IEEE()), TargetEndpoint: 1,
		}, mt.Success)
		p, err := zcl.AppendConfigureReporting(nil, []zcl.ReportConfig{{ID: 0x050B, Type: zcl.TypeInt16, Max: 60, Change: 1}})
		if err != nil {
			t.Fatal(err)
		}
		h.zcl(0x1234, zcl.ClusterElectrical, zcl.Frame{Seq: 3, Command: zcl.CommandConfigureReporting, Payload: p})
		time.Sleep(6 * time.Second)
		r = reports(t, h.all())
		if len(r) != 1 || len(r[0].attrs) != 1 || r[0].attrs[0].ID != 0x050B {
			t.Errorf("configured: %+v", r)
		}
		answer, _ := h.zcl(0x1234, zcl.ClusterElectrical, zcl.Frame{Seq: 4, Command: zcl.CommandReadReporting, Payload: zcl.AppendReadReporting(nil, []zcl.AttributeRef{{ID: 0x050B}, {ID: 0x0505}})})
		records, err := zcl.DecodeReadReportingResponse(answer.Payload)
		if err != nil || len(records) != 2 || records[0].Max != 60 || records[1].Status != zcl.StatusNotFound {
			t.Errorf("reporting configuration %+v %v", records, err)
		}
	})
}

// single is a stick on a network with one member at 0x1234, whose schedule rests.
func single(t *testing.T, kind string) (*Stick, *host) {
	t.Helper()
	s := newStick(t, Options{Sensors: []SensorSpec{{Kind: kind, Joined: true, IEEE: 0x1122334455667788, Network: 0x1234}}})
	h := plug(t, s)
	h.form()
	s.Pause(true)
	return s, h
}

func TestRefusedWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := single(t, "contact")
		for _, c := range []struct {
			name    string
			cluster uint16
			attr    zcl.Attribute
			want    zcl.Status
		}{
			{"read only", zcl.ClusterBasic, zcl.Attribute{ID: 5, Type: zcl.TypeString, Value: "x"}, zcl.StatusReadOnly},
			{"no attribute", zcl.ClusterBasic, zcl.Attribute{ID: 0x99, Type: zcl.TypeUint8, Value: 1}, zcl.StatusUnsupportedAttribute},
			{"wrong type", zcl.ClusterIASZone, zcl.Attribute{ID: zcl.AttrZoneCIE, Type: zcl.TypeUint64, Value: 1}, zcl.StatusInvalidDataType},
		} {
			p, err := zcl.AppendWrite(nil, []zcl.Attribute{c.attr})
			if err != nil {
				t.Fatal(err)
			}
			f, _ := h.zcl(0x1234, c.cluster, zcl.Frame{Seq: 1, Command: zcl.CommandWriteAttributes, Payload: p})
			got, err := zcl.DecodeWriteResponse(f.Payload)
			if diff := cmp.Diff([]zcl.WriteRecord{{Status: c.want, ID: c.attr.ID}}, got); err != nil || diff != "" {
				t.Errorf("%s: %v %s", c.name, err, diff)
			}
		}
	})
}

func TestRefusedReporting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := single(t, "temperature")
		for _, c := range []struct {
			name    string
			cluster uint16
			config  zcl.ReportConfig
			want    zcl.Status
		}{
			{"intervals crossed", zcl.ClusterTemperature, zcl.ReportConfig{Type: zcl.TypeInt16, Min: 60, Max: 10, Change: 1}, zcl.StatusInvalidValue},
			{"wrong type", zcl.ClusterTemperature, zcl.ReportConfig{Type: zcl.TypeUint16, Max: 10, Change: 1}, zcl.StatusInvalidDataType},
			{"no attribute", zcl.ClusterTemperature, zcl.ReportConfig{ID: 9, Type: zcl.TypeInt16, Max: 10, Change: 1}, zcl.StatusUnsupportedAttribute},
			{"never changes", zcl.ClusterBasic, zcl.ReportConfig{ID: 5, Type: zcl.TypeString, Max: 10}, zcl.StatusUnreportable},
		} {
			p, err := zcl.AppendConfigureReporting(nil, []zcl.ReportConfig{c.config})
			if err != nil {
				t.Fatal(err)
			}
			f, _ := h.zcl(0x1234, c.cluster, zcl.Frame{Seq: 1, Command: zcl.CommandConfigureReporting, Payload: p})
			got, err := zcl.DecodeConfigureReportingResponse(f.Payload)
			if diff := cmp.Diff([]zcl.AttributeRef{{Status: c.want, ID: c.config.ID}}, got); err != nil || diff != "" {
				t.Errorf("%s: %v %s", c.name, err, diff)
			}
		}
	})
}

// TestForeignCIE finds a zone that belongs to another controller unwilling.
func TestForeignCIE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := single(t, "contact")
		p, err := zcl.AppendWrite(nil, []zcl.Attribute{{ID: zcl.AttrZoneCIE, Type: zcl.TypeIEEE, Value: zb.IEEEAddress(42)}})
		if err != nil {
			t.Fatal(err)
		}
		_, got := h.zcl(0x1234, zcl.ClusterIASZone, zcl.Frame{Seq: 1, Command: zcl.CommandWriteAttributes, Payload: p})
		if len(got) != 2 {
			t.Errorf("it asks to be enrolled: %v", names(got))
		}
		f, _ := h.zcl(0x1234, zcl.ClusterIASZone, zcl.Frame{
			Type: zcl.ClusterSpecific, Seq: 2, Command: zcl.CommandZoneEnrollResponse, Payload: zcl.ZoneEnrollResponse{Zone: 1}.Append(nil),
		})
		if r, err := zcl.DecodeDefaultResponse(f.Payload); err != nil || r.Status != zcl.StatusNotAuthorized {
			t.Errorf("enrolled by another: %+v %v", r, err)
		}
	})
}

func TestBindings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := single(t, "temperature")
		b := mt.ZDOBindReq{Dst: 0x1234, Src: 0x1122334455667788, SrcEndpoint: 1, Cluster: 0x0402, Mode: mt.AddrIEEE, Target: 7, TargetEndpoint: 1}
		status := func(m mt.Message) zdo.Status {
			t.Helper()
			got := h.accepted(m, mt.Success)
			if len(got) != 1 || len(got[0].Payload) != 3 {
				t.Fatalf("answered by %v", got)
			}
			return zdo.Status(got[0].Payload[2])
		}
		rows := func() byte {
			t.Helper()
			h.raw(mt.Command{Type: b.Command().Type, Subsystem: b.Command().Subsystem, ID: mtMgmtBindReq}, 0x34, 0x12, 0)
			got := h.all()
			return got[len(got)-1].Payload[3]
		}
		foreign, missing := b, b
		foreign.Src, missing.Cluster = 1, 0x0300
		unbind := mt.ZDOUnbindReq(b)
		for _, c := range []struct {
			name string
			m    mt.Message
			want zdo.Status
			rows byte
		}{
			{"bind", &b, zdo.StatusSuccess, 1},
			{"bind again", &b, zdo.StatusSuccess, 1},
			{"another device's", &foreign, zdo.StatusNotSupported, 1},
			{"no such cluster", &missing, zdo.StatusInvalidEndpoint, 1},
			{"unbind", &unbind, zdo.StatusSuccess, 0},
			{"unbind again", &unbind, zdo.StatusNoEntry, 0},
		} {
			if got := status(c.m); got != c.want {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
			if got := rows(); got != c.rows {
				t.Errorf("%s: %d bindings, want %d", c.name, got, c.rows)
			}
		}
	})
}

// TestMemoryFollows finds what happens on the network in the memory that is saved.
func TestMemoryFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := single(t, "plug")
		if err := s.Move("plug-1"); err != nil {
			t.Fatal(err)
		}
		want := []nv.Known{{IEEE: 0x1122334455667788, Network: zb.NetworkAddress(joined(t, s, "plug-1").Network)}}
		if diff := cmp.Diff(want, s.mem.Devices()); diff != "" {
			t.Error(diff)
		}
		h.accepted(&mt.ZDOMgmtNwkUpdateReq{Dst: 0xFFFF, Mode: mt.AddrBroadcast, Channels: 1 << 20, Duration: changeChannel}, mt.Success)
		if n, _ := s.mem.Network(); n.Channel != 20 || n.UpdateID != 1 {
			t.Errorf("after the change of channel: %+v", n)
		}
		before := s.mem.FrameCounter(s.network.ExtendedPAN)
		run(t, s, Load{Count: 3 * counterStep})
		if after := s.mem.FrameCounter(s.network.ExtendedPAN); after != before+3*counterStep {
			t.Errorf("the frame counter went from %d to %d", before, after)
		}
		if err := s.Leave("plug-1"); err != nil {
			t.Fatal(err)
		}
		if d := s.mem.Devices(); len(d) != 0 {
			t.Errorf("a device that left is remembered: %v", d)
		}
		if l := expect[mt.ZDOLeaveInd](h, h.all()); l.Rejoin {
			t.Errorf("%+v", l)
		}
	})
}

func TestAssociations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := single(t, "contact")
		count := func() uint16 {
			return expect[mt.UtilAssocCountRsp](h, h.ask(&mt.UtilAssocCount{Last: 4})).Count
		}
		row := expect[mt.UtilAssocGetWithAddressRsp](h, h.ask(&mt.UtilAssocGetWithAddress{IEEE: 0x1122334455667788})).Device
		if len(row) != assocAligned || row[0] != 0x34 || row[1] != 0x12 {
			t.Errorf("associated device % x", row)
		}
		h.accepted(&mt.UtilAssocRemove{IEEE: 0x1122334455667788}, mt.Success)
		h.accepted(&mt.UtilAssocRemove{IEEE: 0x1122334455667788}, mt.Failure)
		if n := count(); n != 0 {
			t.Errorf("%d associated devices, want none", n)
		}
		h.accepted(&mt.UtilAssocAdd{IEEE: 0x1122334455667788, Nwk: 0x1234, Relation: 1}, mt.Success)
		if n := count(); n != 1 {
			t.Errorf("%d associated devices, want 1", n)
		}
	})
}

// TestJoinThroughRouter opens one router only: the sensor's parent is that.
func TestJoinThroughRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: []SensorSpec{{Kind: "plug", Joined: true, Network: 0x1234}, {Kind: "contact"}}})
		h := plug(t, s)
		h.form()
		s.Pause(true)
		got := h.accepted(&mt.ZDOMgmtPermitJoinReq{Mode: mt.AddrShort, Dst: 0x1234, Seconds: 60}, mt.Success)
		if tc := expect[mt.ZDOTCDevInd](h, got); tc.Parent != 0x1234 {
			t.Errorf("%+v", tc)
		}
		if len(s.associated()) != 0 {
			t.Error("a router's child is the stick's, too")
		}
	})
}

// TestRawCallbacks has the stick hand over device profile messages as they came.
func TestRawCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := single(t, "contact")
		h.accepted(&mt.ZDOMsgCbRegister{Cluster: 0xFFFF}, mt.Success)
		got := h.accepted(&mt.ZDOActiveEPReq{Dst: 0x1234, Nwk: 0x1234}, mt.Success)
		raw := expect[mt.ZDOMsgCbIncoming](h, got)
		if diff := cmp.Diff([]byte{0, 0x34, 0x12, 1, 1}, raw.Data); raw.Cluster != 0x8005 || raw.Src != 0x1234 || diff != "" {
			t.Errorf("%+v %s", raw, diff)
		}
		h.accepted(&mt.NVWriteExt{Item: zdoDirectCallback, Value: []byte{0}}, mt.Success)
		if got := h.accepted(&mt.ZDOActiveEPReq{Dst: 0x1234, Nwk: 0x1234}, mt.Success); len(got) != 1 {
			t.Errorf("with direct callbacks off: %v", names(got))
		}
	})
}

// TestDelays finds a stick with delays in no hurry.
func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStick(t, Options{Sensors: sensors("contact", "plug"), Delays: Delays{Form: 3 * time.Second, Join: time.Second, Response: 20 * time.Millisecond}})
		h := plug(t, s)
		if got := h.accepted(&mt.BDBStartCommissioning{Mode: 4}, mt.Success); len(got) != 0 {
			t.Errorf("formed at once: %v", names(got))
		}
		time.Sleep(4 * time.Second)
		expect[mt.BDBNotification](h, h.all())
		h.register(1)
		h.permit(60)
		time.Sleep(1500 * time.Millisecond)
		first := expect[mt.ZDOTCDevInd](h, h.all())
		time.Sleep(time.Second)
		if second := expect[mt.ZDOTCDevInd](h, h.all()); second.Nwk == first.Nwk {
			t.Error("one sensor joined twice")
		}
		if got := h.accepted(&mt.ZDOActiveEPReq{Dst: first.Nwk, Nwk: first.Nwk}, mt.Success); len(got) != 0 {
			t.Errorf("answered at once: %v", names(got))
		}
		time.Sleep(settle)
		expect[mt.ZDOActiveEPRsp](h, h.all())
	})
}

// TestSwitchedOff has a plug that is off draw nothing.
func TestSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := single(t, "plug")
		if err := s.Set("plug-1", "on_off", 0); err != nil {
			t.Fatal(err)
		}
		energy := joined(t, s, "plug-1").Properties["energy"]
		s.Pause(false)
		time.Sleep(time.Minute)
		got := joined(t, s, "plug-1").Properties
		if got["power"] != 0 || got["current"] != 0 || got["energy"] != energy || got["voltage"] < 220 {
			t.Errorf("off: %v", got)
		}
		if err := s.Set("plug-1", "on_off", 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := joined(t, s, "plug-1").Properties; got["power"] < 40 || got["energy"] <= energy {
			t.Errorf("on: %v", got)
		}
	})
}
