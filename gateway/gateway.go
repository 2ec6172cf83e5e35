package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/thejerf/suture/v4"

	"github.com/peerbee/peerbee/blockchain"
	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/gateway/access"
	"github.com/peerbee/peerbee/gateway/localapi"
	"github.com/peerbee/peerbee/gateway/store"
	"github.com/peerbee/peerbee/p2p"
	"github.com/peerbee/peerbee/systemd"
	"github.com/peerbee/peerbee/zigbee"
)

// Gateway is the daemon: built by Build, run once by Serve.
type Gateway struct {
	config   config.Config
	log      *slog.Logger
	started  time.Time
	name     string
	registry *prometheus.Registry
	metrics  *metrics
	notifier *systemd.Notifier

	clock      *clock
	store      *store.Store
	access     *access.Access
	ledger     *blockchain.Ledger
	net        *zigbee.Network
	roster     *roster
	hub        *hub
	registrar  *registrar
	keeper     *keeper
	published  *peers // nil when the peer-to-peer layer is off
	api        *localapi.Server
	processors *processors // nil unless AdaptProcessors was called

	kept map[string]struct{} // descriptors known to be stored; owned by the pipeline
}

// durableTimeout bounds the writes that the pipeline waits for: a stuck disk must not hold the radio for ever.
const durableTimeout = 5 * time.Second

// closeTimeout is how long a clean stop may take to bring the last readings to disk.
const closeTimeout = 10 * time.Second

// Build opens everything that can fail for a reason a person has to solve: the state folder, the store, the
// ledger, the keys. Nothing runs before Serve; on error everything opened is closed again.
func Build(ctx context.Context, c config.Config, log *slog.Logger) (_ *Gateway, err error) {
	if err := makeStateDir(c.Gateway.StateDir); err != nil {
		return nil, err
	}
	g := &Gateway{
		config: c, log: log, started: time.Now(), name: gatewayName(c.Gateway.Name), registry: prometheus.NewRegistry(),
		notifier: systemd.New(log), clock: newClock(), roster: newRoster(), hub: newHub(), kept: map[string]struct{}{},
	}
	g.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	g.metrics = newMetrics(g.registry)
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close(context.WithoutCancel(ctx)))
		}
	}()
	for _, step := range []func(context.Context) error{
		g.openStore, g.openPeers, g.openLedger, g.openNetwork, g.openAPI,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	g.keeper = newKeeper(g)
	registerSources(g.registry, g.net, g.store)
	return g, nil
}

func makeStateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &localapi.Error{
			Text: fmt.Sprintf("the state folder %s cannot be made: %v", dir, err),
			Hint: "run as the service (sudo systemctl start peerbee), or set gateway.state_dir to a folder of yours",
		}
	}
	return nil
}

func gatewayName(configured string) string {
	if configured != "" {
		return configured
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "gateway"
	}
	return host
}

func (g *Gateway) openStore(ctx context.Context) error {
	var err error
	g.store, err = store.Open(ctx, store.Options{
		Path:          filepath.Join(g.config.Gateway.StateDir, "peerbee.db"),
		Log:           g.log.With("part", "store"),
		Clock:         g.clock.Now,
		RetentionAge:  g.config.Store.Retention.Std(),
		RetentionRows: g.config.Store.MaxReadings,
		BatchRows:     g.config.Store.CommitBatch,
		BatchEvery:    g.config.Store.CommitEvery.Std(),
	})
	if err != nil {
		return err
	}
	last, err := g.store.LastTime(ctx)
	if err != nil {
		return err
	}
	g.clock.resume(last)
	if err := g.store.SetName(ctx, g.name); err != nil {
		return err
	}
	return g.loadRoster(ctx)
}

