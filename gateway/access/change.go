package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/peerbee/peerbee/gateway/store"
	"github.com/peerbee/peerbee/p2p"
)

// Sizes of a ticket's parts in bytes, and how long it can be redeemed unless the request says otherwise.
const (
	TicketIDSize     = 8
	TicketSecretSize = 16
	DefaultTicketFor = 24 * time.Hour
)

// DefaultRole is the role of whoever redeems a ticket that names none.
const DefaultRole = "viewer"

// ShareRequest says what a new ticket gives.
type ShareRequest struct {
	Actor      string        // for the audit log: "uid:1000"
	Label      string        // the owner's name for whoever will redeem it; by it he can be revoked
	Role       string        // DefaultRole when empty
	Devices    []string      // device keys, or All
	Properties []string      // property names; empty: All
	TicketFor  time.Duration // how long the ticket can be redeemed; 0: DefaultTicketFor
	RightsFor  time.Duration // how long its rights last from then on; 0: until revoked
}

// Ticket is what the redeemer needs; the secret is kept nowhere else.
type Ticket struct {
	ID      []byte
	Secret  []byte
	Label   string
	Role    string
	Expires time.Time // zero while the clock was never set: then it ends by the gateway's uptime
	Rights  []store.TicketRight
	// DiscoverySecret keys the records under which the gateway is found.
	DiscoverySecret []byte
}

// Share makes a ticket. It is durable when Share returns.
func (a *Access) Share(ctx context.Context, req ShareRequest) (Ticket, error) {
	rights, err := rightsOf(req)
	if err != nil {
		return Ticket{}, err
	}
	if req.Label == "" {
		return Ticket{}, errors.New("a ticket needs a label, the name by which it can be revoked")
	}
	if req.Role == "" {
		req.Role = DefaultRole
	}
	if req.TicketFor <= 0 {
		req.TicketFor = DefaultTicketFor
	}
	id, secret := make([]byte, TicketIDSize), make([]byte, TicketSecretSize)
	for _, b := range [][]byte{id, secret} {
		if _, err := rand.Read(b); err != nil {
			return Ticket{}, fmt.Errorf("making a ticket: %w", err)
		}
	}
	hash := sha256.Sum256(secret)
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	row := store.TicketRow{
		ID: id, SecretHash: hash[:], Label: req.Label, Role: req.Role, Rights: rights,
		Expires: now.after(req.TicketFor), GrantsFor: req.RightsFor, Created: now.wall,
	}
	err = a.update(ctx, func(tx *store.Tx) error {
		if err := tx.AddTicket(ctx, row); err != nil {
			return err
		}
		return tx.Audit(ctx, store.AuditEntry{Actor: req.Actor, Action: "share", Subject: req.Label, Outcome: "ok", Detail: describe(rights)})
	})
	if err != nil {
		return Ticket{}, fmt.Errorf("making a ticket: %w", err)
	}
	return Ticket{ID: id, Secret: secret, Label: req.Label, Role: req.Role, Expires: row.Expires.Wall, Rights: rights, DiscoverySecret: a.secret}, nil
}

func rightsOf(req ShareRequest) ([]store.TicketRight, error) {
	if len(req.Devices) == 0 {
		return nil, errors.New("nothing to share: name a device, or all of them with *")
	}
	properties := req.Properties
	if len(properties) == 0 {
		properties = []string{All}
	}
	var rights []store.TicketRight
	for _, d := range req.Devices {
		for _, p := range properties {
			if d == "" || p == "" {
				return nil, errors.New("an empty device or property cannot be shared")
			}
			r := store.TicketRight{Device: d, Property: p, Action: string(p2p.ActionRead)}
			if !slices.ContainsFunc(rights, func(o store.TicketRight) bool { return o.Device == d && o.Property == p }) {
				rights = append(rights, r)
			}
		}
	}
	return rights, nil
}

// describe puts rights into an audit line.
func describe(rights []store.TicketRight) string {
	var s []byte
	for i, r := range rights {
		if i > 0 {
			s = append(s, ' ')
		}
		s = append(append(append(append(append(s, r.Action...), ' '), r.Device...), '/'), r.Property...)
	}
	return string(s)
}

// Revoked is what Revoke has ended.
type Revoked struct {
	Peers   []peer.ID
	Tickets int // open ones and those the peers had redeemed
}

// update makes a change durable and then reads the list anew; where the outcome of the change is unknown, reading
// tells. The caller holds mu.
func (a *Access) update(ctx context.Context, fn func(*store.Tx) error) error {
	err := a.store.Update(ctx, fn)
	// A caller that goes away must not leave the memory behind the disk.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, a.load(ctx))
}

