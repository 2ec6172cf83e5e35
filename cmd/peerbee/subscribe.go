package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/subscriber"
)

func (a *app) subscribeCommand() *cobra.Command {
	var o subscriber.Options
	var name string
	var devices, properties []string
	var every time.Duration
	var count int
	var noSnapshot bool
	var level string
	cmd := &cobra.Command{
		Use:   "subscribe TICKET|NAME",
		Short: "Read another gateway's sensors: redeem its ticket once, then follow by name",
		Long: "With a ticket (or - to read it from standard input) it enrols with the gateway and follows its readings.\n" +
			"Afterwards `peerbee subscribe NAME` resumes where it stopped: nothing is lost or shown twice; what the\n" +
			"gateway no longer holds is shown as a gap.",
		Example: "  peerbee subscribe peerbee1...\n  xclip -o | peerbee subscribe - --name attic\n  peerbee subscribe attic -o jsonl",
		Args:    oneArg("a ticket, a gateway's name, or -", "peerbee subscribe peerbee1..."),
		RunE: func(cmd *cobra.Command, args []string) error {
			what := args[0]
			if what == "-" {
				line, err := readTicket(a.in)
				if err != nil {
					return err
				}
				what = line
			}
			o.Log = newLogger(a.err, config.Log{Level: level})
			return a.subscribe(cmd.Context(), o, what, name, subscriber.Filter{
				Devices: devices, Properties: properties, MinInterval: every, Snapshot: !noSnapshot,
			}, count)
		},
	}
	cmd.Flags().StringVar(&o.Dir, "state", defaultState(), "folder of this peer's key, gateways and positions")
	cmd.Flags().StringSliceVar(&o.Hives, "hive", nil, "further hives to look through (multiaddr ending in /p2p/ID)")
	cmd.Flags().StringVar(&name, "name", "", "name to keep the gateway under (default: the gateway's own)")
	cmd.Flags().StringSliceVar(&devices, "device", nil, "only these devices (address)")
	cmd.Flags().StringSliceVar(&properties, "property", nil, "only these properties")
	cmd.Flags().DurationVar(&every, "every", 0, "at most one reading per device in this time")
	cmd.Flags().IntVar(&count, "count", 0, "stop after this many readings (0: never)")
	cmd.Flags().BoolVar(&o.NoMDNS, "no-mdns", false, "do not look on the local network")
	cmd.Flags().StringSliceVar(&o.Listen, "listen", nil, "multiaddrs to listen on (default: any free port)")
	cmd.Flags().StringVar(&level, "log-level", "warn", "debug, info, warn or error")
	cmd.Flags().BoolVar(&noSnapshot, "no-snapshot", false, "do not start with the latest values")
	return cmd
}

func defaultState() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ".peerbee"
	}
	return filepath.Join(dir, "peerbee")
}

// maxTicketText bounds what is read from standard input; a ticket is below 2 kB.
const maxTicketText = 16 << 10

func readTicket(r io.Reader) (string, error) {
	b, err := io.ReadAll(bufio.NewReader(io.LimitReader(r, maxTicketText)))
	if err != nil {
		return "", fmt.Errorf("read the ticket: %w", err)
	}
	if text := strings.TrimSpace(string(b)); text != "" {
		return text, nil
	}
	return "", usageError{"no ticket on standard input", "for example: echo peerbee1... | peerbee subscribe -"}
}

var errEnough = errors.New("enough readings")

func (a *app) subscribe(ctx context.Context, o subscriber.Options, what, name string, f subscriber.Filter, count int) error {
	peer, err := subscriber.Open(ctx, o)
	if err != nil {
		return err
	}
	err = a.follow(ctx, peer, what, name, f, count)
	closed := peer.Close()
	if errors.Is(err, errEnough) {
		return closed
	}
	return errors.Join(stopped(ctx, err), closed)
}

func (a *app) follow(ctx context.Context, peer *subscriber.Peer, what, name string, f subscriber.Filter, count int) error {
	gateway := what
	if subscriber.IsTicket(what) {
		done := a.progress("enrolling")
		enrolled, err := peer.Enrol(ctx, what, name)
		done()
		if err != nil {
			return err
		}
		gateway = enrolled
		fmt.Fprintf(a.err, "enrolled; from now on: peerbee subscribe %s\n", gateway)
	}
	a.readingHeader(liveTime)
	n, state := 0, ""
	return peer.Subscribe(ctx, gateway, f, func(e subscriber.Event) error {
		news := e.State != state // a gateway that stays away is worth one line, not one for every try
		if e.State != "" {
			state = e.State
		}
		if a.format != formatTable || e.State == "" || news {
			if err := a.showDelivery(e); err != nil {
				return err
			}
		}
		if e.Reading != nil && !e.Snapshot {
			if n++; n == count {
				return errEnough
			}
		}
		return nil
	})
}

func (a *app) showDelivery(e subscriber.Event) error {
	if a.format != formatTable {
		return json.NewEncoder(a.out).Encode(e)
	}
	switch {
	case e.Reading != nil:
		a.readingRow(shownReading(e), liveTime, false)
	case e.Gap != nil:
		fmt.Fprintf(a.err, "gap: %s readings %d to %d are gone (%s)\n", e.Gap.Device, e.Gap.From, e.Gap.To, e.Gap.Reason)
	case e.State == "interrupted":
		fmt.Fprintf(a.err, "%s interrupted (%s); trying again until Ctrl-C\n", e.Gateway, e.Detail)
		fmt.Fprintln(a.err, "hint: if it stays away, its gateway is off, elsewhere, or has ended your access: ask its owner")
	case e.State != "":
		fmt.Fprintf(a.err, "%s %s (%s)\n", e.Gateway, e.State, e.Detail)
	}
	return nil
}

func shownReading(e subscriber.Event) api.Reading {
	r := api.Reading{Device: e.Reading.Stream, Name: e.Name, Seq: e.Reading.Seq, Time: e.Reading.Time}
	for _, v := range e.Reading.Values {
		r.Values = append(r.Values, api.Value{Name: v.Name, Value: v.Value, Unit: e.Units[v.Name]})
	}
	return r
}
