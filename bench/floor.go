package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
)

// The floor is the least that a server on net/http does: ready bytes, made once for a change, however many ask. This
// program runs itself again for it, so that its CPU and memory can be told apart.
const (
	floorCommand = "-floor-server"
	floorName    = "net/http floor"
	floorNote    = "The floor answers ready bytes from a bare net/http handler."
)

func floorKind() serverKind {
	return serverKind{floorName, func(_ context.Context, r *rig, dir string) (*server, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		ports, err := freePorts(1)
		if err != nil {
			return nil, err
		}
		s := &server{name: floorName, http: loopback(ports[0])}
		s.process, err = r.start(dir, "floor", nil, self, floorCommand, s.http)
		return s, err
	}}
}

// floor keeps the bodies that were registered and answers all of them, whatever is asked.
type floor struct {
	mu      sync.Mutex
	bodies  map[string]json.RawMessage
	order   []string
	index   uint64
	plain   []byte
	zipped  []byte
	changed chan struct{}
}

func newFloor() *floor {
	return &floor{bodies: map[string]json.RawMessage{}, index: 1, changed: make(chan struct{})}
}

// serveFloor is what the program does when it is run as the floor.
func serveFloor(ctx context.Context, addr string) error {
	f := newFloor()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: f}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		f.register(w, r)
		return
	}
	query := r.URL.RawQuery
	f.mu.Lock()
	if _, after, ok := strings.Cut(query, "index="); ok {
		text, _, _ := strings.Cut(after, "&")
		asked, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			f.mu.Unlock()
			http.Error(w, "index is no number", http.StatusBadRequest)
			return
		}
		for f.index <= asked {
			changed := f.changed
			f.mu.Unlock()
			select {
			case <-changed:
			case <-r.Context().Done():
				return
			}
			f.mu.Lock()
		}
	}
	body, index := f.plain, f.index
	zip := strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
	if zip {
		body = f.zipped
	}
	f.mu.Unlock()
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["X-Consul-Index"] = []string{strconv.FormatUint(index, 10)}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	if zip {
		h["Content-Encoding"] = []string{"gzip"}
	}
	_, _ = w.Write(body)
}

// register takes an instance and makes the answers anew, in about the size that the API's have.
func (f *floor) register(w http.ResponseWriter, r *http.Request) {
	var reg registration
	if err := json.NewDecoder(r.Body).Decode(&reg); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := json.Marshal(map[string]any{
		"Node": map[string]any{"ID": "11111111-2222-3333-4444-555555555555", "Node": reg.Node, "Address": reg.Address, "Datacenter": "dc1",
			"TaggedAddresses": map[string]string{}, "Meta": map[string]string{}, "CreateIndex": f.index, "ModifyIndex": f.index},
		"Service": map[string]any{"Registration": reg.Service, "Weights": map[string]int{"Passing": 1, "Warning": 1}, "EnableTagOverride": false,
			"Proxy": map[string]any{"Mode": "", "MeshGateway": map[string]string{}, "Expose": map[string]string{}}, "Connect": map[string]string{},
			"PeerName": "", "CreateIndex": f.index, "ModifyIndex": f.index},
		"Checks": []any{reg.Check, reg.Check},
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if _, known := f.bodies[reg.Node]; !known {
		f.order = append(f.order, reg.Node)
	}
	f.bodies[reg.Node] = body
	f.render()
	f.index++
	close(f.changed)
	f.changed = make(chan struct{})
	_, _ = w.Write([]byte("true"))
}

func (f *floor) render() {
	list := make([][]byte, len(f.order))
	for i, node := range f.order {
		list[i] = f.bodies[node]
	}
	f.plain = append(append([]byte{'['}, bytes.Join(list, []byte{','})...), ']')
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is a valid one; it is what a server can afford at each change
	_, _ = z.Write(f.plain)                         // a buffer takes all
	_ = z.Close()
	f.zipped = b.Bytes()
}
