package access

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/peerbee/peerbee/gateway/store"
)

// Entry is one peer with rights that last.
type Entry struct {
	Peer    peer.ID
	Label   string
	Role    string
	Created time.Time
	Seen    time.Time // zero: never
	Rights  []store.GrantRow
}

// OpenTicket is a ticket that can still be redeemed.
type OpenTicket struct {
	ID      []byte
	Label   string
	Role    string
	Created time.Time
	Expires store.Deadline
	Rights  []store.TicketRight
	Tries   int
}

// List gives who has rights and which tickets are open, each by label.
func (a *Access) List() ([]Entry, []OpenTicket) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	var entries []Entry
	for id, grants := range a.view.Load().grants {
		live := slices.DeleteFunc(slices.Clone(grants), func(g store.GrantRow) bool { return now.passed(g.Expires) })
		if len(live) == 0 {
			continue
		}
		p := a.peers[id.String()]
		entries = append(entries, Entry{Peer: id, Label: p.Label, Role: p.Role, Created: p.Created, Seen: p.LastSeen, Rights: live})
	}
	slices.SortFunc(entries, func(x, y Entry) int {
		return cmp.Or(cmp.Compare(x.Label, y.Label), cmp.Compare(x.Peer, y.Peer))
	})
	var open []OpenTicket
	for _, k := range a.tickets {
		if k.RedeemedBy == "" && !now.passed(k.Expires) {
			open = append(open, OpenTicket{ID: k.ID, Label: k.Label, Role: k.Role, Created: k.Created, Expires: k.Expires, Rights: k.Rights, Tries: k.Tries})
		}
	}
	slices.SortFunc(open, func(x, y OpenTicket) int {
		return cmp.Or(cmp.Compare(x.Label, y.Label), slices.Compare(x.ID, y.ID))
	})
	return entries, open
}

// seenEvery is how often a peer's presence is written down at most.
const seenEvery = 10 * time.Minute

// Seen notes that a peer with rights is connected.
func (a *Access) Seen(ctx context.Context, who peer.ID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.peers[who.String()]
	now, _ := a.clock()
	if since := now.Sub(p.LastSeen); !ok || (since >= 0 && since < seenEvery) {
		return nil
	}
	if err := a.store.PeerSeen(ctx, p.ID); err != nil {
		return err
	}
	p.LastSeen = now
	a.peers[p.ID] = p
	return nil
}

// Audit adds a line to the audit log.
func (a *Access) Audit(ctx context.Context, actor, action, subject, outcome, detail string) error {
	err := a.store.Audit(ctx, store.AuditEntry{Actor: actor, Action: action, Subject: subject, Outcome: outcome, Detail: detail})
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}
