package httpapi

import (
	"strings"

	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/intention"
	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// connectOn refuses what needs the mesh where connect.enabled is false.
func (a *API) connectOn() error {
	if a.ConnectDisabled {
		return fault.New(fault.Invalid, "Connect must be enabled in order to use this endpoint").
			WithHint("set connect { enabled = true } in the agent's configuration")
	}
	return nil
}

func (a *API) intentionList(x *exchange) error {
	if err := a.connectOn(); err != nil {
		x.failedMeta(a)
		return err
	}
	keep, err := x.filter(a, a.selectors.intention, showsFailure)
	if err != nil {
		return err
	}
	r, err := x.read(a, a.Reads.Intentions.Query(view.None{}), showsFailure)
	if err != nil {
		return err
	}
	rows := func() []*model.Intention { return *a.Reads.Intentions.Value(r) }
	return list(x, a, r, shapeIntentions, rows, onRow[*model.Intention](keep), appendIntention)
}

// required returns a parameter that the endpoint cannot do without.
func (x *exchange) required(name string) (string, error) {
	v := x.params.get(name)
	if v == "" {
		return "", fault.New(fault.Invalid, "required query parameter '%s' not set", name)
	}
	return v, nil
}

// serviceParam reads a service's name, which may be written with the one namespace and partition there are.
func (x *exchange) serviceParam(name string) (model.ServiceName, error) {
	v, err := x.required(name)
	if err != nil {
		return "", err
	}
	parts := strings.Split(v, "/")
	for _, p := range parts[:len(parts)-1] {
		if p != "default" || len(parts) > 3 {
			return "", bad("Invalid query parameter: %q - Namespaces are a Consul Enterprise feature", name).
				WithHint("write the service's name alone, not %q", v)
		}
	}
	return model.ServiceName(parts[len(parts)-1]), nil
}

func (a *API) intentionMatch(x *exchange) error {
	by, err := x.required("by")
	if err != nil {
		return err
	}
	if by != "source" && by != "destination" {
		return fault.New(fault.Invalid, "'by' parameter must be one of 'source' or 'destination'")
	}
	names := x.params.all("name")
	if len(names) == 0 || names[0] == "" {
		return fault.New(fault.Invalid, "required query parameter 'name' not set")
	}
	const how = showsMode | caches
	if len(names) == 1 {
		q := a.Reads.IntentionMatch.Query(read.MatchArgs{Service: model.ServiceName(names[0]), BySource: by == "source"})
		r, err := x.read(a, q, how)
		if err != nil {
			return err
		}
		matched := *a.Reads.IntentionMatch.Value(r)
		return x.kept(a, r, shapeIntentions, func() []byte {
			return appendMap(nil, map[string][]*model.Intention{names[0]: matched}, appendMatched)
		})
	}
	// Several names are answered from one read, so that they show one state.
	r, err := x.read(a, a.Reads.Intentions.Query(view.None{}), how)
	if err != nil {
		return err
	}
	matched := map[string][]*model.Intention{}
	for _, n := range names {
		if by == "source" {
			matched[n] = intention.MatchSource(*a.Reads.Intentions.Value(r), model.ServiceName(n))
		} else {
			matched[n] = intention.MatchDestination(*a.Reads.Intentions.Value(r), model.ServiceName(n))
		}
	}
	return x.json(a, appendMap(nil, matched, appendMatched))
}

// appendMatched appends what one name matched: null for nothing.
func appendMatched(b []byte, list []*model.Intention) []byte {
	if len(list) == 0 {
		return append(b, "null"...)
	}
	return appendList(b, list, appendIntention)
}

// toDestination returns the intentions that bear on a destination, without waiting.
func (a *API) toDestination(x *exchange, destination model.ServiceName, from Backend) ([]*model.Intention, error) {
	req := x.req
	req.Read.MinIndex = 0
	q := a.Reads.IntentionMatch.Query(read.MatchArgs{Service: destination})
	r, _, err := a.ControlPlane.Read(x.r.Context(), req, q, from)
	if err != nil {
		return nil, err
	}
	return *a.Reads.IntentionMatch.Value(r), nil
}

func (a *API) intentionCheck(x *exchange) error {
	source, err := x.serviceParam("source")
	if err != nil {
		return err
	}
	destination, err := x.serviceParam("destination")
	if err != nil {
		return err
	}
	if t := x.params.get("source-type"); t != "" && t != "consul" {
		return fault.New(fault.Invalid, "unsupported SourceType: %q", t)
	}
	bearing, err := a.toDestination(x, destination, FromServer)
	if err != nil {
		return err
	}
	o := beginObject(nil)
	o.flag("Allowed", intention.Decide(bearing, source, a.DefaultAllowIntention).Allowed)
	return x.json(a, o.end())
}

// exactPair reads the names that identify an intention.
func (x *exchange) exactPair() (source, destination model.ServiceName, err error) {
	if source, err = x.serviceParam("source"); err != nil {
		return "", "", err
	}
	destination, err = x.serviceParam("destination")
	return source, destination, err
}

func notFoundIntention() error { return fault.New(fault.NotFound, "Intention not found") }

func (a *API) exactGet(x *exchange) error {
	source, destination, err := x.exactPair()
	if err != nil {
		return err
	}
	bearing, err := a.toDestination(x, destination, FromServer)
	if err != nil {
		return err
	}
	for _, i := range bearing {
		if i.SourcePeer == "" && model.Fold(i.SourceName) == model.Fold(source) && model.Fold(i.DestinationName) == model.Fold(destination) {
			return x.json(a, appendIntention(nil, i))
		}
	}
	return notFoundIntention()
}

func (a *API) exactPut(x *exchange) error {
	if err := a.connectOn(); err != nil {
		return err
	}
	source, destination, err := x.exactPair()
	if err != nil {
		return err
	}
	body, err := x.body()
	if err != nil {
		return err
	}
	var i model.Intention
	if err := decodeBody(body, intentionKeys(&i)); err != nil {
		return err
	}
	// The parameters identify the intention, whatever the body says.
	i.ID, i.SourceName, i.DestinationName = "", source, destination
	if err := enforceable(&i); err != nil {
		return err
	}
	if _, err := a.ControlPlane.Apply(x.r.Context(), x.req, &command.Intention{Op: command.IntentionUpsert, Intention: i}); err != nil {
		return err
	}
	return x.done(a)
}

// enforceable refuses rules on requests: every service speaks tcp as long as there is nothing that says
// otherwise, and a rule that nobody enforces must not be written.
func enforceable(i *model.Intention) error {
	if len(i.Permissions) == 0 || i.Action != "" || i.SourcePeer != "" {
		return nil
	}
	if i.DestinationName == model.Wildcard {
		return fault.New(fault.Invalid, "Sources[0].Permissions cannot be specified on intentions with wildcarded destinations")
	}
	return fault.New(fault.Invalid, "service %q has protocol \"tcp\", which is incompatible with L7 intentions permissions", i.DestinationName)
}

func (a *API) exactDelete(x *exchange) error {
	source, destination, err := x.exactPair()
	if err != nil {
		return err
	}
	c := &command.Intention{Op: command.IntentionDelete, Intention: model.Intention{SourceName: source, DestinationName: destination}}
	if _, err := a.ControlPlane.Apply(x.r.Context(), x.req, c); err != nil {
		return err
	}
	return x.done(a)
}
