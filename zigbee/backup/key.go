package backup

import (
	"fmt"
	"log/slog"
)

// Key is a 128-bit key. No way of printing, logging or marshalling it tells it; only Append of a whole document
// does.
type Key [16]byte

// hidden is what stands for a key wherever it is shown.
const hidden = "(secret)"

// String gives a placeholder.
func (Key) String() string { return hidden }

// GoString gives a placeholder.
func (Key) GoString() string { return hidden }

// Format writes a placeholder for every verb, those that would print the bytes as numbers too.
func (Key) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(hidden)) } // fmt keeps the error of its writer itself

// LogValue gives a placeholder.
func (Key) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText gives a placeholder: JSON of a value that happens to hold a key does not tell it.
func (Key) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// IsZero reports whether the key is none.
func (k Key) IsZero() bool { return k == Key{} }
