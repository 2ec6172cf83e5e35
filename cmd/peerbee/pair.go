package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi/client"
)

// maxJoin is the longest a Zigbee network may be opened with one request (R22 section 2.4.3.3.7), in seconds.
const maxJoin = 254

func (a *app) pairCommand() *cobra.Command {
	var seconds, count int
	var router string
	var closeNow bool
	cmd := &cobra.Command{
		Use:     "pair",
		Short:   "Open the network so that sensors can join, and show them as they arrive",
		Long:    "Opens joining for at most 254 seconds and shows each sensor as it joins and is interviewed.\nPress the sensor's pairing button now. Joining closes when the time is over or you press Ctrl-C.",
		Example: "  peerbee pair\n  peerbee pair --count 1\n  peerbee pair --for 60 --through hallway-plug\n  peerbee pair --close",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if seconds < 1 || seconds > maxJoin {
				return usageError{fmt.Sprintf("--for %d is out of range", seconds), fmt.Sprintf("use 1 to %d seconds", maxJoin)}
			}
			return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
				if closeNow {
					if err := c.Post(ctx, "/v1/pair", api.Pair{}, nil); err != nil {
						return err
					}
					fmt.Fprintln(a.err, "joining is closed")
					return nil
				}
				return a.pair(ctx, c, api.Pair{Seconds: uint8(seconds), Router: router}, count) // #nosec G115 -- checked above
			})
		},
	}
	cmd.Flags().IntVar(&seconds, "for", maxJoin, "how many seconds to keep joining open")
	cmd.Flags().IntVar(&count, "count", 0, "close as soon as this many sensors are ready (0: stay open)")
	cmd.Flags().StringVar(&router, "through", "", "open through this router only")
	cmd.Flags().BoolVar(&closeNow, "close", false, "close joining now")
	return cmd
}

// pairing is one open window: what has been shown of whom.
type pairing struct {
	a      *app
	line   *live
	shown  map[string]string // by address: the last state shown
	unsure map[string]bool   // joined, and not ready when last heard of
	ready  map[string]string // by address: the name
}

func (a *app) pair(ctx context.Context, c *client.Client, p api.Pair, count int) error {
	if err := a.offerToForm(ctx, c); err != nil {
		return err
	}
	window, cancel := context.WithTimeout(ctx, time.Duration(p.Seconds)*time.Second)
	defer cancel()
	view := &pairing{a: a, shown: map[string]string{}, unsure: map[string]bool{}, ready: map[string]string{}}
	err := c.Stream(window, "/v1/watch?kinds=device,left", func(line json.RawMessage) error {
		var e api.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("daemon's event: %w", err)
		}
		if view.line == nil { // the first line is the stream's greeting: from here on no joiner is missed
			if err := c.Post(ctx, "/v1/pair", p, nil); err != nil {
				return err
			}
			view.open(p.Seconds)
			return nil
		}
		if err := view.show(e); err != nil {
			return err
		}
		if count > 0 && len(view.ready) >= count {
			return errEnough
		}
		return nil
	})
	if view.line != nil {
		view.line.end()
	}
	enough := errors.Is(err, errEnough)
	if view.line != nil && (enough || ctx.Err() != nil) {
		shut, done := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer done()
		err = c.Post(shut, "/v1/pair", api.Pair{}, nil)
		view.close()
		return errors.Join(ctx.Err(), err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		view.close()
		return nil
	}
	return err
}

func (v *pairing) open(seconds uint8) {
	fmt.Fprintf(v.a.err, "joining is open for %d s: press the sensor's pairing button now (Ctrl-C closes)\n", seconds)
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	v.line = v.a.liveLine(func() string {
		return fmt.Sprintf("%s ready, open for %d s more", counted(len(v.ready), "sensor"), max(0, int(time.Until(end).Seconds())))
	})
}

// show prints a device's line when its state changes: an interview tells of each of its steps, and most look
// alike to a person.
func (v *pairing) show(e api.Event) error {
	if e.Device == nil {
		return nil
	}
	d := *e.Device
	state := interviewWord(d.Interview)
	if e.Kind == "left" {
		state = "left"
	}
	text := strings.TrimRight(fmt.Sprintf("%s  %-12s  %s %s", d.ID, state, d.Manufacturer, d.Model), " ")
	v.line.above(func() {
		delete(v.ready, d.ID)
		delete(v.unsure, d.ID)
		switch {
		case e.Kind == "left":
		case d.Interview == "done":
			v.ready[d.ID] = d.Name
		default:
			v.unsure[d.ID] = true
		}
		if v.a.format == formatTable && v.shown[d.ID] != state {
			v.shown[d.ID] = state
			fmt.Fprintln(v.a.out, text)
		}
	})
	if v.a.format != formatTable {
		return json.NewEncoder(v.a.out).Encode(e)
	}
	return nil
}

// close sums up and names the next step.
func (v *pairing) close() {
	fmt.Fprintf(v.a.err, "joining is closed again: %s ready\n", counted(len(v.ready), "sensor"))
	for _, id := range slices.Sorted(maps.Keys(v.unsure)) {
		fmt.Fprintf(v.a.err, "hint: %s is not interviewed to the end: press its button once to wake it, it goes on by itself\n", id)
	}
	for _, id := range slices.Sorted(maps.Keys(v.ready)) {
		if v.ready[id] == id {
			fmt.Fprintf(v.a.err, "hint: give it a name: peerbee devices rename %s NAME\n", id)
		}
	}
	if len(v.ready)+len(v.unsure) == 0 {
		fmt.Fprintln(v.a.err, "hint: hold the sensor's button until its light blinks, close to the stick, and run peerbee pair again")
	}
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
	if !a.confirm(fmt.Sprintf("%s: %s. Form a new network?", s.Zigbee.Stick, s.Zigbee.Problem)) {
		return nil // POST /v1/pair then answers with the problem and the command
	}
	var n api.Network
	done := a.progress("forming a network")
	err := c.Post(ctx, "/v1/network/form", api.Form{}, &n)
	done()
	if err != nil {
		return err
	}
	fmt.Fprintf(a.err, "network formed: channel %d, PAN %s\n", n.Channel, n.PAN)
	return nil
}

func terminalIn(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) // #nosec G115 -- a file descriptor fits an int
}
