package definition

import (
	"reflect"
	"strings"
	"sync"

	"github.com/lictor-mesh/lictor/agent/config/tree"
	"github.com/lictor-mesh/lictor/model"
)

// shape is the table of the keys that one kind of object takes.
type shape struct {
	fields map[string]*field
	// files lists the snake_case spellings, for suggestions and documentation.
	files []string
	// before sets defaults that stand for absent keys; may be nil.
	before func(target reflect.Value)
	// finish sets defaults that depend on which keys were there; may be nil.
	finish func(target reflect.Value, has map[string]bool)
}

// field is one key of a shape. A field without a path is accepted and ignored: what an answer of the API carries
// may be sent back.
type field struct {
	name string
	path []int
	// custom decodes in place of the type's own decoder.
	custom func(d *decoder, at string, g tree.Group, target reflect.Value) error
	// apiOnly hides a field from files.
	apiOnly bool
}

func newShape() *shape { return &shape{fields: map[string]*field{}} }

// add enters a field under its name, its snake_case form, and aliases.
func (s *shape) add(f *field, aliases ...string) {
	for _, spelling := range append([]string{f.name, Snake(f.name)}, aliases...) {
		s.fields[strings.ToLower(spelling)] = f
	}
	if !f.apiOnly {
		s.files = append(s.files, Snake(f.name))
	}
}

// addStruct enters all fields of t, whose value lies at prefix in the target, but those named in but.
func (s *shape) addStruct(t reflect.Type, prefix []int, but ...string) {
	skip := map[string]bool{"RaftIndexes": true, "Owner": true}
	for _, name := range but {
		skip[name] = true
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if skip[f.Name] {
			continue
		}
		path := append(append([]int(nil), prefix...), i)
		s.add(&field{name: f.Name, path: path}, otherSpellings[f.Name]...)
	}
}

// ignore enters keys that are accepted without effect.
func (s *shape) ignore(names ...string) {
	for _, name := range names {
		s.add(&field{name: name, apiOnly: true})
	}
}

// otherSpellings are the names that a field has beside its own. It is read only.
var otherSpellings = map[string][]string{
	"CheckID":    {"ID"},
	"ScriptArgs": {"Args"},
}

// squashed are the API names that files take too, for the sake of files written for old versions.
var squashed = []string{"serviceid", "scriptargs", "dockercontainerid", "tlsskipverify", "deregistercriticalserviceafter"}

// shapes are the tables of all objects. They are built once, on first use, and never change.
type shapes struct {
	service, connect               *shape
	serviceCheck, check, checkRun  *shape
	catalogService, catalogConnect *shape
	catalogCheck                   *shape
	registration, deregistration   *shape
	byType                         map[reflect.Type]*shape
}

var tables = sync.OnceValue(buildShapes)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// at returns the index path of a field of T.
func at[T any](name string) []int {
	f, ok := reflect.TypeFor[T]().FieldByName(name)
	if !ok {
		panic("definition: no field " + name + " in " + reflect.TypeFor[T]().Name())
	}
	return f.Index
}

func buildShapes() *shapes {
	t := &shapes{byType: map[reflect.Type]*shape{}}
	for _, typ := range []reflect.Type{
		typeOf[model.Proxy](), typeOf[model.TransparentProxy](), typeOf[model.MeshGateway](), typeOf[model.Expose](),
		typeOf[model.ExposePath](), typeOf[model.AccessLogs](), typeOf[model.EnvoyExtension](), typeOf[model.Upstream](),
		typeOf[model.ServiceAddress](), typeOf[model.Weights](), typeOf[model.NamedPort](), typeOf[model.Locality](),
	} {
		s := newShape()
		s.addStruct(typ, nil)
		t.byType[typ] = s
	}
	t.byType[typeOf[model.ExposePath]()].ignore("ParsedFromCheck")
	upstream := t.byType[typeOf[model.Upstream]()]
	upstream.ignore("CentrallyConfigured")
	upstream.add(&field{name: "DestinationNamespace", custom: onlyDefault("Namespaces")})
	upstream.add(&field{name: "DestinationPartition", custom: onlyDefault("Partitions")})
	t.byType[typeOf[model.Weights]()].before = func(v reflect.Value) { v.Set(reflect.Zero(v.Type())) }

	t.buildChecks()
	t.buildServices()
	t.buildCatalog()
	return t
}

