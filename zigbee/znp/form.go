package znp

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	zb "github.com/shimmeringbee/zigbee"

	"github.com/peerbee/peerbee/zigbee/znp/mt"
)

const (
	resetTimeout     = 30 * time.Second
	slowRequest      = 40 * time.Second // commands that start the network answer late
	formTimeout      = 100 * time.Second
	settleTries      = 10
	firstSettlePause = 100 * time.Millisecond
	lastSettlePause  = 3 * time.Second
	takeTimeout      = 15 * time.Second // for a stick that is being opened to take a decision

	clearNetworkAndConfig = 0x03 // nvStartupOption
	softReset             = 1
	commissionFormation   = 0x04
	formationFailure      = 8
	defaultChannel        = 15
)

// FormParams describe a network to form. Its key always comes from crypto/rand and never leaves the stick.
type FormParams struct {
	Channel     uint8            // 11..26; 0: 15
	PAN         zb.PANID         // 0: random
	ExtendedPAN zb.ExtendedPANID // 0: random
	// Replace allows to destroy the network the stick holds. Without it Form gives ErrHoldsNetwork.
	Replace bool
}

// decisionCall is Form, Adopt, or work that must not meet one of those, on its way to the goroutine that owns the
// bring-up.
type decisionCall struct {
	ctx  context.Context
	form *FormParams                               // nil: adopt, or work
	work func(context.Context, *link, State) error // nil: form or adopt
	done chan decisionResult
}

type decisionResult struct {
	network Network
	err     error
}

// Form makes a new network on the stick and runs it. The caller must store the result as Options.Expect.
func (h *Host) Form(ctx context.Context, p FormParams) (Network, error) {
	if p.Channel == 0 {
		p.Channel = defaultChannel
	}
	if p.Channel < 11 || p.Channel > 26 {
		return Network{}, fmt.Errorf("form a network on channel %d: channels are 11 to 26", p.Channel)
	}
	if p.PAN == 0xFFFF || p.ExtendedPAN == 0xFFFFFFFFFFFFFFFF {
		return Network{}, errors.New("form a network: PAN ids of ones only are reserved")
	}
	n, err := h.decision(ctx, &decisionCall{form: &p})
	if err != nil {
		return Network{}, fmt.Errorf("form a network: %w", err)
	}
	return n, nil
}

// Adopt accepts the network found on the stick, without a write to its network memory, and runs it. The caller
// must store the result as Options.Expect.
func (h *Host) Adopt(ctx context.Context) (Network, error) {
	n, err := h.decision(ctx, &decisionCall{})
	if err != nil {
		return Network{}, fmt.Errorf("adopt the stick's network: %w", err)
	}
	return n, nil
}

// decision hands a call to the goroutine that works the stick and waits for its result.
func (h *Host) decision(ctx context.Context, d *decisionCall) (Network, error) {
	d.ctx, d.done = ctx, make(chan decisionResult, 1)
	if s := h.State(); s.Phase == PhaseNoStick || s.Phase == PhaseWrongFamily {
		return Network{}, notRunning(s)
	}
	timer := time.NewTimer(takeTimeout)
	defer timer.Stop()
	select {
	case h.decisions <- d:
	case <-timer.C:
		return Network{}, notRunning(h.State())
	case <-ctx.Done():
		return Network{}, context.Cause(ctx)
	}
	r := <-d.done
	return r.network, r.err
}

// borrow lets work use an opened stick, whether or not it runs a network, while nobody decides over it.
func (h *Host) borrow(ctx context.Context, work func(context.Context, *link, State) error) error {
	_, err := h.decision(ctx, &decisionCall{work: work})
	return err
}

