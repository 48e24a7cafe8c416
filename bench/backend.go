package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"sync"
)

// The sizes of the application's answers.
const (
	answerSize = 1 << 10
	bulkSize   = 100 << 20
	bulkPath   = "/bulk"
)

// backend is the application behind the proxies: as little HTTP/1.1 as the load generator speaks, so that the figures
// are the proxies'.
type backend struct {
	l     net.Listener
	mu    sync.Mutex
	conns map[net.Conn]bool
}

// newBackend serves on a free port of loopback until the contenders are closed.
func newBackend(r *rig) (*backend, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{l: l, conns: map[net.Conn]bool{}}
	r.onClose(b.close)
	go b.serve()
	return b, nil
}

func (b *backend) addr() string { return b.l.Addr().String() }

func (b *backend) close() {
	_ = b.l.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		_ = c.Close()
	}
}

func (b *backend) serve() {
	small := answer(answerSize)
	for {
		c, err := b.l.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		b.conns[c] = true
		b.mu.Unlock()
		go func() {
			serveConn(c, small)
			_ = c.Close()
			b.mu.Lock()
			delete(b.conns, c)
			b.mu.Unlock()
		}()
	}
}

// answer is a whole response with a body of n bytes.
func answer(n int) []byte {
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", n)
	return append([]byte(head), bytes.Repeat([]byte{'x'}, n)...)
}

// serveConn answers requests without bodies until the caller goes.
func serveConn(c net.Conn, small []byte) {
	in := bufio.NewReaderSize(c, 1<<10)
	for {
		bulk, err := readRequest(in)
		if err != nil {
			return
		}
		if bulk {
			err = writeBulk(c)
		} else {
			_, err = c.Write(small)
		}
		if err != nil {
			return
		}
	}
}

func readRequest(in *bufio.Reader) (bulk bool, err error) {
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return false, err
		}
		if first {
			bulk = bytes.Contains(line, []byte(bulkPath))
		}
		if len(bytes.TrimSpace(line)) == 0 {
			return bulk, nil
		}
	}
}

func writeBulk(c net.Conn) error {
	if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", bulkSize); err != nil {
		return err
	}
	chunk := make([]byte, 256<<10)
	for sent := 0; sent < bulkSize; sent += len(chunk) {
		if _, err := c.Write(chunk[:min(len(chunk), bulkSize-sent)]); err != nil {
			return err
		}
	}
	return nil
}
