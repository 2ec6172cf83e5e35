package systemd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// listen stands in for the service manager's end of the notification socket.
func listen(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return c
}

func TestMessagesReachTheSocket(t *testing.T) {
	c := listen(t)
	n := New(slog.New(slog.DiscardHandler))
	n.Ready()
	n.Status("5 devices, network up")
	n.Stopping()
	buf := make([]byte, 256)
	for _, want := range []string{"READY=1", "STATUS=5 devices, network up", "STOPPING=1"} {
		k, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(buf[:k]); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWatchdogStopsWhenNotAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pings atomic.Int64
		var healthy atomic.Bool
		healthy.Store(true)
		n := &Notifier{
			log: slog.New(slog.DiscardHandler), interval: 10 * time.Second,
			send: func(string) (bool, error) { pings.Add(1); return true, nil },
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- n.Serve(ctx, func(context.Context) bool { return healthy.Load() }) }()
		time.Sleep(21 * time.Second)
		synctest.Wait()
		if pings.Load() != 4 {
			t.Errorf("%d pings in 21 s with a 10 s watchdog, want 4", pings.Load())
		}
		healthy.Store(false)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if pings.Load() != 4 {
			t.Errorf("a daemon that is not alive still pinged: %d", pings.Load())
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve returned %v", err)
		}
	})
}
