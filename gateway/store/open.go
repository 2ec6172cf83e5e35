package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/peerbee/peerbee/gateway/reading"
)

// Defaults of Options.
const (
	DefaultRetentionAge  = 7 * 24 * time.Hour
	DefaultRetentionRows = 2_000_000
	DefaultBatchRows     = 500
	DefaultBatchEvery    = 10 * time.Second
	DefaultQueueRows     = 32_768
)

// Options configures Open. The zero value of every field but Path is a usable default.
type Options struct {
	// Path of the database. Its folder is created with mode 0700 where missing.
	Path string
	Log  *slog.Logger
	// Clock gives the time and how far it can be trusted. By default time.Now, synchronised.
	Clock func() (time.Time, reading.TimeQuality)
	// RetentionAge and RetentionRows bound the kept readings: by default 7 days and 2,000,000, whichever is
	// reached first. Age is only judged while the clock is synchronised.
	RetentionAge  time.Duration
	RetentionRows int64
	// Readings are committed when BatchRows (500) are waiting or BatchEvery (10 s) after the first of them.
	BatchRows  int
	BatchEvery time.Duration
	// QueueRows bounds the readings waiting for the disk (32,768); beyond it the oldest are dropped and counted.
	QueueRows int
	// OnCommit is called after each commit of readings from the store's own goroutine, with the highest
	// committed sequence number of the devices that were in it. It must not block or call Flush or Close.
	OnCommit func(durable map[string]uint64)

	driver string // of database/sql; the tests put a faulty one in
}

func (o *Options) defaults() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = func() (time.Time, reading.TimeQuality) { return time.Now(), reading.TimeSynchronised }
	}
	setDefault(&o.RetentionAge, DefaultRetentionAge)
	setDefault(&o.RetentionRows, DefaultRetentionRows)
	setDefault(&o.BatchRows, DefaultBatchRows)
	setDefault(&o.BatchEvery, DefaultBatchEvery)
	setDefault(&o.QueueRows, DefaultQueueRows)
	if o.driver == "" {
		o.driver = "sqlite"
	}
}

func setDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Store is the gateway's memory. All methods are safe for concurrent use.
type Store struct {
	opt    Options
	log    *slog.Logger
	lock   *os.File
	w      *sql.DB // the only writing connection
	r      *sql.DB // read pool
	epoch  uint64
	opened time.Time     // with its monotonic part, for Uptime
	uptime time.Duration // accumulated before opened
	lost   []Gap

	mu       sync.Mutex // guards all below
	devices  map[string]*deviceState
	descs    map[string]int64
	closed   bool
	queue    queue
	inflight []row // the batch being committed; also read by Since
	commits  uint64
	low      []*deviceState // whose reserved numbers run out
	more     chan struct{}  // closed and replaced at each reservation
	problem  error
	since    time.Time // of problem
	stats    Stats

	wr   writer // owned by the writer goroutine
	kick chan struct{}
	reqs chan chan error
	stop chan context.Context
	done chan struct{}
}

// Open opens or creates the database, checks and migrates it, reserves sequence numbers and starts the writer.
// A damaged file gives a *CorruptError and is left as it is. Close ends it.
func Open(ctx context.Context, opt Options) (*Store, error) {
	opt.defaults()
	if err := os.MkdirAll(filepath.Dir(opt.Path), 0o700); err != nil {
		return nil, fmt.Errorf("creating the state folder: %w", err)
	}
	lock, err := lockFile(opt.Path)
	if err != nil {
		return nil, err
	}
	s := &Store{
		opt: opt, log: opt.Log, lock: lock, opened: time.Now(),
		devices: map[string]*deviceState{}, descs: map[string]int64{}, more: make(chan struct{}),
		kick: make(chan struct{}, 1), reqs: make(chan chan error), stop: make(chan context.Context, 1), done: make(chan struct{}),
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(explain(opt.Path, err), s.closeFiles())
	}
	go s.run(context.WithoutCancel(ctx)) // it ends with Close, whatever ctx was for
	return s, nil
}

func (s *Store) prepare(ctx context.Context) error {
	var err error
	if s.w, err = openDB(s.opt.driver, s.opt.Path, "_txlock=immediate&_pragma=cache_size(-2048)"); err != nil {
		return err
	}
	s.w.SetMaxOpenConns(1)
	if s.r, err = openDB(s.opt.driver, s.opt.Path, "_pragma=query_only(1)&_pragma=cache_size(-512)"); err != nil {
		return err
	}
	s.r.SetMaxOpenConns(4)
	s.r.SetMaxIdleConns(2)
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := migrate(ctx, s.w); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{s.loadMeta, s.loadDevices, s.loadLatest, s.loadDescriptors, s.loadWriter, s.startSequences, s.prepareWriter} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// lockFile keeps a second process out: two writers would hand out the same sequence numbers.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Clean(path)+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the database: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s (see: systemctl status peerbee)", ErrInUse, path), f.Close())
	}
	return f, nil
}

func openDB(driver, path, params string) (*sql.DB, error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + params +
		"&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=foreign_keys(1)&_pragma=temp_store(MEMORY)&_pragma=journal_size_limit(8388608)"
	return sql.Open(driver, dsn)
}

// check looks for damage before anything is migrated: always in the small tables that the file's schema has, and in the readings after an unclean stop.
func (s *Store) check(ctx context.Context) error {
	var version int
	if err := s.w.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("reading the schema version: %w", err)
	}
	if version == 0 || version > len(migrations) {
		return nil // new, or migrate refuses it
	}
	tables := smallTables
	if version >= lostSince {
		tables = append([]string{"lost"}, tables...)
	}
	clean, _, err := s.Meta(ctx, metaClean)
	if err != nil {
		return err
	}
	if string(clean) != "1" {
		tables = append([]string{"readings"}, tables...)
	}
	for _, t := range tables {
		var verdict string
		if err := s.w.QueryRowContext(ctx, "PRAGMA quick_check("+t+")").Scan(&verdict); err != nil {
			return fmt.Errorf("checking the database: %w", err)
		}
		if verdict != "ok" {
			return &CorruptError{Path: s.opt.Path, Detail: t + ": " + verdict}
		}
	}
	return nil
}

// Flush commits every reading added before the call. It fails when the disk does; the readings stay queued.
func (s *Store) Flush(ctx context.Context) error {
	req := make(chan error, 1)
	select {
	case s.reqs <- req:
	case <-s.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-req:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close commits what is queued, writes the exact sequence positions and closes the file. When ctx ends first
// the positions stay reserved and the next Open reports a gap. A second Close returns ErrClosed.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.closed = true
	s.mu.Unlock()
	s.stop <- ctx
	select {
	case <-s.done:
		return errors.Join(s.wr.closeErr, s.closeFiles())
	case <-ctx.Done():
		return fmt.Errorf("closing the store (the disk does not answer): %w", ctx.Err())
	}
}

func (s *Store) closeFiles() error {
	errs := []error{s.wr.closeStatements()}
	for _, db := range []*sql.DB{s.r, s.w} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

func randomUint64() (uint64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b[:]), nil
}

// rollback ends a transaction that was not committed; after Commit it does nothing.
func rollback(tx *sql.Tx) {
	_ = tx.Rollback() // the transaction's own error is the one that counts
}
