package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/gateway/api"
)

// lowDisk is where the history and the ledger become endangered, in bytes.
const lowDisk = 200 << 20

func ok(format string, args ...any) Finding {
	return Finding{Verdict: OK, Text: fmt.Sprintf(format, args...)}
}

func finding(verdict, text, hint string) Finding {
	return Finding{Verdict: verdict, Text: text, Hint: hint}
}

func checkConfig(_ context.Context, e *Env) Finding {
	if e.ConfigErr == nil {
		return ok("valid")
	}
	hint := "peerbee config check"
	var step interface{ NextStep() string }
	if errors.As(e.ConfigErr, &step) {
		hint = step.NextStep()
	}
	return finding(Failed, e.ConfigErr.Error(), hint)
}

func checkDaemon(ctx context.Context, e *Env) Finding {
	s, err := e.Status(ctx)
	if err != nil {
		hint := "sudo systemctl start peerbee; journalctl -u peerbee -n 20 says why it stopped"
		var step interface{ NextStep() string }
		if errors.As(err, &step) {
			hint = step.NextStep()
		}
		return finding(Failed, err.Error(), hint)
	}
	return ok("version %s, up %s", s.Version, s.Uptime)
}

func checkStick(_ context.Context, e *Env) Finding {
	port := e.Config.Zigbee.Port
	if strings.HasPrefix(port, "tcp://") || port == "none" {
		return ok("configured as %s", port)
	}
	sticks, err := e.Sticks()
	if err != nil {
		return finding(Skipped, "the serial ports cannot be listed: "+err.Error(), "")
	}
	var names []string
	for _, s := range sticks {
		if s.Usable {
			return ok("%s on %s", s.Name, s.Path)
		}
		names = append(names, s.Name)
	}
	if len(names) > 0 {
		return finding(Failed, strings.Join(names, ", ")+": this family of stick is not driven yet",
			"plug in a Texas Instruments stick, for example a Sonoff Dongle-P")
	}
	if port != "auto" {
		if _, err := os.Stat(port); err == nil {
			return ok("configured as %s", port)
		}
		return finding(Failed, port+" does not exist", "ls /dev/serial/by-id shows what is plugged in; correct zigbee.port")
	}
	return finding(Failed, "no coordinator stick is plugged in", "plug one in, on an extension cable away from USB 3 ports")
}

func usedPort(e *Env) string {
	if p := e.Config.Zigbee.Port; p != "auto" {
		return p
	}
	sticks, err := e.Sticks()
	if err != nil {
		return ""
	}
	for _, s := range sticks {
		if s.Usable {
			return s.Path
		}
	}
	return ""
}

func checkPort(_ context.Context, e *Env) Finding {
	p := usedPort(e)
	if !strings.HasPrefix(p, "/") {
		return finding(Skipped, "no serial port to look at", "")
	}
	if err := e.CanOpen(p); err != nil {
		return finding(Warning, fmt.Sprintf("you may not open %s: %v", p, err),
			"the service runs as user peerbee in group dialout; for a run by hand: sudo adduser $USER dialout")
	}
	return ok("%s can be opened", p)
}

func checkBusy(_ context.Context, e *Env) Finding {
	p := usedPort(e)
	if !strings.HasPrefix(p, "/") {
		return finding(Skipped, "no serial port to look at", "")
	}
	var others []string
	for _, h := range e.Holders(p) {
		if !strings.Contains(h, "peerbee") {
			others = append(others, h)
		}
	}
	if len(others) > 0 {
		return finding(Failed, p+" is held by "+strings.Join(others, ", "), "stop that program first: two programs on one stick break both")
	}
	return ok("nobody else holds %s", p)
}

func checkNetwork(ctx context.Context, e *Env) Finding {
	s, err := e.Status(ctx)
	if err != nil {
		return finding(Skipped, "the daemon does not answer", "")
	}
	if s.Zigbee.Problem != "" {
		return finding(Failed, s.Zigbee.Problem, s.Zigbee.Hint)
	}
	if s.Zigbee.Network == nil {
		return finding(Warning, "the stick is being started: "+s.Zigbee.Phase, "peerbee status")
	}
	return ok("channel %d, PAN %s, %d devices", s.Zigbee.Network.Channel, s.Zigbee.Network.PAN, s.Zigbee.Devices)
}

func checkClock(_ context.Context, e *Env) Finding {
	if e.ClockKnown() {
		return ok("synchronised")
	}
	return finding(Warning, "the clock is not synchronised: readings are marked so, and time-limited rights run by uptime",
		"timedatectl; sudo timedatectl set-ntp true")
}

func checkDisk(_ context.Context, e *Env) Finding {
	dir := e.Config.Gateway.StateDir
	free, err := e.DiskFree(dir)
	if err != nil {
		return finding(Skipped, fmt.Sprintf("%s: %v", dir, err), "")
	}
	if free < lowDisk {
		return finding(Failed, fmt.Sprintf("only %d MB are free under %s", free>>20, dir), "sudo journalctl --vacuum-size=50M; sudo apt clean")
	}
	return ok("%d MB free under %s", free>>20, dir)
}

func checkP2P(ctx context.Context, e *Env) Finding {
	if e.Config.P2P.Mode == config.ModeOff {
		return ok("switched off")
	}
	s, err := e.Status(ctx)
	if err != nil {
		return finding(Skipped, "the daemon does not answer", "")
	}
	return reachability(e.Config.P2P, s.P2P)
}

func reachability(c config.P2P, p api.P2P) Finding {
	switch {
	case len(p.Addresses) == 0:
		return finding(Failed, "the gateway has no address peers could dial", "connect the machine to a network, or look at p2p.listen")
	case c.Mode == config.ModeLAN:
		return ok("on this network only (p2p.mode = \"lan\")")
	case len(c.Hives) == 0:
		return finding(Warning, "no hive is configured: peers elsewhere cannot find this gateway",
			"run `peerbee hive` on a machine with a public address and put its line into p2p.hives")
	case p.Hives == 0:
		return finding(Failed, "no configured hive answers", "check p2p.hives and that the hive runs")
	}
	return ok("%d of %d hives connected", p.Hives, len(c.Hives))
}
