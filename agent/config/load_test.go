package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// host is a machine that does not exist.
type host struct {
	private []netip.Addr
	expand  map[string]string
}

func (host) Hostname() (string, error)            { return "box", nil }
func (h host) PrivateIPv4() ([]netip.Addr, error) { return h.private, nil }
func (host) PublicIPv6() ([]netip.Addr, error)    { return nil, nil }
func (h host) Expand(text string) (string, error) {
	if out, ok := h.expand[text]; ok {
		return out, nil
	}
	return "", errors.New("unknown function")
}

var oneHost = host{
	private: []netip.Addr{netip.MustParseAddr("10.0.0.7")},
	expand:  map[string]string{`{{ GetInterfaceIP "eth0" }}`: "10.0.0.7", `{{ two }}`: "10.0.0.7 127.0.0.1", `{{ none }}`: ""},
}

// disk is a file system of its contents.
type disk map[string]string

func (d disk) fs() fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range d {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}
func (d disk) ReadFile(name string) ([]byte, error)       { return fs.ReadFile(d.fs(), name) }
func (d disk) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(d.fs(), name) }

// load makes a configuration from a command line over files.
func load(t *testing.T, files disk, args ...string) (*Config, []string, error) {
	t.Helper()
	var flags Flags
	set := flag.NewFlagSet("agent", flag.ContinueOnError)
	set.SetOutput(new(bytes.Buffer))
	flags.Bind(set)
	if err := set.Parse(args); err != nil {
		return nil, nil, err
	}
	return Load(Sources{Flags: &flags, Files: files, Host: oneHost})
}

func mustLoad(t *testing.T, files disk, args ...string) *Config {
	t.Helper()
	c, _, err := load(t, files, args...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLaterSourcesWinAndListsAppend(t *testing.T) {
	files := disk{
		"a.json":      `{"node_name":"a","retry_join":["a"],"node_meta":{"x":"a","y":"a"},"ports":{"http":1}}`,
		"d/20.hcl":    `node_name = "d20" retry_join = ["d20"] log_level = "warn"`,
		"d/10.hcl":    `node_name = "d10" retry_join = ["d10"] node_meta { x = "d10" } ports { dns = 2 } service { name = "s1" }`,
		"d/note.txt":  `not read`,
		"d/sub/x.hcl": `node_name = "never"`,
		"z.conf":      `retry_join = ["z"] service { name = "s2" } service { name = "s3" }`,
	}
	c, warnings, err := load(t, files, "-data-dir=/d", "-config-file=a.json", "--retry-join", "flag", "-config-dir=d", "-config-dir=missing",
		"-node-meta=x:flag", "-http-port=3", "-hcl", `log_level = "ERR" ports { http = 4 }`)
	if err != nil {
		t.Fatal(err)
	}
	if c.NodeName != "d20" || c.Log.Level != "ERROR" || c.Ports.HTTP != 4 || c.Ports.DNS != 2 {
		t.Errorf("got node %s, level %s, ports %+v", c.NodeName, c.Log.Level, c.Ports)
	}
	if want := []string{"flag", "a", "d10", "d20"}; !slices.Equal(c.RetryJoin, want) {
		t.Errorf("retry_join: got %v, want %v", c.RetryJoin, want)
	}
	if want := map[string]string{"x": "flag", "y": "a"}; !reflect.DeepEqual(c.NodeMeta, want) {
		t.Errorf("node_meta: got %v, want %v", c.NodeMeta, want)
	}
	for _, want := range []string{"d/note.txt is skipped", "-config-dir missing does not exist"} {
		if !strings.Contains(strings.Join(warnings, "\n"), want) {
			t.Errorf("no warning %q in %q", want, warnings)
		}
	}
	c = mustLoad(t, files, "-data-dir=/d", "-config-format=hcl", "-config-file=z.conf", "-config-dir=d")
	var names []string
	for _, s := range c.Services {
		names = append(names, string(s.Service.ID))
	}
	if want := []string{"s2", "s3", "s1"}; !slices.Equal(names, want) {
		t.Errorf("services: got %v, want %v", names, want)
	}
}

func TestDefaults(t *testing.T) {
	c := mustLoad(t, nil, "-data-dir=/d")
	for _, row := range []struct{ name, got, want string }{
		{"node", string(c.NodeName), "box"}, {"dc", c.Datacenter + c.PrimaryDatacenter, "dc1dc1"}, {"advertise", c.AdvertiseAddr.String(), "10.0.0.7"},
		{"http", fmt.Sprint(c.HTTPAddrs), "[tcp://127.0.0.1:8500]"}, {"https", fmt.Sprint(c.HTTPSAddrs), "[]"},
		{"grpc", fmt.Sprint(c.GRPCAddrs), "[tcp://127.0.0.1:8502]"}, {"grpc_tls", fmt.Sprint(c.GRPCTLSAddrs), "[]"},
		{"dns", fmt.Sprint(c.DNSAddrs), "[tcp://127.0.0.1:8600]"}, {"lan", c.SerfBindLAN.String(), "0.0.0.0:8301"}, {"wan", c.SerfBindWAN.String(), "invalid AddrPort"},
		{"leave", fmt.Sprint(c.LeaveOnTerminate, c.SkipLeaveOnInterrupt), "true false"}, {"raft", fmt.Sprint(c.Performance.RaftMultiplier), "1"},
		{"tagged", fmt.Sprint(c.TaggedAddresses), "map[lan:10.0.0.7 lan_ipv4:10.0.0.7 wan:10.0.0.7 wan_ipv4:10.0.0.7]"},
		{"no effect", fmt.Sprint(c.NoEffect), "[]"},
	} {
		if row.got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, row.got, row.want)
		}
	}
	s := mustLoad(t, nil, "-data-dir=/d", "-server", "-grpc-port=-1", "-bind", `{{ GetInterfaceIP "eth0" }}`)
	if got := fmt.Sprint(s.GRPCAddrs, s.GRPCTLSAddrs, s.LeaveOnTerminate, s.RPCBind, s.SerfBindWAN); got != "[] [tcp://127.0.0.1:8503] false 10.0.0.7:8300 10.0.0.7:8302" {
		t.Errorf("server: got %s", got)
	}
}

