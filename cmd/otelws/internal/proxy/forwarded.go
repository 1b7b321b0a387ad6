package proxy

import (
	"errors"
	"net/http/httputil"
)

// Forwarded is the policy for the request headers with which proxies describe a
// client, such as X-Forwarded-For.
type Forwarded uint8

const (
	// ForwardedAuto is ForwardedAppend if there are trusted proxies, and
	// ForwardedReplace otherwise.
	ForwardedAuto Forwarded = iota
	// ForwardedAppend keeps the headers of a trusted proxy, and adds the address of
	// that proxy to X-Forwarded-For. For all other peers it does what
	// ForwardedReplace does.
	ForwardedAppend
	// ForwardedReplace removes the client's headers and sets new ones.
	ForwardedReplace
	// ForwardedOff passes the client's headers on unchanged.
	ForwardedOff
)

var forwardedNames = [...]string{
	ForwardedAuto:    "auto",
	ForwardedAppend:  "append",
	ForwardedReplace: "replace",
	ForwardedOff:     "off",
}

func (f Forwarded) String() string { return forwardedNames[f] }

// Set parses a policy. Set and Type implement the flag interface of pflag.
func (f *Forwarded) Set(s string) error {
	for i, name := range forwardedNames {
		if s == name {
			*f = Forwarded(i)
			return nil
		}
	}
	return errors.New("use auto, append, replace or off")
}

// Type returns the name of the flag's value.
func (*Forwarded) Type() string { return "policy" }

// of returns the policy for one request: ForwardedAppend, ForwardedReplace or
// ForwardedOff.
func (f Forwarded) of(trusted bool) Forwarded {
	switch {
	case f == ForwardedOff, f == ForwardedReplace:
		return f
	case trusted:
		return ForwardedAppend
	}
	return ForwardedReplace
}

// ReverseProxy removes these headers from the outbound request. The names are in
// canonical form.
var (
	forwardedSet  = []string{"X-Forwarded-Host", "X-Forwarded-Proto"}
	forwardedKept = []string{"X-Forwarded-For", "Forwarded"}
)

// apply sets the headers of the outbound request according to the policy.
func (f Forwarded) apply(pr *httputil.ProxyRequest, trusted bool) {
	keep := func(names []string) {
		for _, name := range names {
			if v, ok := pr.In.Header[name]; ok {
				pr.Out.Header[name] = v
			}
		}
	}
	switch f.of(trusted) {
	case ForwardedReplace:
		dropClaims(pr.Out.Header, claimsClient, false)
		pr.SetXForwarded()
	case ForwardedAppend:
		dropClaims(pr.Out.Header, claimsClient, true)
		keep(forwardedKept)
		pr.SetXForwarded()
		keep(forwardedSet)
	case ForwardedOff:
		keep(forwardedKept)
		keep(forwardedSet)
	}
}
