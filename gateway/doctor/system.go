package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
	e.Holders = holders
	e.DiskFree = diskFree
	e.ClockKnown = func() bool {
		var t unix.Timex
		state, err := unix.Adjtimex(&t)
		return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
	}
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

// holders names the processes that have path open, as far as /proc shows them to this user.
func holders(path string) []string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil
	}
	var names []string
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != real {
			continue
		}
		proc := filepath.Dir(filepath.Dir(link))
		comm, err := os.ReadFile(filepath.Join(proc, "comm"))
		if err != nil {
			continue
		}
		names = append(names, fmt.Sprintf("%s (%s)", strings.TrimSpace(string(comm)), filepath.Base(proc)))
	}
	return names
}
