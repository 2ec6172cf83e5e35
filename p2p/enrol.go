package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/prometheus/client_golang/prometheus"
)

// EnrolProtocol redeems tickets: docs/protocol/enrol.md.
const EnrolProtocol protocol.ID = "/peerbee/enrol/1.0.0"

const (
	enrolDeadline   = 10 * time.Second // one redemption, both directions
	enrolConcurrent = 32
	maxEnrolID      = 64
	maxEnrolSecret  = 64
)

// ErrRefused is what a redeemer learns when a ticket is not taken, whatever the cause.
var ErrRefused = fmt.Errorf("the gateway did not take this ticket; it may be used, withdrawn or expired: "+
	"ask the gateway's owner for a new one: %w", ErrDenied)

// EnrolServer answers EnrolProtocol on the gateway.
type EnrolServer struct {
	enroller Enroller
	log      *slog.Logger
	attempts *prometheus.CounterVec
	limit    *enrolLimiter
	slots    chan struct{}
}

// NewEnrolServer prepares the protocol; reg may be nil.
func NewEnrolServer(enroller Enroller, log *slog.Logger, reg prometheus.Registerer) *EnrolServer {
	return &EnrolServer{
		enroller: enroller,
		log:      log,
		attempts: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "peerbee_enrol_attempts_total",
			Help: "Attempts to redeem a ticket, by result.",
		}, []string{"result"})),
		limit: newEnrolLimiter(time.Now),
		slots: make(chan struct{}, enrolConcurrent),
	}
}

// Register serves the protocol on h until h is closed.
func (e *EnrolServer) Register(h host.Host) { h.SetStreamHandler(EnrolProtocol, e.handle) }

func (e *EnrolServer) handle(s network.Stream) {
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	default:
		e.attempts.WithLabelValues("busy").Inc()
		resetStream(s)
		return
	}
	who := s.Conn().RemotePeer()
	result, err := e.serve(s)
	e.attempts.WithLabelValues(result).Inc()
	if err != nil {
		e.log.Info("enrolment not completed", "peer", who, "result", result, "error", err)
		resetStream(s)
		return
	}
	e.log.Info("enrolment answered", "peer", who, "result", result)
	if err := s.Close(); err != nil {
		resetStream(s)
	}
}

// serve answers one redemption and says how it went, for the metric.
func (e *EnrolServer) serve(s network.Stream) (string, error) {
	if err := s.SetDeadline(time.Now().Add(enrolDeadline)); err != nil {
		return "broken", err
	}
	kind, fields, err := newFrameReader(s, readSmall).next()
	if err != nil {
		return "broken", err
	}
	if kind != kindRedeem {
		return "malformed", fmt.Errorf("a %s frame instead of redeem: %w", kind, ErrFrame)
	}
	var req redeemFrame
	if err := decodeFields(kind, fields, &req); err != nil {
		return "malformed", err
	}
	if len(req.ID) == 0 || len(req.ID) > maxEnrolID || len(req.Secret) == 0 || len(req.Secret) > maxEnrolSecret {
		return "malformed", fmt.Errorf("redeem frame with %d and %d bytes: %w", len(req.ID), len(req.Secret), ErrFrame)
	}
	return e.redeem(s, req)
}

func (e *EnrolServer) redeem(s network.Stream, req redeemFrame) (string, error) {
	who, from := s.Conn().RemotePeer(), s.Conn().RemoteMultiaddr()
	// The limits stand before the ticket is looked at: guessing spends the guesser's allowance, never the
	// ticket's.
	if !e.limit.allow(who, from) {
		return "limited", sendFrame(s, kindRefused, refusedFrame{})
	}
	ctx, cancel := context.WithTimeout(context.Background(), enrolDeadline)
	defer cancel()
	w, err := e.enroller.Redeem(ctx, who, req.ID, req.Secret)
	switch {
	case errors.Is(err, ErrDenied):
		return "refused", sendFrame(s, kindRefused, refusedFrame{})
	case err != nil:
		// Not the ticket's fault: the redeemer sees a broken stream and may try again.
		return "failed", fmt.Errorf("redeeming a ticket: %w", err)
	}
	e.limit.succeeded(who, from)
	f := welcomeFrame{Gateway: w.Gateway, Role: w.Role, Discovery: w.DiscoverySecret}
	if !w.Expires.IsZero() {
		f.Expires = w.Expires.Unix()
	}
	return "welcomed", sendFrame(s, kindWelcome, f)
}

// Enrol redeems t at its gateway over h. The error is ErrRefused when the gateway did not take the ticket;
// after any other error the same ticket can be tried again by the same peer.
func Enrol(ctx context.Context, h host.Host, t Ticket) (Welcome, error) {
	if err := h.Connect(ctx, t.GatewayInfo()); err != nil {
		return Welcome{}, fmt.Errorf("reaching the gateway named in the ticket "+
			"(is it running, and are both on a common network or hive?): %w", err)
	}
	ctx, cancel := context.WithTimeout(network.WithAllowLimitedConn(ctx, "enrol"), enrolDeadline)
	defer cancel()
	s, err := h.NewStream(ctx, t.Gateway, EnrolProtocol)
	if err != nil {
		return Welcome{}, fmt.Errorf("asking the gateway to redeem the ticket: %w", err)
	}
	defer resetStream(s)
	stop := context.AfterFunc(ctx, func() { resetStream(s) })
	defer stop()
	w, err := redeemOver(s, t)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", err, ctx.Err())
	}
	return w, err
}

func redeemOver(s network.Stream, t Ticket) (Welcome, error) {
	if err := s.SetDeadline(time.Now().Add(enrolDeadline)); err != nil {
		return Welcome{}, fmt.Errorf("redeeming the ticket: %w", err)
	}
	if err := sendFrame(s, kindRedeem, redeemFrame{ID: t.ID, Secret: t.Secret[:]}); err != nil {
		return Welcome{}, fmt.Errorf("sending the ticket: %w", err)
	}
	kind, fields, err := newFrameReader(s, readSmall).next()
	if err != nil {
		return Welcome{}, fmt.Errorf("waiting for the gateway's answer: %w", err)
	}
	switch kind {
	case kindRefused:
		return Welcome{}, ErrRefused
	case kindWelcome:
		return decodeWelcome(fields)
	}
	return Welcome{}, fmt.Errorf("the gateway answered with a %s frame: %w", kind, ErrFrame)
}

func decodeWelcome(fields []byte) (Welcome, error) {
	var f welcomeFrame
	if err := decodeFields(kindWelcome, fields, &f); err != nil {
		return Welcome{}, err
	}
	if len(f.Gateway) > maxKey || len(f.Role) > maxKey || len(f.Discovery) > maxKey {
		return Welcome{}, fmt.Errorf("welcome with a field over %d bytes: %w", maxKey, ErrFrame)
	}
	w := Welcome{Gateway: f.Gateway, Role: f.Role, DiscoverySecret: f.Discovery}
	if f.Expires != 0 {
		w.Expires = time.Unix(f.Expires, 0).UTC()
	}
	return w, nil
}

// sendFrame writes one frame; the caller has set the deadline.
func sendFrame(s network.Stream, kind frameKind, fields any) error {
	b, err := appendFrame(nil, kind, fields)
	if err != nil {
		return err
	}
	_, err = s.Write(b)
	return err
}

// resetStream drops a stream. Its error only says that the connection is gone already.
func resetStream(s network.Stream) { _ = s.Reset() }
