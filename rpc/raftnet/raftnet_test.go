package raftnet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"google.golang.org/grpc"
	"pgregory.net/rapid"

	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/rpc"
)

// noAgent answers nothing: only Raft is of interest here.
type noAgent struct{ rpc.Handler }

// end is one server's RPC port with its transport.
type end struct {
	*Transport
	server *rpc.Server
	pool   *rpc.Pool
}

func newEnd(t *testing.T, authorize func(rpc.Caller) error, change func(*Config)) *end {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &end{pool: rpc.NewPool(rpc.PoolConfig{})}
	cfg := Config{Address: raft.ServerAddress(l.Addr().String()), Pool: e.pool}
	if change != nil {
		change(&cfg)
	}
	e.Transport = New(cfg)
	e.server = rpc.NewServer(rpc.ServerConfig{Handler: noAgent{}, Authorize: authorize, Register: []func(grpc.ServiceRegistrar){e.Register}})
	served := make(chan error, 1)
	go func() { served <- e.server.Serve(l) }()
	t.Cleanup(func() {
		e.stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return e
}

func (e *end) stop() {
	_ = e.Close()
	_ = e.pool.Close()
	e.server.Stop(5 * time.Second)
}

// answering lets fn stand in for Raft at e, until the test ends.
func (e *end) answering(t *testing.T, fn func(raft.RPC)) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			select {
			case r := <-e.Consumer():
				fn(r)
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); wg.Wait() })
}

func header() raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: 3, ID: []byte("id-1"), Addr: []byte("127.0.0.1:8300")}
}

func TestEveryMessageArrivesAsItWasSent(t *testing.T) {
	a, b := newEnd(t, nil, nil), newEnd(t, nil, nil)
	var got any
	var reply any
	var snapshot []byte
	b.answering(t, func(r raft.RPC) {
		got = r.Command
		if r.Reader != nil {
			snapshot, _ = io.ReadAll(r.Reader)
		}
		r.Respond(reply, nil)
	})
	check := func(want, wantReply, gotReply any, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%T: %v", want, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("sent %+v\ngot  %+v", want, got)
		}
		if !reflect.DeepEqual(gotReply, wantReply) {
			t.Errorf("answered %+v\ngot      %+v", wantReply, gotReply)
		}
	}
	at := time.Unix(1700000000, 123456789)
	add := &raft.AppendEntriesRequest{RPCHeader: header(), Term: 7, PrevLogEntry: 41, PrevLogTerm: 6, LeaderCommitIndex: 40, Entries: []*raft.Log{
		{Index: 42, Term: 7, Type: raft.LogCommand, Data: []byte("data"), Extensions: []byte("ext"), AppendedAt: at},
		{Index: 43, Term: 7, Type: raft.LogNoop},
	}}
	addReply := &raft.AppendEntriesResponse{RPCHeader: header(), Term: 7, LastLog: 43, Success: true, NoRetryBackoff: true}
	reply = addReply
	var r1 raft.AppendEntriesResponse
	check(add, addReply, &r1, a.AppendEntries("id-2", b.LocalAddr(), add, &r1))

	vote := &raft.RequestVoteRequest{RPCHeader: header(), Term: 8, LastLogIndex: 43, LastLogTerm: 7, LeadershipTransfer: true}
	voteReply := &raft.RequestVoteResponse{RPCHeader: header(), Term: 8, Granted: true}
	reply = voteReply
	var r2 raft.RequestVoteResponse
	check(vote, voteReply, &r2, a.RequestVote("id-2", b.LocalAddr(), vote, &r2))

	pre := &raft.RequestPreVoteRequest{RPCHeader: header(), Term: 9, LastLogIndex: 43, LastLogTerm: 7}
	preReply := &raft.RequestPreVoteResponse{RPCHeader: header(), Term: 9, Granted: true}
	reply = preReply
	var r3 raft.RequestPreVoteResponse
	check(pre, preReply, &r3, a.RequestPreVote("id-2", b.LocalAddr(), pre, &r3))

	now := &raft.TimeoutNowRequest{RPCHeader: header()}
	nowReply := &raft.TimeoutNowResponse{RPCHeader: header()}
	reply = nowReply
	var r4 raft.TimeoutNowResponse
	check(now, nowReply, &r4, a.TimeoutNow("id-2", b.LocalAddr(), now, &r4))

	// Three frames and a bit, so that cutting and joining is seen.
	data := make([]byte, 3*timeoutScale+17)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	snap := &raft.InstallSnapshotRequest{RPCHeader: header(), SnapshotVersion: 1, Term: 9, LastLogIndex: 40, LastLogTerm: 6,
		Configuration: []byte("conf"), ConfigurationIndex: 3, Size: int64(len(data))}
	snapReply := &raft.InstallSnapshotResponse{RPCHeader: header(), Term: 9, Success: true}
	reply = snapReply
	var r5 raft.InstallSnapshotResponse
	check(snap, snapReply, &r5, a.InstallSnapshot("id-2", b.LocalAddr(), snap, &r5, bytes.NewReader(data)))
	if !bytes.Equal(snapshot, data) {
		t.Errorf("%d bytes of the snapshot arrived of %d", len(snapshot), len(data))
	}
}

