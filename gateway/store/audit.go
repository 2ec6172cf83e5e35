package store

import (
	"context"
	"time"
)

// auditRows bounds the audit log: beyond it the oldest lines go, a thousand at a time.
const auditRows = 100_000

// Audit adds a line to the audit log in the same transaction as what it tells. Time is set here.
func (t *Tx) Audit(ctx context.Context, e AuditEntry) error {
	return addAudit(ctx, t.tx, t.now, e)
}

// Audit adds a line to the audit log, durably. Time is set here.
func (s *Store) Audit(ctx context.Context, e AuditEntry) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.Audit(ctx, e) })
}

func addAudit(ctx context.Context, q querier, now time.Time, e AuditEntry) error {
	var id int64
	err := q.QueryRowContext(ctx, "INSERT INTO audit(t, actor, action, subject, outcome, detail) VALUES(?, ?, ?, ?, ?, ?) RETURNING id",
		now.UnixMilli(), e.Actor, e.Action, e.Subject, e.Outcome, e.Detail).Scan(&id)
	if err == nil && id > auditRows && id%1000 == 0 {
		_, err = q.ExecContext(ctx, "DELETE FROM audit WHERE id <= ?", id-auditRows)
	}
	return wrap("writing the audit log", err)
}

// AuditLog gives the newest limit lines, newest first.
func (s *Store) AuditLog(ctx context.Context, limit int) ([]AuditEntry, error) {
	rows, err := s.r.QueryContext(ctx, "SELECT id, t, actor, action, subject, outcome, detail FROM audit ORDER BY id DESC LIMIT ?", limit)
	all, err := collect(rows, err, func(scan func(...any) error) (e AuditEntry, err error) {
		var at int64
		err = scan(&e.ID, &at, &e.Actor, &e.Action, &e.Subject, &e.Outcome, &e.Detail)
		e.Time = instant(at)
		return e, err
	})
	return all, wrap("reading the audit log", explain(s.opt.Path, err))
}
