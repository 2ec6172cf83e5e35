package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/zigbee/sim"
)

func (a *app) simCommand() *cobra.Command {
	var c sim.Config
	var realistic bool
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Run a simulated stick with sensors: everything but the radio is real",
		Long: "Speaks the bytes of a Z-Stack stick on a pseudo terminal or a TCP port. Point zigbee.port of a gateway, or\n" +
			"any other program for such sticks, at it. Kinds of sensors: " + strings.Join(sim.Kinds(), ", ") + ".",
		Example: "  peerbee sim --pty /tmp/stick --sensors temperature,contact,plug --control /tmp/stick.ctl\n" +
			"  peerbee sim --tcp 127.0.0.1:6638 --nv dump.json\n  peerbee sim --pty /tmp/stick --replay recording.jsonl",
		Args: oneOfCommands,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Log = newLogger(a.err, config.Log{Level: "info"})
			if realistic {
				c.Delays = sim.RealDelays
			}
			return stopped(cmd.Context(), sim.Run(cmd.Context(), c))
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.PTY, "pty", "", "path of the link to the simulated serial port")
	f.StringVar(&c.TCP, "tcp", "", "listen on this address instead")
	f.StringVar(&c.NV, "nv", "", "memory dump the stick starts from (default: a blank stick)")
	f.StringVar(&c.NVSave, "nv-save", "", "file the memory is kept in, across runs")
	f.BoolVar(&c.Packed, "cc2531", false, "a blank stick is a CC2531 with Z-Stack 3.0.x")
	f.StringSliceVar(&c.Sensors, "sensors", []string{"temperature", "contact"}, "sensors: KIND, KIND*COUNT, +joined for members")
	f.StringVar(&c.Control, "control", "", "path of the control socket")
	f.StringVar(&c.Replay, "replay", "", "play recorded frames once the host is up")
	f.StringSliceVar(&c.ReplayAs, "replay-as", nil, "which sensor a recorded address is: 0x56c5=pressure-1")
	f.Uint64Var(&c.Seed, "seed", 1, "values and faults follow from it")
	f.DurationVar(&c.Interval, "interval", 0, "time between samples (default: each kind's own)")
	f.BoolVar(&c.ManualJoin, "manual-join", false, "sensors join only when told to")
	f.BoolVar(&realistic, "delays", false, "take the time a real stick takes")
	cmd.AddCommand(a.simControlCommand())
	return cmd
}

// controlVerbs are the operations of `peerbee sim ctl`, by name, with the number of arguments each takes.
var controlVerbs = map[string]struct {
	args int
	run  func(ctx context.Context, c *sim.Client, args []string) (any, error)
}{
	"sensors": {0, func(ctx context.Context, c *sim.Client, _ []string) (any, error) { return c.Sensors(ctx) }},
	"stats":   {0, func(ctx context.Context, c *sim.Client, _ []string) (any, error) { return c.Stats(ctx) }},
	"set": {3, func(ctx context.Context, c *sim.Client, args []string) (any, error) {
		return nil, c.Set(ctx, args[0], args[1], parseValue(args[2]))
	}},
	"join": {1, func(ctx context.Context, c *sim.Client, args []string) (any, error) { return nil, c.Join(ctx, args[0]) }},
	"leave": {1, func(ctx context.Context, c *sim.Client, args []string) (any, error) {
		return nil, c.Leave(ctx, args[0])
	}},
	"press": {1, func(ctx context.Context, c *sim.Client, args []string) (any, error) {
		return nil, c.Press(ctx, args[0])
	}},
	"move":   {1, func(ctx context.Context, c *sim.Client, args []string) (any, error) { return nil, c.Move(ctx, args[0]) }},
	"reset":  {0, func(ctx context.Context, c *sim.Client, _ []string) (any, error) { return nil, c.Reset(ctx) }},
	"stray":  {0, func(ctx context.Context, c *sim.Client, _ []string) (any, error) { return nil, c.Stray(ctx) }},
	"pause":  {0, func(ctx context.Context, c *sim.Client, _ []string) (any, error) { return nil, c.Pause(ctx) }},
	"resume": {0, func(ctx context.Context, c *sim.Client, _ []string) (any, error) { return nil, c.Resume(ctx) }},
	"stall":  {1, forSpan((*sim.Client).Stall)},
	"unplug": {1, forSpan((*sim.Client).Unplug)},
}

func forSpan(f func(*sim.Client, context.Context, time.Duration) error) func(context.Context, *sim.Client, []string) (any, error) {
	return func(ctx context.Context, c *sim.Client, args []string) (any, error) {
		d, err := time.ParseDuration(args[0])
		if err != nil {
			return nil, usageError{fmt.Sprintf("%q is not a span", args[0]), "write for example 10s"}
		}
		return nil, f(c, ctx, d)
	}
}

// parseValue takes a bool or a number, as the control socket does.
func parseValue(text string) any {
	if b, err := strconv.ParseBool(text); err == nil && (text == "true" || text == "false") {
		return b
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return f
	}
	return text
}

func (a *app) simControlCommand() *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use:   "ctl VERB [ARG...]",
		Short: "Steer a running simulation: values, joins, faults",
		Long: "Verbs: sensors, stats, set SENSOR PROPERTY VALUE, join SENSOR, leave SENSOR, press SENSOR, move SENSOR, reset,\n" +
			"stray, stall SPAN, unplug SPAN, pause, resume.",
		Example: "  peerbee sim ctl --control /tmp/stick.ctl set temperature-1 temperature 23.5\n  peerbee sim ctl --control /tmp/stick.ctl unplug 10s",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{"which verb?", cmd.CommandPath() + " --help"}
			}
			if verb, ok := controlVerbs[args[0]]; !ok || len(args)-1 != verb.args {
				return usageError{fmt.Sprintf("cannot %q", strings.Join(args, " ")), cmd.CommandPath() + " --help"}
			}
			return nil
		},
		ValidArgs: slices.Sorted(maps.Keys(controlVerbs)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if socket == "" {
				return usageError{"which simulation?", "name its socket: --control PATH, the same as given to peerbee sim"}
			}
			c, err := sim.Dial(socket)
			if err != nil {
				return err
			}
			answer, err := controlVerbs[args[0]].run(cmd.Context(), c, args[1:])
			if err != nil || answer == nil {
				return err
			}
			return a.print(answer, func(w io.Writer) {
				enc := json.NewEncoder(w)
				enc.SetIndent("", "  ")
				if err := enc.Encode(answer); err != nil {
					fmt.Fprintln(w, err)
				}
			})
		},
	}
	cmd.Flags().StringVar(&socket, "control", "", "path of the simulation's control socket")
	return cmd
}
