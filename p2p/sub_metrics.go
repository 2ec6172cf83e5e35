package p2p

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// subMetrics are the publisher's numbers. They count whether or not anyone registered them.
type subMetrics struct {
	subscribers prometheus.Gauge
	frames      *prometheus.CounterVec
	bytes       prometheus.Counter
	gaps        *prometheus.CounterVec
	refused     *prometheus.CounterVec
	rejected    prometheus.Counter
	// byKind saves a label look-up per frame.
	byKind [len(kindNames)]prometheus.Counter
}

func newSubMetrics(reg prometheus.Registerer) *subMetrics {
	m := &subMetrics{
		subscribers: registered(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "peerbee_sub_subscribers", Help: "Subscription streams that are open.",
		})),
		frames: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "peerbee_sub_frames_total", Help: "Frames sent to subscribers, by kind.",
		}, []string{"kind"})),
		bytes: registered(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "peerbee_sub_bytes_total", Help: "Bytes sent to subscribers, framing included, encryption not.",
		})),
		gaps: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "peerbee_sub_gaps_total", Help: "Gaps announced to subscribers, by reason.",
		}, []string{"reason"})),
		refused: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "peerbee_sub_refused_total", Help: "Subscription streams refused or cut off, by reason.",
		}, []string{"reason"})),
		rejected: registered(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "peerbee_sub_rejected_records_total", Help: "Records not published: out of order or not usable.",
		})),
	}
	for k, name := range kindNames {
		if name != "" {
			m.byKind[k] = m.frames.WithLabelValues(name)
		}
	}
	return m
}

func (m *subMetrics) sent(kind frameKind, bytes int) {
	m.byKind[kind].Inc()
	m.bytes.Add(float64(bytes))
}

// registered registers c, or gives the collector that has its name already, so that a component built anew
// after a failure goes on counting where it was. A nil reg leaves c unregistered.
func registered[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	var there prometheus.AlreadyRegisteredError
	if err := reg.Register(c); errors.As(err, &there) {
		if old, ok := there.ExistingCollector.(C); ok {
			return old
		}
	}
	return c
}
