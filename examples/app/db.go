package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// maxLine bounds a request to db and an answer of it.
const maxLine = 4096

// DB is one instance of the demo's key/value service. A request is a line, an answer is a line:
//
//	GET key          VALUE instance text | NONE instance
//	SET key text     OK instance
//	WAIT duration    OK instance, after that time
//	PING             OK instance
//
// Instances share nothing: a value that was set is known to one.
type DB struct {
	name string
	log  hclog.Logger

	mu     sync.Mutex
	values map[string]string
	conns  map[net.Conn]struct{}
}

// NewDB returns an instance that knows one key, greeting.
func NewDB(name string, log hclog.Logger) *DB {
	return &DB{name: name, log: log, values: map[string]string{"greeting": "hello from " + name}, conns: map[net.Conn]struct{}{}}
}

// Serve answers on the listener until ctx ends; it then closes all connections.
func (d *DB) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() {
		_ = l.Close()
		d.closeAll()
	})
	defer stop()
	d.log.Info("serving", "service", "db", "instance", d.name, "address", l.Addr())
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		d.track(c, true)
		wg.Go(func() {
			defer d.track(c, false)
			defer func() { _ = c.Close() }()
			d.converse(ctx, c)
		})
	}
}

func (d *DB) track(c net.Conn, on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if on {
		d.conns[c] = struct{}{}
	} else {
		delete(d.conns, c)
	}
}

func (d *DB) closeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		_ = c.Close()
	}
}

func (d *DB) converse(ctx context.Context, c net.Conn) {
	in := bufio.NewScanner(c)
	in.Buffer(make([]byte, 0, 512), maxLine)
	for in.Scan() {
		if _, err := fmt.Fprintln(c, d.answer(ctx, in.Text())); err != nil {
			return
		}
	}
}

func (d *DB) answer(ctx context.Context, line string) string {
	verb, rest, _ := strings.Cut(line, " ")
	key, value, _ := strings.Cut(rest, " ")
	switch verb {
	case "GET":
		d.mu.Lock()
		v, ok := d.values[key]
		d.mu.Unlock()
		if !ok {
			return "NONE " + d.name
		}
		return "VALUE " + d.name + " " + v
	case "SET":
		d.mu.Lock()
		d.values[key] = value
		d.mu.Unlock()
		return "OK " + d.name
	case "WAIT":
		pause, err := time.ParseDuration(key)
		if err != nil || pause > requestTimeout {
			return "ERROR " + d.name + " WAIT takes a duration of up to " + requestTimeout.String()
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		return "OK " + d.name
	case "PING":
		return "OK " + d.name
	default:
		return "ERROR " + d.name + " unknown request; there are GET, SET, WAIT and PING"
	}
}

// DBConn is a client's connection to db.
type DBConn struct {
	conn net.Conn
	in   *bufio.Reader
}

// DialDB connects to an instance, through a sidecar or not.
func DialDB(ctx context.Context, addr string) (*DBConn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &DBConn{c, bufio.NewReaderSize(c, maxLine)}, nil
}

// Do sends one request and returns who answered and what.
func (c *DBConn) Do(words ...string) (instance, value string, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return "", "", err
	}
	if _, err := fmt.Fprintln(c.conn, strings.Join(words, " ")); err != nil {
		return "", "", err
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "", "", fmt.Errorf("db's answer: %w", err)
	}
	status, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	instance, value, _ = strings.Cut(rest, " ")
	if status == "ERROR" {
		return instance, "", fmt.Errorf("%s: %s", instance, value)
	}
	return instance, value, nil
}

// Close ends the connection.
func (c *DBConn) Close() error { return c.conn.Close() }
