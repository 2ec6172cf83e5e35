package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi/client"
)

func (a *app) networkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "network",
		Short:   "Form a Zigbee network, adopt the one on the stick, or back it up",
		Long:    "Nothing here ever happens by itself: a blank stick stays blank and a foreign network stays untouched\nuntil you say form or adopt.",
		Example: "  peerbee network show\n  sudo peerbee network form --channel 15\n  sudo peerbee network adopt\n  sudo peerbee network backup -f network.json.age",
		Args:    oneOfCommands,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.showNetwork(cmd) },
	}
	show := &cobra.Command{
		Use: "show", Short: "Show the network on the stick", Example: "  peerbee network show", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.showNetwork(cmd) },
	}
	var channel uint8
	form := &cobra.Command{
		Use: "form", Short: "Form a new network on a blank stick, with a fresh random key",
		Example: "  sudo peerbee network form\n  sudo peerbee network form --channel 20", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.changeNetwork(cmd, "/v1/network/form", api.Form{Channel: channel}, "formed")
		},
	}
	form.Flags().Uint8Var(&channel, "channel", 0, "radio channel 11 to 26 (default 15)")
	adopt := &cobra.Command{
		Use: "adopt", Short: "Take over the network already on the stick, without writing to it",
		Example: "  sudo peerbee network adopt", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.changeNetwork(cmd, "/v1/network/adopt", nil, "adopted")
		},
	}
	cmd.AddCommand(show, form, adopt, a.networkBackupCommand())
	return cmd
}

func (a *app) changeNetwork(cmd *cobra.Command, path string, body any, verb string) error {
	return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
		done := a.progress("talking to the stick")
		var n api.Network
		err := c.Post(ctx, path, body, &n)
		done()
		if err != nil {
			return err
		}
		return a.print(n, func(w io.Writer) {
			row(w, "network "+verb, fmt.Sprintf("channel %d, PAN %s, extended PAN %s", n.Channel, n.PAN, n.ExtendedPAN))
			row(w, "next", "peerbee pair")
		})
	})
}

func (a *app) showNetwork(cmd *cobra.Command) error {
	return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
		var s api.Status
		if err := c.Get(ctx, "/v1/status", &s); err != nil {
			return err
		}
		return a.print(s.Zigbee, func(w io.Writer) {
			row(w, "state", s.Zigbee.Phase)
			if n := s.Zigbee.Network; n != nil {
				row(w, "channel", fmt.Sprint(n.Channel))
				row(w, "PAN", n.PAN)
				row(w, "extended PAN", n.ExtendedPAN)
				row(w, "coordinator", n.Coordinator)
				row(w, "key fingerprint", n.KeySum)
			}
			if s.Zigbee.Problem != "" {
				row(w, "problem", s.Zigbee.Problem)
				row(w, "", "hint: "+s.Zigbee.Hint)
			}
		})
	})
}
