package znp

import (
	"bytes"
	"context"
	"hash/maphash"
	"sync"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
	"github.com/peerbee/peerbee/zigbee/znp/unpi"
)

// Commands the owner of the port looks at itself.
var (
	cmdIncoming    = (&mt.AFIncomingMsg{}).Command()
	cmdIncomingExt = (&mt.AFIncomingMsgExt{}).Command()
	cmdConfirm     = (&mt.AFDataConfirm{}).Command()
	cmdReset       = (&mt.SysResetInd{}).Command()
	cmdState       = (&mt.ZDOStateChangeInd{}).Command()
	cmdAnnounce    = (&mt.ZDOEndDeviceAnnceInd{}).Command()
	cmdJoined      = (&mt.ZDOTCDevInd{}).Command()
	cmdLeave       = (&mt.ZDOLeaveInd{}).Command()
)

// indication handles an AREQ.
func (l *link) indication(f unpi.Frame) {
	command := mt.CommandOf(f)
	switch command {
	case cmdIncoming:
		l.incoming(f.Payload)
		return
	case cmdIncomingExt:
		l.incomingExt(f.Payload)
		return
	case cmdConfirm:
		l.confirm(f.Payload)
		return
	}
	if l.notify(f) {
		return
	}
	switch command {
	case cmdReset:
		l.counters.resets.Add(1)
		l.restarted(errReset)
	case cmdState:
		var m mt.ZDOStateChangeInd
		if mt.Decode(f.Payload, &m) == nil && m.State != mt.StateCoordinator && l.steady.Load() {
			l.restarted(errStateLost)
		}
	default:
		l.membership(command, f.Payload)
	}
}

// membership turns announces, joins and leaves into events.
func (l *link) membership(command mt.Command, payload []byte) {
	if !l.deliver.Load() {
		return
	}
	var err error
	switch command {
	case cmdAnnounce:
		var m mt.ZDOEndDeviceAnnceInd
		if err = mt.Decode(payload, &m); err == nil {
			l.queue.push(Announce{IEEE: m.IEEE, Network: m.Nwk, Capability: m.Capabilities})
		}
	case cmdJoined:
		var m mt.ZDOTCDevInd
		if err = mt.Decode(payload, &m); err == nil {
			l.queue.push(Joined{IEEE: m.IEEE, Network: m.Nwk, Parent: m.Parent})
		}
	case cmdLeave:
		var m mt.ZDOLeaveInd
		if err = mt.Decode(payload, &m); err == nil {
			l.queue.push(Left{IEEE: m.IEEE, Network: m.Src, Rejoin: m.Rejoin})
		}
	}
	if err != nil {
		l.log.Warn("zigbee indication not understood", "error", err)
	}
}

func (l *link) incoming(payload []byte) {
	m, err := mt.DecodeIncoming(payload)
	if err != nil {
		l.log.Warn("zigbee message not understood", "error", err)
		return
	}
	in := Incoming{
		Time: l.now, Source: m.Src, SrcEndpoint: m.SrcEndpoint, DstEndpoint: m.DstEndpoint, Cluster: m.Cluster,
		Group: m.Group, Broadcast: m.Broadcast, Secure: m.Security, LinkQuality: m.LinkQuality,
		Sequence: m.TransSeq, Data: m.Data,
	}
	if l.accept(&in) {
		in.Data = bytes.Clone(m.Data)
		l.queue.pushIncoming(in)
	}
}

func (l *link) incomingExt(payload []byte) {
	var m mt.AFIncomingMsgExt
	if err := mt.Decode(payload, &m); err != nil {
		l.log.Warn("zigbee message not understood", "error", err)
		return
	}
	if m.Data == nil && m.Length > 0 {
		select {
		case l.retrievals <- m:
		default:
			l.log.Warn("too many long zigbee messages at once, one dropped", "bytes", m.Length)
		}
		return
	}
	l.deliverExt(m, l.now)
}