func TestAppendBeyondAFrameIsCutAndJoined(t *testing.T) {
	a, b := newEnd(t, nil, nil), newEnd(t, nil, nil)
	big := bytes.Repeat([]byte("0123456789abcdef"), 700<<10/16*10) // 7 MB, more than the port takes as one message
	var got int
	b.answering(t, func(r raft.RPC) {
		got = len(r.Command.(*raft.AppendEntriesRequest).Entries[0].Data)
		r.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
	})
	args := &raft.AppendEntriesRequest{RPCHeader: header(), Term: 1, Entries: []*raft.Log{{Index: 1, Data: big}}}
	var resp raft.AppendEntriesResponse
	if err := a.AppendEntries("id", b.LocalAddr(), args, &resp); err != nil || !resp.Success || got != len(big) {
		t.Fatalf("%d of %d bytes, %v", got, len(big), err)
	}
	p, err := a.AppendEntriesPipeline("id", b.LocalAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	got = 0
	f, err := p.AppendEntries(args, &resp)
	if err != nil || f.Error() != nil || got != len(big) {
		t.Fatalf("pipelined: %d bytes, %v", got, err)
	}
}

// While the follower works on one append, the next must already have been sent.
func TestPipelineSendsAheadAndAnswersInOrder(t *testing.T) {
	a, b := newEnd(t, nil, func(c *Config) { c.MaxInFlight = 3 }), newEnd(t, nil, nil)
	release := make(chan struct{})
	b.answering(t, func(r raft.RPC) {
		<-release
		r.Respond(&raft.AppendEntriesResponse{LastLog: r.Command.(*raft.AppendEntriesRequest).PrevLogEntry, Success: true}, nil)
	})
	p, err := a.AppendEntriesPipeline("id", b.LocalAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	sent := make(chan error, 1)
	const n = 50
	go func() {
		for i := range n {
			if _, err := p.AppendEntries(&raft.AppendEntriesRequest{RPCHeader: header(), Term: 1, PrevLogEntry: uint64(i + 1)}, &raft.AppendEntriesResponse{}); err != nil {
				sent <- err
				return
			}
			if i == 1 {
				close(release) // reached only when a second append did not wait for the first's answer
			}
		}
		sent <- nil
	}()
	for i := range n {
		select {
		case f := <-p.Consumer():
			if f.Error() != nil || f.Response().LastLog != uint64(i+1) || f.Request().PrevLogEntry != uint64(i+1) || f.Start().IsZero() {
				t.Fatalf("answer %d: %+v %v", i, f.Response(), f.Error())
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no answer %d: nothing was sent ahead", i)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func TestHeartbeatsPassABusyRaft(t *testing.T) {
	a, b := newEnd(t, nil, nil), newEnd(t, nil, nil)
	// Nobody consumes at b: Raft's loop is at its disk.
	b.SetHeartbeatHandler(func(r raft.RPC) { r.Respond(&raft.AppendEntriesResponse{Term: 5, Success: true}, nil) })
	var resp raft.AppendEntriesResponse
	if err := a.AppendEntries("id", b.LocalAddr(), &raft.AppendEntriesRequest{RPCHeader: header(), Term: 5}, &resp); err != nil || resp.Term != 5 {
		t.Fatalf("%+v %v", resp, err)
	}
}

func TestOnlyServersSpeakRaft(t *testing.T) {
	refused := make(chan rpc.Caller, 10)
	b := newEnd(t, func(c rpc.Caller) error {
		if c.Service == "Raft" {
			refused <- c
			return fault.New(fault.Permission, "not a server")
		}
		return nil
	}, nil)
	b.answering(t, func(r raft.RPC) { t.Error("Raft got a message"); r.Respond(nil, fmt.Errorf("no")) })
	a := newEnd(t, nil, nil)
	if err := a.RequestVote("id", b.LocalAddr(), &raft.RequestVoteRequest{RPCHeader: header()}, &raft.RequestVoteResponse{}); err == nil {
		t.Error("a vote passed")
	}
	if p, err := a.AppendEntriesPipeline("id", b.LocalAddr()); err == nil {
		if f, err := p.AppendEntries(&raft.AppendEntriesRequest{RPCHeader: header()}, &raft.AppendEntriesResponse{}); err == nil && f.Error() == nil {
			t.Error("a pipelined append passed")
		}
		_ = p.Close()
	}
	if err := a.InstallSnapshot("id", b.LocalAddr(), &raft.InstallSnapshotRequest{Size: 3}, &raft.InstallSnapshotResponse{}, bytes.NewReader([]byte("abc"))); err == nil {
		t.Error("a snapshot passed")
	}
	if c := <-refused; c.Method != "Vote" || c.Addr == nil {
		t.Errorf("%+v", c)
	}
}

func TestBrokenSnapshotIsNoShortOne(t *testing.T) {
	a, b := newEnd(t, nil, nil), newEnd(t, nil, nil)
	read, begun := make(chan error, 1), make(chan struct{})
	b.answering(t, func(r raft.RPC) {
		close(begun)
		_, err := io.ReadAll(r.Reader)
		read <- err
		r.Respond(&raft.InstallSnapshotResponse{Success: err == nil}, err)
	})
	err := a.InstallSnapshot("id", b.LocalAddr(), &raft.InstallSnapshotRequest{RPCHeader: header(), Size: 2 * timeoutScale}, &raft.InstallSnapshotResponse{},
		io.MultiReader(bytes.NewReader(make([]byte, timeoutScale)), failingReader{begun}))
	if err == nil {
		t.Error("the sender saw no error")
	}
	select {
	case err := <-read:
		if err == nil {
			t.Error("the receiver took half a snapshot for a whole one")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the receiver never saw the end")
	}
}

// failingReader fails once the receiver is at it: earlier, the stream's end would overtake its beginning.
type failingReader struct{ begun <-chan struct{} }

func (r failingReader) Read([]byte) (int, error) {
	<-r.begun
	return 0, fmt.Errorf("disk error")
}

func TestDeadPeerIsAnErrorInTime(t *testing.T) {
	a := newEnd(t, nil, func(c *Config) { c.Timeout = 200 * time.Millisecond })
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	begun := time.Now()
	err = a.AppendEntries("id", raft.ServerAddress(silent.Addr().String()), &raft.AppendEntriesRequest{RPCHeader: header(), Term: 1}, &raft.AppendEntriesResponse{})
	if err == nil || time.Since(begun) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
}

func TestDamagedMessagesAreRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &raft.AppendEntriesRequest{RPCHeader: header(), Term: rapid.Uint64().Draw(t, "term"), Entries: []*raft.Log{
			{Index: rapid.Uint64().Draw(t, "index"), Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data")}}}
		b := encodeAppend(m)
		if cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut"); cut < len(b) {
			if _, err := decodeAppend(b[:cut]); err == nil {
				t.Fatalf("%d of %d bytes were taken for the whole", cut, len(b))
			}
		}
	})
	// A count of entries that no message could hold must not be allocated for.
	e := &encoder{}
	e.header(header(), 5)
	e.u64(1, 1, 1, 1)
	e.b = append(e.b, 0xdd, 0xff, 0xff, 0xff, 0xff)
	if _, err := decodeAppend(e.b); err == nil {
		t.Error("four billion entries in no bytes were accepted")
	}
}

func TestNewerPeersMayAddFields(t *testing.T) {
	e := &encoder{}
	e.header(header(), 4)
	e.u64(9)
	e.bool(true)
	e.bytes([]byte("new"))
	e.u64(1)
	var r raft.RequestVoteResponse
	if err := decodeVoteReply(e.b, &r); err != nil || r.Term != 9 || !r.Granted {
		t.Errorf("%+v %v", r, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encodeAppend(&raft.AppendEntriesRequest{RPCHeader: header(), Entries: []*raft.Log{{Data: []byte("x")}}}))
	f.Add(encodeVote(&raft.RequestVoteRequest{RPCHeader: header()}))
	f.Add(encodeSnapshot(&raft.InstallSnapshotRequest{RPCHeader: header()}))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = decodeAppend(b)
		_, _ = decodeVote(b)
		_, _ = decodePreVote(b)
		_, _ = decodeSnapshot(b)
		_, _ = decodeTimeoutNow(b)
		_ = decodeAppendReply(b, &raft.AppendEntriesResponse{})
	})
}

// log is a Raft state machine that keeps what was applied.
type log struct {
	mu   sync.Mutex
	list []string
}

func (l *log) Apply(e *raft.Log) any {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, string(e.Data))
	return len(l.list)
}

func (l *log) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.list)
}

func (l *log) Snapshot() (raft.FSMSnapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &logSnapshot{append([]string(nil), l.list...)}, nil
}

func (l *log) Restore(r io.ReadCloser) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = nil
	for _, s := range bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n")) {
		l.list = append(l.list, string(s))
	}
	return nil
}

