package certs

import (
	"crypto/x509"
	"io"
	"math/big"
	"slices"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// NewCrossSigned certifies newRoot's key with oldRoot's: the intermediate that lets peers who trust only
// the old root accept leaves of the new one. serial is unique below the old root. The result is PEM.
func NewCrossSigned(random io.Reader, oldRoot *model.CARoot, oldKey *model.CAKey, newRoot *model.CARoot, serial uint64, now time.Time) (string, error) {
	old, err := NewSigner(oldRoot, oldKey)
	if err != nil {
		return "", err
	}
	cert, err := parseCert(newRoot.RootCert)
	if err != nil {
		return "", err
	}
	switch {
	case oldRoot.ExternalTrustDomain != newRoot.ExternalTrustDomain:
		return "", fault.New(fault.Invalid, "roots of different trust domains, %s and %s, are not cross-signed",
			oldRoot.ExternalTrustDomain, newRoot.ExternalTrustDomain)
	case serial == 0:
		return "", fault.New(fault.Internal, "cross-signed certificate without a serial")
	case !now.Before(old.cert.NotAfter):
		return "", fault.New(fault.Unavailable, "root %s ended at %s, it signs no more", oldRoot.ID, old.cert.NotAfter.Format(time.RFC3339))
	}
	after := cert.NotAfter
	if old.cert.NotAfter.Before(after) {
		after = old.cert.NotAfter
	}
	// Subject and key id are the new root's to the byte, so that chains build through either certificate.
	template := &x509.Certificate{
		SerialNumber:          new(big.Int).SetUint64(serial),
		RawSubject:            cert.RawSubject,
		NotBefore:             now.Add(-backdate),
		NotAfter:              after,
		KeyUsage:              caKeyUsage,
		BasicConstraintsValid: true,
		IsCA:                  true,
		SubjectKeyId:          cert.SubjectKeyId,
		AuthorityKeyId:        old.cert.SubjectKeyId,
	}
	for _, e := range cert.Extensions {
		if e.Id.Equal(oidSAN()) {
			template.ExtraExtensions = append(template.ExtraExtensions, e)
		}
	}
	der, err := x509.CreateCertificate(randomOr(random), template, old.cert, cert.PublicKey, old.key)
	if err != nil {
		return "", fault.New(fault.Internal, "cross-signing root %s: %v", newRoot.ID, err)
	}
	return pemBlock("CERTIFICATE", der), nil
}

// Rotate returns the set in which next is the active root. crossSigned are the PEMs that lead from the
// roots before to next; leaves of next carry them. The roots before stay trusted until PruneRoots.
// A root that is in the set already becomes the active one again.
func Rotate(roots *model.CARoots, next *model.CARoot, crossSigned []string, now time.Time) *model.CARoots {
	out := &model.CARoots{ActiveRootID: next.ID, TrustDomain: string(model.TrustDomainOf(next.ExternalTrustDomain))}
	if roots != nil {
		for _, r := range roots.Roots {
			if r.ID == next.ID {
				continue
			}
			c := *r
			if c.Active {
				c.Active, c.RotatedOutAt = false, now
			}
			out.Roots = append(out.Roots, &c)
		}
	}
	c := *next
	c.Active, c.RotatedOutAt, c.IntermediateCerts = true, time.Time{}, slices.Clone(crossSigned)
	out.Roots = append(out.Roots, &c)
	return out
}

// PruneRoots returns the set without the roots whose last leaf ended: rotated out longer than twice the
// leaves' TTL ago, or expired. The active one always stays. It returns roots itself when nothing is to go.
func PruneRoots(roots *model.CARoots, leafTTL time.Duration, now time.Time) *model.CARoots {
	gone := func(r *model.CARoot) bool {
		if r.ID == roots.ActiveRootID || r.RotatedOutAt.IsZero() {
			return false
		}
		return now.Sub(r.RotatedOutAt) > 2*leafTTL || now.After(r.NotAfter)
	}
	if !slices.ContainsFunc(roots.Roots, gone) {
		return roots
	}
	out := *roots
	out.Roots = slices.DeleteFunc(slices.Clone(roots.Roots), gone)
	return &out
}

// Outdated tells whether a leaf is to be renewed because of the roots rather than of its age: it was
// signed below a root that is not the active one.
func Outdated(leaf *model.LeafCert, roots *model.CARoots) bool {
	return roots != nil && roots.ActiveRootID != "" && leaf.RootID != roots.ActiveRootID
}

// RenewAt returns when to renew a leaf: between 60 % and 90 % of its life, where u, uniform in [0,1),
// decides, so that leaves that were issued together are not renewed together. An u outside is clamped.
func RenewAt(leaf *model.LeafCert, u float64) time.Time {
	u = min(max(u, 0), 1)
	life := leaf.ValidBefore.Sub(leaf.ValidAfter)
	return leaf.ValidAfter.Add(time.Duration(float64(life) * (0.6 + 0.3*u)))
}
