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

PRAGMA user_version = 1;
INSERT INTO meta VALUES('epoch', x'0102030405060708'), ('discovery_secret', zeroblob(32)), ('clean', '0'), ('uptime', '1234'), ('last_time', '1790000000000');
INSERT INTO devices VALUES(1, '00158d0001a2b3c4', 'kitchen', '{"model":"lumi.weather"}', 1790000000000, 0);
INSERT INTO sequences VALUES(1, 2, 4097);
INSERT INTO descriptors VALUES(1, '2d134959ca560fa7', x'86');
INSERT INTO readings VALUES(1, 1, 1, 1790000000000, 0, 0, '{"temperature":21.5}'), (2, 1, 2, 1790000060000, 1, 1, '{"temperature":21.75,"contact":true}');
INSERT INTO batches VALUES(1, 2, 1790000000000, 1790000060000, x'010101');
INSERT INTO latest VALUES(1, 'temperature', 2, 1790000060000, 1, 1, '21.75'), (1, 'contact', 2, 1790000060000, 1, 1, 'true');
INSERT INTO peers VALUES('12D3KooWGRUVhVfGBYmu9xTLTsz4AeyvUVAgKGqTPyEDHnBMvEMC', 'anna', 'viewer', 1790000000000, 0);
INSERT INTO grants VALUES(1, '12D3KooWGRUVhVfGBYmu9xTLTsz4AeyvUVAgKGqTPyEDHnBMvEMC', '*', '*', 'read', 0, 0, 1790000000000, 0);
INSERT INTO tickets VALUES(x'0102030405060708', zeroblob(32), 'bert', 'viewer', '[{"device":"*","property":"*","action":"read"}]', 1790000000000, 3600000, 0, 1790000000000, '', 0, 0, 0);
INSERT INTO audit VALUES(1, 1790000000000, 'uid:0', 'share', 'bert', 'ok', '');
