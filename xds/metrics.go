package xds

import "github.com/prometheus/client_golang/prometheus"

// metrics are the server's own. Whoever makes the registerer prefixes the names ("consul_").
type metrics struct {
	// streams is how many streams are open.
	streams prometheus.Gauge
	// refused counts streams that were over the limit.
	refused prometheus.Counter
	// pushes and nacks count responses and refusals by type of resource.
	pushes, nacks *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		streams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "xds_server_streams", Help: "Open xDS streams."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "xds_server_streams_refused_total", Help: "xDS streams beyond the limit."}),
		pushes:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "xds_server_pushes_total", Help: "xDS responses sent, by type."}, []string{"type"}),
		nacks:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "xds_server_nacks_total", Help: "xDS responses refused by proxies, by type."}, []string{"type"}),
	}
	if r != nil {
		r.MustRegister(m.streams, m.refused, m.pushes, m.nacks)
	}
	return m
}
