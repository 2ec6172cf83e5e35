package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peerbee/peerbee/zigbee/sim"
)

// amounts are how much of everything is measured.
type amounts struct {
	sensors   int
	starts    int
	load      time.Duration // of the loads at 200 reports a second
	bursts    int           // the latency is measured in
	step      time.Duration // of each rate that is tried
	idle      time.Duration // before memory is looked at
	faulty    int           // reports sent over a damaged line
	silence   time.Duration // how long a gateway that went silent is watched
	unplugged time.Duration
}

var (
	quick = amounts{
		sensors: 50, starts: 3, load: 8 * time.Second, bursts: 3, step: 2 * time.Second, idle: 3 * time.Second,
		faulty: 1000, silence: 15 * time.Second, unplugged: 5 * time.Second,
	}
	full = amounts{
		sensors: 50, starts: 7, load: 50 * time.Second, bursts: 5, step: 10 * time.Second, idle: 60 * time.Second,
		faulty: 1000, silence: 75 * time.Second, unplugged: 10 * time.Second,
	}
)

const (
	everyday = 200 // reports a second
	patience = 2 * time.Second
	// behind is how long after the last report was due the last arrival may be for a rate to count as kept up with.
	behind = 500 * time.Millisecond
)

// bench measures one contender on one stick.
type bench struct {
	contender
	amounts
	stick    *stick
	arrivals *arrivals
	say      func(format string, args ...any) // progress
}

// result is what was measured; rows that could not be are left out of it, with the reason in failed.
type result struct {
	cells  map[row]cell
	failed []error
}

// cell is one figure, and the number that ratios are made of; 0: none.
type cell struct {
	text  string
	value float64
}

