package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi/client"
	"github.com/peerbee/peerbee/gateway/reading"
)

func (a *app) devicesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "devices",
		Aliases: []string{"device"},
		Short:   "List the paired devices; show, rename or remove one",
		Example: "  peerbee devices\n  peerbee devices show kitchen\n  peerbee devices rename 00158d0001020304 kitchen",
		Args:    oneOfCommands,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listDevices(cmd) },
	}
	list := &cobra.Command{
		Use: "list", Short: "List the paired devices", Example: "  peerbee devices list -o json", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listDevices(cmd) },
	}
	show := &cobra.Command{
		Use: "show DEVICE", Short: "Show one device with its properties, endpoints and ledger chain",
		Example: "  peerbee devices show kitchen", Args: oneArg("a device's name or address", "peerbee devices show kitchen"),
		ValidArgsFunction: a.completeDevice,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.showDevice(cmd, args[0]) },
	}
	rename := &cobra.Command{
		Use: "rename DEVICE NAME", Short: "Give a device a name", Example: "  peerbee devices rename 00158d0001020304 kitchen",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return usageError{"expected a device and its new name", "for example: peerbee devices rename 00158d0001020304 kitchen"}
		},
		ValidArgsFunction: a.completeDevice,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
				var d api.Device
				if err := c.Patch(ctx, devicePath(args[0]), api.Rename{Name: args[1]}, &d); err != nil {
					return err
				}
				return a.print(d, func(w io.Writer) { row(w, d.ID, "is now "+d.Name) })
			})
		},
	}
	cmd.AddCommand(list, show, rename, a.removeCommand())
	return cmd
}

func (a *app) removeCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "remove DEVICE", Short: "Ask a device to leave the network, end its shares and release it in the ledger",
		Example: "  peerbee devices remove kitchen\n  peerbee devices remove --force kitchen   when it does not answer any more",
		Args:    oneArg("a device's name or address", "peerbee devices remove kitchen"),

		ValidArgsFunction: a.completeDevice,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
				path := devicePath(args[0])
				if force {
					path += "?force=true"
				}
				done := a.progress("asking " + args[0] + " to leave")
				err := c.Delete(ctx, path, nil)
				done()
				if err != nil {
					return err
				}
				fmt.Fprintln(a.err, "removed "+args[0])
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "forget the device even if it does not answer")
	return cmd
}

func devicePath(device string) string { return "/v1/devices/" + url.PathEscape(device) }

func (a *app) listDevices(cmd *cobra.Command) error {
	return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
		var list []api.Device
		if err := c.Get(ctx, "/v1/devices", &list); err != nil {
			return err
		}
		if len(list) == 0 && a.format == formatTable {
			fmt.Fprintln(a.err, "no devices yet\nhint: peerbee pair")
			return nil
		}
		return printList(a, list, func(w io.Writer) {
			row(w, "NAME", "ADDRESS", "MODEL", "STATE", "SEEN", "LQI", "LAST VALUES")
			for _, d := range list {
				row(w, d.Name, d.ID, modelOf(d), interviewWord(d.Interview), ago(d.LastSeen),
					fmt.Sprint(d.LinkQuality), lastValues(d.Properties))
			}
		})
	})
}

func modelOf(d api.Device) string { return orDash(strings.TrimSpace(d.Manufacturer + " " + d.Model)) }

// interviewWord says what the state of a device's interview means to its owner; -o json has the exact word.
func interviewWord(state string) string {
	switch state {
	case "done":
		return "ready"
	case "pending":
		return "joined"
	case "partial":
		return "interviewing"
	}
	return orDash(state)
}

// shownValues is how many of a device's values fit a line of the list.
const shownValues = 4

// lastValues gives what the device measures first and the state of its battery last.
func lastValues(props []api.Property) string {
	var measured, battery []reading.Value
	units := map[string]string{}
	for _, p := range props {
		units[p.Name] = p.Unit
		v := reading.Value{Name: p.Name, Value: p.Value}
		switch {
		case p.Value == nil:
		case strings.HasPrefix(p.Name, "battery"):
			battery = append(battery, v)
		default:
			measured = append(measured, v)
		}
	}
	all := append(measured, battery...)
	more := ""
	if len(all) > shownValues {
		all, more = all[:shownValues], ", ..."
	}
	return orDash(reading.Summary(all, units, false)) + more
}

func (a *app) showDevice(cmd *cobra.Command, device string) error {
	return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
		var d api.Device
		if err := c.Get(ctx, devicePath(device), &d); err != nil {
			return err
		}
		return a.print(d, func(w io.Writer) {
			row(w, "name", d.Name)
			row(w, "address", d.ID+" ("+d.Network+")")
			row(w, "model", modelOf(d))
			row(w, "type", orDash(d.Type)+", "+orDash(d.Power))
			row(w, "state", interviewWord(d.Interview))
			row(w, "seen", fmt.Sprintf("%s, link quality %d", ago(d.LastSeen), d.LinkQuality))
			row(w, "ledger", orDash(d.Chain))
			for _, e := range d.Endpoints {
				row(w, fmt.Sprintf("endpoint %d", e.ID), fmt.Sprintf("profile %s, in %s, out %s", e.Profile, strings.Join(e.In, " "), orDash(strings.Join(e.Out, " "))))
			}
			for _, p := range d.Properties {
				row(w, p.Name, shown(p.Value, p.Unit), ago(p.Time))
			}
		})
	})
}
