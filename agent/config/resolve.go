package config

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/lictor-mesh/lictor/model"
)

// resolve fills what depends on the host and on other options.
func (b *builder) resolve(host Host) error {
	if err := b.resolveNode(host); err != nil {
		return err
	}
	for _, step := range []func(Host) error{b.resolveBind, b.resolveAdvertise, b.resolveListeners, b.resolveNetworks} {
		if err := step(host); err != nil {
			return err
		}
	}
	return b.resolveCA()
}

func (b *builder) resolveNode(host Host) error {
	c := b.c
	if c.NodeName == "" && !b.set["node_name"] {
		name, err := host.Hostname()
		if err != nil {
			return invalid("the host name cannot be read (%v); set node_name", err)
		}
		c.NodeName = model.NodeName(name)
	}
	c.NodeID = model.NodeID(strings.ToLower(string(c.NodeID)))
	c.Datacenter = strings.ToLower(c.Datacenter)
	c.PrimaryDatacenter = strings.ToLower(c.PrimaryDatacenter)
	if c.PrimaryDatacenter == "" {
		c.PrimaryDatacenter = c.Datacenter
	}
	c.DNS.Domain, c.DNS.AltDomain = zone(c.DNS.Domain), zone(c.DNS.AltDomain)
	c.Log.Level = strings.ToUpper(c.Log.Level)
	if c.Log.Level == "ERR" {
		c.Log.Level = "ERROR"
	}
	c.LeaveOnTerminate, c.SkipLeaveOnInterrupt = !c.Server, c.Server
	if set := c.raw.leaveOnTerminate; set != nil {
		c.LeaveOnTerminate = *set
	}
	if set := c.raw.skipLeaveOnInterrupt; set != nil {
		c.SkipLeaveOnInterrupt = *set
	}
	c.ACL.RoleTTL = c.ACL.PolicyTTL
	if set := c.raw.aclRoleTTL; set != nil {
		c.ACL.RoleTTL = *set
	}
	switch port := c.raw.grpcTLSPort; {
	case port != nil:
		c.Ports.GRPCTLS = *port
	case c.Server:
		c.Ports.GRPCTLS = 8503
	default:
		c.Ports.GRPCTLS = -1
	}
	return nil
}

// zone is a domain with one dot at its end, in lower case; "" stays.
func zone(domain string) string {
	domain = strings.ToLower(strings.Trim(domain, "."))
	if domain == "" {
		return ""
	}
	return domain + "."
}

// words expands a template and splits what came out.
func words(host Host, key, text string) ([]string, error) {
	if strings.Contains(text, "{{") {
		expanded, err := host.Expand(text)
		if err != nil {
			return nil, invalid("%s: the template %q cannot be evaluated: %v", key, text, err)
		}
		if strings.TrimSpace(expanded) == "" {
			return nil, invalid("%s: the template %q gives no address on this host", key, text)
		}
		text = expanded
	}
	return strings.Fields(text), nil
}

// address is the one IP address that an option holds; the zero Addr when it is empty.
func address(host Host, key, text string) (netip.Addr, error) {
	all, err := words(host, key, text)
	if err != nil || len(all) == 0 {
		return netip.Addr{}, err
	}
	if len(all) > 1 {
		return netip.Addr{}, invalid("%s: %q gives %d addresses; name one", key, text, len(all))
	}
	ip, err := netip.ParseAddr(strings.Trim(all[0], "[]"))
	if err != nil {
		return netip.Addr{}, invalid("%s: %q is not an IP address", key, all[0])
	}
	return ip.Unmap(), nil
}

func (b *builder) resolveBind(host Host) (err error) {
	c := b.c
	if c.BindAddr, err = address(host, "bind_addr", c.raw.bind); err != nil {
		return err
	}
	if !c.BindAddr.IsValid() {
		return invalid("bind_addr cannot be empty; name an address, or leave the key out for 0.0.0.0")
	}
	for _, row := range []struct {
		key, text string
		port      int
		into      *netip.AddrPort
	}{
		{"serf_lan", c.raw.serfLAN, c.Ports.SerfLAN, &c.SerfBindLAN},
		{"serf_wan", c.raw.serfWAN, c.Ports.SerfWAN, &c.SerfBindWAN},
		{"bind_addr", "", c.Ports.Server, &c.RPCBind},
	} {
		ip, err := address(host, row.key, row.text)
		if err != nil {
			return err
		}
		if !ip.IsValid() {
			ip = c.BindAddr
		}
		if row.port > 0 && row.port <= maxPort {
			*row.into = netip.AddrPortFrom(ip, uint16(row.port))
		}
	}
	if !c.Server {
		c.SerfBindWAN, c.RPCBind = netip.AddrPort{}, netip.AddrPort{}
	}
	return nil
}