// carryOut works a decision while nothing else uses the stick, and gives the state afterwards. The error ends
// the session; a decision that fails does not.
func (h *Host) carryOut(ctx context.Context, l *link, s State, d *decisionCall) (State, error) {
	call, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.ctx, func() { cancel(context.Cause(d.ctx)) })() //nolint:contextcheck // ends with either
	switch {
	case d.work != nil:
		d.done <- decisionResult{err: d.work(call, l, s)}
		return s, nil
	case d.form == nil:
		return h.adopt(ctx, l, s, d)
	}
	if s.Network != nil && !d.form.Replace {
		d.done <- decisionResult{err: fmt.Errorf("%w (%s)", ErrHoldsNetwork, s.Network)}
		return s, nil
	}
	h.setRunning(nil)
	l.steady.Store(false)
	l.deliver.Store(false)
	h.setState(State{Phase: PhaseForming, Stick: s.Stick})
	network, err := l.form(call, *d.form)
	if err == nil {
		h.adoptNetwork(network)
	}
	next, upErr := h.bringUp(ctx, l)
	if err == nil {
		err = upErr
	}
	if err == nil && next.Phase != PhaseRunning {
		err = notRunning(next)
	}
	d.done <- decisionResult{network: network, err: err}
	return next, upErr
}

func (h *Host) adopt(ctx context.Context, l *link, s State, d *decisionCall) (State, error) {
	if s.Network == nil {
		d.done <- decisionResult{err: ErrNoNetwork}
		return s, nil
	}
	if s.Phase == PhaseRunning {
		d.done <- decisionResult{network: *s.Network}
		return s, nil
	}
	before := h.expected()
	h.adoptNetwork(*s.Network)
	next, err := h.bringUp(ctx, l)
	r := decisionResult{err: err}
	switch {
	case err == nil && next.Phase == PhaseRunning:
		r.network = *next.Network
	default:
		h.mu.Lock()
		h.expect = before
		h.mu.Unlock()
		if err == nil {
			r.err = notRunning(next)
		}
	}
	d.done <- r
	return next, err
}

func (h *Host) adoptNetwork(n Network) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expect = &n
}

// form clears the stick and makes a network on it (Z-Stack 3 with BDB commissioning).
func (l *link) form(ctx context.Context, p FormParams) (Network, error) {
	var key [16]byte
	randomise(key[:])
	for p.PAN == 0 || p.PAN == 0xFFFF {
		var b [2]byte
		randomise(b[:])
		p.PAN = zb.PANID(binary.LittleEndian.Uint16(b[:]))
	}
	for p.ExtendedPAN == 0 || p.ExtendedPAN == 0xFFFFFFFFFFFFFFFF {
		var b [8]byte
		randomise(b[:])
		p.ExtendedPAN = zb.ExtendedPANID(binary.LittleEndian.Uint64(b[:]))
	}
	if err := l.clear(ctx); err != nil {
		return Network{}, err
	}
	if err := l.writeParameters(ctx, p, key[:]); err != nil {
		return Network{}, err
	}
	if err := l.commission(ctx, p.Channel); err != nil {
		return Network{}, err
	}
	n, err := l.verifyFormed(ctx, p, keySum(key[:]))
	if err != nil {
		return Network{}, err
	}
	return n, l.nvWrite(ctx, nvHasConfigured, []byte{configuredMark})
}

// randomise fills b from crypto/rand, which ends the program rather than fail.
func randomise(b []byte) {
	_, _ = rand.Read(b) // never fails since Go 1.24
}

// clear makes the stick forget its network and settings.
func (l *link) clear(ctx context.Context) error {
	if err := l.nvWrite(ctx, nvStartupOption, []byte{clearNetworkAndConfig}); err != nil {
		return err
	}
	if err := l.restart(ctx); err != nil {
		return err
	}
	return l.nvWrite(ctx, nvStartupOption, []byte{0})
}

// restart resets the stick and waits until it is back.
func (l *link) restart(ctx context.Context) error {
	back := l.expect(cmdReset, func([]byte) bool { return true })
	defer l.release(back)
	frame, err := mt.AppendFrame(nil, &mt.SysResetReq{Kind: softReset})
	if err != nil {
		return fmt.Errorf("reset the stick: %w", err)
	}
	if err := l.rawWrite(ctx, frame); err != nil {
		return fmt.Errorf("reset the stick: %w", err)
	}
	if err := l.await(ctx, back, resetTimeout, &mt.SysResetInd{}); err != nil {
		return fmt.Errorf("reset the stick: %w", err)
	}
	return nil
}

type nvSetting struct {
	item  uint16
	value []byte
}

