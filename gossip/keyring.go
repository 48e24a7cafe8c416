package gossip

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"github.com/lictor-mesh/lictor/internal/atomicfile"
	"github.com/lictor-mesh/lictor/model"
	"github.com/lictor-mesh/lictor/model/fault"
)

// decodeKey reads a key of 16, 24 or 32 bytes (AES-128, -192, -256). No error shows it.
func decodeKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || memberlist.ValidateKey(key) != nil {
		return nil, fault.New(fault.Invalid, "encrypt is no gossip key").
			WithHint("it is base64 of 16, 24 or 32 random bytes; keygen makes one")
	}
	return key, nil
}

// loadKeyring returns the keys of the file, or else the one of the configuration, written to the file; nil
// when there is neither. The first key of the file is the primary one.
func loadKeyring(cfg *Config) (*memberlist.Keyring, error) {
	var configured []byte
	if !cfg.Key.IsZero() {
		key, err := decodeKey(cfg.Key.Reveal())
		if err != nil {
			return nil, err
		}
		configured = key
	}
	keys, err := readKeyring(cfg.KeyringPath)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		if configured == nil {
			return nil, nil
		}
		keys = [][]byte{configured}
		if err := writeKeyring(cfg.KeyringPath, keys); err != nil {
			return nil, err
		}
	} else if configured != nil {
		cfg.Logger.Info("the keyring file decides the gossip keys, not encrypt", "file", cfg.KeyringPath)
	}
	ring, err := memberlist.NewKeyring(keys, keys[0])
	if err != nil {
		return nil, fault.New(fault.Invalid, "gossip keyring: %v", err)
	}
	return ring, nil
}

func readKeyring(path string) ([][]byte, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	damaged := func(why string) error {
		return fault.New(fault.Invalid, "gossip keyring %s %s", path, why).
			WithHint("restore it from another member's, or delete it and set encrypt")
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "gossip keyring cannot be read: %v", err)
	}
	var list []string
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, damaged("is damaged: it is no JSON list of keys")
	}
	if len(list) == 0 {
		return nil, damaged("holds no key")
	}
	keys := make([][]byte, len(list))
	for i, s := range list {
		if keys[i], err = decodeKey(s); err != nil {
			return nil, damaged("is damaged: an entry is no key")
		}
	}
	return keys, nil
}

// writeKeyring writes the file anew: a crash leaves the old one or the new one.
func writeKeyring(path string, keys [][]byte) error {
	if path == "" {
		return nil
	}
	fail := func(err error) error {
		return fault.New(fault.Unavailable, "gossip keyring %s cannot be written: %v", path, err)
	}
	list := make([]string, len(keys))
	for i, k := range keys {
		list[i] = base64.StdEncoding.EncodeToString(k)
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return fail(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fail(err)
	}
	if err := atomicfile.Write(path, text, 0o600); err != nil {
		return fail(err)
	}
	return nil
}

// KeyringReply is what the members answered to an operation on keys.
type KeyringReply struct {
	// Keys and PrimaryKeys count the members that have each key; set by ListKeys.
	Keys, PrimaryKeys map[string]int
	// Nodes is how many were asked, Errors how many failed, and Messages what they said by name.
	Nodes, Errors int
	Messages      map[model.NodeName]string
}

// InstallKey gives a further key to every member. relay is the number of members through which each answer
// is sent too, 0 to 5. An error comes with the reply that says who failed.
func (p *Pool) InstallKey(key model.Secret, relay uint8) (KeyringReply, error) {
	return replyOf(p.serf.KeyManager().InstallKeyWithOptions(key.Reveal(), &serf.KeyRequestOptions{RelayFactor: relay}))
}

// UseKey makes an installed key the one that is encrypted with.
func (p *Pool) UseKey(key model.Secret, relay uint8) (KeyringReply, error) {
	return replyOf(p.serf.KeyManager().UseKeyWithOptions(key.Reveal(), &serf.KeyRequestOptions{RelayFactor: relay}))
}

// RemoveKey takes a key that is not the primary one from every member.
func (p *Pool) RemoveKey(key model.Secret, relay uint8) (KeyringReply, error) {
	return replyOf(p.serf.KeyManager().RemoveKeyWithOptions(key.Reveal(), &serf.KeyRequestOptions{RelayFactor: relay}))
}

// ListKeys asks every member for its keys.
func (p *Pool) ListKeys(relay uint8) (KeyringReply, error) {
	return replyOf(p.serf.KeyManager().ListKeysWithOptions(&serf.KeyRequestOptions{RelayFactor: relay}))
}

func replyOf(r *serf.KeyResponse, err error) (KeyringReply, error) {
	var out KeyringReply
	if r != nil {
		out = KeyringReply{Keys: r.Keys, PrimaryKeys: r.PrimaryKeys, Nodes: r.NumNodes, Errors: r.NumErr, Messages: map[model.NodeName]string{}}
		for name, text := range r.Messages {
			out.Messages[model.NodeName(name)] = text
		}
	}
	if err != nil {
		return out, fault.New(fault.Invalid, "%v", err)
	}
	return out, nil
}
