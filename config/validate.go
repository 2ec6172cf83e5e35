package config

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Validate checks what the types cannot say. path only appears in the error.
func (c Config) Validate(path string) error {
	for _, rule := range []func() (key, reason, hint string){
		c.checkZigbee, c.checkP2P, c.checkStore, c.checkPaths, c.checkMetrics, c.checkLog,
	} {
		if key, reason, hint := rule(); key != "" {
			return &FileError{Path: path, Key: key, Reason: reason, Hint: hint}
		}
	}
	return nil
}

func (c Config) checkZigbee() (key, reason, hint string) {
	p := c.Zigbee.Port
	switch {
	case p == "auto" || p == "none" || strings.HasPrefix(p, "/"):
	case strings.HasPrefix(p, "tcp://"):
		if _, _, err := net.SplitHostPort(strings.TrimPrefix(p, "tcp://")); err != nil {
			return "zigbee.port", fmt.Sprintf("%q has no host:port", p), `write for example port = "tcp://192.168.1.20:6638"`
		}
	default:
		return "zigbee.port", fmt.Sprintf("%q is neither \"auto\", a path, tcp://host:port nor \"none\"", p),
			"ls /dev/serial/by-id shows the sticks that are plugged in"
	}
	if !slices.Contains([]string{"auto", "znp"}, c.Zigbee.Adapter) {
		return "zigbee.adapter", fmt.Sprintf("%q is not supported", c.Zigbee.Adapter), `supported are "auto" and "znp" (Texas Instruments sticks)`
	}
	return "", "", ""
}

func (c Config) checkP2P() (key, reason, hint string) {
	if !slices.Contains([]Mode{ModeOff, ModeLAN, ModeOn}, c.P2P.Mode) {
		return "p2p.mode", fmt.Sprintf("%q is not a mode", c.P2P.Mode), `write mode = "off", "lan" or "on"`
	}
	for _, l := range slices.Concat(c.P2P.Listen, c.Hive.Listen) {
		if !strings.HasPrefix(l, "/") {
			return "p2p.listen", fmt.Sprintf("%q is not a multiaddr", l), `write for example "/ip4/0.0.0.0/tcp/4177"`
		}
	}
	for _, h := range c.P2P.Hives {
		if !strings.HasPrefix(h, "/") || !strings.Contains(h, "/p2p/") {
			return "p2p.hives", fmt.Sprintf("%q does not end in /p2p/<peer id>", h), "peerbee hive prints its address when it starts: copy that line"
		}
	}
	return "", "", ""
}

func (c Config) checkStore() (key, reason, hint string) {
	s := c.Store
	switch {
	case s.Retention.Std() < time.Hour:
		return "store.retention", "must be at least 1h", `write for example retention = "7d"`
	case s.MaxReadings < 1000:
		return "store.max_readings", "must be at least 1000", "write for example max_readings = 2000000"
	case s.CommitEvery.Std() < 100*time.Millisecond || s.CommitEvery.Std() > time.Minute:
		return "store.commit_every", "must be between 100ms and 1m", `write for example commit_every = "10s"`
	case s.CommitBatch < 1 || s.CommitBatch > 100_000:
		return "store.commit_batch", "must be between 1 and 100000", "write for example commit_batch = 500"
	}
	return "", "", ""
}

func (c Config) checkPaths() (key, reason, hint string) {
	for _, p := range []struct{ key, path string }{
		{"gateway.state_dir", c.Gateway.StateDir}, {"hive.state_dir", c.Hive.StateDir}, {"api.socket", c.API.Socket},
	} {
		if !filepath.IsAbs(p.path) {
			return p.key, fmt.Sprintf("%q is not an absolute path", p.path), "write the whole path, starting with /"
		}
	}
	// The kernel's limit on a unix socket's path (sun_path) is 108 bytes with the final zero.
	if len(c.API.Socket) > 107 {
		return "api.socket", "is longer than the 107 bytes a unix socket's path may have", "choose a shorter path"
	}
	if len(c.Gateway.Name) > 64 {
		return "gateway.name", "is longer than 64 bytes", "choose a shorter name"
	}
	return "", "", ""
}

func (c Config) checkMetrics() (key, reason, hint string) {
	if c.Metrics.Listen == "" {
		return "", "", ""
	}
	if _, _, err := net.SplitHostPort(c.Metrics.Listen); err != nil {
		return "metrics.listen", fmt.Sprintf("%q is not host:port", c.Metrics.Listen), `write for example listen = "127.0.0.1:9177"`
	}
	return "", "", ""
}

func (c Config) checkLog() (key, reason, hint string) {
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		return "log.level", fmt.Sprintf("%q is not a level", c.Log.Level), `write level = "debug", "info", "warn" or "error"`
	}
	if !slices.Contains([]string{"text", "json"}, c.Log.Format) {
		return "log.format", fmt.Sprintf("%q is not a format", c.Log.Format), `write format = "text" or "json"`
	}
	return "", "", ""
}
