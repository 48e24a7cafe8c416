package httpapi

import (
	"github.com/lictor-mesh/lictor/model"
)

// intentionKeys are the keys of an intention's body: those that its JSON shape shows, all of which clients
// send back.
func intentionKeys(i *model.Intention) keys {
	var edition string
	return keys{
		"id": intoText(&i.ID), "description": intoText(&i.Description),
		"sourcename": intoText(&i.SourceName), "sourcepeer": intoText(&i.SourcePeer), "sourcetype": intoText(&i.SourceType),
		"destinationname": intoText(&i.DestinationName), "action": intoText(&i.Action),
		"permissions": intoList(&i.Permissions, func(p *model.IntentionPermission) decoder { return permissionKeys(p).decode }),
		"jwt":         intoPart(&i.JWT, jwtKeys),
		"meta":        intoTable(&i.Meta),
		"sourcens":    intoText(&edition), "destinationns": intoText(&edition),
		"precedence": ignored, "hash": ignored, "createdat": ignored, "updatedat": ignored,
		"createindex": ignored, "modifyindex": ignored,
	}
}

func permissionKeys(p *model.IntentionPermission) keys {
	return keys{
		"action": intoText(&p.Action),
		"http":   intoPart(&p.HTTP, httpPermissionKeys),
		"jwt":    intoPart(&p.JWT, jwtKeys),
	}
}

func httpPermissionKeys(h *model.IntentionHTTPPermission) keys {
	list := func(s *string) decoder { return intoText(s) }
	return keys{
		"pathexact": intoText(&h.PathExact), "pathprefix": intoText(&h.PathPrefix), "pathregex": intoText(&h.PathRegex),
		"header":  intoList(&h.Header, func(p *model.IntentionHTTPHeaderPermission) decoder { return headerKeys(p).decode }),
		"methods": intoList(&h.Methods, list),
	}
}

func headerKeys(h *model.IntentionHTTPHeaderPermission) keys {
	return keys{
		"name": intoText(&h.Name), "present": intoFlag(&h.Present), "exact": intoText(&h.Exact), "prefix": intoText(&h.Prefix),
		"suffix": intoText(&h.Suffix), "contains": intoText(&h.Contains), "regex": intoText(&h.Regex),
		"invert": intoFlag(&h.Invert), "ignorecase": intoFlag(&h.IgnoreCase), "ignore_case": intoFlag(&h.IgnoreCase),
	}
}

func jwtKeys(j *model.IntentionJWT) keys {
	return keys{"providers": intoList(&j.Providers, func(p *model.IntentionJWTProvider) decoder {
		return keys{
			"name": intoText(&p.Name),
			"verifyclaims": intoList(&p.VerifyClaims, func(c *model.IntentionJWTClaimVerify) decoder {
				return keys{
					"path":  intoList(&c.Path, func(s *string) decoder { return intoText(s) }),
					"value": intoText(&c.Value),
				}.decode
			}),
		}.decode
	})}
}
