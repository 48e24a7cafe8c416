package definition

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// exchange is a recorded request with its answer.
type exchange struct {
	Scenario, Step string
	Request        struct {
		Method, Path string
		Body         json.RawMessage
	}
	Response struct {
		Status int
		Body   json.RawMessage
	}
}

func recorded(t *testing.T, file string) []exchange {
	t.Helper()
	f, err := os.Open("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []exchange
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var x exchange
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			t.Fatal(err)
		}
		out = append(out, x)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// text is what went over the wire for a recorded body.
func text(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var repeat struct {
		Repeat string `json:"$repeat"`
		Count  int
		Prefix string
		Suffix string
		Base64 string `json:"$base64"`
	}
	if json.Unmarshal(raw, &repeat) == nil && repeat.Repeat != "" {
		return repeat.Prefix + strings.Repeat(repeat.Repeat, repeat.Count) + repeat.Suffix
	}
	if repeat.Base64 != "" {
		b, err := base64.StdEncoding.DecodeString(repeat.Base64)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		t.Fatal(err)
	}
	return compact.String()
}

// decidedElsewhere are refusals that need more than the body: what is registered, or what the agent allows.
var decidedElsewhere = []string{
	"Scripts are disabled", "ServiceID \"zzz\" does not exist", "not implemented", "Unknown service ID", "No path to datacenter",
	"failed inserting node", "Namespaces are a Consul Enterprise feature", "Invalid query parameter",
}

func TestRegistrationsAreRefusedAsRecorded(t *testing.T) {
	refused := 0
	for _, x := range recorded(t, "registrations.jsonl") {
		t.Run(x.Scenario+"/"+x.Step, func(t *testing.T) {
			want := text(t, x.Response.Body)
			err := register(strings.Split(x.Request.Path, "?")[0], []byte(text(t, x.Request.Body)))
			if x.Response.Status == 200 {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			for _, other := range decidedElsewhere {
				if strings.Contains(want, other) && !strings.HasPrefix(want, "Request decode failed") {
					return
				}
			}
			if err == nil {
				t.Fatalf("accepted; want %d %s", x.Response.Status, want)
			}
			refused++
			if got := status(err); got != x.Response.Status {
				t.Errorf("status %d, want %d (%v)", got, x.Response.Status, err)
			}
			// The words of encoding/json name Go types of the recorded build.
			if cut := strings.Index(want, " into Go "); cut >= 0 {
				want = want[:cut]
				if !strings.HasPrefix(err.Error(), want) {
					t.Errorf("got %q, want %q...", err, want)
				}
				return
			}
			if err.Error() != want {
				t.Errorf("got  %q\nwant %q", err, want)
			}
		})
	}
	if refused < 60 {
		t.Errorf("only %d refusals were compared; the records hold more", refused)
	}
}

func status(err error) int {
	switch fault.KindOf(err) {
	case fault.BadRequest:
		return 400
	case fault.Invalid:
		return 500
	}
	return 0
}

// register does what an endpoint does with its body.
func register(path string, body []byte) error {
	switch path {
	case "/v1/agent/service/register":
		def, err := DecodeAgentService(body)
		if err != nil {
			return err
		}
		if err := ValidateService(def); err != nil {
			return err
		}
		_, err = Sidecar(def, func(model.ServiceID) (int, bool) { return 21000, true })
		return err
	case "/v1/agent/check/register":
		check, err := DecodeAgentCheck(body)
		if err != nil {
			return err
		}
		return ValidateCheck(check)
	case "/v1/catalog/register":
		reg, err := DecodeRegistration(body)
		if err != nil {
			return err
		}
		if err := CompleteRegistration(reg); err != nil {
			return err
		}
		for _, c := range reg.Checks {
			if c.ServiceID == "nope" {
				return fault.New(fault.Invalid, "Unknown service ID '%s' for check ID '%s'", c.ServiceID, c.CheckID)
			}
		}
		return nil
	default:
		_, err := DecodeDeregistration(body)
		return err
	}
}
