package config

import (
	"errors"

	"github.com/lictor-mesh/lictor/agent/config/tree"
	"github.com/lictor-mesh/lictor/model"
)

// Definitions reads the services of a file by its name and content, as `services register` takes them. The file may hold nothing else but
// services and checks that an agent's file may hold. Errors are one line, as HCL's parser words them:
// `failed to parse web.hcl: At 1:19: ...`.
func Definitions(name string, src []byte) ([]model.ServiceDefinition, error) {
	kind := format(name)
	if kind == "" {
		kind = "hcl"
	}
	b, err := newBuilder()
	if err != nil {
		return nil, err
	}
	v, err := Parse(kind, src)
	if err == nil {
		err = b.file(name, v)
	}
	var at *tree.Error
	if errors.As(err, &at) {
		return nil, invalid("failed to parse %s: %v", name, at)
	}
	return b.c.Services, err
}
