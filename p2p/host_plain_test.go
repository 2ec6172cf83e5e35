package p2p

import (
	"context"
	"errors"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

// dialWith dials to with a network of its own that speaks only the given security.
func dialWith(ctx context.Context, key crypto.PrivKey, id peer.ID, with sec.SecureTransport, to peer.AddrInfo) error {
	ps, err := pstoremem.NewPeerstore()
	if err != nil {
		return err
	}
	if err := errors.Join(ps.AddPrivKey(id, key), ps.AddPubKey(id, key.GetPublic())); err != nil {
		return err
	}
	sw, err := swarm.NewSwarm(id, ps, eventbus.NewBus())
	if err != nil {
		return err
	}
	rm := &network.NullResourceManager{}
	up, err := upgrader.New([]sec.SecureTransport{with}, []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}, nil, rm, nil)
	if err != nil {
		return err
	}
	tt, err := tcp.NewTCPTransport(up, rm, nil)
	if err != nil {
		return err
	}
	if err := sw.AddTransport(tt); err != nil {
		return err
	}
	ps.AddAddrs(to.ID, to.Addrs, peerstore.TempAddrTTL)
	_, err = sw.DialPeer(ctx, to.ID)
	return errors.Join(err, sw.Close(), ps.Close())
}
