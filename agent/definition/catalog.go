package definition

import (
	"errors"
	"regexp"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// CompleteRegistration fills the defaults of a write to the catalog (a service's id is its name, its weights are 1 and 1;
// a check's id is its name, its node the registered one, its state critical) and tells what the catalog refuses. Whether a check's
// service exists only the state knows. Errors are of kind fault.Invalid, with the recorded texts.
func CompleteRegistration(reg *model.Registration) error {
	if reg.Node.Node == "" {
		return invalid("Must provide node").WithHint("set Node to the name of the node")
	}
	if reg.Node.Address == "" && !reg.SkipNodeUpdate {
		return invalid("Must provide address if SkipNodeUpdate is not set")
	}
	if reg.Node.ID != "" {
		if err := ValidateNodeID(reg.Node.ID); err != nil {
			return invalid("Bad node ID: %v", err)
		}
	}
	if reg.Service != nil {
		if err := completeInstance(reg.Service); err != nil {
			return err
		}
	}
	for _, c := range reg.Checks {
		if c.Node == "" {
			c.Node = reg.Node.Node
		}
		if c.CheckID == "" {
			c.CheckID = model.CheckID(c.Name)
		}
		if model.Fold(c.Node) != model.Fold(reg.Node.Node) {
			return invalid("Node '%s' for check '%s' doesn't match register request node '%s'", c.Node, c.CheckID, reg.Node.Node)
		}
		if c.Status == "" {
			c.Status = model.StatusCritical
		}
	}
	return nil
}

func completeInstance(s *model.Service) error {
	if s.Service == "" {
		if s.ID != "" {
			return invalid("Must provide service name (Service.Service) when service ID is provided")
		}
		return invalid("Must provide service name (Service.Service)")
	}
	if s.ID == "" {
		s.ID = model.ServiceID(s.Service)
	}
	if s.Weights == (model.Weights{}) {
		s.Weights = defaultWeights
	}
	if unspecified(s.Address) {
		return invalid("Invalid service address")
	}
	return ValidateInstance(s)
}

func invalid(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, format, args...)
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// ValidateNodeID tells whether id is a UUID in its canonical form, in either case.
func ValidateNodeID(id model.NodeID) error {
	switch {
	case len(id) != 36:
		return errors.New("uuid string is wrong length")
	case !uuid.MatchString(string(id)):
		return errors.New("uuid is improperly formatted")
	}
	return nil
}
