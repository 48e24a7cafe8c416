package config

import "strings"

// Unenforced names the options that are set to protect something, and that this version does not enforce: to
// start with them would be to look protected. The key lictor.allow_unenforced starts all the same.
func (c *Config) Unenforced() []string {
	var found []string
	for i := range options().options {
		o := &options().options[i]
		if o.Effect != Pending {
			continue
		}
		v := o.at(c)
		switch {
		case o.Key == "acl.enabled" && v.Bool() && c.ACL.DefaultPolicy == "deny":
			found = append(found, "acl.enabled with acl.default_policy = deny")
		case strings.Contains(o.Key, "verify_") && !strings.HasPrefix(o.Key, "encrypt_") && o.Type() == "bool" && v.Bool():
			found = append(found, o.Key)
		}
	}
	return found
}
