package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
)

// The load: each socket sends a window of queries in one system call and reads until all are answered.
const (
	dnsSockets  = 4
	dnsWindow   = 64
	dnsPatience = 200 * time.Millisecond
)

// dnsOutcome is what a load of queries came to.
type dnsOutcome struct {
	answers, lost int
	took, cpu     time.Duration
}

// dnsOnce checks one answer whole.
func dnsOnce(addr, name string, records int) error {
	m := new(dns.Msg).SetQuestion(name, dns.TypeA)
	c := dns.Client{Timeout: time.Second}
	answer, _, err := c.Exchange(m, addr)
	if err != nil {
		return err
	}
	if answer.Rcode != dns.RcodeSuccess || len(answer.Answer) != records {
		return fmt.Errorf("%s with %d records, not %d", dns.RcodeToString[answer.Rcode], len(answer.Answer), records)
	}
	return nil
}

// dnsLoad sends queries for a span.
func dnsLoad(ctx context.Context, r *rig, s *resolver) (*dnsOutcome, error) {
	query, err := new(dns.Msg).SetQuestion(dnsName, dns.TypeA).Pack()
	if err != nil {
		return nil, err
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		total dnsOutcome
		first error
	)
	before, err := cpuOf(s.process)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	for range dnsSockets {
		wg.Go(func() {
			answers, lost, err := dnsWorker(ctx, s.addr, query, began.Add(r.span))
			mu.Lock()
			defer mu.Unlock()
			total.answers += answers
			total.lost += lost
			if first == nil {
				first = err
			}
		})
	}
	wg.Wait()
	total.took = time.Since(began)
	after, err := cpuOf(s.process)
	total.cpu = after - before
	if first == nil {
		first = err
	}
	if first == nil && total.answers == 0 {
		first = errors.New("no query was answered")
	}
	return &total, first
}

// dnsWorker is one socket until the deadline.
func dnsWorker(ctx context.Context, addr string, query []byte, deadline time.Time) (answers, lost int, err error) {
	conn, err := net.Dial("udp", addr)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = conn.Close() }()
	batch := ipv4.NewPacketConn(conn.(*net.UDPConn))
	out, in := make([]ipv4.Message, dnsWindow), make([]ipv4.Message, dnsWindow)
	for i := range dnsWindow {
		out[i].Buffers = [][]byte{append([]byte(nil), query...)}
		in[i].Buffers = [][]byte{make([]byte, 1500)}
	}
	for id := uint16(0); time.Now().Before(deadline) && ctx.Err() == nil; id += dnsWindow {
		for i := range out {
			binary.BigEndian.PutUint16(out[i].Buffers[0], id+uint16(i))
		}
		for sent := 0; sent < len(out); {
			n, err := batch.WriteBatch(out[sent:], 0)
			if err != nil {
				return answers, lost, err
			}
			sent += n
		}
		got, err := dnsWindowOf(conn, batch, in, id)
		answers, lost = answers+got, lost+dnsWindow-got
		if err != nil {
			return answers, lost, err
		}
	}
	return answers, lost, nil
}

// dnsWindowOf reads the answers to the window that begins at id; one of an earlier window does not count.
func dnsWindowOf(conn net.Conn, batch *ipv4.PacketConn, in []ipv4.Message, id uint16) (got int, err error) {
	if err := conn.SetReadDeadline(time.Now().Add(dnsPatience)); err != nil {
		return 0, err
	}
	for got < dnsWindow {
		n, err := batch.ReadBatch(in, 0)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		for _, m := range in[:n] {
			answer := m.Buffers[0][:m.N]
			if len(answer) < 12 || binary.BigEndian.Uint16(answer)-id >= dnsWindow {
				continue
			}
			if code := answer[3] & 0xf; code != dns.RcodeSuccess || binary.BigEndian.Uint16(answer[6:]) == 0 {
				return got, fmt.Errorf("an answer has %s and %d records", dns.RcodeToString[int(code)], binary.BigEndian.Uint16(answer[6:]))
			}
			got++
		}
	}
	return got, nil
}
