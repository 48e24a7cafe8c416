package proxy

import "github.com/prometheus/client_golang/prometheus"

// metrics of one proxy. Each is described where it is made; durations are in seconds.
type metrics struct {
	open     *prometheus.GaugeVec
	accepted *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	failed   *prometheus.CounterVec
	denied   *prometheus.CounterVec
	cut      *prometheus.CounterVec
	attempts *prometheus.CounterVec
	expiry   prometheus.Gauge
	ready    prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "lictor_proxy_connections_open",
			Help: "Connections that are being carried, by listener."}, []string{"listener"}),
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lictor_proxy_connections_total",
			Help: "Connections that were accepted on a listener, carried or not."}, []string{"listener"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lictor_proxy_bytes_total",
			Help: "Application bytes carried, by listener and direction (up: from the caller); a connection counts when it ends."}, []string{"listener", "direction"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lictor_proxy_connections_failed_total",
			Help: "Connections that were not carried, by listener and reason (handshake, silent, denied, limit, leaving, upstream)."}, []string{"listener", "reason"}),
		denied: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lictor_proxy_denied_total",
			Help: "Connections that an intention denied, refused or cut off, by source, destination and deciding policy (default: none matched)."}, []string{"source", "destination", "policy"}),
		cut: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lictor_proxy_connections_cut_total",
			Help: "Open connections that the proxy ended, by listener and reason (denied, idle, drain, deadline)."}, []string{"listener", "reason"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lictor_proxy_upstream_failures_total",
			Help: "Attempts to reach an endpoint that failed, by cluster and kind."}, []string{"cluster", "kind"}),
		expiry: prometheus.NewGauge(prometheus.GaugeOpts{Name: "lictor_proxy_leaf_expiry_timestamp_seconds",
			Help: "When the certificate that is shown ends, in Unix time."}),
		ready: prometheus.NewGauge(prometheus.GaugeOpts{Name: "lictor_proxy_ready",
			Help: "1 when the proxy has certificates, roots and all its listeners."}),
	}
	r.MustRegister(m.open, m.accepted, m.bytes, m.failed, m.denied, m.cut, m.attempts, m.expiry, m.ready)
	return m
}

// listenerMetrics are the series of one listener, looked up once.
type listenerMetrics struct {
	open             prometheus.Gauge
	accepted         prometheus.Counter
	bytesUp, bytesDn prometheus.Counter
}

func (m *metrics) listener(name string) listenerMetrics {
	return listenerMetrics{m.open.WithLabelValues(name), m.accepted.WithLabelValues(name),
		m.bytes.WithLabelValues(name, "up"), m.bytes.WithLabelValues(name, "down")}
}

// forget drops the series of a listener that is gone.
func (m *metrics) forget(name string) {
	labels := prometheus.Labels{"listener": name}
	for _, v := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{m.open, m.accepted, m.bytes, m.failed, m.cut} {
		v.DeletePartialMatch(labels)
	}
}
