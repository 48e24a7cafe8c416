package command

import (
	"strconv"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Register writes a node, a service and checks to the catalog.
type Register struct {
	Registration model.Registration `msg:"r"`
}

// Kind implements Command.
func (*Register) Kind() Kind { return KindRegister }

// Validate implements Command, with the texts of PUT /v1/catalog/register. It fills in what a registration
// may leave out.
func (c *Register) Validate() error {
	r := &c.Registration
	if r.Node.Node == "" {
		return fault.New(fault.Invalid, "Must provide node")
	}
	if r.Node.Address == "" && !r.SkipNodeUpdate {
		return fault.New(fault.Invalid, "Must provide address if SkipNodeUpdate is not set")
	}
	if err := validNodeID(r.Node.ID); err != nil {
		return err
	}
	if err := plainName("node name", string(r.Node.Node)); err != nil {
		return err
	}
	if r.Service != nil {
		if err := validService(r.Service); err != nil {
			return err
		}
	}
	for _, k := range r.Checks {
		if err := validCheck(r, k); err != nil {
			return err
		}
	}
	return nil
}

func validService(s *model.Service) error {
	if s.Service == "" && s.ID != "" {
		return fault.New(fault.Invalid, "Must provide service name (Service.Service) when service ID is provided")
	}
	if s.Service == "" {
		return fault.New(fault.Invalid, "Must provide service name (Service.Service)")
	}
	if s.ID == "" {
		s.ID = model.ServiceID(s.Service)
	}
	if s.Weights == (model.Weights{}) {
		s.Weights = model.Weights{Passing: 1, Warning: 1}
	}
	if err := plainName("service name", string(s.Service)); err != nil {
		return err
	}
	if err := plainName("service ID", string(s.ID)); err != nil {
		return err
	}
	switch s.Address {
	case "0.0.0.0", "::", "[::]":
		return fault.New(fault.Invalid, "Invalid service address").
			WithHint("%s is where a server listens, not where it is reached: leave the address empty for the node's own", s.Address)
	}
	if s.Kind == model.KindConnectProxy {
		return validConnectProxy(s)
	}
	return nil
}

func validConnectProxy(s *model.Service) error {
	var problems []string
	if s.Proxy == nil || s.Proxy.DestinationServiceName == "" {
		problems = append(problems, "Proxy.DestinationServiceName must be non-empty for Connect proxy services")
	} else if s.Proxy.DestinationServiceName == model.Wildcard {
		problems = append(problems, "Proxy.DestinationServiceName must not be a wildcard for Connect proxy services")
	}
	if s.Port == 0 && s.SocketPath == "" {
		problems = append(problems, "Port or SocketPath must be set for a Connect proxy")
	}
	if s.Connect.Native {
		problems = append(problems, "A Proxy cannot also be Connect Native, only typical services")
	}
	return manyFaults(problems)
}

// manyFaults joins problems into one error of the recorded form.
func manyFaults(problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	head := "1 error occurred:"
	if len(problems) > 1 {
		head = strconv.Itoa(len(problems)) + " errors occurred:"
	}
	return fault.New(fault.Invalid, "%s\n\t* %s\n\n", head, strings.Join(problems, "\n\t* "))
}

func validCheck(r *model.Registration, k *model.Check) error {
	if k.Node != "" && model.Fold(k.Node) != model.Fold(r.Node.Node) {
		return fault.New(fault.Invalid, "Node '%s' for check '%s' doesn't match register request node '%s'", k.Node, k.CheckID, r.Node.Node)
	}
	if k.CheckID == "" {
		k.CheckID = model.CheckID(k.Name)
	}
	if k.Status == "" {
		k.Status = model.StatusCritical
	}
	return plainName("check ID", string(k.CheckID))
}

// plainName refuses what would break the keys of the state's tables. Everything else is accepted: the
// catalog also holds names that DNS cannot serve.
func plainName(what, name string) error {
	if strings.ContainsRune(name, 0) {
		return fault.New(fault.Invalid, "Invalid %s %q: it must not contain a NUL character", what, name)
	}
	return nil
}

func validNodeID(id model.NodeID) error {
	if id == "" {
		return nil
	}
	if len(id) != 36 {
		return fault.New(fault.Invalid, "Bad node ID: uuid string is wrong length")
	}
	for i, c := range strings.ToLower(string(id)) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		if dash != (c == '-') || !dash && !hex {
			return fault.New(fault.Invalid, "Bad node ID: uuid is improperly formatted")
		}
	}
	return nil
}

func (c *Register) apply(tx *state.Tx, _ time.Time) (Outcome, error) {
	return Outcome{OK: true}, tx.Register(&c.Registration)
}

// Deregister removes a node, a service or a check from the catalog.
type Deregister struct {
	Deregistration model.Deregistration `msg:"d"`
}

// Kind implements Command.
func (*Deregister) Kind() Kind { return KindDeregister }

// Validate implements Command.
func (c *Deregister) Validate() error {
	if c.Deregistration.Node == "" {
		return fault.New(fault.Invalid, "Must provide node")
	}
	return nil
}

func (c *Deregister) apply(tx *state.Tx, _ time.Time) (Outcome, error) {
	tx.Deregister(&c.Deregistration)
	return Outcome{OK: true}, nil
}
