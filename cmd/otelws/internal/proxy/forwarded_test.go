package proxy_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
	"github.com/otelws/otelws-go/otelws"
)

// spoofed are headers with which a client may impersonate another: the documented
// headers of proxies, CDNs and frameworks, and other spellings of them.
var spoofed = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix",
	"X-Forwarded-Server", "X-Forwarded-Scheme", "X-Forwarded-Ssl", "X-Forwarded-Uri", "X-Forwarded-Path", "X-Forwarded-By",
	"X-Forwarded-Client-Cert", "X-Forwarded-User", "X-Forwarded", "Forwarded-For", "Forwarded-For-IP", "X-Original-Forwarded-For",
	"X-Real-IP", "X-Real-Port", "X-Client-IP", "Client-IP", "True-Client-IP", "X-True-Client-IP", "X-Cluster-Client-IP",
	"CF-Connecting-IP", "CF-Connecting-IPv6", "CF-Pseudo-IPv4", "CF-Visitor", "CF-IPCountry", "Fastly-Client-IP", "Fastly-SSL",
	"Fly-Client-IP", "Fly-Forwarded-Proto", "DO-Connecting-IP", "X-Azure-ClientIP", "X-Azure-SocketIP", "X-Appengine-User-IP",
	"X-Envoy-External-Address", "X-Envoy-Original-Path", "CloudFront-Viewer-Address", "CloudFront-Forwarded-Proto",
	"X-Vercel-Forwarded-For", "X-Vercel-IP-Country", "X-NF-Client-Connection-IP", "Incap-Client-IP", "X-Sucuri-ClientIP",
	"Ali-CDN-Real-IP", "CDN-Src-IP", "X-CDN-Src-IP", "WL-Proxy-Client-IP", "Proxy-Client-IP", "WL-Proxy-SSL", "X-ProxyUser-IP",
	"X-Remote-IP", "X-Remote-Addr", "Remote-Addr", "X-Originating-IP", "X-Source-IP", "X-User-IP", "X-Coming-From",
	"X-Original-Host", "X-Original-URL", "X-Original-Proto", "X-Original-For", "X-Rewrite-URL", "X-HTTP-Host-Override", "X-Host",
	"X-URL-Scheme", "X-Scheme", "X-Script-Name", "Front-End-Https", "X-ARR-SSL", "Client-Cert", "SSL-Client-S-DN", "X-SSL-Client-Verify",
	"X_Forwarded_For", "X_Real_IP", "x_forwarded-proto", "X-Forwarded_Host", "X.Forwarded.For", "X~Real~IP", "True_Client_IP", "CF_Connecting_IP",
}

// honest are headers that make no claim about the client.
var honest = []string{
	"Accept", "Authorization", "Cookie", "Origin", "User-Agent", "X-Requested-With", "X-Request-Id", "X-Client-Version", "X-Client-Id",
	"X-Original-Filename", "X-Api_Key", "X-Shipping-Address", "X-Realm", "X-Tip", "X-Zip", "X-Membership", "Dpop", "X-Forward", "Sec-Fetch-Site",
	"Proxied", "X-Realtime", "X-Csrf-Token", "Idempotency-Key", "X-Hostess", "X-Relationship", "Ship",
}

// A client cannot impersonate the proxy.
func TestForwardedReplace(t *testing.T) {
	b := startGullible(t)
	g := startProxy(t, proxy.Config{Backend: b.URL})
	for _, upgrade := range []bool{false, true} {
		lines := []string{get}
		if upgrade {
			lines = append(lines, "{switch}", "{key}", "{13}")
		}
		for _, name := range slices.Concat(spoofed, honest) {
			lines = append(lines, name+": 203.0.113.9")
		}
		w := dialWire(t, g.address)
		w.send(t, []byte(raw(lines...)))
		w.response(t)
		seen := b.requests()
		got := maps.Clone(seen[len(seen)-1].Header)
		for _, name := range honest {
			if got.Get(name) != "203.0.113.9" {
				t.Errorf("%s was dropped", name)
			}
			got.Del(name)
		}
		for _, name := range []string{"Connection", "Upgrade", "Sec-Websocket-Key", "Sec-Websocket-Version"} {
			got.Del(name)
		}
		want := http.Header{"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"test"}, "X-Forwarded-Proto": {"http"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("upgrade %v: what the backend takes for the proxy's, -want +got:\n%s", upgrade, diff)
		}
	}
}

