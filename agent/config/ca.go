package config

import (
	"sort"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/agent/config/tree"
	"github.com/lictor-mesh/lictor/agent/definition"
)

// caKeys are the keys of connect.ca_config, as the HTTP API names them; files use their snake_case too.
const caKeys = "LeafCertTTL IntermediateCertTTL RootCertTTL PrivateKeyType PrivateKeyBits CSRMaxPerSecond CSRMaxConcurrent PrivateKey RootCert " +
	"Address Token AuthMethod RootPKIPath RootPKINamespace IntermediatePKIPath IntermediatePKINamespace Namespace CAFile CAPath CertFile KeyFile " +
	"TLSServerName TLSSkipVerify Region ExistingARN DeleteOnExit RotationPeriod ClusterID"

// resolveCA renames the keys of ca_config to the API's and checks the durations among them.
func (b *builder) resolveCA() error {
	known := map[string]string{}
	var names []string
	for _, name := range strings.Fields(caKeys) {
		known[strings.ToLower(name)] = name
		known[definition.Snake(name)] = name
		names = append(names, definition.Snake(name))
	}
	sort.Strings(names)
	b.c.Connect.CAConfig = map[string]any{}
	for key, value := range b.c.raw.caConfig {
		name, ok := known[strings.ToLower(key)]
		if !ok {
			err := invalid("invalid config key connect.ca_config.%s", key)
			if near, ok := tree.Nearest(key, names); ok {
				err = invalid("invalid config key connect.ca_config.%s; did you mean %q?", key, near)
			}
			return err
		}
		if strings.HasSuffix(name, "TTL") {
			text, isText := value.(string)
			if _, err := time.ParseDuration(text); err != nil || !isText {
				return invalid("connect.ca_config.%s: %v is not a duration; write it like \"72h\"", key, value)
			}
		}
		b.c.Connect.CAConfig[name] = value
	}
	return nil
}