type logSnapshot struct{ list []string }

func (s *logSnapshot) Persist(sink raft.SnapshotSink) error {
	for _, e := range s.list {
		if _, err := io.WriteString(sink, e+"\n"); err != nil {
			return err
		}
	}
	return sink.Close()
}

func (s *logSnapshot) Release() {}

type member struct {
	*end
	raft *raft.Raft
	fsm  *log
}

func startMember(t *testing.T, id int, e *end, servers []raft.Server) *member {
	t.Helper()
	m := &member{end: e, fsm: &log{}}
	cfg := raft.DefaultConfig()
	cfg.LocalID = raft.ServerID(fmt.Sprint(id))
	// A race-built machine with two cores under load needs room.
	cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaderLeaseTimeout, cfg.CommitTimeout = time.Second, time.Second, 800*time.Millisecond, 20*time.Millisecond
	cfg.SnapshotThreshold, cfg.TrailingLogs = 1<<20, 5
	cfg.Logger = hclog.NewNullLogger()
	store := raft.NewInmemStore()
	snaps := raft.NewInmemSnapshotStore()
	if servers != nil {
		if err := raft.BootstrapCluster(cfg, store, store, snaps, e.Transport, raft.Configuration{Servers: servers}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := raft.NewRaft(cfg, m.fsm, store, store, snaps, e.Transport)
	if err != nil {
		t.Fatal(err)
	}
	m.raft = r
	t.Cleanup(func() { _ = r.Shutdown().Error() })
	return m
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func leaderOf(members []*member) *member {
	for _, m := range members {
		if m.raft.State() == raft.Leader {
			return m
		}
	}
	return nil
}

func apply(t *testing.T, members []*member, data []byte) {
	t.Helper()
	eventually(t, "an entry is committed", func() bool {
		l := leaderOf(members)
		return l != nil && l.raft.Apply(data, 5*time.Second).Error() == nil
	})
}

func TestThreeServersElectReplicateAndCatchUp(t *testing.T) {
	ends, servers := make([]*end, 3), make([]raft.Server, 3)
	for i := range ends {
		ends[i] = newEnd(t, nil, nil)
		servers[i] = raft.Server{ID: raft.ServerID(fmt.Sprint(i)), Address: ends[i].LocalAddr()}
	}
	members := make([]*member, 3)
	for i := range members {
		members[i] = startMember(t, i, ends[i], servers)
	}
	for i := range 100 {
		apply(t, members, []byte(fmt.Sprintf("entry-%d", i)))
	}
	apply(t, members, bytes.Repeat([]byte("x"), 3<<20)) // beyond a frame
	for _, m := range members {
		eventually(t, "everybody applied all", func() bool { return m.fsm.len() >= 101 })
	}

	// A fourth that comes late gets a snapshot, then the log.
	for _, m := range members { // whoever leads then has cut its log
		if err := m.raft.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
	}
	late := startMember(t, 3, newEnd(t, nil, nil), nil)
	eventually(t, "the fourth is added", func() bool {
		l := leaderOf(members)
		return l != nil && l.raft.AddVoter("3", late.LocalAddr(), 0, 5*time.Second).Error() == nil
	})
	eventually(t, "the fourth has all", func() bool { return late.fsm.len() >= 101 })
	// Raft sets this after the state machine was restored.
	eventually(t, "it came by a snapshot", func() bool { return late.raft.Stats()["last_snapshot_index"] != "0" })

	// Without its leader the rest elects another and goes on.
	all := append(members, late)
	var leader *member
	eventually(t, "there is a leader", func() bool { leader = leaderOf(all); return leader != nil })
	_ = leader.raft.Shutdown().Error()
	leader.stop()
	rest := make([]*member, 0, 3)
	for _, m := range all {
		if m != leader {
			rest = append(rest, m)
		}
	}
	apply(t, rest, []byte("after"))
	for _, m := range rest {
		eventually(t, "the rest has it", func() bool { return m.fsm.len() >= 102 })
	}
	// Leadership can be handed over, which is TimeoutNow on the wire.
	eventually(t, "leadership is transferred", func() bool {
		l := leaderOf(rest)
		return l != nil && l.raft.LeadershipTransfer().Error() == nil
	})
	apply(t, rest, []byte("handed over"))
}
