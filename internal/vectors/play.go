package vectors

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Player replays scenarios. The zero value compares everything at once; a base URL for each agent is needed.
type Player struct {
	// Base are the URLs of the agents by the name that exchanges give, "a" where they give none.
	Base map[string]string
	// Bind gives placeholders their value beforehand: "<port:backend>" and the like.
	Bind map[string]string
	// Skip names what is not replayed ("step" is not sent) and Differ what is sent and not compared, both by
	// "scenario/step" with the reason. A step that later ones need is of the second kind.
	Skip, Differ map[string]string
	// Settle is how long a GET that differs is asked again: what an agent has written reaches the catalog later.
	Settle time.Duration
	// ShortWait, when set, replaces the wait of long polls that time out.
	ShortWait string
	// Extra tells whether an answer may have a header that was not recorded. Own hints and hardening may.
	Extra func(header string) bool

	used map[string]bool
}

// answer is what came back for one exchange.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// run is one scenario under way.
type run struct {
	*Player
	t    *testing.T
	name string
	b    bindings
	// parked are the long polls that wait, by step.
	parked map[string]chan answer
}

// Play replays one scenario against fresh agents, and reports each step that differs.
func (p *Player) Play(t *testing.T, s Scenario) {
	t.Helper()
	if p.used == nil {
		p.used = map[string]bool{}
	}
	r := &run{Player: p, t: t, name: s.Name, b: bindings{map[string]string{}}, parked: map[string]chan answer{}}
	for k, v := range p.Bind {
		r.b.values[k] = v
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i := range s.Exchanges {
		r.park(ctx, s.Exchanges[i:])
		r.step(ctx, &s.Exchanges[i])
	}
}

// Unused lists the entries of the tables that were not met in the scenarios played.
func (p *Player) Unused() []string {
	var list []string
	for _, table := range []map[string]string{p.Skip, p.Differ} {
		for k := range table {
			if !p.used[k] {
				list = append(list, k)
			}
		}
	}
	slices.Sort(list)
	return list
}

func (r *run) listed(table map[string]string, x *Exchange) bool {
	for _, key := range []string{r.name + "/" + x.Step, r.name + "/*"} {
		if _, ok := table[key]; ok {
			r.used[key] = true
			return true
		}
	}
	return false
}

// park sends the long polls that were sent before the first of rest.
func (r *run) park(ctx context.Context, rest []Exchange) {
	for i := range rest {
		x := &rest[i]
		if x.Blocking == nil || x.Blocking.IssuedBefore != rest[0].Step || r.listed(r.Skip, x) {
			continue
		}
		ch, sent := make(chan answer, 1), make(chan struct{})
		r.parked[x.Step] = ch
		req, err := r.request(ctx, x, x.Blocking.Result == "timeout")
		if err != nil {
			ch <- answer{err: err}
			continue
		}
		wrote := sync.OnceFunc(func() { close(sent) })
		trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { wrote() }}
		go func() {
			defer wrote()
			ch <- send(req.WithContext(httptrace.WithClientTrace(ctx, trace)))
		}()
		<-sent
		r.still(x, ch)
	}
}

// quiet is how long a long poll is watched for an answer that must not come yet.
const quiet = 30 * time.Millisecond

// still fails when a parked request has an answer already.
func (r *run) still(x *Exchange, ch chan answer) {
	select {
	case a := <-ch:
		r.t.Errorf("%s: the long poll was answered before anything woke it: %d %v", x.Step, a.status, a.err)
		ch <- a
	case <-time.After(quiet):
	}
}

