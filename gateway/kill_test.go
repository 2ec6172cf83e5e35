package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/gateway"
)

// daemonEnv names the file with the configuration that makes this test binary a daemon.
const daemonEnv = "PEERBEE_TEST_DAEMON"

func daemonMain(file string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var c config.Config
	if err := json.Unmarshal(text, &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	g, err := gateway.Build(ctx, c, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err == nil {
		err = g.Serve(ctx)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
