package httpapi

import (
	"hash/fnv"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/agent/definition"
	"github.com/lictor-mesh/lictor/agent/local"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// The waits of a hash-based long poll, as those of the servers.
const (
	defaultHashWait = 5 * time.Minute
	maxHashWait     = 10 * time.Minute
)

func (a *API) agentServices(x *exchange) error {
	keep, err := x.filter(a, a.selectors.agentService, 0)
	if err != nil {
		return err
	}
	services := a.Local.Services()
	if keep != nil {
		services = maps.Clone(services)
		maps.DeleteFunc(services, func(_ model.ServiceID, s *model.Service) bool { return !keep(s) })
	}
	return x.json(a, appendMap(nil, services, a.appendListed))
}

func (a *API) appendListed(b []byte, s *model.Service) []byte {
	return appendAgentService(b, s, a.Datacenter, "")
}

// contentHash is the hash by which agent/service/<id> is watched: opaque, equal for equal registrations.
func (a *API) contentHash(s *model.Service) string {
	h := fnv.New64a()
	_, _ = h.Write(appendAgentService(nil, s, a.Datacenter, "")) // a hash takes everything
	text := strconv.FormatUint(h.Sum64(), 16)
	return strings.Repeat("0", 16-len(text)) + text
}

func (a *API) agentService(x *exchange) error {
	id := model.ServiceID(x.rest)
	known := x.params.get("hash")
	var timeout <-chan time.Time
	for {
		s, changed := a.Local.Watch(id)
		if s == nil {
			return fault.New(fault.NotFound, "unknown service ID: %s", id)
		}
		hash := a.contentHash(s)
		if known == "" || hash != known {
			return a.answerService(x, s, hash)
		}
		if timeout == nil {
			t := time.NewTimer(hashWait(x.req.Read.MaxWait))
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-changed:
		case <-timeout:
			return a.answerService(x, s, hash)
		case <-x.r.Context().Done():
			return fault.New(fault.Canceled, "the caller went away")
		}
	}
}

func hashWait(asked time.Duration) time.Duration {
	if asked == 0 {
		return defaultHashWait
	}
	return min(asked, maxHashWait)
}

func (a *API) answerService(x *exchange, s *model.Service, hash string) error {
	x.w.Header().Set("X-Consul-Contenthash", hash)
	return x.json(a, appendAgentService(nil, s, a.Datacenter, hash))
}

// registering says that this request is how a registration came about.
func (x *exchange) registering() local.Registering {
	return local.Registering{Source: checks.FromAPI, Token: x.req.Token}
}

func (a *API) registerService(x *exchange) error {
	body, err := x.body()
	if err != nil {
		return err
	}
	def, err := definition.DecodeAgentService(body)
	if err != nil {
		return err
	}
	if err := definition.ValidateService(def); err != nil {
		return err
	}
	if problems := definition.Problems(def); len(problems) > 0 {
		// Taken as recorded, though it cannot work: whoever reads the answer or the log is told.
		a.Log.Warn("a registration cannot work as it is", "service", def.Service.ID, "problems", problems)
		x.w.Header().Set("X-Lictor-Hint", headerText(strings.Join(problems, "; ")))
	}
	how := x.registering()
	v, given := x.params.lookup("replace-existing-checks")
	how.ReplaceChecks = given && (v == "" || v == "true")
	return a.Local.AddService(def, how)
}

func (a *API) deregisterService(x *exchange) error {
	return a.Local.RemoveService(model.ServiceID(x.rest))
}

// enable reads the parameters of maintenance mode.
func (x *exchange) enable() (on bool, reason string, err error) {
	v, ok := x.params.lookup("enable")
	if !ok || v == "" {
		return false, "", bad("Missing value for enable").WithHint("add ?enable=true or ?enable=false")
	}
	if on, err = strconv.ParseBool(v); err != nil {
		return false, "", bad("Invalid value for enable: %q", v).WithHint("enable is true or false")
	}
	return on, x.params.get("reason"), nil
}

func (a *API) serviceMaintenance(x *exchange) error {
	if x.rest == "" {
		return bad("Missing service ID")
	}
	on, reason, err := x.enable()
	if err != nil {
		return err
	}
	if on {
		return a.Local.EnableServiceMaintenance(model.ServiceID(x.rest), reason, x.req.Token)
	}
	return a.Local.DisableServiceMaintenance(model.ServiceID(x.rest))
}

func (a *API) nodeMaintenance(x *exchange) error {
	on, reason, err := x.enable()
	if err != nil {
		return err
	}
	if on {
		return a.Local.EnableNodeMaintenance(reason, x.req.Token)
	}
	return a.Local.DisableNodeMaintenance()
}
