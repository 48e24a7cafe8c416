package cli

import (
	"cmp"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/consul/api"
)

// exitNoMembers tells a script that no member matched.
const exitNoMembers = 2

func members(sh *shell) *command {
	c := newCommand(sh, "members", "[options]", "List the members of the cluster")
	c.text = `Prints the agents that the asked agent knows from gossip, with their state as it sees it.

Exits with 2 when no member matches.`
	c.example = "members -status=alive"
	cl := c.client()
	cl.partitionFlag(c)
	var detailed, wan bool
	var filter, segment, status string
	c.flags.BoolVar(&detailed, "detailed", false, "Show all tags of each member instead.")
	c.flags.StringVar(&filter, "filter", "", "Expression that selects members, such as 'Tags.role == \"consul\"'.")
	c.flags.StringVar(&segment, "segment", api.AllSegments, "Network segment; only the default one exists.")
	c.flags.StringVar(&status, "status", ".*", "Regular expression that the status (alive, left, failed, leaving) must match.")
	c.flags.BoolVar(&wan, "wan", false, "List the servers of all datacenters, as the WAN pool knows them.")
	c.run = func([]string) error {
		states, err := regexp.Compile(status)
		if err != nil {
			return fmt.Errorf("Failed to compile status regexp: %w", err)
		}
		if err := cl.connect(); err != nil {
			return err
		}
		opts := api.MembersOpts{WAN: wan, Filter: filter, Segment: segment}
		if wan {
			opts.Segment = "" // the WAN pool has none, and the agent refuses the pair
		}
		found, err := cl.Agent().MembersOpts(opts)
		if err != nil {
			return cl.fail("Error retrieving members", err)
		}
		found = slices.DeleteFunc(found, func(m *api.AgentMember) bool { return !states.MatchString(memberStatus(m)) })
		if len(found) == 0 {
			return &exit{code: exitNoMembers}
		}
		for _, m := range found {
			completeTags(m)
		}
		// Servers, whose segment is <all>, come before clients.
		slices.SortFunc(found, func(a, b *api.AgentMember) int {
			return cmp.Or(cmp.Compare(a.Tags[api.MemberTagKeySegment], b.Tags[api.MemberTagKeySegment]), cmp.Compare(a.Name, b.Name))
		})
		fmt.Fprintln(sh.stdout, memberTable(found, detailed))
		return nil
	}
	return c
}

func memberTable(found []*api.AgentMember, detailed bool) string {
	header := "Node Address Status Type Build Protocol DC Partition Segment"
	if detailed {
		header = "Node Address Status Tags"
	}
	rows := [][]string{strings.Fields(header)}
	for _, m := range found {
		row := []string{m.Name, net.JoinHostPort(m.Addr, strconv.Itoa(int(m.Port))), memberStatus(m)}
		if detailed {
			rows = append(rows, append(row, joinPairs(m.Tags, ",")))
			continue
		}
		build, _, _ := strings.Cut(m.Tags["build"], ":")
		rows = append(rows, append(row, memberKind(m), cmp.Or(build, "unknown"), m.Tags["vsn"], m.Tags[api.MemberTagKeyDatacenter],
			m.Tags[api.MemberTagKeyPartition], m.Tags[api.MemberTagKeySegment]))
	}
	return columns(rows)
}

// completeTags fills in the tags that are shown though the API leaves them out: the partition, and the segment, of
// which a server has all.
func completeTags(m *api.AgentMember) {
	if m.Tags == nil {
		m.Tags = make(map[string]string)
	}
	m.Tags[api.MemberTagKeyPartition] = cmp.Or(m.Tags[api.MemberTagKeyPartition], "default")
	m.Tags[api.MemberTagKeySegment] = cmp.Or(m.Tags[api.MemberTagKeySegment], "<default>")
	if m.IsConsulServer() {
		m.Tags[api.MemberTagKeySegment] = "<all>"
	}
}

func memberKind(m *api.AgentMember) string {
	switch m.Tags[api.MemberTagKeyRole] {
	case api.MemberTagValueRoleServer:
		return "server"
	case api.MemberTagValueRoleClient:
		return "client"
	}
	return "unknown"
}

// memberStatus names the state that serf gives as a number.
func memberStatus(m *api.AgentMember) string {
	names := []string{"none", "alive", "leaving", "left", "failed"}
	if m.Status >= 0 && m.Status < len(names) {
		return names[m.Status]
	}
	return "unknown"
}
