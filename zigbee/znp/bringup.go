package znp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

var errNoAnswer = errors.New("the stick does not answer")

const (
	wakeAttempts   = 3
	wakePing       = 250 * time.Millisecond
	bootLoaderWait = time.Second            // after asking the CC253x boot loader to start the firmware
	lineStep       = 150 * time.Millisecond // between changes of DTR and RTS
	startTimeout   = 60 * time.Second       // for a network to be up after ZDO_STARTUP_FROM_APP
	startDelay     = 100                    // milliseconds, as told to the stick
	startLeft      = mt.Status(2)           // ZDO_STARTUP_FROM_APP: the stick left its network
)

// bringUp takes the stick from an opened port, or from a restart, to the state it can be left in: running, or
// waiting for a decision. It writes nothing that belongs to a network.
func (h *Host) bringUp(ctx context.Context, l *link) (State, error) {
	l.deliver.Store(false)
	h.setState(State{Phase: PhaseStarting})
	if err := l.wake(ctx); err != nil {
		return State{}, err
	}
	l.forgetReset() // a restart up to here is what this bring-up answers
	stick, err := l.identify(ctx)
	if err != nil {
		return State{}, err
	}
	found, err := l.survey(ctx)
	if err != nil {
		return State{}, err
	}
	stick.IEEE = found.coordinator
	base := State{Stick: stick, Network: found.network()}
	if d := decide(found, h.expected()); !d.resume {
		base.Phase, base.Problem, base.Hint = PhaseNeedsDecision, d.problem, d.hint
		return base, nil
	}
	return h.resume(ctx, l, base, found.started)
}

