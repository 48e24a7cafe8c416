package cli

// commands is the list of all commands, in the order in which the overview shows them.
func commands(sh *shell) []*command {
	return []*command{
		agentCommand(sh),
		catalogGroup(sh),
		catalogDatacenters(sh),
		catalogNodes(sh),
		catalogServices(sh),
		connectGroup(sh),
		connectEnvoy(sh),
		pipeBootstrap(sh),
		connectProxy(sh),
		demoCommand(sh),
		demoProbe(sh),
		demoService(sh),
		forceLeave(sh),
		info(sh),
		intentionGroup(sh),
		intentionCheck(sh),
		intentionCreate(sh),
		intentionDelete(sh),
		intentionGet(sh),
		intentionList(sh),
		intentionMatch(sh),
		join(sh),
		keygen(sh),
		leave(sh),
		members(sh),
		reload(sh),
		servicesGroup(sh),
		servicesDeregister(sh),
		servicesRegister(sh),
		validate(sh),
		versionCommand(sh),
	}
}

// group makes a command that only holds others: by itself it prints its help and fails.
func group(sh *shell, name, synopsis, text string) *command {
	c := newCommand(sh, name, "<subcommand> [options] [args]", synopsis)
	c.text = text
	return c
}
