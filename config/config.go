// Package config reads peerbee's TOML files into a struct, with defaults, strict keys and errors that name the
// line and the next step. It must never know what a setting is used for: no port is opened and no key read here.
package config

import (
	"time"
)

// Mode is the master switch of the peer-to-peer layer.
type Mode string

// The master switch's positions.
const (
	ModeOff Mode = "off" // no p2p socket, dial or packet
	ModeLAN Mode = "lan" // on-link prefixes and mDNS only
	ModeOn  Mode = "on"  // everything: Kademlia, hives, relays
)

// Config is everything a file can say. The zero value is not valid; start from Default.
type Config struct {
	Gateway Gateway `toml:"gateway"`
	Zigbee  Zigbee  `toml:"zigbee"`
	P2P     P2P     `toml:"p2p"`
	Store   Store   `toml:"store"`
	API     API     `toml:"api"`
	Metrics Metrics `toml:"metrics"`
	Hive    Hive    `toml:"hive"`
	Log     Log     `toml:"log"`
}

// Gateway names this machine to its peers.
type Gateway struct {
	Name     string `toml:"name"`      // shown to peers; the host's name when empty
	StateDir string `toml:"state_dir"` // store, ledger, keys; 0700
}

// Zigbee says where the coordinator stick is.
type Zigbee struct {
	Port       string `toml:"port"`        // "auto", a device path, tcp://host:port, or "none"
	Adapter    string `toml:"adapter"`     // "auto" or "znp"
	FlowRTSCTS bool   `toml:"flow_rtscts"` // hardware flow control; off on nearly every stick
}

// P2P holds the peer-to-peer settings.
type P2P struct {
	Mode   Mode     `toml:"mode"`
	Listen []string `toml:"listen"` // multiaddrs
	Hives  []string `toml:"hives"`  // multiaddrs with /p2p/<peer id>
	MDNS   bool     `toml:"mdns"`
}

// Store bounds the history.
type Store struct {
	Retention   Duration `toml:"retention"`    // how long readings are kept
	MaxReadings int64    `toml:"max_readings"` // how many at the most, over all devices
	CommitEvery Duration `toml:"commit_every"` // longest time a reading waits for the disk
	CommitBatch int      `toml:"commit_batch"` // readings that force a commit
}

// API is the local unix socket.
type API struct {
	Socket string `toml:"socket"`
	Group  string `toml:"group"` // members may read and command
}

// Metrics is the Prometheus endpoint, off unless an address is given.
type Metrics struct {
	Listen string `toml:"listen"` // host:port, empty: off
}

// Hive holds the settings of the hive role (`peerbee hive`).
type Hive struct {
	StateDir string   `toml:"state_dir"`
	Listen   []string `toml:"listen"`
	Allow    []string `toml:"allow"` // peer IDs it serves; empty: everyone who finds it
}

// Log sets what is written to standard error.
type Log struct {
	Level  string `toml:"level"`  // debug, info, warn, error
	Format string `toml:"format"` // text or json
}

// Duration is a time.Duration that reads as "10s", "7d" or "168h".
type Duration time.Duration

// Default is the configuration of a machine with no file at all.
func Default() Config {
	return Config{
		Gateway: Gateway{StateDir: "/var/lib/peerbee"},
		Zigbee:  Zigbee{Port: "auto", Adapter: "auto"},
		P2P: P2P{
			Mode:   ModeLAN,
			Listen: []string{"/ip4/0.0.0.0/tcp/4177", "/ip6/::/tcp/4177"},
			MDNS:   true,
		},
		Store: Store{
			Retention:   Duration(7 * 24 * time.Hour),
			MaxReadings: 2_000_000,
			CommitEvery: Duration(10 * time.Second),
			CommitBatch: 500,
		},
		API: API{Socket: "/run/peerbee/peerbee.sock", Group: "peerbee"},
		Hive: Hive{
			StateDir: "/var/lib/peerbee-hive",
			Listen:   []string{"/ip4/0.0.0.0/tcp/4178", "/ip6/::/tcp/4178"},
		},
		Log: Log{Level: "info", Format: "text"},
	}
}
