package intention_test

import (
	"bufio"
	"encoding/json"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/lictor-mesh/lictor/controlplane/intention"
	"github.com/lictor-mesh/lictor/model"
)

// exchange is one line of testdata: a recorded request with its answer.
type exchange struct {
	Scenario, Step string
	Request        struct {
		Method, Path string
		Body         json.RawMessage
	}
	Response struct {
		Status int
		Body   json.RawMessage
	}
}

// replayed keeps the intentions that the recorded writes made.
type replayed struct {
	scenario string
	all      []*model.Intention
}

func (r *replayed) write(t *testing.T, e exchange, q url.Values) {
	source, destination := model.ServiceName(q.Get("source")), model.ServiceName(q.Get("destination"))
	r.all = slices.DeleteFunc(r.all, func(i *model.Intention) bool {
		return i.SourceName == source && i.DestinationName == destination
	})
	if e.Request.Method == "DELETE" {
		return
	}
	var body struct {
		Action      model.Action
		Permissions []model.IntentionPermission
	}
	if err := json.Unmarshal(e.Request.Body, &body); err != nil {
		t.Fatal(e.Step, err)
	}
	r.all = append(r.all, &model.Intention{SourceName: source, DestinationName: destination,
		Action: body.Action, Permissions: body.Permissions})
}

func (r *replayed) check(t *testing.T, e exchange, q url.Values) {
	var want struct{ Allowed bool }
	if err := json.Unmarshal(e.Response.Body, &want); err != nil {
		t.Fatal(e.Step, err)
	}
	forDest := intention.MatchDestination(r.all, model.ServiceName(q.Get("destination")))
	got := intention.Decide(forDest, model.ServiceName(q.Get("source")), true)
	if got.Allowed != want.Allowed {
		t.Errorf("%s %s: allowed %v, recorded %v (%s)", e.Scenario, e.Step, got.Allowed, want.Allowed, got.Reason())
	}
}

func (r *replayed) match(t *testing.T, e exchange, q url.Values) {
	type row struct {
		SourceName, DestinationName model.ServiceName
		Precedence                  int
	}
	var want map[model.ServiceName][]row
	if err := json.Unmarshal(e.Response.Body, &want); err != nil {
		t.Fatal(e.Step, err)
	}
	for name, rows := range want {
		found := intention.MatchDestination(r.all, name)
		if q.Get("by") == "source" {
			found = intention.MatchSource(r.all, name)
		}
		var got []row
		for _, i := range found {
			got = append(got, row{i.SourceName, i.DestinationName, intention.Precedence(i.SourceName, i.DestinationName)})
		}
		if !slices.Equal(got, rows) {
			t.Errorf("%s %s: matched %v, recorded %v", e.Scenario, e.Step, got, rows)
		}
	}
}

func (r *replayed) authorize(t *testing.T, e exchange) {
	var body struct {
		Target        model.ServiceName
		ClientCertURI string
	}
	var want struct {
		Authorized bool
		Reason     string
	}
	if json.Unmarshal(e.Request.Body, &body) != nil || json.Unmarshal(e.Response.Body, &want) != nil {
		t.Fatal(e.Step, "undecodable")
	}
	source := body.ClientCertURI[strings.LastIndexByte(body.ClientCertURI, '/')+1:]
	got := intention.Decide(intention.MatchDestination(r.all, body.Target), model.ServiceName(source), true)
	if got.Allowed != want.Authorized || got.Reason() != want.Reason {
		t.Errorf("%s %s: %v %q, recorded %v %q", e.Scenario, e.Step, got.Allowed, got.Reason(), want.Authorized, want.Reason)
	}
}

func TestDecisionsAndReasonsAreAsRecorded(t *testing.T) {
	asserted := 0
	for _, file := range []string{"testdata/authorize.jsonl", "testdata/intentions.jsonl"} {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var state replayed
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e exchange
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Fatal(err)
			}
			if e.Scenario != state.scenario {
				state = replayed{scenario: e.Scenario}
			}
			u, err := url.Parse(e.Request.Path)
			if err != nil || e.Response.Status != 200 {
				continue
			}
			q := u.Query()
			asserted++
			switch {
			case u.Path == "/v1/connect/intentions/exact" && e.Request.Method != "GET":
				state.write(t, e, q)
			case u.Path == "/v1/connect/intentions/check":
				state.check(t, e, q)
			case u.Path == "/v1/connect/intentions/match":
				state.match(t, e, q)
			case u.Path == "/v1/agent/connect/authorize":
				state.authorize(t, e)
			default:
				asserted--
			}
		}
	}
	if asserted < 25 {
		t.Fatalf("only %d recorded steps were replayed", asserted)
	}
}