func (b *bench) run(ctx context.Context) (result, error) {
	r := result{cells: map[row]cell{}}
	b.say("forming")
	if err := b.start(ctx); err != nil {
		return r, err
	}
	for _, m := range []struct {
		name string
		do   func(context.Context, map[row]cell) error
	}{
		{"pairing", b.pairAll},
		{"starting", b.restarts},
		{"idle", b.idleMemory},
		{"processor time", b.processorTime},
		{"latency", b.latency},
		{"highest rate", b.highestRate},
		{"garbage", b.garbage},
		{"dropped bytes", b.droppedBytes},
		{"stray byte", b.strayByte},
		{"reset", b.resetByItself},
		{"unplugged", b.portGone},
	} {
		b.say("%s", m.name)
		if err := m.do(ctx, r.cells); err != nil {
			if ctx.Err() != nil {
				return r, ctx.Err()
			}
			r.failed = append(r.failed, fmt.Errorf("%s: %w", m.name, err))
			if err := b.recover(ctx); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// recover brings a gateway back that a measurement left silent.
func (b *bench) recover(ctx context.Context) error {
	if err := errors.Join(b.stick.Faults(ctx, sim.Faults{}), b.stick.Load(ctx, sim.Load{Stop: true})); err != nil {
		return err
	}
	return errors.Join(b.stop(), b.start(ctx))
}

func (b *bench) pairAll(ctx context.Context, cells map[row]cell) error {
	sensors, err := b.stick.Sensors(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	for _, s := range sensors[:min(len(sensors), b.sensors)] {
		if err := b.pair(ctx, s.IEEE, func() error { return b.stick.Join(ctx, s.Name) }); err != nil {
			return err
		}
	}
	cells[rowPair] = seconds(time.Since(begin))
	return b.subscribe(ctx)
}

func (b *bench) restarts(ctx context.Context, cells map[row]cell) error {
	best := time.Hour
	for range b.starts {
		if err := b.stop(); err != nil {
			return err
		}
		begin := time.Now()
		if err := b.start(ctx); err != nil {
			return err
		}
		best = min(best, time.Since(begin))
	}
	cells[rowStart] = seconds(best)
	return b.heard(ctx)
}

// heard waits until reports get through to the subscriber.
func (b *bench) heard(ctx context.Context) error {
	_, err := b.firstReport(ctx, 30*time.Second, func() error { return nil })
	return err
}

// firstReport does something and tells when the first report came after it, however long it takes below limit.
func (b *bench) firstReport(ctx context.Context, limit time.Duration, do func() error) (time.Time, error) {
	b.arrivals.reset()
	if err := do(); err != nil {
		return time.Time{}, err
	}
	if err := b.stick.Load(ctx, sim.Load{Rate: 100}); err != nil {
		return time.Time{}, err
	}
	var first time.Time
	err := poll(ctx, limit, time.Millisecond, "a report", func() bool {
		n, last := b.arrivals.count()
		first = last
		return n > 0
	})
	if stop := b.stick.Load(ctx, sim.Load{Stop: true}); stop != nil {
		return time.Time{}, stop
	}
	b.arrivals.await(ctx, 1<<30, 200*time.Millisecond)
	return first, err
}

func (b *bench) idleMemory(ctx context.Context, cells map[row]cell) error {
	select {
	case <-time.After(b.idle):
	case <-ctx.Done():
		return ctx.Err()
	}
	c, err := b.memory()
	cells[rowIdle] = c
	return err
}

func (b *bench) memory() (cell, error) {
	var total float64
	var text string
	for i, p := range b.parts() {
		n, err := p.resident()
		if err != nil {
			return cell{}, err
		}
		if i > 0 {
			text += " + "
		}
		text += fmt.Sprintf("%.0f", float64(n)/1e6)
		total += float64(n) / 1e6
	}
	return cell{text + " MB", total}, nil
}

// delivery is how a load fared.
type delivery struct {
	sent, hit, got int
	late           time.Duration // of the last arrival after the last report was due
	cpu            []time.Duration
}

func (d delivery) lost() int { return d.sent - d.got }

// deliver sends a load and waits for what arrives of it.
func (b *bench) deliver(ctx context.Context, l sim.Load) (delivery, error) {
	b.arrivals.reset()
	before, err := b.cpu()
	if err != nil {
		return delivery{}, err
	}
	begin := time.Now()
	wait, err := b.stick.load(ctx, l)
	if err != nil {
		return delivery{}, err
	}
	sent, hit, err := wait(ctx)
	if err != nil {
		return delivery{}, err
	}
	got, last := b.arrivals.await(ctx, sent, patience)
	due := begin.Add(time.Duration(float64(l.Count) / l.Rate * float64(time.Second)))
	after, err := b.cpu()
	d := delivery{sent: sent, hit: hit, got: got, late: last.Sub(due), cpu: after}
	for i := range d.cpu {
		d.cpu[i] -= before[i]
	}
	return d, err
}

func (b *bench) cpu() ([]time.Duration, error) {
	var all []time.Duration
	for _, p := range b.parts() {
		used, err := p.cpu()
		if err != nil {
			return nil, err
		}
		all = append(all, used)
	}
	return all, nil
}

func (b *bench) everydayLoad() sim.Load {
	return sim.Load{Rate: everyday, Count: uint64(everyday * b.load.Seconds())}
}

func (b *bench) processorTime(ctx context.Context, cells map[row]cell) error {
	d, err := b.deliver(ctx, b.everydayLoad())
	if err != nil {
		return err
	}
	var total float64
	var text string
	for i, used := range d.cpu {
		per := used.Seconds() / float64(d.sent) * 10000
		if i > 0 {
			text += " + "
		}
		text += fmt.Sprintf("%.2f", per)
		total += per
	}
	b.say("  %s s per 10,000", text)
	cells[rowCPU] = cell{text + " s" + lossNote(d), total}
	return nil
}

func lossNote(d delivery) string {
	if d.lost() == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d of %d lost)", d.lost(), d.sent)
}

// latency is that of the best of several loads: what else the machine does comes in bursts.
func (b *bench) latency(ctx context.Context, cells map[row]cell) error {
	best := []time.Duration{time.Hour, time.Hour}
	for range b.bursts {
		l := b.everydayLoad()
		l.Count /= uint64(b.bursts)
		l.Stamp = true
		if _, err := b.deliver(ctx, l); err != nil {
			return err
		}
		p := b.arrivals.percentiles(0.5, 0.99)
		if p[0] == 0 {
			return errors.New("no stamped report arrived")
		}
		b.say("  p50 %s, p99 %s", millis(p[0]), millis(p[1]))
		if p[1] < best[1] {
			best = p
		}
	}
	cells[rowP50] = cell{millis(best[0]), best[0].Seconds()}
	cells[rowP99] = cell{millis(best[1]), best[1].Seconds()}
	return nil
}

// highestRate doubles the rate until something is lost or the contender falls behind, and closes in on the limit.
func (b *bench) highestRate(ctx context.Context, cells map[row]cell) error {
	holds := func(rate float64) (bool, error) {
		d, err := b.deliver(ctx, sim.Load{Rate: rate, Count: uint64(rate * b.step.Seconds())})
		b.say("  %.0f/s: %d of %d lost, %v late", rate, d.lost(), d.sent, d.late.Round(time.Millisecond))
		return d.lost() == 0 && d.late < behind, err
	}
	good, bad := 0.0, 0.0
	for rate := 1000.0; bad == 0 && rate <= 64000; rate *= 2 {
		ok, err := holds(rate)
		switch {
		case err != nil:
			return err
		case ok:
			good = rate
		default:
			bad = rate
		}
	}
	for range 3 {
		if bad == 0 || good == 0 {
			break
		}
		rate := (good + bad) / 2
		ok, err := holds(rate)
		if err != nil {
			return err
		}
		if ok {
			good = rate
		} else {
			bad = rate
		}
	}
	memory, err := b.memory()
	cells[rowRate] = cell{fmt.Sprintf("%.0f", good), good}
	cells[rowRateMemory] = memory
	return errors.Join(err, b.heard(ctx))
}

func (b *bench) garbage(ctx context.Context, cells map[row]cell) error {
	d, err := b.damaged(ctx, sim.Faults{GarbageBytes: 16, GarbageEvery: 5})
	cells[rowGarbage] = cell{fmt.Sprintf("%d lost", d.lost()), float64(d.lost())}
	return err
}

func (b *bench) droppedBytes(ctx context.Context, cells map[row]cell) error {
	d, err := b.damaged(ctx, sim.Faults{Drop: 0.001})
	cells[rowDrops] = cell{fmt.Sprintf("%d lost, %d of them hit", d.lost(), d.hit), float64(d.lost() - d.hit)}
	return err
}

func (b *bench) damaged(ctx context.Context, f sim.Faults) (delivery, error) {
	if err := b.stick.Faults(ctx, f); err != nil {
		return delivery{}, err
	}
	d, err := b.deliver(ctx, sim.Load{Rate: everyday, Count: uint64(b.faulty)})
	return d, errors.Join(err, b.stick.Faults(ctx, sim.Faults{}), b.heard(ctx))
}

func (b *bench) strayByte(ctx context.Context, cells map[row]cell) error {
	const rate, count = 5, 20
	b.arrivals.reset()
	wait, err := b.stick.load(ctx, sim.Load{Rate: rate, Count: count})
	if err != nil {
		return err
	}
	time.Sleep(1100 * time.Millisecond)
	if err := b.stick.Stray(ctx); err != nil {
		return err
	}
	sent, _, err := wait(ctx)
	if err != nil {
		return err
	}
	got, _ := b.arrivals.await(ctx, sent, patience)
	cells[rowStray] = cell{fmt.Sprintf("%d of the next %d lost", sent-got, sent-rate-1), float64(sent - got)}
	return nil
}

func (b *bench) resetByItself(ctx context.Context, cells map[row]cell) error {
	begin := time.Now()
	first, err := b.firstReport(ctx, b.silence, func() error { return b.stick.Reset(ctx) })
	if err != nil {
		cells[rowReset] = cell{text: fmt.Sprintf("silent for the %.0f s watched", b.silence.Seconds())}
		return b.recover(ctx)
	}
	cells[rowReset] = seconds(first.Sub(begin))
	return nil
}

func (b *bench) portGone(ctx context.Context, cells map[row]cell) error {
	back := time.Now().Add(b.unplugged)
	first, err := b.firstReport(ctx, b.unplugged+b.silence, func() error { return b.stick.Unplug(ctx, b.unplugged) })
	switch {
	case !b.parts()[0].running():
		cells[rowGone] = cell{text: "the process exits"}
	case err != nil:
		cells[rowGone] = cell{text: fmt.Sprintf("silent for the %.0f s watched", b.silence.Seconds())}
	default:
		cells[rowGone] = seconds(first.Sub(back))
	}
	return nil
}

func seconds(d time.Duration) cell {
	return cell{fmt.Sprintf("%.2f s", d.Seconds()), d.Seconds()}
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
