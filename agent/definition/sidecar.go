package definition

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

// SidecarSuffix is what a sidecar's name and id have more than its service's.
const SidecarSuffix = "-sidecar-proxy"

// SidecarID is the id of the sidecar that the agent makes for a service.
func SidecarID(service model.ServiceID) model.ServiceID { return service + SidecarSuffix }

// PortAllocator picks a port for a sidecar that names none: the one that this sidecar already has, else a free
// one of the configured range. ok is false when there is none.
type PortAllocator func(sidecar model.ServiceID) (port int, ok bool)

// Sidecar makes the registration of the sidecar that def asks for, nil when it asks for none. The sidecar takes
// name, id and destination from its service; address, tags, metadata, locality and tag override too where it has none of its own; it
// gets a TCP check of its listener and an alias of its service when it names no checks. def is not changed. Errors
// are of kind fault.BadRequest, with the recorded texts; nothing is allocated for a sidecar that is refused.
func Sidecar(def *model.ServiceDefinition, allocate PortAllocator) (*model.ServiceDefinition, error) {
	if def.Sidecar == nil {
		return nil, nil
	}
	side := inherit(def)
	if err := validateCommon(side); err != nil {
		return nil, err
	}
	s := &side.Service
	needsPort := s.Port == 0 && s.SocketPath == ""
	probe := *s
	if needsPort {
		probe.Port = 1
	}
	if err := instanceFaults(&probe).err("Failed Validation: "); err != nil {
		return nil, err
	}
	if needsPort {
		port, ok := allocate(s.ID)
		if !ok {
			return nil, bad("Invalid SidecarService: no port is left for %q in the configured range", string(s.ID)).
				WithHint("set SidecarService.Port, or widen ports.sidecar_min_port and ports.sidecar_max_port")
		}
		s.Port = port
	}
	if len(side.Checks) == 0 {
		side.Checks = sidecarChecks(s, def.Service.ID)
	}
	return side, nil
}

// inherit fills the sidecar's definition from its service's.
func inherit(def *model.ServiceDefinition) *model.ServiceDefinition {
	parent := &def.Service
	side := *def.Sidecar
	side.Sidecar = nil
	side.Checks = slices.Clone(side.Checks)
	side.Service = *def.Sidecar.Service.Clone()
	s := &side.Service
	s.ID = SidecarID(parent.ID)
	s.Kind = model.KindConnectProxy
	if s.Service == "" {
		s.Service = parent.Service + SidecarSuffix
	}
	if len(s.Tags) == 0 {
		s.Tags = slices.Clone(parent.Tags)
	}
	if len(s.Meta) == 0 {
		s.Meta = maps.Clone(parent.Meta)
	}
	if s.Address == "" {
		s.Address = parent.Address
	}
	if s.Locality == nil {
		s.Locality = parent.Locality
	}
	s.EnableTagOverride = s.EnableTagOverride || parent.EnableTagOverride
	if side.Token.IsZero() {
		side.Token = def.Token
	}
	if s.Proxy == nil {
		s.Proxy = new(model.Proxy)
	}
	s.Proxy.DestinationServiceName = parent.Service
	s.Proxy.DestinationServiceID = parent.ID
	inheritLocal(s.Proxy, parent)
	return &side
}

// inheritLocal says where the service listens for its sidecar: on its socket when that is all it has, else on loopback.
func inheritLocal(proxy *model.Proxy, parent *model.Service) {
	if proxy.LocalServiceSocketPath == "" && proxy.LocalServiceAddress == "" && proxy.LocalServicePort == 0 &&
		parent.Port == 0 && parent.SocketPath != "" {
		proxy.LocalServiceSocketPath = parent.SocketPath
	}
	if proxy.LocalServiceSocketPath != "" {
		return
	}
	if proxy.LocalServiceAddress == "" {
		proxy.LocalServiceAddress = "127.0.0.1"
	}
	if proxy.LocalServicePort == 0 {
		proxy.LocalServicePort = parent.Port
	}
}

func sidecarChecks(s *model.Service, parent model.ServiceID) []model.CheckDefinition {
	alias := model.CheckDefinition{Name: "Connect Sidecar Aliasing " + string(parent), AliasService: parent}
	if s.Port == 0 {
		return []model.CheckDefinition{alias}
	}
	host := s.Address
	if host == "" || unspecified(host) {
		host = "127.0.0.1"
	}
	listening := model.CheckDefinition{
		Name:     "Connect Sidecar Listening",
		TCP:      hostPort(host, s.Port),
		Interval: 10 * time.Second,
	}
	return []model.CheckDefinition{listening, alias}
}

// Checks are the checks of def as the agent knows them: with ids (service:ID, or service:ID:N when there are several),
// names, and the id of their service.
func Checks(def *model.ServiceDefinition) []model.CheckDefinition {
	out := make([]model.CheckDefinition, len(def.Checks))
	for i, c := range def.Checks {
		c = c.Clone()
		c.ServiceID = def.Service.ID
		if c.CheckID == "" {
			c.CheckID = model.CheckID("service:" + string(def.Service.ID))
			if len(def.Checks) > 1 {
				c.CheckID += model.CheckID(":" + strconv.Itoa(i+1))
			}
		}
		if c.Name == "" {
			c.Name = "Service '" + string(def.Service.Service) + "' check"
		}
		out[i] = c
	}
	return out
}
