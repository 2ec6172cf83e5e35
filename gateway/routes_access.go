package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/peerbee/peerbee/config"
	"github.com/peerbee/peerbee/gateway/access"
	"github.com/peerbee/peerbee/gateway/api"
	"github.com/peerbee/peerbee/gateway/localapi"
	"github.com/peerbee/peerbee/gateway/store"
	"github.com/peerbee/peerbee/p2p"
)

const maxTicketLife = 30 * 24 * time.Hour

// share makes a ticket. What it gives stands in the store; the ticket's text only says how to reach the gateway.
func (g *Gateway) share(ctx context.Context, r *localapi.Request) (any, error) {
	var body api.Share
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if err := g.published.explainOff(); err != nil {
		return nil, err
	}
	req := access.ShareRequest{
		Actor: actor(r.Caller), Label: body.Label, Properties: body.Properties,
		RightsFor: time.Duration(body.Expires) * time.Second, TicketFor: time.Duration(body.TicketLife) * time.Second,
	}
	names, err := g.shareDevices(&req, body.Devices)
	if err != nil {
		return nil, err
	}
	if req.TicketFor <= 0 {
		req.TicketFor = access.DefaultTicketFor
	}
	if req.TicketFor > maxTicketLife {
		return nil, localapi.Errorf(http.StatusBadRequest, "a ticket lives at most 30 days").WithHint("give the right itself a long life with --expires")
	}
	if req.Label == "" {
		req.Label = strings.Join(names, "-")
	}
	made, err := g.access.Share(ctx, req)
	if err != nil {
		return nil, err
	}
	g.published.readmit()
	text, err := g.ticket(made, rightsLine(names, body.Properties), body.NoAddresses)
	if err != nil {
		return nil, err
	}
	ends := made.Expires
	if ends.IsZero() { // the clock was never set: the gateway counts its uptime instead
		ends = g.now().Add(req.TicketFor)
	}
	return api.Ticket{Text: text, Label: req.Label, Expires: ends, Notices: g.shareNotices()}, nil
}

func (g *Gateway) shareDevices(req *access.ShareRequest, devices []string) (names []string, err error) {
	if len(devices) == 0 {
		return nil, localapi.Errorf(http.StatusBadRequest, "which device?").WithHint("peerbee devices lists them")
	}
	for _, d := range devices {
		if d == access.All {
			req.Devices, names = append(req.Devices, access.All), append(names, "all")
			continue
		}
		m, err := g.device(d)
		if err != nil {
			return nil, err
		}
		req.Devices, names = append(req.Devices, m.key), append(names, g.roster.name(m.key))
	}
	return names, nil
}

// maxRightsLine is what a ticket shows of its rights at most, in bytes.
const maxRightsLine = 128

// rightsLine says for people what a ticket gives; the gateway goes by its own record.
func rightsLine(names, properties []string) string {
	line := "read " + strings.Join(names, ", ")
	if len(properties) > 0 {
		line += " (" + strings.Join(properties, ", ") + ")"
	}
	if len(line) > maxRightsLine {
		line = fmt.Sprintf("read %d devices", len(names))
	}
	return line
}

func (g *Gateway) ticket(made access.Ticket, rights string, noAddresses bool) (string, error) {
	t := p2p.Ticket{
		Gateway: g.published.id(), ID: made.ID, Secret: p2p.Secret(made.Secret), Role: made.Role, Rights: rights,
		Expires: made.Expires.Truncate(time.Second), Hives: g.published.hives, Discovery: made.DiscoverySecret,
	}
	if !noAddresses {
		t.Addrs = g.published.ticketAddrs()
	}
	text, err := t.Text()
	if err != nil {
		return "", fmt.Errorf("write the ticket: %w", err)
	}
	return text, nil
}

// shareNotices says where the ticket will work and where not.
func (g *Gateway) shareNotices() []api.Notice {
	s := g.published.status()
	switch {
	case len(s.Addresses) == 0 && len(g.published.hives) == 0:
		return []api.Notice{{
			Code: "unreachable", Severity: "warning", Text: "nobody can reach this gateway now: it has no address and no hive",
			Hint: "connect it to a network, or configure p2p.hives",
		}}
	case g.config.P2P.Mode == config.ModeLAN:
		return []api.Notice{{
			Code: "lan-only", Severity: "warning", Text: "the ticket works on this network only",
			Hint: "set p2p.mode = \"on\" and p2p.hives to share beyond it",
		}}
	case len(g.published.hives) == 0:
		return []api.Notice{{
			Code: "no-hive", Severity: "warning", Text: "without a hive, peers elsewhere reach this gateway only if its own address is public",
			Hint: "run peerbee hive on a machine others can reach, and configure p2p.hives",
		}}
	}
	return nil
}

func (g *Gateway) listAccess(context.Context, *localapi.Request) (any, error) {
	peers, tickets := g.access.List()
	list := []api.Access{}
	for _, e := range peers {
		for _, r := range e.Rights {
			list = append(list, api.Access{
				Peer: e.Peer.String(), Label: e.Label, Role: e.Role, Device: r.Device, DeviceName: g.sharedName(r.Device), Property: r.Property,
				Action: r.Action, State: "active", Created: r.Created, Expires: g.ends(r.Expires), LastSeen: e.Seen, Connected: g.published.connected(e.Peer),
			})
		}
	}
	for _, k := range tickets {
		for _, r := range k.Rights {
			list = append(list, api.Access{
				Label: k.Label, Role: k.Role, Device: r.Device, DeviceName: g.sharedName(r.Device), Property: r.Property,
				Action: r.Action, State: "ticket", Created: k.Created, Expires: g.ends(k.Expires),
			})
		}
	}
	return list, nil
}

// ends gives a deadline as a time for people: without a clock, as far ahead as the uptime it waits for.
func (g *Gateway) ends(d store.Deadline) time.Time {
	if d.Wall.IsZero() && d.Uptime > 0 {
		return g.now().Add(d.Uptime - g.store.Uptime())
	}
	return d.Wall
}

func (g *Gateway) sharedName(device string) string {
	if device == access.All {
		return "all"
	}
	return g.roster.name(device)
}

func (g *Gateway) revoke(ctx context.Context, r *localapi.Request) (any, error) {
	who := r.PathValue("who")
	ended, err := g.access.Revoke(ctx, who, actor(r.Caller))
	if errors.Is(err, access.ErrNotFound) {
		return nil, localapi.Errorf(http.StatusNotFound, "nobody has access as %q", who).WithHint("peerbee access lists labels and peer IDs")
	}
	if err != nil {
		return nil, err
	}
	out := api.Revoked{Peers: []string{}, Tickets: ended.Tickets}
	for _, p := range ended.Peers {
		out.Peers = append(out.Peers, p.String())
	}
	return out, nil
}

// maxAudit bounds one answer of the audit log; the newest lines are shown.
const maxAudit = 1000

func (g *Gateway) listAudit(ctx context.Context, _ *localapi.Request) (any, error) {
	lines, err := g.store.AuditLog(ctx, maxAudit)
	if err != nil {
		return nil, err
	}
	list := []api.Audit{}
	for _, l := range lines {
		list = append(list, api.Audit{Time: l.Time, Actor: l.Actor, Action: l.Action, Subject: l.Subject, Outcome: l.Outcome, Detail: l.Detail})
	}
	return list, nil
}
