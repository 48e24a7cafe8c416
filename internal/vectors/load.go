package vectors

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// Exchange is one recorded request with its answer.
type Exchange struct {
	Scenario, Step, Config, Agent, Note string

	Request struct {
		Method, Path string
		Headers      map[string]string
		Body         json.RawMessage
	}
	Response struct {
		Status  int
		Headers map[string]string
		Body    json.RawMessage
	}
	// Unordered tells that lists, and maps shown as lists, come in any order.
	Unordered bool
	Blocking  *Blocking
}

// Blocking says how a long poll came to its end.
type Blocking struct {
	// IssuedBefore is the step that was sent next after this request; "-" when nothing was written meanwhile.
	IssuedBefore string `json:"issued_before"`
	// Result is "woken" or "timeout".
	Result  string
	WokenBy string `json:"woken_by"`
}

// Scenario is a run of exchanges with one fresh agent.
type Scenario struct {
	Name, Config string
	Exchanges    []Exchange
}

// Load reads a file of exchanges.
func Load(file string) ([]Scenario, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var list []Scenario
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		var x Exchange
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, n, err)
		}
		if len(list) == 0 || list[len(list)-1].Name != x.Scenario {
			list = append(list, Scenario{Name: x.Scenario, Config: x.Config})
		}
		last := &list[len(list)-1]
		last.Exchanges = append(last.Exchanges, x)
	}
	return list, lines.Err()
}

// made is a body that is too long or too odd to be written out.
type made struct {
	Repeat         *string `json:"$repeat"`
	Count          int
	Prefix, Suffix string
	Base64         *string `json:"$base64"`
}

func (m *made) text() (string, bool) {
	switch {
	case m.Repeat != nil:
		return m.Prefix + strings.Repeat(*m.Repeat, m.Count) + m.Suffix, true
	case m.Base64 != nil:
		b, err := base64.StdEncoding.DecodeString(*m.Base64)
		return string(b), err == nil
	}
	return "", false
}

// bodyText is what went over the wire for a recorded request body.
func bodyText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var m made
	if json.Unmarshal(raw, &m) == nil {
		if text, ok := m.text(); ok {
			return text
		}
	}
	return string(raw)
}
