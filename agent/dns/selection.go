package dns

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/lictor-mesh/lictor/model"
)

// selection is what can be answered of a service's healthy instances: worked out once per change, then shared by
// all queries, which change nothing in it.
type selection struct {
	// v4 and v6 are the distinct addresses for A and AAAA, any those for ANY.
	v4, v6, any []netip.Addr
	// hosts are the distinct names of instances that have no IP address.
	hosts []string
	// targets are the distinct places for SRV: instances that have a port.
	targets []target
}

// target is where an instance listens.
type target struct {
	node *model.Node
	// label is the presentation form of the node's name, "" when that cannot be on the wire.
	label string
	// addr is the instance's address, host its name where it has none.
	addr netip.Addr
	host string
	// own says that the address is the instance's, not its node's.
	own    bool
	port   uint16
	weight uint16
}

// The tags under which an agent notes the addresses of each family.
const (
	tagLAN4 = "lan_ipv4"
	tagLAN6 = "lan_ipv6"
)

// choose selects the instances that have the tag ("" is any) and are healthy: not critical and, with onlyPassing,
// not in warning. It returns nil when there is none.
func choose(instances []model.Instance, tag string, onlyPassing bool) *selection {
	s := &selection{}
	seen := map[targetKey]bool{}
	seen4, seen6, seenAny := map[netip.Addr]bool{}, map[netip.Addr]bool{}, map[netip.Addr]bool{}
	found := false
	for n := range instances {
		i := &instances[n]
		status := i.Status()
		if status != model.StatusPassing && (onlyPassing || status != model.StatusWarning) || !tagged(i.Service, tag) {
			continue
		}
		found = true
		t := targetOf(i, status)
		add(&s.v4, seen4, family(i, tagLAN4), netip.Addr.Is4)
		add(&s.v6, seen6, family(i, tagLAN6), netip.Addr.Is6)
		add(&s.any, seenAny, t.addr, netip.Addr.IsValid)
		if t.host != "" && !slices.Contains(s.hosts, t.host) {
			s.hosts = append(s.hosts, t.host)
		}
		if i.Service.Port < 0 || i.Service.Port > 65535 {
			continue // there is no port to tell of, and another one would be a wrong answer
		}
		if k := (targetKey{model.Fold(i.Node.Node), t.addr, t.host, t.port}); !seen[k] && (t.addr.IsValid() || t.host != "") {
			seen[k] = true
			s.targets = append(s.targets, t)
		}
	}
	if !found {
		return nil
	}
	return s
}

type targetKey struct {
	node string
	addr netip.Addr
	host string
	port uint16
}

func tagged(s *model.Service, tag string) bool {
	return tag == "" || slices.ContainsFunc(s.Tags, func(t string) bool { return strings.EqualFold(t, tag) })
}

func add(list *[]netip.Addr, seen map[netip.Addr]bool, a netip.Addr, fits func(netip.Addr) bool) {
	if a.IsValid() && fits(a) && !seen[a] {
		seen[a] = true
		*list = append(*list, a)
	}
}

// family returns the address of an instance that bears tag, else its plain one, if that is an IP address.
func family(i *model.Instance, tag string) netip.Addr {
	text := i.Service.Address
	if text == "" {
		return nodeFamily(i.Node, tag)
	}
	if t := i.Service.TaggedAddresses[tag].Address; t != "" {
		text = t
	}
	a, _ := parseAddress(text)
	return a
}

// nodeFamily is family for a node.
func nodeFamily(n *model.Node, tag string) netip.Addr {
	text := n.Address
	if t := n.TaggedAddresses[tag]; t != "" {
		text = t
	}
	a, _ := parseAddress(text)
	return a
}

func targetOf(i *model.Instance, status model.Status) target {
	t := target{node: i.Node, own: i.Service.Address != "", port: uint16(i.Service.Port)}
	t.addr, t.host = parseAddress(i.Addr())
	if label := escape(string(i.Node.Node)); packable(dns.Fqdn(label)) {
		t.label = label
	}
	weight := i.Service.Weights.Passing
	if status == model.StatusWarning {
		weight = i.Service.Weights.Warning
	}
	if i.Service.Weights == (model.Weights{}) {
		weight = 1
	}
	t.weight = uint16(min(max(weight, 0), 65535))
	return t
}
