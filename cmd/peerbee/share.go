package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"rsc.io/qr"

	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi/client"
)

func (a *app) shareCommand() *cobra.Command {
	var body api.Share
	var expires, life time.Duration
	var noQR bool
	cmd := &cobra.Command{
		Use:   "share DEVICE...",
		Short: "Make a one-time ticket that lets a peer read devices",
		Long: "Prints a ticket as text and as a QR code. Whoever redeems it first, with `peerbee subscribe`, may read the\n" +
			"named devices until the right expires or you revoke it. Give it over a channel you trust.",
		Example: "  sudo peerbee share kitchen\n  sudo peerbee share kitchen hallway --property temperature --expires 720h --label grandma\n  sudo peerbee share --all",

		ValidArgsFunction: a.completeDevices,
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := cmd.Flags().GetBool("all")
			if err != nil {
				return err
			}
			body.Devices = args
			if all {
				body.Devices = []string{"*"}
			}
			if len(body.Devices) == 0 {
				return usageError{"which device?", "for example: peerbee share kitchen, or peerbee share --all"}
			}
			body.Expires, body.TicketLife = seconds(expires), seconds(life)
			return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
				var t api.Ticket
				if err := c.Post(ctx, "/v1/shares", body, &t); err != nil {
					return err
				}
				return a.showTicket(t, noQR)
			})
		},
	}
	cmd.Flags().StringVar(&body.Label, "label", "", "a name for the peer, shown in peerbee access")
	cmd.Flags().StringSliceVar(&body.Properties, "property", nil, "only these properties")
	cmd.Flags().DurationVar(&expires, "expires", 0, "end of the right, for example 720h (default: never)")
	cmd.Flags().DurationVar(&life, "ticket-life", 24*time.Hour, "how long the ticket can be redeemed")
	cmd.Flags().BoolVar(&body.NoAddresses, "no-addresses", false, "leave this machine's addresses out: the peer finds it through the hives")
	cmd.Flags().BoolVar(&noQR, "no-qr", false, "print the text only")
	cmd.Flags().Bool("all", false, "every device, those paired later too")
	return cmd
}

func seconds(d time.Duration) api.Duration { return api.Duration(d / time.Second) }

func (a *app) showTicket(t api.Ticket, noQR bool) error {
	if a.format != formatTable {
		return a.print(t, nil)
	}
	if !noQR && terminal(a.out) {
		if err := a.showQR(t.Text); err != nil {
			return err
		}
	}
	fmt.Fprintln(a.out, t.Text)
	fmt.Fprintf(a.err, "one use, until %s; the peer runs: peerbee subscribe TICKET\n", t.Expires.Local().Format("2006-01-02 15:04"))
	for _, n := range t.Notices {
		fmt.Fprintf(a.err, "%s: %s\n", n.Severity, n.Text)
		if n.Hint != "" {
			fmt.Fprintln(a.err, "hint: "+n.Hint)
		}
	}
	return nil
}

// quiet is the light border that scanners want around a code (ISO/IEC 18004 section 9.1), in modules.
const quiet = 4

// showQR draws the ticket where the terminal is wide enough; a wrapped code would be noise. A ticket reads the
// same in capitals, and in capitals it takes the smaller alphanumeric mode.
func (a *app) showQR(ticket string) error {
	code, err := qr.Encode(strings.ToUpper(ticket), qr.L)
	if err != nil {
		return fmt.Errorf("QR code: %w", err)
	}
	if need := code.Size + 2*quiet; columns(a.out) < need {
		fmt.Fprintf(a.err, "no QR code: it takes a terminal of %d columns\n", need)
		return nil
	}
	drawQR(a.out, code)
	return nil
}

// drawQR draws two modules a character cell with half blocks, dark on light whatever the terminal's colours.
func drawQR(w io.Writer, code *qr.Code) {
	for y := -quiet; y < code.Size+quiet; y += 2 {
		var line strings.Builder
		line.WriteString("\x1b[30;107m")
		for x := -quiet; x < code.Size+quiet; x++ {
			line.WriteString(halfBlock(code.Black(x, y), code.Black(x, y+1)))
		}
		line.WriteString("\x1b[0m")
		fmt.Fprintln(w, line.String())
	}
}

func halfBlock(upper, lower bool) string {
	switch {
	case upper && lower:
		return "█"
	case upper:
		return "▀"
	case lower:
		return "▄"
	}
	return " "
}

func (a *app) accessCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "access",
		Short:   "Show who may see what; revoke it; read the audit log",
		Example: "  peerbee access\n  sudo peerbee access revoke grandma\n  peerbee access audit",
		Args:    oneOfCommands,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listAccess(cmd) },
	}
	list := &cobra.Command{
		Use: "list", Short: "Show who may see what", Example: "  peerbee access list -o json", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listAccess(cmd) },
	}
	revoke := &cobra.Command{
		Use: "revoke WHO", Short: "End everything a peer or ticket may see, now",
		Example: "  sudo peerbee access revoke grandma\n  sudo peerbee access revoke 12D3KooW...",
		Args:    oneArg("a label or peer ID", "peerbee access revoke grandma"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
				var r api.Revoked
				if err := c.Delete(ctx, "/v1/access/"+url.PathEscape(args[0]), &r); err != nil {
					return err
				}
				return a.print(r, func(w io.Writer) {
					row(w, "revoked", fmt.Sprintf("%s: %s, %s", args[0], counted(len(r.Peers), "peer"), counted(r.Tickets, "ticket")))
				})
			})
		},
	}
	audit := &cobra.Command{
		Use: "audit", Short: "Show grants, refusals and revocations", Example: "  peerbee access audit", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
				var list []api.Audit
				if err := c.Get(ctx, "/v1/audit", &list); err != nil {
					return err
				}
				return printList(a, list, func(w io.Writer) {
					row(w, "TIME", "WHO", "WHAT", "ON", "OUTCOME", "DETAIL")
					for _, l := range list {
						row(w, l.Time.Local().Format(time.DateTime), l.Actor, l.Action, orDash(l.Subject), l.Outcome, l.Detail)
					}
				})
			})
		},
	}
	cmd.AddCommand(list, revoke, audit)
	return cmd
}

func (a *app) listAccess(cmd *cobra.Command) error {
	return a.withDaemon(cmd, func(ctx context.Context, c *client.Client) error {
		var list []api.Access
		if err := c.Get(ctx, "/v1/access", &list); err != nil {
			return err
		}
		if len(list) == 0 && a.format == formatTable {
			fmt.Fprintln(a.err, "nobody but you sees anything\nhint: peerbee share DEVICE")
			return nil
		}
		return printList(a, list, func(w io.Writer) {
			row(w, "LABEL", "PEER", "MAY", "DEVICE", "PROPERTY", "STATE", "EXPIRES", "SEEN")
			for _, g := range list {
				row(w, orDash(g.Label), shortPeer(g.Peer), g.Action, g.DeviceName, g.Property, g.State, expiry(g.Expires), seen(g))
			}
		})
	})
}

func seen(g api.Access) string {
	if g.Connected {
		return "connected"
	}
	return ago(g.LastSeen)
}

// shortPeer keeps a peer ID's end: all Ed25519 peer IDs begin alike.
func shortPeer(id string) string {
	if len(id) > 10 {
		return "…" + id[len(id)-8:]
	}
	return orDash(id)
}

func expiry(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}
