// Package leaf keeps the leaf certificates of the services whose proxies run on this host: it makes their keys,
// has them certified by the servers, and renews them long before they end or as soon as the root changes.
//
// Private keys are made here and never leave the agent but for the proxies of their own service. While no
// server answers, the last certificate stays in use and renewal is tried again, the sooner the nearer its end.
package leaf

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lictor-mesh/lictor/certs"
	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// The rhythm of renewal.
const (
	// idleAge is how long a leaf is kept renewed after its last user went.
	idleAge = 5 * time.Minute
	// rootsWait is how long the first certificate waits for the mesh's roots before that counts as a failure.
	rootsWait = 7 * time.Second
	// retryMin and retryMax bound the pause after a failed attempt.
	retryMin = 250 * time.Millisecond
	retryMax = 30 * time.Second
	// rootSpread is the time over which an agent's leaves are renewed when the root has changed.
	rootSpread = 5 * time.Second
	// maxLeaves bounds how many services an agent keeps leaves for.
	maxLeaves = 4096
)

// Authority certifies a key for a service.
type Authority interface {
	Sign(ctx context.Context, req model.Request, csr string, service model.ServiceName) (*model.LeafCert, error)
}

// Config is what a Keeper is made of.
type Config struct {
	Datacenter string
	Authority  Authority
	// Views and Reads tell the roots.
	Views  view.Source
	Reads  *read.Set
	Logger hclog.Logger
}

// Keeper keeps leaves. Its goroutines, one for each leaf in use, end with Close.
type Keeper struct {
	config Config
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	leaves map[key]*leaf
}

// key tells apart leaves of one service that were asked for with different tokens: who may not have one does
// not get it because another may.
type key struct {
	service model.ServiceName
	token   string
}

// leaf is one certificate and its renewal.
type leaf struct {
	mu      sync.Mutex
	current *model.LeafCert
	err     error
	changed chan struct{}
	// users counts who holds the leaf; unused is closed while nobody does.
	users int
	idle  chan struct{}
}

// New returns a keeper without leaves.
func New(c Config) *Keeper {
	k := &Keeper{config: c, leaves: map[key]*leaf{}}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k
}

// Close ends all renewals.
func (k *Keeper) Close() {
	k.cancel()
	k.wg.Wait()
}

// Watch is a hold on a leaf.
type Watch struct {
	leaf  *leaf
	close func()
}

// Current returns the certificate with its key, nil while there is none yet, a channel that is closed when that
// changes, and why the last attempt to get one failed.
func (w *Watch) Current() (*model.LeafCert, <-chan struct{}, error) {
	w.leaf.mu.Lock()
	defer w.leaf.mu.Unlock()
	return w.leaf.current, w.leaf.changed, w.leaf.err
}

// Close lets the leaf go.
func (w *Watch) Close() { w.close() }

// Watch keeps the leaf of a service, for the rights of a token.
func (k *Keeper) Watch(service model.ServiceName, token model.Secret) (*Watch, error) {
	id := key{service, token.Reveal()}
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.leaves[id]
	if l == nil {
		if len(k.leaves) >= maxLeaves {
			return nil, fault.New(fault.RateLimited, "this agent already keeps certificates for %d services", maxLeaves)
		}
		l = &leaf{changed: make(chan struct{}), idle: make(chan struct{}, 1)}
		k.leaves[id] = l
		k.wg.Go(func() { k.keep(id, l, token) })
	}
	l.users++
	return &Watch{leaf: l, close: sync.OnceFunc(func() { k.release(l) })}, nil
}

func (k *Keeper) release(l *leaf) {
	k.mu.Lock()
	defer k.mu.Unlock()
	l.users--
	if l.users == 0 {
		select {
		case l.idle <- struct{}{}:
		default:
		}
	}
}

// drop forgets a leaf that nobody holds, and tells whether it did.
func (k *Keeper) drop(id key, l *leaf) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.users > 0 {
		return false
	}
	delete(k.leaves, id)
	return true
}

