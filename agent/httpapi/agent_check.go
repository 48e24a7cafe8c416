package httpapi

import (
	"maps"

	"github.com/lictor-mesh/lictor/agent/definition"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

func (a *API) agentChecks(x *exchange) error {
	// This endpoint names no evaluator in its error, as recorded.
	keep, err := parseFilter(x.params.get("filter"), a.selectors.check)
	if err != nil {
		return filterFault(err.Error())
	}
	list := a.Local.Checks()
	if keep != nil {
		list = maps.Clone(list)
		maps.DeleteFunc(list, func(_ model.CheckID, c *model.Check) bool { return !keep(c) })
	}
	return x.json(a, appendMap(nil, list, a.appendAgentCheck))
}

func (a *API) registerCheck(x *exchange) error {
	body, err := x.body()
	if err != nil {
		return err
	}
	def, err := definition.DecodeAgentCheck(body)
	if err != nil {
		return err
	}
	if err := definition.ValidateCheck(def); err != nil {
		return err
	}
	return a.Local.AddCheck(def, x.registering())
}

func (a *API) deregisterCheck(x *exchange) error { return a.Local.RemoveCheck(model.CheckID(x.rest)) }

func (a *API) passCheck(x *exchange) error { return a.noteTTL(x, model.StatusPassing) }
func (a *API) warnCheck(x *exchange) error { return a.noteTTL(x, model.StatusWarning) }
func (a *API) failCheck(x *exchange) error { return a.noteTTL(x, model.StatusCritical) }

func (a *API) noteTTL(x *exchange, s model.Status) error {
	return a.Local.UpdateTTL(model.CheckID(x.rest), s, x.params.get("note"))
}

func (a *API) updateCheck(x *exchange) error {
	body, err := x.body()
	if err != nil {
		return err
	}
	var status model.Status
	var output string
	if err := decodeBody(body, keys{"status": intoText(&status), "output": intoText(&output)}); err != nil {
		return err
	}
	if !status.Valid() {
		return fault.New(fault.BadRequest, "Invalid check status: '%s'", status).WithHint("Status is passing, warning or critical")
	}
	return a.Local.UpdateTTL(model.CheckID(x.rest), status, output)
}
