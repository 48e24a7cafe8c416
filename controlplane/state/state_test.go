package state_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/model"
)

func web(node string, checks ...*model.Check) *command.Register {
	return &command.Register{Registration: model.Registration{
		Node:    model.Node{Node: model.NodeName(node), Address: "10.0.0.1"},
		Service: &model.Service{ID: "web", Service: "web", Port: 80},
		Checks:  checks,
	}}
}

func apply(t *testing.T, s *state.Store, index model.Index, cmds ...command.Command) ([]command.Outcome, []state.Topic) {
	t.Helper()
	var batch command.Batch
	for _, c := range cmds {
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		e, err := command.Wrap(c, "", time.Unix(int64(index), 0))
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, e)
	}
	o, topics, err := command.Apply(s, index, batch)
	if err != nil {
		t.Fatal(err)
	}
	return o, topics
}

func TestIdenticalWriteMovesNothing(t *testing.T) {
	s := state.New()
	apply(t, s, 5, web("n1"))
	_, topics := apply(t, s, 6, web("n1"))
	if len(topics) != 0 {
		t.Errorf("topics moved: %v", topics)
	}
	if got := s.Snapshot().TopicIndex(state.TopicService("web")); got != 5 {
		t.Errorf("index of web = %d, want 5", got)
	}
}

func TestCheckMovesHealthNotService(t *testing.T) {
	s := state.New()
	apply(t, s, 5, web("n1"))
	_, topics := apply(t, s, 6, web("n1", &model.Check{CheckID: "c", ServiceID: "web", Status: "critical"}))
	if slices.Contains(topics, state.TopicService("web")) || !slices.Contains(topics, state.TopicHealth("web")) {
		t.Errorf("topics = %v", topics)
	}
	if got := s.Snapshot().Instances(s.Snapshot().ServicesNamed("WEB"))[0].Status(); got != model.StatusCritical {
		t.Errorf("status = %s", got)
	}
}

func TestLastInstanceLeavesAUsefulIndex(t *testing.T) {
	s := state.New()
	apply(t, s, 5, web("n1"))
	_, topics := apply(t, s, 7, &command.Deregister{Deregistration: model.Deregistration{Node: "n1"}})
	if !slices.Contains(topics, state.TopicService("web")) {
		t.Errorf("watchers of web are not woken: %v", topics)
	}
	if got := s.Snapshot().TopicIndex(state.TopicService("web")); got != 7 {
		t.Errorf("index of the absent service = %d, want 7", got)
	}
}

func TestRefusedCommandLeavesNoTrace(t *testing.T) {
	s := state.New()
	bad := web("n2")
	bad.Registration.Checks = []*model.Check{{CheckID: "c", ServiceID: "nope"}}
	o, topics := apply(t, s, 5, web("n1"), bad, web("n3"))
	if o[1].Fault.Text != "Unknown service ID 'nope' for check ID 'c'" {
		t.Errorf("fault = %+v", o[1].Fault)
	}
	if n := s.Snapshot().Nodes(); len(n) != 2 || n[0].Node != "n1" || n[1].Node != "n3" {
		t.Errorf("nodes = %v", n)
	}
	if slices.Contains(topics, state.TopicNode("n2")) {
		t.Errorf("topics = %v", topics)
	}
}

func TestRetriedRequestIsDoneOnce(t *testing.T) {
	s := state.New()
	at := time.Unix(100, 0)
	create := &command.Intention{Op: command.IntentionLegacyCreate, Intention: model.Intention{
		ID: "i", SourceName: "web", DestinationName: "db", Action: model.ActionAllow}}
	e, err := command.Wrap(create, "request-1", at)
	if err != nil {
		t.Fatal(err)
	}
	for index := model.Index(5); index < 7; index++ {
		o, _, err := command.Apply(s, index, command.Batch{e})
		if err != nil || o[0].Fault.Text != "" || o[0].ID != "i" || o[0].Index != 5 {
			t.Errorf("at %d: outcome %+v, %v", index, o, err)
		}
	}
	again := e
	again.RequestID, again.Time = "request-2", at.Add(2*time.Minute)
	if o, _, _ := command.Apply(s, 8, command.Batch{again}); o[0].Fault.Text == "" {
		t.Error("a second create of the same intention passed")
	}
	if s.Snapshot().Receipt("request-1") != nil {
		t.Error("a receipt outlived its minute")
	}
}

func TestSnapshotHoldsEverything(t *testing.T) {
	s := state.New()
	apply(t, s, 5, web("n1", &model.Check{CheckID: "c", ServiceID: "web", Status: "passing"}))
	apply(t, s, 6, &command.Intention{Intention: model.Intention{SourceName: "web", DestinationName: "db", Action: model.ActionDeny}})
	apply(t, s, 7, &command.CA{Config: model.CAConfig{Provider: "consul", ClusterID: "u"},
		Roots: []*model.CARoot{{ID: "r", Active: true}}, Keys: []*model.CAKey{{RootID: "r", KeyPEM: "k"}}})
	var first, second bytes.Buffer
	if err := s.Snapshot().Persist(&first); err != nil {
		t.Fatal(err)
	}
	into := state.New()
	apply(t, into, 3, web("other"))
	if err := into.Restore(bytes.NewReader(first.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := into.Snapshot().Persist(&second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("a restored state persists otherwise")
	}
	if i, epoch := into.Applied(); i != 7 || epoch != 1 {
		t.Errorf("applied %d epoch %d", i, epoch)
	}
	for cut := range first.Len() {
		if err := state.New().Restore(bytes.NewReader(first.Bytes()[:cut])); err == nil {
			t.Fatalf("a snapshot cut at %d of %d was accepted", cut, first.Len())
		}
	}
}

func TestUnknownKindStopsTheServer(t *testing.T) {
	if _, _, err := command.Apply(state.New(), 5, command.Batch{{Kind: 200}}); err == nil {
		t.Error("an unknown command was skipped")
	}
}
