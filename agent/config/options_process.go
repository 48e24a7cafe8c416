package config

import (
	"slices"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

func raftOptions() []Option {
	return slices.Concat([]Option{
		live("performance.raft_multiplier", "1", "Factor of Raft's timeouts, 1 to 10", func(c *Config) *int { return &c.Performance.RaftMultiplier }),
		live("raft_snapshot_threshold", "16384", "Log entries between snapshots", func(c *Config) *int { return &c.Raft.SnapshotThreshold }).shown("RaftSnapshotThreshold"),
		live("raft_snapshot_interval", "30s", "Time between looks whether a snapshot is due", func(c *Config) *time.Duration { return &c.Raft.SnapshotInterval }).shown("RaftSnapshotInterval"),
		live("raft_trailing_logs", "10240", "Log entries to keep behind a snapshot", func(c *Config) *int { return &c.Raft.TrailingLogs }).shown("RaftTrailingLogs"),
		live("raft_prevote_disabled", "false", "Elect without asking first", func(c *Config) *bool { return &c.Raft.PrevoteDisabled }).effect(Pending),
		pending[string]("raft_logstore.backend", "", "Log store; wal is the only one here"),
		pending[bool]("raft_logstore.disable_log_cache", "false", ""),
		pending[bool]("raft_logstore.verification.enabled", "false", ""),
		pending[time.Duration]("raft_logstore.verification.interval", "", ""),
		pending[bool]("raft_logstore.boltdb.no_freelist_sync", "false", ""),
		pending[int]("raft_logstore.wal.segment_size_mb", "64", "Size of a log segment, 1 to 1024 MiB"),
		pending[bool]("raft_boltdb.nofreelistsync", "false", "").instead("raft_logstore.boltdb.no_freelist_sync"),
		pending[bool]("autopilot.cleanup_dead_servers", "true", "Remove dead servers when new ones come"),
		pending[time.Duration]("autopilot.last_contact_threshold", "200ms", "Silence after which a server is unhealthy"),
		pending[int]("autopilot.max_trailing_logs", "250", "Log entries that a healthy server may trail"),
		pending[time.Duration]("autopilot.server_stabilization_time", "10s", "Time of health before a server votes"),
		pending[int]("autopilot.min_quorum", "0", "Servers below which none is removed"),
	}, enterprise[string]("autopilot.redundancy_zone_tag", "autopilot.upgrade_version_tag"), enterprise[bool]("autopilot.disable_upgrade_migration"))
}

func logOptions() []Option {
	return []Option{
		live("log_level", "INFO", "TRACE, DEBUG, INFO, WARN or ERROR", func(c *Config) *string { return &c.Log.Level }).flag("log-level").reload(),
		live("log_json", "false", "Log as JSON", func(c *Config) *bool { return &c.Log.JSON }).flag("log-json"),
		live("log_file", "", "File to log to; a directory gets lictor-{time}.log", func(c *Config) *string { return &c.Log.File }).flag("log-file"),
		live("log_rotate_bytes", "0", "Size at which the log file rotates; 0 is never", func(c *Config) *int64 { return &c.Log.RotateBytes }).flag("log-rotate-bytes"),
		live("log_rotate_duration", "24h", "Age at which the log file rotates", func(c *Config) *time.Duration { return &c.Log.RotateDuration }).flag("log-rotate-duration"),
		live("log_rotate_max_files", "0", "Rotated files to keep; 0 keeps all, -1 none", func(c *Config) *int { return &c.Log.RotateMaxFiles }).flag("log-rotate-max-files"),
		pending[bool]("enable_syslog", "false", "Log to syslog too").flag("syslog"),
		pending[string]("syslog_facility", "LOCAL0", "Facility in syslog"),
	}
}

func uiOptions() []Option {
	return []Option{
		live("ui_config.enabled", "false", "Serve the web UI", func(c *Config) *bool { return &c.UI.Enabled }).flag("ui").reload().effect(Pending),
		pending[string]("ui_config.dir", "", "Directory to serve the UI from").flag("ui-dir").reload(),
		live("ui_config.content_path", "/ui/", "Path of the UI", func(c *Config) *string { return &c.UI.ContentPath }).flag("ui-content-path").reload().effect(Pending),
		pending[string]("ui_config.metrics_provider", "", "").reload(),
		pending[[]string]("ui_config.metrics_provider_files", "", "").reload(),
		pending[string]("ui_config.metrics_provider_options_json", "", "").reload(),
		pending[string]("ui_config.metrics_proxy.base_url", "", "").reload(),
		pending[[]map[string]any]("ui_config.metrics_proxy.add_headers", "", "").reload(),
		pending[[]string]("ui_config.metrics_proxy.path_allowlist", "", "").reload(),
		pending[map[string]string]("ui_config.dashboard_url_templates", "", "").reload(),
	}
}

func telemetryOptions() []Option {
	circonus := "api_app api_token api_url broker_id broker_select_tag check_display_name check_force_metric_activation " +
		"check_id check_instance_id check_search_tag check_tags submission_interval submission_url"
	return slices.Concat([]Option{
		live("telemetry.metrics_prefix", "consul", "First word of metric names", func(c *Config) *string { return &c.Telemetry.MetricsPrefix }),
		live("telemetry.prometheus_retention_time", "0s", "Time that Prometheus metrics are kept; 0 turns them off", func(c *Config) *time.Duration { return &c.Telemetry.PrometheusRetentionTime }),
		pending[bool]("telemetry.disable_hostname", "false", "Leave the host name out of gauges"),
		pending[bool]("telemetry.enable_host_metrics", "false", ""),
		pending[bool]("telemetry.disable_per_tenancy_usage_metrics", "false", ""),
		pending[bool]("telemetry.filter_default", "true", "Keep metrics that no filter names").reload(),
		pending[[]string]("telemetry.prefix_filter", "", "Prefixes to keep (+) or drop (-)").reload(),
		pending[bool]("telemetry.retry_failed_connection", "true", ""),
		pending[[]string]("telemetry.dogstatsd_tags", "", ""),
	}, all[string]("telemetry.", "statsd_address statsite_address dogstatsd_addr"), all[string]("telemetry.circonus_", circonus))
}

func otherOptions() []Option {
	return slices.Concat([]Option{
		live("enable_debug", "false", "Serve /debug/pprof", func(c *Config) *bool { return &c.EnableDebug }).reload().shown("EnableDebug").effect(Pending),
		pending[bool]("disable_update_check", "false", "Do not ask for new versions; Lictor never does").effect(Moot).shown("DisableUpdateCheck"),
		pending[bool]("disable_anonymous_signature", "false", "Do not identify this cluster when asking; Lictor never asks").effect(Moot).shown("DisableAnonymousSignature"),
		pending[bool]("auto_reload_config", "false", "Reload when files change").flag("auto-reload-config"),
		pending[time.Duration]("sync_coordinate_interval_min", "15s", ""),
		pending[float64]("sync_coordinate_rate_target", "64", ""),
		pending[int]("consul.coordinate.update_batch_size", "128", ""),
		pending[int]("consul.coordinate.update_max_batches", "5", ""),
		pending[time.Duration]("consul.coordinate.update_period", "5s", ""),
		pending[time.Duration]("consul.raft.election_timeout", "", ""),
		pending[time.Duration]("consul.raft.heartbeat_timeout", "", ""),
		pending[time.Duration]("consul.raft.leader_lease_timeout", "", ""),
		pending[time.Duration]("consul.server.health_interval", "2s", ""),
	},
		enterprise[[]string]("experiments"), enterprise[string]("license_path", "partition"),
		enterprise[map[string]any]("reporting", "audit", "snapshot_agent", "cloud"),
		[]Option{enterprise[string]("segment")[0].flag("segment"), enterprise[bool]("read_replica")[0].flag("read-replica"),
			enterprise[bool]("non_voting_server")[0].flag("non-voting-server").instead("read_replica")},
		enterprise[[]map[string]any]("segments"),
	)
}

// deprecatedOptions fill the fields of the options that replace them.
func deprecatedOptions() []Option {
	secret := func(key, instead string, at func(*Config) *model.Secret) Option {
		return live(key, "", "", at).reload().effect(Pending).instead(instead)
	}
	rows := []Option{
		live("start_join", "", "", func(c *Config) *[]string { return &c.RetryJoin }).flag("join").instead("retry_join"),
		live("start_join_wan", "", "", func(c *Config) *[]string { return &c.RetryJoinWAN }).flag("join-wan").effect(Pending).instead("retry_join_wan"),
		secret("acl_token", "acl.tokens.default", func(c *Config) *model.Secret { return &c.ACL.Default }),
		secret("acl_agent_token", "acl.tokens.agent", func(c *Config) *model.Secret { return &c.ACL.Agent }),
		secret("acl_agent_master_token", "acl.tokens.agent_recovery", func(c *Config) *model.Secret { return &c.ACL.AgentRecovery }),
		secret("acl.tokens.agent_master", "acl.tokens.agent_recovery", func(c *Config) *model.Secret { return &c.ACL.AgentRecovery }),
		secret("acl_master_token", "acl.tokens.initial_management", func(c *Config) *model.Secret { return &c.ACL.InitialManagement }),
		secret("acl.tokens.master", "acl.tokens.initial_management", func(c *Config) *model.Secret { return &c.ACL.InitialManagement }),
		secret("acl_replication_token", "acl.tokens.replication", func(c *Config) *model.Secret { return &c.ACL.Replication }),
		live("enable_acl_replication", "", "", func(c *Config) *bool { return &c.ACL.EnableTokenReplication }).effect(Pending).instead("acl.enable_token_replication"),
		live("acl_datacenter", "", "", func(c *Config) *string { return &c.PrimaryDatacenter }).instead("primary_datacenter"),
		live("acl_default_policy", "", "", func(c *Config) *string { return &c.ACL.DefaultPolicy }).instead("acl.default_policy"),
		live("acl_down_policy", "", "", func(c *Config) *string { return &c.ACL.DownPolicy }).effect(Pending).instead("acl.down_policy"),
		live("acl_ttl", "", "", func(c *Config) *time.Duration { return &c.ACL.TokenTTL }).effect(Pending).instead("acl.token_ttl"),
		live("acl_enable_key_list_policy", "", "", func(c *Config) *bool { return &c.ACL.EnableKeyListPolicy }).effect(Pending).instead("acl.enable_key_list_policy"),
		live("ui", "", "", func(c *Config) *bool { return &c.UI.Enabled }).effect(Pending).instead("ui_config.enabled"),
		pending[string]("ui_dir", "", "").instead("ui_config.dir"),
		live("ui_content_path", "", "", func(c *Config) *string { return &c.UI.ContentPath }).effect(Pending).instead("ui_config.content_path"),
	}
	for _, key := range []string{"ca_file", "ca_path", "cert_file", "key_file", "tls_cipher_suites", "tls_min_version"} {
		rows = append(rows, pending[string](key, "", "").instead("tls.defaults."+key))
	}
	for key, section := range map[string]string{
		"verify_incoming": "defaults.verify_incoming", "verify_incoming_rpc": "internal_rpc.verify_incoming", "verify_incoming_https": "https.verify_incoming",
		"verify_outgoing": "defaults.verify_outgoing", "verify_server_hostname": "internal_rpc.verify_server_hostname",
	} {
		rows = append(rows, pending[bool](key, "", "").instead("tls."+section))
	}
	rows = append(rows, pending[bool]("tls_prefer_server_cipher_suites", "", "").instead("nothing: Go chooses"))
	slices.SortStableFunc(rows, func(a, b Option) int { return compareKeys(a.Key, b.Key) })
	return rows
}
