package proxy_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

func startSecure(t *testing.T, limits proxy.Limits) *gateway {
	t.Helper()
	b := startBackend(t, http.HandlerFunc(coderEcho))
	return startProxy(t, proxy.Config{Backend: b.URL, ServerTLS: newCertificate(t, t.TempDir(), "front.example"), Limits: limits})
}

// A client that is refused over TLS gets the same answer as without TLS.
func TestTurnedAwayOverTLS(t *testing.T) {
	for _, tt := range []struct {
		reason string
		limits proxy.Limits
		status int
	}{
		{"connections", proxy.Limits{Connections: 1}, 503},
		{"client_connections", proxy.Limits{ClientConnections: 1}, 429},
		{"rate", proxy.Limits{Handshakes: 0.001}, 503},
		{"client_rate", proxy.Limits{ClientHandshakes: 0.001}, 429},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			g := startSecure(t, tt.limits)
			first := secureWire(t, g.address)
			first.send(t, []byte(handshake("/")))
			if resp := first.response(t); resp.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("the first hears %s", resp.Status)
			}
			for i, protocols := range [][]string{nil, {"http/1.1"}, {"h2", "http/1.1"}} {
				w := secureWire(t, g.address, protocols...)
				if tt.reason == "rate" || tt.reason == "client_rate" { // these limits count requests
					w = secureWire(t, g.address, "http/1.1")
				}
				w.send(t, []byte(handshake("/")))
				resp := w.response(t)
				_, _ = io.Copy(io.Discard, resp.Body)
				if resp.StatusCode != tt.status || resp.Header.Get("Retry-After") == "" {
					t.Errorf("%q: %s %v", protocols, resp.Status, resp.Header)
				}
				w.Close()
				g.Wait(t, `otelws_proxy_refused_total{reason="`+tt.reason+`"}`, float64(i+1))
			}
			first.send(t, frame(fin|opText, "hello"))
			first.want(t, fin|opText, "hello")
		})
	}
}

// Go's HTTP client accepts the refusal, also if it would choose HTTP/2. It would
// report an answer before its request as a fault.
func TestTurnedAwayClient(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(coderEcho))
	plain := startProxy(t, proxy.Config{Backend: b.URL, Limits: proxy.Limits{Connections: 1}})
	openWire(t, plain.address, "/")
	secure := startSecure(t, proxy.Limits{Connections: 1})
	first := secureWire(t, secure.address)
	first.send(t, []byte(handshake("/")))
	first.response(t)
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	for range 50 {
		for _, url := range []string{"http://" + plain.address, "https://" + secure.address} {
			resp, err := (&http.Client{Transport: tr}).Get(url)
			check(t, err)
			resp.Body.Close()
			if resp.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("%s: status %s", url, resp.Status)
			}
		}
	}
}

// The number of answers to refused clients is bounded. Above the bound, the proxy
// closes connections without an answer, and still counts them.
func TestTurnedAwayWithoutWords(t *testing.T) {
	silent := func(t *testing.T, g *gateway) {
		t.Helper()
		w := secureWire(t, g.address)
		_, _ = io.WriteString(w, handshake("/"))
		if resp, err := http.ReadResponse(w.br, nil); err == nil {
			t.Errorf("one too many hears %s", resp.Status)
		}
	}
	fill := func(t *testing.T, g *gateway) {
		t.Helper()
		w := secureWire(t, g.address)
		w.send(t, []byte(handshake("/")))
		w.response(t)
	}
	t.Run("so many a second", func(t *testing.T) {
		g := startSecure(t, proxy.Limits{Connections: 1})
		g.SetTLSRefusals(0.001)
		fill(t, g)
		told := secureWire(t, g.address)
		told.send(t, []byte(handshake("/")))
		if resp := told.response(t); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("the first hears %s", resp.Status)
		}
		silent(t, g)
		g.Wait(t, `otelws_proxy_refused_total{reason="connections"}`, 2)
	})
	t.Run("so many at once", func(t *testing.T) {
		g := startSecure(t, proxy.Limits{Connections: 1, HandshakeTime: waitLimit})
		g.SetTLSRefusals(1e6)
		fill(t, g)
		for range proxy.Lingering() {
			dialWire(t, g.address) // says nothing
		}
		g.Wait(t, `otelws_proxy_refused_total{reason="connections"}`, float64(proxy.Lingering()))
		silent(t, g)
		g.Wait(t, `otelws_proxy_refused_total{reason="connections"}`, float64(proxy.Lingering()+1))
	})
}

// A client that does not finish TLS in time, or sends nothing, counts as late. A
// refused client keeps its connection no longer than that.
func TestLateOverTLS(t *testing.T) {
	for name, say := range map[string]func(*testing.T, net.Conn){
		"nothing":       func(*testing.T, net.Conn) {},
		"half a record": func(t *testing.T, c net.Conn) { _, _ = c.Write([]byte{22, 3, 1, 0}) },
		"TLS, and no head": func(t *testing.T, c net.Conn) {
			_ = tls.Client(c, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(testContext(t))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The second connection must come within this time, also on a busy machine.
			g := startSecure(t, proxy.Limits{Connections: 1, HandshakeTime: time.Second})
			w := dialWire(t, g.address)
			say(t, w.Conn)
			refused := dialWire(t, g.address)
			for _, c := range []net.Conn{w, refused} {
				if _, err := io.Copy(io.Discard, c); isTimeout(err) {
					t.Error("a connection stays open")
				}
			}
			g.Wait(t, `otelws_proxy_refused_total{reason="late"}`, 1)
			g.Wait(t, `otelws_proxy_refused_total{reason="connections"}`, 1)
		})
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// The refusal waits for the request to begin, but not for long.
func TestTurnedAwayBeforeAsking(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(coderEcho))
	g := startProxy(t, proxy.Config{Backend: b.URL, Limits: proxy.Limits{Connections: 1}})
	openWire(t, g.address, "/")
	w := dialWire(t, g.address)
	if resp := w.response(t); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("who says nothing hears %s", resp.Status)
	}
}
