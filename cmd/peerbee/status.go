package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi/client"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show how the daemon, the stick, the peers and the ledger are",
		Example: "  peerbee status\n  peerbee status -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
				var s api.Status
				if err := c.Get(ctx, "/v1/status", &s); err != nil {
					return err
				}
				return a.print(s, func(w io.Writer) { statusTable(w, s) })
			})
		},
	}
}

func statusTable(w io.Writer, s api.Status) {
	row(w, "gateway", fmt.Sprintf("%s, version %s, up %s", s.Name, s.Version, s.Uptime))
	row(w, "zigbee", zigbeeLine(s.Zigbee))
	if s.Zigbee.Stick != "" {
		row(w, "stick", s.Zigbee.Stick+" on "+s.Zigbee.Port)
	}
	row(w, "p2p", p2pLine(s.P2P))
	if s.P2P.PeerID != "" {
		row(w, "peer id", s.P2P.PeerID)
	}
	row(w, "history", fmt.Sprintf("%s, kept %s", counted(int(s.Store.Readings), "reading"), s.Store.Retention))
	row(w, "ledger", fmt.Sprintf("%s, %s, owner %s", counted(int(s.Ledger.Size), "record"), counted(s.Ledger.Devices, "device"), s.Ledger.Owner))
	for _, n := range s.Notices {
		row(w, n.Severity, n.Text)
		if n.Hint != "" {
			row(w, "", "hint: "+n.Hint)
		}
	}
}

func zigbeeLine(z api.Zigbee) string {
	parts := []string{z.Phase}
	if z.Network != nil {
		parts = append(parts, fmt.Sprintf("channel %d, PAN %s", z.Network.Channel, z.Network.PAN))
	}
	parts = append(parts, counted(z.Devices, "device")+", "+counted(int(z.Reports), "report"))
	if z.JoinOpen {
		parts = append(parts, "joining is open")
	}
	return strings.Join(parts, "; ")
}

func p2pLine(p api.P2P) string {
	if p.Mode == "off" {
		return "off"
	}
	return fmt.Sprintf("%s; %s, %s, %s", p.Mode, counted(p.Connections, "connection"), counted(p.Subscribers, "subscriber"), counted(p.Hives, "hive"))
}
