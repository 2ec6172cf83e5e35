package port

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

const (
	// writeTimeout bounds one Write: at 115200 bit/s the largest frame takes 23 ms, so a port that takes no
	// data for this long is dead or held by flow control.
	writeTimeout = 5 * time.Second
	dialTimeout  = 10 * time.Second
)

// Open opens the port a spec names (see ParseSpec). Close unblocks a waiting Read; a port that goes away ends
// Read with an error; Write gives up with ErrStalled after five seconds.
//
// The result of a serial port also has SetDTR(bool) error and SetRTS(bool) error.
func Open(ctx context.Context, text string) (io.ReadWriteCloser, error) {
	spec, err := ParseSpec(text)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open %s: %w", text, err)
	}
	if spec.Host != "" {
		return openTCP(ctx, spec)
	}
	return openSerial(spec)
}

func openTCP(ctx context.Context, spec Spec) (io.ReadWriteCloser, error) {
	dialer := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{
		// A network stick that loses power says nothing: 15 s + 3 x 5 s find that out.
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	conn, err := dialer.DialContext(ctx, "tcp", spec.Host)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("connect to %s: %w", spec.Host, ctx.Err())
		}
		return nil, &Error{
			Port: "tcp://" + spec.Host, Kind: ErrUnreachable, Err: err,
			Problem: fmt.Sprintf("no stick answers at %s (%v)", spec.Host, err),
			Next:    "check the stick's power, its address, and that no other program is connected to it",
		}
	}
	return &stream{rw: conn}, nil
}

// deadliner is what os.File and net.Conn share.
type deadliner interface {
	io.ReadWriteCloser
	SetWriteDeadline(time.Time) error
}

// stream bounds the time of a Write.
type stream struct{ rw deadliner }

func (s *stream) Read(p []byte) (int, error) { return s.rw.Read(p) }
func (s *stream) Close() error               { return s.rw.Close() }

func (s *stream) Write(p []byte) (int, error) {
	if err := s.rw.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, fmt.Errorf("bound the write: %w", err)
	}
	n, err := s.rw.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return n, fmt.Errorf("%w (%d of %d bytes in %s)", ErrStalled, n, len(p), writeTimeout)
	}
	return n, err
}

// serialPort moves bytes through a descriptor of its own in Go's poller and leaves the line settings to
// go.bug.st/serial: that package's Write can neither be bounded nor stopped by Close, and its Close frees the
// descriptor's number while a Write may still be about to use it.
type serialPort struct {
	stream
	line   serial.Port
	closed sync.Once
	err    error
}

func (p *serialPort) SetDTR(on bool) error { return p.line.SetDTR(on) }
func (p *serialPort) SetRTS(on bool) error { return p.line.SetRTS(on) }

// Close is idempotent.
func (p *serialPort) Close() error {
	p.closed.Do(func() {
		// Without this the kernel waits up to 30 s for a stick that takes no data. A port that is gone
		// cannot be flushed, and that is no news.
		_ = p.line.ResetOutputBuffer()
		p.err = errors.Join(p.line.Close(), p.rw.Close())
	})
	return p.err
}

func openSerial(spec Spec) (io.ReadWriteCloser, error) {
	file, err := os.OpenFile(spec.Path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, explainOpen(spec.Path, err)
	}
	line, err := configure(file, spec)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &serialPort{stream: stream{rw: file}, line: line}, nil
}

func configure(file *os.File, spec Spec) (serial.Port, error) {
	// The kernel's exclusive mode does not bind root and is not set by every program; the lock is how
	// pyserial-based gateways say that they hold a port.
	if err := withFD(file, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, explainOpen(spec.Path, unix.EBUSY)
		}
		return nil, explainOpen(spec.Path, err)
	}
	line, err := serial.Open(spec.Path, &serial.Mode{BaudRate: spec.Baud, DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit})
	if err != nil {
		return nil, explainOpen(spec.Path, err)
	}
	if spec.RTSCTS {
		if err := withFD(file, enableRTSCTS); err != nil {
			return nil, errors.Join(explainOpen(spec.Path, fmt.Errorf("switch RTS/CTS on: %w", err)), line.Close())
		}
	}
	return line, nil
}

func withFD(file *os.File, do func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// explainOpen turns the system's error into words with a next step.
func explainOpen(path string, err error) error {
	e := &Error{Port: path, Err: err}
	var line *serial.PortError
	isLine := errors.As(err, &line)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV):
		e.Kind = ErrMissing
		e.Problem = fmt.Sprintf("there is no port %s", path)
		e.Next = missingHint("/")
	case errors.Is(err, fs.ErrPermission), isLine && line.Code() == serial.PermissionDenied:
		e.Kind = ErrPermission
		e.Problem = fmt.Sprintf("this user may not open %s", path)
		e.Next = "sudo adduser $USER dialout, then log in again"
	case errors.Is(err, syscall.EBUSY), isLine && line.Code() == serial.PortBusy:
		e.Kind = ErrBusy
		e.Problem, e.Next = busyWords(path, Holders(path))
	case isLine, errors.Is(err, syscall.ENOTTY), errors.Is(err, syscall.EISDIR):
		e.Kind = ErrNotSerial
		e.Problem = fmt.Sprintf("%s is not a usable serial port (%v)", path, err)
		e.Next = "choose one from: ls /dev/serial/by-id"
	default:
		e.Kind = ErrNotSerial
		e.Problem = fmt.Sprintf("%s cannot be opened (%v)", path, err)
		e.Next = "unplug the stick and plug it in again"
	}
	return e
}

func missingHint(root string) string {
	sticks, err := DiscoverIn(root)
	if err != nil || len(sticks) == 0 {
		return "plug the stick in; ls /dev/serial/by-id lists what is there"
	}
	paths := make([]string, 0, len(sticks))
	for _, s := range sticks {
		paths = append(paths, s.Path)
	}
	return "plug it in, or set the port to " + strings.Join(paths, " or ")
}

func busyWords(path string, by []string) (problem, next string) {
	if len(by) == 0 {
		return path + " is in use by another program", "sudo fuser -v " + path + " tells which; stop it"
	}
	return fmt.Sprintf("%s is in use by %s", path, strings.Join(by, ", ")), "stop that program"
}
