package znp

import (
	"context"
	"errors"
	"fmt"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

const (
	defaultRadius  = 30
	maxData        = 230              // bytes of one application message
	confirmTimeout = 30 * time.Second // a message to a sleeping child is tried for many seconds
	settle         = 2 * time.Second  // before a further attempt on a busy channel
	routeSettle    = 3 * time.Second  // for a route discovery to end
)

// AddressMode tells what kind of destination a Message has.
type AddressMode uint8

// Kinds of destinations.
const (
	ToNode      AddressMode = iota // Network, a single node
	ToIEEE                         // IEEE; the stick must know the device
	ToGroup                        // Group
	ToBroadcast                    // Network, one of the broadcast addresses
)

// Message is one application message.
type Message struct {
	Mode        AddressMode
	Network     zb.NetworkAddress
	IEEE        zb.IEEEAddress // with ToNode: lets a changed address be found; may be 0
	Group       zb.GroupID
	DstEndpoint zb.Endpoint
	SrcEndpoint zb.Endpoint // of the stick; 0: endpoint 1. Its profile is the message's profile.
	Cluster     zb.ClusterID
	Radius      uint8 // hops; 0: 30
	NoAck       bool  // do without the APS acknowledgement (never asked for from groups and broadcasts)
	Data        []byte
}

// Send sends a message and waits until the stick confirms it: with an acknowledgement that it has arrived,
// without that it has been sent. Failures of the radio are tried again, at the end with a new route and, when
// IEEE is known, the device's new address. The error is a *StatusError when the network refused.
func (h *Host) Send(ctx context.Context, m Message) error {
	l, err := h.running()
	if err == nil && len(m.Data) > maxData {
		err = fmt.Errorf("%d bytes: at most %d fit", len(m.Data), maxData)
	}
	if err == nil {
		err = l.sendWithRecovery(ctx, m)
	}
	if err != nil {
		h.counters.sendFailures.Add(1)
		return fmt.Errorf("send to %s: %w", m.destination(), err)
	}
	h.counters.sent.Add(1)
	return nil
}

func (m *Message) destination() string {
	switch m.Mode {
	case ToIEEE:
		return m.IEEE.String()
	case ToGroup:
		return fmt.Sprintf("group 0x%04x", uint16(m.Group))
	case ToNode, ToBroadcast:
	}
	return fmt.Sprintf("0x%04x", uint16(m.Network))
}

// sendWithRecovery climbs a ladder: again at once, again after a pause, with a new route, with a new address.
func (l *link) sendWithRecovery(ctx context.Context, m Message) error {
	steps := []func(context.Context, *Message) error{
		func(context.Context, *Message) error { return nil },
		func(ctx context.Context, _ *Message) error { return l.sleep(ctx, settle) },
	}
	if m.Mode == ToNode {
		steps = append(steps, l.renewRoute)
		if m.IEEE != 0 {
			steps = append(steps, l.renewAddress)
		}
	}
	err := l.sendOnce(ctx, m)
	for i, step := range steps {
		if !worthRetrying(err) || i > 0 && asleep(err) {
			return err
		}
		if stepErr := step(ctx, &m); stepErr != nil {
			return errors.Join(err, stepErr)
		}
		l.counters.sendRetries.Add(1)
		err = l.sendOnce(ctx, m)
	}
	return err
}

// worthRetrying tells failures of the moment from refusals that stay.
func worthRetrying(err error) bool {
	var refused *StatusError
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.Status {
	case mt.NWKNoRoute, mt.MACNoAck, mt.MACChannelAccess, mt.MACExpired, mt.BufferFull, mt.MACNoResources,
		mt.APSNoAck, mt.MemoryError, mt.NWKTableFull:
		return true
	default:
		return false
	}
}

// asleep tells that a child did not fetch its message. A second try may catch it awake; a pause, a new route or
// address change nothing, and each try takes seconds.
func asleep(err error) bool {
	var refused *StatusError
	return errors.As(err, &refused) && refused.Status == mt.MACExpired
}

func (l *link) renewRoute(ctx context.Context, m *Message) error {
	if err := l.discoverRoute(ctx, m.Network); err != nil {
		return err
	}
	return l.sleep(ctx, routeSettle)
}

// renewAddress follows a device that has got a new address. A device that stays silent keeps the old one.
func (l *link) renewAddress(ctx context.Context, m *Message) error {
	address, err := l.networkAddress(ctx, m.IEEE)
	switch {
	case err == nil:
		m.Network = address
	case !errors.Is(err, ErrTimeout):
		return err
	}
	return nil
}

// sendOnce hands the message to the stick and waits for the confirmation.
func (l *link) sendOnce(ctx context.Context, m Message) error {
	release, err := l.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	id, confirmed := l.expectConfirm()
	defer l.forgetConfirm(id)
	if err := l.command(ctx, dataRequest(m, id)); err != nil {
		return err
	}
	timer := time.NewTimer(confirmTimeout)
	defer timer.Stop()
	select {
	case c, ok := <-confirmed:
		if !ok {
			return errReset
		}
		return statusErr("deliver", c.Status)
	case <-timer.C:
		return fmt.Errorf("wait for the confirmation: %w", ErrTimeout)
	case <-l.dead:
		return l.cause()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// acquire waits for one of the few data requests a stick keeps in memory at once.
func (l *link) acquire(ctx context.Context) (release func(), err error) {
	l.mu.Lock()
	tokens := l.concurrent
	l.mu.Unlock()
	select {
	case tokens <- struct{}{}:
		return func() { <-tokens }, nil
	case <-l.dead:
		return nil, l.cause()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// expectConfirm reserves a transaction number. The confirmation's endpoint is the stick's own, so the number is
// all there is to match on.
func (l *link) expectConfirm() (uint8, <-chan mt.AFDataConfirm) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		l.transID++
		if _, taken := l.confirms[l.transID]; !taken {
			break
		}
	}
	c := make(chan mt.AFDataConfirm, 1)
	l.confirms[l.transID] = c
	return l.transID, c
}

func (l *link) forgetConfirm(id uint8) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.confirms, id)
}

// confirm ends the wait for a data request.
func (l *link) confirm(payload []byte) {
	var m mt.AFDataConfirm
	if err := mt.Decode(payload, &m); err != nil {
		l.log.Warn("zigbee confirmation not understood", "error", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := l.confirms[m.TransID]; ok {
		delete(l.confirms, m.TransID)
		c <- m
	}
}

// dataRequest chooses the request that fits the destination.
func dataRequest(m Message, id uint8) mt.Message {
	options := uint8(0)
	if !m.NoAck && (m.Mode == ToNode || m.Mode == ToIEEE) {
		options = mt.OptionAPSAck
	}
	if m.Radius == 0 {
		m.Radius = defaultRadius
	}
	if m.SrcEndpoint == 0 {
		m.SrcEndpoint = mainEndpoint
	}
	if m.Mode == ToNode {
		return &mt.AFDataRequest{
			Dst: m.Network, DstEndpoint: m.DstEndpoint, SrcEndpoint: m.SrcEndpoint, Cluster: m.Cluster,
			TransID: id, Options: options, Radius: m.Radius, Data: m.Data,
		}
	}
	req := &mt.AFDataRequestExt{
		DstEndpoint: m.DstEndpoint, SrcEndpoint: m.SrcEndpoint, Cluster: m.Cluster,
		TransID: id, Options: options, Radius: m.Radius, Data: m.Data,
	}
	switch m.Mode {
	case ToIEEE:
		req.Mode, req.Dst = mt.AddrIEEE, uint64(m.IEEE)
	case ToGroup:
		req.Mode, req.Dst = mt.AddrGroup, uint64(m.Group)
	case ToBroadcast, ToNode:
		req.Mode, req.Dst = mt.AddrBroadcast, uint64(m.Network)
	}
	return req
}
