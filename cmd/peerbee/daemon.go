package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/gateway"
	"github.com/peerbee/peerbee/gateway/hive"
)

func (a *app) daemonCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "daemon",
		Short: "Run the gateway: the stick, the history, the peers, the ledger",
		Long: "Runs until it is told to stop. systemd starts it as peerbee.service; by hand it runs as you, from the\n" +
			"given configuration. It never forms, restores or wipes a Zigbee network by itself.",
		Example: "  peerbee daemon\n  peerbee daemon --config ./peerbee.toml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load(cmd)
			if err != nil {
				return err
			}
			g, err := gateway.Build(cmd.Context(), c, newLogger(a.err, c.Log))
			if err != nil {
				return err
			}
			g.AdaptProcessors()
			return stopped(cmd.Context(), g.Serve(cmd.Context()))
		},
	}
}

func (a *app) hiveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hive",
		Short: "Run a hive: the meeting point and relay of your own gateways and peers",
		Long: "A hive lets gateways and peers behind routers find and reach each other. It sees no readings: every\n" +
			"stream stays encrypted from end to end. Run it where others can reach it, and put the line it prints\n" +
			"into p2p.hives of each gateway.",
		Example: "  peerbee hive\n  peerbee hive --config ./hive.toml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load(cmd)
			if err != nil {
				return err
			}
			h, err := hive.Build(cmd.Context(), c, newLogger(a.err, c.Log))
			if err != nil {
				return err
			}
			for _, addr := range h.Addresses() {
				fmt.Fprintln(a.out, addr)
			}
			return stopped(cmd.Context(), h.Serve(cmd.Context()))
		},
	}
}

// stopped turns the end that was asked for into success: a clean stop must not look like a failure to systemd.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return nil
	}
	return err
}

func newLogger(w io.Writer, c config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // the configuration was validated: only an unset level comes here
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
