package model

import (
	"strings"

	"github.com/lictor-mesh/lictor/model/fault"
)

//msgp:ignore TrustDomain SPIFFEID SPIFFEKind

// TrustDomain is the name under which the identities of one cluster live: "<cluster uuid>.consul".
type TrustDomain string

// trustDomainSuffix ends every trust domain, whatever the DNS domain is configured to.
const trustDomainSuffix = ".consul"

// TrustDomainOf returns the trust domain of the cluster with that UUID.
func TrustDomainOf(clusterID string) TrustDomain {
	return TrustDomain(strings.ToLower(clusterID) + trustDomainSuffix)
}

// ClusterID returns the cluster UUID of the trust domain.
func (td TrustDomain) ClusterID() string { return strings.TrimSuffix(string(td), trustDomainSuffix) }

// SPIFFEKind tells whose identity a SPIFFE id is.
type SPIFFEKind uint8

// The kinds of identity, with their form below "spiffe://<trust domain>".
const (
	// SPIFFECA is the authority itself; no path.
	SPIFFECA SPIFFEKind = iota
	// SPIFFEService is /ns/default/dc/<dc>/svc/<service>.
	SPIFFEService
	// SPIFFEClient is /agent/client/dc/<dc>/id/<node>.
	SPIFFEClient
	// SPIFFEServer is /agent/server/dc/<dc>.
	SPIFFEServer
	// SPIFFEMeshGateway is /gateway/mesh/dc/<dc>.
	SPIFFEMeshGateway
)

var spiffeKindNames = [...]string{"authority", "service", "client agent", "server", "mesh gateway"}

// String names the kind for error texts and logs.
func (k SPIFFEKind) String() string {
	if int(k) < len(spiffeKindNames) {
		return spiffeKindNames[k]
	}
	return "unknown"
}

// SPIFFEID is an identity in the mesh. It is comparable: equal ids have equal strings and the other way
// round, since ParseSPIFFE takes one spelling only. Fields that the kind does not name are empty.
type SPIFFEID struct {
	Kind        SPIFFEKind
	TrustDomain TrustDomain
	Datacenter  string
	// Service is set for SPIFFEService.
	Service ServiceName
	// Node is set for SPIFFEClient.
	Node NodeName
}

// CASPIFFE is the identity of the authority of a trust domain.
func CASPIFFE(td TrustDomain) SPIFFEID { return SPIFFEID{Kind: SPIFFECA, TrustDomain: td} }

// ServiceSPIFFE is the identity of a service's instances in a datacenter.
func ServiceSPIFFE(td TrustDomain, dc string, service ServiceName) SPIFFEID {
	return SPIFFEID{Kind: SPIFFEService, TrustDomain: td, Datacenter: dc, Service: service}
}

// ClientSPIFFE is the identity of a client agent.
func ClientSPIFFE(td TrustDomain, dc string, node NodeName) SPIFFEID {
	return SPIFFEID{Kind: SPIFFEClient, TrustDomain: td, Datacenter: dc, Node: node}
}

// ServerSPIFFE is the identity that the servers of a datacenter share.
func ServerSPIFFE(td TrustDomain, dc string) SPIFFEID {
	return SPIFFEID{Kind: SPIFFEServer, TrustDomain: td, Datacenter: dc}
}

// MeshGatewaySPIFFE is the identity that the mesh gateways of a datacenter share.
func MeshGatewaySPIFFE(td TrustDomain, dc string) SPIFFEID {
	return SPIFFEID{Kind: SPIFFEMeshGateway, TrustDomain: td, Datacenter: dc}
}

const spiffeScheme = "spiffe://"

// maxSPIFFE is the longest SPIFFE id in bytes (SPIFFE-ID specification, section 2.3).
const maxSPIFFE = 2048

// String returns the id's URI. Of an id that Validate refuses it returns a URI that ParseSPIFFE refuses.
func (id SPIFFEID) String() string {
	base := spiffeScheme + string(id.TrustDomain)
	dc := escapeSegment(id.Datacenter)
	switch id.Kind {
	case SPIFFECA:
		return base
	case SPIFFEService:
		return base + "/ns/default/dc/" + dc + "/svc/" + escapeSegment(string(id.Service))
	case SPIFFEClient:
		return base + "/agent/client/dc/" + dc + "/id/" + escapeSegment(string(id.Node))
	case SPIFFEServer:
		return base + "/agent/server/dc/" + dc
	case SPIFFEMeshGateway:
		return base + "/gateway/mesh/dc/" + dc
	}
	return ""
}

