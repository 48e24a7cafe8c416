package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-cleanhttp"
)

// defaultHTTPAddr is where an agent serves its HTTP API unless told otherwise.
const defaultHTTPAddr = "127.0.0.1:8500"

// client is how a command reaches an agent: the shared flags, and what the transport remembered.
type client struct {
	sh                     *shell
	addr, token, tokenFile string
	caFile, caPath         string
	clientCert, clientKey  string
	tlsServerName          string
	datacenter             string
	stale                  bool
	namespace, partition   string
	transport              *hintTransport
	conf                   *api.Config // as the library completed it
	*api.Client                        // nil until connect
}

// client declares the flags that name the agent (set H).
func (c *command) client() *client {
	cl := &client{sh: c.sh}
	str := func(p *string, name, usage string) {
		c.flags.Var((*text)(p), name, usage)
		c.shared[name] = true
	}
	str(&cl.addr, "http-addr", "The `address` and port of the agent's HTTP API: host:port, http://, https:// or unix://. "+
		"Also LICTOR_HTTP_ADDR or CONSUL_HTTP_ADDR. Default "+defaultHTTPAddr+".")
	str(&cl.token, "token", "ACL token of the request; without one the agent's default token applies. The environment "+
		"(LICTOR_HTTP_TOKEN or CONSUL_HTTP_TOKEN) keeps it out of process lists.")
	str(&cl.tokenFile, "token-file", "File that holds the ACL token; wins over -token. Also LICTOR_HTTP_TOKEN_FILE or CONSUL_HTTP_TOKEN_FILE.")
	str(&cl.caFile, "ca-file", "PEM file of the CA that signed the agent's certificate. Also LICTOR_CACERT or CONSUL_CACERT.")
	str(&cl.caPath, "ca-path", "Directory of CA certificates. Also LICTOR_CAPATH or CONSUL_CAPATH.")
	str(&cl.clientCert, "client-cert", "Client certificate file, where the agent verifies its callers; needs -client-key. "+
		"Also LICTOR_CLIENT_CERT or CONSUL_CLIENT_CERT.")
	str(&cl.clientKey, "client-key", "Key file of -client-cert. Also LICTOR_CLIENT_KEY or CONSUL_CLIENT_KEY.")
	str(&cl.tlsServerName, "tls-server-name", "Name to expect in the agent's certificate. Also LICTOR_TLS_SERVER_NAME or CONSUL_TLS_SERVER_NAME.")
	return cl
}

// serverFlags adds the flags of a request that servers answer (set S).
func (cl *client) serverFlags(c *command) {
	c.flags.Var((*text)(&cl.datacenter), "datacenter", "Datacenter to ask; the agent's own by default.")
	c.flags.BoolVar(&cl.stale, "stale", false, "Let any server answer, not only the leader: faster, and up to a moment behind.")
	c.shared["datacenter"], c.shared["stale"] = true, true
}

// tenancyFlags adds -partition and -namespace (set E): accepted for compatibility; the agent refuses what is not "default".
func (cl *client) tenancyFlags(c *command) {
	cl.partitionFlag(c)
	c.flags.StringVar(&cl.namespace, "namespace", "", "Namespace; only `default` exists.")
}

// partitionFlag adds -partition alone.
func (cl *client) partitionFlag(c *command) {
	c.flags.StringVar(&cl.partition, "partition", "", "Admin partition; only `default` exists.")
}

// first returns the first value that is set: a flag, then the environment's settings in order.
func (cl *client) first(flagValue, envName string) string {
	if flagValue != "" {
		return flagValue
	}
	return cl.sh.env(envName)
}