// TestErrorsNameThePlaceAndTheFix holds the text of every refusal.
func TestErrorsNameThePlaceAndTheFix(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a.hcl", "server = true\nprots { http = 1 }", `failed to parse a.hcl:2:1: invalid config key prots; did you mean "ports"?`},
		{"a.hcl", "ports {\n  htp = 1\n}", `failed to parse a.hcl:2:3: invalid config key ports.htp; did you mean "ports.http"?`},
		{"a.hcl", `default_policy = "deny"`, `failed to parse a.hcl:1:1: invalid config key default_policy; did you mean "acl.default_policy"?`},
		{"a.hcl", `only_passing = true`, `failed to parse a.hcl:1:1: invalid config key only_passing; did you mean "dns_config.only_passing"?`},
		{"a.json", "{\n \"ports\": {\"http\": \"80\"}}", `failed to parse a.json:2:20: ports.http: expected a number, got string "80"`},
		{"a.hcl", `server = "yes"`, `failed to parse a.hcl:1:10: server: expected true or false, got string "yes"`},
		{"a.hcl", "log_level = \"a\"\nlog_level = \"b\"", `failed to parse a.hcl:2:1: log_level: the key is given twice; keep one`},
		{"a.hcl", "ports { http = 1 }\nports { http = 2 }", ""},
		{"a.json", `{"retry_interval": 10}`, `failed to parse a.json:1:20: retry_interval: expected a duration in quotes, like "10s", got number "10"`},
		{"a.hcl", "ports = 5", `failed to parse a.hcl:1:9: ports: expected a block like ports { ... }, got number`},
		{"a.hcl", "service {\n name = ", `failed to parse a.hcl:2:10: object expected closing RBRACE got: EOF`},
		{"a.json", "{\n\"a\" 1}", `failed to parse a.json:2:5: invalid character '1' after object key`},
		{"a.json", ``, `failed to parse a.json:1:1: EOF`},
		{"a.json", `[]`, `failed to parse a.json:1:1: expected a JSON object, got array`},
		{"a.json", "{}\n{}", `failed to parse a.json:2:1: text after the JSON object; a file holds one object`},
		{"a.conf", "", "-config-file a.conf: unknown extension; name it .hcl or .json, or set -config-format"},
		{"a.hcl", "service { port = 1 }", `failed to parse a.hcl:1:9: service "": Missing service name`},
		{"a.hcl", "service { name = \"w\"\n port = 70000 }", `failed to parse a.hcl:1:9: service: port 70000 of service "w" is not a port; use 1 to 65535, or 0 for none`},
		{"a.hcl", "service { name = \"w\"\n prt = 1 }", `failed to parse a.hcl:2:2: invalid config key service.prt; did you mean "port"?`},
		{"a.hcl", `service { name = "w" kind = "connect-proxy" }`, `failed to parse a.hcl:1:9: service "w": Validation failed: 2 errors occurred: Proxy.DestinationServiceName must be non-empty for Connect proxy services; Port or SocketPath must be set for a connect-proxy`},
		{"a.hcl", `services { name = "w" } services { name = "w" }`, `service id "w" is given twice; each instance needs its own id`},
		{"a.hcl", `check { name = "c" http = "x" }`, `failed to parse a.hcl:1:7: check "c": Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks`},
		{"a.hcl", `data_dir = ""`, "data_dir cannot be empty; set -data-dir, or try -dev which keeps everything in memory"},
		{"a.hcl", `bootstrap = true`, "bootstrap = true requires server = true"},
		{"a.hcl", `server = true bootstrap = true bootstrap_expect = 3`, "bootstrap_expect > 0 and bootstrap = true exclude each other; keep bootstrap_expect"},
		{"a.hcl", `datacenter = "a b"`, `datacenter "a b" can only contain lower case letters, digits, - and _`},
		{"a.hcl", `encrypt = "abc"`, "encrypt is no gossip key: it must be 16, 24 or 32 bytes in base64; `keygen` makes one"},
		{"a.hcl", `performance { raft_multiplier = 11 }`, "performance.raft_multiplier cannot be 11; use 1 to 10"},
		{"a.hcl", `raft_protocol = 2`, "raft_protocol 2 is not supported; 3 is the only one, leave the key out"},
		{"a.hcl", `advertise_addr = "0.0.0.0"`, "advertise_addr cannot be 0.0.0.0; name an address that others can reach"},
		{"a.hcl", `bind_addr = "{{ two }}"`, `bind_addr: "{{ two }}" gives 2 addresses; name one`},
		{"a.hcl", `bind_addr = "{{ none }}"`, `bind_addr: the template "{{ none }}" gives no address on this host`},
		{"a.hcl", `bind_addr = "eth0"`, `bind_addr: "eth0" is not an IP address`},
		{"a.hcl", `client_addr = "localhost"`, `client_addr: "localhost" is neither an IP address nor a unix:// socket`},
		{"a.hcl", `addresses { dns = "unix:///x" }`, `addresses.dns: DNS address cannot be a unix socket; name an IP address in addresses.dns`},
		{"a.hcl", `ports { http = 8600 }`, `HTTP address 127.0.0.1:8600 already configured for DNS`},
		{"a.hcl", `ports { grpc = 8301 }`, `Serf LAN address 0.0.0.0:8301 already configured for gRPC`},
		{"a.hcl", `ports { server = -1 }`, `ports.server: -1 is not a port; use 1 to 65535 (it cannot be turned off)`},
		{"a.hcl", `ports { http = 70000 }`, `ports.http: 70000 is not a port; use 1 to 65535, or -1 to turn it off`},
		{"a.hcl", `connect { ca_provider = "x" }`, `connect.ca_provider "x" is unknown; use one of consul`},
		{"a.hcl", `connect { ca_config { leaf_cert_tl = "1h" } }`, `invalid config key connect.ca_config.leaf_cert_tl; did you mean "leaf_cert_ttl"?`},
		{"a.hcl", `connect { ca_config { leaf_cert_ttl = 5 } }`, `connect.ca_config.leaf_cert_ttl: 5 is not a duration; write it like "72h"`},
		{"a.hcl", `auto_encrypt { allow_tls = true }`, `auto_encrypt.allow_tls is for servers; clients set auto_encrypt.tls`},
		{"a.hcl", `alt_domain = "service.x"`, `alt_domain cannot start with {service,connect,node,query,addr,dc1}`},
		{"a.hcl", `lictor { leaf_cert_ttl_override = "1s" }`, `lictor.leaf_cert_ttl_override cannot be 1s; use 5s or more, or leave it out`},
		{"a.hcl", `node_meta { "a b" = "c" }`, `node_meta: Couldn't load metadata pair ('a b', 'c'): Key contains invalid characters`},
		{"a.hcl", `node_name = " "`, `node_name cannot be empty; set it, or leave the key out for the host name`},
		{"a.hcl", `node_id = "x"`, `node_id "x": uuid string is wrong length; write it like 8cd63dd5-b5a9-4c3f-9d3e-2f3cbf3f1a5e`},
		{"a.hcl", `http_config { allow_write_http_from = ["10.0.0.1"] }`, `http_config.allow_write_http_from: "10.0.0.1" is not a network like 10.0.0.0/8`},
		{"a.hcl", `ports { grpc = 8502 grpc_tls = -1 } tls { grpc { cert_file = "x" } }`, `tls.grpc is set but ports.grpc_tls is off, and ports.grpc never uses TLS; set ports.grpc_tls (8503)`},
	} {
		args := []string{"-config-file=" + c.name}
		if !strings.Contains(c.text, "data_dir") {
			args = append(args, "-data-dir=/d")
		}
		got, _, err := load(t, disk{c.name: c.text}, args...)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s\nrefused: %v", c.text, err)
		case c.want == "":
		case err == nil || err.Error() != c.want || got != nil:
			t.Errorf("%s\ngot  %v\nwant %s", c.text, err, c.want)
		case strings.Contains(err.Error(), "\n") || !fault.Is(err, fault.Invalid):
			t.Errorf("not one line of kind invalid: %q", err)
		}
	}
	if _, _, err := load(t, nil, "-data-dir=/d", "-config-file=gone.hcl"); err == nil || err.Error() != "config file gone.hcl cannot be read: file does not exist" {
		t.Errorf("got %v", err)
	}
	if _, _, err := load(t, nil, "-http-port=x"); err == nil || !strings.Contains(err.Error(), `"x" is not a whole number`) {
		t.Errorf("got %v", err)
	}
}