func (t *shapes) buildChecks() {
	definition := typeOf[model.CheckDefinition]()
	// A TLS ping is the default; it must not make an absent check look like one that is set.
	h2tls := func(target reflect.Value, has map[string]bool) {
		c := target.Addr().Interface().(*model.CheckDefinition)
		if c.H2PING != "" && !has["H2PingUseTLS"] {
			c.H2PingUseTLS = true
		}
	}
	t.serviceCheck, t.check = newShape(), newShape()
	t.serviceCheck.addStruct(definition, nil, "ServiceID")
	t.check.addStruct(definition, nil)
	t.serviceCheck.finish, t.check.finish = h2tls, h2tls

	t.checkRun = newShape()
	t.checkRun.addStruct(definition, nil, "CheckID", "Name", "Notes", "ServiceID", "Status", "Token")
	for _, name := range []string{"TTL", "Interval", "Timeout", "DeregisterCriticalServiceAfter"} {
		t.checkRun.add(&field{name: name + "Duration", path: at[model.CheckDefinition](name), apiOnly: true})
	}
	t.checkRun.ignore("SessionName")
}

func (t *shapes) buildServices() {
	build := func() *shape {
		s := newShape()
		s.addStruct(typeOf[model.Service](), at[model.ServiceDefinition]("Service"), "Node", "Service", "Connect")
		s.add(&field{name: "Name", path: append(at[model.ServiceDefinition]("Service"), at[model.Service]("Service")...)})
		s.add(&field{name: "Check", custom: appendOneCheck})
		s.add(&field{name: "Checks", custom: appendChecks})
		s.add(&field{name: "Token", path: at[model.ServiceDefinition]("Token")})
		s.before = func(v reflect.Value) {
			v.Addr().Interface().(*model.ServiceDefinition).Service.Weights = defaultWeights
		}
		return s
	}
	connect := func() *shape {
		s := newShape()
		s.add(&field{name: "Native", path: append(append(at[model.ServiceDefinition]("Service"), at[model.Service]("Connect")...), at[model.Connect]("Native")...)})
		s.add(&field{name: "SidecarService", custom: decodeSidecar})
		return s
	}
	t.connect, t.service = connect(), build()
	t.service.add(&field{name: "Connect", custom: inPlace(t.connect)})
}

func (t *shapes) buildCatalog() {
	s := newShape()
	s.addStruct(typeOf[model.Service](), nil, "Node", "Connect")
	t.catalogConnect = newShape()
	t.catalogConnect.addStruct(typeOf[model.Connect](), at[model.Service]("Connect"))
	t.catalogConnect.ignore("SidecarService")
	s.add(&field{name: "Connect", custom: inPlace(t.catalogConnect)})
	s.ignore("CreateIndex", "ModifyIndex", "ContentHash", "Datacenter")
	s.add(&field{name: "PeerName", apiOnly: true, custom: refusePeer})
	t.catalogService = s
	t.byType[typeOf[model.Service]()] = s

	s = newShape()
	s.addStruct(typeOf[model.Check](), nil, "Definition")
	s.add(&field{name: "Definition", custom: inPlaceAt(t.checkRun, at[model.Check]("Definition"))})
	s.ignore("CreateIndex", "ModifyIndex")
	s.add(&field{name: "PeerName", apiOnly: true, custom: refusePeer})
	t.catalogCheck = s
	t.byType[typeOf[model.Check]()] = s

	s = newShape()
	node := at[model.Registration]("Node")
	s.addStruct(typeOf[model.Node](), node, "Meta", "Datacenter")
	s.add(&field{name: "NodeMeta", path: append(node, at[model.Node]("Meta")...)})
	s.addStruct(typeOf[model.Registration](), nil, "Node", "Owner", "Checks")
	s.add(&field{name: "Check", custom: appendOneCatalogCheck})
	s.add(&field{name: "Checks", custom: appendCatalogChecks})
	s.add(&field{name: "PeerName", apiOnly: true, custom: refusePeer})
	t.registration = s

	s = newShape()
	s.addStruct(typeOf[model.Deregistration](), nil)
	s.ignore("Address")
	t.deregistration = s
}
