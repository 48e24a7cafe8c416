package checks

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// defaultDocker is where the Docker Engine listens unless DOCKER_HOST says otherwise.
const defaultDocker = "unix:///var/run/docker.sock"

type dockerProbe struct {
	client    *http.Client
	base      string
	container string
	args      []string
	limit     int
}

// newDocker makes a check that runs a program inside a container, through the Docker Engine's API
// (https://docs.docker.com/reference/api/engine/): exit codes as for scripts. Like them it is run by its
// argument vector, without a shell, and only where scripts are allowed.
func newDocker(s Spec, env *Env) (Check, error) {
	if err := env.scriptsAllowed(s.Source); err != nil {
		return nil, err
	}
	d := &s.Definition
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		host = defaultDocker
	}
	network, addr, ok := strings.Cut(host, "://")
	if !ok || (network != "unix" && network != "tcp") {
		return nil, fault.New(fault.Invalid, "DOCKER_HOST %q is not unix://PATH or tcp://HOST:PORT", host)
	}
	p := &dockerProbe{base: "http://docker", container: d.DockerContainerID, args: d.ScriptArgs, limit: env.outputLimit(d)}
	p.client = &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, addr)
		},
	}}
	return every(s, env, p, DefaultScriptTimeout), nil
}

// Probe implements Probe.
func (p *dockerProbe) Probe(ctx context.Context) Result {
	var created struct{ ID string }
	err := p.call(ctx, http.MethodPost, "/containers/"+url.PathEscape(p.container)+"/exec",
		map[string]any{"AttachStdout": true, "AttachStderr": true, "Cmd": p.args}, jsonInto(&created))
	if err != nil {
		return critical(fmt.Errorf("docker exec in %s: %w", p.container, timedOut(ctx, err)))
	}
	out := &output{limit: p.limit}
	if err := p.call(ctx, http.MethodPost, "/exec/"+url.PathEscape(created.ID)+"/start",
		map[string]any{"Detach": false, "Tty": false}, func(r io.Reader) error { return demultiplex(out, r) }); err != nil {
		return critical(fmt.Errorf("docker exec in %s: %w", p.container, timedOut(ctx, err)))
	}
	var ended struct{ ExitCode int }
	if err := p.call(ctx, http.MethodGet, "/exec/"+url.PathEscape(created.ID)+"/json", nil, jsonInto(&ended)); err != nil {
		return critical(fmt.Errorf("docker exec in %s: %w", p.container, timedOut(ctx, err)))
	}
	r := Result{Status: model.StatusCritical, Output: out.String()}
	switch ended.ExitCode {
	case 0:
		r.Status = model.StatusPassing
	case 1:
		r.Status = model.StatusWarning
	}
	return r
}

func (p *dockerProbe) call(ctx context.Context, method, path string, body any, read func(io.Reader) error) error {
	var in bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&in).Encode(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, p.base+path, &in)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
		return fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(text))
	}
	return read(resp.Body)
}

func jsonInto(v any) func(io.Reader) error {
	return func(r io.Reader) error { return json.NewDecoder(io.LimitReader(r, maxBody)).Decode(v) }
}

// demultiplex copies both streams of a stream without a terminal: frames of a header of eight bytes, the last
// four of them the payload's length.
func demultiplex(to io.Writer, from io.Reader) error {
	var header [8]byte
	for {
		if _, err := io.ReadFull(from, header[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := io.CopyN(to, from, int64(binary.BigEndian.Uint32(header[4:]))); err != nil {
			return err
		}
	}
}
