package httpapi_test

// The reasons for which recorded steps are not replayed, or answered otherwise.
const (
	needsConfigEntries = "needs config entries, which come later"
	needsKV            = "needs the KV store, which comes later"
	needsGossip        = "needs a gossip pool, which this test has not"
	needsACL           = "needs ACLs, which come later"
	needsTwoAgents     = "needs a second agent"
	needsVirtualIPs    = "needs virtual addresses, which come later"
	jsonText           = "quotes Go types of the other implementation"
	hostFacts          = "shows facts about the host or the other implementation"
	stateIndex         = "the state gives another index: same meaning, other granularity"
)

func table(lists map[string][]string) map[string]string {
	t := map[string]string{}
	for reason, steps := range lists {
		for _, s := range steps {
			t[s] = reason
		}
	}
	return t
}

// skipped names the recorded steps that are not sent, by scenario/step (* is all of it), with the reason.
func skipped() map[string]string {
	return table(map[string][]string{
		needsTwoAgents: {"agent-two-members/*"},
		needsConfigEntries: {"errors/depth", "intentions-l7-blocking/*", "ca-disabled/config",
			"intentions-exact/config-entry", "intentions-exact/config-entry-list",
			"catalog-connect/sd-web", "catalog-connect/tg-entry", "catalog-connect/ig-entry", "catalog-connect/connect-ext",
			"catalog-connect/gateway-services-tg", "catalog-connect/gateway-services-ig", "catalog-connect/service-proxy-merged",
			"catalog-connect/node-services-n1-merged", "catalog-register/gateway-services-unknown", "catalog-register/missing-gateway",
			"health-connect/ig", "health-connect/ingress", "health-connect/ingress-gw-name", "health-basic/ingress", "health-basic/ingress-missing",
			"service-sidecar/pd", "service-sidecar/sd", "service-sidecar/sidecar-merged", "service-sidecar/service-mgw",
			"service-sidecar/service-proxy", "service-sidecar/services-after",
			"ca-authorize/sd", "ca-authorize/l7-2", "ca-authorize/l7-denied"},
		needsKV: {"errors/param-ignored-token-acl-off", "agent-custom-http/read-ok", "catalog-blocking/kv", "catalog-blocking/watch-services-kv"},
		needsGossip: {"agent-info/join-bad", "agent-info/join-missing", "agent-info/force-leave-unknown", "agent-info/force-leave-missing",
			"agent-info/force-leave-self"},
		"a leaf follows a new root at once, so whether it was in time is chance":    {"ca-basic/watch-leaf"},
		"whether the earlier output was written before it was superseded is chance": {"checks-basic/health-node"},
		needsACL: {"agent-info/token-acl-off", "agent-info/token-unknown"},
		hostFacts: {"agent-info/host", "agent-info/metrics", "agent-info/metrics-bad-format", "agent-info/monitor-bad-level",
			"agent-metrics/prometheus", "agent-metrics/debug-pprof", "agent-metrics/debug-index"},
	})
}

// differing names the recorded steps that are sent for what follows, and answered otherwise.
func differing() map[string]string {
	return table(map[string][]string{
		jsonText: {"errors/array-body", "errors/string-body", "catalog-register-errors/wrong-type", "service-register-errors/port-string",
			"checks-register-errors/header-string"},
		hostFacts: {"agent-info/self"},
		"the parser's work is bounded more tightly": {"errors/param-filter"},
		"Vault as a provider comes later":           {"ca-basic/set-vault-no-token"},
		needsVirtualIPs: {"catalog-connect/connect-web", "catalog-connect/service-proxy", "catalog-connect/node-n1", "health-connect/connect",
			"service-sidecar/catalog"},
		"quotes the gRPC library, and counts itself in its own alias": {"checks-running/all"},
		stateIndex: {"catalog-register/nodes-node-meta", "catalog-register/nodes-filter",
			"catalog-register/unknown-node", "catalog-register/unknown-node-services",
			"catalog-blocking/watch-web-check", "health-basic/node"},
		"a service and its checks go out in one write":                          {"service-health-maintenance/health"},
		"the authority's first configuration is one write":                      {"ca-basic/configuration", "ca-basic/configuration-after", "ca-config-file/configuration"},
		"an alias of its own node does not count itself, nor name its texts so": {"checks-register-kinds/all", "checks-register-kinds/catalog"},
	})
}
