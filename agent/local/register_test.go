package local

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/lictor-mesh/lictor/agent/checks"
	"github.com/lictor-mesh/lictor/agent/definition"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// line is one recorded exchange.
type line struct {
	Scenario, Step, Config string
	Request                struct {
		Method, Path string
		Body         json.RawMessage
	}
	Response struct {
		Status int
		Body   json.RawMessage
	}
}

func recorded(t *testing.T, file string) []line {
	t.Helper()
	f, err := os.Open("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []line
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var l line
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

// shown is a recorded check or service, as far as this package decides it.
type shown struct {
	Name, Status, Notes, Output, ServiceID, ServiceName, Type, Interval, Timeout string
	ServiceTags                                                                  []string

	Service         string
	Port            int
	Tags            []string
	TaggedAddresses map[string]model.ServiceAddress
	Meta            map[string]string
}

// apply does what a recorded request asks for, and tells whether it is one of those that are done here.
func apply(t *testing.T, s *State, l line) (error, bool) {
	t.Helper()
	u, err := url.Parse(l.Request.Path)
	if err != nil || l.Request.Method != http.MethodPut {
		return nil, false
	}
	rest, _ := strings.CutPrefix(u.Path, "/v1/agent/")
	verb, id := rest, ""
	if parts := strings.SplitN(rest, "/", 3); len(parts) == 3 {
		verb, id = parts[0]+"/"+parts[1], parts[2]
	}
	body := []byte(l.Request.Body)
	if len(body) > 0 && body[0] == '"' {
		return nil, false // bodies that are no JSON are the decoder's
	}
	q := u.Query()
	if q.Has("ns") || q.Has("partition") {
		return nil, false
	}
	switch verb {
	case "service/register":
		def, err := definition.DecodeAgentService(body)
		if err == nil {
			err = definition.ValidateService(def)
		}
		if err == nil {
			err = s.AddService(def, Registering{ReplaceChecks: q.Has("replace-existing-checks")})
		}
		return err, true
	case "check/register":
		def, err := definition.DecodeAgentCheck(body)
		if err == nil {
			err = definition.ValidateCheck(def)
		}
		if err == nil {
			err = s.AddCheck(def, Registering{})
		}
		return err, true
	case "check/update":
		var b struct{ Status, Output string }
		if err := json.Unmarshal(body, &b); err != nil {
			return nil, false
		}
		return s.UpdateTTL(model.CheckID(id), model.Status(b.Status), b.Output), true
	}
	return nil, false
}

// applyPlain does the requests without a body.
func applyPlain(s *State, l line) (error, bool) {
	u, err := url.Parse(l.Request.Path)
	if err != nil || l.Request.Method != http.MethodPut {
		return nil, false
	}
	parts := strings.SplitN(strings.TrimPrefix(u.Path, "/v1/agent/"), "/", 3)
	if len(parts) < 3 {
		return nil, false
	}
	id := parts[2]
	note := u.Query().Get("note")
	switch parts[0] + "/" + parts[1] {
	case "check/pass":
		return s.UpdateTTL(model.CheckID(id), model.StatusPassing, note), true
	case "check/warn":
		return s.UpdateTTL(model.CheckID(id), model.StatusWarning, note), true
	case "check/fail":
		return s.UpdateTTL(model.CheckID(id), model.StatusCritical, note), true
	case "check/deregister":
		return s.RemoveCheck(model.CheckID(id)), true
	case "service/deregister":
		return s.RemoveService(model.ServiceID(id)), true
	case "service/maintenance":
		switch u.Query().Get("enable") {
		case "true":
			if id == "" {
				return nil, false
			}
			return s.EnableServiceMaintenance(model.ServiceID(id), u.Query().Get("reason"), model.Secret{}), true
		case "false":
			return s.DisableServiceMaintenance(model.ServiceID(id)), true
		}
	}
	return nil, false
}

// TestRecordedRegistrationsAreShownAsRecorded replays what was registered with an agent and compares what it
// shows of it afterwards: services, checks, and the refusals.
func TestRecordedRegistrationsAreShownAsRecorded(t *testing.T) {
	// Listed deviations: a node alias does not count itself (it never recovers there), nor do aliases hold each
	// other down; what depends on the time between steps is tested elsewhere.
	skipped := map[string]bool{"checks-running": true, "checks-script": true}
	differ := map[string]bool{"k-alias-node": true, "k-alias-service": true}
	for _, file := range []string{"agent-checks.jsonl", "agent-services.jsonl"} {
		scenario, compared := "", 0
		var h *host
		for _, l := range recorded(t, file) {
			if skipped[l.Scenario] {
				continue
			}
			if l.Scenario != scenario {
				scenario = l.Scenario
				h = start(t, t.TempDir())
			}
			err, done := apply(t, h.State, l)
			if !done {
				err, done = applyPlain(h.State, l)
			}
			switch {
			case done:
				compared++
				compareAnswer(t, l, err)
			case l.Request.Method == http.MethodGet && strings.HasPrefix(l.Request.Path, "/v1/agent/checks") && l.Response.Status == 200:
				if strings.Contains(l.Request.Path, "Status==") || strings.Contains(l.Request.Path, "maint") {
					continue
				}
				compared++
				compareChecks(t, h.State, l, differ)
			case l.Request.Method == http.MethodGet && strings.HasPrefix(l.Request.Path, "/v1/agent/services") && l.Response.Status == 200:
				compared++
				compareServices(t, h.State, l)
			}
		}
		if compared < 30 {
			t.Errorf("%s: only %d steps were compared", file, compared)
		}
	}
}

func compareAnswer(t *testing.T, l line, err error) {
	t.Helper()
	if l.Response.Status == 200 {
		if err != nil {
			t.Errorf("%s/%s: %v", l.Scenario, l.Step, err)
		}
		return
	}
	var text string
	_ = json.Unmarshal(l.Response.Body, &text)
	status := map[fault.Kind]int{fault.BadRequest: 400, fault.NotFound: 404, fault.Invalid: 500}[fault.KindOf(err)]
	if err == nil || status != l.Response.Status {
		t.Errorf("%s/%s: got %v, want %d %q", l.Scenario, l.Step, err, l.Response.Status, text)
		return
	}
	if err.Error() != text && !strings.Contains(text, "json:") && !strings.Contains(text, "decode") {
		t.Errorf("%s/%s: got %q, want %q", l.Scenario, l.Step, err, text)
	}
}

func compareChecks(t *testing.T, s *State, l line, differ map[string]bool) {
	t.Helper()
	var want map[string]shown
	if err := json.Unmarshal(l.Response.Body, &want); err != nil {
		t.Fatal(err)
	}
	got := s.Checks()
	for id, w := range want {
		c := got[model.CheckID(id)]
		if c == nil {
			t.Errorf("%s/%s: no check %q", l.Scenario, l.Step, id)
			continue
		}
		g := shown{Name: c.Name, Status: string(c.Status), Notes: c.Notes, Output: c.Output, ServiceID: string(c.ServiceID),
			ServiceName: string(c.ServiceName), Type: c.Type, Interval: c.Interval, Timeout: c.Timeout, ServiceTags: append([]string{}, c.ServiceTags...)}
		if differ[id] {
			g.Status, g.Output = w.Status, w.Output
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("%s/%s: check %q\n got %+v\nwant %+v", l.Scenario, l.Step, id, g, w)
		}
	}
	if len(got) != len(want) && !strings.Contains(l.Request.Path, "filter") {
		t.Errorf("%s/%s: %d checks, want %d", l.Scenario, l.Step, len(got), len(want))
	}
}

func compareServices(t *testing.T, s *State, l line) {
	t.Helper()
	var want map[string]shown
	if err := json.Unmarshal(l.Response.Body, &want); err != nil {
		t.Fatal(err)
	}
	got := s.Services()
	for id, w := range want {
		v := got[model.ServiceID(id)]
		if v == nil {
			t.Errorf("%s/%s: no service %q", l.Scenario, l.Step, id)
			continue
		}
		delete(w.TaggedAddresses, "consul-virtual") // from the catalog
		if len(w.TaggedAddresses) == 0 {
			w.TaggedAddresses = nil
		}
		if v.Service != model.ServiceName(w.Service) || v.Port != w.Port || !reflect.DeepEqual(append([]string{}, v.Tags...), w.Tags) ||
			!reflect.DeepEqual(nilIfEmptyMap(v.TaggedAddresses), w.TaggedAddresses) || !reflect.DeepEqual(nilIfEmptyMap(v.Meta), nilIfEmptyMap(w.Meta)) {
			t.Errorf("%s/%s: service %q\n got %+v\nwant %+v", l.Scenario, l.Step, id, v, w)
		}
	}
	if len(got) != len(want) && !strings.Contains(l.Request.Path, "filter") {
		t.Errorf("%s/%s: %d services, want %d", l.Scenario, l.Step, len(got), len(want))
	}
}

func TestSidecarsGetStablePortsUntilNoneIsLeft(t *testing.T) {
	dir := t.TempDir()
	h, err := openHost(t, dir, checks.Env{})
	if err != nil {
		t.Fatal(err)
	}
	h.opts.SidecarMaxPort = h.opts.SidecarMinPort + 1
	register(t, h.State, `{"Name":"a","Port":1,"Connect":{"SidecarService":{}}}`)
	register(t, h.State, `{"Name":"b","Port":2,"Connect":{"SidecarService":{}}}`)
	register(t, h.State, `{"Name":"b","Port":3,"Connect":{"SidecarService":{}}}`)
	if p := h.Service("b-sidecar-proxy").Port; p != 21001 {
		t.Errorf("b moved to %d", p)
	}
	err = h.AddService(decodeService(t, `{"Name":"c","Port":4,"Connect":{"SidecarService":{}}}`), Registering{})
	if !fault.Is(err, fault.BadRequest) || !strings.HasPrefix(err.Error(), "Invalid SidecarService: ") || h.Service("c") != nil {
		t.Errorf("got %v, and c is %v", err, h.Service("c"))
	}
	if err := h.RemoveService("a"); err != nil {
		t.Fatal(err)
	}
	register(t, h.State, `{"Name":"c","Port":4,"Connect":{"SidecarService":{}}}`)
	if p := h.Service("c-sidecar-proxy").Port; p != 21000 {
		t.Errorf("c has %d, not the port that a gave back", p)
	}
	h.stop()
	h = start(t, dir)
	register(t, h.State, `{"Name":"b","Port":3,"Connect":{"SidecarService":{}}}`)
	if p := h.Service("b-sidecar-proxy").Port; p != 21001 {
		t.Errorf("after the restart b has %d", p)
	}
}

func TestARefusedRegistrationChangesNothing(t *testing.T) {
	h := start(t, t.TempDir())
	register(t, h.State, `{"Name":"web","Port":1,"Check":{"TTL":"1h"}}`)
	err := h.AddService(decodeService(t, `{"Name":"web","Port":2,"Checks":[{"TTL":"2h"},{"Args":["/bin/true"],"Interval":"1s"}]}`), Registering{})
	if !fault.Is(err, fault.Invalid) {
		t.Fatalf("got %v", err)
	}
	if h.Service("web").Port != 1 || len(h.Checks()) != 1 {
		t.Errorf("now %+v %v", h.Service("web"), h.Checks())
	}
}

func TestModesOfTheAgentAreNotRegisteredByOthers(t *testing.T) {
	h := start(t, "")
	for _, id := range []string{"_node_maintenance", "_service_maintenance:web", "_drain:web"} {
		err := h.AddCheck(&model.CheckDefinition{CheckID: model.CheckID(id), Name: "x", TTL: 1}, Registering{})
		if !fault.Is(err, fault.BadRequest) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestWatchersOfAServiceHearOfItAlone(t *testing.T) {
	h := start(t, "")
	_, appears := h.Watch("web")
	register(t, h.State, `{"Name":"web","Check":{"TTL":"1h"}}`)
	<-appears
	v, changes := h.Watch("web")
	if v == nil {
		t.Fatal("not there")
	}
	register(t, h.State, `{"Name":"other"}`)
	register(t, h.State, `{"Name":"web"}`)
	if err := h.UpdateTTL("service:web", model.StatusPassing, ""); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changes:
		t.Error("woken by another service, the same registration, or a check")
	default:
	}
	register(t, h.State, `{"Name":"web","Port":2}`)
	<-changes
	_, goes := h.Watch("web")
	if err := h.RemoveService("web"); err != nil {
		t.Fatal(err)
	}
	<-goes
}

func TestHealthIsTheWorstOfAllThatBearsOnAService(t *testing.T) {
	h := start(t, "")
	register(t, h.State, `{"ID":"w1","Name":"web","Check":{"CheckID":"t1","TTL":"1h","Status":"passing"}}`)
	register(t, h.State, `{"ID":"w2","Name":"web","Check":{"CheckID":"t2","TTL":"1h","Status":"warning"}}`)
	want := func(w1, w2, worst model.Status) {
		t.Helper()
		list, all := h.HealthByName("web")
		if len(list) != 2 || list[0].Status != w1 || list[1].Status != w2 || all != worst || h.Health("w1").Status != w1 {
			t.Errorf("got %s %s %s, want %s %s %s", list[0].Status, list[1].Status, all, w1, w2, worst)
		}
	}
	const p, w, c, m = model.StatusPassing, model.StatusWarning, model.StatusCritical, model.StatusMaintenance
	want(p, w, w)
	if err := h.EnableServiceMaintenance("w2", "", model.Secret{}); err != nil {
		t.Fatal(err)
	}
	want(p, m, m)
	if list := h.Health("w2").Checks; len(list) != 2 || list[0].CheckID != "t2" {
		t.Errorf("checks %v", list)
	}
	if err := h.UpdateTTL("t1", c, "broken"); err != nil {
		t.Fatal(err)
	}
	want(c, m, c)
	if err := h.DisableServiceMaintenance("w2"); err != nil {
		t.Fatal(err)
	}
	if err := h.EnableNodeMaintenance("all", model.Secret{}); err != nil {
		t.Fatal(err)
	}
	want(m, m, m)
	if h.Health("zzz") != nil {
		t.Error("health of a service that is not there")
	}
}
