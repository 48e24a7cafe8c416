package config

import (
	"time"

	"github.com/lictor-mesh/lictor/model"
)

func dnsOptions() []Option {
	return []Option{
		live("domain", "consul.", "Domain that DNS answers for", func(c *Config) *string { return &c.DNS.Domain }).flag("domain").shown("DNSDomain"),
		live("alt_domain", "", "Second domain that DNS answers for", func(c *Config) *string { return &c.DNS.AltDomain }).flag("alt-domain").shown("DNSAltDomain"),
		live("recursors", "", "DNS servers for names outside the domain", func(c *Config) *[]string { return &c.DNS.Recursors }).flag("recursor").reload().shown("DNSRecursors").effect(Pending),
		live("dns_config.recursor_timeout", "2s", "Time that a recursor may take", func(c *Config) *time.Duration { return &c.DNS.RecursorTimeout }).reload().shown("DNSRecursorTimeout").effect(Pending),
		live("dns_config.recursor_strategy", "sequential", "Order of recursors: sequential or random", func(c *Config) *string { return &c.DNS.RecursorStrategy }).reload().shown("DNSRecursorStrategy").effect(Pending),
		live("dns_config.allow_stale", "true", "Answer from any server", func(c *Config) *bool { return &c.DNS.AllowStale }).shown("DNSAllowStale").effect(Pending),
		live("dns_config.max_stale", "87600h", "Oldest state to answer from", func(c *Config) *time.Duration { return &c.DNS.MaxStale }).shown("DNSMaxStale").effect(Pending),
		live("dns_config.node_ttl", "0s", "TTL of node answers", func(c *Config) *time.Duration { return &c.DNS.NodeTTL }).shown("DNSNodeTTL"),
		live("dns_config.service_ttl", "", "TTL of service answers, by name or prefix*", func(c *Config) *map[string]time.Duration { return &c.DNS.ServiceTTL }).shown("DNSServiceTTL"),
		live("dns_config.only_passing", "false", "Leave out instances with a warning", func(c *Config) *bool { return &c.DNS.OnlyPassing }).shown("DNSOnlyPassing"),
		live("dns_config.a_record_limit", "0", "Most A or AAAA records in an answer; 0 is any number", func(c *Config) *int { return &c.DNS.ARecordLimit }).shown("DNSARecordLimit"),
		live("dns_config.udp_answer_limit", "3", "Most records in an answer over UDP without EDNS", func(c *Config) *int { return &c.DNS.UDPAnswerLimit }).shown("DNSUDPAnswerLimit"),
		live("dns_config.enable_truncate", "false", "Set the truncated bit when records were left out", func(c *Config) *bool { return &c.DNS.EnableTruncate }).shown("DNSEnableTruncate"),
		live("dns_config.disable_compression", "false", "Do not compress names", func(c *Config) *bool { return &c.DNS.DisableCompression }).shown("DNSDisableCompression"),
		live("dns_config.enable_additional_node_meta_txt", "true", "Add node metadata as TXT records", func(c *Config) *bool { return &c.DNS.NodeMetaTXT }).shown("DNSNodeMetaTXT"),
		live("dns_config.soa.refresh", "3600", "SOA refresh, seconds", func(c *Config) *int { return &c.DNS.SOA.Refresh }),
		live("dns_config.soa.retry", "600", "SOA retry, seconds", func(c *Config) *int { return &c.DNS.SOA.Retry }),
		live("dns_config.soa.expire", "86400", "SOA expire, seconds", func(c *Config) *int { return &c.DNS.SOA.Expire }),
		live("dns_config.soa.min_ttl", "0", "SOA minimum TTL, seconds", func(c *Config) *int { return &c.DNS.SOA.MinTTL }),
		live("dns_config.use_cache", "false", "Answer from the agent's cache", func(c *Config) *bool { return &c.DNS.UseCache }).shown("DNSUseCache").effect(Moot),
		live("dns_config.cache_max_age", "0s", "Oldest cached answer", func(c *Config) *time.Duration { return &c.DNS.CacheMaxAge }).shown("DNSCacheMaxAge").effect(Moot),
		enterprise[bool]("dns_config.prefer_namespace")[0],
	}
}

