package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi"
	"github.com/peerbee/peerbee/zigbee"
)

// routes is the local API as a table: what can be asked, and the right it takes.
func (g *Gateway) routes() []localapi.Route {
	const read, command, admin = localapi.RightRead, localapi.RightCommand, localapi.RightAdmin
	return []localapi.Route{
		{Pattern: "GET /v1/status", Right: read, Handle: g.getStatus},
		{Pattern: "GET /v1/watch", Right: read, Stream: g.watch},
		{Pattern: "GET /v1/metrics", Right: read, Raw: g.getMetrics},

		{Pattern: "POST /v1/network/form", Right: admin, Handle: g.formNetwork},
		{Pattern: "POST /v1/network/adopt", Right: admin, Handle: g.adoptNetwork},
		{Pattern: "POST /v1/network/backup", Right: admin, Raw: g.backupNetwork},
		{Pattern: "POST /v1/pair", Right: command, Handle: g.pair},

		{Pattern: "GET /v1/devices", Right: read, Handle: g.listDevices},
		{Pattern: "GET /v1/devices/{device}", Right: read, Handle: g.getDevice},
		{Pattern: "PATCH /v1/devices/{device}", Right: command, Handle: g.renameDevice},
		{Pattern: "DELETE /v1/devices/{device}", Right: admin, Handle: g.removeDevice},
		{Pattern: "GET /v1/devices/{device}/history", Right: read, Stream: g.history},

		{Pattern: "POST /v1/shares", Right: admin, Handle: g.share},
		{Pattern: "GET /v1/access", Right: read, Handle: g.listAccess},
		{Pattern: "DELETE /v1/access/{who}", Right: admin, Handle: g.revoke},
		{Pattern: "GET /v1/audit", Right: read, Handle: g.listAudit},

		{Pattern: "GET /v1/ledger/log", Right: read, Handle: g.ledgerLog},
		{Pattern: "GET /v1/ledger/devices/{device}", Right: read, Handle: g.ledgerDevice},
		{Pattern: "GET /v1/ledger/devices/{device}/proof", Right: read, Raw: g.ledgerProof},
	}
}

func (g *Gateway) getStatus(ctx context.Context, _ *localapi.Request) (any, error) {
	s := api.Status{
		Version: Version, Name: g.name, Uptime: time.Since(g.started).Round(time.Second).String(),
		Zigbee: showZigbee(g.net.State()), P2P: g.published.status(), Notices: g.notices(),
	}
	z := g.net.Stats()
	s.Zigbee.Devices, s.Zigbee.Reports, s.Zigbee.Dropped = len(g.roster.keys()), z.Reports, z.LostReports
	s.Zigbee.JoinOpen = g.net.JoinOpen()
	st := g.store.Stats()
	s.Store = api.Store{Readings: st.Rows, Retention: retention(g.config.Store.Retention)}
	if st.Problem != nil {
		s.Store.Problem = st.Problem.Error()
	}
	l := g.ledger.Stats()
	s.Ledger = api.Ledger{Origin: g.ledger.Origin(), Size: uint64(l.Records), Owner: g.ledger.AID().String(), Devices: l.Owned}
	return s, ctx.Err()
}

// notices are what a person should know, in the order of the table below.
func (g *Gateway) notices() []api.Notice {
	list := []api.Notice{}
	add := func(code, severity, text, hint string) {
		list = append(list, api.Notice{Code: code, Severity: severity, Text: text, Hint: hint})
	}
	if s := g.net.State(); s.Problem != "" {
		add("stick", "error", s.Problem, s.Hint)
	}
	if st := g.store.Stats(); st.Problem != nil {
		add("disk", "error", "readings are not reaching the disk: "+st.Problem.Error(), "peerbee doctor")
	}
	if problem := g.keeper.problem.Load(); problem != nil {
		add("backup", "warning", "the Zigbee network is not backed up: "+*problem, "peerbee doctor")
	}
	if l := g.ledger.Stats(); l.Err != nil {
		add("ledger", "error", l.Err.Error(), "sudo systemctl restart peerbee")
	} else if l.OwnerKeyHere {
		add("owner-key", "info", "the owner key lies on this gateway: whoever takes the machine can sign as you",
			"keep a copy of "+g.config.Gateway.StateDir+"/ledger off this machine")
	}
	return list
}

func (g *Gateway) getMetrics(context.Context, *localapi.Request) (string, []byte, error) {
	body, err := gatherText(g.registry)
	return "text/plain; version=0.0.4", body, err
}

