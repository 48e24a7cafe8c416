package dns

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/lictor-mesh/lictor/agent/definition"
	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/state"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
)

// fixture is a catalog with its views, as a server of one has them.
type fixture struct {
	t      testing.TB
	store  *state.Store
	engine *view.Engine
	reads  *read.Set
	index  model.Index
}

// serverPort is the port of the servers' own service.
const serverPort = "8300"

func newFixture(t testing.TB) *fixture {
	f := &fixture{t: t, store: state.New(), reads: read.New(), index: 1}
	f.engine = view.NewEngine(f.store, f.reads.All())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); f.engine.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	f.register(`{"Node":"node1","Address":"127.0.0.1","NodeMeta":{"consul-network-segment":"","consul-version":"1.21.4"},
		"Service":{"Service":"consul","Port":` + serverPort + `}}`)
	return f
}

func (f *fixture) register(body string) {
	f.t.Helper()
	reg, err := definition.DecodeRegistration([]byte(body))
	if err == nil {
		err = definition.CompleteRegistration(reg)
	}
	if err != nil {
		f.t.Fatalf("%s: %v", body, err)
	}
	f.apply(&command.Register{Registration: *reg})
}

func (f *fixture) apply(c command.Command) {
	f.t.Helper()
	envelope, err := command.Wrap(c, "", time.Unix(0, 0))
	if err != nil {
		f.t.Fatal(err)
	}
	f.index++
	outcomes, topics, err := command.Apply(f.store, f.index, command.Batch{envelope})
	if err != nil || outcomes[0].Fault.Err() != nil {
		f.t.Fatal(err, outcomes)
	}
	f.engine.Notify(topics)
}

// service registers an instance.
func (f *fixture) service(node, addr, service string, more map[string]any, checks ...map[string]any) {
	f.t.Helper()
	s := map[string]any{"Service": service, "ID": service + "-" + node}
	for k, v := range more {
		s[k] = v
	}
	body, err := json.Marshal(map[string]any{"Node": node, "Address": addr, "Service": s, "Checks": checks})
	if err != nil {
		f.t.Fatal(err)
	}
	f.register(string(body))
}

func (f *fixture) server(c Config) *Server {
	f.t.Helper()
	c.Source, c.Reads = f.engine, f.reads
	s, err := New(c)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// ask sends one query through the wire format and back.
func ask(t testing.TB, s *Server, req *dns.Msg, tcp bool) *dns.Msg {
	t.Helper()
	m := s.Answer(t.Context(), overWire(t, req), tcp)
	return overWire(t, m)
}

func overWire(t testing.TB, m *dns.Msg) *dns.Msg {
	t.Helper()
	raw, err := m.Pack()
	if err != nil {
		t.Fatalf("%v does not pack: %v", m, err)
	}
	n := new(dns.Msg)
	if err := n.Unpack(raw); err != nil {
		t.Fatal(err)
	}
	return n
}

func query(name string, qtype uint16) *dns.Msg {
	return new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
}

// texts are the records of a section without their headers' repetition, for comparing.
func texts(section []dns.RR) string {
	var list []string
	for _, r := range section {
		list = append(list, strings.Join(strings.Fields(r.String()), " "))
	}
	return strings.Join(list, "\n")
}
