package cli

func catalogGroup(sh *shell) *command {
	return group(sh, "catalog", "Look at nodes, services and datacenters",
		`Commands that read the catalog: which nodes and services the cluster knows. They ask the servers through the agent; `+
			`nothing is changed.`)
}
