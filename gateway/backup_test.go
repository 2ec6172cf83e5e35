package gateway

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/gateway/backups"
	"github.com/peerbee/peerbee/zigbee"
	"github.com/peerbee/peerbee/zigbee/backup"
)

// fakeNetwork is a network whose members and troubles a test sets.
type fakeNetwork struct {
	mu      sync.Mutex
	phase   zigbee.Phase
	members []zb.IEEEAddress
	moved   zb.NetworkAddress // added to every address
	counter uint32
	reads   int
	err     error
}

func (n *fakeNetwork) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

func (n *fakeNetwork) State() zigbee.State {
	n.mu.Lock()
	defer n.mu.Unlock()
	return zigbee.State{Phase: n.phase, Network: &zigbee.NetworkParams{Channel: 15, PAN: 0x1a62}}
}

func (n *fakeNetwork) Devices() []zigbee.Device {
	n.mu.Lock()
	defer n.mu.Unlock()
	var list []zigbee.Device
	for i, ieee := range n.members {
		list = append(list, zigbee.Device{IEEE: ieee, Network: zb.NetworkAddress(i) + n.moved})
	}
	return list
}

func (n *fakeNetwork) read(context.Context) (backup.Document, error) {
	devices := n.Devices()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reads++
	d := backup.Document{
		Coordinator: 1, PAN: 0x1a62, ExtendedPAN: 2, SecurityLevel: 5, Channel: 15, ChannelMask: 1 << 15,
		NetworkKey: backup.NetworkKey{Key: backup.Key{0xA5, 0xA6, 0xA7}, FrameCounter: n.counter}, Written: time.Now(),
	}
	for _, device := range devices {
		d.Devices = append(d.Devices, backup.Device{IEEE: device.IEEE, Network: device.Network})
	}
	return d, n.err
}

// watch runs a keeper over a network in fake time. files counts its files at any moment.
func watch(t *testing.T, dir string, n *fakeNetwork, test func(k *keeper, files func() int, log *bytes.Buffer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		k := &keeper{
			net: n, read: n.read, folder: backups.New(dir), log: slog.New(slog.NewTextHandler(&log, nil)),
			saved:    prometheus.NewCounter(prometheus.CounterOpts{Name: "a"}),
			failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "b"}),
			latest:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "c"}),
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.Serve(ctx) }()
		test(k, func() int {
			synctest.Wait()
			list, err := filepath.Glob(filepath.Join(dir, "network-*.json"))
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}, &log)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		if strings.Contains(log.String(), "a5a6a7") || strings.Contains(log.String(), "165 166") {
			t.Errorf("the key is in the log:\n%s", &log)
		}
	})
}

func TestKeeperWritesOnChange(t *testing.T) {
	n := &fakeNetwork{phase: zigbee.PhaseNeedsDecision, members: []zb.IEEEAddress{7}}
	dir := filepath.Join(t.TempDir(), "network-backups")
	watch(t, dir, n, func(_ *keeper, files func() int, _ *bytes.Buffer) {
		expect := func(what string, wait time.Duration, want int) {
			t.Helper()
			time.Sleep(wait)
			if got := files(); got != want {
				t.Errorf("%s: %d files, want %d", what, got, want)
			}
		}
		expect("nobody has decided on the stick's network", time.Hour, 0)
		n.set(func() { n.phase = zigbee.PhaseRunning })
		expect("adopted", backupSettle+backupLook, 1)
		expect("nothing happens", 5*time.Hour, 1)
		n.set(func() { n.members = append(n.members, 8) })
		expect("a join that goes on", backupSettle-backupLook, 1)
		expect("a join", 2*backupLook, 2)
		for i := range 60 { // a join each 5 s does not put it off for ever
			n.set(func() { n.members = append(n.members, zb.IEEEAddress(9+i)) })
			time.Sleep(5 * time.Second)
		}
		if got := files(); got < 5 || got > 8 {
			t.Errorf("60 joins in five minutes: %d files", got)
		}
		before := files()
		expect("the last join", time.Minute, before+1)
		n.set(func() { n.members = n.members[:3] })
		expect("a leave", backupSettle+backupLook, before+2)
		n.set(func() { n.moved = 5 })
		expect("a move, soon after the last backup", backupPause-time.Minute, before+2)
		expect("a move", time.Minute+backupSettle, before+3-max(0, before+3-backups.Kept))
	})
}

func TestKeeperFollowsTheCounter(t *testing.T) {
	n := &fakeNetwork{phase: zigbee.PhaseRunning}
	watch(t, t.TempDir(), n, func(_ *keeper, files func() int, _ *bytes.Buffer) {
		time.Sleep(backupPause + time.Minute)
		for range 3 {
			n.set(func() { n.counter += backupCounter - 1 })
			time.Sleep(backupRefresh)
		}
		if got := files(); got != 2 {
			t.Errorf("%d files, want 2", got)
		}
		n.set(func() { n.counter += 10 * backupCounter })
		time.Sleep(backupRefresh + time.Minute)
		if got := files(); got != 3 {
			t.Errorf("%d files, want 3", got)
		}
		if n.reads > 10 {
			t.Errorf("the stick was read %d times in four hours", n.reads)
		}
	})
}

func TestKeeperTakesUpWhereItWas(t *testing.T) {
	dir := t.TempDir()
	n := &fakeNetwork{phase: zigbee.PhaseRunning}
	for range 3 {
		watch(t, dir, n, func(_ *keeper, files func() int, _ *bytes.Buffer) {
			time.Sleep(time.Minute)
			if got := files(); got != 1 {
				t.Errorf("%d files after a start", got)
			}
		})
	}
	list, err := filepath.Glob(filepath.Join(dir, "network-*.json"))
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if err := os.WriteFile(list[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	watch(t, dir, n, func(_ *keeper, files func() int, log *bytes.Buffer) {
		time.Sleep(time.Minute)
		if got := files(); got != 2 || !strings.Contains(log.String(), "ends in the middle") {
			t.Errorf("%d files after the newest was damaged\n%s", got, log)
		}
	})
}

func TestKeeperTriesAgain(t *testing.T) {
	n := &fakeNetwork{phase: zigbee.PhaseRunning, err: errors.New("no answer in time")}
	watch(t, t.TempDir(), n, func(k *keeper, files func() int, log *bytes.Buffer) {
		time.Sleep(time.Hour)
		if got := files(); got != 0 || !strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("%d files, log %s", got, log)
		}
		if p := k.problem.Load(); p == nil || *p != "no answer in time" {
			t.Errorf("problem %v", p)
		}
		n.set(func() {
			if n.reads < 5 || n.reads > 12 {
				t.Errorf("%d tries in an hour", n.reads)
			}
			n.err = nil
		})
		time.Sleep(backupPause)
		if got := files(); got != 1 || k.problem.Load() != nil {
			t.Errorf("%d files, problem %v", got, k.problem.Load())
		}
	})
}
