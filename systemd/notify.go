// Package systemd tells the service manager how the daemon is: readiness, a status line, watchdog pings; and it
// carries the units, sysusers and tmpfiles that the package installs. Outside systemd every call does nothing.
// It must never know what the daemon does.
package systemd

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Notifier sends sd_notify(3) messages.
type Notifier struct {
	log  *slog.Logger
	send func(state string) (bool, error)
	// interval is how often the watchdog wants a sign of life; 0: no watchdog.
	interval time.Duration
}

// New reads NOTIFY_SOCKET and WATCHDOG_USEC.
func New(log *slog.Logger) *Notifier {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog setting unreadable", "err", err)
	}
	return &Notifier{log: log, interval: interval, send: func(state string) (bool, error) { return daemon.SdNotify(false, state) }}
}

// Ready says that the daemon serves. Call it once, after the local API answers.
func (n *Notifier) Ready() { n.notify(daemon.SdNotifyReady) }

// Stopping says that a clean stop has begun.
func (n *Notifier) Stopping() { n.notify(daemon.SdNotifyStopping) }

// Status sets the line that `systemctl status` shows.
func (n *Notifier) Status(line string) { n.notify("STATUS=" + line) }

func (n *Notifier) notify(state string) {
	if _, err := n.send(state); err != nil {
		n.log.Warn("service manager not told", "state", state, "err", err)
	}
}

// Serve pings the watchdog at half its interval for as long as alive answers true; a daemon that hangs is thus
// restarted. Without a watchdog it waits for ctx.
func (n *Notifier) Serve(ctx context.Context, alive func(context.Context) bool) error {
	if n.interval <= 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	tick := time.NewTicker(n.interval / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if alive(ctx) {
				n.notify(daemon.SdNotifyWatchdog)
			}
		}
	}
}
