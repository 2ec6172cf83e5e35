package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// Peer is someone who has or had rights.
type Peer struct {
	ID       string // libp2p peer ID, text form
	Label    string
	Role     string
	Created  time.Time
	LastSeen time.Time // zero: never
}

// Deadline is when something ends: at a wall-clock time, and at the latest when the gateway has been running for
// Uptime in all (Store.Uptime), for a clock that cannot be trusted. Zero fields: never.
type Deadline struct {
	Wall   time.Time
	Uptime time.Duration
}

// GrantRow is one stored right.
type GrantRow struct {
	ID       int64
	Peer     string
	Device   string   // key or "*"
	Property string   // name or "*"
	Except   []string // keys that a Device of "*" does not cover
	Action   string
	Expires  Deadline
	Created  time.Time
}

// TicketRight is a right that a ticket gives to whoever redeems it.
type TicketRight struct {
	Device   string `json:"device"`   // key or "*"
	Property string `json:"property"` // name or "*"
	Action   string `json:"action"`
	// Except are the keys that a Device of "*" does not cover.
	Except []string `json:"except,omitempty"`
}

// TicketRow is one stored ticket. Of its secret only the hash is known here.
type TicketRow struct {
	ID         []byte
	SecretHash []byte // SHA-256
	Label      string
	Role       string
	Rights     []TicketRight
	Expires    Deadline
	GrantsFor  time.Duration // how long the redeemed rights last, 0: for ever
	Created    time.Time
	RedeemedBy string // peer ID, empty: open
	Redeemed   time.Time
	Revoked    time.Time
	Tries      int // failed ones, as far as they were written down
}

// AuditEntry is one line of the audit log.
type AuditEntry struct {
	ID      int64
	Time    time.Time
	Actor   string // "uid:1000", "peer:12D3...", "gateway"
	Action  string // "share", "redeem", "revoke"
	Subject string
	Outcome string // "ok", "denied", "failed"
	Detail  string
}

// Tx is one durable change of rights. It is valid inside Update only.
type Tx struct {
	tx  *sql.Tx
	now time.Time
}

// Update runs fn in one transaction and returns when its changes are on disk; an error of fn undoes all of them.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	now, _ := s.opt.Clock()
	return s.transaction(ctx, func(tx *sql.Tx) error { return fn(&Tx{tx: tx, now: now}) })
}

