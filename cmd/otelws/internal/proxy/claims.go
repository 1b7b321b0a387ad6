package proxy

import (
	"net/http"
	"strings"
)

// claim is what a request header tells a server about the client.
type claim uint8

const (
	claimsNothing claim = iota
	claimsClient        // its address and certificate, and the host, port, scheme and path that it asked for
	claimsTrace         // the trace of the request
)

// dropClaims removes the headers that make the given claim, so that a client cannot
// pretend to be the proxy. With disguised, it removes only names that contain another
// character than letters, digits and hyphens, such as X_Forwarded_For: CGI, WSGI, PHP
// and Apache treat such a name like X-Forwarded-For.
func dropClaims(h http.Header, what claim, disguised bool) {
	for name := range h {
		if c, plain := claimOf(name); c == what && (!disguised || !plain) {
			delete(h, name)
		}
	}
}

// claimOf returns the claim that a header name makes. plain is true if the name
// consists of letters, digits and hyphens.
func claimOf(name string) (c claim, plain bool) {
	plain = true
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		plain = false
		return '-'
	}, name)
	switch {
	case traceClaims[name], hasPrefix(name, traceFamilies):
		return claimsTrace, plain
	case clientClaims[name], hasPrefix(name, clientFamilies), isForwarded(name), isAddress(name):
		return claimsClient, plain
	}
	return claimsNothing, plain
}

func hasPrefix(name string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// isForwarded matches Forwarded, X-Forwarded-For, X-Forwarded-Prefix and variants
// such as X-Original-Forwarded-For and Fly-Forwarded-Port.
func isForwarded(name string) bool {
	for word := range strings.SplitSeq(name, "-") {
		if word == "forwarded" {
			return true
		}
	}
	return false
}

// isAddress matches the headers in which vendors send the client's address, such as
// X-Client-IP, True-Client-IP, CF-Connecting-IPv6, X-Real-IP, X-Azure-ClientIP,
// X-Remote-Addr, Ali-CDN-Real-IP and CloudFront-Viewer-Address.
func isAddress(name string) bool {
	name = strings.ReplaceAll(name, "-", "")
	for _, what := range []string{"ip", "ipv4", "ipv6", "addr", "address", "ipaddr", "ipaddress"} {
		owner, ok := strings.CutSuffix(name, what)
		if !ok {
			continue
		}
		for _, who := range []string{"client", "real", "remote", "connecting", "source", "src", "origin", "original", "originating",
			"viewer", "visitor", "external", "peer", "socket", "connection", "useragent", "proxyuser", "enduser"} {
			if strings.HasSuffix(owner, who) {
				return true
			}
		}
	}
	return false
}

// table returns the set of all names. The keys of sources say who uses the names.
func table(sources map[string][]string) map[string]bool {
	t := make(map[string]bool)
	for _, names := range sources {
		for _, n := range names {
			t[n] = true
		}
	}
	return t
}

var clientClaims = table(map[string][]string{
	"RFC 9440":                         {"client-cert", "client-cert-chain"},
	"Apache mod_remoteip, ATS, Heroku": {"x-client-port", "x-client-proto", "x-client-scheme", "x-client-host"},
	"ASP.NET, IIS URL Rewrite, Zend":   {"x-rewrite-url", "x-original-url", "x-http-host-override"},
	"ASP.NET Core":                     {"x-original-for", "x-original-host", "x-original-proto", "x-original-prefix"},
	"Azure App Service":                {"x-arr-ssl", "x-arr-clientcert", "disguised-host", "was-default-hostname", "x-appservice-proto"},
	"Cloudflare":                       {"cf-visitor", "cf-ipcountry", "cf-pseudo-ipv4"},
	"Fastly":                           {"fastly-ssl"},
	"ingress-nginx":                    {"x-scheme", "x-original-uri", "x-original-method"},
	"Microsoft Outlook Web, Rails":     {"front-end-https"},
	"PHP frameworks":                   {"x-host", "x-forwarder-for", "x-original-port", "x-original-scheme", "x-original-path"},
	"old proxies":                      {"x-coming-from", "coming-from", "x-user-ip", "user-ip"},
	"WebLogic":                         {"wl-proxy-ssl"},
	"WSGI, Rack, Java servers":         {"x-script-name", "x-url-scheme", "x-proto"},
})

var clientFamilies = []string{
	"x-real-",                // nginx: -IP, -Port, -Host, -Proto
	"x-envoy-",               // Envoy; its edge proxies remove them too
	"x-appengine-",           // Google App Engine, which also removes them
	"cloudfront-",            // Amazon CloudFront: -Viewer-Country, -Is-Mobile-Viewer
	"x-vercel-ip-",           // Vercel
	"x-vercel-proxied-",      // Vercel
	"ssl-client-",            // nginx and Apache: the client's certificate
	"x-ssl-client-",          // HAProxy's examples: the same
	"x-client-cert",          // examples of other servers: the same
	"x-amzn-mtls-clientcert", // Amazon ALB: the same
}

var traceClaims = table(map[string][]string{
	"W3C":                {"traceparent", "tracestate", "baggage"},
	"Zipkin":             {"b3"},
	"Jaeger":             {"uber-trace-id", "jaeger-debug-id", "jaeger-baggage"},
	"AWS X-Ray":          {"x-amzn-trace-id"},
	"Google Cloud Trace": {"x-cloud-trace-context", "grpc-trace-bin"},
	"New Relic":          {"newrelic"},
	"Sentry":             {"sentry-trace"},
	"Elastic APM":        {"elastic-apm-traceparent"},
	"Dynatrace":          {"x-dynatrace"},
	"Apache SkyWalking":  {"sw8", "sw8-correlation", "sw8-x"},
})

var traceFamilies = []string{
	"x-b3-",       // Zipkin
	"uberctx-",    // Jaeger: baggage
	"ot-tracer-",  // OpenTracing
	"ot-baggage-", // OpenTracing: baggage
	"x-datadog-",  // Datadog
}
