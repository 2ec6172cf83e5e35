package blockchain

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite the vectors in docs/protocol/ledger.md")

func TestMain(m *testing.M) {
	if dir := childDir(); dir != "" {
		fmt.Fprintln(os.Stdout, "error", runChild(dir))
		return
	}
	goleak.VerifyTestMain(m)
}

// testKeys gives keys that depend on name only.
func testKeys(name string) Keys {
	key := func(role string) ed25519.PrivateKey {
		seed := sha256.Sum256([]byte("peerbee test key " + name + "/" + role))
		return ed25519.NewKeyFromSeed(seed[:])
	}
	return Keys{
		Owner: key("owner"), OwnerNext: key("owner-next"), Log: key("log"), Witness: key("witness"),
		Validator: key("validator"), Circle: sha256.Sum256([]byte("peerbee test circle key " + name)),
	}
}

const testPeer = "12D3KooWTestPeerIDForTheLedgerOnly111111111111111111"

func testOptions(name string) Options { return Options{Keys: testKeys(name), PeerID: testPeer} }

func testDevice(n int) DeviceID { return DeviceIDFromUint64(0x00158d0000000000 + uint64(n)) }

// disk is a file with a page cache: reads see what was written, a crash leaves what was made durable.
type disk struct {
	mu     sync.Mutex
	cache  []byte
	stable []byte
	clean  []bool // per byte of cache: the kernel believes that it is on the disk

	calls int
	fault func(call int, op string) fault
}

// fault is what goes wrong in one call.
type fault struct {
	err    error
	stored int // share of the effect that happens all the same, in percent
}

func newDisk(content []byte) *disk {
	d := &disk{cache: append([]byte(nil), content...), stable: append([]byte(nil), content...)}
	d.clean = make([]bool, len(content))
	for i := range d.clean {
		d.clean[i] = true
	}
	return d
}

// crash gives the disk that is found after power was lost.
func (d *disk) crash() *disk { return newDisk(d.stable) }

// restart gives the disk that a new process finds.
func (d *disk) restart() *disk {
	return &disk{cache: d.cache, stable: d.stable, clean: d.clean}
}

func (d *disk) begin(op string) fault {
	d.calls++
	if d.fault == nil {
		return fault{stored: 100}
	}
	f := d.fault(d.calls, op)
	if f.err == nil {
		f.stored = 100
	}
	return f
}

func (d *disk) ReadAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.begin("read"); f.err != nil {
		return 0, f.err
	}
	if off >= int64(len(d.cache)) {
		return 0, io.EOF
	}
	n := copy(p, d.cache[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (d *disk) WriteAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.begin("write")
	n := len(p) * f.stored / 100
	for len(d.cache) < int(off)+n {
		d.cache, d.clean = append(d.cache, 0), append(d.clean, false)
	}
	copy(d.cache[off:], p[:n])
	for i := range n {
		d.clean[int(off)+i] = false
	}
	return n, f.err
}

func (d *disk) Truncate(size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.begin("truncate")
	if f.stored == 100 {
		d.cache, d.clean = d.cache[:size], d.clean[:size]
		d.stable = d.stable[:min(int(size), len(d.stable))]
	}
	return f.err
}

// Datasync, when it fails, drops the dirty marks as Linux does: a later one succeeds without writing anything.
func (d *disk) Datasync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.begin("sync")
	for i, clean := range d.clean {
		if !clean && f.stored == 100 {
			for len(d.stable) <= i {
				d.stable = append(d.stable, 0)
			}
			d.stable[i] = d.cache[i]
		}
		d.clean[i] = true
	}
	return f.err
}

func (d *disk) bytes() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]byte(nil), d.cache...)
}

// serve opens a ledger on f and serves it until the test or stop ends it.
func serve(t testing.TB, o Options, f file) (l *Ledger, stop func() error) {
	t.Helper()
	l, err := open(o, f)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return l, run(t, l)
}

func run(t testing.TB, l *Ledger) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Serve(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := stop(); err != nil && !errors.Is(err, ErrStopped) {
			t.Errorf("serve: %v", err)
		}
	})
	return stop
}

func mustRegister(t testing.TB, l *Ledger, d DeviceID) Receipt {
	t.Helper()
	r, err := l.Register(t.Context(), d)
	if err != nil {
		t.Fatalf("register: %v", err)
	}
	return r
}

func mustRelease(t testing.TB, l *Ledger, d DeviceID) Receipt {
	t.Helper()
	r, err := l.Release(t.Context(), d)
	if err != nil {
		t.Fatalf("release: %v", err)
	}
	return r
}

// mustOpen opens f without serving it.
func mustOpen(t testing.TB, o Options, f file) *Ledger {
	t.Helper()
	l, err := open(o, f)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return l
}

// sampleJournal gives a journal of several batches: two devices, one of them released and registered again.
func sampleJournal(t testing.TB) []byte {
	t.Helper()
	d := newDisk(nil)
	l, stop := serve(t, testOptions("a"), d)
	mustRegister(t, l, testDevice(1))
	mustRegister(t, l, testDevice(2))
	mustRelease(t, l, testDevice(1))
	mustRegister(t, l, testDevice(1))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	return d.bytes()
}

func wantError(t testing.TB, err, want error, what string, args ...any) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", fmt.Sprintf(what, args...), err, want)
	}
}
