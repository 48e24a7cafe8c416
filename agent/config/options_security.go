package config

import (
	"slices"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

func aclOptions() []Option {
	token := func(key, help string, at func(*Config) *model.Secret) Option {
		return live("acl.tokens."+key, "", help, at).reload().effect(Pending)
	}
	return slices.Concat([]Option{
		live("acl.enabled", "false", "Turn access control on", func(c *Config) *bool { return &c.ACL.Enabled }).shown("ACLsEnabled").effect(Pending),
		live("acl.default_policy", "allow", "What holds where no rule says anything: allow or deny", func(c *Config) *string { return &c.ACL.DefaultPolicy }),
		live("acl.down_policy", "extend-cache", "What holds while servers do not answer: allow, deny, extend-cache or async-cache", func(c *Config) *string { return &c.ACL.DownPolicy }).effect(Pending),
		live("acl.token_ttl", "30s", "Time that a resolved token is kept", func(c *Config) *time.Duration { return &c.ACL.TokenTTL }).effect(Pending),
		live("acl.policy_ttl", "30s", "Time that a resolved policy is kept", func(c *Config) *time.Duration { return &c.ACL.PolicyTTL }).effect(Pending),
		live("acl.role_ttl", "", "Time that a resolved role is kept; default acl.policy_ttl", func(c *Config) **time.Duration { return &c.raw.aclRoleTTL }).effect(Pending),
		live("acl.enable_key_list_policy", "false", "Ask for list rights to list keys", func(c *Config) *bool { return &c.ACL.EnableKeyListPolicy }).shown("ACLEnableKeyListPolicy").effect(Pending),
		live("acl.enable_token_persistence", "false", "Keep tokens set over the API in data_dir", func(c *Config) *bool { return &c.ACL.EnableTokenPersistence }).effect(Pending),
		live("acl.enable_token_replication", "false", "Replicate tokens to this secondary datacenter", func(c *Config) *bool { return &c.ACL.EnableTokenReplication }).shown("ACLTokenReplication").effect(Pending),
		live("acl.tokens.initial_management", "", "The first management token", func(c *Config) *model.Secret { return &c.ACL.InitialManagement }).shown("ACLInitialManagementToken").effect(Pending),
		token("agent", "Token of the agent's own requests", func(c *Config) *model.Secret { return &c.ACL.Agent }),
		token("default", "Token of requests that carry none", func(c *Config) *model.Secret { return &c.ACL.Default }),
		token("agent_recovery", "Token for this agent while servers do not answer", func(c *Config) *model.Secret { return &c.ACL.AgentRecovery }),
		token("replication", "Token for replication from the primary datacenter", func(c *Config) *model.Secret { return &c.ACL.Replication }),
		token("config_file_service_registration", "Token that registers services and checks of files", func(c *Config) *model.Secret { return &c.ACL.ConfigFileRegistration }),
		token("dns", "Token of DNS questions", func(c *Config) *model.Secret { return &c.ACL.DNS }),
		live("default_intention_policy", "", "What holds between services without an intention: allow or deny; default by acl.default_policy", func(c *Config) *string { return &c.DefaultIntentionPolicy }).shown("DefaultIntentionPolicy"),
	}, enterprise[bool]("acl.msp_disable_bootstrap"), enterprise[[]map[string]any]("acl.tokens.managed_service_provider"))
}

func tlsOptions() []Option {
	var rows []Option
	for _, section := range []string{"defaults", "internal_rpc", "https", "grpc"} {
		prefix := "tls." + section + "."
		for _, o := range []Option{
			pending[string](prefix+"ca_file", "", "Certificates to trust"),
			pending[string](prefix+"ca_path", "", "Directory of certificates to trust"),
			pending[string](prefix+"cert_file", "", "Certificate to show"),
			pending[string](prefix+"key_file", "", "Key of that certificate"),
			pending[string](prefix+"tls_min_version", "", "TLSv1_0 to TLSv1_3; TLSv1_2 by default"),
			pending[string](prefix+"tls_cipher_suites", "", "Suites below TLS 1.3, separated by commas"),
			pending[bool](prefix+"verify_incoming", "false", "Ask clients for a certificate"),
			pending[bool](prefix+"verify_outgoing", "false", "Verify the certificates of servers"),
			pending[bool](prefix+"verify_server_hostname", "false", "Verify that servers are servers of this datacenter"),
			pending[bool](prefix+"use_auto_cert", "false", "Show the certificate of auto-encrypt"),
		} {
			rows = append(rows, o.reload())
		}
	}
	return slices.Concat(rows, []Option{
		pending[string]("server_name", "", "Name in TLS handshakes; default node_name"),
		pending[bool]("enable_agent_tls_for_checks", "false", "Show the agent's certificate to checked services"),
		live("auto_encrypt.tls", "false", "Get this client's certificate from the servers", func(c *Config) *bool { return &c.raw.autoEncryptTLS }).shown("AutoEncryptTLS").effect(Pending),
		live("auto_encrypt.allow_tls", "false", "Give clients their certificates", func(c *Config) *bool { return &c.raw.autoEncryptAllow }).shown("AutoEncryptAllowTLS").effect(Pending),
		pending[[]string]("auto_encrypt.dns_san", "", "Further DNS names of that certificate"),
		pending[[]string]("auto_encrypt.ip_san", "", "Further addresses of that certificate"),
		pending[bool]("auto_config.enabled", "false", "Get configuration from the servers"),
		pending[model.Secret]("auto_config.intro_token", "", "JWT that introduces this client").environment("INTRO_TOKEN"),
		pending[string]("auto_config.intro_token_file", "", "File with that JWT"),
		pending[[]string]("auto_config.server_addresses", "", "Servers to ask"),
		pending[[]string]("auto_config.dns_sans", "", "Further DNS names of the certificate"),
		pending[[]string]("auto_config.ip_sans", "", "Further addresses of the certificate"),
		pending[bool]("auto_config.authorization.enabled", "false", "Answer clients that introduce themselves"),
	},
		all[[]string]("auto_config.authorization.static.", "claim_assertions bound_audiences jwt_validation_pub_keys jwt_supported_algs"),
		all[string]("auto_config.authorization.static.", "bound_issuer jwks_url jwks_ca_cert oidc_discovery_url oidc_discovery_ca_cert"),
		all[map[string]string]("auto_config.authorization.static.", "claim_mappings list_claim_mappings"),
		all[time.Duration]("auto_config.authorization.static.", "expiration_leeway not_before_leeway clock_skew_leeway"),
	)
}

func connectOptions() []Option {
	return []Option{
		live("connect.enabled", "true", "Run the mesh: authority, intentions, xDS", func(c *Config) *bool { return &c.Connect.Enabled }).shown("ConnectEnabled"),
		live("connect.ca_provider", "", "Who signs: consul (built in, the default)", func(c *Config) *string { return &c.Connect.CAProvider }).shown("ConnectCAProvider"),
		live("connect.ca_config", "", "Settings of the authority, like leaf_cert_ttl, root_cert_ttl, private_key_type, private_key_bits", func(c *Config) *map[string]any { return &c.raw.caConfig }),
		pending[bool]("connect.enable_mesh_gateway_wan_federation", "false", "Reach other datacenters through mesh gateways"),
		pending[bool]("peering.enabled", "true", "Peer with other clusters"),
	}
}

// lictorOptions are ours. They are set in files only, and no API changes them.
func lictorOptions() []Option {
	return []Option{
		live("lictor.leaf_cert_ttl_override", "0s", "Lifetime of leaf certificates below what connect.ca_config allows, 5s or more; for demonstrations and tests", func(c *Config) *time.Duration { return &c.Lictor.LeafCertTTLOverride }),
		live("lictor.allow_unenforced", "false", "Start although options that protect something, and are set, are not enforced yet", func(c *Config) *bool { return &c.Lictor.AllowUnenforced }),
		live("lictor.check_allow_addresses", "", "Networks (CIDR) that checks may reach although they are link-local or serve cloud metadata", func(c *Config) *[]string { return &c.Lictor.CheckAllowAddresses }),
		live("lictor.drain_wait", "2s", "Longest time that a leaving proxy waits for its callers to have heard of it", func(c *Config) *time.Duration { return &c.Lictor.DrainWait }),
	}
}
