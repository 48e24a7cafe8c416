//go:build unix

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBadConfigurationNamesFileLineAndKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, text string
		want       []string
	}{
		"unknown key in HCL":     {"a.hcl", "server = true\nprots { http = 1 }\n", []string{"a.hcl:2:1", "invalid config key prots", `"ports"`}},
		"unknown nested key":     {"a.hcl", "ports {\n  htpp = 1\n}\n", []string{"a.hcl:2:3", "ports.htpp", `"ports.http"`}},
		"unknown key in JSON":    {"a.json", "{\"server\": true,\n\"nope\": 3}", []string{"a.json:2:1", "nope"}},
		"wrong type":             {"a.hcl", "server = \"maybe\"\n", []string{"a.hcl:1:10", "server", "true or false", `"maybe"`}},
		"broken HCL":             {"a.hcl", "server = true\nports {\n", []string{"a.hcl:3", "RBRACE"}},
		"broken JSON":            {"a.json", "{\n\"server\": tru}", []string{"a.json:2:", "invalid character"}},
		"binary garbage":         {"a.hcl", "\x00\xff\xfe\x01garbage", []string{"a.hcl:1:"}},
		"an extension of others": {"a.conf", "server = true", []string{"a.conf", ".hcl or .json"}},
		"a service's bad port":   {"a.hcl", "service {\n name = \"web\"\n port = 70000\n}\n", []string{"a.hcl:1:9", "port 70000", "web", "1 to 65535"}},
		"a service id twice":     {"a.hcl", "service { id = \"a\" name = \"x\" }\nservice { id = \"a\" name = \"y\" }\n", []string{`"a" is given twice`}},
		"an agent's bad port":    {"a.hcl", "ports { http = 99999 }\n", []string{"ports.http", "99999", "1 to 65535"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), c.file)
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			stdout, stderr, code := spawn{}.run(t, "agent", "-dev", "-config-file", file)
			if code != 1 || stdout != "" {
				t.Errorf("exit code %d, stdout %q", code, stdout)
			}
			oneLine(t, stderr, c.want...)
		})
	}
}

func TestUnreadableConfigurationIsNamed(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	locked := filepath.Join(dir, "locked.hcl")
	if err := os.WriteFile(locked, []byte("server = true"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := spawn{}.run(t, "agent", "-dev", "-config-file", filepath.Join(dir, "none.hcl"))
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	oneLine(t, stderr, filepath.Join(dir, "none.hcl"), "no such file")
	_, stderr, code = another(t).run(t, "agent", "-dev", "-config-file", locked)
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	oneLine(t, stderr, locked, "permission denied")
	_, stderr, code = spawn{}.run(t, "agent", "-dev", "-config-file", dir)
	if code != 1 {
		t.Errorf("a directory as a file: exit code %d", code)
	}
	oneLine(t, stderr, dir)
}

func TestMissingConfigDirIsAWarning(t *testing.T) {
	t.Parallel()
	a := newAgent(t, "")
	missing := filepath.Join(t.TempDir(), "missing")
	a.start(t, "-config-dir", missing)
	eventually(t, "the warning", func() error { return a.says("[WARN]", "-config-dir", missing) })
}

func TestUnknownCommandsAndFlagsAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{127, `did you mean "members"`, []string{"memebrs"}},
		{1, "flag provided but not defined: -nonsense", []string{"agent", "-nonsense"}},
		{1, "Unexpected extra arguments", []string{"agent", "-dev", "now"}},
		{1, "-sidecar-for", []string{"connect", "proxy"}},
		{1, "is not a log level", []string{"connect", "proxy", "-sidecar-for=web", "-log-level=loud"}},
		{1, `Hint: "lictor connect proxy -h" lists the flags`, []string{"connect", "proxy", "-service=web", "-upstream", "db"}},
		{1, "-service-addr", []string{"connect", "proxy", "-service=web", "-listen=127.0.0.1:1"}},
	} {
		_, stderr, code := spawn{}.run(t, c.args...)
		if code != c.code {
			t.Errorf("%v: exit code %d", c.args, code)
		}
		if !strings.Contains(stderr, c.want) {
			t.Errorf("%v: %q is not said in %s", c.args, c.want, tail(stderr))
		}
	}
}
