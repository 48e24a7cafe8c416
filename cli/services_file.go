package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lictor-mesh/lictor/agent/config/tree"
	"github.com/lictor-mesh/lictor/agent/definition"
	"github.com/lictor-mesh/lictor/model"
)

// readServices reads the services that the files define, in their order. "-" is stdin (HCL, which JSON is read as too).
func readServices(sh *shell, paths []string) ([]*model.ServiceDefinition, error) {
	var all []*model.ServiceDefinition
	for _, path := range paths {
		defs, err := readServiceFile(path)
		if err != nil {
			return nil, err
		}
		if len(defs) == 0 {
			fmt.Fprintf(sh.stderr, "Hint: %s defines no service; a definition reads: service { name = \"web\" port = 80 }\n", path)
		}
		all = append(all, defs...)
	}
	return all, nil
}

func readServiceFile(path string) ([]*model.ServiceDefinition, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("Error: config: Open failed on %s. %w", path, err)
	}
	root, err := parseFile(path, text)
	if err != nil {
		return nil, fileFault(path, err)
	}
	var defs []*model.ServiceDefinition
	for _, g := range root.Groups() {
		switch strings.ToLower(g.Key) {
		case "service", "services":
		default:
			continue // a service's file may be part of an agent's configuration
		}
		for _, v := range blocks(g) {
			def, err := definition.ServiceFromFile(g.Key, v)
			if err != nil {
				return nil, fileFault(path, err)
			}
			if err := checkService(path, def); err != nil {
				return nil, err
			}
			defs = append(defs, def)
		}
	}
	return defs, nil
}

func parseFile(path string, text []byte) (*tree.Value, error) {
	switch filepath.Ext(path) {
	case ".json":
		return tree.ParseJSONFile(text)
	case ".hcl":
		return tree.ParseHCL(text)
	}
	return nil, errors.New("unknown extension; must be .hcl or .json")
}

// blocks returns every object under a key: repeated blocks, and the elements of lists.
func blocks(g tree.Group) []*tree.Value {
	var out []*tree.Value
	for _, v := range g.Values {
		if v.Kind == tree.List {
			out = append(out, v.Items...)
			continue
		}
		out = append(out, v)
	}
	return out
}

func checkService(path string, def *model.ServiceDefinition) error {
	if problems := definition.Problems(def); len(problems) > 0 {
		return fmt.Errorf("Error: %s: service %q: %s", path, def.Service.Service, problems[0])
	}
	return nil
}

func fileFault(path string, err error) error {
	return fmt.Errorf("Error: failed to parse %s: %w", path, err)
}
