package cli

func connectGroup(sh *shell) *command {
	return group(sh, "connect", "Run proxies of the service mesh",
		`Commands that put a service into the mesh: its sidecar proxy, or the configuration that Envoy starts with in the `+
			`sidecar's place.`)
}
