package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program under measurement.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// stopGrace is how long a program that was asked to end may take.
const stopGrace = 10 * time.Second

// spawn starts a program whose output goes to a file.
func spawn(logPath string, env []string, name string, args ...string) (*process, error) {
	out, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", name, err)
	}
	defer out.Close()                  //nolint:errcheck // the child has its own descriptor
	cmd := exec.Command(name, args...) //nolint:gosec // the programs to be measured
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	// Ctrl-C is for the benchmark, which then stops what it started in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended is of no interest: it was stopped, or its log says why
	}()
	return p, nil
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop asks the program to end and, if it does not, ends it.
func (p *process) stop() error {
	if p == nil || !p.running() {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.cmd.Path, err)
	}
	select {
	case <-p.done:
	case <-time.After(stopGrace):
		if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("kill %s: %w", p.cmd.Path, err)
		}
		<-p.done
	}
	return nil
}

// clockTick is the unit of the times in /proc/PID/stat: USER_HZ, 100 on every Linux.
const clockTick = 10 * time.Millisecond

// cpu is the processor time the program has used so far (proc(5), fields 14 and 15 of stat).
func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold anything
	fields := strings.Fields(rest)
	var total time.Duration
	for _, i := range []int{11, 12} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("processor time: %w", err)
		}
		total += time.Duration(n) * clockTick
	}
	return total, nil
}

// resident is the memory the program holds, in bytes.
func (p *process) resident() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("resident memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kB, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kB << 10, err
		}
	}
	return 0, errors.New("resident memory: no VmRSS")
}

// poll calls what until it is true, every interval, for as long as limit.
func poll(ctx context.Context, limit, interval time.Duration, description string, what func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for !what() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %v for %s", limit, description)
		case <-time.After(interval):
		}
	}
	return nil
}
