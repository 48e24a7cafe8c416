package proxy

import (
	"sync"
	"sync/atomic"

	"github.com/lictor-mesh/lictor/proxy/identity"
	"github.com/lictor-mesh/lictor/proxy/resource"
	"github.com/lictor-mesh/lictor/proxy/tunnel"
)

// trust holds the current secrets by name. A handshake reads the cell of its context's secret: putting a new
// certificate into it is all that a rotation does. A secret that the source removes stays: its users go with it.
type trust struct {
	mu     sync.Mutex
	leaves map[string]*atomic.Pointer[identity.Identity]
	roots  map[string]*atomic.Pointer[identity.Roots]
}

func newTrust() *trust {
	return &trust{leaves: make(map[string]*atomic.Pointer[identity.Identity]), roots: make(map[string]*atomic.Pointer[identity.Roots])}
}

func cell[T any](cells map[string]*atomic.Pointer[T], name string) *atomic.Pointer[T] {
	if cells[name] == nil {
		cells[name] = new(atomic.Pointer[T])
	}
	return cells[name]
}

// update stores the secrets and returns the leaf that is new, if one is.
func (t *trust) update(secrets map[string]*resource.Secret) (fresh *identity.Identity) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, s := range secrets {
		if s.Leaf != nil {
			// The same certificate may come again in a value of its own.
			if old := cell(t.leaves, name).Swap(s.Leaf); old == nil || old.Serial != s.Leaf.Serial {
				fresh = s.Leaf
			}
		}
		if s.Roots != nil {
			cell(t.roots, name).Store(s.Roots)
		}
	}
	return fresh
}

// credentials returns what a TLS context's handshakes read.
func (t *trust) credentials(c resource.Credentials) tunnel.Credentials {
	t.mu.Lock()
	defer t.mu.Unlock()
	creds := tunnel.Credentials{
		Leaf:  func() *identity.Identity { return c.InlineLeaf },
		Roots: func() *identity.Roots { return c.InlineRoot },
	}
	if c.InlineLeaf == nil {
		creds.Leaf = cell(t.leaves, c.LeafName).Load
	}
	if c.InlineRoot == nil {
		creds.Roots = cell(t.roots, c.RootsName).Load
	}
	return creds
}

// waiting names what a TLS context lacks, in one line; empty when it has all.
func waiting(c resource.Credentials, creds tunnel.Credentials) string {
	if creds.Leaf() == nil {
		return "waiting for the certificate " + c.LeafName
	}
	if creds.Roots() == nil {
		return "waiting for the roots " + c.RootsName
	}
	return ""
}
