package certs

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

func TestImportedRootSigns(t *testing.T) {
	made := newAuthority(t, RootParams{Serial: 12})
	root, key, err := ImportRoot(cluster, made.root.RootCert, model.NewSecret(made.key.KeyPEM), instant())
	if err != nil || root.ID != made.root.ID || root.SerialNumber != 12 {
		t.Fatalf("%+v %v", root, err)
	}
	leaf, _ := authority{root, key}.leaf(t, web(), time.Hour, instant())
	if err := made.trust(t).VerifyIs(web(), chainOf(t, leaf.CertPEM), PeerIsServer, instant()); err != nil {
		t.Error(err)
	}
}

func TestUnfitRootsAreNotImported(t *testing.T) {
	a, b := newAuthority(t, RootParams{}), newAuthority(t, RootParams{})
	leaf, req := a.leaf(t, web(), time.Hour, instant())
	cross, err := NewCrossSigned(rand.Reader, a.root, a.key, b.root, 5, instant())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ cluster, cert, key string }{
		"not PEM":             {cluster, "y", "x"},
		"certificate missing": {cluster, "", a.key.KeyPEM},
		"key of another root": {cluster, a.root.RootCert, b.key.KeyPEM},
		"a leaf":              {cluster, leaf.CertPEM, req.Key.Reveal()},
		"not self-signed":     {cluster, cross, b.key.KeyPEM},
		"other trust domain":  {"99999999-2222-3333-4444-555555555555", a.root.RootCert, a.key.KeyPEM},
		"swapped":             {cluster, a.key.KeyPEM, a.root.RootCert},
		"two certificates":    {cluster, a.root.RootCert + b.root.RootCert, a.key.KeyPEM},
	} {
		_, _, err := ImportRoot(c.cluster, c.cert, model.NewSecret(c.key), instant())
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: the error shows key material: %v", name, err)
		}
	}
	if _, _, err := ImportRoot(cluster, a.root.RootCert, model.NewSecret(a.key.KeyPEM), instant().Add(90000*time.Hour)); !fault.Is(err, fault.Invalid) {
		t.Errorf("expired: %v", err)
	}
}

// Replays what the recorded API answered to PUT /v1/connect/ca/configuration.
func TestConfigurationIsJudgedAsRecorded(t *testing.T) {
	f, err := os.Open("testdata/connect-ca.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	replayed := 0
	for lines.Scan() {
		var l struct {
			Step    string
			Request struct {
				Method string
				Body   json.RawMessage
			}
			Response struct {
				Status int
				Body   any
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if l.Request.Method != "PUT" {
			continue
		}
		replayed++
		var body struct {
			Provider string
			Config   map[string]any
		}
		if err := json.Unmarshal(l.Request.Body, &body); err != nil {
			t.Fatal(err)
		}
		cfg, err := ParseConfig(body.Provider, body.Config)
		if err == nil && cfg.RootCert != "" {
			_, _, err = ImportRoot(cluster, cfg.RootCert, cfg.PrivateKey, instant())
		}
		if (err == nil) != (l.Response.Status == 200) || err != nil && err.Error() != l.Response.Body {
			t.Errorf("%s: got %v, recorded %d %v", l.Step, err, l.Response.Status, l.Response.Body)
		}
		if err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: kind %s", l.Step, fault.KindOf(err))
		}
	}
	if replayed < 9 {
		t.Errorf("%d lines replayed", replayed)
	}
}

func TestLeafTTLOverrideIsBoundedAndOnlyForFiles(t *testing.T) {
	c := DefaultConfig()
	for override, ok := range map[time.Duration]bool{0: true, 5 * time.Second: true, 20 * time.Second: true, time.Second: false, -time.Hour: false, 9000 * time.Hour: false} {
		ttl, err := c.LeafTTL(override)
		if (err == nil) != ok || ok && override != 0 && ttl != override || override == 0 && ttl != 72*time.Hour {
			t.Errorf("%s: %s %v", override, ttl, err)
		}
	}
	keys, err := CanonicalKeys(map[string]any{"leaf_cert_ttl": "20s"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseConfig(Provider, keys); !fault.Is(err, fault.Invalid) {
		t.Errorf("the API took a TTL of 20s: %v", err)
	}
	if _, err := CanonicalKeys(map[string]any{"leaf_cert_ttl": "2h", "LeafCertTTL": "3h"}); err == nil {
		t.Error("two spellings of one key were taken")
	}
}
