package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/peerbee/peerbee/gateway/reading"
)

// pruneRows are removed in one transaction, so that commits come through in between.
const pruneRows = 8192

// prune removes the readings beyond the retention, oldest first.
func (s *Store) prune(ctx context.Context) error {
	cut := s.wr.segment.last - s.opt.RetentionRows
	aged, err := s.agedRow(ctx)
	if err != nil {
		return fmt.Errorf("looking for old readings: %w", explain(s.opt.Path, err))
	}
	cut = max(cut, aged)
	for s.wr.firstID > 0 && s.wr.firstID <= cut {
		upTo := min(cut, s.wr.firstID+pruneRows-1)
		err := s.transaction(ctx, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, "DELETE FROM readings WHERE id <= ?", upTo); err != nil {
				return err
			}
			// The newest entry stays even when its rows are gone: it holds the next row id.
			_, err := tx.ExecContext(ctx, "DELETE FROM batches WHERE last <= ? AND last < (SELECT max(last) FROM batches)", upTo)
			return err
		})
		if err != nil {
			return fmt.Errorf("removing old readings: %w", err)
		}
		removed := upTo - s.wr.firstID + 1
		s.wr.firstID = upTo + 1
		if s.wr.firstID > s.wr.segment.last {
			s.wr.firstID = 0
		}
		s.mu.Lock()
		s.stats.Pruned += uint64(removed)
		s.stats.Rows -= removed
		s.mu.Unlock()
	}
	return nil
}

// agedRow is the newest row that arrived before the retention age, 0 when there is none or the clock cannot tell.
// Rows are in arrival order: whatever lies before an old run of rows is at least as old, whatever its own times say.
func (s *Store) agedRow(ctx context.Context) (int64, error) {
	now, quality := s.opt.Clock()
	if quality != reading.TimeSynchronised {
		return 0, nil
	}
	var last int64
	err := s.r.QueryRowContext(ctx, "SELECT last FROM batches WHERE t_max > 0 AND t_max < ? ORDER BY first DESC LIMIT 1",
		now.Add(-s.opt.RetentionAge).UnixMilli()).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return last, err
}
