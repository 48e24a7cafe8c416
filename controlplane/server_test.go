package controlplane_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/lictor-mesh/lictor/certs"
	"github.com/lictor-mesh/lictor/controlplane"
	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/controlplane/consensus"
	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

type server struct {
	*controlplane.Server
	reads *read.Set
	stop  func()
}

func member(status model.MemberStatus) model.Member {
	return model.Member{Name: "n1", Addr: "127.0.0.1", Port: 8301, Status: status, Tags: map[string]string{
		"role": "consul", "dc": "dc1", "id": "11111111-1111-1111-1111-111111111111", "build": "1.21.4:", "port": "8300", "raft_vsn": "3"}}
}

func start(t *testing.T, dir string, members *[]model.Member, changed chan struct{}) *server {
	t.Helper()
	_, transport := raft.NewInmemTransport("a")
	reads := read.New()
	s, err := controlplane.NewServer(controlplane.Config{
		Datacenter: "dc1", Reads: reads, Connect: true, DefaultWait: time.Minute, MaxWait: time.Minute, HoldTimeout: 5 * time.Second,
		LeafTTL: 20 * time.Second, Members: func() []model.Member { return *members }, MembersChanged: changed, Logger: hclog.NewNullLogger(),
		Raft: consensus.Config{Dir: dir, ID: "a", Address: "a", Transport: transport, Bootstrap: true, SegmentSize: 1 << 20, Logger: hclog.NewNullLogger()},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	srv := &server{Server: s, reads: reads}
	stopped := false
	srv.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(srv.stop)
	return srv
}

func (s *server) roots(t *testing.T) *model.CARoots {
	t.Helper()
	q := s.reads.CARoots.Query(view.None{})
	r, _, err := s.Read(t.Context(), model.Request{}, q)
	for err == nil && s.reads.CARoots.Value(r).ActiveRootID == "" {
		r, _, err = s.Read(t.Context(), model.Request{Read: model.ReadOptions{MinIndex: r.Index()}}, q)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.reads.CARoots.Value(r)
}

func TestServerLeadsSignsAndKeepsItsAuthority(t *testing.T) {
	dir := t.TempDir()
	members := []model.Member{member(model.MemberAlive)}
	s := start(t, dir, &members, nil)
	roots := s.roots(t)
	id := model.ServiceSPIFFE(model.TrustDomain(roots.TrustDomain), "dc1", "web")
	request, err := certs.NewLeafRequest(rand.Reader, id, nil, certs.KeyParams{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := s.Sign(t.Context(), model.Request{}, request.CSR, "web")
	if err != nil {
		t.Fatal(err)
	}
	if life := time.Until(leaf.ValidBefore); life > 20*time.Second || life < 10*time.Second {
		t.Errorf("the leaf lives %s", life)
	}
	if _, err := s.Sign(t.Context(), model.Request{}, request.CSR, "db"); err == nil {
		t.Error("a request for web was signed as db")
	}
	s.stop()
	s = start(t, dir, &members, nil)
	if again := s.roots(t); again.ActiveRootID != roots.ActiveRootID {
		t.Errorf("root %s became %s after a restart", roots.ActiveRootID, again.ActiveRootID)
	}
}

func TestRotationKeepsTheOldRootTrusted(t *testing.T) {
	members := []model.Member{member(model.MemberAlive)}
	s := start(t, "", &members, nil)
	before := s.roots(t)
	err := s.ConfigureCA(t.Context(), model.Request{}, "consul", map[string]any{"PrivateKeyType": "rsa", "PrivateKeyBits": 2048})
	if err != nil {
		t.Fatal(err)
	}
	after := s.roots(t)
	if len(after.Roots) != 2 || after.ActiveRootID == before.ActiveRootID {
		t.Errorf("roots after the rotation: %d, active %s", len(after.Roots), after.ActiveRootID)
	}
	err = s.ConfigureCA(t.Context(), model.Request{}, "consul", map[string]any{"LeafCertTTL": "1m"})
	if err == nil || err.Error() != "error configuring provider: leaf cert TTL must be greater or equal than 1h0m0s" {
		t.Errorf("a short TTL over the API: %v", err)
	}
}

func TestMembersBecomeTheCatalog(t *testing.T) {
	members := []model.Member{member(model.MemberAlive)}
	changed := make(chan struct{})
	s := start(t, "", &members, changed)
	q := s.reads.Health.Query(read.ServiceArgs{Service: "consul"})
	next := func(min model.Index) (*view.Result, read.Instances) {
		r, _, err := s.Read(t.Context(), model.Request{Read: model.ReadOptions{MinIndex: min, MaxWait: 5 * time.Second}}, q)
		if err != nil {
			t.Fatal(err)
		}
		return r, *s.reads.Health.Value(r)
	}
	r, list := next(1)
	if len(list) != 1 || list[0].Status() != model.StatusPassing || list[0].Service.Port != 8300 {
		t.Fatalf("instances = %+v", list)
	}
	members = []model.Member{member(model.MemberFailed)}
	changed <- struct{}{}
	r, list = next(r.Index())
	if len(list) != 1 || list[0].Status() != model.StatusCritical {
		t.Fatalf("after the failure: %+v", list)
	}
	members = []model.Member{member(model.MemberLeft)}
	changed <- struct{}{}
	if _, list = next(r.Index()); len(list) != 0 {
		t.Fatalf("after the leave: %+v", list)
	}
}

func TestOtherDatacenterHasNoPath(t *testing.T) {
	members := []model.Member{}
	s := start(t, "", &members, nil)
	_, err := s.Apply(t.Context(), model.Request{Datacenter: "dc9"}, &command.Deregister{Deregistration: model.Deregistration{Node: "n"}})
	if fault.KindOf(err) != fault.NoPath || err.Error() != "No path to datacenter" {
		t.Errorf("error = %v", err)
	}
}
