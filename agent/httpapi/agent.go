package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/version"
)

// supportedEnvoys are the versions of Envoy that agent/self lists, newest first.
const supportedEnvoys = `{"envoy":["1.34.1","1.33.2","1.32.5","1.31.8"]}`

func (a *API) agentSelf(x *exchange) error {
	s := a.Agent.Self()
	o := beginObject(nil)
	o.key("Config")
	c := beginObject(o.b)
	c.text("Datacenter", s.Datacenter)
	c.text("PrimaryDatacenter", s.PrimaryDatacenter)
	c.text("NodeName", string(s.Node))
	c.text("NodeID", string(s.NodeID))
	c.text("Revision", version.Revision())
	c.flag("Server", s.Server)
	c.text("Version", version.Compat)
	c.text("BuildDate", version.BuildDate())
	o.b = c.end()
	o.key("DebugConfig")
	o.b = appendMap(o.b, s.Debug, appendAny)
	if s.Coordinate != nil {
		o.key("Coord")
		o.b = appendCoordinate(o.b, s.Coordinate)
	}
	o.key("Member")
	o.b = appendMember(o.b, s.Member)
	o.key("Stats")
	o.b = appendMap(o.b, s.Stats, func(b []byte, m map[string]string) []byte {
		return appendMap(b, m, func(b []byte, v string) []byte { return appendString(b, v) })
	})
	o.table("Meta", s.Meta, "{}")
	o.key("xDS")
	o.b = appendXDS(o.b, &s)
	if len(s.Lictor) > 0 {
		o.key("Lictor")
		o.b = appendMap(o.b, s.Lictor, appendAny)
	}
	return x.json(a, o.end())
}

func appendXDS(b []byte, s *Self) []byte {
	o := beginObject(b)
	o.raw("SupportedProxies", supportedEnvoys)
	// Port is the one that old clients know: with TLS where there is one.
	port := s.GRPCTLSPort
	if port <= 0 {
		port = s.GRPCPort
	}
	o.int("Port", port)
	o.key("Ports")
	p := beginObject(o.b)
	p.int("Plaintext", s.GRPCPort)
	p.int("TLS", s.GRPCTLSPort)
	o.b = p.end()
	return o.end()
}

func appendCoordinate(b []byte, c *Coordinate) []byte {
	o := beginObject(b)
	o.key("Vec")
	o.b = appendList(o.b, c.Vec, appendFloat)
	for _, f := range []struct {
		name  string
		value float64
	}{{"Error", c.Error}, {"Adjustment", c.Adjustment}, {"Height", c.Height}} {
		o.key(f.name)
		o.b = appendFloat(o.b, f.value)
	}
	return o.end()
}

func (a *API) agentVersion(x *exchange) error {
	o := beginObject(nil)
	o.text("SHA", version.Revision())
	o.text("BuildDate", version.BuildDate())
	o.text("HumanVersion", version.Compat)
	o.text("FIPS", "")
	return x.json(a, o.end())
}

func (a *API) agentMembers(x *exchange) error {
	wan := x.params.get("wan") != ""
	switch segment := x.params.get("segment"); {
	case segment == "" || segment == "_all":
	case wan:
		return bad("Cannot provide a segment with wan=true")
	default:
		return fault.New(fault.Invalid, "Network segments are not supported in this version of Consul")
	}
	keep, err := x.filter(a, a.selectors.member, 0)
	if err != nil {
		return err
	}
	members := a.Agent.Members(wan)
	some := make([]model.Member, 0, len(members))
	for i := range members {
		if keep == nil || keep(&members[i]) {
			some = append(some, members[i])
		}
	}
	return x.json(a, appendList(nil, some, appendMember))
}

// reloadHeader carries what a reload came to; the body stays empty, as recorded.
const reloadHeader = "X-Lictor-Reload"

func (a *API) agentReload(x *exchange) error {
	report, err := a.Agent.Reload(x.r.Context(), x.req)
	if err != nil {
		return &statusError{http.StatusInternalServerError, err}
	}
	text, err := json.Marshal(struct {
		Applied      []string `json:"applied"`
		NeedsRestart []string `json:"needs_restart"`
		Rejected     []string `json:"rejected"`
	}(report))
	if err != nil {
		return err
	}
	x.w.Header().Set(reloadHeader, asciiHeader(text))
	return nil
}

// asciiHeader escapes what is not ASCII in a JSON text, which then fits a header.
func asciiHeader(text []byte) string {
	var out []byte
	for _, r := range string(text) {
		switch {
		case r < 0x80:
			out = append(out, byte(r))
		case r > 0xFFFF:
			out = append(out, `\ufffd`...)
		default:
			out = append(out, `\u`...)
			hex := strconv.FormatInt(int64(r), 16)
			out = append(out, "0000"[:4-len(hex)]...)
			out = append(out, hex...)
		}
	}
	return string(out)
}

func (a *API) agentLeave(x *exchange) error { return a.Agent.Leave(x.r.Context(), x.req) }
