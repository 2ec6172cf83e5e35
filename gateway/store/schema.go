package store

import (
	"context"
	"database/sql"
	"fmt"
)

// migrations brings a database from version i to i+1 (PRAGMA user_version). An entry that has been released is
// never edited: old files have to stay readable.
var migrations = []string{
	`
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE devices (
	id      INTEGER PRIMARY KEY,
	key     TEXT NOT NULL UNIQUE,          -- 16 lower-case hex digits of the EUI-64
	name    TEXT NOT NULL,
	record  BLOB NOT NULL,                 -- the zigbee device record, JSON
	created INTEGER NOT NULL,              -- Unix ms, as all times here
	removed INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX devices_name ON devices(name) WHERE removed = 0;
CREATE TABLE sequences (
	device    INTEGER PRIMARY KEY REFERENCES devices(id),
	committed INTEGER NOT NULL,            -- highest sequence number stored with a reading
	reserved  INTEGER NOT NULL             -- first number that has surely never been handed out
);
CREATE TABLE descriptors (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE readings (                    -- arrival order; deliberately without any further index
	id     INTEGER PRIMARY KEY,
	device INTEGER NOT NULL,
	seq    INTEGER NOT NULL,
	t      INTEGER NOT NULL,
	tq     INTEGER NOT NULL,               -- clock quality
	descr  INTEGER NOT NULL,               -- descriptors.id, 0: none
	data   TEXT NOT NULL                   -- JSON object: property -> value
);
CREATE TABLE batches (                     -- which devices' sequence numbers lie in which run of rows
	first INTEGER PRIMARY KEY,             -- readings.id
	last  INTEGER NOT NULL,
	t_min INTEGER NOT NULL,
	t_max INTEGER NOT NULL,
	seqs  BLOB NOT NULL                    -- uvarints: device, lowest seq, highest - lowest; ascending by device
);
CREATE TABLE latest (
	device   INTEGER NOT NULL REFERENCES devices(id),
	property TEXT NOT NULL,
	seq      INTEGER NOT NULL,
	t        INTEGER NOT NULL,
	tq       INTEGER NOT NULL,
	descr    INTEGER NOT NULL,
	value    TEXT NOT NULL,                -- JSON
	PRIMARY KEY (device, property)
) WITHOUT ROWID;
CREATE TABLE peers (
	id        TEXT PRIMARY KEY,            -- libp2p peer ID, text form
	label     TEXT NOT NULL,
	role      TEXT NOT NULL,
	created   INTEGER NOT NULL,
	last_seen INTEGER NOT NULL             -- 0: never
) WITHOUT ROWID;
CREATE TABLE grants (
	id             INTEGER PRIMARY KEY,
	peer           TEXT NOT NULL REFERENCES peers(id),
	device         TEXT NOT NULL,          -- devices.key or *
	property       TEXT NOT NULL,          -- name or *
	action         TEXT NOT NULL,
	expires        INTEGER NOT NULL,       -- 0: never
	expires_uptime INTEGER NOT NULL,       -- the same in the gateway's accumulated uptime, ms, 0: never
	created        INTEGER NOT NULL,
	revoked        INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX grants_peer ON grants(peer) WHERE revoked = 0;
CREATE TABLE tickets (
	id             BLOB PRIMARY KEY,
	secret         BLOB NOT NULL,          -- SHA-256 of the one-time secret
	label          TEXT NOT NULL,
	role           TEXT NOT NULL,
	rights         TEXT NOT NULL,          -- JSON array of {device, property, action}
	expires        INTEGER NOT NULL,
	expires_uptime INTEGER NOT NULL,
	grants_for     INTEGER NOT NULL,       -- how long the redeemed rights last, ms, 0: for ever
	created        INTEGER NOT NULL,
	redeemed_by    TEXT NOT NULL DEFAULT '',
	redeemed       INTEGER NOT NULL DEFAULT 0,
	revoked        INTEGER NOT NULL DEFAULT 0,
	tries          INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE audit (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	t       INTEGER NOT NULL,
	actor   TEXT NOT NULL,
	action  TEXT NOT NULL,
	subject TEXT NOT NULL,
	outcome TEXT NOT NULL,
	detail  TEXT NOT NULL
);
CREATE TRIGGER audit_append_only BEFORE UPDATE ON audit BEGIN
	SELECT RAISE(ABORT, 'the audit log is append only');
END;
`,
	// A right on all devices does not cover those that were removed or released after it was given.
	`ALTER TABLE grants ADD COLUMN except_devices TEXT NOT NULL DEFAULT '[]'; -- JSON array of devices.key`,
	// What unclean stops may have lost stays known for as long as a subscriber may still be before it.
	`CREATE TABLE lost (
	device INTEGER NOT NULL REFERENCES devices(id),
	first  INTEGER NOT NULL,
	last   INTEGER NOT NULL,               -- inclusive
	t      INTEGER NOT NULL,               -- Unix ms, when it was found
	PRIMARY KEY (device, first)
) WITHOUT ROWID;`,
}

// lostSince is the first schema with the table lost.
const lostSince = 3

// smallTables, which every schema has, are checked page by page at every start; readings only after an unclean stop.
var smallTables = []string{
	"meta", "devices", "sequences", "descriptors", "batches", "latest", "peers", "grants", "tickets", "audit",
}

// migrate applies the migrations the file lacks, each in its own transaction with its version number.
func migrate(ctx context.Context, db *sql.DB) error {
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("reading the schema version: %w", err)
	}
	if version > len(migrations) {
		return fmt.Errorf("%w (schema %d, this one knows %d): install the newer version again, or restore a backup made before it",
			ErrNewer, version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		if err := migrateOne(ctx, db, version); err != nil {
			return fmt.Errorf("migrating the database from schema %d: %w", version, err)
		}
	}
	return nil
}

func migrateOne(ctx context.Context, db *sql.DB, version int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer rollback(tx)
	if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version+1)); err != nil {
		return err
	}
	return tx.Commit()
}
