// Package hive composes the hive role: the private Kademlia network's server and the relay of its gateways and
// peers. It must never know devices, readings or rights: what it forwards is encrypted from end to end.
package hive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/p2p"
	"github.com/peerbee/peerbee/systemd"
)

// Hive is a running hive's parts.
type Hive struct {
	host     *p2p.Host
	log      *slog.Logger
	notifier *systemd.Notifier
}

// Build opens the key and starts to listen.
func Build(ctx context.Context, c config.Config, log *slog.Logger) (*Hive, error) {
	if err := os.MkdirAll(c.Hive.StateDir, 0o700); err != nil {
		return nil, &config.FileError{Path: config.DefaultPath, Key: "hive.state_dir", Reason: err.Error(), Hint: "set it to a folder of yours"}
	}
	key, err := p2p.KeyFile{Path: filepath.Join(c.Hive.StateDir, "hive.key")}.HostKey(ctx)
	if err != nil {
		return nil, err
	}
	var listen []ma.Multiaddr
	for _, text := range c.Hive.Listen {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, &config.FileError{Path: config.DefaultPath, Key: "hive.listen", Reason: err.Error(), Hint: "write for example \"/ip4/0.0.0.0/tcp/4178\""}
		}
		listen = append(listen, a)
	}
	members, err := membersOf(c.Hive.Allow)
	if err != nil {
		return nil, err
	}
	h, err := p2p.NewHive(p2p.Config{
		Auth: members,
		Key:  key, Listen: listen, Mode: p2p.ModeOn, StateDir: c.Hive.StateDir, NoMDNS: true, UserAgent: "peerbee-hive",
		Log: log.With("part", "hive"), Registerer: prometheus.NewRegistry(),
	})
	if errors.Is(err, p2p.ErrListen) {
		return nil, &config.FileError{
			Path: config.DefaultPath, Key: "hive.listen", Reason: err.Error(),
			Hint: "sudo ss -ltnp shows which program holds the port; stop it, or set another port",
		}
	}
	if err != nil {
		return nil, fmt.Errorf("start the hive: %w", err)
	}
	return &Hive{host: h, log: log, notifier: systemd.New(log)}, nil
}

// members are the peers a closed hive serves. They have no rights here: a hive holds nothing to have rights on.
type members map[peer.ID]struct{}

// membersOf gives nil, which opens the hive to everyone, for an empty list.
func membersOf(allow []string) (p2p.Authorizer, error) {
	if len(allow) == 0 {
		return nil, nil //nolint:nilnil // p2p reads a nil Authorizer as an open hive
	}
	m := members{}
	for _, text := range allow {
		id, err := peer.Decode(text)
		if err != nil {
			return nil, &config.FileError{
				Path: config.DefaultPath, Key: "hive.allow", Reason: fmt.Sprintf("%q is not a peer ID: %v", text, err),
				Hint: "peerbee status on the gateway shows its peer id",
			}
		}
		m[id] = struct{}{}
	}
	return m, nil
}

func (m members) May(context.Context, peer.ID, p2p.Right) error { return p2p.ErrDenied }

func (m members) Known(who peer.ID) bool {
	_, ok := m[who]
	return ok
}

func (m members) Generation() uint64 { return 1 }

// Addresses are what goes into p2p.hives of a gateway, one of them being enough.
func (h *Hive) Addresses() []string {
	addrs, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: h.host.ID(), Addrs: h.host.Addrs()})
	if err != nil {
		return nil
	}
	list := make([]string, len(addrs))
	for i, a := range addrs {
		list[i] = a.String()
	}
	return list
}

// Serve runs the hive until ctx ends.
func (h *Hive) Serve(ctx context.Context) error {
	h.notifier.Ready()
	h.log.Info("hive serves", "peer", h.host.ID())
	err := h.host.Serve(ctx)
	h.notifier.Stopping()
	return errors.Join(err, h.host.Close())
}
