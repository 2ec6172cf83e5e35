package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/peerbee/peerbee/gateway/reading"
)

// Keys of the meta table.
const (
	metaEpoch     = "epoch"
	metaName      = "name"
	metaDiscovery = "discovery_secret"
	metaNetwork   = "network"
	metaLastTime  = "last_time" // Unix ms, decimal
	metaUptime    = "uptime"    // ms, decimal
	metaClean     = "clean"     // "1" after a clean Close
)

// querier is what *sql.DB and *sql.Tx share.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Epoch is the random number this store was created with. Sequence numbers of different epochs are not comparable.
func (s *Store) Epoch() uint64 { return s.epoch }

// Uptime is the time this gateway has been running, over all its starts; it never runs backwards and is at most
// ten minutes short after a kill.
func (s *Store) Uptime() time.Duration { return s.uptime + time.Since(s.opened) }

// Meta gives the value stored under key and whether there is one.
func (s *Store) Meta(ctx context.Context, key string) (value []byte, ok bool, err error) {
	err = s.r.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = ?", key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", key, explain(s.opt.Path, err))
	}
	return value, true, nil
}

// SetMeta stores value under key, durably. Keys of other packages carry their package's name and a slash.
func (s *Store) SetMeta(ctx context.Context, key string, value []byte) error {
	return setMeta(ctx, s.w, key, value)
}

func setMeta(ctx context.Context, q querier, key string, value []byte) error {
	_, err := q.ExecContext(ctx, "INSERT INTO meta(key, value) VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value", key, value)
	if err != nil {
		return fmt.Errorf("storing %s: %w", key, err)
	}
	return nil
}

// Name is the gateway's own name, empty until it is set.
func (s *Store) Name(ctx context.Context) (string, error) {
	v, _, err := s.Meta(ctx, metaName)
	return string(v), err
}

// SetName stores the gateway's own name.
func (s *Store) SetName(ctx context.Context, name string) error {
	return s.SetMeta(ctx, metaName, []byte(name))
}

// Network gives the stored Zigbee network parameters (JSON, opaque here) and nil when there are none.
func (s *Store) Network(ctx context.Context) ([]byte, error) {
	v, _, err := s.Meta(ctx, metaNetwork)
	return v, err
}

// SetNetwork stores the Zigbee network parameters.
func (s *Store) SetNetwork(ctx context.Context, params []byte) error {
	return s.SetMeta(ctx, metaNetwork, params)
}

// DiscoverySecret keys the records under which enrolled peers find the gateway (32 bytes).
func (s *Store) DiscoverySecret(ctx context.Context) ([]byte, error) {
	v, ok, err := s.Meta(ctx, metaDiscovery)
	if err == nil && !ok {
		return nil, fmt.Errorf("discovery secret: %w", ErrNotFound)
	}
	return v, err
}

// LastTime is the last time known to be right, at most ten minutes old at the last stop; zero when never known.
func (s *Store) LastTime(ctx context.Context) (time.Time, error) {
	ms, err := s.number(ctx, metaLastTime)
	if err != nil || ms == 0 {
		return time.Time{}, err
	}
	return time.UnixMilli(ms), nil
}

// SetLastTime stores a time known to be right. It never goes back.
func (s *Store) SetLastTime(ctx context.Context, t time.Time) error {
	return setLastTime(ctx, s.w, t)
}

func setLastTime(ctx context.Context, q querier, t time.Time) error {
	_, err := q.ExecContext(ctx, `INSERT INTO meta(key, value) VALUES(?1, ?2)
		ON CONFLICT(key) DO UPDATE SET value = excluded.value WHERE CAST(meta.value AS INTEGER) < CAST(?2 AS INTEGER)`,
		metaLastTime, decimal(t.UnixMilli()))
	if err != nil {
		return fmt.Errorf("storing the last known time: %w", err)
	}
	return nil
}

func decimal(n int64) []byte { return fmt.Appendf(nil, "%d", n) }

func (s *Store) number(ctx context.Context, key string) (int64, error) {
	v, ok, err := s.Meta(ctx, key)
	if err != nil || !ok {
		return 0, err
	}
	var n int64
	if _, err := fmt.Sscanf(string(v), "%d", &n); err != nil {
		return 0, fmt.Errorf("reading %s: %w", key, err)
	}
	return n, nil
}

// loadMeta reads the epoch and the accumulated uptime, and makes a new store's random values.
func (s *Store) loadMeta(ctx context.Context) error {
	v, ok, err := s.Meta(ctx, metaEpoch)
	if err != nil {
		return err
	}
	if !ok {
		return s.createMeta(ctx)
	}
	if len(v) != 8 {
		return &CorruptError{Path: s.opt.Path, Detail: "the epoch is not 8 bytes long"}
	}
	s.epoch = binary.BigEndian.Uint64(v)
	ms, err := s.number(ctx, metaUptime)
	s.uptime = time.Duration(ms) * time.Millisecond
	return err
}

func (s *Store) createMeta(ctx context.Context) error {
	epoch, err := randomUint64()
	if err != nil {
		return fmt.Errorf("choosing an epoch: %w", err)
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("choosing a discovery secret: %w", err)
	}
	s.epoch = epoch
	return s.transaction(ctx, func(tx *sql.Tx) error {
		if err := setMeta(ctx, tx, metaEpoch, binary.BigEndian.AppendUint64(nil, epoch)); err != nil {
			return err
		}
		return setMeta(ctx, tx, metaDiscovery, secret)
	})
}

// transaction runs fn in one durable transaction.
func (s *Store) transaction(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("starting a transaction: %w", err)
	}
	defer rollback(tx)
	if err := fn(tx); err != nil {
		return explain(s.opt.Path, err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", explain(s.opt.Path, err))
	}
	return nil
}

// saveTimes stores the uptime and, while the clock is synchronised, the time.
func (s *Store) saveTimes(ctx context.Context, q querier) error {
	if err := setMeta(ctx, q, metaUptime, decimal(s.Uptime().Milliseconds())); err != nil {
		return err
	}
	if now, quality := s.opt.Clock(); quality == reading.TimeSynchronised {
		return setLastTime(ctx, q, now)
	}
	return nil
}