// deliverExt may be called from own only for whole messages, else from retrieve.
func (l *link) deliverExt(m mt.AFIncomingMsgExt, now time.Time) {
	in := Incoming{
		Time: now, SrcEndpoint: m.SrcEndpoint, DstEndpoint: m.DstEndpoint, Cluster: m.Cluster,
		Group: m.Group, Broadcast: m.Broadcast, Secure: m.Security, LinkQuality: m.LinkQuality,
		Sequence: m.TransSeq, Data: bytes.Clone(m.Data),
	}
	if m.SrcMode == mt.AddrIEEE {
		in.IEEE, in.Source = zb.IEEEAddress(m.Src), unknownAddress
	} else {
		in.Source = zb.NetworkAddress(m.Src & 0xFFFF)
	}
	if l.accept(&in) {
		l.queue.pushIncoming(in)
	}
}

// unknownAddress stands for a network address nobody has told.
const unknownAddress zb.NetworkAddress = 0xFFFE

// accept counts a message and tells whether it is to be delivered.
func (l *link) accept(in *Incoming) bool {
	l.counters.incoming.Add(1)
	if !l.deliver.Load() {
		return false
	}
	if l.recent.copied(in) {
		l.counters.duplicates.Add(1)
		return false
	}
	return true
}

// retrieve fetches long messages piece by piece, beside the owner of the port, which never waits.
func (l *link) retrieve(ctx context.Context) {
	for {
		select {
		case m := <-l.retrievals:
			now := time.Now()
			if err := l.retrieveOne(ctx, &m); err != nil {
				l.log.Warn("long zigbee message lost", "bytes", m.Length, "error", err)
				continue
			}
			l.deliverExt(m, now)
		case <-l.dead:
			return
		}
	}
}

// retrieveChunk is the most the stick gives at once (AF_DATA_RETRIEVE).
const retrieveChunk = 240

func (l *link) retrieveOne(ctx context.Context, m *mt.AFIncomingMsgExt) error {
	data := make([]byte, 0, m.Length)
	var failed error
	for len(data) < int(m.Length) && failed == nil {
		want := min(retrieveChunk, int(m.Length)-len(data))
		var rsp mt.AFDataRetrieveRsp
		req := mt.AFDataRetrieve{Timestamp: m.Timestamp, Index: uint16(len(data)), Length: uint8(want)}
		failed = l.request(ctx, &req, &rsp)
		if failed == nil {
			failed = statusErr("retrieve message", rsp.Status)
		}
		if failed == nil && len(rsp.Data) != want {
			failed = mt.ErrShort
		}
		data = append(data, rsp.Data...)
	}
	// Length 0 frees the stick's memory, also after an error.
	var freed mt.AFDataRetrieveRsp
	if err := l.request(ctx, &mt.AFDataRetrieve{Timestamp: m.Timestamp, Index: uint16(len(data))}, &freed); failed == nil && err != nil {
		l.log.Debug("free long zigbee message", "error", err)
	}
	m.Data = data
	return failed
}

const (
	recentCount  = 32
	recentWindow = time.Second
)

var hashSeed = maphash.MakeSeed()

// recentMessages remembers the last messages, since the stick hands out a broadcast once for each of its
// endpoints. A copy has the same bytes, transaction number included, for another endpoint; the same bytes for
// the same endpoint are a message of their own.
type recentMessages struct {
	mu      sync.Mutex // guards what follows
	entries [recentCount]recentMessage
	at      int
}

type recentMessage struct {
	src     zb.NetworkAddress
	srcEP   zb.Endpoint
	dstEP   zb.Endpoint
	cluster zb.ClusterID
	sum     uint64
	time    time.Time
}

// copied reports whether in is a copy of a message already seen, and remembers it if not.
func (r *recentMessages) copied(in *Incoming) bool {
	sum := maphash.Bytes(hashSeed, in.Data)
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.entries {
		e := &r.entries[i]
		if e.sum == sum && e.src == in.Source && e.srcEP == in.SrcEndpoint && e.cluster == in.Cluster &&
			e.dstEP != in.DstEndpoint && in.Time.Sub(e.time) < recentWindow {
			return true
		}
	}
	r.entries[r.at] = recentMessage{in.Source, in.SrcEndpoint, in.DstEndpoint, in.Cluster, sum, in.Time}
	r.at = (r.at + 1) % recentCount
	return false
}
