package p2p

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	savedFile         = "peer-addresses.json"
	maxSavedFile      = 256 << 10
	maxSavedPeers     = 64
	maxSavedAddresses = 4
)

// savedAddrs remembers where peers were reached, newest first, across restarts. It is a convenience: a file that
// cannot be read or written costs a lookup, never an error.
type savedAddrs struct {
	path string // empty: memory only
	log  *slog.Logger

	mu    sync.Mutex // guards peers
	peers []savedPeer
}

type savedPeer struct {
	ID    peer.ID  `json:"peer"`
	Addrs []string `json:"addresses"`
}

func loadSavedAddrs(dir string, log *slog.Logger) *savedAddrs {
	s := &savedAddrs{log: log}
	if dir == "" {
		return s
	}
	s.path = filepath.Join(dir, savedFile)
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s
	}
	if err == nil && info.Size() > maxSavedFile {
		err = errors.New("too large")
	}
	var raw []byte
	if err == nil {
		raw, err = os.ReadFile(s.path)
	}
	if err == nil {
		err = json.Unmarshal(raw, &s.peers)
	}
	if err != nil {
		log.Warn("saved addresses cannot be read; starting without", "path", s.path, "err", err)
		s.peers = nil
	}
	return s
}

// of gives the addresses under which id was reached, newest first.
func (s *savedAddrs) of(id peer.ID) []ma.Multiaddr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []ma.Multiaddr
	for _, p := range s.peers {
		if p.ID != id {
			continue
		}
		for _, text := range p.Addrs {
			if a, err := ma.NewMultiaddr(text); err == nil {
				out = append(out, a)
			}
		}
	}
	return out
}

// add puts an address of id first and writes the file when that changed anything.
func (s *savedAddrs) add(id peer.ID, addr ma.Multiaddr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry := savedPeer{ID: id}
	at := slices.IndexFunc(s.peers, func(p savedPeer) bool { return p.ID == id })
	if at >= 0 {
		entry = s.peers[at]
		if at == 0 && len(entry.Addrs) > 0 && entry.Addrs[0] == addr.String() {
			return
		}
		s.peers = slices.Delete(s.peers, at, at+1)
	}
	others := slices.DeleteFunc(entry.Addrs, func(a string) bool { return a == addr.String() })
	entry.Addrs = append([]string{addr.String()}, others[:min(len(others), maxSavedAddresses-1)]...)
	s.peers = append([]savedPeer{entry}, s.peers[:min(len(s.peers), maxSavedPeers-1)]...)
	if s.path == "" {
		return
	}
	raw, err := json.MarshalIndent(s.peers, "", "  ")
	if err == nil {
		err = writeDurable(s.path, append(raw, '\n'), os.Rename)
	}
	if err != nil {
		s.log.Warn("saving an address failed", "path", s.path, "err", err)
	}
}
