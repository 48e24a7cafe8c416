package local

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/lictor-mesh/lictor/model"
)

// sameService tells whether two registrations of a service are the same to their watchers.
func sameService(a, b *model.Service) bool { return reflect.DeepEqual(canonical(a), canonical(b)) }

// sameInstance tells whether the catalog's record of a service is what the agent says of it.
func sameInstance(mine, has *model.Service) bool {
	return reflect.DeepEqual(canonical(mine), canonical(has))
}

// canonical is s in the one form that all encodings of it share: nothing in place of what is empty, one type
// of integer in opaque values, and without what the catalog adds. It shares with s what is so already.
func canonical(s *model.Service) *model.Service {
	c := *s
	c.Node, c.RaftIndexes = "", model.RaftIndexes{}
	c.Tags, c.Ports, c.Meta = nilIfEmpty(c.Tags), nilIfEmpty(c.Ports), nilIfEmptyMap(c.Meta)
	c.TaggedAddresses = nilIfEmptyMap(withoutVirtual(c.TaggedAddresses))
	if s.Proxy == nil {
		return &c
	}
	p := *s.Proxy
	p.Config = opaque(p.Config)
	p.Upstreams, p.Expose.Paths, p.EnvoyExtensions = nilIfEmpty(slices.Clone(p.Upstreams)), nilIfEmpty(p.Expose.Paths), nilIfEmpty(slices.Clone(p.EnvoyExtensions))
	for i := range p.Upstreams {
		u := &p.Upstreams[i]
		u.Config, u.IngressHosts = opaque(u.Config), nilIfEmpty(u.IngressHosts)
	}
	for i := range p.EnvoyExtensions {
		p.EnvoyExtensions[i].Arguments = opaque(p.EnvoyExtensions[i].Arguments)
	}
	c.Proxy = &p
	return &c
}

func withoutVirtual(m map[string]model.ServiceAddress) map[string]model.ServiceAddress {
	for tag := range m {
		if strings.HasPrefix(tag, virtualTag) {
			m = maps.Clone(m)
			maps.DeleteFunc(m, func(tag string, _ model.ServiceAddress) bool { return strings.HasPrefix(tag, virtualTag) })
			return m
		}
	}
	return m
}

func nilIfEmpty[T any](l []T) []T {
	if len(l) == 0 {
		return nil
	}
	return l
}

func nilIfEmptyMap[V any](m map[string]V) map[string]V {
	if len(m) == 0 {
		return nil
	}
	return m
}

func equalMaps(a, b map[string]string) bool { return maps.Equal(a, b) }

func opaque(m map[string]any) map[string]any {
	if len(m) == 0 {
		return nil
	}
	v, _ := plainValue(m).(map[string]any)
	return v
}

// plainValue copies an opaque value with all its integers as int64.
func plainValue(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case int32:
		return int64(v)
	case uint64:
		return int64(v) //nolint:gosec // both sides are treated alike
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = plainValue(e)
		}
		return out
	case []any:
		out := slices.Clone(v)
		for i, e := range out {
			out[i] = plainValue(e)
		}
		return out
	default:
		return v
	}
}
