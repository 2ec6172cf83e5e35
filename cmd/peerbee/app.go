package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/gateway/localapi/client"
)

// Exit codes: scripts may rely on them.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// app carries what every command needs; it holds no state of its own beyond the flags.
type app struct {
	in       io.Reader
	out, err io.Writer

	configPath string
	socket     string
	format     string
}

// run is main without the process: tests call it.
func run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) int {
	a := &app{in: in, out: out, err: errw}
	root := a.root() //nolint:contextcheck // each command takes the context from cobra
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitOK // Ctrl-C is how a person ends watch, subscribe and the daemon
	}
	a.report(err)
	var u usageError
	if errors.As(err, &u) {
		return exitUsage
	}
	return exitFailed
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "peerbee",
		Short: "Zigbee sensors, straight from your gateway to the peers you allow",
		Long: "peerbee reads Zigbee sensors through a coordinator stick, keeps their readings, and streams them\n" +
			"end to end encrypted to the peers you allow. No cloud, no third party.",
		Example:           "  peerbee demo                 the whole thing on this machine, no hardware needed\n  peerbee status               how the daemon is\n  peerbee watch                live readings",
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              oneOfCommands,
		RunE:              showHelp,
		PersistentPreRunE: a.checkCommandFormat,
	}
	root.PersistentFlags().StringVar(&a.configPath, "config", config.DefaultPath, "configuration file; conf.d/*.toml beside it is read too")
	root.PersistentFlags().StringVar(&a.socket, "socket", "", "the daemon's local socket (default: the configuration's api.socket)")
	root.PersistentFlags().StringVarP(&a.format, "output", "o", "table", "output format: table, json or jsonl")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{text: err.Error(), hint: c.CommandPath() + " --help"}
	})
	root.AddCommand(
		a.daemonCommand(), a.hiveCommand(), a.statusCommand(), a.doctorCommand(), a.networkCommand(), a.pairCommand(),
		a.devicesCommand(), a.watchCommand(), a.historyCommand(), a.shareCommand(), a.accessCommand(), a.subscribeCommand(),
		a.ledgerCommand(), a.simCommand(), a.demoCommand(), a.configCommand(), a.versionCommand(), a.manCommand(),
	)
	completeFormats(root)
	return root
}

// usageError is a command line that cannot be meant.
type usageError struct{ text, hint string }

func (e usageError) Error() string    { return e.text }
func (e usageError) NextStep() string { return e.hint }

// report prints an error the one way errors look here.
func (a *app) report(err error) {
	fmt.Fprintln(a.err, "error: "+strings.TrimSpace(firstLine(err)))
	var step interface{ NextStep() string }
	if errors.As(err, &step) && step.NextStep() != "" {
		fmt.Fprintln(a.err, "hint: "+step.NextStep())
	}
}

func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// load reads the configuration. The default path may be missing; one named by hand may not.
func (a *app) load(cmd *cobra.Command) (config.Config, error) {
	return config.Load(a.configPath, !cmd.Flags().Changed("config"))
}

// daemon gives a client of the local daemon.
func (a *app) daemon(cmd *cobra.Command) (*client.Client, error) {
	if a.socket != "" {
		return client.New(a.socket), nil
	}
	if s := os.Getenv("PEERBEE_SOCKET"); s != "" {
		return client.New(s), nil
	}
	c, err := a.load(cmd)
	if err != nil {
		return nil, err
	}
	return client.New(c.API.Socket), nil
}

// withDaemon runs f with a client and closes it.
func (a *app) withDaemon(cmd *cobra.Command, f func(context.Context, *client.Client) error) error {
	c, err := a.daemon(cmd)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(cmd.Context(), c)
}

// terminal reports whether w is a screen a person looks at.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) // #nosec G115 -- a file descriptor fits an int
}

// columns is the width of the terminal behind w, 0 when there is none.
func columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd())) // #nosec G115 -- a file descriptor fits an int
	if err != nil {
		return 0
	}
	return width
}