// PutPeer stores a peer's label and role; Created stays what it was.
func (t *Tx) PutPeer(ctx context.Context, p Peer) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO peers(id, label, role, created, last_seen) VALUES(?, ?, ?, ?, ?)
		ON CONFLICT(id) DO UPDATE SET label = excluded.label, role = excluded.role`,
		p.ID, p.Label, p.Role, t.now.UnixMilli(), millis(p.LastSeen))
	return wrap("storing peer "+p.ID, err)
}

// AddGrant stores a right of a stored peer and gives its id.
func (t *Tx) AddGrant(ctx context.Context, g GrantRow) (int64, error) {
	except, err := list(g.Except)
	if err != nil {
		return 0, err
	}
	var id int64
	err = t.tx.QueryRowContext(ctx, `INSERT INTO grants(peer, device, property, action, expires, expires_uptime, created, except_devices)
		VALUES(?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`, g.Peer, g.Device, g.Property, g.Action,
		millis(g.Expires.Wall), g.Expires.Uptime.Milliseconds(), t.now.UnixMilli(), except).Scan(&id)
	return id, wrap("storing a grant of "+g.Peer, err)
}

// RevokePeer ends every right of a peer and says how many there were.
func (t *Tx) RevokePeer(ctx context.Context, peer string) (int64, error) {
	return t.count(ctx, "revoking "+peer, "UPDATE grants SET revoked = ? WHERE peer = ? AND revoked = 0", t.now.UnixMilli(), peer)
}

// RevokeGrant ends one right.
func (t *Tx) RevokeGrant(ctx context.Context, id int64) error {
	_, err := t.count(ctx, "ending a grant", "UPDATE grants SET revoked = ? WHERE id = ? AND revoked = 0", t.now.UnixMilli(), id)
	return err
}

// SetExcept replaces the devices that a grant on "*" does not cover.
func (t *Tx) SetExcept(ctx context.Context, id int64, devices []string) error {
	except, err := list(devices)
	if err != nil {
		return err
	}
	_, err = t.count(ctx, "narrowing a grant", "UPDATE grants SET except_devices = ? WHERE id = ?", except, id)
	return err
}

func list(devices []string) (string, error) {
	if len(devices) == 0 {
		return "[]", nil
	}
	b, err := json.Marshal(devices)
	return string(b), wrap("encoding a list of devices", err)
}

// AddTicket stores a ticket that was never stored before.
func (t *Tx) AddTicket(ctx context.Context, k TicketRow) error {
	rights, err := json.Marshal(k.Rights)
	if err != nil {
		return fmt.Errorf("storing a ticket: %w", err)
	}
	_, err = t.tx.ExecContext(ctx, `INSERT INTO tickets(id, secret, label, role, rights, expires, expires_uptime, grants_for, created)
		VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)`, k.ID, k.SecretHash, k.Label, k.Role, string(rights),
		millis(k.Expires.Wall), k.Expires.Uptime.Milliseconds(), k.GrantsFor.Milliseconds(), t.now.UnixMilli())
	return wrap("storing a ticket", err)
}

// SetTicketRights replaces what a ticket will give.
func (t *Tx) SetTicketRights(ctx context.Context, id []byte, rights []TicketRight) error {
	b, err := json.Marshal(rights)
	if err != nil {
		return fmt.Errorf("storing a ticket: %w", err)
	}
	_, err = t.tx.ExecContext(ctx, "UPDATE tickets SET rights = ? WHERE id = ?", string(b), id)
	return wrap("storing a ticket", err)
}

// RedeemTicket binds an open ticket to a peer. It says false when the ticket is not open any more.
func (t *Tx) RedeemTicket(ctx context.Context, id []byte, peer string) (bool, error) {
	n, err := t.count(ctx, "redeeming a ticket", "UPDATE tickets SET redeemed_by = ?, redeemed = ? WHERE id = ? AND redeemed_by = '' AND revoked = 0",
		peer, t.now.UnixMilli(), id)
	return n == 1, err
}

// RevokeTicket ends one ticket.
func (t *Tx) RevokeTicket(ctx context.Context, id []byte) error {
	_, err := t.count(ctx, "revoking a ticket", "UPDATE tickets SET revoked = ? WHERE id = ?", t.now.UnixMilli(), id)
	return err
}

// CountTry writes a failed try down.
func (t *Tx) CountTry(ctx context.Context, id []byte) error {
	_, err := t.count(ctx, "counting a try", "UPDATE tickets SET tries = tries + 1 WHERE id = ?", id)
	return err
}

// SetDiscoverySecret replaces the secret under which peers find the gateway.
func (t *Tx) SetDiscoverySecret(ctx context.Context, secret []byte) error {
	return setMeta(ctx, t.tx, metaDiscovery, secret)
}

func (t *Tx) count(ctx context.Context, doing, query string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, wrap(doing, err)
	}
	n, err := res.RowsAffected()
	return n, wrap(doing, err)
}

// Grants gives the rights that are not revoked, expired ones included, in the order they were given.
func (s *Store) Grants(ctx context.Context) ([]GrantRow, error) {
	rows, err := s.r.QueryContext(ctx, `SELECT id, peer, device, property, action, expires, expires_uptime, created, except_devices
		FROM grants WHERE revoked = 0 ORDER BY id`)
	all, err := collect(rows, err, func(scan func(...any) error) (g GrantRow, err error) {
		var wall, up, created int64
		var except string
		if err := scan(&g.ID, &g.Peer, &g.Device, &g.Property, &g.Action, &wall, &up, &created, &except); err != nil {
			return g, err
		}
		g.Expires, g.Created = deadline(wall, up), instant(created)
		if err := json.Unmarshal([]byte(except), &g.Except); err != nil {
			return g, &CorruptError{Path: s.opt.Path, Detail: "grants: " + err.Error()}
		}
		return g, nil
	})
	return all, wrap("reading the grants", explain(s.opt.Path, err))
}

// Tickets gives all tickets that are not revoked, redeemed and expired ones included, oldest first.
func (s *Store) Tickets(ctx context.Context) ([]TicketRow, error) {
	rows, err := s.r.QueryContext(ctx, `SELECT id, secret, label, role, rights, expires, expires_uptime, grants_for, created,
		redeemed_by, redeemed, revoked, tries FROM tickets WHERE revoked = 0 ORDER BY created, id`)
	all, err := collect(rows, err, func(scan func(...any) error) (k TicketRow, err error) {
		var rights string
		var wall, up, grantsFor, created, redeemed, revoked int64
		err = scan(&k.ID, &k.SecretHash, &k.Label, &k.Role, &rights, &wall, &up, &grantsFor, &created, &k.RedeemedBy, &redeemed, &revoked, &k.Tries)
		if err != nil {
			return k, err
		}
		k.Expires, k.GrantsFor, k.Created = deadline(wall, up), time.Duration(grantsFor)*time.Millisecond, instant(created)
		k.Redeemed, k.Revoked = instant(redeemed), instant(revoked)
		if err := json.Unmarshal([]byte(rights), &k.Rights); err != nil {
			return k, &CorruptError{Path: s.opt.Path, Detail: "tickets: " + err.Error()}
		}
		return k, nil
	})
	return all, wrap("reading the tickets", explain(s.opt.Path, err))
}

// Peers gives all peers that ever had rights, by label.
func (s *Store) Peers(ctx context.Context) ([]Peer, error) {
	rows, err := s.r.QueryContext(ctx, "SELECT id, label, role, created, last_seen FROM peers ORDER BY label, id")
	all, err := collect(rows, err, func(scan func(...any) error) (p Peer, err error) {
		var created, seen int64
		err = scan(&p.ID, &p.Label, &p.Role, &created, &seen)
		p.Created, p.LastSeen = instant(created), instant(seen)
		return p, err
	})
	return all, wrap("reading the peers", explain(s.opt.Path, err))
}

// PeerSeen notes that a peer was connected. An unknown peer is not noted.
func (s *Store) PeerSeen(ctx context.Context, id string) error {
	now, _ := s.opt.Clock()
	_, err := s.w.ExecContext(ctx, "UPDATE peers SET last_seen = ? WHERE id = ?", now.UnixMilli(), id)
	return wrap("noting peer "+id, err)
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// millis is the stored form of a time; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func deadline(wall, uptime int64) Deadline {
	return Deadline{Wall: instant(wall), Uptime: time.Duration(uptime) * time.Millisecond}
}
