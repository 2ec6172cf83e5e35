package p2p

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/sec"
	blankhost "github.com/libp2p/go-libp2p/p2p/host/blank"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
)

// streamHost is the least host that speaks TCP, Noise and Yamux.
func streamHost(tb testing.TB) host.Host {
	tb.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	noErr(tb, err)
	id, err := peer.IDFromPrivateKey(key)
	noErr(tb, err)
	ps, err := pstoremem.NewPeerstore()
	noErr(tb, err)
	noErr(tb, ps.AddPrivKey(id, key))
	noErr(tb, ps.AddPubKey(id, key.GetPublic()))
	bus := eventbus.NewBus()
	sw, err := swarm.NewSwarm(id, ps, bus)
	noErr(tb, err)
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	secure, err := noise.New(noise.ID, key, muxers)
	noErr(tb, err)
	up, err := upgrader.New([]sec.SecureTransport{secure}, muxers, nil, nil, nil)
	noErr(tb, err)
	tr, err := tcp.NewTCPTransport(up, nil, nil)
	noErr(tb, err)
	noErr(tb, sw.AddTransport(tr))
	noErr(tb, sw.Listen(ma.StringCast("/ip4/127.0.0.1/tcp/0")))
	h := blankhost.NewBlankHost(sw, blankhost.WithEventBus(bus))
	tb.Cleanup(func() { noErr(tb, errors.Join(h.Close(), ps.Close())) })
	return h
}

func noErr(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// introduce makes a know how to dial b.
func introduce(a, b host.Host) { a.Peerstore().AddAddrs(b.ID(), b.Addrs(), peerstore.PermanentAddrTTL) }

// rules is an Authorizer a test changes as it goes.
type rules struct {
	mu         sync.Mutex
	generation uint64
	known      map[peer.ID]bool
	deny       map[string]bool // "device" or "device/property"
}

func allowing(hosts ...host.Host) *rules {
	r := &rules{known: make(map[peer.ID]bool), deny: make(map[string]bool)}
	for _, h := range hosts {
		r.known[h.ID()] = true
	}
	return r
}

func (r *rules) May(_ context.Context, who peer.ID, what Right) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.known[who] || what.Action != ActionRead || r.deny[what.Device] || r.deny[what.Device+"/"+what.Property] {
		return ErrDenied
	}
	return nil
}

func (r *rules) Known(who peer.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[who]
}

func (r *rules) Generation() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.generation
}

func (r *rules) change(f func(*rules)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r)
	r.generation++
}

// memoryBacklog keeps records; only those up to durable are given.
type memoryBacklog struct {
	mu      sync.Mutex
	records map[string][]Record
	durable map[string]uint64
	fail    error
}

func newMemoryBacklog() *memoryBacklog {
	return &memoryBacklog{records: make(map[string][]Record), durable: make(map[string]uint64)}
}

func (b *memoryBacklog) store(recs ...Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range recs {
		b.records[r.Device] = append(b.records[r.Device], r)
		b.durable[r.Device] = r.Seq
	}
}

func (b *memoryBacklog) Since(_ context.Context, device string, after uint64, yield func(Record) error) error {
	b.mu.Lock()
	recs, fail := slices.Clone(b.records[device]), b.fail
	b.mu.Unlock()
	if fail != nil {
		return fail
	}
	for _, r := range recs {
		if r.Seq <= after {
			continue
		}
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

func (b *memoryBacklog) Latest(context.Context) ([]Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Record
	for _, recs := range b.records {
		if len(recs) > 0 {
			out = append(out, recs[len(recs)-1])
		}
	}
	return out, b.fail
}

func (b *memoryBacklog) Durable() map[string]uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[string]uint64)
	for d, s := range b.durable {
		out[d] = s
	}
	return out
}

// forget drops the records of device up to seq, as retention does.
func (b *memoryBacklog) forget(device string, seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records[device] = slices.DeleteFunc(b.records[device], func(r Record) bool { return r.Seq <= seq })
}

// testRecord makes a record whose body names itself and the properties it was limited to.
func testRecord(device string, seq uint64, props ...string) Record {
	return Record{
		Device: device, Seq: seq, Time: int64(seq), Props: props,
		Encode: func(props []string) (Body, error) {
			return Body{
				Bytes:     fmt.Appendf(nil, "%s %d %v", device, seq, props),
				Desc:      "desc-" + device,
				DescBytes: []byte("descriptor of " + device),
			}, nil
		},
	}
}

// gateway is a publisher that serves on a host of its own.
type testGateway struct {
	host host.Host
	*Publisher
}

func serveGateway(tb testing.TB, o PublisherOptions) *testGateway {
	tb.Helper()
	h := streamHost(tb)
	return &testGateway{host: h, Publisher: serveOn(tb, h, o)}
}

func serveOn(tb testing.TB, h host.Host, o PublisherOptions) *Publisher {
	tb.Helper()
	if o.Epoch == 0 {
		o.Epoch = 7
	}
	p := NewPublisher(o)
	p.Register(h)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx) }()
	tb.Cleanup(func() {
		cancel()
		noErr(tb, <-done)
	})
	for {
		p.mu.Lock()
		serving := p.stop != nil
		p.mu.Unlock()
		if serving {
			return p
		}
		time.Sleep(time.Millisecond)
	}
}

func subscribe(tb testing.TB, h host.Host, gw *testGateway, o SubscribeOptions) *Subscription {
	tb.Helper()
	introduce(h, gw.host)
	o.Host, o.Gateway = h, gw.host.ID()
	s, err := Subscribe(context.Background(), o)
	noErr(tb, err)
	tb.Cleanup(s.Close)
	return s
}

// next gives the next event of one of the kinds, passing over others.
func next(tb testing.TB, s *Subscription, kinds ...EventKind) Event {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		e, err := s.Next(ctx)
		if err != nil {
			tb.Fatalf("no event of kind %v: %v", kinds, err)
		}
		if slices.Contains(kinds, e.Kind) {
			return e
		}
	}
}

// ended gives the error that ends s.
func ended(tb testing.TB, s *Subscription) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		if _, err := s.Next(ctx); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				tb.Fatal("the subscription did not end")
			}
			return err
		}
	}
}
