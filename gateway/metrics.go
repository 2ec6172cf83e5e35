package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/peerbee/peerbee/gateway/store"
	"github.com/peerbee/peerbee/zigbee"
)

// metrics are the daemon's own counters; p2p and the store's figures stand beside them in the same registry.
type metrics struct {
	reports  prometheus.Counter
	dropped  prometheus.Counter
	failures prometheus.Counter
	phase    *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		reports:  prometheus.NewCounter(prometheus.CounterOpts{Name: "peerbee_readings_total", Help: "Reports that became readings."}),
		dropped:  prometheus.NewCounter(prometheus.CounterOpts{Name: "peerbee_reports_dropped_total", Help: "Reports dropped because the gateway was slower than the radio."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "peerbee_event_failures_total", Help: "Radio events that could not be processed."}),
		phase:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "peerbee_stick_phase", Help: "1 for the phase the stick is in."}, []string{"phase"}),
	}
	reg.MustRegister(m.reports, m.dropped, m.failures, m.phase)
	return m
}

var phases = []zigbee.Phase{
	zigbee.PhaseStarting, zigbee.PhaseNoStick, zigbee.PhaseNeedsDecision, zigbee.PhaseWrongFamily, zigbee.PhaseForming, zigbee.PhaseRunning,
}

func (m *metrics) setPhase(now string) {
	for _, p := range phases {
		value := 0.0
		if string(p) == now {
			value = 1
		}
		m.phase.WithLabelValues(string(p)).Set(value)
	}
}

// registerSources exposes counters that their owners keep as plain numbers.
func registerSources(reg prometheus.Registerer, net *zigbee.Network, st *store.Store) {
	gauge := func(name, help string, read func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
	}
	counter := func(name, help string, read func() float64) {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read))
	}
	gauge("peerbee_store_queued", "Readings waiting for the disk.", func() float64 { return float64(st.Stats().Queued) })
	gauge("peerbee_store_rows", "Readings kept.", func() float64 { return float64(st.Stats().Rows) })
	counter("peerbee_store_committed_total", "Readings committed to disk.", func() float64 { return float64(st.Stats().Committed) })
	counter("peerbee_store_dropped_total", "Readings dropped because the disk was stuck.", func() float64 { return float64(st.Stats().Dropped) })
	counter("peerbee_store_failures_total", "Commits that failed and were tried again.", func() float64 { return float64(st.Stats().Failures) })
	gauge("peerbee_devices", "Devices on the Zigbee network.", func() float64 { return float64(len(net.Devices())) })
}