// The headers that the backend sees, by policy and by trust in the peer.
func TestForwarded(t *testing.T) {
	loopback, others := proxy.Networks{}, proxy.Networks{}
	check(t, loopback.Set("127.0.0.0/8"))
	check(t, others.Set("10.0.0.0/8,2001:db8::1"))
	said := http.Header{"X-Forwarded-For": {"1.2.3.4"}, "X-Forwarded-Host": {"outer.example"}, "X-Forwarded-Proto": {"https"},
		"Forwarded": {"for=1.2.3.4"}, "X-Real-Ip": {"1.2.3.4"}, "X_forwarded_for": {"6.6.6.6"}}
	appended := maps.Clone(said)
	appended["X-Forwarded-For"] = []string{"1.2.3.4, 127.0.0.1"}
	delete(appended, "X_forwarded_for")
	ours := http.Header{"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"test"}, "X-Forwarded-Proto": {"http"}}
	for _, tt := range []struct {
		name    string
		policy  proxy.Forwarded
		trusted proxy.Networks
		want    http.Header
	}{
		{"nobody is trusted", proxy.ForwardedAuto, nil, ours},
		{"others are trusted", proxy.ForwardedAuto, others, ours},
		{"the peer is trusted", proxy.ForwardedAuto, loopback, appended},
		{"append for others", proxy.ForwardedAppend, others, ours},
		{"append for the peer", proxy.ForwardedAppend, loopback, appended},
		{"replace", proxy.ForwardedReplace, loopback, ours},
		{"off", proxy.ForwardedOff, nil, said},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := startGullible(t)
			g := startProxy(t, proxy.Config{Backend: b.URL, Forwarded: tt.policy, Trusted: tt.trusted})
			lines := []string{get}
			for name := range said {
				lines = append(lines, name+": "+said[name][0])
			}
			w := dialWire(t, g.address)
			w.send(t, []byte(raw(lines...)))
			w.response(t)
			got := b.requests()[0].Header
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestNetworks(t *testing.T) {
	for s, want := range map[string]string{
		"10.1.2.3/8": "10.0.0.0/8", "10.1.2.3": "10.1.2.3/32", "::1": "::1/128", "2001:db8::1/32": "2001:db8::/32",
		"localhost": "use a network", "": "use a network", "10.0.0.0/33": "use a network", "fe80::1%eth0": "use a network", "::ffff:10.0.0.0/104": "IPv4",
	} {
		var n proxy.Networks
		var got string
		if err := n.Set(s); err != nil {
			got = err.Error()
		} else {
			got = n.String()
		}
		if !strings.HasPrefix(got, want) && !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

// The limits apply to the last address that a client cannot have forged.
func TestClientOf(t *testing.T) {
	var trusted proxy.Networks
	check(t, trusted.Set("10.0.0.0/8"))
	for _, tt := range []struct {
		peer, forwarded string
		want            string
	}{
		{"203.0.113.1:5", "", "203.0.113.1/32"},
		{"203.0.113.1:5", "6.6.6.6", "203.0.113.1/32"},
		{"10.0.0.1:5", "6.6.6.6, 198.51.100.7", "198.51.100.7/32"},
		{"10.0.0.1:5", "6.6.6.6, 198.51.100.7, 10.9.9.9", "198.51.100.7/32"},
		{"10.0.0.1:5", "6.6.6.6, 198.51.100.7:4321", "198.51.100.7/32"},
		{"10.0.0.1:5", "6.6.6.6, unknown", "10.0.0.1/32"},
		{"10.0.0.1:5", "", "10.0.0.1/32"},
		{"[::ffff:203.0.113.1]:5", "", "203.0.113.1/32"},
		{"[2001:db8:1:2:3::4]:5", "", "2001:db8:1:2::/64"},
		{"[fe80::1%eth0]:5", "", "fe80::/64"},
		{"10.0.0.1:5", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"},
	} {
		r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-For": {tt.forwarded}}}
		if got := proxy.ClientOf(trusted, r, 64); got != tt.want {
			t.Errorf("%s, forwarded %q: %s, want %s", tt.peer, tt.forwarded, got, tt.want)
		}
	}
}

// An untrusted client's trace becomes a link of the proxy's span, and the backend
// sees only the proxy's trace.
func TestPublicTrace(t *testing.T) {
	const id = "0af7651916cd43dd8448eb211c80319c"
	claims := []string{"Traceparent: 00-" + id + "-b7ad6b7169203331-01", "Tracestate: a=b", "Baggage: user=root", "B3: " + id + "-1-1",
		"X-B3-TraceId: " + id, "Uber-Trace-Id: " + id + ":1:0:1", "X-Datadog-Trace-Id: 1", "X_B3_TraceId: " + id, "trace_parent: mine"}
	var loopback proxy.Networks
	check(t, loopback.Set("127.0.0.1"))
	for _, tt := range []struct {
		name    string
		cfg     proxy.Config
		tracing bool
		public  bool
	}{
		{"traced", proxy.Config{}, true, true},
		{"not traced", proxy.Config{}, false, true},
		{"trusted proxy", proxy.Config{Trusted: loopback}, true, false},
		{"trusted clients", proxy.Config{TrustTraces: true}, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := startGullible(t)
			spans := tracetest.NewInMemoryExporter()
			opts := []otelws.Option{otelws.WithPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))}
			if tt.tracing {
				opts = append(opts, otelws.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))))
			}
			if tt.public {
				opts = append(opts, otelws.WithPublicEndpoint(nil))
			}
			tt.cfg.Backend = b.URL
			g := startProxy(t, tt.cfg, opts...)
			for _, lines := range [][]string{{get, "{switch}", "{key}", "{13}"}, {get}} {
				w := dialWire(t, g.address)
				w.send(t, []byte(raw(slices.Concat(lines, claims)...)))
				w.response(t)
				w.Close()
			}
			g.idle(t)
			seen := b.requests()
			handshake, plain := seen[0].Header, seen[1].Header
			if !tt.public {
				if !strings.Contains(handshake.Get("Traceparent"), id) || !strings.Contains(plain.Get("Traceparent"), id) || plain.Get("B3") == "" {
					t.Errorf("the backend sees %v and %v, want the client's trace", handshake, plain)
				}
				return
			}
			for i, h := range []http.Header{handshake, plain} {
				for name, v := range h {
					if strings.Contains(strings.Join(v, ""), id) || name == "Baggage" || name == "Tracestate" || name == "X-Datadog-Trace-Id" {
						t.Errorf("request %d: the backend sees %s: %s", i, name, v)
					}
				}
			}
			if got := handshake.Get("Traceparent") != ""; got != tt.tracing {
				t.Errorf("the backend sees the proxy's trace: %v", got)
			}
			for _, span := range spans.GetSpans() {
				if span.SpanContext.TraceID().String() == id || span.SpanKind.String() == "server" && len(span.Links) != 1 {
					t.Errorf("span %s of trace %s, links %v", span.Name, span.SpanContext.TraceID(), span.Links)
				}
			}
		})
	}
}
