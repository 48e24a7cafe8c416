package config

import (
	"io/fs"
	"net/netip"
	"os"

	sockaddr "github.com/hashicorp/go-sockaddr"
	"github.com/hashicorp/go-sockaddr/template"
)

// System are the sources of a real process: its environment, file system and interfaces.
func System(flags *Flags) Sources {
	return Sources{Flags: flags, Env: os.Getenv, Files: systemFiles{}, Host: systemHost{}}
}

type systemFiles struct{}

func (systemFiles) ReadFile(name string) ([]byte, error)       { return os.ReadFile(name) }
func (systemFiles) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

type systemHost struct{}

func (systemHost) Hostname() (string, error) { return os.Hostname() }

func (systemHost) Expand(text string) (string, error) { return template.Parse(text) }

func (systemHost) PrivateIPv4() ([]netip.Addr, error) {
	return interfaceAddrs(func(a netip.Addr) bool { return a.Is4() && a.IsPrivate() })
}

func (systemHost) PublicIPv6() ([]netip.Addr, error) {
	return interfaceAddrs(func(a netip.Addr) bool { return a.Is6() && a.IsGlobalUnicast() && !a.IsPrivate() })
}

func interfaceAddrs(keep func(netip.Addr) bool) ([]netip.Addr, error) {
	all, err := sockaddr.GetAllInterfaces()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	seen := map[netip.Addr]bool{}
	for _, i := range all {
		ip, ok := i.SockAddr.(sockaddr.IPAddr)
		if !ok || ip.NetIP() == nil {
			continue
		}
		a, ok := netip.AddrFromSlice(*ip.NetIP())
		if a = a.Unmap(); ok && keep(a) && !seen[a] {
			seen[a] = true
			out = append(out, a)
		}
	}
	return out, nil
}
