package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/peerbee/peerbee/blockchain"
	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi"
	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/gateway/store"
	"github.com/peerbee/peerbee/zigbee"
)

// device finds a device by name or address, or says how to find one.
func (g *Gateway) device(keyOrName string) (*member, error) {
	if m, ok := g.roster.find(keyOrName); ok {
		return m, nil
	}
	return nil, localapi.Errorf(http.StatusNotFound, "no device %q", keyOrName).WithHint("peerbee devices lists names and addresses")
}

func (g *Gateway) listDevices(ctx context.Context, _ *localapi.Request) (any, error) {
	latest, err := g.latest(ctx)
	if err != nil {
		return nil, err
	}
	list := []api.Device{}
	for _, key := range g.roster.keys() {
		if m, ok := g.roster.get(key); ok {
			list = append(list, g.showDevice(m, latest[key]))
		}
	}
	return list, nil
}

func (g *Gateway) latest(ctx context.Context) (map[string][]store.LatestValue, error) {
	all, err := g.store.Latest(ctx)
	if err != nil {
		return nil, err
	}
	byKey := make(map[string][]store.LatestValue, len(all))
	for _, l := range all {
		byKey[l.Device] = l.Values
	}
	return byKey, nil
}

func (g *Gateway) getDevice(ctx context.Context, r *localapi.Request) (any, error) {
	m, err := g.device(r.PathValue("device"))
	if err != nil {
		return nil, err
	}
	latest, err := g.latest(ctx)
	if err != nil {
		return nil, err
	}
	return g.showDevice(m, latest[m.key]), nil
}

// maxName bounds a device's name in bytes.
const maxName = 64

// checkName keeps names printable, and apart from addresses.
func checkName(name string) error {
	switch {
	case name == "" || len(name) > maxName:
		return localapi.Errorf(http.StatusBadRequest, "a name has 1 to %d bytes", maxName).WithHint("choose another name")
	case strings.TrimSpace(name) != name || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return localapi.Errorf(http.StatusBadRequest, "the name has invisible characters").WithHint("choose another name")
	case name == "*":
		return localapi.Errorf(http.StatusBadRequest, "* means every device").WithHint("choose another name")
	}
	if _, err := reading.ParseStreamKey(strings.ToLower(strings.TrimPrefix(name, "0x"))); err == nil {
		return localapi.Errorf(http.StatusBadRequest, "%q looks like an address", name).WithHint("choose another name")
	}
	return nil
}

func (g *Gateway) renameDevice(ctx context.Context, r *localapi.Request) (any, error) {
	var body api.Rename
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	m, err := g.device(r.PathValue("device"))
	if err != nil {
		return nil, err
	}
	if err := checkName(body.Name); err != nil {
		return nil, err
	}
	if err := g.store.RenameDevice(ctx, m.key, body.Name); err != nil {
		if errors.Is(err, store.ErrNameTaken) {
			return nil, localapi.Errorf(http.StatusConflict, "another device is named %q", body.Name).WithHint("peerbee devices")
		}
		return nil, err
	}
	g.roster.rename(m.key, body.Name)
	g.audit(ctx, r.Caller, "device.rename", m.key, "ok", body.Name)
	return g.showDevice(m, nil), nil
}

// removeDevice ends a device's membership everywhere: the radio network, the shares, the ledger, the list. Its
// history ages out; its sequence numbers are never used again.
func (g *Gateway) removeDevice(ctx context.Context, r *localapi.Request) (any, error) {
	m, err := g.device(r.PathValue("device"))
	if err != nil {
		return nil, err
	}
	name, record, left := g.roster.snapshot(m)
	force := r.URL.Query().Get("force") == "true"
	if !left {
		err := g.net.Remove(ctx, record.IEEE, force)
		switch {
		case err == nil:
			g.awaitLeft(ctx, m)
		case !errors.Is(err, zigbee.ErrUnknownDevice): // the radio may have forgotten it already
			return nil, localapi.Errorf(http.StatusConflict, "%s did not leave: %v", name, err).
				WithHint("wake the device and try again, or: peerbee devices remove --force %s", name)
		}
	}
	if err := g.release(ctx, blockchain.DeviceIDFromUint64(uint64(record.IEEE))); err != nil {
		return nil, err
	}
	if err := g.access.DropDevice(ctx, m.key); err != nil {
		return nil, err
	}
	if err := g.dropDevice(ctx, m.key); err != nil {
		return nil, err
	}
	g.audit(ctx, r.Caller, "device.remove", m.key, "ok", name)
	return nil, nil
}

// awaitLeft waits until the pipeline has seen the device leave: what the radio told before must not bring it back,
// nor into the ledger.
func (g *Gateway) awaitLeft(ctx context.Context, m *member) {
	ctx, cancel := context.WithTimeout(ctx, durableTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, _, left := g.roster.snapshot(m); left {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (g *Gateway) dropDevice(ctx context.Context, key string) error {
	g.roster.storing.Lock()
	defer g.roster.storing.Unlock()
	if err := g.store.RemoveDevice(ctx, key); err != nil {
		return err
	}
	g.roster.remove(key)
	return nil
}

func (g *Gateway) release(ctx context.Context, id blockchain.DeviceID) error {
	o, err := g.ledger.Owner(id)
	if errors.Is(err, blockchain.ErrUnknownDevice) || err == nil && o.Status == blockchain.StatusReleased {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if _, err := g.ledger.Release(ctx, id); err != nil {
		return fmt.Errorf("release in the ledger: %w", err)
	}
	return nil
}

func (g *Gateway) history(ctx context.Context, r *localapi.Request, emit func(any) error) error {
	m, err := g.device(r.PathValue("device"))
	if err != nil {
		return err
	}
	query := r.URL.Query()
	var from, to time.Time
	for key, t := range map[string]*time.Time{"since": &from, "until": &to} {
		if text := query.Get(key); text != "" {
			if *t, err = time.Parse(time.RFC3339Nano, text); err != nil {
				return localapi.Errorf(http.StatusBadRequest, "%s: %v", key, err)
			}
		}
	}
	limit := 0
	if text := query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 0 {
			return localapi.Errorf(http.StatusBadRequest, "limit %q is not a number", text)
		}
	}
	// What is still on its way to the disk belongs to the answer.
	if err := g.store.Flush(ctx); err != nil {
		return err
	}
	q := store.HistoryQuery{Device: m.key, From: from, To: to, Property: query.Get("property"), Limit: limit}
	return g.store.History(ctx, q, func(msg reading.Reading) error { return emit(g.show(&msg)) })
}
