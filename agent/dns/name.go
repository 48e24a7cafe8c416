package dns

import (
	"strings"
)

// kind is what a name asks for.
type kind uint8

const (
	kindNone kind = iota
	kindService
	kindConnect
	kindIngress
	kindVirtual
	kindNode
	kindQuery
	kindAddr
)

// kindOf reads the label that names a kind.
func kindOf(label string) kind {
	switch {
	case strings.EqualFold(label, "service"):
		return kindService
	case strings.EqualFold(label, "connect"):
		return kindConnect
	case strings.EqualFold(label, "ingress"):
		return kindIngress
	case strings.EqualFold(label, "virtual"):
		return kindVirtual
	case strings.EqualFold(label, "node"):
		return kindNode
	case strings.EqualFold(label, "query"):
		return kindQuery
	case strings.EqualFold(label, "addr"):
		return kindAddr
	default:
		return kindNone
	}
}

// name is a parsed name: labels.kind.locality, without the domain.
type name struct {
	kind kind
	// labels stand left of the kind: at least one, none escaped.
	labels []string
	// datacenter or peer is where the name is to be looked up; both are empty for here.
	datacenter, peer string
}

// parse reads the labels of a name left of its domain, from right to left: the rightmost label that names a kind
// is the kind. With srv, two neighbours in the form of RFC 2782 do without the word "service". It tells whether
// the name has one of the served forms.
func parse(labels []string, srv bool) (name, bool) {
	for n := len(labels) - 1; n >= 0; n-- {
		if k := kindOf(labels[n]); k != kindNone {
			return assemble(k, labels[:n], labels[n+1:])
		}
		if srv && n > 0 && underscored(labels[n]) && underscored(labels[n-1]) {
			return assemble(kindService, labels[:n+1], labels[n+1:])
		}
	}
	return name{}, false
}

func assemble(k kind, labels, locality []string) (name, bool) {
	n := name{kind: k, labels: labels}
	if len(labels) == 0 {
		return name{}, false
	}
	switch {
	case k == kindAddr: // the address is the same everywhere: its locality is not looked at
	case k == kindVirtual && len(locality) == 1:
		n.peer = locality[0]
	case k == kindQuery && len(locality) > 1:
		return name{}, false
	case len(locality) == 0:
	case len(locality) == 1:
		n.datacenter = locality[0]
	case len(locality) == 2 && strings.EqualFold(locality[1], "dc"):
		n.datacenter = locality[0]
	case len(locality) == 2 && strings.EqualFold(locality[1], "peer"):
		n.peer = locality[0]
	default:
		return name{}, false
	}
	return n, true
}

func underscored(label string) bool { return len(label) > 1 && label[0] == '_' }

// rfc2782 returns service and tag of labels in the form _service._protocol. The protocol tcp stands for no tag.
func rfc2782(labels []string) (service, tag string, ok bool) {
	if len(labels) != 2 || !underscored(labels[0]) || !underscored(labels[1]) {
		return "", "", false
	}
	service, tag = labels[0][1:], labels[1][1:]
	if strings.EqualFold(tag, "tcp") {
		tag = ""
	}
	return service, tag, true
}

// unescape turns a label from its presentation form into its bytes (RFC 1035 5.1): \. is a dot, \032 a space.
func unescape(label string) string {
	if !strings.Contains(label, `\`) {
		return label
	}
	var b strings.Builder
	for n := 0; n < len(label); n++ {
		c := label[n]
		if c == '\\' && n+3 < len(label) && digits(label[n+1:n+4]) {
			c = (label[n+1]-'0')*100 + (label[n+2]-'0')*10 + label[n+3] - '0'
			n += 3
		} else if c == '\\' && n+1 < len(label) {
			n++
			c = label[n]
		}
		b.WriteByte(c)
	}
	return b.String()
}

func digits(s string) bool {
	for n := range len(s) {
		if s[n] < '0' || s[n] > '9' {
			return false
		}
	}
	return true
}

// escape is the presentation form of a catalog name whose dots part labels.
func escape(name string) string {
	if !strings.ContainsAny(name, "\\\"();@ '") {
		return name
	}
	var b strings.Builder
	for n := range len(name) {
		if strings.IndexByte("\\\"();@ '", name[n]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(name[n])
	}
	return b.String()
}
