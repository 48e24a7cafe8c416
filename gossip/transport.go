package gossip

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-sockaddr"
	"github.com/hashicorp/memberlist"

	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/netlimit"
)

// sockets is a memberlist transport on one TCP and one UDP port, whose connections are accepted under
// limits. memberlist's own accepts without any.
type sockets struct {
	tcp     *netlimit.Listener
	udp     *net.UDPConn
	bound   net.IP
	packets chan *memberlist.Packet
	streams chan net.Conn
	done    chan struct{}
	once    sync.Once
	loops   sync.WaitGroup
	log     hclog.Logger
}

var _ memberlist.NodeAwareTransport = (*sockets)(nil)

const (
	// maxStreams and maxStreamsPerIP bound the state exchanges that run at once; memberlist gives each a deadline.
	maxStreams      = 1024
	maxStreamsPerIP = 64
	firstByte       = 5 * time.Second
	// maxPacket is the largest UDP payload.
	maxPacket = 65536
	// udpBuffer is asked of the kernel so that a burst is not lost; it may give less.
	udpBuffer = 2 << 20
)

func listen(cfg *Config) (*sockets, error) {
	ip := net.ParseIP(cfg.BindAddr)
	if cfg.BindAddr == "" {
		ip = net.IPv4zero
	}
	tcp, udp, err := listenBoth(ip, cfg.BindPort)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "%s gossip cannot listen: %v", cfg.Kind, err).
			WithHint("is another agent running here? ports.serf_%s and bind_addr set the address", cfg.Kind)
	}
	_ = udp.SetReadBuffer(udpBuffer)
	t := &sockets{
		tcp: netlimit.Wrap(tcp, netlimit.Config{
			Name: "serf_" + cfg.Kind.String(), Logger: cfg.Logger,
			Limits: netlimit.Limits{Total: maxStreams, PerIP: maxStreamsPerIP, FirstByte: firstByte},
		}),
		udp: udp, bound: ip, log: cfg.Logger,
		packets: make(chan *memberlist.Packet, 64), streams: make(chan net.Conn), done: make(chan struct{}),
	}
	t.loops.Add(2)
	go t.acceptLoop()
	go t.packetLoop()
	return t, nil
}

// listenBoth takes the same port for TCP and UDP. A free TCP port may be taken for UDP, so port 0 tries a few.
func listenBoth(ip net.IP, port int) (net.Listener, *net.UDPConn, error) {
	for try := 0; ; try++ {
		tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip, Port: port})
		if err != nil {
			return nil, nil, err
		}
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: tcp.Addr().(*net.TCPAddr).Port})
		if err == nil {
			return tcp, udp, nil
		}
		_ = tcp.Close()
		if port != 0 || try == 9 {
			return nil, nil, err
		}
	}
}

func (t *sockets) port() int { return t.udp.LocalAddr().(*net.UDPAddr).Port }

func (t *sockets) acceptLoop() {
	defer t.loops.Done()
	for {
		c, err := t.tcp.Accept()
		if err != nil {
			return // the wrapper ends only when it was closed
		}
		select {
		case t.streams <- c:
		case <-t.done:
			_ = c.Close()
			return
		}
	}
}

func (t *sockets) packetLoop() {
	defer t.loops.Done()
	buf := make([]byte, maxPacket)
	for {
		n, from, err := t.udp.ReadFromUDPAddrPort(buf)
		at := time.Now()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			t.log.Debug("reading a gossip packet failed", "error", err)
			select { // an ICMP answer is one error; anything lasting must not spin
			case <-time.After(time.Millisecond):
				continue
			case <-t.done:
				return
			}
		}
		if n == 0 {
			continue
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		p := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: net.UDPAddrFromAddrPort(from), Timestamp: at}
		select {
		case t.packets <- p:
		case <-t.done:
			return
		}
	}
}

// FinalAdvertiseAddr implements memberlist.Transport: the configured address, or the bound one, or for a
// wildcard this host's one private address.
func (t *sockets) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	if ip != "" {
		addr := net.ParseIP(ip)
		if addr == nil {
			return nil, 0, fault.New(fault.Invalid, "advertise address %q is no IP address", ip)
		}
		return shortest(addr), port, nil
	}
	if !t.bound.IsUnspecified() {
		return shortest(t.bound), port, nil
	}
	private, err := sockaddr.GetPrivateIP()
	if err != nil || private == "" {
		return nil, 0, fault.New(fault.Invalid, "no private IP address found to advertise").
			WithHint("set advertise_addr, or bind_addr to one address")
	}
	return shortest(net.ParseIP(private)), port, nil
}

func shortest(ip net.IP) net.IP {
	if v4 := ip.To4(); v4 != nil {
		return v4
	}
	return ip
}

// WriteTo implements memberlist.Transport.
func (t *sockets) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		resolved, err := net.ResolveUDPAddr("udp", addr)
		if err != nil {
			return time.Time{}, err
		}
		to = resolved.AddrPort()
	}
	_, err = t.udp.WriteToUDPAddrPort(b, to)
	return time.Now(), err
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (t *sockets) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, a.Addr)
}

// PacketCh implements memberlist.Transport.
func (t *sockets) PacketCh() <-chan *memberlist.Packet { return t.packets }

// DialTimeout implements memberlist.Transport.
func (t *sockets) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", addr, timeout)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *sockets) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(a.Addr, timeout)
}

// StreamCh implements memberlist.Transport.
func (t *sockets) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown implements memberlist.Transport. It waits for both loops.
func (t *sockets) Shutdown() error {
	var err error
	t.once.Do(func() {
		close(t.done)
		err = errors.Join(t.tcp.Close(), t.udp.Close())
	})
	t.loops.Wait()
	return err
}
