package proxy_test

import (
	"io"
	"net"
	"testing"
)

// The benchmarks run both sidecars, the caller and the application in one process: they are for profiles and for
// comparing changes, not for figures.

const answerSize = 1024

func answering(t testing.TB) net.Addr {
	answer := make([]byte, answerSize)
	return serve(t, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		request := make([]byte, 64)
		for {
			if _, err := io.ReadFull(c, request); err != nil {
				return
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	})
}

func exchange(b *testing.B, c net.Conn, request, answer []byte) bool {
	if _, err := c.Write(request); err != nil {
		b.Error(err)
		return false
	}
	if _, err := io.ReadFull(c, answer); err != nil {
		b.Error(err)
		return false
	}
	return true
}

func BenchmarkKeepAlive(b *testing.B) {
	p := startPair(b, answering(b))
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial("tcp", p.upstream)
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		request, answer := make([]byte, 64), make([]byte, answerSize)
		for pb.Next() {
			if !exchange(b, c, request, answer) {
				return
			}
		}
	})
}

func BenchmarkNewConnection(b *testing.B) {
	p := startPair(b, answering(b))
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		request, answer := make([]byte, 64), make([]byte, answerSize)
		for pb.Next() {
			c, err := net.Dial("tcp", p.upstream)
			if err != nil {
				b.Error(err)
				return
			}
			ok := exchange(b, c, request, answer)
			_ = c.Close()
			if !ok {
				return
			}
		}
	})
}

func BenchmarkBulk(b *testing.B) {
	const size = 100 << 20
	block := make([]byte, 256<<10)
	app := serve(b, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		one := make([]byte, 1)
		for {
			if _, err := io.ReadFull(c, one); err != nil {
				return
			}
			for sent := 0; sent < size; sent += len(block) {
				if _, err := c.Write(block); err != nil {
					return
				}
			}
		}
	})
	p := startPair(b, app)
	c, err := net.Dial("tcp", p.upstream)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	b.SetBytes(size)
	b.ResetTimer()
	for b.Loop() {
		if _, err := c.Write(block[:1]); err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, c, size); err != nil {
			b.Fatal(err)
		}
	}
}
