package controlplane

import (
	"context"
	"crypto/rand"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/lictor-mesh/lictor/certs"
	"github.com/lictor-mesh/lictor/controlplane/command"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// signers keeps the parsed key of the root that signs.
type signers struct {
	mu     sync.Mutex
	rootID string
	signer *certs.Signer
}

func (s *signers) of(root *model.CARoot, key *model.CAKey) (*certs.Signer, error) {
	if root == nil || key == nil {
		return nil, fault.New(fault.Unavailable, "the mesh's authority has no signing key")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rootID == root.ID {
		return s.signer, nil
	}
	signer, err := certs.NewSigner(root, key)
	if err != nil {
		return nil, err
	}
	s.rootID, s.signer = root.ID, signer
	return signer, nil
}

// ensureAuthority makes the first root of a cluster. It does nothing where there is one.
func (s *Server) ensureAuthority(ctx context.Context) error {
	if !s.config.Connect || s.store.Snapshot().CAConfig() != nil {
		return nil
	}
	provider := s.config.CAProvider
	if provider == "" {
		provider = certs.Provider
	}
	raw := withDefaults(s.config.CAConfig)
	parsed, err := certs.ParseConfig(provider, raw)
	if err != nil {
		return err
	}
	config := model.CAConfig{Provider: provider, Config: withoutKeys(raw), ClusterID: uuid.NewString()}
	root, key, err := newRoot(&config, parsed)
	if err != nil {
		return err
	}
	_, err = s.Apply(ctx, model.Request{}, &command.CA{Config: config, Roots: []*model.CARoot{root}, Keys: []*model.CAKey{key}})
	if fault.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

// withDefaults returns the provider's configuration as the API shows it, with the lives that are always shown.
func withDefaults(raw map[string]any) map[string]any {
	c := map[string]any{"LeafCertTTL": "72h", "IntermediateCertTTL": "8760h", "RootCertTTL": "87600h"}
	maps.Copy(c, raw)
	return c
}

// withoutKeys returns the configuration that may be shown: a private key is written, never read back.
func withoutKeys(raw map[string]any) map[string]any {
	c := maps.Clone(raw)
	delete(c, "PrivateKey")
	delete(c, "RootCert")
	return c
}

func newRoot(config *model.CAConfig, parsed certs.Config) (*model.CARoot, *model.CAKey, error) {
	if parsed.RootCert != "" || !parsed.PrivateKey.IsZero() {
		return certs.ImportRoot(config.ClusterID, parsed.RootCert, parsed.PrivateKey, time.Now())
	}
	return certs.NewRoot(rand.Reader, config.ClusterID, certs.RootParams{Key: parsed.Key, TTL: parsed.RootCertTTL}, time.Now())
}

// ConfigureCA changes the authority's configuration as PUT /v1/connect/ca/configuration asks, and rotates to a
// new root where the change needs one: another key, or a root of the operator's.
func (s *Server) ConfigureCA(ctx context.Context, req model.Request, provider string, raw map[string]any) error {
	if err := s.here(req); err != nil {
		return err
	}
	if err := s.awaitAuthority(ctx); err != nil {
		return err
	}
	snap := s.store.Snapshot()
	old := snap.CAConfig()
	parsed, err := certs.ParseConfig(provider, raw)
	if err != nil {
		return err
	}
	before, err := certs.ParseConfig(old.Provider, old.Config)
	if err != nil {
		return err
	}
	next := &command.CA{
		Config: model.CAConfig{Provider: provider, Config: withoutKeys(raw), ClusterID: old.ClusterID},
		Expect: old.RaftIndexes.ModifyIndex,
	}
	if parsed.Key != before.Key || parsed.RootCert != "" || !parsed.PrivateKey.IsZero() {
		if err := s.rotate(next, parsed); err != nil {
			return err
		}
	}
	_, err = s.Apply(ctx, req, next)
	return err
}

// rotate puts a new active root into the command, cross-signed by the one before, which stays trusted.
func (s *Server) rotate(next *command.CA, parsed certs.Config) error {
	snap := s.store.Snapshot()
	active := snap.ActiveCARoot()
	root, key, err := newRoot(&next.Config, parsed)
	if err != nil {
		return err
	}
	now := time.Now()
	cross, err := certs.NewCrossSigned(rand.Reader, active, snap.CAKey(active.ID), root, uint64(now.UnixNano()), now)
	if err != nil {
		return err
	}
	roots := s.config.Reads.CARootsOf(snap)
	next.Roots = certs.Rotate(&roots, root, []string{cross}, now).Roots
	next.Keys = []*model.CAKey{key}
	return nil
}

// pruneRoots drops the roots whose last leaf has ended.
func (s *Server) pruneRoots(ctx context.Context) error {
	snap := s.store.Snapshot()
	config := snap.CAConfig()
	if config == nil {
		return nil
	}
	parsed, err := certs.ParseConfig(config.Provider, config.Config)
	if err != nil {
		return err
	}
	roots := s.config.Reads.CARootsOf(snap)
	kept := certs.PruneRoots(&roots, parsed.LeafCertTTL, time.Now())
	if len(kept.Roots) == len(roots.Roots) {
		return nil
	}
	_, err = s.Apply(ctx, model.Request{}, &command.CA{Config: *config, Roots: kept.Roots, Expect: config.RaftIndexes.ModifyIndex})
	return err
}