func (b *builder) resolveAdvertise(host Host) (err error) {
	c := b.c
	parsed := map[string]netip.Addr{}
	for _, row := range [...][2]string{
		{"advertise_addr", c.raw.advertise}, {"advertise_addr_ipv4", c.raw.advertiseIPv4}, {"advertise_addr_ipv6", c.raw.advertiseIPv6},
		{"advertise_addr_wan", c.raw.advertiseWAN}, {"advertise_addr_wan_ipv4", c.raw.advertiseWAN4}, {"advertise_addr_wan_ipv6", c.raw.advertiseWAN6},
	} {
		if parsed[row[0]], err = advertised(host, row[0], row[1]); err != nil {
			return err
		}
	}
	c.AdvertiseAddr = first(parsed["advertise_addr"], parsed["advertise_addr_ipv4"], parsed["advertise_addr_ipv6"])
	if !c.AdvertiseAddr.IsValid() {
		if c.AdvertiseAddr, err = ownAddress(host, c.BindAddr); err != nil {
			return err
		}
	}
	c.AdvertiseAddrWAN = first(parsed["advertise_addr_wan"], parsed["advertise_addr_wan_ipv4"], parsed["advertise_addr_wan_ipv6"], c.AdvertiseAddr)

	c.TaggedAddresses = map[string]string{"lan": c.AdvertiseAddr.String(), "wan": c.AdvertiseAddrWAN.String()}
	tag := func(name string, candidates ...netip.Addr) {
		for _, ip := range candidates {
			if ip.IsValid() && ip.Is4() == strings.HasSuffix(name, "4") {
				c.TaggedAddresses[name] = ip.String()
				return
			}
		}
	}
	tag("lan_ipv4", parsed["advertise_addr_ipv4"], c.AdvertiseAddr)
	tag("lan_ipv6", parsed["advertise_addr_ipv6"], c.AdvertiseAddr)
	tag("wan_ipv4", parsed["advertise_addr_wan_ipv4"], c.AdvertiseAddrWAN)
	tag("wan_ipv6", parsed["advertise_addr_wan_ipv6"], c.AdvertiseAddrWAN)
	for name, text := range c.raw.taggedAddresses {
		ip, err := address(host, "tagged_addresses."+name, text)
		if err != nil {
			return err
		}
		c.TaggedAddresses[name] = ip.String()
	}
	return nil
}

// advertised is an address that others can reach; the zero Addr when the option is empty.
func advertised(host Host, key, text string) (netip.Addr, error) {
	ip, err := address(host, key, text)
	switch {
	case err != nil || !ip.IsValid():
		return netip.Addr{}, err
	case ip.IsUnspecified():
		return netip.Addr{}, invalid("%s cannot be %s; name an address that others can reach", key, ip)
	case strings.HasSuffix(key, "_ipv4") && ip.Is6() || strings.HasSuffix(key, "_ipv6") && ip.Is4():
		return netip.Addr{}, invalid("%s: %s is of the other family", key, ip)
	}
	return ip, nil
}

