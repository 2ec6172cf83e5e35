package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// cast is the processes of a demo.
type cast struct {
	exe, dir string

	mu     sync.Mutex // guards actors
	actors []*actor
}

// actor is one process. What it writes to standard error is kept in its folder, the end of it also here.
type actor struct {
	name string
	cmd  *exec.Cmd
	logs *tail
	done chan struct{} // closed when the process has ended; err is set then
	err  error
}

func newCast(exe, dir string) *cast { return &cast{exe: exe, dir: dir} }

// start runs the binary with args in a folder of its own. out receives standard output, nil drops it.
func (c *cast) start(name string, in io.Reader, out io.Writer, args ...string) (*actor, error) {
	folder := filepath.Join(c.dir, name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("folder of the %s: %w", name, err)
	}
	file, err := os.OpenFile(filepath.Join(folder, "stderr.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of the %s: %w", name, err)
	}
	a := &actor{name: name, logs: &tail{file: file}, done: make(chan struct{})}
	a.cmd = exec.Command(c.exe, args...) // #nosec G204 -- our own binary with our own arguments
	a.cmd.Dir, a.cmd.Stdin, a.cmd.Stdout, a.cmd.Stderr = folder, in, out, a.logs
	// A process group of its own: Ctrl-C reaches the demo alone, which then stops each in turn.
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := a.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the %s: %w", name, err), file.Close())
	}
	c.mu.Lock()
	c.actors = append(c.actors, a)
	c.mu.Unlock()
	go func() {
		a.err = errors.Join(a.cmd.Wait(), file.Close())
		close(a.done)
	}()
	return a, nil
}

// run starts a command, waits for it and gives its standard output.
func (c *cast) run(ctx context.Context, name string, args ...string) (string, error) {
	var out bytes.Buffer
	a, err := c.start(name, nil, &out, args...)
	if err != nil {
		return "", err
	}
	select {
	case <-a.done:
	case <-ctx.Done():
		return "", errors.Join(fmt.Errorf("%s did not end", name), a.stop())
	}
	if a.err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", name, a.err, strings.TrimSpace(a.logs.String()))
	}
	return out.String(), nil
}

// ended reports a process that should still run and does not.
func (a *actor) ended() error {
	select {
	case <-a.done:
		if a.err == nil {
			return fmt.Errorf("the %s ended by itself", a.name)
		}
		return fmt.Errorf("the %s ended: %w", a.name, a.err)
	default:
		return nil
	}
}

// kill ends a process without warning, as the kernel does when memory is short.
func (a *actor) kill() error {
	if err := a.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill the %s: %w", a.name, err)
	}
	<-a.done
	return nil
}

const stopTimeout = 15 * time.Second

// stop asks a process to end and insists after stopTimeout. A clean end has exit status 0.
func (a *actor) stop() error {
	select {
	case <-a.done:
		return nil
	default:
	}
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the %s: %w", a.name, err)
	}
	select {
	case <-a.done:
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("the %s did not stop within %s", a.name, stopTimeout), a.kill())
	}
	if a.err != nil {
		return fmt.Errorf("the %s did not stop cleanly: %w: %s", a.name, a.err, strings.TrimSpace(a.logs.String()))
	}
	return nil
}

// stopAll ends whatever still runs, the last started first.
func (c *cast) stopAll() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for i := len(c.actors) - 1; i >= 0; i-- {
		errs = append(errs, c.actors[i].stop())
	}
	return errors.Join(errs...)
}

// lastWords gives the last lines of every process, for an error.
func (c *cast) lastWords() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, a := range c.actors {
		if words := strings.TrimSpace(a.logs.String()); words != "" {
			fmt.Fprintf(&b, "\n-- %s:\n%s", a.name, words)
		}
	}
	return b.String()
}

// tail writes to a file and remembers the end.
type tail struct {
	file *os.File

	mu  sync.Mutex // guards end
	end []byte
}

const tailSize = 2048

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	t.end = append(t.end, p...)
	if len(t.end) > tailSize {
		t.end = append(t.end[:0], t.end[len(t.end)-tailSize:]...)
	}
	t.mu.Unlock()
	return t.file.Write(p)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.end)
}