// wake makes sure that Z-Stack firmware listens: sticks may be starting, sit in a boot loader, or be of another
// family. One that starts tells so, which ends the waiting.
func (l *link) wake(ctx context.Context) error {
	attempts := []func(context.Context) error{l.recognise, l.leaveBootLoader, l.toggleLines}
	for range wakeAttempts {
		for _, attempt := range attempts {
			if awake, err := l.pinged(ctx); awake || err != nil {
				return err
			}
			if err := attempt(ctx); errors.Is(err, errReset) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	if awake, err := l.pinged(ctx); awake || err != nil {
		return err
	}
	return errNoAnswer
}

func (l *link) forgetReset() {
	for len(l.reset) > 0 {
		<-l.reset //nolint:errcheck // whatever it was, it is over
	}
}

// pinged reports whether the stick answers; a message that it has restarted counts.
func (l *link) pinged(ctx context.Context) (bool, error) {
	err := l.probe(ctx, wakePing)
	switch {
	case err == nil, errors.Is(err, errReset):
		return true, nil
	case errors.Is(err, ErrTimeout):
		return false, nil
	default:
		return false, err
	}
}

// listen waits for d; it gives errReset as soon as the stick tells that it has started.
func (l *link) listen(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err := <-l.reset:
		return err
	case <-timer.C:
		return nil
	case <-l.dead:
		return l.cause()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leaveBootLoader asks the CC253x boot loader to start the firmware. The many bytes also complete any frame the
// firmware may believe to be in the middle of.
func (l *link) leaveBootLoader(ctx context.Context) error {
	if err := l.rawWrite(ctx, bytes.Repeat([]byte{0xEF}, 256)); err != nil {
		return err
	}
	return l.listen(ctx, bootLoaderWait)
}

// toggleLines restarts sticks whose reset and boot pins hang on DTR and RTS.
func (l *link) toggleLines(ctx context.Context) error {
	lines, ok := l.port.(interface {
		SetDTR(on bool) error
		SetRTS(on bool) error
	})
	if !ok {
		return nil
	}
	for _, rts := range []bool{false, true, false} {
		if err := errors.Join(lines.SetDTR(false), lines.SetRTS(rts)); err != nil {
			l.log.Debug("set the zigbee port's control lines", "error", err)
			return nil
		}
		if err := l.listen(ctx, lineStep); err != nil {
			return err
		}
	}
	return nil
}

// identify reads the firmware's version and the structure layout of its chip.
func (l *link) identify(ctx context.Context) (Stick, error) {
	var version mt.SysVersionRsp
	if err := l.query(ctx, &mt.SysVersion{}, &version); err != nil {
		return Stick{}, fmt.Errorf("identify the stick: %w", err)
	}
	stick := Stick{Revision: version.Revision}
	switch version.Product {
	case 0:
		return Stick{}, oldFirmware
	case 1:
		stick.Version = "Z-Stack 3.x.0"
	case 2:
		stick.Version = "Z-Stack 3.0.x"
	default:
		stick.Version = fmt.Sprintf("Z-Stack product %d, %d.%d.%d", version.Product, version.Major, version.Minor, version.Maintenance)
	}
	layout, err := l.alignment(ctx)
	if err != nil {
		return Stick{}, err
	}
	atOnce := 16
	if layout == packed {
		atOnce = 2
	}
	l.mu.Lock()
	l.build, l.product, l.layout = version.Revision, version.Product, layout
	l.concurrent = make(chan struct{}, atOnce)
	l.mu.Unlock()
	return stick, nil
}

func (l *link) alignment(ctx context.Context) (alignment, error) {
	var length mt.NVLengthRsp
	if err := l.query(ctx, &mt.NVLength{Item: nvNetworkKey}, &length); err != nil {
		return alignmentUnknown, fmt.Errorf("read the stick's structure layout: %w", err)
	}
	if layout := alignmentOf(length.Length); layout != alignmentUnknown {
		return layout, nil
	}
	var device mt.UtilAssocFindDeviceRsp
	err := l.query(ctx, &mt.UtilAssocFindDevice{}, &device)
	switch {
	case errors.Is(err, ErrUnsupported):
		return alignmentUnknown, nil
	case err != nil:
		return alignmentUnknown, fmt.Errorf("read the stick's structure layout: %w", err)
	case len(device.Device) == 28:
		return packed, nil
	default:
		return aligned, nil
	}
}

// survey reads what the stick holds. It writes nothing.
func (l *link) survey(ctx context.Context) (contents, error) {
	var c contents
	var info mt.UtilGetDeviceInfoRsp
	if err := l.query(ctx, &mt.UtilGetDeviceInfo{}, &info); err != nil {
		return c, fmt.Errorf("ask the stick for its address: %w", err)
	}
	c.coordinator, c.started = info.IEEE, info.State == mt.StateCoordinator
	onNetwork, err := l.nvRead(ctx, nvOnNetwork)
	if err != nil {
		return c, err
	}
	c.onNetwork = len(onNetwork) > 0 && onNetwork[0] == 1
	rawNIB, err := l.nvRead(ctx, nvNIB)
	if err != nil {
		return c, err
	}
	c.nib, c.nibValid = parseNIB(rawNIB)
	key, err := l.nvRead(ctx, nvActiveKey)
	if err != nil {
		return c, err
	}
	if k, ok := activeKey(key); ok {
		c.key = k
	}
	return c, nil
}

// resume starts the network the stick holds and makes the stick ready for traffic.
func (h *Host) resume(ctx context.Context, l *link, s State, started bool) (State, error) {
	if !started {
		if err := l.startCoordinator(ctx); err != nil {
			return s, err
		}
	}
	if err := l.confirmNetwork(ctx, *s.Network); err != nil {
		var other *otherNetworkError
		if !errors.As(err, &other) {
			return s, err
		}
		s.Phase, s.Problem, s.Hint = PhaseNeedsDecision, err.Error(), hintAdopt
		return s, nil
	}
	l.deliver.Store(true)
	if err := h.prepare(ctx, l); err != nil {
		return s, err
	}
	l.steady.Store(true)
	s.Phase, s.Problem, s.Hint = PhaseRunning, "", ""
	return s, nil
}

// startCoordinator starts the network and waits until it is up.
func (l *link) startCoordinator(ctx context.Context) error {
	up := l.expect(cmdState, isCoordinator)
	defer l.release(up)
	started := mt.StatusRsp{Of: (&mt.ZDOStartupFromApp{}).Command()}
	if err := l.requestWithin(ctx, slowRequest, &mt.ZDOStartupFromApp{Delay: startDelay}, &started); err != nil {
		return fmt.Errorf("start the network: %w", err)
	}
	if started.Status >= startLeft {
		return &StatusError{Op: "start the network", Status: started.Status}
	}
	if err := l.await(ctx, up, startTimeout, &mt.ZDOStateChangeInd{}); err != nil {
		return fmt.Errorf("start the network: %w", err)
	}
	return nil
}

// isCoordinator matches the indication that the network is up.
func isCoordinator(payload []byte) bool {
	return len(payload) > 0 && mt.DeviceState(payload[0]) == mt.StateCoordinator
}

// otherNetworkError says that the stick runs another network than its memory told.
type otherNetworkError struct {
	pan     zb.PANID
	channel uint8
	held    Network
}

func (e *otherNetworkError) Error() string {
	return fmt.Sprintf("the stick runs PAN 0x%04x on channel %d, but its memory tells of %s", uint16(e.pan), e.channel, e.held)
}

// confirmNetwork compares the network the stick runs with the one it was told to hold.
func (l *link) confirmNetwork(ctx context.Context, held Network) error {
	var run mt.ZDOExtNwkInfoRsp
	err := l.query(ctx, &mt.ZDOExtNwkInfo{}, &run)
	switch {
	case errors.Is(err, ErrUnsupported):
		return nil
	case err != nil:
		return fmt.Errorf("ask the stick for its network: %w", err)
	case run.PAN != held.PAN || run.Channel != held.Channel:
		return &otherNetworkError{pan: run.PAN, channel: run.Channel, held: held}
	default:
		return nil
	}
}
