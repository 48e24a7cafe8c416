package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"time"
)

// client is one keep-alive connection of the load generator: requests are ready bytes, and of an answer only what
// frames it is looked at, so that the generator costs little beside what it measures.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

// response is what the load generator keeps of an answer.
type response struct {
	status int
	// size is the length of the body, index the X-Consul-Index header; 0 where there is none.
	size  int64
	index uint64
}

// requestTimeout bounds an exchange: whoever needs longer has failed.
const requestTimeout = 30 * time.Second

// dial connects. Each connection of a burst may take another of loopback's addresses, so that the ports that wait
// for their end do not run out; source numbers them.
func dial(addr string, source int) (*client, error) {
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+source%64))}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{conn: c, in: bufio.NewReaderSize(c, 4<<10)}, nil
}

func (c *client) close() { _ = c.conn.Close() }

// exchange sends a request and reads the answer to its end.
func (c *client) exchange(request []byte) (response, error) {
	if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return response{}, err
	}
	if _, err := c.conn.Write(request); err != nil {
		return response{}, err
	}
	return c.read()
}

// get makes the bytes of a GET. header lines may follow, each ended with CR LF.
func get(host, path string, header ...string) []byte {
	b := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n", path, host)
	for _, h := range header {
		b = append(b, h...)
	}
	return append(b, "\r\n"...)
}

// put makes the bytes of a PUT with a JSON body.
func put(host, path string, body []byte) []byte {
	b := fmt.Appendf(nil, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, host, len(body))
	return append(b, body...)
}

var errStatusLine = errors.New("the answer does not begin with an HTTP/1.1 status line")

// read reads one answer.
func (c *client) read() (r response, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return r, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return r, errStatusLine
	}
	if r.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return r, errStatusLine
	}
	length, chunked := int64(-1), false
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return r, err
		}
		name, value, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case len(name) == 0:
			r.size, err = c.body(length, chunked)
			return r, err
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, err = strconv.ParseInt(string(value), 10, 64)
		case bytes.EqualFold(name, []byte("X-Consul-Index")):
			r.index, err = strconv.ParseUint(string(value), 10, 64)
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		}
		if err != nil {
			return r, err
		}
	}
}

func (c *client) body(length int64, chunked bool) (int64, error) {
	switch {
	case chunked:
		n, err := io.Copy(io.Discard, httputil.NewChunkedReader(c.in))
		if err == nil {
			_, err = c.in.ReadSlice('\n') // the end of the trailers, of which nobody sends any here
		}
		return n, err
	case length < 0:
		return 0, errors.New("the answer has neither Content-Length nor chunks")
	case length > int64(c.in.Size()):
		return io.CopyN(io.Discard, c.in, length)
	}
	n, err := c.in.Discard(int(length))
	return int64(n), err
}
