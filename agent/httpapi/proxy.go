package httpapi

import (
	"net/http"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Our own endpoints about the proxies of this host.

func (a *API) proxyList(x *exchange) error {
	return x.json(a, appendList(nil, a.Mesh.Proxies(), appendProxyStatus))
}

func (a *API) proxyStatus(x *exchange) error {
	for _, p := range a.Mesh.Proxies() {
		if p.ID == model.ServiceID(x.rest) {
			return x.json(a, appendProxyStatus(nil, p))
		}
	}
	return fault.New(fault.NotFound, "no proxy %q has been connected to this agent", x.rest).
		WithHint("/v1/agent/proxy/status lists those that were; start one with `lictor connect proxy -sidecar-for=<service>`")
}

// appendProxyStatus appends the state of a proxy's xDS stream. What the proxy refused is in Rejected of the
// type; Healthy is false while there is any such.
func appendProxyStatus(b []byte, p ProxyStatus) []byte {
	o := beginObject(b)
	o.text("ID", string(p.ID))
	o.flag("Connected", p.Connected)
	o.time("Since", p.Since)
	o.textIf("Remote", p.Remote)
	o.textIf("Kind", p.Kind)
	healthy := p.Connected
	for _, r := range p.Resources {
		healthy = healthy && r.Rejected == ""
	}
	o.flag("Healthy", healthy)
	o.key("Resources")
	o.b = appendList(o.b, p.Resources, func(b []byte, r ProxyResources) []byte {
		q := beginObject(b)
		q.text("TypeURL", r.TypeURL)
		q.textIf("Sent", r.Sent)
		q.textIf("Acked", r.Acked)
		if r.Rejected != "" {
			q.text("Rejected", r.Rejected)
			q.time("RejectedAt", r.RejectedAt)
		}
		return q.end()
	})
	return o.end()
}

// drainProxy holds a proxy out of the healthy set for as long as the request is open, and tells in lines of
// text what has been reached. However the caller ends, its connection ends with it, and so does the lease.
func (a *API) drainProxy(x *exchange) error {
	if x.rest == "" {
		return bad("Missing proxy ID").WithHint("name the proxy: /v1/agent/proxy/drain/<id>")
	}
	ctx := x.r.Context()
	stages, release, err := a.Mesh.DrainProxy(ctx, model.ServiceID(x.rest))
	if err != nil {
		return err
	}
	defer release()
	x.w.Header()["Content-Type"] = a.headers.text
	x.status = http.StatusOK
	x.w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(x.w)
	if err := out.Flush(); err != nil {
		return nil
	}
	for {
		select {
		case stage, ok := <-stages:
			if !ok {
				stages = nil // all is said; the lease still holds
				continue
			}
			if _, err := x.w.Write([]byte(stage + "\n")); err != nil {
				return nil
			}
			if err := out.Flush(); err != nil {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}