// Fetch returns the certificate of a service. With min > 0 it waits, for wait at the most, until it has been
// renewed past that index.
func (k *Keeper) Fetch(ctx context.Context, token model.Secret, service model.ServiceName, min model.Index, wait time.Duration) (*model.LeafCert, error) {
	w, err := k.Watch(service, token)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		cert, changed, err := w.Current()
		switch {
		case cert != nil && (min == 0 || cert.RaftIndexes.ModifyIndex > min):
			return cert, nil
		case cert == nil && err != nil:
			return nil, err
		}
		select {
		case <-changed:
		case <-timeout.C:
			if cert != nil {
				return cert, nil
			}
			return nil, fault.New(fault.Unavailable, "no certificate for service %q yet", service)
		case <-ctx.Done():
			return nil, fault.New(fault.Canceled, "the caller went away: %w", ctx.Err())
		}
	}
}

// keep gets and renews one leaf until nobody has held it for a while.
func (k *Keeper) keep(id key, l *leaf, token model.Secret) {
	roots, err := k.config.Views.Watch(k.config.Reads.CARoots.Query(view.None{}))
	if err != nil {
		l.fail(err)
		return
	}
	defer roots.Close()
	p := plan{due: time.Now(), pause: retryMin, patient: true}
	for {
		result, rootsChanged := roots.Current()
		trust := k.trust(result)
		p.follow(l.get(), trust, time.Now())
		if p.isDue(trust, time.Now()) {
			k.attempt(id, l, token, trust, &p)
		}
		timer := time.NewTimer(time.Until(p.next()))
		select {
		case <-k.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			if p.rested(time.Now()) && k.drop(id, l) {
				return
			}
		case <-rootsChanged:
		case <-l.idle:
			p.rest(l.get(), time.Now())
		}
		timer.Stop()
	}
}

// attempt renews the leaf, and plans what comes next.
func (k *Keeper) attempt(id key, l *leaf, token model.Secret, roots *model.CARoots, p *plan) {
	log := k.config.Logger.With("service", string(id.service))
	err := k.renew(id, l, token, roots)
	if err == nil {
		cert := l.get()
		p.issued(cert, time.Now())
		log.Debug("certificate issued", "serial", cert.SerialNumber, "until", cert.ValidBefore)
		return
	}
	l.fail(err)
	log.Warn("no certificate yet; trying again", "error", err, "in", p.pause)
	p.failed(time.Now())
}

func (k *Keeper) trust(r *view.Result) *model.CARoots {
	if r == nil {
		return nil
	}
	return k.config.Reads.CARoots.Value(r)
}

func known(roots *model.CARoots) bool { return roots != nil && roots.ActiveRootID != "" }

// renew makes a key, has it certified and puts it in use.
func (k *Keeper) renew(id key, l *leaf, token model.Secret, roots *model.CARoots) error {
	if !known(roots) {
		return fault.New(fault.Unavailable, "the mesh's roots are not known yet")
	}
	spiffe := model.ServiceSPIFFE(model.TrustDomain(roots.TrustDomain), k.config.Datacenter, id.service)
	request, err := certs.NewLeafRequest(rand.Reader, spiffe, nil, keyParams(roots))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(k.ctx, 10*time.Second)
	defer cancel()
	cert, err := k.config.Authority.Sign(ctx, model.Request{Token: token}, request.CSR, id.service)
	if err != nil {
		return err
	}
	c := *cert
	c.PrivateKeyPEM = request.Key
	l.put(&c)
	return nil
}

// keyParams are those of the active root.
func keyParams(roots *model.CARoots) certs.KeyParams {
	for _, r := range roots.Roots {
		if r.Active {
			return certs.KeyParams{Type: certs.KeyType(r.PrivateKeyType), Bits: r.PrivateKeyBits}.ForLeaf()
		}
	}
	return certs.KeyParams{}
}

func (l *leaf) get() *model.LeafCert {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// put replaces the certificate, under an index that grows with each renewal.
func (l *leaf) put(c *model.LeafCert) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != nil && c.RaftIndexes.ModifyIndex <= l.current.RaftIndexes.ModifyIndex {
		c.RaftIndexes.ModifyIndex = l.current.RaftIndexes.ModifyIndex + 1
	}
	c.RaftIndexes.CreateIndex = c.RaftIndexes.ModifyIndex
	l.current, l.err = c, nil
	l.signal()
}

func (l *leaf) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
	l.signal()
}

// signal is called with mu held.
func (l *leaf) signal() {
	close(l.changed)
	l.changed = make(chan struct{})
}