// loadRoster brings the devices and the descriptions of their properties back from the store.
func (g *Gateway) loadRoster(ctx context.Context) error {
	devices, err := g.store.Devices(ctx, false)
	if err != nil {
		return err
	}
	for _, d := range devices {
		record, err := decodeRecord(d.Record)
		if err != nil {
			return err
		}
		g.roster.put(record.Device, d.Name)
		if record.Left {
			g.roster.markLeft(d.Key)
		}
	}
	latest, err := g.store.Latest(ctx)
	if err != nil {
		return err
	}
	for _, l := range latest {
		if err := g.learnFromStore(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

func (g *Gateway) openLedger(ctx context.Context) error {
	dir := filepath.Join(g.config.Gateway.StateDir, "ledger")
	keys, err := blockchain.LoadOrCreateKeys(dir)
	if err != nil {
		return err
	}
	g.ledger, err = blockchain.Open(ctx, blockchain.Options{Dir: dir, Keys: keys, Log: g.log.With("part", "ledger"), PeerID: g.published.id().String()})
	if err != nil {
		return err
	}
	g.registrar = newRegistrar(g.roster, g.ledger, g.log)
	return nil
}

func (g *Gateway) openNetwork(ctx context.Context) error {
	expect, err := g.knownNetwork(ctx)
	if err != nil {
		return err
	}
	var known []zigbee.Device
	for _, key := range g.roster.keys() {
		if m, ok := g.roster.get(key); ok {
			if _, record, left := g.roster.snapshot(m); !left {
				known = append(known, record)
			}
		}
	}
	g.net = zigbee.New(zigbee.Options{
		Open: g.openPort, Port: g.config.Zigbee.Port, Log: g.log.With("part", "zigbee"), Devices: known, Expect: expect,
	})
	return nil
}

func (g *Gateway) openAPI(context.Context) error {
	g.api = localapi.New(localapi.Options{
		Socket: g.config.API.Socket, Group: g.config.API.Group, Routes: g.routes(), Log: g.log.With("part", "api"),
	})
	return nil
}

// Serve runs the daemon until ctx ends or something fails that a restart of a part cannot mend. The store is
// flushed and closed before it returns.
func (g *Gateway) Serve(ctx context.Context) error {
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	root := suture.New("peerbee", suture.Spec{EventHook: g.supervisorEvent, FailureThreshold: 30})
	for name, s := range g.services(cancel) {
		root.Add(service{name: name, serve: s})
	}
	done := make(chan error, 1)
	go func() { done <- root.Serve(running) }()
	select {
	case <-g.api.Ready():
		g.log.Info("peerbee serves", "version", Version, "socket", g.config.API.Socket, "peer", g.published.id())
		g.notifier.Ready()
	case <-running.Done():
	}
	<-running.Done()
	g.notifier.Stopping()
	err := <-done
	if cause := context.Cause(running); ctx.Err() == nil && cause != nil {
		err = cause
	}
	closing, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer stop()
	return errors.Join(err, g.close(closing))
}

// services are the parts under supervision. fatal ends the daemon: a ledger that cannot write and an API that
// cannot listen are not mended by another try.
func (g *Gateway) services(fatal context.CancelCauseFunc) map[string]func(context.Context) error {
	p := newPipeline(g)
	s := map[string]func(context.Context) error{
		"pipeline":  p.Serve,
		"zigbee":    g.net.Serve,
		"registrar": g.registrar.Serve,
		"ledger":    deadly(g.ledger.Serve, fatal),
		"api":       deadly(g.api.Serve, fatal),
		"clock":     func(ctx context.Context) error { return g.clock.keep(ctx, g.log, g.store.SetLastTime) },
		"watchdog":  func(ctx context.Context) error { return g.notifier.Serve(ctx, g.alive) },
		"access":    g.access.Serve,
		"backup":    g.keeper.Serve,
	}
	if g.config.Metrics.Listen != "" {
		s["metrics"] = deadly(g.serveMetrics, fatal)
	}
	if p := g.processors; p != nil {
		s["processors"] = p.Serve
	}
	for name, serve := range g.published.services() {
		s[name] = serve
	}
	return s
}

func deadly(serve func(context.Context) error, fatal context.CancelCauseFunc) func(context.Context) error {
	return func(ctx context.Context) error {
		err := serve(ctx)
		if ctx.Err() == nil {
			fatal(err)
			return suture.ErrDoNotRestart
		}
		return err
	}
}

// service names a part for the supervisor and guards it: suture takes context.DeadlineExceeded for "stop for
// good", which no part here ever means.
type service struct {
	name  string
	serve func(context.Context) error
}

func (s service) String() string { return s.name }

func (s service) Serve(ctx context.Context) error {
	err := s.serve(ctx)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return errors.New(err.Error())
	}
	return err
}

func (g *Gateway) supervisorEvent(e suture.Event) {
	if e.Type() != suture.EventTypeStopTimeout && e.Type() != suture.EventTypeResume {
		g.log.Error("part failed and is started again", "event", strings.TrimSpace(e.String()))
	}
}

// alive is the watchdog's question: do the store and the pipeline still answer?
func (g *Gateway) alive(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := g.store.LastTime(ctx); err != nil {
		g.log.Error("watchdog: the store does not answer", "err", err)
		return false
	}
	return true
}

// close ends what Build opened, in reverse order. A second call does nothing.
func (g *Gateway) close(ctx context.Context) error {
	var errs []error
	if g.published != nil {
		errs = append(errs, g.published.close())
	}
	if g.ledger != nil {
		errs = append(errs, g.ledger.Close())
		g.ledger = nil
	}
	if g.store != nil {
		if err := g.store.Close(ctx); !errors.Is(err, store.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// now is the best known time.
func (g *Gateway) now() time.Time {
	t, _ := g.clock.Now()
	return t
}

// peerKey is where the host key lives.
func (g *Gateway) peerKey() p2p.KeyFile {
	return p2p.KeyFile{Path: filepath.Join(g.config.Gateway.StateDir, "host.key")}
}
