package blockchain

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// file is all the journal asks of the disk, so that tests can fail every call in every way.
type file interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	// Datasync makes content and size durable (fdatasync).
	Datasync() error
}

// osFile is a file of the operating system.
type osFile struct{ *os.File }

func (f osFile) Datasync() error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var syncErr error
	err = conn.Control(func(fd uintptr) {
		for {
			if syncErr = unix.Fdatasync(int(fd)); !errors.Is(syncErr, unix.EINTR) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return syncErr
}

// openFile opens or creates the journal file and makes its name durable.
func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	// Also done for a file found there: an earlier run may have died between creating it and this.
	if err := errors.Join(f.Sync(), syncDir(filepath.Dir(path))); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal: make %s durable: %w", path, err), f.Close())
	}
	return f, nil
}

// makeDir creates dir with mode 0700, durably, if it is not there.
func makeDir(dir string) error {
	if there, err := exists(dir); there || err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(filepath.Clean(dir)))
}

func syncDir(path string) error {
	d, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lockDir keeps every other process from opening the ledger in dir. The lock ends with the returned file.
func lockDir(dir string) (*os.File, error) {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return nil, fmt.Errorf("lock ledger: %w", err)
	}
	conn, err := d.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock ledger: %w", err), d.Close())
	}
	var lockErr error
	err = conn.Control(func(fd uintptr) { lockErr = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) })
	if err == nil && errors.Is(lockErr, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%w: %s", ErrLocked, dir)
	}
	if err = errors.Join(err, lockErr); err != nil {
		return nil, errors.Join(fmt.Errorf("lock ledger: %w", err), d.Close())
	}
	return d, nil
}
