package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors a caller tells apart.
var (
	ErrClosed    = errors.New("the store is closed")
	ErrNotFound  = errors.New("not found")
	ErrNameTaken = errors.New("the name is already taken")
	// ErrInUse means that another process holds the database.
	ErrInUse = errors.New("the database is in use by another peerbee")
	// ErrNewer means that a newer peerbee has written the database.
	ErrNewer = errors.New("the database was written by a newer peerbee")
)

// CorruptError says that the database is damaged. Nothing has been changed or removed.
type CorruptError struct {
	Path   string
	Detail string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("the database %s is damaged (%s). Nothing was changed. "+
		"To save what is readable: sqlite3 '%s' .recover | sqlite3 '%s.recovered'. "+
		"To start empty and keep the damaged file: for s in '' -wal -shm; do mv -f '%s'$s '%s.damaged'$s; done",
		e.Path, e.Detail, e.Path, e.Path, e.Path, e.Path)
}

// explain turns SQLite's own words for damage into a CorruptError and leaves every other error as it is.
func explain(path string, err error) error {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return err
	}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return &CorruptError{Path: path, Detail: se.Error()}
	}
	return err
}

// isConstraint reports a violated UNIQUE or PRIMARY KEY constraint.
func isConstraint(err error) bool {
	var se *sqlite.Error
	return errors.As(err, &se) && se.Code()&0xff == sqlite3.SQLITE_CONSTRAINT
}
