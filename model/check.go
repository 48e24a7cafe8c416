package model

import (
	"maps"
	"slices"
	"time"
)

// Status is the state of a health check.
type Status string

// The states of a check. StatusMaintenance appears only as the aggregated status of an instance.
const (
	StatusPassing     Status = "passing"
	StatusWarning     Status = "warning"
	StatusCritical    Status = "critical"
	StatusMaintenance Status = "maintenance"
)

// Valid tells whether s may be the status of a check.
func (s Status) Valid() bool {
	return s == StatusPassing || s == StatusWarning || s == StatusCritical
}

// Worse returns the worse of two states: critical, then warning, then passing.
func (s Status) Worse(o Status) Status {
	if s.rank() >= o.rank() {
		return s
	}
	return o
}

func (s Status) rank() int {
	switch s {
	case StatusPassing:
		return 0
	case StatusWarning:
		return 1
	default:
		return 2
	}
}

// SerfHealth is the check that the leader keeps for each member of the gossip pool.
const SerfHealth CheckID = "serfHealth"

// NodeMaintenance and ServiceMaintenancePrefix name the checks of maintenance mode.
const (
	NodeMaintenance          CheckID = "_node_maintenance"
	ServiceMaintenancePrefix CheckID = "_service_maintenance:"
)

// Check is a health check of a node, or of one service instance when ServiceID is set.
type Check struct {
	Node        NodeName    `msg:"n,omitempty"`
	CheckID     CheckID     `msg:"id"`
	Name        string      `msg:"na,omitempty"`
	Status      Status      `msg:"st"`
	Notes       string      `msg:"no,omitempty"`
	Output      string      `msg:"o,omitempty"`
	ServiceID   ServiceID   `msg:"si,omitempty"`
	ServiceName ServiceName `msg:"sn,omitempty"`
	ServiceTags []string    `msg:"tg,omitempty"`
	// Type is the kind that runs it: http, tcp, ttl, alias, ... or maintenance.
	Type        string          `msg:"t,omitempty"`
	Interval    string          `msg:"iv,omitempty"`
	Timeout     string          `msg:"to,omitempty"`
	ExposedPort int             `msg:"ep,omitempty"`
	Definition  CheckDefinition `msg:"d"`
	// Owner is as in Service.
	Owner       NodeID      `msg:"ow,omitempty"`
	RaftIndexes RaftIndexes `msg:"ix,omitempty"`
}

// Clone returns a copy that shares nothing mutable with c.
func (c *Check) Clone() *Check {
	k := *c
	k.ServiceTags = slices.Clone(c.ServiceTags)
	k.Definition = c.Definition.Clone()
	return &k
}

// CheckDefinition says how a check is run. It is what an agent registers, and what the catalog shows as a
// check's Definition.
type CheckDefinition struct {
	CheckID   CheckID   `msg:"id,omitempty"`
	Name      string    `msg:"na,omitempty"`
	Notes     string    `msg:"no,omitempty"`
	ServiceID ServiceID `msg:"si,omitempty"`
	// Status is the state before the first run; empty is critical.
	Status                         Status              `msg:"st,omitempty"`
	ScriptArgs                     []string            `msg:"ar,omitempty"`
	DockerContainerID              string              `msg:"dk,omitempty"`
	Shell                          string              `msg:"sh,omitempty"`
	HTTP                           string              `msg:"ht,omitempty"`
	Method                         string              `msg:"hm,omitempty"`
	Header                         map[string][]string `msg:"hh,omitempty"`
	Body                           string              `msg:"hb,omitempty"`
	DisableRedirects               bool                `msg:"hr,omitempty"`
	TCP                            string              `msg:"tc,omitempty"`
	TCPUseTLS                      bool                `msg:"tct,omitempty"`
	UDP                            string              `msg:"ud,omitempty"`
	GRPC                           string              `msg:"gr,omitempty"`
	GRPCUseTLS                     bool                `msg:"grt,omitempty"`
	H2PING                         string              `msg:"h2,omitempty"`
	H2PingUseTLS                   bool                `msg:"h2t,omitempty"`
	OSService                      string              `msg:"os,omitempty"`
	AliasNode                      NodeName            `msg:"an,omitempty"`
	AliasService                   ServiceID           `msg:"as,omitempty"`
	TTL                            time.Duration       `msg:"tt,omitempty"`
	Interval                       time.Duration       `msg:"iv,omitempty"`
	Timeout                        time.Duration       `msg:"to,omitempty"`
	TLSServerName                  string              `msg:"sni,omitempty"`
	TLSSkipVerify                  bool                `msg:"sv,omitempty"`
	OutputMaxSize                  int                 `msg:"om,omitempty"`
	SuccessBeforePassing           int                 `msg:"sp,omitempty"`
	FailuresBeforeWarning          int                 `msg:"fw,omitempty"`
	FailuresBeforeCritical         int                 `msg:"fc,omitempty"`
	DeregisterCriticalServiceAfter time.Duration       `msg:"dc,omitempty"`
	// Token is the token that registers the check, from files only. It is kept beside the definition.
	Token Secret `msg:"-"`
}

// Clone returns a copy that shares nothing mutable with d.
func (d CheckDefinition) Clone() CheckDefinition {
	d.ScriptArgs = slices.Clone(d.ScriptArgs)
	d.Header = maps.Clone(d.Header)
	return d
}

// Type names the kind of check that d describes, as the Type field of the API shows it; "" when d
// describes none.
func (d *CheckDefinition) Type() string {
	switch {
	case len(d.ScriptArgs) > 0 && d.DockerContainerID != "":
		return "docker"
	case len(d.ScriptArgs) > 0:
		return "script"
	case d.HTTP != "":
		return "http"
	case d.TCP != "":
		return "tcp"
	case d.UDP != "":
		return "udp"
	case d.GRPC != "":
		return "grpc"
	case d.H2PING != "":
		return "h2ping"
	case d.OSService != "":
		return "os_service"
	case d.AliasNode != "" || d.AliasService != "":
		return "alias"
	case d.TTL > 0:
		return "ttl"
	default:
		return ""
	}
}

// ServiceDefinition is what is registered with an agent: a service, the checks it comes with, and the
// sidecar that it wants.
type ServiceDefinition struct {
	Service Service           `msg:"s"`
	Checks  []CheckDefinition `msg:"c,omitempty"`
	// Sidecar is Connect.SidecarService as written; agent/local expands it.
	Sidecar *ServiceDefinition `msg:"sc,omitempty"`
	// Token is the token that registers the service, from files only. It is kept beside the definition.
	Token Secret `msg:"-"`
}
