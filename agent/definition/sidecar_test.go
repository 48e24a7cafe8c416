package definition

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// ports hands out ports as an agent does: a sidecar keeps the one it has.
type ports map[model.ServiceID]int

func (p ports) allocate(id model.ServiceID) (int, bool) {
	if p[id] == 0 {
		p[id] = 21000 + len(p)
	}
	return p[id], true
}

func TestSidecarsAreExpandedAsRecorded(t *testing.T) {
	registered := map[string]model.Service{}
	allocated := ports{}
	compared := 0
	for _, x := range recorded(t, "sidecars.jsonl") {
		if x.Step == "pd" {
			// From here on the answers are merged with central configuration, which is not registered.
			break
		}
		switch {
		case strings.HasSuffix(x.Request.Path, "/register"):
			def, err := DecodeAgentService(x.Request.Body)
			if err != nil {
				t.Fatal(x.Step, err)
			}
			if err := ValidateService(def); err != nil {
				t.Fatal(x.Step, err)
			}
			side, err := Sidecar(def, allocated.allocate)
			if err != nil {
				t.Fatal(x.Step, err)
			}
			registered[string(def.Service.ID)] = def.Service
			registered[string(side.Service.ID)] = side.Service
		case x.Request.Path == "/v1/agent/services":
			var all map[string]json.RawMessage
			if err := json.Unmarshal(x.Response.Body, &all); err != nil {
				t.Fatal(err)
			}
			for id, body := range all {
				compare(t, x.Step, body, registered[id])
				compared++
			}
		case strings.HasPrefix(x.Request.Path, "/v1/agent/service/"):
			compare(t, x.Step, x.Response.Body, registered[strings.TrimPrefix(x.Request.Path, "/v1/agent/service/")])
			compared++
		}
	}
	if compared < 6 {
		t.Errorf("only %d services were compared", compared)
	}
}

func compare(t *testing.T, step string, body []byte, got model.Service) {
	t.Helper()
	var want model.Service
	if err := decodeBody(body, tables().catalogService, &want, true); err != nil {
		t.Fatal(step, err)
	}
	for _, s := range []*model.Service{&want, &got} {
		if len(s.Tags) == 0 {
			s.Tags = nil
		}
		if len(s.Meta) == 0 {
			s.Meta = nil
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got  %+v %+v\nwant %+v %+v", step, got, got.Proxy, want, want.Proxy)
	}
}

func TestSidecarGetsDefaultChecks(t *testing.T) {
	def, err := DecodeAgentService([]byte(`{"Name":"web","ID":"web1","Port":8080,"Address":"::1","Connect":{"SidecarService":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	side, err := Sidecar(def, ports{}.allocate)
	if err != nil {
		t.Fatal(err)
	}
	want := []model.CheckDefinition{
		{CheckID: "service:web1-sidecar-proxy:1", Name: "Connect Sidecar Listening", ServiceID: "web1-sidecar-proxy", TCP: "[::1]:21000", Interval: 10 * time.Second},
		{CheckID: "service:web1-sidecar-proxy:2", Name: "Connect Sidecar Aliasing web1", ServiceID: "web1-sidecar-proxy", AliasService: "web1"},
	}
	if got := Checks(side); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if def.Sidecar.Service.ID != "" || def.Sidecar.Service.Port != 0 || len(def.Sidecar.Checks) != 0 {
		t.Errorf("the definition was changed: %+v", def.Sidecar)
	}
}

func TestRefusedSidecarTakesNoPort(t *testing.T) {
	def, err := DecodeAgentService([]byte(`{"Name":"web","Connect":{"SidecarService":{"Proxy":{"Upstreams":[{"DestinationName":"db"}]}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Sidecar(def, func(model.ServiceID) (int, bool) {
		t.Error("a port was allocated")
		return 0, false
	})
	if !fault.Is(err, fault.BadRequest) {
		t.Errorf("got %v", err)
	}
}

func TestSidecarWithoutFreePortIsRefused(t *testing.T) {
	def, err := DecodeAgentService([]byte(`{"Name":"web","Connect":{"SidecarService":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Sidecar(def, func(model.ServiceID) (int, bool) { return 0, false })
	if err == nil || !strings.HasPrefix(err.Error(), "Invalid SidecarService: ") || fault.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
}

func TestServiceOnSocketGivesItsSidecarTheSocket(t *testing.T) {
	def, err := DecodeAgentService([]byte(`{"Name":"web","SocketPath":"/run/web","Connect":{"SidecarService":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	side, err := Sidecar(def, ports{}.allocate)
	if err != nil {
		t.Fatal(err)
	}
	if p := side.Service.Proxy; p.LocalServiceSocketPath != "/run/web" || p.LocalServicePort != 0 || p.LocalServiceAddress != "" {
		t.Errorf("got %+v", p)
	}
}

func TestCheckIDsFollowTheRecordedRule(t *testing.T) {
	def, err := DecodeAgentService([]byte(`{"ID":"web1","Name":"web","Checks":[{"Name":"h","HTTP":"http://x","Interval":"60s"},{"CheckID":"mine","TCP":"x:1","Interval":"60s"}],"Check":{"TTL":"30s"}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range Checks(def) {
		got = append(got, string(c.CheckID)+" "+c.Name)
	}
	want := []string{"service:web1:1 Service 'web' check", "service:web1:2 h", "mine Service 'web' check"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