func first(addrs ...netip.Addr) netip.Addr {
	for _, a := range addrs {
		if a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

// ownAddress is what to advertise when bind is all that is known: bind itself, or the host's only candidate.
func ownAddress(host Host, bind netip.Addr) (netip.Addr, error) {
	if !bind.IsUnspecified() {
		return bind, nil
	}
	kind, list := "private IPv4", host.PrivateIPv4
	if bind.Is6() {
		kind, list = "public IPv6", host.PublicIPv6
	}
	found, err := list()
	if err != nil {
		return netip.Addr{}, invalid("the addresses of this host cannot be read (%v); set advertise_addr", err)
	}
	switch len(found) {
	case 0:
		return netip.Addr{}, invalid("No %s address found. Please configure one with 'bind' and/or 'advertise'.", kind)
	case 1:
		return found[0], nil
	}
	return netip.Addr{}, invalid("Multiple %s addresses found. Please configure one with 'bind' and/or 'advertise'.", kind).
		WithHint("found %v", found)
}

func (b *builder) resolveListeners(host Host) error {
	c := b.c
	clients, err := words(host, "client_addr", c.raw.client)
	if err != nil {
		return err
	}
	if len(clients) == 0 {
		return invalid("client_addr cannot be empty; name an address, or leave the key out for 127.0.0.1")
	}
	c.ClientAddrs = clients
	for _, row := range []struct {
		key, text string
		port      int
		into      *[]Listen
	}{
		{"dns", c.raw.dns, c.Ports.DNS, &c.DNSAddrs},
		{"http", c.raw.http, c.Ports.HTTP, &c.HTTPAddrs},
		{"https", c.raw.https, c.Ports.HTTPS, &c.HTTPSAddrs},
		{"grpc", c.raw.grpc, c.Ports.GRPC, &c.GRPCAddrs},
		{"grpc_tls", c.raw.grpcTLS, c.Ports.GRPCTLS, &c.GRPCTLSAddrs},
	} {
		if row.port <= 0 {
			continue
		}
		if row.port > maxPort {
			return invalid("ports.%s: %d is not a port; use 1 to %d, or -1 to turn it off", row.key, row.port, maxPort)
		}
		key, addrs := "client_addr", clients
		if row.text != "" {
			key = "addresses." + row.key
			if addrs, err = words(host, key, row.text); err != nil {
				return err
			}
		}
		if *row.into, err = listens(key, row.key, addrs, row.port); err != nil {
			return err
		}
	}
	return nil
}

func listens(key, listener string, addrs []string, port int) ([]Listen, error) {
	var out []Listen
	for _, text := range addrs {
		if path, ok := strings.CutPrefix(text, "unix://"); ok {
			if listener == "dns" {
				return nil, invalid("%s: DNS address cannot be a unix socket; name an IP address in addresses.dns", key)
			}
			out = append(out, Listen{Network: "unix", Address: path})
			continue
		}
		ip, err := netip.ParseAddr(strings.Trim(text, "[]"))
		if err != nil {
			return nil, invalid("%s: %q is neither an IP address nor a unix:// socket", key, text)
		}
		out = append(out, Listen{Network: "tcp", Address: netip.AddrPortFrom(ip.Unmap(), uint16(port)).String()})
	}
	return out, nil
}

func (b *builder) resolveNetworks(Host) error {
	for _, text := range b.c.raw.allowWriteFrom {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return invalid("http_config.allow_write_http_from: %q is not a network like 10.0.0.0/8", text)
		}
		b.c.HTTP.AllowWriteFrom = append(b.c.HTTP.AllowWriteFrom, prefix.Masked())
	}
	return nil
}

// checkClashes refuses two listeners on one port of one address.
func (b *builder) checkClashes() error {
	c := b.c
	type taken struct {
		name string
		at   netip.AddrPort
	}
	var used []taken
	sockets := map[string]string{}
	use := func(name string, at netip.AddrPort) error {
		if !at.IsValid() {
			return nil
		}
		for _, other := range used {
			overlap := other.at.Addr() == at.Addr() || other.at.Addr().IsUnspecified() || at.Addr().IsUnspecified()
			if other.at.Port() == at.Port() && overlap {
				return invalid("%s address %s already configured for %s", name, at, other.name).WithHint("give one of them another port in ports")
			}
		}
		used = append(used, taken{name, at})
		return nil
	}
	for _, row := range []struct {
		name  string
		addrs []Listen
	}{{"DNS", c.DNSAddrs}, {"HTTP", c.HTTPAddrs}, {"HTTPS", c.HTTPSAddrs}, {"gRPC", c.GRPCAddrs}, {"gRPC TLS", c.GRPCTLSAddrs}} {
		for _, l := range row.addrs {
			if l.Network == "unix" {
				if other := sockets[l.Address]; other != "" {
					return invalid("%s address %s already configured for %s", row.name, l, other)
				}
				sockets[l.Address] = row.name
				continue
			}
			at, err := netip.ParseAddrPort(l.Address)
			if err != nil {
				return fmt.Errorf("config: %w", err)
			}
			if err := use(row.name, at); err != nil {
				return err
			}
		}
	}
	for _, row := range []struct {
		name string
		at   netip.AddrPort
	}{{"RPC", c.RPCBind}, {"Serf LAN", c.SerfBindLAN}, {"Serf WAN", c.SerfBindWAN}} {
		if err := use(row.name, row.at); err != nil {
			return err
		}
	}
	return nil
}

const maxPort = 65535
