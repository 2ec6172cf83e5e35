package backup

import "errors"

// Errors a caller tells apart. A *FieldError is none of them.
var (
	// ErrForeign says that the bytes are something else than an open-coordinator-backup.
	ErrForeign = errors.New("not a coordinator backup (zigpy/open-coordinator-backup)")
	// ErrTruncated says that the end of the document is missing.
	ErrTruncated = errors.New("the backup ends in the middle: copy it again, or take an older one")
	// ErrVersion says that the document is of a version this package does not know.
	ErrVersion = errors.New("the backup is of a version of the format that peerbee does not know: only version 1 is known")
	// ErrEncrypted says that the bytes are encrypted with age.
	ErrEncrypted = errors.New("the backup is encrypted: decrypt it first, with age -d")
)

// FieldError names the field that makes a document no valid backup.
type FieldError struct {
	Field   string // as a path: "devices[3].link_key.key"
	Problem string
}

// Error gives the field and what is wrong with it.
func (e *FieldError) Error() string { return "backup: " + e.Field + ": " + e.Problem }
