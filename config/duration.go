package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// UnmarshalText accepts Go's duration syntax and whole days ("7d").
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is not a duration: write for example \"10s\", \"12h\" or \"7d\"", s)
		}
		*d = Duration(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration: write for example \"10s\", \"12h\" or \"7d\"", s)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes whole days as "7d" and the rest in Go's syntax.
func (d Duration) MarshalText() ([]byte, error) {
	v := time.Duration(d)
	const day = 24 * time.Hour
	if v >= day && v%day == 0 {
		return []byte(strconv.FormatInt(int64(v/day), 10) + "d"), nil
	}
	return []byte(v.String()), nil
}

// Std gives the value as a time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }
