package local

import (
	"time"

	"github.com/lictor-mesh/lictor/model"
)

//go:generate go tool msgp -unexported -o record_gen.go -tests=false -io=false -file record.go

// serviceRecord is the content of a file in services/.
type serviceRecord struct {
	Service model.Service   `msg:"s"`
	Token   string          `msg:"t,omitempty"`
	Parent  model.ServiceID `msg:"p,omitempty"`
}

// checkRecord is the content of a file in checks/. Its Check holds what is shown; the status is that of a
// check before its first run.
type checkRecord struct {
	Definition model.CheckDefinition `msg:"d"`
	Check      model.Check           `msg:"c"`
	Token      string                `msg:"t,omitempty"`
}

// ttlRecord is the content of a file in checks/state/: what a TTL check was last told.
type ttlRecord struct {
	CheckID model.CheckID `msg:"id"`
	Status  model.Status  `msg:"s"`
	Output  string        `msg:"o,omitempty"`
	Expires time.Time     `msg:"e"`
}