func TestAmbiguousHostIsRefused(t *testing.T) {
	for n, want := range map[int]string{0: "No private IPv4 address found", 2: "Multiple private IPv4 addresses found"} {
		h := host{private: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}[:n]}
		_, _, err := Load(Sources{Flags: &Flags{Fragments: []string{`data_dir = "/d"`}}, Host: h})
		if err == nil || err.Error() != want+". Please configure one with 'bind' and/or 'advertise'." {
			t.Errorf("got %v", err)
		}
		_, _, err = Load(Sources{Flags: &Flags{Fragments: []string{`data_dir = "/d" advertise_addr = "10.0.0.2"`}}, Host: h})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	c := mustLoad(t, nil, "-data-dir=/d", "-encrypt=pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=", "-hcl", `
		acl { tokens { agent = "sesame" initial_management = "sesame" default = "sesame" } }
		connect { ca_config { private_key = "sesame" token = "sesame" } } service { name = "w" token = "sesame" }`)
	if c.ACL.Agent.Reveal() != "sesame" || c.EncryptKey.IsZero() {
		t.Fatal("the tokens were not read")
	}
	shown, err := json.Marshal(c.Sanitized())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"sesame", "pUqJrVy"} {
		if strings.Contains(string(shown), secret) || strings.Contains(fmt.Sprintf("%+v", *c), secret) && secret != "sesame" {
			t.Errorf("%s is shown", secret)
		}
	}
}

