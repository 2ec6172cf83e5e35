package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Device is a stored device. Its row outlives its removal: sequence numbers are never reused.
type Device struct {
	Key     string // 16 lower-case hex digits of the EUI-64
	Name    string // the owner's name, unique among the devices that are not removed
	Record  []byte // the zigbee device record, opaque here
	Created time.Time
	Removed bool
}

// deviceState is what the store keeps of a device in memory, guarded by Store.mu except where noted.
type deviceState struct {
	id      int64
	key     string
	removed bool

	next      uint64 // the next sequence number to hand out
	reserved  uint64 // first number that is not durably reserved
	low       bool   // listed for a refill
	committed uint64

	latest map[string]*latestValue
	marks  map[string]uint64 // property -> batch that stored it last; owned by the writer
}

// PutDevice stores the record of a device. A new one is named by its key; a removed one comes back under its
// key's name and with its old sequence.
func (s *Store) PutDevice(ctx context.Context, key string, record []byte) error {
	if !validKey(key) {
		return fmt.Errorf("device key %q is not 16 lower-case hex digits", key)
	}
	if record == nil {
		record = []byte{}
	}
	now, _ := s.opt.Clock()
	var id int64
	var seq int64
	err := s.transaction(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `INSERT INTO devices(key, name, record, created) VALUES(?1, ?1, ?2, ?3)
			ON CONFLICT(key) DO UPDATE SET record = excluded.record, removed = 0 RETURNING id`, key, record, now.UnixMilli()).Scan(&id)
		if err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `INSERT INTO sequences(device, committed, reserved) VALUES(?, 0, ?)
			ON CONFLICT(device) DO UPDATE SET device = device RETURNING reserved`, id, 1+sequenceBlock).Scan(&seq)
	})
	if err != nil {
		return fmt.Errorf("storing device %s: %w", key, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.devices[key]; d != nil {
		d.removed = false
		return nil
	}
	s.devices[key] = &deviceState{id: id, key: key, next: 1, reserved: uint64(seq), latest: map[string]*latestValue{}, marks: map[string]uint64{}}
	return nil
}

// RenameDevice gives the device with that key or name a new name: ErrNameTaken, ErrNotFound.
func (s *Store) RenameDevice(ctx context.Context, keyOrName, name string) error {
	d, err := s.Device(ctx, keyOrName)
	if err != nil {
		return err
	}
	_, err = s.w.ExecContext(ctx, "UPDATE devices SET name = ? WHERE key = ?", name, d.Key)
	if isConstraint(err) {
		return fmt.Errorf("%w: %q", ErrNameTaken, name)
	}
	if err != nil {
		return fmt.Errorf("renaming device %s: %w", d.Key, err)
	}
	return nil
}

// RemoveDevice marks a device as removed and forgets its latest values. Its history ages out.
func (s *Store) RemoveDevice(ctx context.Context, keyOrName string) error {
	d, err := s.Device(ctx, keyOrName)
	if err != nil {
		return err
	}
	err = s.transaction(ctx, func(tx *sql.Tx) error {
		var id int64
		if err := tx.QueryRowContext(ctx, "UPDATE devices SET removed = 1, name = key WHERE key = ? RETURNING id", d.Key).Scan(&id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM latest WHERE device = ?", id)
		return err
	})
	if err != nil {
		return fmt.Errorf("removing device %s: %w", d.Key, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.devices[d.Key]; st != nil {
		st.removed = true
		clear(st.latest)
	}
	return nil
}

// Device finds a device that is not removed by its key or its name, or gives ErrNotFound.
func (s *Store) Device(ctx context.Context, keyOrName string) (Device, error) {
	row := s.r.QueryRowContext(ctx, `SELECT key, name, record, created, removed FROM devices
		WHERE removed = 0 AND (key = ?1 OR name = ?1) ORDER BY key = ?1 DESC LIMIT 1`, keyOrName)
	d, err := scanDevice(row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return Device{}, fmt.Errorf("device %q: %w", keyOrName, ErrNotFound)
	}
	if err != nil {
		return Device{}, fmt.Errorf("reading device %q: %w", keyOrName, explain(s.opt.Path, err))
	}
	return d, nil
}

// Devices gives all devices in the order they came, with the removed ones when asked for.
func (s *Store) Devices(ctx context.Context, withRemoved bool) ([]Device, error) {
	rows, err := s.r.QueryContext(ctx, "SELECT key, name, record, created, removed FROM devices WHERE removed = 0 OR ? ORDER BY id", withRemoved)
	devices, err := collect(rows, err, scanDevice)
	if err != nil {
		return nil, fmt.Errorf("reading the devices: %w", explain(s.opt.Path, err))
	}
	return devices, nil
}

func scanDevice(scan func(...any) error) (Device, error) {
	var d Device
	var created int64
	err := scan(&d.Key, &d.Name, &d.Record, &created, &d.Removed)
	d.Created = time.UnixMilli(created)
	return d, err
}

// collect scans all rows with one and closes them.
func collect[T any](rows *sql.Rows, err error, one func(scan func(...any) error) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	var all []T
	for rows.Next() {
		v, err := one(rows.Scan)
		if err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		all = append(all, v)
	}
	return all, errors.Join(rows.Err(), rows.Close())
}

func validKey(key string) bool {
	if len(key) != 16 {
		return false
	}
	for _, c := range []byte(key) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func (s *Store) loadDevices(ctx context.Context) error {
	rows, err := s.w.QueryContext(ctx, `SELECT id, key, removed, COALESCE(committed, 0), COALESCE(reserved, 1)
		FROM devices LEFT JOIN sequences ON device = id ORDER BY id`)
	all, err := collect(rows, err, func(scan func(...any) error) (*deviceState, error) {
		d := &deviceState{latest: map[string]*latestValue{}, marks: map[string]uint64{}}
		return d, scan(&d.id, &d.key, &d.removed, &d.committed, &d.reserved)
	})
	if err != nil {
		return fmt.Errorf("reading the devices: %w", err)
	}
	for _, d := range all {
		s.devices[d.key] = d
	}
	return nil
}
