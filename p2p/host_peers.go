package p2p

import (
	"context"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

const (
	sweepEvery = 15 * time.Second
	// strangerLife is what redeeming a ticket, or a hive's dial back, may take.
	strangerLife = time.Minute
	// maxStrangers may be connected while a ticket is open, so that they never take the places of enrolled peers.
	maxStrangers = 32

	memberTag = "member"
)

// watchPeers protects members, bounds connections of peers that came in through an open ticket, and closes those,
// and the ones of peers that were known once, when they have had their time.
func (h *Host) watchPeers(ctx context.Context) {
	watch := &network.NotifyBundle{
		ConnectedF: func(_ network.Network, c network.Conn) {
			if h.isStranger(c) {
				h.boundStrangers()
			}
			h.protectMember(c)
		},
		DisconnectedF: func(n network.Network, c network.Conn) {
			if len(n.ConnsToPeer(c.RemotePeer())) == 0 {
				h.ConnManager().Unprotect(c.RemotePeer(), memberTag)
			}
		},
	}
	h.Network().Notify(watch)
	defer h.Network().StopNotify(watch)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		for _, c := range h.Network().Conns() {
			h.protectMember(c) // came before the watch, or enrolled while connected
			if h.isStranger(c) && time.Since(c.Stat().Opened) > strangerLife {
				h.closeConn(c, "its time is over")
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// protectMember keeps the connection manager from trimming subscribers: they outnumber its mark on a busy gateway.
// On a hive open to everyone nobody is worth more than another.
func (h *Host) protectMember(c network.Conn) {
	if p := c.RemotePeer(); h.cfg.Auth != nil && h.gate.mayStay(p) {
		h.ConnManager().Protect(p, memberTag)
	}
}

func (h *Host) isStranger(c network.Conn) bool {
	return c.Stat().Direction == network.DirInbound && !h.gate.mayStay(c.RemotePeer())
}

func (h *Host) boundStrangers() {
	var strangers []network.Conn
	for _, c := range h.Network().Conns() {
		if h.isStranger(c) {
			strangers = append(strangers, c)
		}
	}
	if len(strangers) > maxStrangers {
		h.closeConn(crowdedOut(strangers), "others wait")
	}
}

// crowdedOut picks the oldest connection of the address that has the most: whoever crowds the door makes room
// itself. Relayed peers count as one address.
func crowdedOut(strangers []network.Conn) network.Conn {
	group := func(c network.Conn) netip.Prefix {
		if ip, ok := remoteIP(c.RemoteMultiaddr()); ok {
			return addrGroup(ip)
		}
		return netip.Prefix{}
	}
	count := map[netip.Prefix]int{}
	for _, c := range strangers {
		count[group(c)]++
	}
	var out network.Conn
	for _, c := range strangers {
		if out == nil || count[group(c)] > count[group(out)] ||
			count[group(c)] == count[group(out)] && c.Stat().Opened.Before(out.Stat().Opened) {
			out = c
		}
	}
	return out
}

// closeConn runs in the background because closing waits for the other side's socket.
func (h *Host) closeConn(c network.Conn, why string) {
	h.log.Info("closing a stranger's connection", "peer", ShortID(c.RemotePeer()), "why", why)
	h.metrics.refused("stranger")
	h.spawn(func(context.Context) {
		if err := c.Close(); err != nil {
			h.log.Debug("closing a connection", "peer", ShortID(c.RemotePeer()), "err", err)
		}
	})
}
