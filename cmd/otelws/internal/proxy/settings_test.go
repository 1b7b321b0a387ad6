package proxy_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

// Open connections keep working while the configuration changes many times.
func TestApplyEndsNothing(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(coderEcho))
	front, other := newCertificate(t, t.TempDir(), "front.example"), newCertificate(t, t.TempDir(), "other.example")
	var loopback proxy.Networks
	check(t, loopback.Set("127.0.0.0/8"))
	a := proxy.Config{Backend: b.URL, ServerTLS: front}
	z := a
	z.ServerTLS, z.Trusted, z.Forwarded, z.TrustTraces, z.Upgrades = other, loopback, proxy.ForwardedAppend, true, []string{"tunnel/1"}
	z.ConnectTimeout, z.DrainTimeout = time.Second, time.Second
	z.Limits = proxy.Limits{Connections: 10, ClientConnections: 1, IPv6Prefix: 48, Handshakes: 1, ClientHandshakes: 1,
		Idle: time.Hour, BufferBytes: 1, SocketBytes: 8 << 10}
	g := startProxy(t, a)
	const clients = 8
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range clients {
		w := secureWire(t, g.address)
		w.send(t, []byte(handshake("/")))
		if resp := w.response(t); resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(resp.Status)
		}
		all.Go(func() {
			message := strings.Repeat("x", 100<<10)
			for running := true; running; {
				select {
				case <-stop:
					running = false
				default:
				}
				if _, err := w.Write(frame(fin|opBinary, message)); err != nil {
					t.Error(err)
					return
				}
				if _, got, err := w.read(); err != nil || string(got) != message {
					t.Errorf("%d bytes, %v", len(got), err)
					return
				}
			}
		})
	}
	for range 200 {
		check(t, g.Apply(z))
		check(t, g.Apply(a))
	}
	close(stop)
	all.Wait()
	if n := g.sum("ws_connections_closed_total"); n != 0 {
		t.Errorf("%v connections have ended", n)
	}
}

// Each setting applies from the change on. Limits on the number of connections also
// count the connections from before.
func TestApply(t *testing.T) {
	b := startGullible(t)
	var loopback proxy.Networks
	check(t, loopback.Set("127.0.0.0/8"))
	cfg := proxy.Config{Backend: b.URL}
	g := startProxy(t, cfg)
	with := func(change func(*proxy.Config)) {
		t.Helper()
		c := cfg
		change(&c)
		check(t, g.Apply(c))
	}
	want := func(what string, status int, lines ...string) {
		t.Helper()
		if got, _ := refusedBy(t, g.address, lines...); got != status {
			t.Errorf("%s: status %d, want %d", what, got, status)
		}
	}
	open := openWire(t, g.address, "/")
	with(func(c *proxy.Config) { c.Limits.ClientConnections = 1 })
	want("one of this client is open, from before the limit", 429)
	with(func(c *proxy.Config) { c.Limits.Connections = 1 })
	want("one is open, from before the limit", 503)
	with(func(c *proxy.Config) { c.Limits.Handshakes = 0.001 })
	want("the first", 101)
	want("the second", 503)
	with(func(c *proxy.Config) { c.Limits.Handshakes = 1e6 })
	eventually(t, "a handshake by the new limit, at most a second later", func() bool {
		status, _ := refusedBy(t, g.address)
		return status == http.StatusSwitchingProtocols
	})
	with(func(*proxy.Config) {})
	want("no limit", 101)

	seen := func(name string, lines ...string) string {
		t.Helper()
		refusedBy(t, g.address, lines...)
		all := b.requests()
		return all[len(all)-1].Header.Get(name)
	}
	const said, trace = "X-Forwarded-For: 203.0.113.9", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if got := seen("X-Forwarded-For", said); got != "127.0.0.1" {
		t.Errorf("without trust the backend sees %q", got)
	}
	with(func(c *proxy.Config) { c.Trusted = loopback })
	if got := seen("X-Forwarded-For", said); got != "203.0.113.9, 127.0.0.1" {
		t.Errorf("with trust the backend sees %q", got)
	}
	with(func(c *proxy.Config) { c.Forwarded = proxy.ForwardedOff })
	if got := seen("X-Forwarded-For", said); got != "203.0.113.9" {
		t.Errorf("without a policy the backend sees %q", got)
	}
	if got := seen("Traceparent", trace); got != "" {
		t.Errorf("the backend sees the trace %q", got)
	}
	with(func(c *proxy.Config) { c.TrustTraces = true })
	if got := seen("Traceparent", trace); got == "" {
		t.Error("the backend does not see the trace")
	}
	with(func(c *proxy.Config) { c.Upgrades = []string{"tunnel/1"} })
	w := dialWire(t, g.address)
	w.send(t, []byte(raw(get, "Connection: upgrade", "Upgrade: tunnel/1")))
	if resp := w.response(t); resp.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("a protocol that is allowed now: %s", resp.Status)
	}
	with(func(c *proxy.Config) { c.Limits.Idle = 40 * time.Millisecond })
	idle := openWire(t, g.address, "/")
	if got := idle.transcript(); got != "end" {
		t.Errorf("the idle client hears %q", got)
	}
	open.wantEcho(t, frame(fin|opText, "from the beginning"))
}

// If Apply returns an error, nothing changes, including the valid settings.
func TestApplyErrors(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(coderEcho))
	front := newCertificate(t, t.TempDir(), "front.example")
	cfg := proxy.Config{Backend: b.URL, ServerTLS: front, WebSockets: noInstrumentation(t), MeterProvider: noop.NewMeterProvider()}
	p, err := proxy.New(cfg)
	check(t, err)
	for _, tt := range []struct {
		change func(*proxy.Config)
		want   string
	}{
		{func(c *proxy.Config) { c.Backend = "http://localhost" }, "start it anew"},
		{func(c *proxy.Config) { c.Host = "other" }, "start it anew"},
		{func(c *proxy.Config) { c.ResponseTimeout = 1 }, "start it anew"},
		{func(c *proxy.Config) { c.Limits.HeaderBytes = 4 << 10 }, "start it anew"},
		{func(c *proxy.Config) { c.Limits.HandshakeTime = 1 }, "start it anew"},
		{func(c *proxy.Config) { c.ServerTLS = proxy.TLSFiles{} }, "start it anew"},
		{func(c *proxy.Config) { c.ServerTLS.Key = "" }, "both or neither"},
		{func(c *proxy.Config) { c.ServerTLS.Cert = "none" }, "none"},
		{func(c *proxy.Config) { c.BackendTLS.Insecure = true }, "does not use TLS"},
		{func(c *proxy.Config) { c.Limits.Idle = -1 }, "negative"},
		{func(c *proxy.Config) { c.DrainTimeout = -1 }, "negative"},
		{func(c *proxy.Config) { c.Forwarded = proxy.ForwardedAppend }, "name their networks"},
		{func(c *proxy.Config) { c.Upgrades = []string{"a b"} }, "name of a protocol"},
	} {
		c := cfg
		c.TrustTraces = true // a valid change
		tt.change(&c)
		if err := p.Apply(c); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, tt.want)
		}
		if r, _ := http.NewRequest("GET", "http://test", nil); p.TrustsTrace(r) {
			t.Fatal("half of a configuration was applied")
		}
	}
	cfg.TrustTraces = true
	check(t, p.Apply(cfg))
	if r, _ := http.NewRequest("GET", "http://test", nil); !p.TrustsTrace(r) {
		t.Error("a configuration that is right was not applied")
	}
}
