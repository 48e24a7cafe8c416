package config

import (
	"slices"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

func nodeOptions() []Option {
	return []Option{
		live("node_name", "", "Name of this host in the catalog; default the host name", func(c *Config) *model.NodeName { return &c.NodeName }).flag("node").shown("NodeName"),
		live("node_id", "", "UUID of this host; default a random one, kept in data_dir", func(c *Config) *model.NodeID { return &c.NodeID }).flag("node-id").shown("NodeID"),
		live("disable_host_node_id", "true", "Make a random node id instead of one derived from the host", func(c *Config) *bool { return &c.DisableHostNodeID }).flag("disable-host-node-id").shown("DisableHostNodeID").effect(Moot),
		live("node_meta", "", "Metadata of this host, as key:value", func(c *Config) *map[string]string { return &c.NodeMeta }).flag("node-meta").reload().shown("NodeMeta"),
		live("data_dir", "", "Directory for everything that must survive a restart; required without -dev", func(c *Config) *string { return &c.DataDir }).flag("data-dir").shown("DataDir"),
		live("datacenter", "dc1", "Datacenter of this agent", func(c *Config) *string { return &c.Datacenter }).flag("datacenter").shown("Datacenter"),
		live("primary_datacenter", "", "Datacenter that owns ACLs, the authority and intentions; default this one", func(c *Config) *string { return &c.PrimaryDatacenter }).shown("PrimaryDatacenter"),
		live("server", "false", "Run a server: keep the catalog under Raft", func(c *Config) *bool { return &c.Server }).flag("server").shown("ServerMode"),
		live("bootstrap", "false", "Elect this server by itself", func(c *Config) *bool { return &c.Bootstrap }).flag("bootstrap").shown("Bootstrap"),
		live("bootstrap_expect", "0", "Number of servers to wait for before the first election", func(c *Config) *int { return &c.BootstrapExpect }).flag("bootstrap-expect").shown("BootstrapExpect"),
		live("bind_addr", "0.0.0.0", "Address that the servers' RPC and gossip listen on", func(c *Config) *string { return &c.raw.bind }).flag("bind"),
		live("client_addr", "127.0.0.1", "Addresses that HTTP, gRPC and DNS listen on, separated by spaces", func(c *Config) *string { return &c.raw.client }).flag("client"),
		live("advertise_addr", "", "Address that others reach this agent by; default the bind address or the one private IPv4", func(c *Config) *string { return &c.raw.advertise }).flag("advertise"),
		live("advertise_addr_ipv4", "", "IPv4 address to advertise", func(c *Config) *string { return &c.raw.advertiseIPv4 }),
		live("advertise_addr_ipv6", "", "IPv6 address to advertise", func(c *Config) *string { return &c.raw.advertiseIPv6 }),
		live("advertise_addr_wan", "", "Address that other datacenters reach this agent by; default advertise_addr", func(c *Config) *string { return &c.raw.advertiseWAN }).flag("advertise-wan"),
		live("advertise_addr_wan_ipv4", "", "IPv4 address to advertise to other datacenters", func(c *Config) *string { return &c.raw.advertiseWAN4 }),
		live("advertise_addr_wan_ipv6", "", "IPv6 address to advertise to other datacenters", func(c *Config) *string { return &c.raw.advertiseWAN6 }),
		live("addresses.dns", "", "Addresses of the DNS server; default client_addr", func(c *Config) *string { return &c.raw.dns }),
		live("addresses.http", "", "Addresses of the HTTP API, unix:// too; default client_addr", func(c *Config) *string { return &c.raw.http }),
		live("addresses.https", "", "Addresses of the HTTPS API, unix:// too; default client_addr", func(c *Config) *string { return &c.raw.https }).effect(Pending),
		live("addresses.grpc", "", "Addresses of plaintext xDS, unix:// too; default client_addr", func(c *Config) *string { return &c.raw.grpc }),
		live("addresses.grpc_tls", "", "Addresses of xDS over TLS, unix:// too; default client_addr", func(c *Config) *string { return &c.raw.grpcTLS }).effect(Pending),
		live("serf_lan", "", "Address that the LAN gossip pool listens on; default bind_addr", func(c *Config) *string { return &c.raw.serfLAN }).flag("serf-lan-bind"),
		live("serf_wan", "", "Address that the WAN gossip pool listens on; default bind_addr", func(c *Config) *string { return &c.raw.serfWAN }).flag("serf-wan-bind").effect(Pending),
		live("tagged_addresses", "", "Further addresses of this host by tag", func(c *Config) *map[string]string { return &c.raw.taggedAddresses }),
		live("translate_wan_addrs", "false", "Answer questions about other datacenters with wan addresses", func(c *Config) *bool { return &c.TranslateWANAddrs }).shown("TranslateWANAddrs"),
		live("locality.region", "", "Region of this host", func(c *Config) *string { return &c.Locality.Region }),
		live("locality.zone", "", "Zone of this host", func(c *Config) *string { return &c.Locality.Zone }),
		live("leave_on_terminate", "", "Leave the cluster on SIGTERM; default true for clients, false for servers", func(c *Config) **bool { return &c.raw.leaveOnTerminate }),
		live("skip_leave_on_interrupt", "", "Do not leave the cluster on SIGINT; default false for clients, true for servers", func(c *Config) **bool { return &c.raw.skipLeaveOnInterrupt }),
		live("pid_file", "", "File to write the process id to", func(c *Config) *string { return &c.PidFile }).flag("pid-file").shown("PidFile"),
		pending[int]("protocol", "2", "Version of the gossip protocol").flag("protocol").effect(Moot),
		live("raft_protocol", "3", "Version of the Raft protocol; only 3 exists", func(c *Config) *int { return &c.raw.raftProtocol }).flag("raft-protocol").effect(Moot),
		pending[string]("unix_sockets.user", "", "Owner of unix sockets"),
		pending[string]("unix_sockets.group", "", "Group of unix sockets"),
		pending[string]("unix_sockets.mode", "", "Mode of unix sockets, in octal"),
	}
}

func portOptions() []Option {
	return []Option{
		live("ports.dns", "8600", "DNS, UDP and TCP", func(c *Config) *int { return &c.Ports.DNS }).flag("dns-port").shown("DNSPort"),
		live("ports.http", "8500", "HTTP API", func(c *Config) *int { return &c.Ports.HTTP }).flag("http-port").shown("HTTPPort"),
		live("ports.https", "-1", "HTTPS API; conventionally 8501", func(c *Config) *int { return &c.Ports.HTTPS }).flag("https-port").shown("HTTPSPort").effect(Pending),
		live("ports.grpc", "8502", "xDS for proxies, plaintext; on by default, -1 turns it off", func(c *Config) *int { return &c.Ports.GRPC }).flag("grpc-port").shown("GRPCPort"),
		live("ports.grpc_tls", "", "xDS and server gRPC over TLS; default 8503 on servers, else off", func(c *Config) **int { return &c.raw.grpcTLSPort }).flag("grpc-tls-port").effect(Pending),
		live("ports.server", "8300", "RPC and Raft between agents and servers", func(c *Config) *int { return &c.Ports.Server }).flag("server-port").shown("ServerPort"),
		live("ports.serf_lan", "8301", "LAN gossip", func(c *Config) *int { return &c.Ports.SerfLAN }).flag("serf-lan-port").shown("SerfPortLAN"),
		live("ports.serf_wan", "8302", "WAN gossip; -1 turns it off", func(c *Config) *int { return &c.Ports.SerfWAN }).flag("serf-wan-port").shown("SerfPortWAN"),
		live("ports.sidecar_min_port", "21000", "First port for sidecars that name none", func(c *Config) *int { return &c.Ports.SidecarMin }).shown("ConnectSidecarMinPort"),
		live("ports.sidecar_max_port", "21255", "Last port for sidecars that name none", func(c *Config) *int { return &c.Ports.SidecarMax }).shown("ConnectSidecarMaxPort"),
		live("ports.expose_min_port", "21500", "First port for exposed checks", func(c *Config) *int { return &c.Ports.ExposeMin }).shown("ExposeMinPort"),
		live("ports.expose_max_port", "21755", "Last port for exposed checks", func(c *Config) *int { return &c.Ports.ExposeMax }).shown("ExposeMaxPort"),
		pending[int]("ports.proxy_min_port", "20000", "Unused, as in Consul"),
		pending[int]("ports.proxy_max_port", "20255", "Unused, as in Consul"),
	}
}

func gossipOptions() []Option {
	return slices.Concat([]Option{
		live("retry_join", "", "Agents to join through, tried until one answers", func(c *Config) *[]string { return &c.RetryJoin }).flag("retry-join").shown("RetryJoinLAN"),
		live("retry_interval", "30s", "Time between tries to join", func(c *Config) *time.Duration { return &c.RetryInterval }).flag("retry-interval").shown("RetryJoinIntervalLAN"),
		live("retry_max", "0", "Tries to join before the agent gives up and exits 1; 0 is for ever", func(c *Config) *int { return &c.RetryMax }).flag("retry-max").shown("RetryJoinMaxAttemptsLAN"),
		live("retry_join_wan", "", "Servers of other datacenters to join through", func(c *Config) *[]string { return &c.RetryJoinWAN }).flag("retry-join-wan").shown("RetryJoinWAN").effect(Pending),
		live("retry_interval_wan", "30s", "Time between tries to join other datacenters", func(c *Config) *time.Duration { return &c.RetryIntervalWAN }).flag("retry-interval-wan").shown("RetryJoinIntervalWAN").effect(Pending),
		live("retry_max_wan", "0", "Tries to join other datacenters before the agent exits 1; 0 is for ever", func(c *Config) *int { return &c.RetryMaxWAN }).flag("retry-max-wan").shown("RetryJoinMaxAttemptsWAN").effect(Pending),
		live("rejoin_after_leave", "false", "Join the known members again after having left", func(c *Config) *bool { return &c.RejoinAfterLeave }).flag("rejoin").shown("RejoinAfterLeave"),
		live("encrypt", "", "Gossip key: 16, 24 or 32 bytes in base64", func(c *Config) *model.Secret { return &c.EncryptKey }).flag("encrypt").shown("EncryptKey"),
		live("disable_keyring_file", "false", "Do not keep gossip keys in data_dir", func(c *Config) *bool { return &c.DisableKeyringFile }).flag("disable-keyring-file").shown("DisableKeyringFile"),
		live("reconnect_timeout", "72h", "Time after which a failed member is forgotten", func(c *Config) *time.Duration { return &c.ReconnectTimeout }).effect(Pending),
		pending[time.Duration]("reconnect_timeout_wan", "72h", "Time after which a failed server of another datacenter is forgotten"),
		pending[time.Duration]("advertise_reconnect_timeout", "", "Time after which the others forget this client"),
		pending[time.Duration]("server_rejoin_age_max", "168h", "Time of absence after which a server refuses to rejoin"),
		pending[bool]("encrypt_verify_incoming", "true", "Refuse gossip that is not encrypted"),
		pending[bool]("encrypt_verify_outgoing", "true", "Send gossip encrypted only"),
		pending[[]string]("serf_lan_allowed_cidrs", "", "Networks whose hosts may join the LAN pool").flag("serf-lan-allowed-cidrs"),
		pending[[]string]("serf_wan_allowed_cidrs", "", "Networks whose hosts may join the WAN pool").flag("serf-wan-allowed-cidrs"),
		pending[[]string]("primary_gateways", "", "Mesh gateways of the primary datacenter").flag("primary-gateway"),
		pending[time.Duration]("primary_gateways_interval", "30s", "Time between tries to reach the primary gateways"),
		pending[bool]("disable_coordinates", "false", "Do not estimate round trip times"),
	}, poolOptions("gossip_lan", [...]string{"200ms", "3", "1s", "500ms", "4", "4"}, "GossipLAN", func(c *Config) *Gossip { return &c.GossipLAN }),
		poolOptions("gossip_wan", [...]string{"500ms", "3", "5s", "3s", "4", "6"}, "GossipWAN", func(c *Config) *Gossip { return &c.GossipWAN }))
}

func poolOptions(section string, def [6]string, shown string, pool func(*Config) *Gossip) []Option {
	return []Option{
		live(section+".gossip_interval", def[0], "Time between gossip rounds", func(c *Config) *time.Duration { return &pool(c).GossipInterval }).shown(shown + "GossipInterval"),
		live(section+".gossip_nodes", def[1], "Members gossiped to in a round", func(c *Config) *int { return &pool(c).GossipNodes }).shown(shown + "GossipNodes"),
		live(section+".probe_interval", def[2], "Time between probes", func(c *Config) *time.Duration { return &pool(c).ProbeInterval }).shown(shown + "ProbeInterval"),
		live(section+".probe_timeout", def[3], "Time that a probe may take", func(c *Config) *time.Duration { return &pool(c).ProbeTimeout }).shown(shown + "ProbeTimeout"),
		live(section+".retransmit_mult", def[4], "Factor of retransmissions", func(c *Config) *int { return &pool(c).RetransmitMult }).shown(shown + "RetransmitMult"),
		live(section+".suspicion_mult", def[5], "Factor of the time that a suspect has to refute", func(c *Config) *int { return &pool(c).SuspicionMult }).shown(shown + "SuspicionMult"),
	}
}
