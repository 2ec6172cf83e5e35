package p2p

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// hostMetrics counts what the host does. It works without a registerer.
type hostMetrics struct {
	refusals     *prometheus.CounterVec
	evictions    prometheus.Counter
	reservations prometheus.Gauge
	collectors   []prometheus.Collector
}

func newHostMetrics(connections func() float64) *hostMetrics {
	m := &hostMetrics{
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "peerbee_p2p_refused_total", Help: "Connections refused, by reason.",
		}, []string{"reason"}),
		evictions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "peerbee_p2p_half_open_evicted_total", Help: "Unauthenticated connections closed to make room.",
		}),
		reservations: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "peerbee_p2p_relay_reservations", Help: "Hives that hold a relay reservation for this host.",
		}),
	}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "peerbee_p2p_connections", Help: "Open connections, relayed ones included.",
	}, connections)
	m.collectors = []prometheus.Collector{m.refusals, m.evictions, m.reservations, open}
	return m
}

func (m *hostMetrics) refused(reason string) { m.refusals.WithLabelValues(reason).Inc() }

// register adds the metrics to r and returns what takes them out again.
func (m *hostMetrics) register(r prometheus.Registerer) (func() error, error) {
	if r == nil {
		return func() error { return nil }, nil
	}
	var errs []error
	var added []prometheus.Collector
	for _, c := range m.collectors {
		err := r.Register(c)
		errs = append(errs, err)
		if err == nil { // another host's collector of the same name must not be taken out later
			added = append(added, c)
		}
	}
	return func() error {
		for _, c := range added {
			r.Unregister(c)
		}
		return nil
	}, errors.Join(errs...)
}
