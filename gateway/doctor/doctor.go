// Package doctor finds what commonly stands between a person and a running gateway, as one table of checks, each
// with plain words and the next command. It works with and without a running daemon, and changes nothing.
package doctor

import (
	"context"
	"time"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/gateway/api"
)

// Verdicts of a check.
const (
	OK      = "ok"
	Warning = "warning"
	Failed  = "failed"
	Skipped = "skipped" // could not be looked at; the text says why
)

// Finding is the outcome of one check.
type Finding struct {
	Code    string `json:"code"`
	Title   string `json:"title"`
	Verdict string `json:"verdict"`
	Text    string `json:"text"`
	Hint    string `json:"hint,omitempty"`
}

// Stick is a serial port with what is known of the stick behind it.
type Stick struct {
	Path, Name, Family string
	Usable             bool
}

// Env is what the checks look at; tests replace its parts.
type Env struct {
	Config     config.Config
	ConfigErr  error
	Status     func(context.Context) (api.Status, error) // the daemon's own word
	Sticks     func() ([]Stick, error)
	CanOpen    func(path string) error // read and write permission
	Holders    func(path string) []string
	DiskFree   func(path string) (bytes uint64, err error)
	ClockKnown func() bool
}

// checkTimeout bounds one check, so that a hanging daemon does not hang the doctor.
const checkTimeout = 3 * time.Second

// checks is the table, in the order a person should read it.
var checks = []struct {
	code, title string
	run         func(context.Context, *Env) Finding
}{
	{"config", "configuration", checkConfig},
	{"daemon", "daemon", checkDaemon},
	{"stick", "coordinator stick", checkStick},
	{"port", "permission on the port", checkPort},
	{"busy", "port used by others", checkBusy},
	{"network", "Zigbee network", checkNetwork},
	{"clock", "clock", checkClock},
	{"disk", "disk space", checkDisk},
	{"p2p", "reachable by peers", checkP2P},
}

// Run performs every check.
func Run(ctx context.Context, env *Env) []Finding {
	findings := make([]Finding, 0, len(checks))
	for _, c := range checks {
		one, cancel := context.WithTimeout(ctx, checkTimeout)
		f := c.run(one, env)
		cancel()
		f.Code, f.Title = c.code, c.title
		findings = append(findings, f)
	}
	return findings
}

// Healthy reports that nothing failed.
func Healthy(findings []Finding) bool {
	for _, f := range findings {
		if f.Verdict == Failed {
			return false
		}
	}
	return true
}
