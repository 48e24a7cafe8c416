package definition

import (
	"errors"
	"reflect"

	"github.com/lictor-mesh/lictor/agent/config/tree"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// DecodeAgentService decodes the body of PUT /v1/agent/service/register. An absent ID is the name, absent
// weights are 1 and 1, an upstream without a type leads to a service. The answer is not yet validated:
// see ValidateService. Errors are of kind fault.BadRequest.
func DecodeAgentService(body []byte) (*model.ServiceDefinition, error) {
	def := new(model.ServiceDefinition)
	if err := decodeBody(body, tables().service, def, false); err != nil {
		return nil, err
	}
	complete(def)
	return def, nil
}

// DecodeAgentCheck decodes the body of PUT /v1/agent/check/register. An absent CheckID is the name. Errors are
// of kind fault.BadRequest.
func DecodeAgentCheck(body []byte) (*model.CheckDefinition, error) {
	check := new(model.CheckDefinition)
	if err := decodeBody(body, tables().check, check, false); err != nil {
		return nil, err
	}
	completeCheck(check)
	return check, nil
}

// DecodeRegistration decodes the body of PUT /v1/catalog/register. Errors are of kind fault.BadRequest, or
// fault.Invalid for a PeerName. See CompleteRegistration for defaults and rules.
func DecodeRegistration(body []byte) (*model.Registration, error) {
	reg := new(model.Registration)
	if err := decodeBody(body, tables().registration, reg, true); err != nil {
		return nil, err
	}
	return reg, nil
}

// DecodeDeregistration decodes the body of PUT /v1/catalog/deregister. Errors are of kind fault.BadRequest,
// or fault.Invalid when no node is named.
func DecodeDeregistration(body []byte) (*model.Deregistration, error) {
	dereg := new(model.Deregistration)
	if err := decodeBody(body, tables().deregistration, dereg, true); err != nil {
		return nil, err
	}
	if dereg.Node == "" {
		return nil, fault.New(fault.Invalid, "Must provide node").WithHint("set Node to the name of the node")
	}
	return dereg, nil
}

// ServiceFromFile decodes the value of a `service` key of a file, which errors call path. It has the defaults of
// DecodeAgentService. Errors are of type *tree.Error.
func ServiceFromFile(path string, v *tree.Value) (*model.ServiceDefinition, error) {
	def := new(model.ServiceDefinition)
	t := tables()
	d := &decoder{tables: t, file: true}
	if err := d.object(t.service, path, v, reflect.ValueOf(def).Elem()); err != nil {
		return nil, err
	}
	complete(def)
	return def, nil
}

// CheckFromFile decodes the value of a `check` key of a file, which errors call path. Errors are of type *tree.Error.
func CheckFromFile(path string, v *tree.Value) (*model.CheckDefinition, error) {
	check := new(model.CheckDefinition)
	t := tables()
	d := &decoder{tables: t, file: true}
	if err := d.object(t.check, path, v, reflect.ValueOf(check).Elem()); err != nil {
		return nil, err
	}
	completeCheck(check)
	return check, nil
}

// ServiceKeys are the keys that a service takes in a file, in the order of the model.
func ServiceKeys() []string { return append([]string(nil), tables().service.files...) }

// CheckKeys are the keys that a check takes in a file, in the order of the model.
func CheckKeys() []string { return append([]string(nil), tables().check.files...) }

// decodeBody reads the first JSON value of body; what follows it is not looked at, as the recorded API does.
func decodeBody(body []byte, s *shape, target any, edition bool) error {
	v, _, err := tree.ParseJSON(body)
	if err != nil {
		return fault.New(fault.BadRequest, "Request decode failed: %v", err)
	}
	d := &decoder{tables: tables(), edition: edition}
	err = d.object(s, "", v, reflect.ValueOf(target).Elem())
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return known
	}
	// A place in the text helps a file's reader, not a client whose body was made by a library.
	var at *tree.Error
	if errors.As(err, &at) {
		return fault.New(fault.BadRequest, "Request decode failed: %s: %s", at.Path, at.Reason)
	}
	return fault.New(fault.BadRequest, "Request decode failed: %v", err)
}

func complete(def *model.ServiceDefinition) {
	s := &def.Service
	if s.ID == "" {
		s.ID = model.ServiceID(s.Service)
	}
	if s.Proxy != nil {
		for i := range s.Proxy.Upstreams {
			if u := &s.Proxy.Upstreams[i]; u.DestinationType == "" {
				u.DestinationType = model.UpstreamService
			}
		}
	}
	if def.Sidecar != nil {
		// The agent names sidecars: an ID of their own is refused, so none may be made up here.
		id := def.Sidecar.Service.ID
		complete(def.Sidecar)
		def.Sidecar.Service.ID = id
	}
}

func completeCheck(c *model.CheckDefinition) {
	if c.CheckID == "" {
		c.CheckID = model.CheckID(c.Name)
	}
}
