package subscriber

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Gateway is what a peer keeps of a gateway it is enrolled with.
type Gateway struct {
	Name    string    `json:"name"`
	PeerID  string    `json:"peer_id"`
	Addrs   []string  `json:"addrs"`
	Hives   []string  `json:"hives"`
	Secret  []byte    `json:"discovery_secret"`
	Role    string    `json:"role"`
	Expires time.Time `json:"expires,omitzero"`
}

// position is where a subscription stands.
type position struct {
	Epoch   uint64            `json:"epoch"`
	Cursors map[string]uint64 `json:"cursors"`
	Since   time.Time         `json:"since,omitzero"`
}

func (p *Peer) path(name, suffix string) string {
	return filepath.Join(p.o.Dir, "gateways", name+suffix)
}

// fileName makes a gateway's own name safe as a file's name.
func fileName(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	if clean = shorten(strings.Trim(clean, "-"), maxName); clean == "" {
		return "gateway"
	}
	return clean
}

// maxName bounds a gateway's name in bytes.
const maxName = 48

func shorten(name string, most int) string {
	return strings.TrimRight(name[:min(len(name), most)], "-")
}

// keep stores g under its name. Another gateway under the same name gets a number; the same one is replaced.
func (p *Peer) keep(g Gateway) (string, error) {
	if g.Name != fileName(g.Name) {
		return "", &Error{Text: fmt.Sprintf("%q cannot be a gateway's name", g.Name), Hint: "use lower-case letters, digits and dashes"}
	}
	base := g.Name
	for i := 2; ; i++ {
		old, err := p.gateway(g.Name)
		if errors.Is(err, os.ErrNotExist) || err == nil && old.PeerID == g.PeerID {
			break
		}
		if err != nil {
			return "", err
		}
		number := fmt.Sprintf("-%d", i)
		g.Name = shorten(base, maxName-len(number)) + number
	}
	return g.Name, writeJSON(p.path(g.Name, ".json"), g, true)
}

func (p *Peer) gateway(name string) (Gateway, error) {
	var g Gateway
	if name != fileName(name) {
		return g, &Error{Text: fmt.Sprintf("%q is neither a ticket nor a gateway's name", name), Hint: "a ticket begins with peerbee1"}
	}
	b, err := os.ReadFile(p.path(name, ".json"))
	if errors.Is(err, os.ErrNotExist) {
		return g, &Error{Text: fmt.Sprintf("this peer knows no gateway %q", name), Err: err, Hint: p.knownHint()}
	}
	if err != nil {
		return g, fmt.Errorf("read gateway: %w", err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		return g, &Error{Text: "the file of gateway " + name + " is damaged", Err: err, Hint: "redeem a new ticket with --name " + name}
	}
	return g, nil
}

func (p *Peer) knownHint() string {
	names, err := p.Gateways()
	if err != nil || len(names) == 0 {
		return "redeem a ticket first: peerbee subscribe peerbee1..."
	}
	return "known are: " + strings.Join(names, ", ")
}

// Gateways lists the names of the gateways this peer is enrolled with.
func (p *Peer) Gateways() ([]string, error) {
	files, err := filepath.Glob(p.path("*", ".json"))
	if err != nil {
		return nil, fmt.Errorf("list gateways: %w", err)
	}
	var names []string
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".json"); !strings.HasSuffix(name, ".position") {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names, nil
}

func (g Gateway) hives() []peer.AddrInfo {
	list, err := infos(g.Hives)
	if err != nil {
		return nil // written by us from a parsed ticket; without them the other ways remain
	}
	return list
}

// info gives the gateway's peer ID and the addresses of its ticket.
func (g Gateway) info() (peer.AddrInfo, error) {
	id, err := peer.Decode(g.PeerID)
	if err != nil {
		return peer.AddrInfo{}, &Error{Text: "the file of gateway " + g.Name + " is damaged", Err: err, Hint: "redeem a new ticket with --name " + g.Name}
	}
	addrs, err := multiaddrs(g.Addrs)
	return peer.AddrInfo{ID: id, Addrs: addrs}, err
}

func texts(addrs []ma.Multiaddr) []string {
	list := make([]string, len(addrs))
	for i, a := range addrs {
		list[i] = a.String()
	}
	return list
}

func infoTexts(list []peer.AddrInfo) []string {
	var out []string
	for i := range list {
		addrs, err := peer.AddrInfoToP2pAddrs(&list[i])
		if err != nil {
			continue // an entry without a peer ID leads nowhere
		}
		out = append(out, texts(addrs)...)
	}
	return out
}

func (p *Peer) position(name string) position {
	var pos position
	b, err := os.ReadFile(p.path(name, ".position.json"))
	if err == nil {
		err = json.Unmarshal(b, &pos)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.log.Warn("position unreadable: the subscription starts with the latest values", "gateway", name, "err", err)
		return position{}
	}
	return pos
}

// writeJSON replaces path in one step. Without sync it survives a kill of this process but not a power cut.
func writeJSON(path string, v any, sync bool) (err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Base(path), err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	_, err = f.Write(b)
	if err == nil && sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", filepath.Base(path), err), os.Remove(f.Name()))
	}
	return nil
}
