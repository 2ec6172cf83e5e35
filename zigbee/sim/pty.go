package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// errPeerGone says that a peer opened the port and closed it before it was served.
var errPeerGone = errors.New("the peer came and went")

// peerPoll is how often a pty nobody has open is looked at: the kernel tells of closing, not of opening.
const peerPoll = 5 * time.Millisecond

// ServePTY is the stick at a serial port of its own, found at the symbolic link until the context ends. Whenever
// its peer goes there is a new terminal behind the link, since a terminal that was opened exclusively by a
// process that was killed stays so.
func (s *Stick) ServePTY(ctx context.Context, link string) error {
	made := false // whatever stands there before is not to be removed
	gone := func() {
		if !made {
			return
		}
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.log.Warn("could not remove the port's link", "error", err)
		}
	}
	defer gone()
	open := func(ctx context.Context) (io.ReadWriteCloser, error) {
		master, name, err := newTerminal()
		if err != nil {
			return nil, err
		}
		if err := replaceLink(link, name); err != nil {
			return nil, errors.Join(err, master.Close())
		}
		made = true
		s.log.Info("simulated stick is plugged in", "port", link, "terminal", name)
		if err := s.awaitPeer(ctx, master); err != nil {
			return nil, errors.Join(err, master.Close())
		}
		return master, nil
	}
	return s.serve(ctx, func(ctx context.Context) error { return s.ports(ctx, open, gone) })
}

// newTerminal gives the controlling side of a raw pseudo terminal, and the name of the other.
func newTerminal() (*os.File, string, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, "", fmt.Errorf("opening a pseudo terminal: %w", err)
	}
	defer slave.Close()  //nolint:errcheck // nothing was written
	defer master.Close() //nolint:errcheck // replaced below
	if _, err := term.MakeRaw(int(slave.Fd())); err != nil {
		return nil, "", fmt.Errorf("setting up a pseudo terminal: %w", err)
	}
	// The package leaves the file in blocking mode, where closing does not end a read.
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, "", fmt.Errorf("setting up a pseudo terminal: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, "", errors.Join(fmt.Errorf("setting up a pseudo terminal: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), master.Name()), slave.Name(), nil
}

// replaceLink points the link at a new terminal without a moment in which it is missing.
func replaceLink(link, target string) error {
	if st, err := os.Lstat(link); err == nil && st.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("%s exists and is no symbolic link: choose another path for the simulated port", link)
	}
	fresh := filepath.Join(filepath.Dir(link), "."+filepath.Base(link)+".new")
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("linking the simulated port: %w", err)
	}
	if err := os.Symlink(target, fresh); err != nil {
		return fmt.Errorf("linking the simulated port: %w", err)
	}
	if err := os.Rename(fresh, link); err != nil {
		return fmt.Errorf("linking the simulated port: %w", errors.Join(err, os.Remove(fresh)))
	}
	return nil
}

// awaitPeer waits until somebody has the terminal open, or the stick is unplugged.
func (s *Stick) awaitPeer(ctx context.Context, master *os.File) error {
	conn, err := master.SyscallConn()
	if err != nil {
		return fmt.Errorf("watching the pseudo terminal: %w", err)
	}
	ticker := time.NewTicker(peerPoll)
	defer ticker.Stop()
	for {
		var state int16
		err := conn.Control(func(fd uintptr) {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if _, err := unix.Poll(fds, 0); err == nil {
				state = fds[0].Revents
			} else {
				state = unix.POLLHUP // interrupted: look again
			}
		})
		switch {
		case err != nil:
			return fmt.Errorf("watching the pseudo terminal: %w", err)
		case s.isUnplugged():
			return errPeerGone
		case state&unix.POLLHUP == 0:
			return nil
		case state&unix.POLLIN != 0:
			return errPeerGone
		}
		select {
		case <-ctx.Done():
			return ended(ctx)
		case <-ticker.C:
		}
	}
}
