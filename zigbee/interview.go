package zigbee

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	zb "github.com/shimmeringbee/zigbee"
	"golang.org/x/sync/errgroup"

	"github.com/peerbee/peerbee/zigbee/device"
	"github.com/peerbee/peerbee/zigbee/zcl"
)

const (
	// maxFailures is how many runs of an interview may end without an answer before it counts as failed.
	maxFailures = 8
	// firstBackoff doubles with each failed run; a device that speaks is asked again after restBetween already.
	firstBackoff = 10 * time.Second
	maxBackoff   = 10 * time.Minute
	restBetween  = 2 * time.Second
	// restFailed is how long a device whose interview failed is left alone, speak as it may.
	restFailed = time.Hour
	// inFlight is how many questions one device gets at once: a parent keeps few messages for a sleeping child.
	inFlight = 3
	// patience is how long a question waits before a sign of life of the device has it asked anew: a device that
	// slept through the question is awake at that moment, and maybe at no other.
	patience = 1500 * time.Millisecond
	// maxRepeats bounds that, for devices that speak often and answer nothing.
	maxRepeats = 6
)

// interview is how far one device's interview has come. It belongs to the run in progress; the table's lock
// guards which interview an entry has, and notBefore.
type interview struct {
	mu        sync.Mutex // guards settled, answered and spoke
	settled   map[question]bool
	spoke     chan struct{} // closed when the device speaks; nil when nobody waits for that
	answered  bool          // anything was settled in this run
	active    []zb.Endpoint
	failures  int
	tuyaRest  bool
	began     time.Time // of the run in progress
	repeat    bool      // bindings and reporting of a device whose interview is done are set up again
	notBefore time.Time // a sign of life before this does not start a run
}

// question is one thing to find out or to set up.
type question struct {
	kind      questionKind
	endpoint  zb.Endpoint
	cluster   uint16
	attribute uint16
}

type questionKind uint8

const (
	askNode questionKind = iota
	askEndpoints
	askDescriptor
	askBasic
	askNeeded // attributes: see device.NeededAttributes; attribute holds the first of the batch
	askEnrol
	askBind
	askReporting
	askFirst // the present values
)

// resumeInterview starts where a restart of the process left off.
func resumeInterview(d Device) *interview {
	iv := &interview{settled: make(map[question]bool)}
	if d.Type == zb.Router || d.Type == zb.EndDevice {
		iv.settled[question{kind: askNode}] = true
	}
	iv.repeat = d.Interview == InterviewDone && lacksFacts(d)
	return iv
}

// lacksFacts reports whether a device's facts were lost: the reports of these clusters mean nothing without.
func lacksFacts(d Device) bool {
	for _, ep := range d.Endpoints {
		for _, cluster := range ep.InClusters {
			switch uint16(cluster) {
			case zcl.ClusterMetering, zcl.ClusterElectrical, zcl.ClusterIASZone:
				if !slices.ContainsFunc(d.Facts, func(f device.Fact) bool {
					return f.Endpoint == uint8(ep.ID) && f.Cluster == uint16(cluster)
				}) {
					return true
				}
			}
		}
	}
	return false
}

// wantsInterview reports whether something is left to ask. The caller holds the table's lock, as for the next two.
func (e *entry) wantsInterview() bool {
	switch e.Interview {
	case InterviewDone:
		return e.interview.repeat
	case InterviewFailed:
		return false
	}
	return true
}

// retry gives a failed interview a new start; true if the record changed.
func (e *entry) retry() bool {
	e.interview.notBefore = time.Time{}
	if e.Interview != InterviewFailed {
		return false
	}
	e.interview = resumeInterview(e.Device)
	e.Interview = InterviewPending
	return true
}

// restart asks everything again of a device that may have been reset; a complete record stays complete meanwhile.
func (e *entry) restart() bool {
	was := e.Interview
	e.interview = resumeInterview(e.Device)
	if was != InterviewDone {
		e.Interview = InterviewPending
		return was != InterviewPending
	}
	e.interview.repeat = true
	return false
}

// waiting lists the devices with something left to ask.
func (t *table) waiting() []zb.IEEEAddress {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []zb.IEEEAddress
	for ieee, e := range t.byIEEE {
		if e.wantsInterview() {
			list = append(list, ieee)
		}
	}
	return list
}

// session is one run of one device's interview.
type session struct {
	*interview
	n    *Network
	ieee zb.IEEEAddress
}

// errRest asks for another run at notBefore without counting a failure.
var errRest = errors.New("the device needs a rest")

// interviewOne runs a device's interview as far as it gets and says when to try again; zero: not by itself.
func (n *Network) interviewOne(ctx context.Context, ieee zb.IEEEAddress) (again time.Time) {
	s := &session{n: n, ieee: ieee}
	n.table.change(ieee, func(e *entry) bool {
		if e.wantsInterview() {
			s.interview = e.interview
		}
		return false
	})
	switch {
	case s.interview == nil:
		return time.Time{}
	case !n.running.Load():
		return time.Now().Add(restBetween)
	}
	n.counters.interviews.Add(1)
	s.answered, s.began = false, time.Now()
	err := s.run(ctx)
	if ctx.Err() != nil {
		return time.Now()
	}
	return s.conclude(err)
}

