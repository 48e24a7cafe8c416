package certs

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// Provider is the name of the built-in authority in the API's Provider field.
const Provider = "consul"

const (
	minLeafTTL = time.Hour
	maxLeafTTL = 8760 * time.Hour
	// minFileLeafTTL bounds the tunable that only a config file can set.
	minFileLeafTTL = 5 * time.Second
)

// Config is the provider's configuration, read and checked.
type Config struct {
	LeafCertTTL         time.Duration
	IntermediateCertTTL time.Duration
	RootCertTTL         time.Duration
	Key                 KeyParams
	// CSRMaxPerSecond is the rate at which a server signs; 0 is no limit.
	CSRMaxPerSecond float64
	// CSRMaxConcurrent is how many it signs at once; 0 is no limit.
	CSRMaxConcurrent int
	// PrivateKey and RootCert are the operator's own root, both or none; see ImportRoot.
	PrivateKey model.Secret
	RootCert   string
}

// DefaultConfig is what holds where the operator sets nothing.
func DefaultConfig() Config {
	return Config{
		LeafCertTTL: 72 * time.Hour, IntermediateCertTTL: 8760 * time.Hour, RootCertTTL: DefaultRootTTL,
		Key: KeyParams{EC, 256}, CSRMaxPerSecond: 50,
	}
}

// ParseConfig reads the Provider and Config of the API (or of connect.ca_provider and ca_config, see
// CanonicalKeys). Keys it does not know are ignored, as recorded. Texts of errors are as recorded.
func ParseConfig(provider string, raw map[string]any) (Config, error) {
	c := DefaultConfig()
	if provider != Provider {
		return c, fault.New(fault.Invalid, "could not initialize provider: unknown CA provider %q", provider).
			WithHint("the built-in authority is the provider %q", Provider)
	}
	d := decoder{raw: raw}
	d.duration("LeafCertTTL", &c.LeafCertTTL)
	d.duration("IntermediateCertTTL", &c.IntermediateCertTTL)
	d.duration("RootCertTTL", &c.RootCertTTL)
	d.number("CSRMaxPerSecond", &c.CSRMaxPerSecond)
	d.whole("CSRMaxConcurrent", &c.CSRMaxConcurrent)
	keyType, bits, key := "", 0, ""
	d.text("PrivateKeyType", &keyType)
	d.whole("PrivateKeyBits", &bits)
	d.text("PrivateKey", &key)
	d.text("RootCert", &c.RootCert)
	if len(d.errs) > 0 {
		slices.Sort(d.errs)
		return c, fault.New(fault.Invalid, "error configuring provider: error decoding config: %d error(s) decoding:\n\n* %s",
			len(d.errs), strings.Join(d.errs, "\n* "))
	}
	c.PrivateKey = model.NewSecret(key)
	var err error
	if c.Key, err = (KeyParams{Type: KeyType(keyType), Bits: bits}).withDefaults(); err == nil {
		err = c.check()
	}
	if err != nil {
		return c, fault.New(fault.Invalid, "error configuring provider: %w", err).WithHint("%s", fault.HintOf(err))
	}
	return c, nil
}

func (c Config) check() error {
	switch {
	case c.LeafCertTTL < minLeafTTL:
		return fault.New(fault.Invalid, "leaf cert TTL must be greater or equal than %s", minLeafTTL)
	case c.LeafCertTTL > maxLeafTTL:
		return fault.New(fault.Invalid, "leaf cert TTL must be less than %s", maxLeafTTL)
	case c.IntermediateCertTTL < 3*c.LeafCertTTL:
		return fault.New(fault.Invalid, "Intermediate Cert TTL must be greater or equal than 3 * LeafCertTTL (>=%s).", 3*c.LeafCertTTL)
	case c.RootCertTTL < c.IntermediateCertTTL:
		return fault.New(fault.Invalid, "root cert TTL %s is shorter than the intermediate cert TTL %s", c.RootCertTTL, c.IntermediateCertTTL)
	case c.CSRMaxPerSecond < 0 || c.CSRMaxConcurrent < 0:
		return fault.New(fault.Invalid, "CSRMaxPerSecond and CSRMaxConcurrent must not be negative")
	case c.PrivateKey.IsZero() != (c.RootCert == ""):
		return fault.New(fault.Invalid, "PrivateKey and RootCert must be given both or not at all")
	}
	return nil
}

// LeafTTL returns the life of new leaves: the configuration's, or the override of the tunable that only a
// config file can set, 0 being none. That one may be shorter than the API allows, never longer.
func (c Config) LeafTTL(override time.Duration) (time.Duration, error) {
	switch {
	case override == 0:
		return c.LeafCertTTL, nil
	case override < minFileLeafTTL || override > maxLeafTTL:
		return 0, fault.New(fault.Invalid, "leaf certificate TTL override is %s, it may be %s to %s", override, minFileLeafTTL, maxLeafTTL)
	}
	return override, nil
}

// CanonicalKeys returns a config file's ca_config with its snake_case keys spelled as in the API. A key
// that is given in both spellings is an error. Keys of other providers and unknown ones stay as they are.
func CanonicalKeys(raw map[string]any) (map[string]any, error) {
	known := map[string]string{
		"leaf_cert_ttl": "LeafCertTTL", "intermediate_cert_ttl": "IntermediateCertTTL", "root_cert_ttl": "RootCertTTL",
		"private_key_type": "PrivateKeyType", "private_key_bits": "PrivateKeyBits", "private_key": "PrivateKey", "root_cert": "RootCert",
		"csr_max_per_second": "CSRMaxPerSecond", "csr_max_concurrent": "CSRMaxConcurrent",
	}
	out := make(map[string]any, len(raw))
	for k, v := range raw {
		if name, ok := known[k]; ok {
			k = name
		}
		if _, twice := out[k]; twice {
			return nil, fault.New(fault.Invalid, "ca_config has %s twice, in two spellings", k)
		}
		out[k] = v
	}
	return out, nil
}

// decoder reads values as JSON, HCL and msgpack leave them in a map of any.
type decoder struct {
	raw  map[string]any
	errs []string
}

func (d *decoder) fail(key, format string, args ...any) {
	d.errs = append(d.errs, fmt.Sprintf("error decoding '%s': ", key)+fmt.Sprintf(format, args...))
}

func (d *decoder) duration(key string, out *time.Duration) {
	switch v := d.raw[key].(type) {
	case nil:
	case string:
		t, err := time.ParseDuration(v)
		if err != nil {
			d.fail(key, "%v", err)
			return
		}
		*out = t
	default:
		n := float64(*out)
		d.number(key, &n) // nanoseconds, as Go's durations in JSON
		*out = time.Duration(n)
	}
}

func (d *decoder) text(key string, out *string) {
	switch v := d.raw[key].(type) {
	case nil:
	case string:
		*out = v
	default:
		d.fail(key, "expected a string, got %T", v)
	}
}

func (d *decoder) whole(key string, out *int) {
	n := float64(*out)
	d.number(key, &n)
	if n != float64(int(n)) {
		d.fail(key, "expected a whole number, got %v", n)
		return
	}
	*out = int(n)
}

func (d *decoder) number(key string, out *float64) {
	switch v := d.raw[key].(type) {
	case nil:
	case int:
		*out = float64(v)
	case int64:
		*out = float64(v)
	case uint64:
		*out = float64(v)
	case float32:
		*out = float64(v)
	case float64:
		*out = v
	case string:
		n, err := strconv.ParseFloat(v, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			d.fail(key, "expected a number, got %q", v)
			return
		}
		*out = n
	default:
		d.fail(key, "expected a number, got %T", v)
	}
}
