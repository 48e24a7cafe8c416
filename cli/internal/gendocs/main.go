// Command gendocs writes the reference pages of all commands to the directory that its argument names.
package main

import (
	"fmt"
	"os"

	"github.com/lictor-mesh/lictor/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gendocs DIR")
		os.Exit(1)
	}
	if err := cli.WritePages(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