func (s *session) run(ctx context.Context) error {
	for _, part := range []func(context.Context) error{
		s.readNode, s.readEndpoints, s.readDescriptors, s.readBasic, s.readNeeded, s.enrol, s.configure,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// conclude writes the outcome of a run into the device's record.
func (s *session) conclude(err error) (again time.Time) {
	now := time.Now()
	s.n.table.change(s.ieee, func(e *entry) bool {
		if e.interview != s.interview {
			again = now // the device joined anew meanwhile
			return false
		}
		switch {
		case err == nil || s.acceptable(e.Device):
			s.repeat = false
			s.failures = 0
			s.n.counters.interviewsDone.Add(1)
			changed := e.Interview != InterviewDone
			e.Interview = InterviewDone
			return changed
		case errors.Is(err, errRest):
			again = s.notBefore
			return false
		case !s.n.running.Load():
			again = now.Add(restBetween) // not the device's failure
			return false
		}
		if s.answered {
			s.failures = 0
		}
		s.failures++
		if s.failures < maxFailures {
			s.notBefore = now.Add(restBetween)
			again = now.Add(min(firstBackoff<<(s.failures-1), maxBackoff))
			if !e.LastSeen.Before(s.began) {
				again = s.notBefore // it is awake, or was a moment ago
			}
			return e.progress(InterviewPartial)
		}
		s.notBefore = now.Add(restFailed)
		s.repeat = false
		return e.progress(InterviewFailed)
	})
	if err != nil {
		s.n.log.Info("interview not finished", "device", s.ieee, "failures", s.failures, "error", err)
	}
	return again
}

// progress sets the interview's state; a device once described stays so.
func (e *entry) progress(to InterviewState) bool {
	if e.Interview == InterviewDone || e.Interview == to {
		return false
	}
	e.Interview = to
	return true
}

// acceptable reports whether a device is of a kind that never finishes an interview but reports nevertheless.
func (s *session) acceptable(d Device) bool {
	return strings.HasPrefix(d.Model, "lumi.") ||
		strings.HasPrefix(d.Model, "TS") && len(d.Model) == len("TS0201") && strings.HasPrefix(d.Manufacturer, "_T")
}

// ask settles one question: it is not asked again once it was answered or refused.
func (s *session) ask(ctx context.Context, q question, do func(context.Context) error) error {
	s.mu.Lock()
	done := s.settled[q]
	s.mu.Unlock()
	if done {
		return nil
	}
	err := errSpoke
	for try := 0; errors.Is(err, errSpoke) && try < maxRepeats; try++ {
		err = s.attempt(ctx, do)
	}
	if err != nil && !refused(err) {
		return err
	}
	if err != nil {
		s.n.log.Debug("device refuses", "device", s.ieee, "endpoint", q.endpoint, "cluster", q.cluster, "attribute", q.attribute, "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled[q] = true
	s.answered = true
	return nil
}

// errSpoke ends an attempt that the device slept through.
var errSpoke = fmt.Errorf("%w what it is asked, though it speaks", ErrNoAnswer)

// attempt asks once, and gives up with errSpoke when the device speaks while the question has long been waiting.
func (s *session) attempt(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	waited := time.NewTimer(patience)
	defer waited.Stop()
	var spoke <-chan struct{}
	for {
		select {
		case err := <-done:
			return err
		case <-waited.C:
			spoke = s.listen()
		case <-spoke:
			cancel()
			if err := <-done; err == nil || refused(err) {
				return err
			}
			return errSpoke
		}
	}
}

// listen gives a channel that is closed when the device speaks.
func (iv *interview) listen() <-chan struct{} {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	if iv.spoke == nil {
		iv.spoke = make(chan struct{})
	}
	return iv.spoke
}

// hear notes that the device speaks.
func (iv *interview) hear() {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	if iv.spoke != nil {
		close(iv.spoke)
		iv.spoke = nil
	}
}

// refused tells an answer that will be the same next time from one that did not come.
func refused(err error) bool {
	var status *StatusError
	if errors.As(err, &status) {
		return status.Status != zcl.StatusTimeout
	}
	return errors.Is(err, errRefused)
}

// errRefused is a node's refusal of a descriptor or binding.
var errRefused = errors.New("refused")

// together asks several questions at once, a few at a time.
func together(ctx context.Context, asks []func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(inFlight)
	for _, ask := range asks {
		g.Go(func() error { return ask(ctx) })
	}
	return g.Wait()
}

// device gives the record as it is now.
func (s *session) device() (Device, error) {
	d, ok := s.n.table.get(s.ieee)
	if !ok {
		return Device{}, ErrUnknownDevice
	}
	return d, nil
}

// record alters the record as long as this run is the device's current one.
func (s *session) record(do func(*Device) bool) {
	s.n.table.change(s.ieee, func(e *entry) bool {
		if e.interview != s.interview {
			return false
		}
		changed := do(&e.Device)
		if changed {
			e.progress(InterviewPartial)
			e.meaning.SetEndpoints(deviceEndpoints(e.Endpoints))
			e.recognise()
		}
		return changed
	})
}