// writeParameters stores what the network is to be, and settings that make a sensor network steadier: the stick
// as a many-to-one concentrator, children that stay known while they sleep.
func (l *link) writeParameters(ctx context.Context, p FormParams, key []byte) error {
	extended := binary.LittleEndian.AppendUint64(nil, uint64(p.ExtendedPAN))
	for _, s := range []nvSetting{
		{nvLogicalType, []byte{0}}, // coordinator
		{nvDirectCallback, []byte{1}},
		{nvChannels, binary.LittleEndian.AppendUint32(nil, channelMask(p.Channel))},
		{nvPAN, binary.LittleEndian.AppendUint16(nil, uint16(p.PAN))},
		{nvExtendedPAN, extended},
		{nvUseExtendedPAN, extended},
		{nvPreconfiguredKey, key},
		{nvKeysEnable, []byte{0}}, // the key is handed out encrypted with the link key
	} {
		if err := l.nvWrite(ctx, s.item, s.value); err != nil {
			return err
		}
	}
	for _, s := range []nvSetting{
		{nvConcentrator, []byte{1}},
		{nvConcDiscovery, []byte{120}},
		{nvConcRouteCache, []byte{1}},
		{nvSrcRtgExpiry, []byte{255}},
		{nvChildAge, []byte{0}},
		{nvBcastDelivery, []byte{30}},
	} {
		err := l.nvWrite(ctx, s.item, s.value)
		switch {
		case errors.Is(err, errLinkDown), errors.Is(err, errReset), ctx.Err() != nil:
			return err
		case err != nil:
			l.log.Debug("optional zigbee setting refused", "error", err)
		}
	}
	return nil
}

func channelMask(channel uint8) uint32 { return 1 << channel }

// commission forms the network and waits until it is up.
func (l *link) commission(ctx context.Context, channel uint8) error {
	for _, req := range []*mt.BDBSetChannel{{Primary: true, Channels: channelMask(channel)}, {}} {
		if err := l.command(ctx, req); err != nil {
			return fmt.Errorf("set the channel: %w", err)
		}
	}
	up := l.expect(cmdState, isCoordinator)
	defer l.release(up)
	failed := l.expect((&mt.BDBNotification{}).Command(), func(payload []byte) bool {
		return len(payload) > 0 && payload[0] == formationFailure
	})
	defer l.release(failed)
	started := mt.StatusRsp{Of: (&mt.BDBStartCommissioning{}).Command()}
	if err := l.requestWithin(ctx, slowRequest, &mt.BDBStartCommissioning{Mode: commissionFormation}, &started); err != nil {
		return fmt.Errorf("start commissioning: %w", err)
	}
	if err := statusErr("start commissioning", started.Status); err != nil {
		return err
	}
	timer := time.NewTimer(formTimeout)
	defer timer.Stop()
	select {
	case r := <-up.done:
		return r.err
	case r := <-failed.done:
		if r.err != nil {
			return r.err
		}
		return errFormation
	case <-timer.C:
		return fmt.Errorf("%w: %w", errFormation, ErrTimeout)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errFormation = errors.New("the stick could not form the network: another network with the same ids is near, " +
	"or the channel is too noisy; move the stick away from USB 3 ports or choose another channel")

// verifyFormed waits until the stick has stored its network, and compares it with what was asked for. The stick
// may have chosen another PAN id, when the one asked for is in use nearby.
func (l *link) verifyFormed(ctx context.Context, p FormParams, sum string) (Network, error) {
	pause := firstSettlePause
	for try := 1; ; try++ {
		found, err := l.survey(ctx)
		if err != nil {
			return Network{}, err
		}
		if n := found.network(); n != nil {
			want := Network{Channel: p.Channel, PAN: n.PAN, ExtendedPAN: p.ExtendedPAN, Coordinator: n.Coordinator, KeySum: sum}
			if diff := differences(*n, want); len(diff) > 0 {
				return Network{}, fmt.Errorf("the stick formed another network than asked for: %v", diff)
			}
			return *n, l.confirmNetwork(ctx, *n)
		}
		if try == settleTries {
			return Network{}, errors.New("the stick says that it has formed a network but did not store one")
		}
		if err := l.sleep(ctx, pause); err != nil {
			return Network{}, err
		}
		pause = min(2*pause, lastSettlePause)
	}
}