func (g *Gateway) formNetwork(ctx context.Context, r *localapi.Request) (any, error) {
	var body api.Form
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.Channel != 0 && (body.Channel < 11 || body.Channel > 26) {
		return nil, localapi.Errorf(http.StatusBadRequest, "channel %d does not exist", body.Channel).WithHint("Zigbee channels are 11 to 26")
	}
	if err := g.keepMemory(ctx, "form"); err != nil {
		return nil, err
	}
	n, err := g.net.Form(ctx, zigbee.FormParams{Channel: body.Channel})
	if err != nil {
		return nil, g.explainRadio(err)
	}
	return g.tookNetwork(ctx, r, "form", n)
}

func (g *Gateway) adoptNetwork(ctx context.Context, r *localapi.Request) (any, error) {
	if err := g.keepMemory(ctx, "adopt"); err != nil {
		return nil, err
	}
	n, err := g.net.Adopt(ctx)
	if err != nil {
		return nil, g.explainRadio(err)
	}
	return g.tookNetwork(ctx, r, "adopt", n)
}

func (g *Gateway) tookNetwork(ctx context.Context, r *localapi.Request, verb string, n zigbee.NetworkParams) (any, error) {
	if err := g.keepNetwork(ctx, n); err != nil {
		return nil, err
	}
	if err := g.waitRunning(ctx); err != nil {
		return nil, err
	}
	shown := showNetwork(n)
	g.audit(ctx, r.Caller, "network."+verb, shown.ExtendedPAN, "ok", "")
	return shown, nil
}

// runningTimeout is how long the stick may take from its word that it has a network to carrying messages.
const runningTimeout = 10 * time.Second

// waitRunning lets the caller's next command find a network that works.
func (g *Gateway) waitRunning(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, runningTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for g.net.State().Phase != zigbee.PhaseRunning {
		select {
		case <-ctx.Done():
			return localapi.Errorf(http.StatusConflict, "the network is there but the stick does not run it yet").WithHint("peerbee status")
		case <-tick.C:
		}
	}
	return nil
}

// explainRadio adds the radio's own problem and next step to an error.
func (g *Gateway) explainRadio(err error) error {
	e := localapi.Errorf(http.StatusConflict, "%v", err)
	var explained interface {
		Explain() (problem, hint string)
	}
	if errors.As(err, &explained) {
		problem, hint := explained.Explain()
		return localapi.Errorf(http.StatusConflict, "%s", problem).WithHint("%s", hint)
	}
	if s := g.net.State(); s.Hint != "" {
		return e.WithHint("%s", s.Hint)
	}
	return e.WithHint("peerbee status")
}

func (g *Gateway) pair(ctx context.Context, r *localapi.Request) (any, error) {
	var body api.Pair
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if s := g.net.State(); s.Phase != zigbee.PhaseRunning {
		text := s.Problem
		if text == "" {
			text = "the Zigbee network is not running: " + string(s.Phase)
		}
		hint := s.Hint
		if hint == "" {
			hint = "peerbee status"
		}
		return nil, localapi.Errorf(http.StatusConflict, "%s", text).WithHint("%s", hint)
	}
	join := zigbee.Join{Duration: time.Duration(body.Seconds) * time.Second}
	if body.Router != "" {
		m, err := g.device(body.Router)
		if err != nil {
			return nil, err
		}
		_, record, _ := g.roster.snapshot(m)
		join.Router = &record.IEEE
	}
	if err := g.net.PermitJoin(ctx, join); err != nil {
		return nil, g.explainRadio(err)
	}
	return nil, nil
}

// watch streams events to a local listener. Its first line says that nothing after it is missed.
func (g *Gateway) watch(ctx context.Context, r *localapi.Request, emit func(any) error) error {
	wants, err := g.watchFilter(r)
	if err != nil {
		return err
	}
	w, end := g.hub.watch(wants)
	defer end()
	if err := emit(api.Event{Kind: "hello", Time: time.Now()}); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.signal:
		}
		events, lost := w.take()
		if lost > 0 {
			if err := emit(api.Event{Kind: "lost", Time: time.Now(), Count: lost}); err != nil {
				return err
			}
		}
		for _, e := range events {
			if err := emit(e); err != nil {
				return err
			}
		}
	}
}

func (g *Gateway) watchFilter(r *localapi.Request) (func(*api.Event) bool, error) {
	query := r.URL.Query()
	var kinds, devices []string
	if k := query.Get("kinds"); k != "" {
		kinds = strings.Split(k, ",")
	}
	for _, d := range query["device"] {
		m, err := g.device(d)
		if err != nil {
			return nil, err
		}
		devices = append(devices, m.key)
	}
	return func(e *api.Event) bool {
		if kinds != nil && !slices.Contains(kinds, e.Kind) {
			return false
		}
		return devices == nil || e.Reading == nil || slices.Contains(devices, e.Reading.Device)
	}, nil
}
