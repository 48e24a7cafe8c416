package cli

func servicesGroup(sh *shell) *command {
	return group(sh, "services", "Register and deregister services",
		`Commands that change what the agent has registered. The agent keeps the registration and brings it to the catalog; `+
			`it must be asked itself, not another one.`)
}
