package cli

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
)

// gossipKeyLen is the length of a new gossip key in bytes: AES-256.
const gossipKeyLen = 32

func keygen(sh *shell) *command {
	c := newCommand(sh, "keygen", "", "Make a key for gossip encryption")
	c.text = `Prints a new random key (32 bytes, base64) for the setting "encrypt" and the flag -encrypt of the agent.`
	c.example = "keygen"
	c.run = func([]string) error {
		key := make([]byte, gossipKeyLen)
		rand.Read(key) // never fails: crypto/rand ends the process instead
		fmt.Fprintln(sh.stdout, base64.StdEncoding.EncodeToString(key))
		return nil
	}
	return c
}
