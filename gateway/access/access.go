package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/gateway/store"
	"github.com/peerbee/peerbee/p2p"
)

// All stands for every device or every property in a right.
const All = "*"

// ErrNotFound means that nobody has that peer ID or label.
var ErrNotFound = errors.New("no peer and no open ticket by that name; see: peerbee access")

// Options configures New. The zero value is usable.
type Options struct {
	Log *slog.Logger
	// Clock gives the time and how far it can be trusted. By default time.Now, synchronised.
	Clock func() (time.Time, reading.TimeQuality)
	// OnRevoke is called for each peer whose last right has ended by Revoke or DropDevice, after May denies and
	// before the call returns. The host closes the peer's connections; it must not call back into Access.
	OnRevoke func(peer.ID)
}

// Access is the gateway's list. All methods are safe for concurrent use; May, Known, Open and Generation answer
// from memory.
type Access struct {
	store    *store.Store
	log      *slog.Logger
	clock    func() (time.Time, reading.TimeQuality)
	onRevoke func(peer.ID)
	denials  *rate.Limiter // of audit lines about strangers: the log is on an SD card

	view    atomic.Pointer[view]
	changed chan struct{} // wakes Serve

	mu      sync.Mutex // guards all below and every change of view
	grants  []store.GrantRow
	tickets map[string]store.TicketRow // not revoked, by id
	peers   map[string]store.Peer
	secret  []byte
	tries   map[try]int
}

// view is what May and its like read: never changed once published.
type view struct {
	generation uint64
	grants     map[peer.ID][]store.GrantRow
	open       []store.Deadline // of the tickets that nobody has redeemed
	expiring   []store.Deadline // of everything above that ends by itself
	secret     []byte
}