func TestReloadTellsWhatItAppliesAndWhatNeedsARestart(t *testing.T) {
	old := mustLoad(t, nil, "-data-dir=/d", "-hcl", `log_level = "INFO" ports { http = 1 } service { name = "a" }`)
	loaded := mustLoad(t, nil, "-data-dir=/d", "-hcl", `log_level = "DEBUG" ports { http = 2 } service { name = "b" } node_meta { a = "b" } server_name = "x"`)
	applied, restart := Diff(old, loaded)
	if want := []string{"log_level", "node_meta", "services"}; !slices.Equal(applied, want) {
		t.Errorf("applied: got %v, want %v", applied, want)
	}
	if want := []string{"ports.http", "server_name"}; !slices.Equal(restart, want) {
		t.Errorf("needs restart: got %v, want %v", restart, want)
	}
	next := Reloaded(old, loaded)
	if next.Log.Level != "DEBUG" || next.Services[0].Service.ID != "b" || next.Ports.HTTP != 1 || old.Log.Level != "INFO" {
		t.Errorf("got %s %v %d", next.Log.Level, next.Services, next.Ports.HTTP)
	}
	if applied, restart := Diff(next, loaded); len(applied) != 0 || len(restart) != 2 {
		t.Errorf("after the reload: %v, %v", applied, restart)
	}
	if applied, restart := Diff(old, old); len(applied)+len(restart) != 0 {
		t.Errorf("no change: %v, %v", applied, restart)
	}
}

func TestOptionsWithoutEffectAreNamed(t *testing.T) {
	c := mustLoad(t, nil, "-data-dir=/d", "-hcl", `recursors = ["1.1.1.1"] license_path = "x" disable_update_check = true peering { enabled = true } log_level = "WARN"`)
	if want := []string{"license_path", "recursors"}; !slices.Equal(c.NoEffect, want) {
		t.Errorf("got %v, want %v", c.NoEffect, want)
	}
}

