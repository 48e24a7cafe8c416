package definition

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/lictor-mesh/lictor/agent/config/tree"
	"github.com/lictor-mesh/lictor/model"
)

// fill sets every field that a community client may send to something else than zero.
func fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		if depth < 8 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			switch v.Type().Field(i).Name {
			// Fields of enterprise, of versions after 1.21, and the one that our API refuses.
			case "Namespace", "Partition", "DestinationNamespace", "DestinationPartition", "AI", "LocalServicePorts", "DestinationPort", "PeerName", "SidecarService", "ProxyHTTP", "ProxyGRPC":
			default:
				if v.Field(i).CanSet() {
					fill(v.Field(i), depth+1)
				}
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		elem := reflect.New(v.Type().Elem()).Elem()
		if elem.Kind() == reflect.Interface {
			elem.Set(reflect.ValueOf("x"))
		} else {
			fill(elem, depth+1)
		}
		v.SetMapIndex(reflect.ValueOf("k").Convert(v.Type().Key()), elem)
	case reflect.String:
		v.SetString("1s")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(7)
	}
}

func TestBodiesOfTheClientLibraryDecode(t *testing.T) {
	var service api.AgentServiceRegistration
	var check api.AgentCheckRegistration
	var registration api.CatalogRegistration
	var deregistration api.CatalogDeregistration
	for _, body := range []any{&service, &check, &registration, &deregistration} {
		fill(reflect.ValueOf(body).Elem(), 0)
	}
	service.Connect.SidecarService = &api.AgentServiceRegistration{Proxy: service.Proxy}
	for _, c := range []struct {
		body   any
		decode func([]byte) (any, error)
	}{
		{service, func(b []byte) (any, error) { return DecodeAgentService(b) }},
		{check, func(b []byte) (any, error) { return DecodeAgentCheck(b) }},
		{registration, func(b []byte) (any, error) { return DecodeRegistration(b) }},
		{deregistration, func(b []byte) (any, error) { return DecodeDeregistration(b) }},
	} {
		text, err := json.Marshal(c.body)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.decode(text)
		if err != nil {
			t.Errorf("%T: %v\n%s", c.body, err, text)
			continue
		}
		if def, ok := got.(*model.ServiceDefinition); ok {
			unset(t, "Service", reflect.ValueOf(def.Service), "Node", "Owner", "RaftIndexes")
			unset(t, "Proxy", reflect.ValueOf(*def.Service.Proxy), "RaftIndexes")
			unset(t, "Upstream", reflect.ValueOf(def.Service.Proxy.Upstreams[0]), "IngressHosts")
			unset(t, "Check", reflect.ValueOf(def.Checks[0]), "ServiceID", "Token", "DisableRedirects", "OSService", "OutputMaxSize")
		}
	}
}

// unset reports fields that the client sent and that did not arrive.
func unset(t *testing.T, name string, v reflect.Value, but ...string) {
	t.Helper()
	for i := range v.NumField() {
		if f := v.Type().Field(i).Name; v.Field(i).IsZero() && !slices.Contains(but, f) {
			t.Errorf("%s.%s was lost", name, f)
		}
	}
}

func TestEveryFieldHasTheFileKeyOfTheReference(t *testing.T) {
	// agent-config reference, service and check definitions.
	service := "id name tags address port socket_path meta kind tagged_addresses weights enable_tag_override token check checks proxy connect locality"
	check := "id name notes service_id token status args shell docker_container_id http method header body disable_redirects tcp tcp_use_tls udp grpc " +
		"grpc_use_tls h2ping h2ping_use_tls os_service alias_node alias_service ttl interval timeout tls_server_name tls_skip_verify output_max_size " +
		"success_before_passing failures_before_warning failures_before_critical deregister_critical_service_after"
	proxy := "destination_service_name destination_service_id local_service_address local_service_port local_service_socket_path mode transparent_proxy config upstreams mesh_gateway expose"
	upstream := "destination_type destination_name destination_peer datacenter local_bind_address local_bind_port local_bind_socket_path local_bind_socket_mode config mesh_gateway destination_namespace destination_partition"
	d := decoder{tables: tables(), file: true}
	for _, c := range []struct {
		keys string
		in   *shape
	}{
		{service, d.tables.service}, {check, d.tables.check}, {proxy, d.tables.byType[typeOf[model.Proxy]()]}, {upstream, d.tables.byType[typeOf[model.Upstream]()]},
	} {
		for _, key := range strings.Fields(c.keys) {
			if f := c.in.fields[key]; f == nil || !d.takes(f, key) {
				t.Errorf("key %q is not taken", key)
			}
		}
	}
}

