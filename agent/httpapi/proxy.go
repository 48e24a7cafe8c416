package httpapi

import (
	"net/http"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/xds"
)

// Our own endpoints about the proxies of this host.

func (a *API) proxyList(x *exchange) error {
	return x.json(a, appendList(nil, a.Mesh.Proxies(), appendProxyStatus))
}

func (a *API) proxyStatus(x *exchange) error {
	// Of several streams under one id, as in a hot restart, the one with a refusal is shown: it must not hide.
	var found *xds.ProxyStatus
	for _, p := range a.Mesh.Proxies() {
		if p.Proxy.ID == model.ServiceID(x.rest) && (found == nil || found.LastNACK == nil && p.LastNACK != nil) {
			found = &p
		}
	}
	if found != nil {
		return x.json(a, appendProxyStatus(nil, *found))
	}
	return fault.New(fault.NotFound, "no proxy %q has been connected to this agent", x.rest).
		WithHint("/v1/agent/proxy/status lists those that were; start one with `lictor connect proxy -sidecar-for=<service>`")
}

// appendProxyStatus appends the state of a proxy's xDS stream. Healthy is false for a proxy that is not connected,
// waits for something, or refused what it was sent last.
func appendProxyStatus(b []byte, p xds.ProxyStatus) []byte {
	o := beginObject(b)
	o.text("ID", string(p.Proxy.ID))
	o.flag("Connected", p.Connected)
	o.time("Since", p.ConnectedSince)
	o.textIf("Remote", p.Peer)
	o.flag("Waiting", p.Waiting)
	o.flag("Healthy", p.Connected && !p.Waiting && p.LastNACK == nil)
	o.key("Resources")
	o.b = appendList(o.b, p.Types, appendTypeStatus)
	if n := p.LastNACK; n != nil {
		o.key("LastNACK")
		q := beginObject(o.b)
		q.text("TypeURL", n.Type.URL())
		q.texts("Names", n.Names, "[]")
		q.text("Reason", n.Reason)
		q.time("Time", n.Time)
		o.b = q.end()
	}
	o.texts("Problems", p.Problems, "[]")
	return o.end()
}

func appendTypeStatus(b []byte, t xds.TypeStatus) []byte {
	o := beginObject(b)
	o.text("TypeURL", t.Type.URL())
	o.flag("Pending", t.Pending)
	if !t.LastACK.IsZero() {
		o.time("LastACK", t.LastACK)
	}
	o.table("Acked", t.Acked, "{}")
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
