package httpapi

import (
	"strings"
	"testing"

	"github.com/lictor-mesh/lictor/model"
)

func TestFiltersSelectAsTheGrammarSays(t *testing.T) {
	s := newSelectors()
	web := &model.Instance{
		Node: &model.Node{Node: "n1", Meta: map[string]string{"rack": "r1"}},
		Service: &model.Service{ID: "w1", Service: "web", Port: 80, Tags: []string{"v1", "prod"}, Meta: map[string]string{"env": "prod"},
			TaggedAddresses: map[string]model.ServiceAddress{"lan": {Address: "10.0.0.1", Port: 80}},
			Proxy:           &model.Proxy{Upstreams: []model.Upstream{{DestinationName: "db"}, {DestinationName: "api"}}}},
		Checks: []*model.Check{{CheckID: "a", Status: model.StatusPassing}, {CheckID: "b", Status: model.StatusCritical}},
	}
	for expression, want := range map[string]bool{
		`Service.Service == web`: true,
		`Service.Service != web`: false,
		`Service.Port == 80 and not Service.EnableTagOverride == true`:      true,
		`Service.Port != 80 or Node.Node == n2`:                             false,
		`"v1" in Service.Tags`:                                              true,
		`Service.Tags not contains "v1"`:                                    false,
		`"zz" not in Service.Tags`:                                          true,
		`Service.Tags is empty`:                                             false,
		`Service.Meta is not empty`:                                         true,
		`Service.Meta.env == prod`:                                          true,
		`Service.Meta["env"] == prod`:                                       true,
		`Service.Meta.absent == prod`:                                       false,
		`Service.Meta.absent != prod`:                                       true,
		`prod in Service.Meta.absent`:                                       false,
		`prod not in Service.Meta.absent`:                                   true,
		`env in Service.Meta`:                                               true,
		`Service.Meta.env matches "^pr"`:                                    true,
		`Service.Meta.env not matches "^pr"`:                                false,
		`"ro" in Service.Meta.env`:                                          true,
		`Checks.Status == critical`:                                         true,
		`Checks.Status == warning`:                                          false,
		`Checks.Status != critical`:                                         true, // any element decides
		`Checks is not empty`:                                               true,
		`Service.TaggedAddresses.lan.Port == 80`:                            true,
		`Service.TaggedAddresses.wan.Port == 80`:                            false,
		`lan in Service.TaggedAddresses`:                                    true,
		`Service.Proxy.Upstreams.DestinationName == api`:                    true,
		`Service.Proxy.TransparentProxy.OutboundListenerPort == 0`:          true,
		`(Node.Meta.rack == r1 and Service.ID == w1) or Service.Port == 81`: true,
	} {
		p, err := compileFilter(expression, s.health)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if p(web) != want {
			t.Errorf("%s is %v", expression, !want)
		}
	}
}

func TestFilterThatCannotWorkIsRefused(t *testing.T) {
	s := newSelectors()
	for expression, want := range map[string]string{
		`Foo == 1`:                      `Selector "Foo" is not valid`,
		`Service.Foo == 1`:              `Selector "Service.Foo" is not valid`,
		`Service.Service.x == 1`:        `Selector "Service.Service.x" is not valid`,
		`Service == 1`:                  `Invalid match operator "Equal" for selector "Service"`,
		`Service.Service is empty`:      `Invalid match operator "Is Empty" for selector "Service.Service"`,
		`Service.Meta.x is empty`:       `Invalid match operator "Is Empty" for selector "Service.Meta.x"`,
		`Service.Tags == x`:             `Invalid match operator "Equal" for selector "Service.Tags"`,
		`Service.Port == x`:             `Failed to coerce value "x"`,
		`Service.Service matches "("`:   `Failed to compile regular expression "("`,
		`"/Service/Service" == web`:     `is not valid`,
		`any Checks as c { c.X == y }`:  `not supported`,
		`Service.Proxy.Config.x == y`:   `is not valid`,
		`CreateIndex == 1`:              `Selector "CreateIndex" is not valid`,
		`==`:                            `no match found, expected: "(", "-", "0", "\"", "` + "`" + `", "not"`,
		strings.Repeat("(", 40) + "a":   `Failed to create`,
		strings.Repeat("not ", 5) + "=": `Failed to create`,
	} {
		_, err := compileFilter(expression, s.health)
		if err == nil || !strings.HasPrefix(err.Error(), "Failed to create boolean expression evaluator: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v", expression, err)
		}
	}
}

func FuzzFilter(f *testing.F) {
	s := newSelectors()
	row := &model.Instance{Node: &model.Node{}, Service: &model.Service{}}
	f.Add(`Service.Port == 80 and "a" in Service.Tags`)
	f.Add(`Checks.Status != critical or Service.Meta["a"] matches b`)
	f.Add(`((((`)
	f.Fuzz(func(_ *testing.T, expression string) {
		if p, err := compileFilter(expression, s.health); err == nil && p != nil {
			p(row)
		}
	})
}
