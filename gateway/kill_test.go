package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/gateway"
	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/reading"
	"github.com/peerbee/peerbee/gateway/subscriber"
	"github.com/peerbee/peerbee/p2p"
	"github.com/peerbee/peerbee/zigbee/sim"
)

// daemonEnv names the file with the configuration that makes this test binary a daemon.
const daemonEnv = "PEERBEE_TEST_DAEMON"

func daemonMain(file string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var c config.Config
	if err := json.Unmarshal(text, &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	g, err := gateway.Build(ctx, c, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err == nil {
		err = g.Serve(ctx)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process is a daemon in a process of its own.
type process struct {
	*daemon
	cmd  *exec.Cmd
	done chan error
}

// spawn starts the daemon as a process and does not wait for it.
func (h *house) spawn() *process {
	h.t.Helper()
	text, err := json.Marshal(h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	file := filepath.Join(h.dir, "config.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		h.t.Fatal(err)
	}
	p := &process{cmd: exec.Command(os.Args[0]), done: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), daemonEnv+"="+file)
	p.cmd.Stderr = h.logs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	h.t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // most have ended by then
	return p
}

// end sends the signal and waits for the process; any exit before that fails the test.
func (p *process) end(t testing.TB, sig syscall.Signal) error {
	t.Helper()
	select {
	case err := <-p.done:
		t.Fatalf("the daemon ended by itself: %v", err)
	default:
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	return <-p.done
}

// content is what a reading says, comparable whichever way it was received.
func content(values map[string]any) string {
	text, err := json.Marshal(values)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func wireContent(r *reading.Reading) string {
	values := map[string]any{"time": r.Time.UnixMilli()}
	for _, v := range r.Values {
		values[v.Name] = v.Value
	}
	return content(values)
}

func localContent(r *api.Reading) string {
	values := map[string]any{"time": r.Time.UnixMilli()}
	for _, v := range r.Values {
		values[v.Name] = v.Value
	}
	return content(values)
}

// span is a range of sequence numbers, both ends included.
type span struct{ from, to uint64 }

// track is what a subscriber was told of one device.
type track struct {
	seen  map[uint64]string
	acked map[uint64]bool // seen, and durable by a heartbeat of the same life of the gateway
	gaps  []span
	first uint64 // the lowest and
	last  uint64 // the highest number that was seen or announced as lost
}

// record holds what subscribers were told, and what of it cannot be true.
type record struct {
	mu      sync.Mutex // guards the fields below
	tracks  map[string]*track
	durable map[string]uint64
	faults  []string
}

func newRecord() *record {
	return &record{tracks: map[string]*track{}, durable: map[string]uint64{}}
}

func (r *record) fault(format string, args ...any) {
	if len(r.faults) < 20 {
		r.faults = append(r.faults, fmt.Sprintf(format, args...))
	}
}

func (r *record) track(device string) *track {
	if r.tracks[device] == nil {
		r.tracks[device] = &track{seen: map[uint64]string{}, acked: map[uint64]bool{}}
	}
	return r.tracks[device]
}

// reading notes an arrival: numbers rise, and never say two things.
func (r *record) reading(msg *reading.Reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.track(msg.Stream)
	now := wireContent(msg)
	if was, again := k.seen[msg.Seq]; again && was != now {
		r.fault("%s #%d was %s and is %s", msg.Stream, msg.Seq, was, now)
	}
	if msg.Seq <= k.last {
		r.fault("%s #%d after #%d", msg.Stream, msg.Seq, k.last)
	}
	if k.first == 0 {
		k.first, k.last = msg.Seq, msg.Seq-1
	}
	if msg.Seq != k.last+1 {
		r.fault("%s: #%d follows #%d and no gap was announced", msg.Stream, msg.Seq, k.last)
	}
	k.seen[msg.Seq], k.last = now, msg.Seq
}

func (r *record) gap(device string, from, to uint64, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.track(device)
	if reason != string(p2p.GapLost) {
		r.fault("%s #%d to #%d: a gap for the reason %q", device, from, to, reason)
	}
	if k.first != 0 && from > k.last+1 {
		r.fault("%s: a gap from #%d follows #%d", device, from, k.last)
	}
	for seq := range k.seen {
		if seq >= from && seq <= to {
			r.fault("%s #%d was received and announced as lost", device, seq)
		}
	}
	k.gaps = append(k.gaps, span{from, to})
	if k.first == 0 {
		k.first, k.last = from, from-1
	}
	k.last = max(k.last, to)
}

func (r *record) heartbeat(durable map[string]uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for device, seq := range durable {
		if seq < r.durable[device] {
			r.fault("%s is durable up to #%d, was up to #%d", device, seq, r.durable[device])
		}
		r.durable[device] = seq
		k := r.tracks[device]
		if k == nil {
			continue
		}
		life := uint64(0) // a loss ends a life; what was seen of it without an acknowledgement may be gone
		for _, g := range k.gaps {
			life = max(life, g.to)
		}
		for ; seq > life; seq-- {
			if _, seen := k.seen[seq]; seen {
				k.acked[seq] = true
			}
		}
	}
}

func (r *record) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, k := range r.tracks {
		n += len(k.seen)
	}
	return n
}

// acknowledged sums up to where the devices' readings are durable.
func (r *record) acknowledged() (sum uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, seq := range r.durable {
		sum += seq
	}
	return sum
}

// complete reports whether everything up to the last of the stored readings has arrived.
func (r *record) complete(stored map[string][]api.Reading) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for device, list := range stored {
		// A device of which nothing was told joined while the subscriber was away: it begins with the next reading.
		if k := r.tracks[device]; k != nil && len(list) > 0 && k.last < list[len(list)-1].Seq {
			return false
		}
	}
	return true
}

// compare holds the record against the gateway's history.
func (r *record) compare(t *testing.T, who string, stored map[string][]api.Reading) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.faults {
		t.Errorf("%s: %s", who, f)
	}
	for device, k := range r.tracks {
		kept := map[uint64]string{}
		for _, msg := range stored[device] {
			kept[msg.Seq] = localContent(&msg)
		}
		for seq, was := range k.seen {
			is, there := kept[seq]
			switch {
			case there && was != is:
				t.Errorf("%s: %s #%d was %s and is stored as %s", who, device, seq, was, is)
			case !there && k.acked[seq]:
				t.Errorf("%s: %s #%d was acknowledged and is gone", who, device, seq)
			}
		}
		for seq := range kept {
			if _, seen := k.seen[seq]; !seen && k.first != 0 && seq > k.first {
				t.Errorf("%s: %s #%d is stored and never arrived", who, device, seq)
			}
		}
	}
}

// witness is a peer on the bare protocol: it sees heartbeats, too.
type witness struct {
	*record
	t    *testing.T
	host *p2p.Host
	info peer.AddrInfo
}

func newWitness(t *testing.T, ticket string) *witness {
	t.Helper()
	key, err := p2p.KeyFile{Path: filepath.Join(t.TempDir(), "key")}.HostKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h, err := p2p.NewHost(p2p.Config{
		Key: key, Mode: p2p.ModeOn, Role: p2p.RolePeer, NoMDNS: true, UserAgent: "witness",
		Listen: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	background(t, "the witness", h.Serve)
	w := &witness{record: newRecord(), t: t, host: h}
	if err := w.redeem(t.Context(), ticket); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *witness) redeem(ctx context.Context, ticket string) error {
	k, err := p2p.ParseTicket(ticket)
	if err != nil {
		return err
	}
	w.info = k.GatewayInfo()
	if _, err := p2p.Enrol(ctx, w.host, k); err != nil {
		return fmt.Errorf("redeem: %w", err)
	}
	return nil
}

// follow subscribes until the test ends.
func (w *witness) follow() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	gateway := w.info // later tickets replace w.info, with the same content
	sub, err := p2p.Subscribe(ctx, p2p.SubscribeOptions{Host: w.host, Gateway: gateway.ID, Connect: func(ctx context.Context) (peer.ID, error) {
		return gateway.ID, w.host.ConnectPeer(ctx, gateway.ID, gateway.Addrs, nil)
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	w.t.Cleanup(func() { cancel(); sub.Close(); <-done })
	go func() {
		defer close(done)
		for {
			e, err := sub.Next(ctx)
			if err != nil {
				return
			}
			w.take(e)
		}
	}()
}

func (w *witness) take(e p2p.Event) {
	switch e.Kind {
	case p2p.EventData:
		msg, err := reading.Decode(e.Body)
		if err != nil || msg.Stream != e.Device || msg.Seq != e.Seq {
			w.t.Errorf("%s #%d: %+v %v", e.Device, e.Seq, msg, err)
			return
		}
		w.reading(&msg)
	case p2p.EventGap:
		w.gap(e.Device, e.From, e.To, string(e.Reason))
	case p2p.EventHeartbeat:
		w.heartbeat(e.Durable)
	}
}

// clerk does at the local API what has to be durable when it is answered, and remembers the answers.
type clerk struct {
	t     *testing.T
	h     *house
	shown *witness

	turn    int
	tickets map[string]bool // label: redeemed
	ledger  []api.LedgerEntry
	renamed string // the last name that was acknowledged
	trying  string // the one after that, which may have been kept or not
}

// work goes on until the daemon is dead.
func (c *clerk) work(d *daemon, joins <-chan string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		c.turn++
		label := fmt.Sprintf("p%d", c.turn)
		var k api.Ticket
		if d.api.Post(ctx, "/v1/shares", api.Share{Label: label, Devices: []string{"*"}, Properties: []string{label}}, &k) != nil {
			return
		}
		c.tickets[label] = false
		if c.turn%3 == 0 && c.shown.redeem(ctx, k.Text) == nil {
			c.tickets[label] = true
		} else if c.turn%3 == 0 {
			delete(c.tickets, label) // redeemed or not: nobody was told
		}
		var log []api.LedgerEntry
		if d.api.Get(ctx, "/v1/ledger/log", &log) != nil {
			return
		}
		c.compare(log)
		c.ledger = log
		c.trying = "name " + label
		if d.api.Patch(ctx, "/v1/devices/"+c.h.sensor(0), api.Rename{Name: c.trying}, nil) != nil {
			return
		}
		c.renamed = c.trying
		select {
		case name := <-joins:
			if d.api.Post(ctx, "/v1/pair", api.Pair{Seconds: 60}, nil) != nil {
				return
			}
			_ = c.h.stick.Join(name) // refused while the stick starts: another one joins then
		default:
		}
	}
}

// compare expects the ledger's log to have grown only.
func (c *clerk) compare(log []api.LedgerEntry) {
	if len(log) < len(c.ledger) {
		c.t.Errorf("the ledger had %d records and has %d", len(c.ledger), len(log))
		return
	}
	for i, was := range c.ledger {
		if log[i].ID != was.ID || log[i].Index != was.Index {
			c.t.Errorf("ledger record %d was %s and is %s", was.Index, was.ID, log[i].ID)
		}
	}
}

func (c *clerk) check(d *daemon) {
	c.t.Helper()
	var log []api.LedgerEntry
	d.get("/v1/ledger/log", &log)
	c.compare(log)
	var rows []api.Access
	d.get("/v1/access", &rows)
	states := map[string]string{}
	for _, a := range rows {
		states[a.Property] = a.State
	}
	for label, redeemed := range c.tickets {
		if want := map[bool]string{true: "active", false: "ticket"}[redeemed]; states[label] != want {
			c.t.Errorf("the share %s is %q, was answered as %q", label, states[label], want)
		}
	}
	if name := d.devices()[c.h.sensor(0)].Name; name != c.renamed && name != c.trying {
		c.t.Errorf("the device is called %q, was renamed to %q", name, c.renamed)
	}
}

// TestKilledUnderLoad kills the daemon again and again while readings pour in, peers follow and the owner works.
func TestKilledUnderLoad(t *testing.T) {
	kills := 8
	if soak() || os.Getenv("CI") != "" {
		kills = 50
	}
	specs := make([]sim.SensorSpec, 4+kills)
	for i := range specs {
		specs[i] = sim.SensorSpec{Kind: "temperature"}
	}
	h := newHouse(t, sim.Options{Seed: 5, Sensors: specs, ManualJoin: true})
	p := h.spawn()
	p.daemon = h.dial()
	p.form()
	p.post("/v1/pair", api.Pair{Seconds: 254}, nil)
	for _, s := range h.stick.Sensors()[:4] {
		if err := h.stick.Join(s.Name); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "four registered devices", func() bool { return p.status().Ledger.Devices == 4 })
	w := newWitness(t, p.share(api.Share{Label: "witness", Devices: []string{"*"}}))
	w.follow()
	g, followed := newGuest(t), newRecord()
	name := g.enrol(p.share(api.Share{Label: "anna", Devices: []string{"*"}}))
	g.follow(name, subscriber.Filter{})
	if err := h.stick.SetLoad(sim.Load{Rate: 400, Sensors: 4}); err != nil {
		t.Fatal(err)
	}
	c := &clerk{t: t, h: h, shown: w, tickets: map[string]bool{}}
	joins := make(chan string, len(specs))
	for _, s := range h.stick.Sensors()[4:] {
		joins <- s.Name
	}
	for i := range kills {
		if i%4 != 3 { // every fourth dies while it starts
			p.daemon = h.dial()
			before, worked := w.count(), make(chan struct{})
			go func() { defer close(worked); c.work(p.daemon, joins) }()
			until(t, "readings", func() bool { return w.count() >= before+40 })
			if i%4 == 0 { // and every fourth not before something new was acknowledged
				acknowledged := w.acknowledged()
				until(t, "an acknowledgement", func() bool { return w.acknowledged() > acknowledged })
			}
			time.Sleep(rand.N(200 * time.Millisecond))
			_ = p.end(t, syscall.SIGKILL)
			<-worked
		} else {
			time.Sleep(rand.N(150 * time.Millisecond))
			_ = p.end(t, syscall.SIGKILL)
		}
		p = h.spawn()
	}
	p.daemon = h.dial()
	before := w.count()
	until(t, "readings after the last kill", func() bool { return w.count() >= before+40 })
	if err := h.stick.SetLoad(sim.Load{Stop: true}); err != nil {
		t.Fatal(err)
	}
	finish(t, h, p, w, g, followed)
	c.check(p.daemon)
	t.Logf("%d kills, %d readings at the peer, %d shares, %d ledger records, %d gaps", kills, w.count(), len(c.tickets), len(c.ledger), w.losses())
	if err := p.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("told to stop, the daemon ended with %v", err)
	}
}

func (r *record) losses() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, k := range r.tracks {
		n += len(k.gaps)
	}
	return n
}

// finish waits until the stick has been read out and the peers are up to date, and compares.
func finish(t *testing.T, h *house, p *process, w *witness, g *guest, followed *record) {
	t.Helper()
	reports := uint64(0)
	until(t, "the last readings", func() bool {
		now := p.status().Zigbee.Reports
		quiet := now == reports
		reports = now
		time.Sleep(50 * time.Millisecond)
		return quiet
	})
	stored := map[string][]api.Reading{}
	for device := range p.devices() {
		stored[device] = p.history(device)
	}
	until(t, "the witness to be up to date", func() bool { return w.complete(stored) })
	until(t, "the subscriber to be up to date", func() bool {
		events, ended, err := g.told()
		if ended {
			t.Fatalf("the subscription ended: %v", err)
		}
		*followed = *newRecord()
		for _, e := range events {
			switch {
			case e.Reading != nil:
				followed.reading(e.Reading)
			case e.Gap != nil:
				followed.gap(e.Gap.Device, e.Gap.From, e.Gap.To, e.Gap.Reason)
			}
		}
		return followed.complete(stored)
	})
	w.compare(t, "witness", stored)
	followed.compare(t, "subscriber", stored)
	for _, s := range h.stick.Sensors()[:4] {
		if k := w.tracks[s.IEEE]; k == nil || len(k.acked) == 0 {
			t.Errorf("nothing of %s was received and acknowledged", s.Name)
		}
	}
}