// Validate tells whether the id can be written and read back: its trust domain is well formed, exactly
// the fields of its kind are set, and none of them holds what could be taken for a separator.
func (id SPIFFEID) Validate() error {
	back, err := ParseSPIFFE(id.String())
	if err != nil {
		return err
	}
	if back != id {
		return fault.New(fault.BadRequest, "%s identity has fields that do not belong to it: %q", id.Kind, id.String())
	}
	return nil
}

// ParseSPIFFE reads the URI of an identity. It accepts exactly what String writes: lower-case scheme and
// trust domain, no port, user, query, fragment, empty or extra segment, the default namespace, and
// percent-encoding only where it is needed, in upper case, never of "/", "\" or a control character.
func ParseSPIFFE(uri string) (SPIFFEID, error) {
	if len(uri) > maxSPIFFE {
		return SPIFFEID{}, fault.New(fault.BadRequest, "SPIFFE id of %d bytes, the longest is %d", len(uri), maxSPIFFE)
	}
	rest, ok := strings.CutPrefix(uri, spiffeScheme)
	if !ok {
		return SPIFFEID{}, badSPIFFE(uri, "it does not begin with "+spiffeScheme)
	}
	domain, path, hasPath := strings.Cut(rest, "/")
	if !validTrustDomain(domain) {
		return SPIFFEID{}, badSPIFFE(uri, "the trust domain is not of lower-case letters, digits, dots and dashes")
	}
	id := SPIFFEID{TrustDomain: TrustDomain(domain)}
	if !hasPath {
		return id, nil
	}
	raw := strings.Split(path, "/")
	seg := make([]string, len(raw))
	for i, s := range raw {
		if seg[i], ok = unescapeSegment(s); !ok {
			return SPIFFEID{}, badSPIFFE(uri, "a path segment is empty or not in its one encoding")
		}
	}
	if !id.setPath(seg) {
		return SPIFFEID{}, badSPIFFE(uri, "its path is of no known form")
	}
	return id, nil
}

func (id *SPIFFEID) setPath(seg []string) bool {
	is := func(n int, words ...string) bool {
		if len(seg) != n {
			return false
		}
		for i, w := range words {
			if w != "" && seg[i] != w {
				return false
			}
		}
		return true
	}
	switch {
	case is(6, "ns", "default", "dc", "", "svc", ""):
		id.Kind, id.Datacenter, id.Service = SPIFFEService, seg[3], ServiceName(seg[5])
	case is(6, "agent", "client", "dc", "", "id", ""):
		id.Kind, id.Datacenter, id.Node = SPIFFEClient, seg[3], NodeName(seg[5])
	case is(4, "agent", "server", "dc", ""):
		id.Kind, id.Datacenter = SPIFFEServer, seg[3]
	case is(4, "gateway", "mesh", "dc", ""):
		id.Kind, id.Datacenter = SPIFFEMeshGateway, seg[3]
	default:
		return false
	}
	return true
}

func badSPIFFE(uri, why string) error {
	return fault.New(fault.BadRequest, "%q is not a SPIFFE id of the mesh: %s", uri, why).
		WithHint("a service's id is spiffe://<cluster uuid>.consul/ns/default/dc/<datacenter>/svc/<service>")
}

// validTrustDomain holds section 2.1 of the SPIFFE-ID specification (underscores, which it allows too, occur in no UUID).
func validTrustDomain(s string) bool {
	if s == "" || len(s) > 255 || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	return true
}

const upperHex = "0123456789ABCDEF"

// plainInPath tells what net/url leaves as it is in a path segment, so that our one encoding is also Go's.
func plainInPath(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("-_.~$&+,:;=@", c) >= 0
}

func escapeSegment(s string) string {
	plain := true
	for i := range len(s) {
		plain = plain && plainInPath(s[i])
	}
	if plain {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; plainInPath(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
		}
	}
	return b.String()
}

// unescapeSegment decodes one path segment once. It refuses every spelling but escapeSegment's, and
// decoded text that a later reader of the path could take for structure.
func unescapeSegment(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := strings.IndexByte(upperHex, s[i+1]), strings.IndexByte(upperHex, s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	text := b.String()
	if text == "" || text == "." || text == ".." || escapeSegment(text) != s {
		return "", false
	}
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c == 0x7f || c == '/' || c == '\\' {
			return "", false
		}
	}
	return text, true
}
