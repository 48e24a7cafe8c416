package certs

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// The subject alternative name is read and written here as raw bytes, because crypto/x509 skips the
// general names it does not know: "exactly one" must count those too (RFC 5280, 4.2.1.6).

func oidSAN() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 17} }

// Context tags of GeneralName.
const (
	tagDNS = 2
	tagURI = 6
)

// sanExtension builds the extension that names id, and the DNS names after it. It is critical where the
// subject is empty.
func sanExtension(id model.SPIFFEID, dns []string, critical bool) (pkix.Extension, error) {
	names := []asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: tagURI, Bytes: []byte(id.String())}}
	for _, name := range dns {
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tagDNS, Bytes: []byte(name)})
	}
	der, err := asn1.Marshal(names)
	if err != nil {
		return pkix.Extension{}, fault.New(fault.Internal, "writing subject alternative names: %v", err)
	}
	return pkix.Extension{Id: oidSAN(), Critical: critical, Value: der}, nil
}

// identityOf reads the one identity that a certificate's extensions name. Other URIs and other names
// beside DNS names are refused.
func identityOf(extensions []pkix.Extension) (model.SPIFFEID, error) {
	var none model.SPIFFEID
	var value []byte
	for _, e := range extensions {
		if !e.Id.Equal(oidSAN()) {
			continue
		}
		if value != nil {
			return none, fault.New(fault.Permission, "certificate has several subject alternative name extensions")
		}
		value = e.Value
	}
	var names []asn1.RawValue
	if rest, err := asn1.Unmarshal(value, &names); err != nil || len(rest) > 0 {
		return none, fault.New(fault.Permission, "certificate names no identity")
	}
	uri := ""
	for _, n := range names {
		switch {
		case n.Class == asn1.ClassContextSpecific && n.Tag == tagURI:
			if uri != "" {
				return none, fault.New(fault.Permission, "certificate names several identities")
			}
			uri = string(n.Bytes)
		case n.Class == asn1.ClassContextSpecific && n.Tag == tagDNS:
		default:
			return none, fault.New(fault.Permission, "certificate has a name that is neither URI nor DNS name")
		}
	}
	if uri == "" {
		return none, fault.New(fault.Permission, "certificate names no identity")
	}
	id, err := model.ParseSPIFFE(uri)
	if err != nil {
		return none, fault.New(fault.Permission, "certificate's identity: %w", err)
	}
	return id, nil
}

// onlySAN tells whether the extensions are the one given and no other.
func onlySAN(extensions []pkix.Extension, want pkix.Extension) bool {
	return len(extensions) == 1 && extensions[0].Id.Equal(want.Id) && bytes.Equal(extensions[0].Value, want.Value)
}
