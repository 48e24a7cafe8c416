// Command lictor is the one binary of Lictor: agent, server, sidecar proxy and command line.
package main

import (
	"os"

	"github.com/lictor-mesh/lictor/cli"
)

func main() { os.Exit(cli.Run(os.Args)) }
