package gossip

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/serf/serf"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// admission decides who may be in the pool. serf asks it for each exchange of states and for each member
// that is announced, so a stranger enters by neither.
type admission struct {
	kind Kind
	dc   string
	self string
	id   string
	log  hclog.Logger

	mu sync.Mutex
	// last is the refusal that was logged last, and when: a stranger comes back every few seconds.
	last string
	at   time.Time
}

// NotifyMerge implements serf.MergeDelegate: an error refuses all of members.
func (a *admission) NotifyMerge(members []*serf.Member) error {
	for _, m := range members {
		if err := a.judge(m); err != nil {
			a.tell(err, m)
			return err
		}
	}
	return nil
}

func (a *admission) judge(m *serf.Member) error {
	dc, role, id := m.Tags["dc"], m.Tags["role"], m.Tags["id"]
	switch {
	case role != roleServer && role != roleClient:
		return fault.New(fault.Invalid, "member %q at %s is no agent of this mesh: its role tag is %q", m.Name, m.Addr, role)
	case a.kind == LAN && dc != a.dc:
		return fault.New(fault.Invalid, "member %q at %s is of datacenter %q, this pool is of %q", m.Name, m.Addr, dc, a.dc).
			WithHint("join the servers of datacenters with join -wan, or set datacenter alike")
	case a.kind == WAN && role != roleServer:
		return fault.New(fault.Invalid, "member %q at %s is a client agent, the WAN pool is of servers only", m.Name, m.Addr)
	case id != "" && id == a.id && m.Name != a.self && m.Status != serf.StatusLeft:
		return fault.New(fault.Invalid, "member %q at %s has this host's node id %s", m.Name, m.Addr, id).
			WithHint("if one is a copy, delete the file node-id in its data_dir; if %q is this host's former name, run force-leave %s", m.Name, m.Name)
	}
	return nil
}

// tell logs a refusal once a minute for the same one.
func (a *admission) tell(err error, m *serf.Member) {
	now := time.Now()
	a.mu.Lock()
	again := err.Error() == a.last && now.Sub(a.at) < time.Minute
	if !again {
		a.last, a.at = err.Error(), now
	}
	a.mu.Unlock()
	if !again {
		a.log.Warn("member refused", "error", err, "hint", fault.HintOf(err), "member", model.NodeName(m.Name))
	}
}
