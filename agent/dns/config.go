package dns

import (
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/miekg/dns"

	"github.com/lictor-mesh/lictor/controlplane/read"
	"github.com/lictor-mesh/lictor/controlplane/view"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
	"github.com/lictor-mesh/lictor/netlimit"
)

// Config is what a Server needs. Source and Reads are required; each other field has the default that its comment
// names when it is zero.
type Config struct {
	// Domain is the zone served ("consul."), AltDomain a second one (none). Case and a final dot do not matter.
	Domain, AltDomain string
	// Datacenter is the local one ("dc1"): the only one whose names are answered.
	Datacenter string

	// NodeTTL is the TTL of node records (0), ServiceTTL that of a service's: by its name, else by the longest
	// prefix that ends in "*", else 0. Parts of a second are dropped.
	NodeTTL    time.Duration
	ServiceTTL map[string]time.Duration
	// OnlyPassing excludes instances in warning too; critical ones never are in an answer.
	OnlyPassing bool
	// ARecordLimit caps the addresses of a service's answer over any transport (no cap).
	ARecordLimit int
	// UDPAnswerLimit caps the records of a UDP answer to a client without EDNS (3, never more than 8).
	UDPAnswerLimit int
	// EnableTruncate sets the TC flag when records were dropped to fit (not set).
	EnableTruncate bool
	// DisableCompression spells every name out (RFC 1035 4.1.4 compression is on).
	DisableCompression bool
	// OmitNodeMeta leaves a node's metadata out of the additional section of its address and SRV answers.
	OmitNodeMeta bool
	// SOA are the figures of the zone's SOA record (DefaultSOA).
	SOA SOA

	// Source gives the views, Reads names them.
	Source view.Source
	Reads  *read.Set
	// TCP are the limits of each TCP listener (1,024 connections, 128 of one client, 5 s to the first byte).
	TCP netlimit.Limits
	// Logger gets what the operator should know; nil logs nothing.
	Logger hclog.Logger
}

// SOA are the figures of an SOA record, in seconds (RFC 1035 3.3.13).
type SOA struct {
	Refresh, Retry, Expire, MinTTL uint32
}

// DefaultSOA is what the zone says unless it is configured.
func DefaultSOA() SOA { return SOA{Refresh: 3600, Retry: 600, Expire: 86400} }

// The bounds that are not configurable, as clients know them.
const (
	defaultUDPAnswers = 3
	maxUDPAnswers     = 8
	// maxAddresses and maxTargets cap what is put into one answer, however large the transport.
	maxAddresses = 4096
	maxTargets   = 1024
)

// settings are a Config in the form in which queries use it.
type settings struct {
	domain, alt    string // canonical: lower case, final dot; alt is "" without one
	datacenter     string
	nodeTTL        uint32
	serviceTTL     map[string]uint32
	onlyPassing    bool
	addressLimit   int
	udpAnswers     int
	truncate       bool
	compress       bool
	nodeMeta       bool
	soa            SOA
	longestPattern int
}

// newSettings applies the defaults. It refuses, as fault.Invalid, a domain that is none.
func newSettings(c *Config) (*settings, error) {
	s := &settings{
		datacenter: c.Datacenter, nodeTTL: seconds(c.NodeTTL), serviceTTL: map[string]uint32{},
		onlyPassing: c.OnlyPassing, addressLimit: maxAddresses, udpAnswers: defaultUDPAnswers,
		truncate: c.EnableTruncate, compress: !c.DisableCompression, nodeMeta: !c.OmitNodeMeta, soa: c.SOA,
	}
	var err error
	if s.domain, err = zoneName("domain", c.Domain, "consul."); err != nil {
		return nil, err
	}
	if s.alt, err = zoneName("alt_domain", c.AltDomain, ""); err != nil {
		return nil, err
	}
	if s.datacenter == "" {
		s.datacenter = "dc1"
	}
	if s.soa == (SOA{}) {
		s.soa = DefaultSOA()
	}
	if c.ARecordLimit > 0 {
		s.addressLimit = min(c.ARecordLimit, maxAddresses)
	}
	if c.UDPAnswerLimit > 0 {
		s.udpAnswers = min(c.UDPAnswerLimit, maxUDPAnswers)
	}
	for name, ttl := range c.ServiceTTL {
		s.serviceTTL[model.Fold(name)] = seconds(ttl)
		s.longestPattern = max(s.longestPattern, len(name)-1)
	}
	return s, nil
}

func zoneName(option, name, otherwise string) (string, error) {
	if name == "" {
		return otherwise, nil
	}
	zone := dns.CanonicalName(name)
	if !packable(zone) || zone == "." {
		return "", fault.New(fault.Invalid, "%s: %q is not a domain name", option, name).
			WithHint("give labels of up to 63 characters between dots, as in %s = \"consul\"", option)
	}
	return zone, nil
}

func seconds(d time.Duration) uint32 {
	return uint32(min(max(d/time.Second, 0), 1<<31-1)) // RFC 2181 8: a TTL has 31 bits
}

// ttlOf returns the TTL of a service's records.
func (s *settings) ttlOf(service string) uint32 {
	if len(s.serviceTTL) == 0 {
		return 0
	}
	name := model.Fold(service)
	if ttl, ok := s.serviceTTL[name]; ok {
		return ttl
	}
	for n := min(len(name), s.longestPattern); n >= 0; n-- {
		if ttl, ok := s.serviceTTL[name[:n]+"*"]; ok {
			return ttl
		}
	}
	return 0
}

// reverseZone is the domain of names that stand for addresses.
const reverseZone = "arpa."

// zoneOf returns the served domain that name is in, the longest if several match, or "".
func (s *settings) zoneOf(name string) string {
	best := ""
	for _, zone := range [...]string{s.domain, s.alt, reverseZone} {
		if len(zone) > len(best) && dns.IsSubDomain(zone, name) {
			best = zone
		}
	}
	return best
}

// own returns the domain that a zone's negative answers and targets are spelled in: reverse names have the first.
func (s *settings) own(zone string) string {
	if zone == reverseZone {
		return s.domain
	}
	return zone
}

// packable tells whether name, fully qualified, can be put on the wire.
func packable(name string) bool {
	if len(name) == 0 || strings.HasPrefix(name, ".") && name != "." {
		return false
	}
	var buf [256]byte
	_, err := dns.PackDomainName(name, buf[:], 0, nil, false)
	return err == nil
}
