package gateway

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/peerbee/peerbee/gateway/backups"
	"github.com/peerbee/peerbee/gateway/localapi"
	"github.com/peerbee/peerbee/zigbee"
	"github.com/peerbee/peerbee/zigbee/backup"
)

const (
	// backupKind names the files of the network's backups.
	backupKind = "network"

	backupLook    = 2 * time.Second  // between looks at who is on the network
	backupSettle  = 10 * time.Second // after a join or a leave: a join goes on with the exchange of keys
	backupPatient = time.Minute      // for which joins may follow one another before the first is backed up
	backupPause   = 10 * time.Minute // after a backup, for all that is no join or leave
	backupRefresh = time.Hour        // between backups for the counters' sake
	backupTimeout = 2 * time.Minute  // for the stick to be read
	backupRetry   = time.Minute      // after the first failure; doubles up to backupPause

	// backupCounter is by how many frames the network's counter has to be ahead of the last file for a new one. A
	// restored network skips 10,000.
	backupCounter = 1000
)

// networkState is the part of the network that a keeper watches.
type networkState interface {
	State() zigbee.State
	Devices() []zigbee.Device
}

// keeper writes a backup of the network's stick whenever the network has changed: soon after a network is formed or
// adopted and after a device joins or leaves, else at most every backupPause. The files have the network's keys in
// them, like the stick itself.
type keeper struct {
	net    networkState
	read   func(context.Context) (backup.Document, error)
	folder *backups.Folder
	log    *slog.Logger

	saved    prometheus.Counter
	failures prometheus.Counter
	latest   prometheus.Gauge
	problem  atomic.Pointer[string] // why there is no new backup; nil: there is

	// What follows belongs to Serve.
	last    *backup.Document // in the newest file
	members uint64           // sum of the network and who is on it
	places  uint64           // sum of where they are
	since   time.Time        // of the first join or leave that is not backed up; zero: none
	due     time.Time        // of the next backup
	written time.Time        // of the last one
	failed  time.Duration    // pause after the last failure; 0: it was none
}

func newKeeper(g *Gateway) *keeper {
	k := &keeper{
		net: g.net, read: g.readBackup, log: g.log.With("part", "backup"),
		folder:   backups.New(filepath.Join(g.config.Gateway.StateDir, "network-backups")),
		saved:    prometheus.NewCounter(prometheus.CounterOpts{Name: "peerbee_network_backups_total", Help: "Backups of the Zigbee network written."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "peerbee_network_backup_failures_total", Help: "Backups of the Zigbee network that failed and are tried again."}),
		latest:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "peerbee_network_backup_checked_timestamp_seconds", Help: "When the newest backup was last found to be up to date, Unix time; 0: not since the start."}),
	}
	g.registry.MustRegister(k.saved, k.failures, k.latest)
	return k
}

// readBackup gives the network's backup with this program's name and the best known time in it.
func (g *Gateway) readBackup(ctx context.Context) (backup.Document, error) {
	d, err := g.net.Backup(ctx)
	d.Source, d.Written = "peerbee@"+Version, g.now().UTC().Truncate(time.Millisecond)
	return d, err
}

