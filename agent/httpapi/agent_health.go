package httpapi

import (
	"net/http"
	"strings"

	"github.com/lictor-mesh/lictor/agent/local"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// wantsText tells whether the caller wants the word alone.
func (x *exchange) wantsText() bool {
	return x.params.get("format") == "text" || strings.HasPrefix(x.r.Header.Get("Accept"), "text/plain")
}

// healthAnswer answers with a status word or JSON; the word also stands in a header, and decides the status.
func (x *exchange) healthAnswer(a *API, status int, word string, body []byte) error {
	h := x.w.Header()
	h.Set("X-Consul-Reason", headerText(word))
	if x.wantsText() {
		h.Set("Content-Type", "text/plain")
		x.send(a, status, []byte(word))
		return nil
	}
	h["Content-Type"] = a.headers.json
	x.send(a, status, x.style.lay(body))
	return nil
}

func healthStatus(s model.Status) int {
	switch s {
	case model.StatusPassing:
		return http.StatusOK
	case model.StatusWarning:
		return http.StatusTooManyRequests
	default:
		return http.StatusServiceUnavailable
	}
}

func (a *API) localHealthByID(x *exchange) error {
	if x.rest == "" {
		return fault.New(fault.Invalid, "Missing serviceID")
	}
	h := a.Local.Health(model.ServiceID(x.rest))
	if h == nil {
		return x.healthAnswer(a, http.StatusNotFound, "ServiceId "+x.rest+" not found",
			[]byte(`{"AggregatedStatus":"critical","Service":null,"Checks":null}`))
	}
	return x.healthAnswer(a, healthStatus(h.Status), string(h.Status), a.appendLocalHealth(nil, h))
}

func (a *API) localHealthByName(x *exchange) error {
	if x.rest == "" {
		return fault.New(fault.Invalid, "Missing service Name")
	}
	list, worst := a.Local.HealthByName(model.ServiceName(x.rest))
	if len(list) == 0 {
		return x.healthAnswer(a, http.StatusNotFound, "ServiceName "+x.rest+" Not Found", []byte("[]"))
	}
	return x.healthAnswer(a, healthStatus(worst), string(worst), appendList(nil, list, a.appendLocalHealth))
}

func (a *API) appendLocalHealth(b []byte, h *local.ServiceHealth) []byte {
	o := beginObject(b)
	o.text("AggregatedStatus", string(h.Status))
	o.key("Service")
	o.b = a.appendListed(o.b, h.Service)
	o.key("Checks")
	o.b = appendList(o.b, h.Checks, a.appendLocalHealthCheck)
	return o.end()
}
