package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"

	"github.com/lictor-mesh/lictor/model"
)

// appendIntention appends the Intention shape (HTTP API reference, section 9.2).
func appendIntention(b []byte, i *model.Intention) []byte {
	o := beginObject(b)
	if !i.CreatedAt.IsZero() {
		o.time("CreatedAt", i.CreatedAt)
	}
	if !i.UpdatedAt.IsZero() {
		o.time("UpdatedAt", i.UpdatedAt)
	}
	o.textIf("ID", i.ID)
	o.textIf("Description", i.Description)
	o.raw("SourceNS", `"default"`)
	o.text("SourceName", string(i.SourceName))
	o.textIf("SourcePeer", i.SourcePeer)
	o.raw("DestinationNS", `"default"`)
	o.text("DestinationName", string(i.DestinationName))
	o.text("SourceType", i.SourceType)
	o.textIf("Action", string(i.Action))
	if len(i.Permissions) > 0 {
		o.key("Permissions")
		o.b = append(o.b, '[')
		for n := range i.Permissions {
			if n > 0 {
				o.b = append(o.b, ',')
			}
			o.b = appendPermission(o.b, &i.Permissions[n])
		}
		o.b = append(o.b, ']')
	}
	o.jwtIf(i.JWT)
	if len(i.Meta) > 0 {
		o.table("Meta", i.Meta, "{}")
	}
	o.int("Precedence", i.Precedence)
	if i.ID != "" {
		o.text("Hash", intentionHash(i))
	}
	o.indexes(i.RaftIndexes)
	return o.end()
}

// intentionHash is the opaque hash that intentions of the legacy API carry: it changes with the content.
func intentionHash(i *model.Intention) string {
	c := *i
	c.RaftIndexes = model.RaftIndexes{}
	c.CreatedAt = c.UpdatedAt
	c.ID = ""
	sum := sha256.Sum256(append(appendIntention(nil, &c), i.ID...))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func appendPermission(b []byte, p *model.IntentionPermission) []byte {
	o := beginObject(b)
	o.text("Action", string(p.Action))
	if h := p.HTTP; h != nil {
		o.key("HTTP")
		q := beginObject(o.b)
		q.textIf("PathExact", h.PathExact)
		q.textIf("PathPrefix", h.PathPrefix)
		q.textIf("PathRegex", h.PathRegex)
		if len(h.Header) > 0 {
			q.key("Header")
			q.b = appendList(q.b, h.Header, appendHeaderPermission)
		}
		if len(h.Methods) > 0 {
			q.texts("Methods", h.Methods, "[]")
		}
		o.b = q.end()
	}
	o.jwtIf(p.JWT)
	return o.end()
}

func appendHeaderPermission(b []byte, h model.IntentionHTTPHeaderPermission) []byte {
	o := beginObject(b)
	o.text("Name", h.Name)
	o.flagIf("Present", h.Present)
	o.textIf("Exact", h.Exact)
	o.textIf("Prefix", h.Prefix)
	o.textIf("Suffix", h.Suffix)
	o.textIf("Contains", h.Contains)
	o.textIf("Regex", h.Regex)
	o.flagIf("Invert", h.Invert)
	o.flagIf("IgnoreCase", h.IgnoreCase)
	return o.end()
}

func (o *object) jwtIf(j *model.IntentionJWT) {
	if j == nil {
		return
	}
	o.key("JWT")
	q := beginObject(o.b)
	if len(j.Providers) > 0 {
		q.key("Providers")
		q.b = appendList(q.b, j.Providers, func(b []byte, p model.IntentionJWTProvider) []byte {
			r := beginObject(b)
			r.textIf("Name", p.Name)
			if len(p.VerifyClaims) > 0 {
				r.key("VerifyClaims")
				r.b = appendList(r.b, p.VerifyClaims, func(b []byte, c model.IntentionJWTClaimVerify) []byte {
					s := beginObject(b)
					s.texts("Path", c.Path, "[]")
					s.text("Value", c.Value)
					return s.end()
				})
			}
			return r.end()
		})
	}
	o.b = q.end()
}

// appendRoots appends the shape of connect/ca/roots.
func appendRoots(b []byte, roots *model.CARoots) []byte {
	o := beginObject(b)
	o.text("ActiveRootID", roots.ActiveRootID)
	o.text("TrustDomain", roots.TrustDomain)
	o.key("Roots")
	o.b = appendList(o.b, roots.Roots, appendRoot)
	return o.end()
}

func appendRoot(b []byte, r *model.CARoot) []byte {
	o := beginObject(b)
	o.text("ID", r.ID)
	o.text("Name", r.Name)
	o.uint("SerialNumber", r.SerialNumber)
	o.text("SigningKeyID", r.SigningKeyID)
	o.text("ExternalTrustDomain", r.ExternalTrustDomain)
	o.time("NotBefore", r.NotBefore)
	o.time("NotAfter", r.NotAfter)
	o.text("RootCert", r.RootCert)
	o.texts("IntermediateCerts", r.IntermediateCerts, "null")
	o.flag("Active", r.Active)
	o.text("PrivateKeyType", r.PrivateKeyType)
	o.int("PrivateKeyBits", r.PrivateKeyBits)
	o.indexes(r.RaftIndexes)
	return o.end()
}

// appendCAConfig appends the shape of connect/ca/configuration. Nothing in it is a secret: the state keeps
// keys apart.
func appendCAConfig(b []byte, c *model.CAConfig) []byte {
	o := beginObject(b)
	o.text("Provider", c.Provider)
	o.key("Config")
	o.b = appendMap(o.b, c.Config, appendAny)
	o.raw("State", "null")
	o.raw("ForceWithoutCrossSigning", "false")
	o.indexes(c.RaftIndexes)
	return o.end()
}

// appendLeaf appends the shape of agent/connect/ca/leaf: the one answer that holds a private key.
func appendLeaf(b []byte, l *model.LeafCert) []byte {
	o := beginObject(b)
	o.text("SerialNumber", l.SerialNumber)
	o.text("CertPEM", l.CertPEM)
	o.text("PrivateKeyPEM", l.PrivateKeyPEM.Reveal())
	o.text("Service", string(l.Service))
	o.text("ServiceURI", l.ServiceURI)
	o.time("ValidAfter", l.ValidAfter)
	o.time("ValidBefore", l.ValidBefore)
	o.indexes(l.RaftIndexes)
	return o.end()
}

// appendMember appends the Member shape (HTTP API reference, section 2.2).
func appendMember(b []byte, m model.Member) []byte {
	o := beginObject(b)
	o.text("Name", string(m.Name))
	o.text("Addr", m.Addr)
	o.uint("Port", uint64(m.Port))
	o.table("Tags", m.Tags, "{}")
	o.int("Status", int(m.Status))
	o.uint("ProtocolMin", uint64(m.ProtocolMin))
	o.uint("ProtocolMax", uint64(m.ProtocolMax))
	o.uint("ProtocolCur", uint64(m.ProtocolCur))
	o.uint("DelegateMin", uint64(m.DelegateMin))
	o.uint("DelegateMax", uint64(m.DelegateMax))
	o.uint("DelegateCur", uint64(m.DelegateCur))
	return o.end()
}

func formatIndex(i model.Index) string {
	// Index 0 would make a client's next query not wait.
	return strconv.FormatUint(uint64(max(i, 1)), 10)
}