func httpOptions() []Option {
	return []Option{
		live("http_config.block_endpoints", "", "Prefixes of paths to refuse with 403", func(c *Config) *[]string { return &c.HTTP.BlockEndpoints }).shown("HTTPBlockEndpoints"),
		live("http_config.allow_write_http_from", "", "Networks that may write over HTTP; empty is any", func(c *Config) *[]string { return &c.raw.allowWriteFrom }).flag("allow-write-http-from").shown("AllowWriteHTTPFrom"),
		live("http_config.response_headers", "", "Headers to add to every answer", func(c *Config) *map[string]string { return &c.HTTP.ResponseHeaders }).shown("HTTPResponseHeaders"),
		live("http_config.use_cache", "true", "Heed ?cached", func(c *Config) *bool { return &c.HTTP.UseCache }).shown("HTTPUseCache"),
		live("http_config.max_header_bytes", "0", "Largest header of a request; 0 is Go's default of 1 MiB", func(c *Config) *int { return &c.HTTP.MaxHeaderBytes }).shown("HTTPMaxHeaderBytes"),
		live("default_query_time", "300s", "Wait of a blocking query that names none", func(c *Config) *time.Duration { return &c.DefaultQueryTime }).flag("default-query-time").shown("DefaultQueryTime"),
		live("max_query_time", "600s", "Longest wait of a blocking query", func(c *Config) *time.Duration { return &c.MaxQueryTime }).flag("max-query-time").shown("MaxQueryTime"),
		pending[time.Duration]("discovery_max_stale", "0s", "Oldest state for catalog and health reads that ask for none; 0 is off"),
		pending[bool]("disable_http_unprintable_char_filter", "false", "Let unprintable characters pass in paths"),
		pending[bool]("use_streaming_backend", "true", "Serve health queries from streamed views"),
		pending[bool]("rpc.enable_streaming", "true", "Stream views to agents"),
	}
}

func limitOptions() []Option {
	return []Option{
		live("limits.http_max_conns_per_client", "200", "HTTP connections of one address", func(c *Config) *int { return &c.Limits.HTTPMaxConnsPerClient }).reload().shown("HTTPMaxConnsPerClient"),
		live("limits.https_handshake_timeout", "5s", "Time for the TLS handshake of an HTTPS client", func(c *Config) *time.Duration { return &c.Limits.HTTPSHandshakeTimeout }).shown("HTTPSHandshakeTimeout").effect(Pending),
		live("limits.rpc_handshake_timeout", "5s", "Time for the handshake of an RPC client", func(c *Config) *time.Duration { return &c.Limits.RPCHandshakeTimeout }).shown("RPCHandshakeTimeout"),
		live("limits.rpc_client_timeout", "60s", "Time for an RPC that does not block", func(c *Config) *time.Duration { return &c.Limits.RPCClientTimeout }).shown("RPCClientTimeout").effect(Pending),
		live("limits.rpc_max_conns_per_client", "100", "RPC connections of one address", func(c *Config) *int { return &c.Limits.RPCMaxConnsPerClient }).reload().shown("RPCMaxConnsPerClient"),
		live("limits.rpc_rate", "-1", "RPCs of this agent to servers per second; -1 is any number", func(c *Config) *float64 { return &c.Limits.RPCRate }).effect(Pending),
		live("limits.rpc_max_burst", "1000", "Burst above that rate", func(c *Config) *int { return &c.Limits.RPCMaxBurst }).shown("RPCMaxBurst").effect(Pending),
		live("limits.kv_max_value_size", "524288", "Largest value of a key, bytes", func(c *Config) *int64 { return &c.Limits.KVMaxValueSize }).shown("KVMaxValueSize").effect(Pending),
		live("limits.txn_max_req_len", "524288", "Largest transaction, bytes", func(c *Config) *int64 { return &c.Limits.TxnMaxReqLen }).shown("TxnMaxReqLen").effect(Pending),
		live("limits.request_limits.mode", "disabled", "Rate limits of a server: disabled, permissive (log only) or enforcing", func(c *Config) *string { return &c.Limits.RequestMode }).effect(Pending),
		live("limits.request_limits.read_rate", "-1", "Reads per second; -1 is any number", func(c *Config) *float64 { return &c.Limits.ReadRate }).effect(Pending),
		live("limits.request_limits.write_rate", "-1", "Writes per second; -1 is any number", func(c *Config) *float64 { return &c.Limits.WriteRate }).effect(Pending),
		live("performance.leave_drain_time", "5s", "Time that a leaving server still answers", func(c *Config) *time.Duration { return &c.Performance.LeaveDrainTime }).shown("LeaveDrainTime").effect(Pending),
		live("performance.rpc_hold_timeout", "7s", "Time to retry RPCs without a leader", func(c *Config) *time.Duration { return &c.Performance.RPCHoldTimeout }).shown("RPCHoldTimeout"),
		live("performance.grpc_keepalive_interval", "30s", "Silence after which a gRPC peer is asked", func(c *Config) *time.Duration { return &c.Performance.GRPCKeepaliveInterval }).shown("GRPCKeepaliveInterval").effect(Pending),
		live("performance.grpc_keepalive_timeout", "20s", "Time that it has to answer", func(c *Config) *time.Duration { return &c.Performance.GRPCKeepaliveTimeout }).shown("GRPCKeepaliveTimeout").effect(Pending),
		live("performance.enable_xds_load_balancing", "true", "Spread xDS streams over servers", func(c *Config) *bool { return &c.Performance.EnableXDSLoadBalancing }).shown("EnableXDSLoadBalancing").effect(Pending),
		pending[float64]("cache.entry_fetch_rate", "", "Fetches per second of one cached entry").reload(),
		pending[int]("cache.entry_fetch_max_burst", "2", "Burst above that rate").reload(),
		pending[float64]("xds.update_max_per_second", "250", "xDS updates per second of a server").reload(),
	}
}

