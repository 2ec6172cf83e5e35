package gateway_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/zigbee/backup"
	"github.com/peerbee/peerbee/zigbee/sim"
	"github.com/peerbee/peerbee/zigbee/sim/nv"
)

// formedMemory is the memory of a stick with a network of its own.
func formedMemory() *nv.Memory {
	m := nv.Blank(true, 0x00124b0001020304, [16]byte{1})
	m.Form(nv.Network{
		Channel: 20, ChannelMask: 1 << 20, PAN: 0x1A62, ExtendedPAN: 0xDDDDDDDDDDDDDDDD,
		Key: zb.NetworkKey{0xA5, 0xA6, 0xA7, 0xA8},
	})
	return m
}

func (h *house) backups(pattern string) []string {
	h.t.Helper()
	list, err := filepath.Glob(filepath.Join(h.config.Gateway.StateDir, "network-backups", pattern))
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

// TestMemoryIsKeptBeforeForm forms over the remains of a network, and over nothing.
func TestMemoryIsKeptBeforeForm(t *testing.T) {
	remains := formedMemory()
	remains.Set(nv.Legacy(nv.OnANetwork), []byte{0})
	h := newHouse(t, sim.Options{NV: remains})
	h.start().form()
	list := h.backups("before-form-*.json")
	if len(list) != 1 {
		t.Fatalf("%d copies of the stick's memory", len(list))
	}
	if st, err := os.Stat(list[0]); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	kept, err := nv.Load(list[0])
	if err != nil {
		t.Fatal(err)
	}
	kept.Set(nv.Legacy(nv.OnANetwork), []byte{1})
	if n, ok := kept.Network(); !ok || n.PAN != 0x1A62 || n.Key[0] != 0xA5 {
		t.Errorf("the copy holds channel %d, PAN %04x, %v", n.Channel, n.PAN, ok)
	}

	blank := newHouse(t, sim.Options{})
	blank.start().form()
	if list := blank.backups("before-*"); len(list) != 0 {
		t.Errorf("kept nothing in %q", list)
	}
}

// TestNoFormWithoutACopy leaves the stick alone when its memory cannot be kept.
func TestNoFormWithoutACopy(t *testing.T) {
	remains := formedMemory()
	remains.Set(nv.Legacy(nv.OnANetwork), []byte{0})
	h := newHouse(t, sim.Options{NV: remains})
	d := h.start()
	d.phase("needs-decision")
	if err := os.WriteFile(filepath.Join(h.config.Gateway.StateDir, "network-backups"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.refused(507, d.api.Post(t.Context(), "/v1/network/form", api.Form{}, nil))
	if z := d.phase("needs-decision"); !strings.Contains(z.Problem, "incomplete") {
		t.Errorf("problem %q", z.Problem)
	}
}

// TestBackupOverTheAPI adopts a network and backs it up; the key is in the document and nowhere else.
func TestBackupOverTheAPI(t *testing.T) {
	h := newHouse(t, sim.Options{NV: formedMemory()})
	d := h.start()
	d.phase("needs-decision")
	d.post("/v1/network/adopt", nil, nil)
	var body json.RawMessage
	d.post("/v1/network/backup", nil, &body)
	doc, err := backup.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	if doc.Channel != 20 || doc.PAN != 0x1A62 || doc.NetworkKey.Key[0] != 0xA5 || !strings.HasPrefix(doc.Source, "peerbee@") || doc.Written.IsZero() {
		t.Errorf("backed up %s by %s at %s", doc, doc.Source, doc.Written)
	}
	if list := h.backups("before-adopt-*.json"); len(list) != 1 {
		t.Errorf("%d copies of the stick's memory", len(list))
	}
	if !d.audited("network.backup", "ok", "dddddddddddddddd") {
		t.Error("the backup is not in the audit log")
	}
	if soak() { // the first file of its own waits for the network to settle
		until(t, "the first backup", func() bool { return len(h.backups("network-*.json")) == 1 })
		metrics, err := d.api.Raw(context.Background(), "/v1/metrics")
		if err != nil || !strings.Contains(string(metrics), "peerbee_network_backups_total 1") {
			t.Errorf("metrics: %v", err)
		}
	}
	d.stop()
	for _, key := range []string{"a5a6a7a8", "A5A6A7A8", "165 166 167 168", "paanqA"} {
		if strings.Contains(h.logs.String(), key) {
			t.Errorf("the network key is in the log as %s", key)
		}
	}
}
