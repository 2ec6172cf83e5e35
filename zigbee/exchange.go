package zigbee

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/zcl"
)

// responseTimeout bounds the wait for a device's answer: a sleeping device fetches its messages from its parent
// within 7.68 s (R22 section 2.4.3, indirect transmission) when it is awake at all.
const responseTimeout = 8 * time.Second

// sendTimeout bounds the stick's own attempts to deliver a request.
const sendTimeout = 20 * time.Second

// Errors of requests to a device.
var (
	// ErrNoAnswer says that the device did not answer in time: it sleeps, is off, or out of reach.
	ErrNoAnswer = errors.New("the device does not answer")
	// ErrUnknownDevice says that no device with the address has joined.
	ErrUnknownDevice = errors.New("unknown device")
	// ErrNoAddress says that the device's network address is not known at present.
	ErrNoAddress = errors.New("the device's network address is unknown")
)

// exchanges matches responses to requests by device, cluster and sequence number.
type exchanges struct {
	mu      sync.Mutex // guards the fields below
	next    uint8
	waiting map[exchangeKey]waiter
}

type exchangeKey struct {
	device  zb.IEEEAddress
	cluster zb.ClusterID
	seq     uint8
}

type waiter struct {
	request zcl.Frame
	answer  chan zcl.Frame // room for one
}

func newExchanges() *exchanges { return &exchanges{waiting: make(map[exchangeKey]waiter)} }

// sequence gives the next number for a frame that expects no answer.
func (x *exchanges) sequence() uint8 {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.next++
	return x.next
}

// open registers a request under a free sequence number, which it puts into the frame.
func (x *exchanges) open(device zb.IEEEAddress, cluster zb.ClusterID, f *zcl.Frame) (key exchangeKey, answer <-chan zcl.Frame, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for range 256 {
		x.next++
		key = exchangeKey{device, cluster, x.next}
		if _, taken := x.waiting[key]; taken {
			continue
		}
		f.Seq = x.next
		w := waiter{request: *f, answer: make(chan zcl.Frame, 1)}
		x.waiting[key] = w
		return key, w.answer, nil
	}
	return key, nil, errors.New("256 requests to one cluster are waiting")
}

func (x *exchanges) close(key exchangeKey) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.waiting, key)
}

// match takes the request a frame answers off the list and gives the way to hand the frame over; false when there
// is none.
func (x *exchanges) match(device zb.IEEEAddress, cluster zb.ClusterID, f zcl.Frame) (deliver func(), ok bool) {
	key := exchangeKey{device, cluster, f.Seq}
	x.mu.Lock()
	defer x.mu.Unlock()
	w, ok := x.waiting[key]
	if !ok || !answers(f, w.request) {
		return nil, false
	}
	delete(x.waiting, key)
	return func() { w.answer <- f }, true
}

// answers tells whether f can be the answer to a request with the same sequence number: devices count their own
// frames from anywhere, so a report may carry the same one.
func answers(f, request zcl.Frame) bool {
	if f.FromServer == request.FromServer {
		return false
	}
	if f.Type == zcl.ProfileWide && f.Command == zcl.CommandDefaultResponse {
		r, err := zcl.DecodeDefaultResponse(f.Payload)
		return err == nil && r.Command == request.Command
	}
	if f.Type != request.Type || f.Manufacturer != request.Manufacturer {
		return false
	}
	if f.Type == zcl.ClusterSpecific {
		return true
	}
	switch request.Command {
	case zcl.CommandWriteAttributes, zcl.CommandWriteUndivided:
		return f.Command == zcl.CommandWriteAttributesResponse
	default:
		return f.Command == request.Command+1
	}
}

// request sends a frame to a device's endpoint and waits for its answer. The errors are ErrNoAnswer,
// ErrUnknownDevice, ErrNoAddress, *StatusError for a default response that refuses, and those of the stick.
func (n *Network) request(ctx context.Context, to target, f zcl.Frame) (zcl.Frame, error) {
	key, answer, err := n.exchanges.open(to.device, to.cluster, &f)
	if err != nil {
		return zcl.Frame{}, err
	}
	defer n.exchanges.close(key)
	sent := make(chan error, 1)
	sending, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel() // an answer is better than the confirmation still awaited
	go func() { sent <- n.send(sending, to, f) }()
	var timeout <-chan time.Time
	for {
		select {
		case reply := <-answer:
			return checkReply(reply)
		case err := <-sent:
			if err != nil {
				return unsent(ctx, sending, answer, err)
			}
			timeout = time.After(responseTimeout)
		case <-timeout:
			return zcl.Frame{}, ErrNoAnswer
		case <-ctx.Done():
			return zcl.Frame{}, ctx.Err()
		}
	}
}

// unsent ends a request whose delivery failed, or seems to have: its answer may have come at the same moment.
func unsent(ctx, sending context.Context, answer <-chan zcl.Frame, err error) (zcl.Frame, error) {
	select {
	case reply := <-answer:
		return checkReply(reply)
	default:
	}
	if sending.Err() != nil && ctx.Err() == nil {
		return zcl.Frame{}, ErrNoAnswer
	}
	return zcl.Frame{}, err
}

func checkReply(f zcl.Frame) (zcl.Frame, error) {
	if f.Type != zcl.ProfileWide || f.Command != zcl.CommandDefaultResponse {
		return f, nil
	}
	r, err := zcl.DecodeDefaultResponse(f.Payload)
	if err != nil {
		return f, err
	}
	if r.Status != zcl.StatusSuccess {
		return f, &StatusError{Status: r.Status}
	}
	return f, nil
}

// StatusError is a device's refusal.
type StatusError struct{ Status zcl.Status }

// Error names the status.
func (e *StatusError) Error() string { return fmt.Sprintf("the device answers: %s", e.Status) }

// target is one cluster of one device's endpoint.
type target struct {
	device   zb.IEEEAddress
	endpoint zb.Endpoint
	cluster  zb.ClusterID
	local    zb.Endpoint // of the stick; 0 stands for 1
}

// send sends a frame without waiting for an answer.
func (n *Network) send(ctx context.Context, to target, f zcl.Frame) error {
	address, err := n.address(ctx, to.device)
	if err != nil {
		return err
	}
	return n.radio.Send(ctx, outgoing{
		device: to.device, destination: address, endpoint: to.endpoint, source: to.local, cluster: to.cluster, data: f.Append(nil),
	})
}
