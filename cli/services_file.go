package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lictor-mesh/lictor/agent/config"
	"github.com/lictor-mesh/lictor/agent/config/tree"
	"github.com/lictor-mesh/lictor/model"
)

// readServices reads the services that the files define, in their order. Each file is first shown to accept, which may refuse it.
func readServices(sh *shell, paths []string, accept func(path string, text []byte) error) ([]model.ServiceDefinition, error) {
	var all []model.ServiceDefinition
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("Error: config: Open failed on %s. %w", path, err)
		}
		if err := accept(path, text); err != nil {
			return nil, err
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

// looseCheck finds a check beside the services of a file, which a registration of services would leave out.
func looseCheck(path string, text []byte) error {
	kind := "hcl"
	if strings.EqualFold(filepath.Ext(path), ".json") {
		kind = "json"
	}
	file, err := config.Parse(kind, text)
	if err != nil {
		return nil // a fault of the text is told of by who reads the services
	}
	for _, f := range file.Fields {
		if !strings.EqualFold(f.Key, "check") && !strings.EqualFold(f.Key, "checks") {
			continue
		}
		if f.Value.Kind == tree.Null || f.Value.Kind == tree.List && len(f.Value.Items) == 0 {
			continue
		}
		return withHint(fmt.Errorf("Error: failed to parse %s: At %d:%d: %s: stands beside the service, so it would not be registered",
			path, f.Pos.Line, f.Pos.Column, f.Key),
			"put it into the service block, or into a file in the agent's config directory")
	}
	return nil
}