// connect prepares the API client from flags and environment. It reads files and dials nothing.
func (cl *client) connect() error {
	scheme, err := cl.scheme()
	if err != nil {
		return err
	}
	verify, err := cl.boolEnv("HTTP_SSL_VERIFY", true)
	if err != nil {
		return err
	}
	addr := cl.httpAddr()
	if err := plausible(addr); err != nil {
		return err
	}
	conf := &api.Config{
		Address:    addr,
		Scheme:     scheme,
		Transport:  cleanhttp.DefaultPooledTransport(),
		Datacenter: cl.datacenter,
		Token:      cl.first(cl.token, "HTTP_TOKEN"),
		TokenFile:  cl.tokenFile,
		Namespace:  cl.first(cl.namespace, "NAMESPACE"),
		Partition:  cl.first(cl.partition, "PARTITION"),
		TLSConfig: api.TLSConfig{
			Address:            cl.first(cl.tlsServerName, "TLS_SERVER_NAME"),
			CAFile:             cl.first(cl.caFile, "CACERT"),
			CAPath:             cl.first(cl.caPath, "CAPATH"),
			CertFile:           cl.first(cl.clientCert, "CLIENT_CERT"),
			KeyFile:            cl.first(cl.clientKey, "CLIENT_KEY"),
			InsecureSkipVerify: !verify,
		},
	}
	if conf.TokenFile == "" && cl.token == "" {
		conf.TokenFile = cl.sh.env("HTTP_TOKEN_FILE")
	}
	if user := cl.sh.env("HTTP_AUTH"); user != "" {
		name, password, _ := strings.Cut(user, ":")
		conf.HttpAuth = &api.HttpBasicAuth{Username: name, Password: password}
	}
	// The library would replace our transport by its own for a unix socket, and the hints would be lost.
	if path, ok := strings.CutPrefix(addr, "unix://"); ok {
		conf.Transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
		conf.Address = "localhost"
	}
	conf.HttpClient, err = api.NewHttpClient(conf.Transport, conf.TLSConfig)
	if err != nil {
		return fmt.Errorf("Error connecting to Consul agent: %w", err)
	}
	cl.transport = &hintTransport{next: conf.HttpClient.Transport, addr: addr, program: cl.sh.program}
	conf.HttpClient.Transport = cl.transport
	cl.conf = conf
	cl.Client, err = api.NewClient(conf)
	if err != nil {
		return fmt.Errorf("Error connecting to Consul agent: %w", err)
	}
	return nil
}

func (cl *client) httpAddr() string {
	if addr := cl.first(cl.addr, "HTTP_ADDR"); addr != "" {
		return addr
	}
	return defaultHTTPAddr
}

func (cl *client) scheme() (string, error) {
	tls, err := cl.boolEnv("HTTP_SSL", false)
	if err != nil {
		return "", err
	}
	if tls {
		return "https", nil
	}
	return "http", nil
}

// boolEnv reads a boolean of the environment. The CONSUL_ form of a bad value is only warned of, by the library, as
// Consul does; the LICTOR_ form is an error.
func (cl *client) boolEnv(name string, fallback bool) (bool, error) {
	text := cl.sh.env(name)
	if text == "" {
		return fallback, nil
	}
	v, err := strconv.ParseBool(text)
	if err == nil {
		return v, nil
	}
	if cl.sh.getenv("LICTOR_"+name) != "" {
		return false, withHint(fmt.Errorf("LICTOR_%s is %q", name, text), "set it to true or false, or unset it")
	}
	return fallback, nil
}

// query returns the read options of the flags.
func (cl *client) query() *api.QueryOptions { return &api.QueryOptions{AllowStale: cl.stale} }

// fail words err as "<doing>: <err>", with the hint that came with the agent's answer or with the lack of one.
func (cl *client) fail(doing string, err error) error {
	return cl.hinted(fmt.Errorf("%s: %w", doing, err))
}

// hinted returns err with the hint of the last exchange.
func (cl *client) hinted(err error) error {
	if hint := cl.hint(); hint != "" {
		return withHint(err, "%s", hint)
	}
	return err
}

// forceLeave has the agent take node for left.
func (cl *client) forceLeave(node string, prune, wan bool) error {
	return cl.Agent().ForceLeaveOptions(node, api.ForceLeaveOpts{Prune: prune, WAN: wan}, cl.query())
}

func (cl *client) hint() string {
	if cl.transport == nil {
		return ""
	}
	return cl.transport.lastHint()
}

// open sends a request whose answer is read as it comes, which the library cannot do. The caller closes the body.
func (cl *client) open(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, cl.conf.Scheme+"://"+cl.conf.Address+cl.conf.PathPrefix+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	if cl.conf.Token != "" {
		req.Header.Set("X-Consul-Token", cl.conf.Token)
	}
	if cl.conf.HttpAuth != nil {
		req.SetBasicAuth(cl.conf.HttpAuth.Username, cl.conf.HttpAuth.Password)
	}
	return cl.conf.HttpClient.Do(req)
}

var _ http.RoundTripper = (*hintTransport)(nil)

// plausible refuses an address that no waiting can mend.
func plausible(addr string) error {
	if _, path, found := strings.Cut(addr, "://"); found {
		addr = path
	}
	if strings.HasPrefix(addr, "/") || !strings.Contains(addr, ":") {
		return nil // a socket, or a host on the usual port
	}
	host, _, _ := strings.Cut(addr, "/")
	if _, _, err := net.SplitHostPort(host); err != nil {
		return withHint(fmt.Errorf("Invalid address %q of the agent: %w", addr, err), "write -http-addr (or LICTOR_HTTP_ADDR) as HOST:PORT, [IPV6]:PORT or unix:///PATH")
	}
	return nil
}