// Serve watches the network until ctx ends.
func (k *keeper) Serve(ctx context.Context) error {
	k.recall()
	tick := time.NewTicker(backupLook)
	defer tick.Stop()
	for {
		if now := time.Now(); k.look(now) {
			k.backUp(ctx, now)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// recall takes up what the newest file holds, so that a restart alone writes none.
func (k *keeper) recall() {
	body, path, err := k.folder.Newest(backupKind)
	if err == nil && path != "" {
		var d backup.Document
		if d, err = backup.Parse(body); err == nil {
			k.last = &d
		}
	}
	if err != nil {
		k.log.Error("newest backup of the network not readable, a new one is written", "file", path, "err", err)
	}
}

// look reports whether it is time for a backup.
func (k *keeper) look(now time.Time) bool {
	s := k.net.State()
	if s.Phase != zigbee.PhaseRunning || s.Network == nil {
		return false
	}
	members, places := sums(*s.Network, k.net.Devices())
	switch {
	case members != k.members:
		if k.since.IsZero() {
			k.since = now
		}
		k.due = earlier(now.Add(backupSettle), k.since.Add(backupPatient))
	case places != k.places && k.since.IsZero():
		k.due = earlier(k.due, later(now.Add(backupSettle), k.written.Add(backupPause)))
	}
	k.members, k.places = members, places
	return !now.Before(k.due)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// sums identifies the network with its members, and their addresses.
func sums(n zigbee.NetworkParams, devices []zigbee.Device) (members, places uint64) {
	m, p := fnv.New64a(), fnv.New64a()
	fmt.Fprint(m, n)
	for _, d := range devices {
		fmt.Fprintf(m, " %016x", uint64(d.IEEE))
		fmt.Fprintf(p, " %04x", uint16(d.Network))
	}
	return m.Sum64(), p.Sum64()
}

// backUp reads the stick and writes a file unless the newest one says the same.
func (k *keeper) backUp(ctx context.Context, now time.Time) {
	limited, cancel := context.WithTimeout(ctx, backupTimeout)
	defer cancel()
	err := k.save(limited)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		k.failures.Inc()
		problem := err.Error()
		k.problem.Store(&problem)
		k.failed = min(max(2*k.failed, backupRetry), backupPause)
		k.due = now.Add(k.failed)
		k.log.Error("backup of the network failed", "err", err, "again_in", k.failed)
		return
	}
	k.latest.SetToCurrentTime()
	k.problem.Store(nil)
	k.due = now.Add(backupRefresh)
	if !k.since.IsZero() {
		k.due = now.Add(backupPause) // whatever a join still had to bring
	}
	k.since, k.failed = time.Time{}, 0
}

func (k *keeper) save(ctx context.Context) error {
	d, err := k.read(ctx)
	if err != nil {
		return err
	}
	if k.last != nil && d.SameContent(*k.last) && !ahead(d, *k.last) {
		return nil
	}
	body, err := backup.Append(nil, d)
	if err != nil {
		return err
	}
	path, err := k.folder.Save(backupKind, d.Written, body)
	if err != nil {
		return err
	}
	k.last, k.written = &d, time.Now()
	k.saved.Inc()
	k.log.Info("backup of the network written", "file", path, "devices", len(d.Devices))
	return nil
}

// ahead reports whether the network's counter in d has left the one in last far enough behind.
func ahead(d, last backup.Document) bool {
	return uint64(d.NetworkKey.FrameCounter) >= uint64(last.NetworkKey.FrameCounter)+backupCounter
}

// backupNetwork gives the stick's backup to an administrator.
func (g *Gateway) backupNetwork(ctx context.Context, r *localapi.Request) (string, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, backupTimeout)
	defer cancel()
	d, err := g.readBackup(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return "", nil, localapi.Errorf(http.StatusConflict, "the stick took too long to be read").WithHint("peerbee doctor")
	}
	if err != nil {
		return "", nil, g.explainRadio(err)
	}
	body, err := backup.Append(nil, d)
	if err != nil {
		return "", nil, localapi.Errorf(http.StatusConflict, "what the stick holds is no network that could be restored: %v", err).WithHint("peerbee doctor")
	}
	g.audit(ctx, r.Caller, "network.backup", fmt.Sprintf("%016x", uint64(d.ExtendedPAN)), "ok", "")
	return "application/json", body, nil
}

// keepMemory copies the stick's memory to a file before a step that could destroy the network in it, or take it over
// wrongly: without the copy the step must not be taken.
func (g *Gateway) keepMemory(ctx context.Context, step string) error {
	if g.net.State().Phase == zigbee.PhaseRunning {
		return nil // its network is neither destroyed nor taken over by these steps
	}
	limited, cancel := context.WithTimeout(ctx, backupTimeout)
	defer cancel()
	memory, err := g.net.Snapshot(limited)
	if err != nil {
		return g.explainRadio(err)
	}
	if memory == nil {
		return nil
	}
	path, err := g.keeper.folder.Save("before-"+step, g.now(), memory)
	if err != nil {
		return localapi.Errorf(http.StatusInsufficientStorage, "the stick is left as it is: %v", err).
			WithHint("make room in %s, then try again", g.config.Gateway.StateDir)
	}
	g.log.Info("the stick's memory is kept", "before", step, "file", path)
	return nil
}
