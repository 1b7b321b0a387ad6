package proxy

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
)

// Networks is a list of networks. It implements the flag interface of pflag, and the
// flag may be repeated.
type Networks []netip.Prefix

func (ns Networks) String() string {
	var all []string
	for _, n := range ns {
		all = append(all, n.String())
	}
	return strings.Join(all, ",")
}

// Set adds a comma-separated list of networks such as 10.0.0.0/8, or of addresses.
func (ns *Networks) Set(list string) error {
	for s := range strings.SplitSeq(list, ",") {
		s = strings.TrimSpace(s)
		n, err := netip.ParsePrefix(s)
		if err != nil {
			a, addrErr := netip.ParseAddr(s)
			if addrErr != nil || a.Zone() != "" {
				return errors.New("use a network such as 10.0.0.0/8, or an address")
			}
			n = netip.PrefixFrom(a, a.BitLen())
		}
		if n.Addr().Is4In6() {
			return errors.New("write an IPv4 network in IPv4 form, such as 10.0.0.0/8")
		}
		*ns = append(*ns, n.Masked())
	}
	return nil
}

// Type returns the name of the flag's value.
func (*Networks) Type() string { return "network" }

func (ns Networks) contain(a netip.Addr) bool {
	for _, n := range ns {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// Trusts reports whether the peer of a request is in one of the networks.
func (ns Networks) Trusts(r *http.Request) bool {
	return len(ns) > 0 && ns.contain(peerOf(r.RemoteAddr))
}

// peerOf returns the address in a host:port pair, or the zero Addr if there is none.
func peerOf(remoteAddr string) netip.Addr {
	ap, _ := netip.ParseAddrPort(remoteAddr)
	return ap.Addr().Unmap().WithZone("")
}

// clientOf returns the address of a request's client. This is the peer's address, or,
// if the peer is trusted, the last address in X-Forwarded-For that is not trusted.
func (ns Networks) clientOf(r *http.Request) netip.Addr {
	client := peerOf(r.RemoteAddr)
	if !ns.contain(client) {
		return client
	}
	chain := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for len(chain) > 0 {
		last := strings.TrimSpace(chain[len(chain)-1])
		chain = chain[:len(chain)-1]
		a, err := netip.ParseAddr(last)
		if err != nil {
			if a = peerOf(last); !a.IsValid() { // some proxies include the port
				return client
			}
		}
		if client = a.Unmap().WithZone(""); !ns.contain(client) {
			return client
		}
	}
	return client
}