func hclService(t *testing.T, text string) (*model.ServiceDefinition, error) {
	t.Helper()
	v, err := tree.ParseHCL([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ServiceFromFile("", v)
}

func TestServiceFromFile(t *testing.T) {
	def, err := hclService(t, `
		Name = "web"
		port = 8080
		tags = ["a"]
		token = "secret"
		check { http = "http://x" interval = "10s" deregistercriticalserviceafter = "2m" h2ping = "x" }
		check { ttl = "5s" }
		checks = [{ id = "c3", args = ["/bin/true"], interval = "1s" }]
		proxy {
			config { limits { max_connections = 5 } ratio = 1.5 whole = 2.0 list = [1, "x", { a = true }] }
			upstreams { destination_name = "db" local_bind_port = 1 }
			upstreams { destination_name = "kv" local_bind_port = 2 }
		}
		connect { sidecar_service { port = 20000 } }`)
	if err != nil {
		t.Fatal(err)
	}
	want := &model.ServiceDefinition{
		Service: model.Service{
			ID: "web", Service: "web", Port: 8080, Tags: []string{"a"}, Weights: defaultWeights,
			Proxy: &model.Proxy{
				Config: map[string]any{
					"limits": map[string]any{"max_connections": int64(5)}, "ratio": 1.5, "whole": int64(2),
					"list": []any{int64(1), "x", map[string]any{"a": true}},
				},
				Upstreams: []model.Upstream{
					{DestinationType: "service", DestinationName: "db", LocalBindPort: 1},
					{DestinationType: "service", DestinationName: "kv", LocalBindPort: 2},
				},
			},
		},
		Checks: []model.CheckDefinition{
			{HTTP: "http://x", Interval: 10 * time.Second, DeregisterCriticalServiceAfter: 2 * time.Minute, H2PING: "x", H2PingUseTLS: true},
			{TTL: 5 * time.Second},
			{CheckID: "c3", ScriptArgs: []string{"/bin/true"}, Interval: time.Second},
		},
		Sidecar: &model.ServiceDefinition{Service: model.Service{Port: 20000, Weights: defaultWeights}},
		Token:   model.NewSecret("secret"),
	}
	if !reflect.DeepEqual(def, want) {
		t.Errorf("got  %+v %+v\nwant %+v %+v", def, def.Service.Proxy, want, want.Service.Proxy)
	}
}

func TestFileErrorsNameLineKeyAndFix(t *testing.T) {
	for text, want := range map[string]string{
		"name = \"web\"\nprot = 1":                         `At 2:1: invalid config key prot; did you mean "port"?`,
		"name = \"web\"\ncheck {\n  intervall = \"1s\"\n}": `At 3:3: invalid config key check.intervall; did you mean "interval"?`,
		`port = "80"`:                 `At 1:8: port: expected a number, got string "80"`,
		`port = 80.5`:                 `At 1:8: port: expected a whole number of 32 bits, got number "80.5"`,
		"port = 1\nport = 2":          `At 2:1: port: the key is given twice; keep one`,
		`check { interval = 10 }`:     `At 1:20: check.interval: expected a duration in quotes, like "10s", got number "10"`,
		`check { interval = "soon" }`: `At 1:20: check.interval: "soon" is not a duration; write it like "10s" or "1m30s"`,
		`TLSSkipVerify = true`:        `At 1:1: invalid config key TLSSkipVerify`,
		`EnableTagOverride = true`:    `At 1:1: invalid config key EnableTagOverride; did you mean "enable_tag_override"?`,
		`tags = "a"`:                  `At 1:8: tags: expected a list, got string "a"`,
		`meta { a = 1 }`:              `At 1:12: meta.a: expected a string, got number "1"`,
		`proxy { upstreams { destination_namespace = "team" } }`: `At 1:45: proxy.upstreams.destination_namespace "team" - Namespaces are a Consul Enterprise feature`,
		"proxy = 5": `At 1:9: proxy: expected an object, got number "5"`,
	} {
		_, err := hclService(t, text)
		if err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %v", text, err, want)
		}
	}
}

func TestNullNeverReachesOpaqueConfig(t *testing.T) {
	def, err := DecodeAgentService([]byte(`{"Name":"web","Proxy":{"Config":{"a":null,"b":{"c":null,"d":[{"e":null}]},"n":12345678901234567890}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"b": map[string]any{"d": []any{map[string]any{}}}, "n": 12345678901234567890.0}
	if got := def.Service.Proxy.Config; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	_, err = DecodeAgentService([]byte(`{"Name":"web","Proxy":{"Config":{"b":{"d":[1,null]}}}}`))
	if want := "Request decode failed: Proxy.Config.b.d: element 2 is null; remove it or give it a value"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, body := range []string{`{"Name":"w","Checks":[null]}`, `{"Name":"w","Check":null,"Proxy":null,"Connect":null,"Tags":null,"Meta":null,"Weights":null}`,
		`{"Name":"w","Connect":{"SidecarService":null}}`, `{"Name":"w","Tags":[null],"TaggedAddresses":{"lan":null}}`} {
		if _, err := DecodeAgentService([]byte(body)); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
	if _, err := DecodeRegistration([]byte(`{"Node":"n","Address":"a","Service":null,"Check":null,"Checks":null}`)); err != nil {
		t.Error(err)
	}
}

func TestDurationsComeAsTextOrNanoseconds(t *testing.T) {
	for body, want := range map[string]time.Duration{
		`{"TTL":"90s"}`: 90 * time.Second, `{"TTL":30000000000}`: 30 * time.Second, `{"ttl":3e10}`: 30 * time.Second, `{"TTL":""}`: 0,
	} {
		c, err := DecodeAgentCheck([]byte(body))
		if err != nil || c.TTL != want {
			t.Errorf("%s: got %v, %v", body, c, err)
		}
	}
}

func TestProblemsNameWhatTheAPILetsPass(t *testing.T) {
	def, err := DecodeAgentService([]byte(`{"Name":"web","Port":70000,"Kind":"zzz","Checks":[{"CheckID":"a","TTL":"1s"},{"CheckID":"a","TTL":"1s"}],
		"Connect":{"SidecarService":{"Proxy":{"Mode":"zz","MeshGateway":{"Mode":"zz"}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := Problems(def); len(got) != 5 {
		t.Errorf("got %d problems: %q", len(got), got)
	}
	def, err = DecodeAgentService([]byte(`{"Name":"web","Port":65535,"Connect":{"SidecarService":{}}}`))
	if err != nil || len(Problems(def)) != 0 {
		t.Errorf("%v, %q", err, Problems(def))
	}
}

// FuzzBodies holds that no body makes a decoder panic, and that what decodes can be checked and expanded.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{`{"Name":"web","Port":1,"Connect":{"SidecarService":{"Proxy":{"Config":{"a":[{}]}}}}}`, `{"Node":"n","Check":{"Definition":{"TTL":1}}}`, `[`, `null`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if def, err := DecodeAgentService(body); err == nil {
			_ = Problems(def)
			_ = Checks(def)
			if ValidateService(def) == nil {
				_, _ = Sidecar(def, func(model.ServiceID) (int, bool) { return 1, true })
			}
		}
		if c, err := DecodeAgentCheck(body); err == nil {
			_ = ValidateCheck(c)
		}
		if reg, err := DecodeRegistration(body); err == nil {
			_ = CompleteRegistration(reg)
		}
		_, _ = DecodeDeregistration(body)
	})
}