func TestDeprecatedKeysFillTheirSuccessors(t *testing.T) {
	c, warnings, err := load(t, nil, "-data-dir=/d", "-join=a", "-hcl", `start_join = ["b"] acl_default_policy = "deny"`)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.RetryJoin, []string{"a", "b"}) || c.ACL.DefaultPolicy != "deny" {
		t.Errorf("got %v, %s", c.RetryJoin, c.ACL.DefaultPolicy)
	}
	if want := "-hcl: acl_default_policy is deprecated; use acl.default_policy"; !slices.Contains(warnings, want) {
		t.Errorf("no %q in %q", want, warnings)
	}
}

func TestOurEnvironmentWinsOverTheirs(t *testing.T) {
	env := map[string]string{"CONSUL_INTRO_TOKEN": "theirs", "LICTOR_INTRO_TOKEN": "ours"}
	for _, want := range []string{"ours", "theirs"} {
		c, _, err := Load(Sources{Flags: &Flags{Fragments: []string{`data_dir = "/d"`}}, Host: oneHost, Env: func(k string) string { return env[k] }})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.kept["auto_config.intro_token"].(*model.Secret).Reveal(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		delete(env, "LICTOR_INTRO_TOKEN")
	}
}

func TestAuthoritySettingsHaveTheNamesOfTheAPI(t *testing.T) {
	c := mustLoad(t, nil, "-dev", "-hcl", `connect { ca_config { leaf_cert_ttl = "24h" PrivateKeyType = "rsa" private_key_bits = 2048 } } lictor { leaf_cert_ttl_override = "20s" }`)
	want := map[string]any{"LeafCertTTL": "24h", "PrivateKeyType": "rsa", "PrivateKeyBits": int64(2048)}
	if !reflect.DeepEqual(c.Connect.CAConfig, want) {
		t.Errorf("got %v, want %v", c.Connect.CAConfig, want)
	}
	if c.Lictor.LeafCertTTLOverride != 20*time.Second {
		t.Errorf("got %v", c.Lictor)
	}
}

func TestEphemeralPortsKeepAddressesAndWhatIsOff(t *testing.T) {
	c := mustLoad(t, nil, "-dev", "-hcl", `addresses { http = "127.0.0.1 unix:///x" } ports { dns = -1 }`)
	e := c.WithEphemeralPorts()
	got := fmt.Sprint(e.HTTPAddrs, e.GRPCAddrs, e.DNSAddrs, e.RPCBind, e.SerfBindLAN, e.SerfBindWAN)
	if want := "[tcp://127.0.0.1:0 unix:///x] [tcp://127.0.0.1:0] [] 127.0.0.1:0 127.0.0.1:0 127.0.0.1:0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if c.HTTPAddrs[0].Address != "127.0.0.1:8500" {
		t.Errorf("the configuration was changed: %v", c.HTTPAddrs)
	}
}

func TestDefinitionsOfAFile(t *testing.T) {
	services, err := Definitions("two.hcl", []byte("services { name = \"t1\" }\nservices { name = \"t2\" }\n"))
	if err != nil || len(services) != 2 {
		t.Errorf("got %v, %v", services, err)
	}
	services, err = Definitions("web.json", []byte(`{"service":{"name":"api","port":81,"meta":{"k":"v"}}}`))
	if err != nil || len(services) != 1 || services[0].Service.Meta["k"] != "v" {
		t.Errorf("got %v, %v", services, err)
	}
	_, err = Definitions("bad.hcl", []byte("service { name = "))
	if want := "failed to parse bad.hcl: At 1:19: object expected closing RBRACE got: EOF"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// FuzzFiles holds that no text makes the loader panic, and that an error is one line.
func FuzzFiles(f *testing.F) {
	for _, seed := range []string{`ports { http = 1 }`, `service "x" { }`, `a = [[{}]]`, `check { http = <<EOF
x
EOF
 }`} {
		f.Add("hcl", seed)
	}
	f.Add("json", `{"services":[{"name":"a","proxy":{"config":{"a":[null]}}}]}`)
	f.Fuzz(func(t *testing.T, format, text string) {
		b, err := newBuilder()
		if err != nil {
			t.Fatal(err)
		}
		if err := b.text("f", format, []byte(text)); err != nil {
			return
		}
		if b.resolve(oneHost) == nil && b.validate() == nil {
			b.c.Sanitized()
		}
	})
}