func registrationOptions() []Option {
	return []Option{
		live("service", "", "A service to register; repeat the block for several", func(c *Config) *[]model.ServiceDefinition { return &c.Services }).reload(),
		live("services", "", "Services to register", func(c *Config) *[]model.ServiceDefinition { return &c.Services }).reload().shown("Services"),
		live("check", "", "A check to register; repeat the block for several", func(c *Config) *[]model.CheckDefinition { return &c.Checks }).reload(),
		live("checks", "", "Checks to register", func(c *Config) *[]model.CheckDefinition { return &c.Checks }).reload().shown("Checks"),
		live("check_update_interval", "5m", "Longest time until a change of a check's output alone is synced", func(c *Config) *time.Duration { return &c.CheckUpdateInterval }).shown("CheckUpdateInterval"),
		live("check_output_max_size", "4096", "Most bytes of a check's output to keep", func(c *Config) *int { return &c.CheckOutputMaxSize }).flag("check_output_max_size").shown("CheckOutputMaxSize"),
		live("discard_check_output", "false", "Keep no output of checks", func(c *Config) *bool { return &c.DiscardCheckOutput }).shown("DiscardCheckOutput"),
		live("check_reap_interval", "30s", "Time between looks for services that are critical for too long", func(c *Config) *time.Duration { return &c.CheckReapInterval }).shown("CheckReapInterval"),
		live("check_deregister_interval_min", "1m", "Least deregister_critical_service_after", func(c *Config) *time.Duration { return &c.CheckDeregisterIntervalMin }).shown("CheckDeregisterIntervalMin"),
		live("enable_script_checks", "false", "Run script checks, registered over HTTP too", func(c *Config) *bool { return &c.EnableScriptChecks }).flag("enable-script-checks").shown("EnableRemoteScriptChecks"),
		live("enable_local_script_checks", "false", "Run script checks of files", func(c *Config) *bool { return &c.EnableLocalScriptChecks }).flag("enable-local-script-checks").shown("EnableLocalScriptChecks"),
		live("ae_interval", "1m", "Time between full comparisons of agent and catalog", func(c *Config) *time.Duration { return &c.AEInterval }).shown("AEInterval"),
		live("session_ttl_min", "10s", "Least TTL of a session", func(c *Config) *time.Duration { return &c.SessionTTLMin }).effect(Pending),
		pending[bool]("enable_central_service_config", "true", "Merge central configuration into registrations").effect(Moot),
		pending[[]map[string]any]("config_entries.bootstrap", "", "Config entries to write at first leadership").reload(),
		pending[[]map[string]any]("watches", "", "Watches with their handlers").reload(),
		pending[bool]("disable_remote_exec", "true", "Refuse remote execution"),
	}
}
