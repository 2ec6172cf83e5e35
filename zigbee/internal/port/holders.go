package port

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxHolders bounds the names in one message.
const maxHolders = 4

// Holders names other processes that have the device open, at most four, as far as this user may look.
func Holders(device string) []string { return holders("/", device) }

// holders names the processes that have the device open, as far as this user may look. Root is "/" outside tests.
func holders(root, device string) []string {
	target, err := filepath.EvalSymlinks(device)
	if err != nil {
		target = device
	}
	links, err := filepath.Glob(filepath.Join(root, "proc", "[0-9]*", "fd", "*"))
	if err != nil {
		return nil
	}
	var found []string
	seen := make(map[string]bool)
	for _, link := range links {
		pid := filepath.Base(filepath.Dir(filepath.Dir(link)))
		if seen[pid] || pid == strconv.Itoa(os.Getpid()) {
			continue
		}
		if to, err := os.Readlink(link); err != nil || to != target {
			continue
		}
		seen[pid] = true
		found = append(found, fmt.Sprintf("%s (process %s)", command(root, pid), pid))
		if len(found) == maxHolders {
			break
		}
	}
	return found
}

func command(root, pid string) string {
	name, err := os.ReadFile(filepath.Join(root, "proc", pid, "comm"))
	if err != nil || len(name) == 0 {
		return "a program"
	}
	return strings.TrimSpace(string(name))
}
