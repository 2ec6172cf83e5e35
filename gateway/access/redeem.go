package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/peerbee/peerbee/gateway/store"
	"github.com/peerbee/peerbee/p2p"
)

const (
	maxTries     = 5    // wrong secrets of one peer for one ticket
	maxTried     = 1024 // peers and tickets whose tries are remembered
	maxTriesKept = 20   // wrong tries of one ticket that are written down
)

// try counts per peer, so that a stranger cannot burn somebody else's ticket.
type try struct {
	ticket string
	who    peer.ID
}

// Redeem implements p2p.Enroller.
func (a *Access) Redeem(ctx context.Context, who peer.ID, ticketID, secret []byte) (p2p.Welcome, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k, ok := a.tickets[string(ticketID)]
	if !ok {
		return p2p.Welcome{}, a.deny(ctx, who, "no such ticket")
	}
	t := try{string(k.ID), who}
	if a.tries[t] >= maxTries {
		return p2p.Welcome{}, a.deny(ctx, who, "locked after too many tries")
	}
	if hash := sha256.Sum256(secret); subtle.ConstantTimeCompare(hash[:], k.SecretHash) != 1 {
		return p2p.Welcome{}, a.wrong(ctx, k, t)
	}
	switch {
	case k.RedeemedBy == who.String():
		return a.welcome(ctx, k)
	case k.RedeemedBy != "":
		return p2p.Welcome{}, a.deny(ctx, who, "ticket "+k.Label+" is redeemed by someone else")
	case a.now().passed(k.Expires):
		return p2p.Welcome{}, a.deny(ctx, who, "ticket "+k.Label+" has expired")
	}
	if err := a.redeem(ctx, who, k); err != nil {
		return p2p.Welcome{}, fmt.Errorf("redeeming ticket %s: %w", k.Label, err)
	}
	return a.welcome(ctx, a.tickets[string(k.ID)])
}

func (a *Access) redeem(ctx context.Context, who peer.ID, k store.TicketRow) error {
	expires := a.now().after(k.GrantsFor)
	return a.update(ctx, func(tx *store.Tx) error {
		ok, err := tx.RedeemTicket(ctx, k.ID, who.String())
		if err != nil {
			return err
		}
		if !ok {
			return p2p.ErrDenied
		}
		if err := tx.PutPeer(ctx, store.Peer{ID: who.String(), Label: k.Label, Role: k.Role}); err != nil {
			return err
		}
		for _, r := range k.Rights {
			g := store.GrantRow{Peer: who.String(), Device: r.Device, Property: r.Property, Action: r.Action, Except: r.Except, Expires: expires}
			if _, err := tx.AddGrant(ctx, g); err != nil {
				return err
			}
		}
		return tx.Audit(ctx, store.AuditEntry{
			Actor: "peer:" + who.String(), Action: "redeem", Subject: k.Label, Outcome: "ok",
			Detail: "ticket " + hex.EncodeToString(k.ID) + ": " + describe(k.Rights),
		})
	})
}

func (a *Access) welcome(ctx context.Context, k store.TicketRow) (p2p.Welcome, error) {
	name, err := a.store.Name(ctx)
	if err != nil {
		return p2p.Welcome{}, err
	}
	w := p2p.Welcome{Gateway: name, Role: k.Role, DiscoverySecret: a.secret}
	if k.GrantsFor > 0 {
		w.Expires = k.Redeemed.Add(k.GrantsFor)
	}
	return w, nil
}

// wrong counts a wrong secret.
func (a *Access) wrong(ctx context.Context, k store.TicketRow, t try) error {
	if len(a.tries) >= maxTried {
		for other := range a.tries { // any: 128 bits are not guessed in maxTried rounds either
			delete(a.tries, other)
			break
		}
	}
	a.tries[t]++
	if k.Tries < maxTriesKept {
		k.Tries++
		a.tickets[string(k.ID)] = k
		if err := a.store.Update(ctx, func(tx *store.Tx) error { return tx.CountTry(ctx, k.ID) }); err != nil {
			a.log.Warn("a failed try was not written down", "error", err)
		}
	}
	return a.deny(ctx, t.who, "wrong secret for ticket "+k.Label)
}

// deny answers ErrDenied and writes an audit line, a few at a time: strangers must not wear the disk out.
func (a *Access) deny(ctx context.Context, who peer.ID, why string) error {
	a.log.Info("ticket refused", "peer", who.String(), "reason", why)
	if !a.denials.AllowN(time.Now(), 1) {
		return p2p.ErrDenied
	}
	err := a.store.Audit(ctx, store.AuditEntry{Actor: "peer:" + who.String(), Action: "redeem", Outcome: "denied", Detail: why})
	if err != nil {
		a.log.Warn("an audit line was not written", "error", err)
	}
	return p2p.ErrDenied
}
