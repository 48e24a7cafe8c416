// Package lossy is an in-memory network for gossip pools in tests. Packets are dropped where the receiver is
// slow, gone or cut off, and at random as told; nobody who sends ever waits for a dead member.
package lossy

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Network connects the transports made from it. Its zero value is not usable; see New.
type Network struct {
	mu    sync.Mutex
	rng   *rand.Rand
	loss  float64
	ports map[string]*Transport
	cut   map[[2]string]bool
	next  int
}

// New makes a network whose losses follow from seed.
func New(seed uint64) *Network {
	return &Network{rng: rand.New(rand.NewPCG(seed, 0)), ports: map[string]*Transport{}, cut: map[[2]string]bool{}, next: 10000}
}

// SetLoss drops that share of packets, between 0 and 1, from now on. Streams are not touched.
func (n *Network) SetLoss(share float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss = share
}

// Cut stops or restores everything between two transports.
func (n *Network) Cut(a, b *Transport, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]string{a.addr, b.addr}], n.cut[[2]string{b.addr, a.addr}] = cut, cut
}

// Transport makes one member's end.
func (n *Network) Transport() *Transport {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.next++
	t := &Transport{
		net: n, port: n.next, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(n.next)),
		packets: make(chan *memberlist.Packet, 256), streams: make(chan net.Conn, 16), done: make(chan struct{}),
	}
	n.ports[t.addr] = t
	return t
}

// route returns who receives at addr from a sender, nil when nobody does.
func (n *Network) route(from *Transport, addr string, packet bool) *Transport {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut[[2]string{from.addr, addr}] || packet && n.loss > 0 && n.rng.Float64() < n.loss {
		return nil
	}
	return n.ports[addr]
}

// Transport is a memberlist.Transport in memory.
type Transport struct {
	net     *Network
	port    int
	addr    string
	packets chan *memberlist.Packet
	streams chan net.Conn
	done    chan struct{}
	once    sync.Once
}

var _ memberlist.NodeAwareTransport = (*Transport)(nil)

// Addr is where the others join this one.
func (t *Transport) Addr() string { return t.addr }

// FinalAdvertiseAddr implements memberlist.Transport.
func (t *Transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return net.IPv4(127, 0, 0, 1).To4(), t.port, nil
}

// WriteTo implements memberlist.Transport; a lost packet is no error.
func (t *Transport) WriteTo(b []byte, addr string) (time.Time, error) {
	now := time.Now()
	if to := t.net.route(t, addr, true); to != nil {
		p := &memberlist.Packet{Buf: append([]byte(nil), b...), From: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: t.port}, Timestamp: now}
		select {
		case to.packets <- p:
		default:
		}
	}
	return now, nil
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (t *Transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, a.Addr)
}

// PacketCh implements memberlist.Transport.
func (t *Transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// DialTimeout implements memberlist.Transport. A stream is whole or refused at once.
func (t *Transport) DialTimeout(addr string, _ time.Duration) (net.Conn, error) {
	to := t.net.route(t, addr, false)
	if to == nil {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	select {
	case to.streams <- far:
		return near, nil
	case <-to.done:
	default:
	}
	_, _ = near.Close(), far.Close()
	return nil, errors.New("connection refused")
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *Transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(a.Addr, timeout)
}

// StreamCh implements memberlist.Transport.
func (t *Transport) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown implements memberlist.Transport: packets to it are lost from now on.
func (t *Transport) Shutdown() error {
	t.once.Do(func() {
		t.net.mu.Lock()
		delete(t.net.ports, t.addr)
		t.net.mu.Unlock()
		close(t.done)
	})
	return nil
}
