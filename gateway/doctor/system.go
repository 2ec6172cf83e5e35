package doctor

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/peerbee/peerbee/zigbee"
)

// System fills the parts of an Env that look at this machine.
func System(e *Env) {
	e.Sticks = func() ([]Stick, error) {
		found, err := zigbee.Discover()
		if err != nil {
			return nil, err
		}
		sticks := make([]Stick, 0, len(found))
		for _, s := range found {
			sticks = append(sticks, Stick{Path: s.Path, Name: s.Name, Family: s.Family, Usable: s.Usable()})
		}
		return sticks, nil
	}
	e.CanOpen = func(path string) error { return unix.Access(path, unix.R_OK|unix.W_OK) }
	e.Holders = zigbee.PortHolders
	e.DiskFree = diskFree
	e.ClockKnown = ClockSynchronised
}

// ClockSynchronised asks the kernel's clock discipline (adjtimex(2), STA_UNSYNC) whether the system clock can be
// trusted. The daemon stamps its readings by the same answer.
func ClockSynchronised() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}

// diskFree looks at the nearest folder that exists: the state folder is made at the first start.
func diskFree(path string) (uint64, error) {
	for ; path != "/"; path = filepath.Dir(path) {
		if _, err := os.Stat(path); err == nil {
			break
		}
	}
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, fmt.Errorf("statfs: %w", err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}
