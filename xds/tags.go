package xds

// tag is a tag of Envoy's statistics and the pattern by which its value is taken from their names.
type tag struct{ name, pattern string }

// destinationTags describe what a cluster dials (its name is Target.Cluster) and what an upstream's listener
// stands for (by the prefix of its statistics).
var destinationTags = []tag{
	{"consul.destination.custom_hash", `^cluster\.(?:passthrough~)?((?:([^.]+)~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?[^.]+\.[^.]+\.[^.]+\.consul\.)`},
	{"consul.destination.service_subset", `^cluster\.(?:passthrough~)?((?:[^.]+~)?(?:([^.]+)\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?[^.]+\.[^.]+\.[^.]+\.consul\.)`},
	{"consul.destination.service", `^cluster\.(?:passthrough~)?((?:[^.]+~)?(?:[^.]+\.)?([^.]+)\.[^.]+\.(?:[^.]+\.)?[^.]+\.[^.]+\.[^.]+\.consul\.)`},
	{"consul.destination.namespace", `^cluster\.(?:passthrough~)?((?:[^.]+~)?(?:[^.]+\.)?[^.]+\.([^.]+)\.(?:[^.]+\.)?[^.]+\.[^.]+\.[^.]+\.consul\.)`},
	{"consul.destination.partition", `^cluster\.(?:passthrough~)?((?:[^.]+~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:([^.]+)\.)?[^.]+\.internal[^.]*\.[^.]+\.consul\.)`},
	{"consul.destination.datacenter", `^cluster\.(?:passthrough~)?((?:[^.]+~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?([^.]+)\.internal[^.]*\.[^.]+\.consul\.)`},
	{"consul.destination.peer", `^cluster\.([^.]+\.(?:[^.]+\.)?([^.]+)\.external\.[^.]+\.consul\.)`},
	{"consul.destination.routing_type", `^cluster\.(?:passthrough~)?((?:[^.]+~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?[^.]+\.([^.]+)\.[^.]+\.consul\.)`},
	{"consul.destination.trust_domain", `^cluster\.(?:passthrough~)?((?:[^.]+~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?[^.]+\.[^.]+\.([^.]+)\.consul\.)`},
	{"consul.destination.target", `^cluster\.(?:passthrough~)?(((?:[^.]+~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?[^.]+)\.[^.]+\.[^.]+\.consul\.)`},
	{"consul.destination.full_target", `^cluster\.(?:passthrough~)?(((?:[^.]+~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?[^.]+\.[^.]+\.[^.]+)\.consul\.)`},
	{"consul.upstream.service", `^(?:tcp|http)\.upstream(?:_peered)?\.(([^.]+)(?:\.[^.]+)?(?:\.[^.]+)?\.[^.]+\.)`},
	{"consul.upstream.datacenter", `^(?:tcp|http)\.upstream\.([^.]+(?:\.[^.]+)?(?:\.[^.]+)?\.([^.]+)\.)`},
	{"consul.upstream.peer", `^(?:tcp|http)\.upstream_peered\.([^.]+(?:\.[^.]+)?\.([^.]+)\.)`},
	{"consul.upstream.namespace", `^(?:tcp|http)\.upstream(?:_peered)?\.([^.]+(?:\.([^.]+))?(?:\.[^.]+)?\.[^.]+\.)`},
	{"consul.upstream.partition", `^(?:tcp|http)\.upstream\.([^.]+(?:\.[^.]+)?(?:\.([^.]+))?\.[^.]+\.)`},
}

// deprecatedTags are older names of some of them.
var deprecatedTags = []tag{
	{"consul.custom_hash", `^cluster\.((?:([^.]+)~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?[^.]+\.[^.]+\.[^.]+\.consul\.)`},
	{"consul.service_subset", `^cluster\.((?:[^.]+~)?(?:([^.]+)\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?[^.]+\.[^.]+\.[^.]+\.consul\.)`},
	{"consul.service", `^cluster\.((?:[^.]+~)?(?:[^.]+\.)?([^.]+)\.[^.]+\.(?:[^.]+\.)?[^.]+\.[^.]+\.[^.]+\.consul\.)`},
	{"consul.namespace", `^cluster\.((?:[^.]+~)?(?:[^.]+\.)?[^.]+\.([^.]+)\.(?:[^.]+\.)?[^.]+\.[^.]+\.[^.]+\.consul\.)`},
	{"consul.datacenter", `^cluster\.((?:[^.]+~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?([^.]+)\.internal[^.]*\.[^.]+\.consul\.)`},
	{"consul.routing_type", `^cluster\.((?:[^.]+~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?[^.]+\.([^.]+)\.[^.]+\.consul\.)`},
	{"consul.trust_domain", `^cluster\.((?:[^.]+~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?[^.]+\.[^.]+\.([^.]+)\.consul\.)`},
	{"consul.target", `^cluster\.(((?:[^.]+~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?[^.]+)\.[^.]+\.[^.]+\.consul\.)`},
	{"consul.full_target", `^cluster\.(((?:[^.]+~)?(?:[^.]+\.)?[^.]+\.[^.]+\.(?:[^.]+\.)?[^.]+\.[^.]+\.[^.]+)\.consul\.)`},
}

func fixedTag(name, value string) object { return object{{"tag_name", name}, {"fixed_value", value}} }

// statsTags are the tags of a bootstrap: the operator's own first, which win.
func statsTags(c BootstrapConfig, own list) list {
	out := own
	tags := destinationTags
	if !c.OmitDeprecatedTags {
		tags = append(tags[:len(tags):len(tags)], deprecatedTags...)
	}
	for _, t := range tags {
		out = append(out, object{{"regex", t.pattern}, {"tag_name", t.name}})
	}
	return append(out,
		fixedTag("local_cluster", string(c.Service)),
		fixedTag("consul.source.service", string(c.Service)),
		fixedTag("consul.source.namespace", "default"),
		fixedTag("consul.source.partition", "default"),
		fixedTag("consul.source.datacenter", c.Datacenter),
	)
}
