package command

import (
	"time"

	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/model"
)

// CA writes the mesh authority's configuration and, where Roots is set, its roots and their keys.
type CA struct {
	Config model.CAConfig  `msg:"c"`
	Roots  []*model.CARoot `msg:"r,omitempty"`
	Keys   []*model.CAKey  `msg:"k,omitempty"`
	// Expect is the ModifyIndex of the configuration that this write builds on.
	Expect model.Index `msg:"e"`
}

// Kind implements Command.
func (*CA) Kind() Kind { return KindCA }

// Validate implements Command: certs has checked what it made.
func (*CA) Validate() error { return nil }

func (c *CA) apply(tx *state.Tx, _ time.Time) (Outcome, error) {
	return Outcome{OK: true}, tx.PutCA(&c.Config, c.Roots, c.Keys, c.Expect)
}
