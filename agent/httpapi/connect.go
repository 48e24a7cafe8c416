package httpapi

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/lictor-mesh/lictor/agent/config/tree"
	"github.com/lictor-mesh/lictor/controlplane/intention"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

func (a *API) caRoots(x *exchange) error {
	if err := a.connectOn(); err != nil {
		x.failedMeta(a)
		return err
	}
	asPEM := false
	if v := x.params.get("pem"); v != "" {
		var err error
		if asPEM, err = strconv.ParseBool(v); err != nil {
			return bad("The 'pem' query parameter must be a boolean value").WithHint("pem is true or false, not %q", v)
		}
	}
	r, err := x.read(a, a.Reads.CARoots.Query(view.None{}), showsFailure)
	if err != nil {
		return err
	}
	if !asPEM {
		return a.answerRoots(x, r)
	}
	for _, h := range []string{"X-Consul-Index", "X-Consul-Knownleader", "X-Consul-Lastcontact", "X-Consul-Query-Backend"} {
		delete(x.w.Header(), h)
	}
	var all bytes.Buffer
	for _, root := range a.Reads.CARoots.Value(r).Roots {
		all.WriteString(root.RootCert)
		for _, c := range root.IntermediateCerts {
			all.WriteString(c)
		}
	}
	x.w.Header().Set("Content-Type", "application/pem-certificate-chain")
	x.send(a, http.StatusOK, all.Bytes())
	return nil
}

func (a *API) answerRoots(x *exchange, r *view.Result) error {
	return x.kept(a, r, shapeRoots, func() []byte { return appendRoots(nil, a.Reads.CARoots.Value(r)) })
}

// agentRoots answers from the agent's view always.
func (a *API) agentRoots(x *exchange) error {
	if err := a.connectOn(); err != nil {
		return err
	}
	r, meta, err := a.ControlPlane.Read(x.r.Context(), x.req, a.Reads.CARoots.Query(view.None{}), FromView)
	if err != nil {
		return err
	}
	x.readMeta(a, meta, false)
	x.cacheMeta(true)
	return a.answerRoots(x, r)
}

func (a *API) caConfiguration(x *exchange) error {
	if err := a.connectOn(); err != nil {
		return err
	}
	req := x.req
	req.Read.MinIndex = 0
	r, _, err := a.ControlPlane.Read(x.r.Context(), req, a.Reads.CAConfig.Query(view.None{}), FromServer)
	if err != nil {
		return err
	}
	return x.kept(a, r, shapeCAConfig, func() []byte { return appendCAConfig(nil, a.Reads.CAConfig.Value(r)) })
}

func (a *API) configureCA(x *exchange) error {
	if err := a.connectOn(); err != nil {
		return err
	}
	body, err := x.body()
	if err != nil {
		return err
	}
	var (
		provider   string
		config     map[string]any
		force      bool
		givesState bool
	)
	err = decodeBody(body, keys{
		"provider": intoText(&provider),
		"config": func(v *tree.Value) (err error) {
			config, err = v.OpaqueMap("Config")
			return err
		},
		"state":                    func(v *tree.Value) error { givesState = len(v.Fields) > 0 || v.Kind != tree.Object; return nil },
		"forcewithoutcrosssigning": intoFlag(&force),
		"createindex":              ignored,
		"modifyindex":              ignored,
	})
	if err != nil {
		return err
	}
	if givesState {
		return bad("Provider State is read-only. It must be omitted or identical to the current value")
	}
	return a.ControlPlane.ConfigureCA(x.r.Context(), x.req, provider, config, force)
}

func (a *API) agentLeaf(x *exchange) error {
	if err := a.connectOn(); err != nil {
		return err
	}
	if x.rest == "" {
		return fault.New(fault.Invalid, "URI must be either service, agent, server, or kind").
			WithHint("name the service: /v1/agent/connect/ca/leaf/<service>")
	}
	leaf, index, err := a.Mesh.Leaf(x.r.Context(), x.req, model.ServiceName(x.rest), x.req.Read.MinIndex, x.req.Read.MaxWait)
	if err != nil {
		return err
	}
	h := x.w.Header()
	h.Set("X-Consul-Index", formatIndex(index))
	x.cacheMeta(false)
	h.Set("Cache-Control", "no-store") // it holds a private key
	return x.json(a, appendLeaf(nil, leaf))
}

func (a *API) authorize(x *exchange) error {
	if err := a.connectOn(); err != nil {
		return err
	}
	body, err := x.body()
	if err != nil {
		return err
	}
	var target model.ServiceName
	var uri, serial string
	err = decodeBody(body, keys{"target": intoText(&target), "clientcerturi": intoText(&uri), "clientcertserial": intoText(&serial)})
	if err != nil {
		return err
	}
	if target == "" {
		return bad("Target service must be specified")
	}
	id, err := model.ParseSPIFFE(uri)
	if err != nil {
		return bad("ClientCertURI not a valid Connect identifier").WithHint("%s", fault.HintOf(err))
	}
	if id.Kind != model.SPIFFEService {
		return bad("ClientCertURI not a valid Service identifier")
	}
	return a.answerAuthorize(x, target, id)
}

func (a *API) answerAuthorize(x *exchange, target model.ServiceName, id model.SPIFFEID) error {
	bearing, err := a.toDestination(x, target, FromView)
	if err != nil {
		return err
	}
	ours, err := a.trustDomain(x)
	if err != nil {
		return err
	}
	d := intention.Decide(bearing, id.Service, a.DefaultAllowIntention)
	allowed, reason := d.Allowed, d.Reason()
	if allowed && id.TrustDomain != ours {
		// A name means nothing outside the domain that vouches for it.
		allowed, reason = false, "The certificate is of trust domain "+string(id.TrustDomain)+", not of "+string(ours)
	}
	x.cacheMeta(!a.seen.first(view.Query{Read: "authorize", Args: string(target)}))
	o := beginObject(nil)
	o.flag("Authorized", allowed)
	o.text("Reason", reason)
	return x.json(a, o.end())
}

// trustDomain is that of the cluster.
func (a *API) trustDomain(x *exchange) (model.TrustDomain, error) {
	req := x.req
	req.Read.MinIndex = 0
	r, _, err := a.ControlPlane.Read(x.r.Context(), req, a.Reads.CARoots.Query(view.None{}), FromView)
	if err != nil {
		return "", err
	}
	return model.TrustDomain(a.Reads.CARoots.Value(r).TrustDomain), nil
}
