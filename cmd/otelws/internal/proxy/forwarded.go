package proxy

import (
	"errors"
	"net/http/httputil"
)

// Forwarded says what becomes of the headers by which proxies tell of the client.
type Forwarded uint8

const (
	// ForwardedAuto is ForwardedAppend where there are trusted proxies, and
	// else ForwardedReplace.
	ForwardedAuto Forwarded = iota
	// ForwardedAppend keeps what a trusted proxy says, and adds that proxy's
	// address to X-Forwarded-For. For others it is ForwardedReplace.
	ForwardedAppend
	// ForwardedReplace drops what anybody said, and says it anew.
	ForwardedReplace
	// ForwardedOff leaves all as it is: the backend sees the client's words.
	ForwardedOff
)

var forwardedNames = [...]string{
	ForwardedAuto:    "auto",
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
	return errors.New("use auto, append, replace or off")
}

// Type is the name of the flag's value.
func (*Forwarded) Type() string { return "policy" }

// of says what becomes of the headers of a request whose peer is trusted or not.
func (f Forwarded) of(trusted bool) Forwarded {
	switch {
	case f == ForwardedOff, f == ForwardedReplace:
		return f
	case trusted:
		return ForwardedAppend
	}
	return ForwardedReplace
}

// The names in their canonical form, from which ReverseProxy has removed them.
var (
	forwardedSet  = []string{"X-Forwarded-Host", "X-Forwarded-Proto"}
	forwardedKept = []string{"X-Forwarded-For", "Forwarded"}
)

// apply sets the headers of the outbound request.
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
