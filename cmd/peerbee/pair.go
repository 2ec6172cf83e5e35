package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi/client"
)

// maxJoin is the longest a Zigbee network may be opened with one request (R22 section 2.4.3.3.7), in seconds.
const maxJoin = 254

func (a *app) pairCommand() *cobra.Command {
	var seconds int
	var router string
	var closeNow bool
	cmd := &cobra.Command{
		Use:     "pair",
		Short:   "Open the network so that sensors can join, and show them as they arrive",
		Long:    "Opens joining for at most 254 seconds and shows each sensor as it joins and is interviewed.\nPress the sensor's pairing button now. Joining closes when the time is over or you press Ctrl-C.",
		Example: "  peerbee pair\n  peerbee pair --for 60 --through hallway-plug\n  peerbee pair --close",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if seconds < 1 || seconds > maxJoin {
				return usageError{fmt.Sprintf("--for %d is out of range", seconds), fmt.Sprintf("use 1 to %d seconds", maxJoin)}
			}
			return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
				if closeNow {
					return c.Post(ctx, "/v1/pair", api.Pair{}, nil)
				}
				return a.pair(ctx, c, api.Pair{Seconds: uint8(seconds), Router: router}) // #nosec G115 -- checked above
			})
		},
	}
	cmd.Flags().IntVar(&seconds, "for", maxJoin, "how many seconds to keep joining open")
	cmd.Flags().StringVar(&router, "through", "", "open through this router only")
	cmd.Flags().BoolVar(&closeNow, "close", false, "close joining now")
	return cmd
}

func (a *app) pair(ctx context.Context, c *client.Client, p api.Pair) error {
	if err := a.offerToForm(ctx, c); err != nil {
		return err
	}
	window, cancel := context.WithTimeout(ctx, time.Duration(p.Seconds)*time.Second)
	defer cancel()
	opened := false
	err := c.Stream(window, "/v1/watch?kinds=device,left", func(line json.RawMessage) error {
		var e api.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("daemon's event: %w", err)
		}
		if !opened { // the first line is the stream's greeting: from here on no joiner is missed
			opened = true
			if err := c.Post(ctx, "/v1/pair", p, nil); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "joining is open for %d s: press the sensor's pairing button now (Ctrl-C closes)\n", p.Seconds)
		}
		return a.showJoin(e)
	})
	if errors.Is(err, context.DeadlineExceeded) {
		fmt.Fprintln(a.err, "joining is closed again")
		return nil
	}
	if ctx.Err() != nil && opened {
		shut, done := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer done()
		return errors.Join(ctx.Err(), c.Post(shut, "/v1/pair", api.Pair{}, nil))
	}
	return err
}

func (a *app) showJoin(e api.Event) error {
	if a.format != formatTable {
		return json.NewEncoder(a.out).Encode(e)
	}
	if e.Device == nil {
		return nil
	}
	switch {
	case e.Kind == "left":
		fmt.Fprintf(a.out, "%s  left\n", e.Device.ID)
	default:
		fmt.Fprintf(a.out, "%s  %-9s %s %s\n", e.Device.ID, e.Device.Interview, e.Device.Manufacturer, e.Device.Model)
	}
	return nil
}

// offerToForm asks, on a terminal only, whether a blank stick should get a network. It never forms unasked.
func (a *app) offerToForm(ctx context.Context, c *client.Client) error {
	var s api.Status
	if err := c.Get(ctx, "/v1/status", &s); err != nil {
		return err
	}
	if s.Zigbee.Phase != "needs-decision" || s.Zigbee.Hint != "peerbee network form" {
		return nil
	}
	if !a.confirm("The stick " + s.Zigbee.Stick + " holds no network. Form a new one?") {
		return nil // POST /v1/pair then answers with the problem and the command
	}
	var n api.Network
	if err := c.Post(ctx, "/v1/network/form", api.Form{}, &n); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "network formed: channel %d, PAN %s\n", n.Channel, n.PAN)
	return nil
}

func terminalIn(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) // #nosec G115 -- a file descriptor fits an int
}