// Revoke ends, in one step, every right of the peer with that ID or of all peers with that label, and every open
// ticket with that label. The discovery secret is replaced, so that whoever was revoked does not find the gateway
// any more. When the disk refuses, the peers are shut out all the same, until the next start, and the error says so.
func (a *Access) Revoke(ctx context.Context, peerOrLabel, actor string) (Revoked, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids, tickets := a.match(peerOrLabel)
	if len(ids) == 0 && len(tickets) == 0 {
		return Revoked{}, fmt.Errorf("%q: %w", peerOrLabel, ErrNotFound)
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return Revoked{}, fmt.Errorf("revoking %s: %w", peerOrLabel, err)
	}
	err := a.update(ctx, func(tx *store.Tx) error {
		for _, id := range ids {
			if _, err := tx.RevokePeer(ctx, id); err != nil {
				return err
			}
		}
		for _, id := range tickets {
			if err := tx.RevokeTicket(ctx, []byte(id)); err != nil {
				return err
			}
		}
		if err := tx.SetDiscoverySecret(ctx, secret); err != nil {
			return err
		}
		return tx.Audit(ctx, store.AuditEntry{
			Actor: actor, Action: "revoke", Subject: peerOrLabel, Outcome: "ok",
			Detail: fmt.Sprintf("%d peers, %d tickets", len(ids), len(tickets)),
		})
	})
	if err != nil {
		err = errors.Join(fmt.Errorf("%s is shut out until the next start only, revoke again once the disk works: %w", peerOrLabel, err),
			a.forget(ids, tickets))
	}
	gone := decode(ids)
	for _, id := range gone {
		a.onRevoke(id)
	}
	return Revoked{Peers: gone, Tickets: len(tickets)}, err
}

// match finds who is meant: stored peers with rights by ID or label, and tickets by label or by who redeemed them.
func (a *Access) match(peerOrLabel string) (ids, tickets []string) {
	for _, g := range a.grants {
		if (g.Peer == peerOrLabel || a.peers[g.Peer].Label == peerOrLabel) && !slices.Contains(ids, g.Peer) {
			ids = append(ids, g.Peer)
		}
	}
	for id, k := range a.tickets {
		if (k.RedeemedBy == "" && k.Label == peerOrLabel) || (k.RedeemedBy != "" && slices.Contains(ids, k.RedeemedBy)) {
			tickets = append(tickets, id)
		}
	}
	return ids, tickets
}

// forget takes peers and tickets out of the memory alone.
func (a *Access) forget(ids, tickets []string) error {
	a.grants = slices.DeleteFunc(a.grants, func(g store.GrantRow) bool { return slices.Contains(ids, g.Peer) })
	for _, id := range tickets {
		delete(a.tickets, id)
	}
	return a.publish()
}

func decode(ids []string) []peer.ID {
	var all []peer.ID
	for _, s := range ids {
		if id, err := peer.Decode(s); err == nil { // publish has decoded it before
			all = append(all, id)
		}
	}
	return all
}

// DropDevice ends every right that was ever given on a device, in grants and in open tickets: it was removed, or its
// ownership has left. Rights on all devices stay but do not cover this one any more; a device that comes back has to
// be shared again. Peers left without any right are reported to OnRevoke.
func (a *Access) DropDevice(ctx context.Context, device string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.view.Load().grants
	err := a.update(ctx, func(tx *store.Tx) error {
		for _, g := range a.grants {
			if err := dropGrant(ctx, tx, g, device); err != nil {
				return err
			}
		}
		for _, k := range a.tickets {
			if err := dropTicket(ctx, tx, k, device); err != nil {
				return err
			}
		}
		return tx.Audit(ctx, store.AuditEntry{Actor: "gateway", Action: "drop-device", Subject: device, Outcome: "ok"})
	})
	if err != nil {
		return fmt.Errorf("ending the rights on %s: %w", device, err)
	}
	for id := range before {
		if len(a.view.Load().grants[id]) == 0 {
			a.onRevoke(id)
		}
	}
	return nil
}

func dropGrant(ctx context.Context, tx *store.Tx, g store.GrantRow, device string) error {
	switch {
	case g.Device == device:
		return tx.RevokeGrant(ctx, g.ID)
	case g.Device == All && !slices.Contains(g.Except, device):
		return tx.SetExcept(ctx, g.ID, append(slices.Clone(g.Except), device))
	}
	return nil
}

func dropTicket(ctx context.Context, tx *store.Tx, k store.TicketRow, device string) error {
	if k.RedeemedBy != "" {
		return nil
	}
	var rights []store.TicketRight
	changed := false
	for _, r := range k.Rights {
		if r.Device == device {
			changed = true
			continue
		}
		if r.Device == All && !slices.Contains(r.Except, device) {
			r.Except = append(slices.Clone(r.Except), device)
			changed = true
		}
		rights = append(rights, r)
	}
	switch {
	case !changed:
		return nil
	case len(rights) == 0:
		return tx.RevokeTicket(ctx, k.ID)
	}
	return tx.SetTicketRights(ctx, k.ID, rights)
}
