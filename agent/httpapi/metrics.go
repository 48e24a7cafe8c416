package httpapi

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// requestMetrics counts requests by endpoint, with the observers made in advance.
type requestMetrics struct {
	byRoute []map[string]prometheus.Observer
}

// newRequestMetrics makes the metric and its observers. api_http (summary, labels method and path) is the time
// of a request from its header to its answer, in milliseconds as the compatible metric has it; path is
// the endpoint's template.
func newRequestMetrics(c *Config, t *routeTable) requestMetrics {
	vec := prometheus.NewSummaryVec(prometheus.SummaryOpts{
		Namespace: c.MetricsPrefix, Name: "api_http", Help: "Time from a request's header to its answer, in milliseconds.",
	}, []string{"method", "path"})
	if c.Metrics != nil {
		c.Metrics.MustRegister(vec)
	}
	m := requestMetrics{byRoute: make([]map[string]prometheus.Observer, len(t.list))}
	for _, e := range t.list {
		m.byRoute[e.order] = map[string]prometheus.Observer{}
		label := strings.ReplaceAll(strings.Trim(strings.TrimSuffix(e.name, "{rest}"), "/"), "/", "_")
		for _, method := range e.methods {
			m.byRoute[e.order][method.name] = vec.WithLabelValues(method.name, label)
		}
	}
	return m
}

func (m *requestMetrics) observe(x *exchange, elapsed time.Duration) {
	if o := m.byRoute[x.route.order][x.r.Method]; o != nil {
		o.Observe(float64(elapsed) / float64(time.Millisecond))
	}
}

func (a *API) agentMetrics(x *exchange) error {
	wantsPrometheus := x.params.get("format") == "prometheus" || strings.Contains(x.r.Header.Get("Accept"), "application/openmetrics-text")
	if wantsPrometheus && a.PrometheusOff {
		x.w.Header().Set("X-Consul-Reason", "Prometheus is not enabled since its retention time is not positive")
		return nil
	}
	families, err := a.Gatherer.Gather()
	if err != nil && len(families) == 0 {
		return err
	}
	if !wantsPrometheus {
		return x.json(a, appendMetrics(nil, families, a.Now()))
	}
	var text bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			return err
		}
	}
	x.w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	x.send(a, http.StatusOK, text.Bytes())
	return nil
}

// appendMetrics appends the JSON shape: totals since the start, where the compatible API shows the last ten
// seconds.
func appendMetrics(b []byte, families []*dto.MetricFamily, now time.Time) []byte {
	o := beginObject(b)
	o.text("Timestamp", now.UTC().Truncate(10*time.Second).Format("2006-01-02 15:04:05 -0700 MST"))
	var gauges, counters, samples []sample
	for _, f := range families {
		for _, m := range f.GetMetric() {
			s := sample{name: strings.ReplaceAll(f.GetName(), "_", "."), labels: m.GetLabel()}
			switch f.GetType() {
			case dto.MetricType_GAUGE:
				s.value = m.GetGauge().GetValue()
				gauges = append(gauges, s)
			case dto.MetricType_COUNTER:
				s.sum, s.count = m.GetCounter().GetValue(), uint64(m.GetCounter().GetValue())
				counters = append(counters, s)
			case dto.MetricType_SUMMARY:
				s.sum, s.count = m.GetSummary().GetSampleSum(), m.GetSummary().GetSampleCount()
				samples = append(samples, s)
			case dto.MetricType_HISTOGRAM:
				s.sum, s.count = m.GetHistogram().GetSampleSum(), m.GetHistogram().GetSampleCount()
				samples = append(samples, s)
			}
		}
	}
	o.key("Gauges")
	o.b = appendList(o.b, gauges, appendGauge)
	o.raw("Points", "[]")
	o.key("Counters")
	o.b = appendList(o.b, counters, appendSample)
	o.key("Samples")
	o.b = appendList(o.b, samples, appendSample)
	return o.end()
}

type sample struct {
	name   string
	labels []*dto.LabelPair
	value  float64
	count  uint64
	sum    float64
}

func (o *object) float(name string, f float64) { o.key(name); o.b = appendFloat(o.b, f) }

func (o *object) labels(list []*dto.LabelPair) {
	o.key("Labels")
	l := beginObject(o.b)
	for _, p := range list {
		l.text(p.GetName(), p.GetValue())
	}
	o.b = l.end()
}

func appendGauge(b []byte, s sample) []byte {
	o := beginObject(b)
	o.text("Name", s.name)
	o.float("Value", s.value)
	o.labels(s.labels)
	return o.end()
}

func appendSample(b []byte, s sample) []byte {
	mean := 0.0
	if s.count > 0 {
		mean = s.sum / float64(s.count)
	}
	o := beginObject(b)
	o.text("Name", s.name)
	o.uint("Count", s.count)
	o.float("Rate", 0)
	o.float("Sum", s.sum)
	o.float("Min", 0)
	o.float("Max", 0)
	o.float("Mean", mean)
	o.float("Stddev", 0)
	o.labels(s.labels)
	return o.end()
}
