package gossip

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

func key(b byte) model.Secret {
	return model.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)))
}

func TestKeysRotateThroughThePool(t *testing.T) {
	dir := t.TempDir()
	pool := func(name string, k model.Secret) *Pool {
		cfg := config(name)
		cfg.Key, cfg.KeyringPath = k, filepath.Join(dir, name, "serf", "local.keyring")
		return start(t, cfg)
	}
	a, b := pool("a", key(1)), pool("b", key(1))
	join(t, b, a)
	stranger := pool("c", key(9))
	if _, err := stranger.Join([]string{a.addr()}); err == nil {
		t.Error("a member with another key joined")
	}
	eventually(t, "both answer", func() bool {
		r, err := a.ListKeys(0)
		return err == nil && r.Nodes == 2 && r.Keys[key(1).Reveal()] == 2 && r.PrimaryKeys[key(1).Reveal()] == 2
	})
	for _, step := range []func() (KeyringReply, error){
		func() (KeyringReply, error) { return a.InstallKey(key(2), 0) },
		func() (KeyringReply, error) { return a.UseKey(key(2), 0) },
		func() (KeyringReply, error) { return a.RemoveKey(key(1), 0) },
	} {
		if r, err := step(); err != nil || r.Errors != 0 {
			t.Fatalf("%+v %v", r, err)
		}
	}
	if r, err := a.RemoveKey(key(2), 0); err == nil || len(r.Messages) == 0 {
		t.Errorf("the primary key was removed: %+v %v", r, err)
	}
	if _, err := a.InstallKey(model.NewSecret("abc"), 0); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
	path := filepath.Join(dir, "b", "serf", "local.keyring")
	keys, err := readKeyring(path)
	if err != nil || len(keys) != 1 || keys[0][0] != 2 {
		t.Errorf("b's file has %d keys, %v", len(keys), err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	open := start(t, config("d"))
	if _, err := open.ListKeys(0); err == nil || open.Encrypted() {
		t.Error("a pool without keys listed some")
	}
}

func TestDamagedKeyringIsNamedAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "local.keyring")
	for _, text := range []string{"", "{", "[]", `["x"]`, `["` + strings.Repeat("A", 8) + `"]`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := config("a")
		cfg.KeyringPath, cfg.Key = path, key(1)
		if _, err := New(cfg); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), path) || fault.HintOf(err) == "" {
			t.Errorf("%q: %v", text, err)
		}
		if now, _ := os.ReadFile(path); string(now) != text {
			t.Errorf("%q was overwritten with %q", text, now)
		}
	}
}
