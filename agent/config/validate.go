package config

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/agent/definition"
	"github.com/lictor-mesh/lictor/model"
)

var (
	datacenterName = regexp.MustCompile(`^[a-z0-9_-]+$`)
	dnsLabel       = regexp.MustCompile(`^[A-Za-z0-9-]{1,63}$`)
)

// validate refuses what cannot work, and warns of what is unwise.
func (b *builder) validate() error {
	for _, check := range []func() error{
		b.validateNode, b.validateRoles, b.validatePorts, b.checkClashes, b.validateSecrets, b.validateWords, b.validateNumbers,
		b.validateDNS, b.validateRegistrations,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) validateNode() error {
	c := b.c
	if strings.TrimSpace(string(c.NodeName)) == "" {
		return invalid("node_name cannot be empty; set it, or leave the key out for the host name")
	}
	if !dnsLabel.MatchString(string(c.NodeName)) {
		b.warn("node_name %q cannot be found by DNS; use letters, digits and dashes only, at most 63", string(c.NodeName))
	}
	if c.NodeID != "" {
		if err := definition.ValidateNodeID(c.NodeID); err != nil {
			return invalid("node_id %q: %v; write it like 8cd63dd5-b5a9-4c3f-9d3e-2f3cbf3f1a5e", string(c.NodeID), err)
		}
	}
	if err := definition.ValidateMeta(c.NodeMeta, false); err != nil {
		return invalid("node_meta: %v", err)
	}
	for _, row := range []struct{ key, dc string }{{"datacenter", c.Datacenter}, {"primary_datacenter", c.PrimaryDatacenter}} {
		if !datacenterName.MatchString(row.dc) {
			return invalid("%s %q can only contain lower case letters, digits, - and _", row.key, row.dc)
		}
	}
	if c.DataDir == "" && !c.DevMode {
		return invalid("data_dir cannot be empty; set -data-dir, or try -dev which keeps everything in memory")
	}
	return nil
}

func (b *builder) validateRoles() error {
	c := b.c
	switch {
	case c.Bootstrap && !c.Server:
		return invalid("bootstrap = true requires server = true")
	case c.BootstrapExpect < 0:
		return invalid("bootstrap_expect cannot be %d; use the number of servers", c.BootstrapExpect)
	case c.BootstrapExpect > 0 && !c.Server:
		return invalid("bootstrap_expect > 0 requires server = true")
	case c.BootstrapExpect > 0 && c.Bootstrap:
		return invalid("bootstrap_expect > 0 and bootstrap = true exclude each other; keep bootstrap_expect")
	case c.BootstrapExpect > 0 && c.DevMode:
		return invalid("bootstrap_expect > 0 and -dev exclude each other; a -dev server is alone")
	case c.raw.autoEncryptTLS && c.Server:
		return invalid("auto_encrypt.tls is for clients; servers set auto_encrypt.allow_tls")
	case c.raw.autoEncryptAllow && !c.Server:
		return invalid("auto_encrypt.allow_tls is for servers; clients set auto_encrypt.tls")
	}
	switch {
	case c.Bootstrap:
		b.warn("bootstrap = true: use it for one server only, and prefer bootstrap_expect")
	case c.BootstrapExpect == 1:
		b.warn("bootstrap_expect = 1: one server cannot lose any without loss of its work")
	case c.BootstrapExpect == 2:
		b.warn("bootstrap_expect = 2: two servers are no safer than one; use 3")
	case c.BootstrapExpect > 2 && c.BootstrapExpect%2 == 0:
		b.warn("bootstrap_expect = %d: an even number of servers survives no more losses than one less", c.BootstrapExpect)
	}
	if c.EnableScriptChecks && !c.ACL.Enabled && len(c.HTTP.AllowWriteFrom) == 0 {
		b.warn("enable_script_checks without ACLs lets everybody who reaches the HTTP API run programs here; " +
			"use enable_local_script_checks, or restrict http_config.allow_write_http_from")
	}
	return nil
}

func (b *builder) validatePorts() error {
	p := b.c.Ports
	for _, row := range []struct {
		key string
		n   int
	}{{"server", p.Server}, {"serf_lan", p.SerfLAN}} {
		if row.n <= 0 || row.n > maxPort {
			return invalid("ports.%s: %d is not a port; use 1 to %d (it cannot be turned off)", row.key, row.n, maxPort)
		}
	}
	if p.SerfWAN > maxPort {
		return invalid("ports.serf_wan: %d is not a port; use 1 to %d, or -1 to turn it off", p.SerfWAN, maxPort)
	}
	for _, r := range []struct {
		name     string
		min, max int
	}{{"sidecar", p.SidecarMin, p.SidecarMax}, {"expose", p.ExposeMin, p.ExposeMax}} {
		if r.min > 0 && (r.min > r.max || r.max > maxPort) {
			return invalid("ports.%s_min_port %d and ports.%s_max_port %d are no range", r.name, r.min, r.name, r.max)
		}
	}
	grpcTLS := false
	for _, key := range []string{"ca_file", "ca_path", "cert_file", "key_file"} {
		grpcTLS = grpcTLS || b.set["tls.grpc."+key]
	}
	if grpcTLS && b.set["ports.grpc"] && p.GRPC > 0 && p.GRPCTLS <= 0 {
		return invalid("tls.grpc is set but ports.grpc_tls is off, and ports.grpc never uses TLS; set ports.grpc_tls (8503)")
	}
	return nil
}

func (b *builder) validateSecrets() error {
	if key := b.c.EncryptKey; !key.IsZero() {
		raw, err := base64.StdEncoding.DecodeString(key.Reveal())
		if err != nil || !slices.Contains([]int{16, 24, 32}, len(raw)) {
			return invalid("encrypt is no gossip key: it must be 16, 24 or 32 bytes in base64; `keygen` makes one")
		}
	}
	return nil
}

// validateWords checks options that take one of a few words.
func (b *builder) validateWords() error {
	c := b.c
	for _, row := range []struct{ key, value, allowed string }{
		{"log_level", c.Log.Level, "TRACE DEBUG INFO WARN ERROR"},
		{"acl.default_policy", c.ACL.DefaultPolicy, "allow deny"},
		{"acl.down_policy", c.ACL.DownPolicy, "allow deny extend-cache async-cache"},
		{"default_intention_policy", c.DefaultIntentionPolicy, " allow deny"},
		{"connect.ca_provider", c.Connect.CAProvider, " consul"},
		{"dns_config.recursor_strategy", c.DNS.RecursorStrategy, "sequential random"},
		{"limits.request_limits.mode", c.Limits.RequestMode, "disabled permissive enforcing"},
	} {
		words := strings.Split(row.allowed, " ")
		if !slices.Contains(words, row.value) {
			return invalid("%s %q is unknown; use one of %s", row.key, row.value, strings.Join(strings.Fields(row.allowed), ", "))
		}
	}
	if c.raw.raftProtocol != 3 {
		return invalid("raft_protocol %d is not supported; 3 is the only one, leave the key out", c.raw.raftProtocol)
	}
	return nil
}

func (b *builder) validateNumbers() error {
	c := b.c
	if n := c.Performance.RaftMultiplier; n < 1 || n > 10 {
		return invalid("performance.raft_multiplier cannot be %d; use 1 to 10", n)
	}
	for _, row := range []struct {
		key string
		d   time.Duration
	}{
		{"ae_interval", c.AEInterval}, {"default_query_time", c.DefaultQueryTime}, {"max_query_time", c.MaxQueryTime}, {"retry_interval", c.RetryInterval},
		{"raft_snapshot_interval", c.Raft.SnapshotInterval}, {"check_reap_interval", c.CheckReapInterval}, {"limits.rpc_client_timeout", c.Limits.RPCClientTimeout},
	} {
		if row.d <= 0 {
			return invalid("%s cannot be %s; it must be positive", row.key, row.d)
		}
	}
	for _, row := range []struct {
		key string
		n   int64
	}{
		{"check_output_max_size", int64(c.CheckOutputMaxSize)}, {"raft_snapshot_threshold", int64(c.Raft.SnapshotThreshold)},
		{"limits.rpc_max_burst", int64(c.Limits.RPCMaxBurst)}, {"limits.kv_max_value_size", c.Limits.KVMaxValueSize}, {"limits.txn_max_req_len", c.Limits.TxnMaxReqLen},
	} {
		if row.n <= 0 {
			return invalid("%s cannot be %d; it must be positive", row.key, row.n)
		}
	}
	if d := c.Lictor.LeafCertTTLOverride; d != 0 && d < 5*time.Second {
		return invalid("lictor.leaf_cert_ttl_override cannot be %s; use 5s or more, or leave it out", d)
	}
	if c.Lictor.DrainWait < 0 || c.RetryMax < 0 {
		return invalid("lictor.drain_wait and retry_max cannot be negative")
	}
	return nil
}

func (b *builder) validateDNS() error {
	dns := b.c.DNS
	if dns.Domain == "" {
		return invalid("domain cannot be empty; leave the key out for consul.")
	}
	for _, word := range []string{"service", "connect", "node", "query", "addr", b.c.Datacenter} {
		if strings.HasPrefix(dns.AltDomain, word+".") {
			return invalid("alt_domain cannot start with {service,connect,node,query,addr,%s}", b.c.Datacenter)
		}
	}
	if dns.UDPAnswerLimit < 0 || dns.ARecordLimit < 0 {
		return invalid("dns_config.udp_answer_limit and a_record_limit cannot be negative; use 0 for no limit")
	}
	for name, ttl := range dns.ServiceTTL {
		if ttl < 0 {
			return invalid("dns_config.service_ttl.%s cannot be %s", name, ttl)
		}
	}
	return nil
}

func (b *builder) validateRegistrations() error {
	services := map[model.ServiceID]bool{}
	for _, s := range b.c.Services {
		if services[s.Service.ID] {
			return invalid("service id %q is given twice; each instance needs its own id", string(s.Service.ID))
		}
		services[s.Service.ID] = true
	}
	checks := map[model.CheckID]bool{}
	for _, c := range b.c.Checks {
		if checks[c.CheckID] {
			return invalid("check id %q is given twice; each check needs its own id", string(c.CheckID))
		}
		checks[c.CheckID] = true
	}
	return nil
}