// New reads the list from the store.
func New(ctx context.Context, st *store.Store, opt Options) (*Access, error) {
	a := &Access{
		store: st, log: opt.Log, clock: opt.Clock, onRevoke: opt.OnRevoke,
		denials: rate.NewLimiter(rate.Every(10*time.Second), 20),
		changed: make(chan struct{}, 1), tries: map[try]int{},
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.clock == nil {
		a.clock = func() (time.Time, reading.TimeQuality) { return time.Now(), reading.TimeSynchronised }
	}
	if a.onRevoke == nil {
		a.onRevoke = func(peer.ID) {}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.load(ctx); err != nil {
		return nil, fmt.Errorf("reading the access list: %w", err)
	}
	return a, nil
}

// load replaces the memory by what the store holds. The caller holds mu.
func (a *Access) load(ctx context.Context) error {
	grants, err := a.store.Grants(ctx)
	if err != nil {
		return err
	}
	tickets, err := a.store.Tickets(ctx)
	if err != nil {
		return err
	}
	peers, err := a.store.Peers(ctx)
	if err != nil {
		return err
	}
	secret, err := a.store.DiscoverySecret(ctx)
	if err != nil {
		return err
	}
	a.grants, a.secret = grants, secret
	a.tickets = make(map[string]store.TicketRow, len(tickets))
	for _, k := range tickets {
		a.tickets[string(k.ID)] = k
	}
	a.peers = make(map[string]store.Peer, len(peers))
	for _, p := range peers {
		a.peers[p.ID] = p
	}
	return a.publish()
}

// publish makes the memory what May answers from, under a new generation. The caller holds mu.
func (a *Access) publish() error {
	v := &view{generation: 1, grants: map[peer.ID][]store.GrantRow{}, secret: a.secret}
	if old := a.view.Load(); old != nil {
		v.generation = old.generation + 1
	}
	for _, g := range a.grants {
		id, err := peer.Decode(g.Peer)
		if err != nil {
			return fmt.Errorf("stored peer %q: %w", g.Peer, err)
		}
		v.grants[id] = append(v.grants[id], g)
		v.expires(g.Expires)
	}
	for _, k := range a.tickets {
		if k.RedeemedBy == "" {
			v.open = append(v.open, k.Expires)
			v.expires(k.Expires)
		}
	}
	a.view.Store(v)
	select {
	case a.changed <- struct{}{}:
	default:
	}
	return nil
}

func (v *view) expires(d store.Deadline) {
	if d != (store.Deadline{}) {
		v.expiring = append(v.expiring, d)
	}
}

// moment is the present on both of the gateway's clocks.
type moment struct {
	wall   time.Time
	known  bool // the wall clock means something
	uptime time.Duration
}

func (a *Access) now() moment {
	wall, quality := a.clock()
	return moment{wall, quality != reading.TimeUnknown, a.store.Uptime()}
}

// passed reports whether d is over. A clock that was never set ends nothing: then only the uptime counts, which is
// never ahead of the time that has really passed.
func (m moment) passed(d store.Deadline) bool {
	return m.known && !d.Wall.IsZero() && !m.wall.Before(d.Wall) || d.Uptime > 0 && m.uptime >= d.Uptime
}

// until is how long d can last at most.
func (m moment) until(d store.Deadline) time.Duration {
	left := time.Duration(1<<63 - 1)
	if d.Uptime > 0 {
		left = d.Uptime - m.uptime
	}
	if m.known && !d.Wall.IsZero() {
		left = min(left, d.Wall.Sub(m.wall))
	}
	return left
}

// after is the deadline that lies d ahead; zero for ever.
func (m moment) after(d time.Duration) store.Deadline {
	if d <= 0 {
		return store.Deadline{}
	}
	end := store.Deadline{Uptime: m.uptime + d}
	if m.known {
		end.Wall = m.wall.Add(d)
	}
	return end
}

// May implements p2p.Authorizer.
func (a *Access) May(_ context.Context, who peer.ID, what p2p.Right) error {
	grants := a.view.Load().grants[who]
	if len(grants) == 0 {
		return p2p.ErrDenied
	}
	now := a.now()
	for i := range grants {
		if covers(&grants[i], what) && !now.passed(grants[i].Expires) {
			return nil
		}
	}
	return p2p.ErrDenied
}

// covers reports whether a grant, while it lasts, allows what.
func covers(g *store.GrantRow, what p2p.Right) bool {
	if g.Action != string(what.Action) || (g.Property != All && g.Property != what.Property) {
		return false
	}
	if g.Device != All {
		return g.Device == what.Device
	}
	for _, except := range g.Except {
		if except == what.Device {
			return false
		}
	}
	return true
}

// Known implements p2p.Authorizer.
func (a *Access) Known(who peer.ID) bool {
	grants := a.view.Load().grants[who]
	if len(grants) == 0 {
		return false
	}
	now := a.now()
	for i := range grants {
		if !now.passed(grants[i].Expires) {
			return true
		}
	}
	return false
}

// Generation implements p2p.Authorizer.
func (a *Access) Generation() uint64 { return a.view.Load().generation }

// Bump says that answers may have changed for a reason outside this package, a device's new name for example.
func (a *Access) Bump() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bump()
}

// bump raises the generation and changes nothing else. The caller holds mu.
func (a *Access) bump() {
	v := *a.view.Load()
	v.generation++
	a.view.Store(&v)
}

// Open implements p2p.Enroller.
func (a *Access) Open() bool {
	open := a.view.Load().open
	if len(open) == 0 {
		return false
	}
	now := a.now()
	for _, d := range open {
		if !now.passed(d) {
			return true
		}
	}
	return false
}

// DiscoverySecret keys the records under which enrolled peers find the gateway. Each revocation replaces it and
// raises the generation.
func (a *Access) DiscoverySecret() []byte { return a.view.Load().secret }

// lookAgain is the longest sleep while something is going to expire: the wall clock may be set meanwhile.
const lookAgain = time.Second

// Serve raises the generation whenever a grant or a ticket expires, until ctx ends.
func (a *Access) Serve(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var lived map[store.Deadline]struct{}
	for {
		select {
		case <-ctx.Done():
			return context.Canceled // whatever ended ctx: a supervisor takes a missed deadline for a reason to give up
		case <-a.changed:
		case <-timer.C:
		}
		now, wait := a.now(), time.Duration(-1)
		live := map[store.Deadline]struct{}{}
		for _, d := range a.view.Load().expiring {
			if now.passed(d) {
				continue
			}
			live[d] = struct{}{}
			wait = lookAgain
		}
		for d := range live {
			wait = min(wait, max(now.until(d), time.Millisecond))
		}
		if ended(lived, live, now) {
			a.Bump()
		}
		lived = live
		if wait >= 0 {
			timer.Reset(wait)
		}
	}
}

// ended reports whether a deadline that lay ahead has passed, or, the clock having been set back, lies ahead again.
func ended(before, after map[store.Deadline]struct{}, now moment) bool {
	for d := range before {
		if _, still := after[d]; !still && now.passed(d) {
			return true
		}
	}
	return false
}
