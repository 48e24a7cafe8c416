package httpapi

import (
	"slices"

	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
)

// reading says how an endpoint reads, beside what the caller asks for.
type reading uint8

const (
	// showsMode sets the header of the effective consistency.
	showsMode reading = 1 << iota
	// showsFailure sets the headers of a read also when it failed.
	showsFailure
	// caches lets ?cached be answered from the agent's view.
	caches
	// streams lets long polls too be answered from it, and says so.
	streams
)

// read answers q as the caller wants it, and sets the headers that say how it was answered.
func (x *exchange) read(a *API, q view.Query, how reading) (*view.Result, error) {
	from, streaming, cached := FromServer, false, x.cached && how&caches != 0
	if how&streams != 0 && !a.StreamingDisabled && (x.cached || x.req.Read.MinIndex > 0) &&
		!x.params.has("near") && !x.params.has("merge-central-config") {
		streaming = true
	}
	if streaming || cached {
		from = FromView
	}
	r, meta, err := a.ControlPlane.Read(x.r.Context(), x.req, q, from)
	if err != nil {
		if how&showsFailure != 0 {
			x.failedMeta(a)
		}
		return nil, err
	}
	x.readMeta(a, meta, streaming)
	if how&showsMode != 0 {
		x.effectiveMode(a, meta)
	}
	if cached {
		x.cacheMeta(!a.seen.first(q))
	}
	return r, nil
}

// filter compiles ?filter, nil when there is none. It is called before a read, so that a long poll with a
// filter that cannot work fails at once.
func (x *exchange) filter(a *API, f fields, how reading) (predicate, error) {
	expression := x.params.get("filter")
	if expression == "" {
		return nil, nil
	}
	keep, err := compileFilter(expression, f)
	if err != nil && how&showsFailure != 0 {
		x.failedMeta(a)
	}
	return keep, err
}

// list answers with the rows of a result: the kept rendering of all of them, or those that keep, if given,
// wants.
func list[T any](x *exchange, a *API, r *view.Result, s shape, rows func() []T, keep func(T) bool, each func([]byte, T) []byte) error {
	if keep == nil {
		return x.kept(a, r, s, func() []byte { return appendList(nil, rows(), each) })
	}
	return x.json(a, appendSome(nil, r, s, rows(), keep, each))
}

// renderedRows are the rows of a result, rendered one after the other: row i ends at ends[i].
type renderedRows struct {
	all  []byte
	ends []int
}

// appendSome appends the list of the rows that keep wants. Each row is rendered once per result, whoever asks for which
// of them.
func appendSome[T any](b []byte, r *view.Result, s shape, rows []T, keep func(T) bool, each func([]byte, T) []byte) []byte {
	rendered := r.Memo(s.rowsKey(), func() any {
		rr := &renderedRows{ends: make([]int, len(rows))}
		for i, row := range rows {
			rr.all = each(rr.all, row)
			rr.ends[i] = len(rr.all)
		}
		return rr
	}).(*renderedRows)
	b = append(slices.Grow(b, len(rendered.all)+len(rendered.ends)+2), '[')
	first, start := true, 0
	for i, end := range rendered.ends {
		if keep(rows[i]) {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(b, rendered.all[start:end]...)
		}
		start = end
	}
	return append(b, ']')
}

// both joins two conditions, either of which may be absent.
func both[T any](f, g func(T) bool) func(T) bool {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	default:
		return func(v T) bool { return f(v) && g(v) }
	}
}

// onRow is a filter as a condition on rows of type T.
func onRow[T any](p predicate) func(T) bool {
	if p == nil {
		return nil
	}
	return func(v T) bool { return p(v) }
}

// instancesOf returns pointers to the instances of a result.
func instancesOf(list []model.Instance) []*model.Instance {
	out := make([]*model.Instance, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out
}

// ofNodeMeta is ?node-meta as a condition on instances.
func (x *exchange) ofNodeMeta() func(*model.Instance) bool {
	pairs := x.nodeMeta()
	if pairs == nil {
		return nil
	}
	return func(i *model.Instance) bool { return hasMeta(i.Node.Meta, pairs) }
}

// ofTags is ?tag as a condition on instances: all of them, in any case.
func (x *exchange) ofTags() func(*model.Instance) bool {
	wanted := x.params.all("tag")
	if wanted == nil {
		return nil
	}
	for i, t := range wanted {
		wanted[i] = model.Fold(t)
	}
	return func(i *model.Instance) bool {
		for _, w := range wanted {
			if !hasTag(i.Service.Tags, w) {
				return false
			}
		}
		return true
	}
}

func hasTag(tags []string, folded string) bool {
	for _, t := range tags {
		if model.Fold(t) == folded {
			return true
		}
	}
	return false
}
