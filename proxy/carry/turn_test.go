package carry

import (
	"net"
	"testing"

	"pgregory.net/rapid"
)

func TestTurnTellsWhoSpokeLastAndHowOftenThatChanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &Link{}
		if !l.Turn().Answered() {
			t.Fatal("a link without bytes waits for an answer")
		}
		var flips uint32
		last := answered // nobody
		for _, speaker := range rapid.SliceOf(rapid.SampledFrom([]Turn{0, server})).Draw(t, "reads") {
			before := l.Turn()
			noted := l.note(speaker, 1)
			if speaker != last {
				flips++
			}
			last = speaker
			if l.Turn() == before {
				t.Fatal("a read did not change the turn")
			}
			if l.Turn().Answered() || l.Turn().Flips() != flips {
				t.Fatalf("on the way: answered %v flips %d, want %d", l.Turn().Answered(), l.Turn().Flips(), flips)
			}
			if speaker == server {
				l.handedOn(noted)
				if !l.Turn().Answered() || l.Turn().Flips() != flips {
					t.Fatalf("handed on: answered %v flips %d, want %d", l.Turn().Answered(), l.Turn().Flips(), flips)
				}
			}
		}
	})
}

func TestAnAnswerThatIsOvertakenByTheNextRequestIsNoRest(t *testing.T) {
	// The client has read the answer and asked again before the goroutine that wrote it got to say so.
	l := &Link{}
	l.note(0, 1)
	answer := l.note(server, 1)
	l.note(0, 1)
	l.handedOn(answer)
	if l.Turn().Answered() {
		t.Error("a request is in flight, and the turn says that none is")
	}
}

func TestFinishLeavesALinkWithWaitingBytes(t *testing.T) {
	a, b := tcpPair(t)
	c, d := tcpPair(t)
	l := NewLink(Plain(b), Plain(c), NewBuffers())
	if _, err := a.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	for !l.client.socket.pending() { // until the kernel has delivered it
	}
	if l.Finish(l.Turn()) {
		t.Fatal("finished a link whose client has sent something")
	}
	buf := make([]byte, 1)
	if _, err := b.Read(buf); err != nil {
		t.Fatal(err)
	}
	l.note(0, 1)
	if l.Finish(0) {
		t.Fatal("finished a link that has moved on")
	}
	if !l.Finish(l.Turn()) || l.Finish(l.Turn()) {
		t.Fatal("not finished exactly once")
	}
	if _, err := d.Read(buf); err == nil {
		t.Fatal("the server end is open")
	}
}

func tcpPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}
