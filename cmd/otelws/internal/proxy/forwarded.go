package proxy

import (
	"fmt"
	"net/http/httputil"
)

// Forwarded says what becomes of the headers by which proxies tell of the
// client: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto and Forwarded.
type Forwarded uint8

const (
	// ForwardedAppend adds the client's address to X-Forwarded-For, and keeps
	// the others where there are any: for a proxy behind a proxy.
	ForwardedAppend Forwarded = iota
	// ForwardedReplace drops what the client sent: for a proxy that clients
	// reach themselves.
	ForwardedReplace
	// ForwardedOff leaves all as it is.
	ForwardedOff
)

var forwardedNames = [...]string{
	ForwardedAppend:  "append",
	ForwardedReplace: "replace",
	ForwardedOff:     "off",
}

func (f Forwarded) String() string { return forwardedNames[f] }

// Set and Type make it a flag.
func (f *Forwarded) Set(s string) error {
	for i, name := range forwardedNames {
		if s == name {
			*f = Forwarded(i)
			return nil
		}
	}
	return fmt.Errorf("use append, replace or off")
}

// Type is the name of the flag's value.
func (*Forwarded) Type() string { return "policy" }

// The names in their canonical form.
var (
	forwardedSet  = []string{"X-Forwarded-Host", "X-Forwarded-Proto"}
	forwardedKept = []string{"X-Forwarded-For", "Forwarded"}
)

// apply sets the headers of the outbound request, from which ReverseProxy has
// removed them.
func (f Forwarded) apply(pr *httputil.ProxyRequest) {
	keep := func(names []string) {
		for _, name := range names {
			if v, ok := pr.In.Header[name]; ok {
				pr.Out.Header[name] = v
			}
		}
	}
	if f != ForwardedReplace {
		keep(forwardedKept)
	}
	if f != ForwardedOff {
		pr.SetXForwarded()
	}
	if f != ForwardedReplace {
		keep(forwardedSet)
	}
}
