package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/peerbee/peerbee/blockchain"
	"github.com/peerbee/peerbee/zigbee"
)

// registrar puts every device that has finished its interview into the ledger, by itself and once. It works from
// the roster, not from a queue: a device missed for any reason is found at the next look.
type registrar struct {
	roster *roster
	ledger *blockchain.Ledger
	log    *slog.Logger
	kick   chan struct{}
}

// registerRetry is the pause after a failed registration.
const registerRetry = 30 * time.Second

func newRegistrar(r *roster, l *blockchain.Ledger, log *slog.Logger) *registrar {
	return &registrar{roster: r, ledger: l, log: log, kick: make(chan struct{}, 1)}
}

func (r *registrar) wake() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

func (r *registrar) Serve(ctx context.Context) error {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.kick:
		case <-retry.C:
		}
		if err := r.registerAll(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("device not registered in the ledger", "err", err)
			retry.Reset(registerRetry)
		}
	}
}

// registerAtOnce lets the ledger put devices that wait together into one batch: one write, one signature.
const registerAtOnce = 32

func (r *registrar) registerAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(registerAtOnce)
	for _, key := range r.roster.keys() {
		m, ok := r.roster.get(key)
		if !ok {
			continue
		}
		_, record, left := r.roster.snapshot(m)
		if left || record.Interview != zigbee.InterviewDone {
			continue
		}
		id := blockchain.DeviceIDFromUint64(uint64(record.IEEE))
		if o, err := r.ledger.Owner(id); err == nil && o.Status == blockchain.StatusOwned {
			continue
		}
		group.Go(func() error { return r.register(ctx, key, id) })
	}
	return group.Wait()
}

func (r *registrar) register(ctx context.Context, key string, id blockchain.DeviceID) error {
	receipt, err := r.ledger.Register(ctx, id)
	if err != nil {
		return fmt.Errorf("register %s: %w", key, err)
	}
	r.log.Info("device registered in the ledger", "device", key, "record", receipt.Record.Short(), "index", receipt.Index)
	return nil
}
