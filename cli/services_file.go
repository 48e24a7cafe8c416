package cli

import (
	"fmt"
	"os"

	"github.com/lictor-mesh/lictor/agent/config"
	"github.com/lictor-mesh/lictor/model"
)

// readServices reads the services that the files define, in their order.
func readServices(sh *shell, paths []string) ([]model.ServiceDefinition, error) {
	var all []model.ServiceDefinition
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("Error: config: Open failed on %s. %w", path, err)
		}
		defs, err := config.Definitions(path, text)
		if err != nil {
			return nil, fmt.Errorf("Error: %w", err)
		}
		if len(defs) == 0 {
			fmt.Fprintf(sh.stderr, "Hint: %s defines no service; a definition reads: service { name = \"web\" port = 80 }\n", path)
		}
		all = append(all, defs...)
	}
	return all, nil
}
