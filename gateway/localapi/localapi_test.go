package localapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/peerbee/peerbee/gateway/localapi"
	"github.com/peerbee/peerbee/gateway/localapi/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, routes ...localapi.Route) *client.Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "run", "peerbee.sock")
	s := localapi.New(localapi.Options{Socket: socket, Group: "no-such-group", Routes: routes, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	select {
	case <-s.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	c := client.New(socket)
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve: %v", err)
		}
	})
	return c
}

type greeting struct{ Name string }

func TestCallsAndErrors(t *testing.T) {
	c := serve(t,
		localapi.Route{Pattern: "POST /v1/greet", Right: localapi.RightAdmin, Handle: func(_ context.Context, r *localapi.Request) (any, error) {
			var g greeting
			if err := r.Decode(&g); err != nil {
				return nil, err
			}
			if g.Name == "" {
				return nil, localapi.Errorf(http.StatusConflict, "nobody to greet").WithHint("give a name")
			}
			return greeting{"hello " + g.Name}, nil
		}},
		localapi.Route{Pattern: "GET /v1/raw", Right: localapi.RightRead, Raw: func(context.Context, *localapi.Request) (string, []byte, error) {
			return "application/octet-stream", []byte{1, 2, 3}, nil
		}},
	)
	var out greeting
	if err := c.Post(t.Context(), "/v1/greet", greeting{"bee"}, &out); err != nil || out.Name != "hello bee" {
		t.Fatalf("got %+v, %v", out, err)
	}
	for _, tc := range []struct {
		body any
		want string
		hint string
	}{
		{greeting{}, "nobody to greet", "give a name"},
		{map[string]string{"Nome": "x"}, "unknown field", ""},
	} {
		err := c.Post(t.Context(), "/v1/greet", tc.body, &out)
		var e *localapi.Error
		if !errors.As(err, &e) || !strings.Contains(e.Text, tc.want) || e.Hint != tc.hint {
			t.Errorf("got %v, want %q with hint %q", err, tc.want, tc.hint)
		}
	}
	if b, err := c.Raw(t.Context(), "/v1/raw"); err != nil || len(b) != 3 {
		t.Errorf("raw: %v %v", b, err)
	}
	var e *localapi.Error
	if err := c.Get(t.Context(), "/v1/none", nil); !errors.As(err, &e) || e.Code != http.StatusNotFound || e.Hint == "" {
		t.Errorf("unknown call: %v", err)
	}
}

func TestStreamEndsWithItsError(t *testing.T) {
	c := serve(t, localapi.Route{
		Pattern: "GET /v1/count", Right: localapi.RightRead,
		Stream: func(_ context.Context, _ *localapi.Request, emit func(any) error) error {
			for i := range 3 {
				if err := emit(i); err != nil {
					return err
				}
			}
			return localapi.Errorf(http.StatusGone, "the source ended")
		},
	})
	var got []string
	err := c.Stream(t.Context(), "/v1/count", func(line json.RawMessage) error {
		got = append(got, string(line))
		return nil
	})
	if strings.Join(got, ",") != "0,1,2" || err == nil || err.Error() != "the source ended" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestNoDaemonIsExplained(t *testing.T) {
	c := client.New(filepath.Join(t.TempDir(), "none.sock"))
	defer c.Close()
	var e *localapi.Error
	if err := c.Get(t.Context(), "/v1/status", nil); !errors.As(err, &e) || !strings.Contains(e.Hint, "systemctl start peerbee") {
		t.Errorf("got %v", err)
	}
}

func TestSecondDaemonIsRefused(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "peerbee.sock")
	o := localapi.Options{Socket: socket, Log: slog.New(slog.DiscardHandler)}
	first := localapi.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- first.Serve(ctx) }()
	<-first.Ready()
	if err := localapi.New(o).Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "another peerbee daemon") {
		t.Errorf("second daemon: %v", err)
	}
	cancel()
	<-done
	// What a killed daemon leaves behind is a socket that nobody listens at.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	ctx2, cancel2 := context.WithCancel(t.Context())
	third := localapi.New(o)
	go func() { done <- third.Serve(ctx2) }()
	select {
	case <-third.Ready():
	case err := <-done:
		t.Fatalf("a stale socket stopped the daemon: %v", err)
	}
	cancel2()
	<-done
}
