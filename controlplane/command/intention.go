package command

import (
	"maps"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/controlplane/intention"
	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// IntentionOp says what an Intention command does.
type IntentionOp uint8

// The operations. The legacy ones are those of the deprecated API that names intentions by id.
const (
	IntentionUpsert IntentionOp = iota
	IntentionDelete
	IntentionLegacyCreate
	IntentionLegacyUpdate
	IntentionLegacyDelete
)

// Intention writes or removes one intention.
type Intention struct {
	Op        IntentionOp     `msg:"o"`
	Intention model.Intention `msg:"i"`
}

// Kind implements Command.
func (*Intention) Kind() Kind { return KindIntention }

// Validate implements Command. What depends on the other intentions of the destination is left to apply.
func (c *Intention) Validate() error {
	i := &c.Intention
	switch c.Op {
	case IntentionLegacyDelete:
		return nil
	case IntentionDelete:
		return names(i)
	case IntentionLegacyCreate, IntentionLegacyUpdate:
		return validLegacy(i)
	}
	if i.SourcePeer != "" {
		return fault.New(fault.Invalid, "SourcePeer field is not supported on this endpoint. Use config entries instead")
	}
	return names(i)
}

func names(i *model.Intention) error {
	if err := plainName("source", string(i.SourceName)); err != nil {
		return err
	}
	return plainName("destination", string(i.DestinationName))
}

func validLegacy(i *model.Intention) error {
	var problems []string
	if i.SourceName == "" {
		problems = append(problems, "SourceName must be set")
	}
	if i.DestinationName == "" {
		problems = append(problems, "DestinationName must be set")
	}
	if i.Action != model.ActionAllow && i.Action != model.ActionDeny {
		problems = append(problems, "Action must be set to 'allow' or 'deny'")
	}
	if len(i.Permissions) > 0 {
		problems = append(problems, "Permissions must not be set when using the legacy APIs")
	}
	if err := manyFaults(problems); err != nil {
		return err
	}
	return names(i)
}

func (c *Intention) apply(tx *state.Tx, at time.Time) (Outcome, error) {
	i := c.Intention.Clone()
	i.Precedence = intention.Precedence(i.SourceName, i.DestinationName)
	if i.SourceType == "" {
		i.SourceType = "consul"
	}
	switch c.Op {
	case IntentionDelete:
		tx.DeleteIntention(i.SourceName, i.DestinationName)
		return Outcome{OK: true}, nil
	case IntentionLegacyCreate:
		i.CreatedAt, i.UpdatedAt = at, at
		return Outcome{OK: true, ID: i.ID}, tx.PutIntention(i, true)
	case IntentionLegacyUpdate:
		return c.update(tx, i, at)
	case IntentionLegacyDelete:
		old := tx.IntentionByID(i.ID)
		if old == nil {
			return Outcome{}, fault.New(fault.Invalid, "Cannot delete non-existent intention: '%s'", i.ID)
		}
		tx.DeleteIntention(old.SourceName, old.DestinationName)
		return Outcome{OK: true}, nil
	default:
		return upsert(tx, i)
	}
}

func upsert(tx *state.Tx, i *model.Intention) (Outcome, error) {
	at := 0
	if set := tx.IntentionSet(i.DestinationName); set != nil {
		at = len(set.Sources)
		for n, s := range set.Sources {
			if model.Fold(s.SourceName) == model.Fold(i.SourceName) {
				at = n
			}
		}
	}
	if err := validSource(i, at); err != nil {
		return Outcome{}, err
	}
	if old := tx.Intention(i.SourceName, i.DestinationName); old != nil && len(i.Meta) > 0 && !maps.Equal(old.Meta, i.Meta) {
		return Outcome{}, fault.New(fault.Invalid, "Meta must not be specified, or should be unchanged during an update.")
	}
	return Outcome{OK: true}, tx.PutIntention(i, false)
}

// validSource checks an intention as the element at position at of its destination's set, which is how its
// errors are recorded.
func validSource(i *model.Intention, at int) error {
	for _, n := range []model.ServiceName{i.SourceName, i.DestinationName} {
		if n != model.Wildcard && strings.ContainsRune(string(n), '*') {
			if n == i.DestinationName {
				return fault.New(fault.Invalid, "Name: wildcard character '*' cannot be used with partial values")
			}
			return fault.New(fault.Invalid, "Sources[%d].Name: wildcard character '*' cannot be used with partial values", at)
		}
	}
	if len(i.Permissions) > 0 {
		if i.Action != "" {
			return fault.New(fault.Invalid, "Sources[%d].Action must be omitted if Permissions are specified", at)
		}
		return nil
	}
	if i.Action != model.ActionAllow && i.Action != model.ActionDeny {
		return fault.New(fault.Invalid, "Sources[%d].Action must be set to 'allow' or 'deny'", at)
	}
	return nil
}

func (c *Intention) update(tx *state.Tx, i *model.Intention, at time.Time) (Outcome, error) {
	old := tx.IntentionByID(i.ID)
	if old == nil {
		return Outcome{}, fault.New(fault.Invalid, "Cannot modify non-existent intention: '%s'", i.ID)
	}
	if old.DestinationName != i.DestinationName {
		return Outcome{}, fault.New(fault.Invalid, "Cannot modify Destination partition/namespace/name for an intention once it exists.")
	}
	if old.SourceName != i.SourceName {
		tx.DeleteIntention(old.SourceName, old.DestinationName)
	}
	i.CreatedAt, i.UpdatedAt = old.CreatedAt, at
	return Outcome{OK: true, ID: i.ID}, tx.PutIntention(i, false)
}
