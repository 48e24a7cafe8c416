package certs

import (
	"crypto/rand"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lictor-mesh/lictor/model"
)

func TestRotationKeepsEveryPeerTrusted(t *testing.T) {
	old, next := newAuthority(t, RootParams{}), newAuthority(t, RootParams{Key: KeyParams{RSA, 2048}})
	now := instant()
	before := Rotate(nil, old.root, nil, now)
	cross, err := NewCrossSigned(rand.Reader, old.root, old.key, next.root, 2, now)
	if err != nil {
		t.Fatal(err)
	}
	after := Rotate(before, next.root, []string{cross}, now)
	if after.ActiveRootID != next.root.ID || len(after.Roots) != 2 || after.Roots[0].Active || !after.Roots[1].Active || !before.Roots[0].Active {
		t.Fatalf("%+v", after)
	}
	oldLeaf, _ := old.leaf(t, web(), time.Hour, now)
	newLeaf, _ := authority{after.Roots[1], next.key}.leaf(t, web(), time.Hour, now)
	if got := len(chainOf(t, newLeaf.CertPEM)); got != 2 {
		t.Fatalf("leaf of the new root has %d certificates, want itself and the cross-signed root", got)
	}
	for name, roots := range map[string]*model.CARoots{"late peer": before, "new peer": after} {
		trust, err := NewTrust(roots)
		if err != nil {
			t.Fatal(err)
		}
		for which, leaf := range map[string]*model.LeafCert{"old leaf": oldLeaf, "new leaf": newLeaf} {
			if err := trust.VerifyIs(web(), chainOf(t, leaf.CertPEM), PeerIsServer, now); err != nil {
				t.Errorf("%s refuses the %s: %v", name, which, err)
			}
		}
	}
	if !Outdated(oldLeaf, after) || Outdated(newLeaf, after) || Outdated(oldLeaf, before) {
		t.Error("the wrong leaves are renewed")
	}
	bundle := chainOf(t, Bundle(after))
	if len(bundle) != 2 || rootID(bundle[0].Raw) != next.root.ID {
		t.Errorf("bundle of %d does not begin with the active root", len(bundle))
	}
	if kept := PruneRoots(after, time.Hour, now.Add(2*time.Hour)); len(kept.Roots) != 2 {
		t.Error("the old root went while its leaves may live")
	}
	if kept := PruneRoots(after, time.Hour, now.Add(2*time.Hour+time.Second)); len(kept.Roots) != 1 || kept.Roots[0].ID != next.root.ID || len(after.Roots) != 2 {
		t.Errorf("%+v", kept)
	}
	if back := Rotate(after, old.root, nil, now); back.ActiveRootID != old.root.ID || len(back.Roots) != 2 {
		t.Errorf("going back: %+v", back)
	}
}

func TestRenewalFallsBetween60And90PercentOfLife(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ttl := time.Duration(rapid.Int64Range(int64(5*time.Second), int64(8760*time.Hour)).Draw(t, "ttl"))
		u := rapid.Float64Range(-1, 2).Draw(t, "u")
		issued := instant()
		leaf := &model.LeafCert{ValidAfter: issued.Add(-LeafBackdate(ttl)), ValidBefore: issued.Add(ttl)}
		at := RenewAt(leaf, u)
		life := leaf.ValidBefore.Sub(leaf.ValidAfter)
		lived := at.Sub(leaf.ValidAfter)
		if lived < life*6/10-time.Microsecond || lived > life*9/10+time.Microsecond {
			t.Fatalf("renewed after %s of %s", lived, life)
		}
		// A new leaf is never due at once: the authority would be asked in a loop.
		if at.Sub(issued) < ttl/2 {
			t.Fatalf("renewed %s after its issue, of %s", at.Sub(issued), ttl)
		}
	})
}