func (r *run) step(ctx context.Context, x *Exchange) {
	if r.listed(r.Skip, x) {
		return
	}
	differ := r.listed(r.Differ, x)
	if ch := r.parked[x.Step]; ch != nil {
		r.verdict(x, differ, <-ch)
		return
	}
	deadline := time.Now().Add(r.Settle)
	for {
		req, err := r.request(ctx, x, x.Blocking != nil && x.Blocking.Result == "timeout")
		if err != nil {
			r.t.Errorf("%s: %v", x.Step, err)
			return
		}
		a := send(req)
		again := x.Request.Method == http.MethodGet && x.Blocking == nil && time.Now().Before(deadline)
		if !again || differ || r.check(r.b.clone(), x, a) == nil {
			r.verdict(x, differ, a)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// verdict compares an answer for good.
func (r *run) verdict(x *Exchange, differ bool, a answer) {
	b := r.b.clone()
	err := r.check(b, x, a)
	switch {
	case err == nil && differ:
		r.t.Errorf("%s equals the record: take it off the list of differences", x.Step)
	case err != nil && !differ:
		r.t.Errorf("%s: %s %s\n  %v", x.Step, x.Request.Method, x.Request.Path, err)
	case err != nil && a.err == nil:
		// What can be bound nevertheless is bound for the steps that follow.
		r.headers(b, x, a)
	}
	if err == nil {
		r.b = b
	}
}

var waitParam = regexp.MustCompile(`wait=[0-9a-z]+`)

func (r *run) request(ctx context.Context, x *Exchange, hurry bool) (*http.Request, error) {
	agent := x.Agent
	if agent == "" {
		agent = "a"
	}
	path, err := r.b.fill(x.Request.Path)
	if err != nil {
		return nil, err
	}
	if hurry && r.ShortWait != "" {
		path = waitParam.ReplaceAllString(path, "wait="+r.ShortWait)
	}
	body, err := r.b.fill(bodyText(x.Request.Body))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, x.Request.Method, r.Base[agent], strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	// The path goes out as it was recorded, however odd.
	req.URL.Opaque = path
	if before, query, ok := strings.Cut(path, "?"); ok {
		req.URL.Opaque, req.URL.RawQuery = before, query
	}
	// Go's transport would otherwise ask for compression by itself.
	req.Header.Set("Accept-Encoding", "identity")
	for k, v := range x.Request.Headers {
		req.Header.Set(k, v)
	}
	return req, nil
}

func send(req *http.Request) answer {
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, body, err}
}

// check compares an answer with the record, binding into b.
func (r *run) check(b bindings, x *Exchange, a answer) error {
	if a.err != nil {
		return a.err
	}
	if a.status != x.Response.Status {
		return fmt.Errorf("want status %d, got %d: %s", x.Response.Status, a.status, short(string(a.body)))
	}
	if err := r.headers(b, x, a); err != nil {
		return err
	}
	return r.body(b, x, a)
}

// loose are headers whose presence counts and whose value does not.
var loose = []string{"Age"}

func (r *run) headers(b bindings, x *Exchange, a answer) error {
	for name, want := range x.Response.Headers {
		got := a.header.Get(name)
		if slices.Contains(loose, name) && got != "" {
			continue
		}
		if err := b.match(want, got); err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
	}
	for name := range a.header {
		kept := strings.HasPrefix(name, "X-") || name == "Allow" || name == "Location" || name == "Age" || name == "Vary"
		if _, recorded := x.Response.Headers[name]; recorded || !kept || r.extra(name) {
			continue
		}
		return fmt.Errorf("header %s: %s was not recorded", name, a.header.Get(name))
	}
	return nil
}

func (r *run) extra(name string) bool {
	return strings.HasPrefix(name, "X-Lictor-") || name == "X-Content-Type-Options" || r.Extra != nil && r.Extra(name)
}

func (r *run) body(b bindings, x *Exchange, a answer) error {
	if string(x.Response.Body) == `"<binary>"` {
		return nil
	}
	var raw struct{ Raw *string }
	if json.Unmarshal(x.Response.Body, &raw) == nil && raw.Raw != nil {
		return b.match(*raw.Raw, string(a.body))
	}
	want, err := parse(x.Response.Body)
	if err != nil {
		return fmt.Errorf("the record does not parse: %w", err)
	}
	isJSON := strings.HasPrefix(a.header.Get("Content-Type"), "application/json") || want.kind == 'o' && !want.made() || want.kind == 'a'
	if len(a.body) == 0 || !isJSON {
		return b.compare("body", want, &value{kind: 's', text: string(a.body)}, x.Unordered)
	}
	got, err := parse(bytes.TrimSpace(a.body))
	if err != nil {
		return fmt.Errorf("the answer is no JSON: %w: %s", err, short(string(a.body)))
	}
	return b.compare("body", want, got, x.Unordered)
}

// SkipsAll tells whether a whole scenario is skipped.
func (p *Player) SkipsAll(scenario string) bool {
	_, ok := p.Skip[scenario+"/*"]
	if ok {
		if p.used == nil {
			p.used = map[string]bool{}
		}
		p.used[scenario+"/*"] = true
	}
	return ok
}
