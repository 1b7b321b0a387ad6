package proxy_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

// answer makes a raw backend read the head of a request and send text.
func answer(text string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		_, _ = io.WriteString(c, text)
		_, _ = io.Copy(io.Discard, c) // keep the connection open until the proxy closes it
	}
}

const (
	switching = "HTTP/1.1 101 Switching Protocols\r\n"
	accept    = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
)

// If the backend fails a handshake, the proxy answers and counts the handshake, and
// no connection is left.
func TestBackendFails(t *testing.T) {
	for _, tt := range []struct {
		name    string
		backend func(net.Conn)
		status  int
		reason  string
		client  string // status on the backend's side
	}{
		{"hangs up", func(net.Conn) {}, 502, "closed", "0"},
		{"hangs up after the request", func(c net.Conn) { _, _ = http.ReadRequest(bufio.NewReader(c)) }, 502, "closed", "0"},
		{"hangs up within the head", func(c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, switching+"Upgrade: websocket\r\n")
		}, 502, "closed", "0"},
		{"says nothing", answer(""), 504, "response_timeout", "0"},
		{"speaks something else", answer("SSH-2.0-OpenSSH_9.9\r\n"), 502, "malformed_response", "0"},
		{"sends a line that is no header", answer("HTTP/1.1 200 OK\r\nSet-Cookie session=secret\" \\\r\n\r\n"), 502, "malformed_response", "0"},
		{"sends a status that is none", answer("HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"), 502, "malformed_response", "0"},
		{"has no end of its head", answer(switching + "X: " + strings.Repeat("x", 2<<20)), 502, "malformed_response", "0"},
		{"switches without Upgrade", answer(switching + accept + "\r\n"), 502, "wrong_upgrade", "0"},
		{"switches without Connection", answer(switching + "Upgrade: websocket\r\n" + accept + "\r\n"), 502, "wrong_upgrade", "0"},
		{"switches to another protocol", answer(switching + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), 502, "wrong_upgrade", "0"},
		{"accepts another key", answer(switching + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: eA==\r\n\r\n"), 502, "wrong_accept", "0"},
		{"accepts the key twice", answer(switching + "Connection: Upgrade\r\nUpgrade: websocket\r\n" + accept + accept + "\r\n"), 502, "wrong_accept", "0"},
		{"switches twice", answer(switching + "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n" + accept + "\r\n"), 502, "wrong_upgrade", "0"},
		{"switches to two protocols", answer(switching + "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n" + accept + "\r\n"), 502, "wrong_upgrade", "0"},
		{"accepts no key", answer(switching + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), 502, "wrong_accept", "0"},
		{"answers 200", answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), 200, "", "200"},
		{"answers 403", answer("HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nhello"), 403, "", "403"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address, held := rawBackend(t, tt.backend)
			limit := waitLimit
			if tt.status == http.StatusGatewayTimeout {
				limit = 300 * time.Millisecond
			}
			g := startProxy(t, proxy.Config{Backend: "ws://" + address, ResponseTimeout: limit})
			w := dialWire(t, g.address)
			w.send(t, []byte(handshake("/")))
			resp := w.response(t)
			body := readAll(t, resp.Body)
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
			if tt.reason == "" {
				if body != "hello" {
					t.Errorf("body %q", body)
				}
			} else {
				g.wantLog(t, "reason="+tt.reason, "path=/ ")
				if text := g.log.String(); strings.Contains(text, "secret") || strings.Contains(text, "SSH-") {
					t.Errorf("the log has the backend's words: %s", text)
				}
				if !strings.HasPrefix(body, resp.Status[:3]) {
					t.Errorf("body %q does not say what it is", body)
				}
			}
			g.Wait(t, `ws_handshake_duration_seconds_count{http_response_status_code="`+resp.Status[:3]+`"}`, 1)
			g.Wait(t, `ws_client_handshake_duration_seconds_count{http_response_status_code="`+tt.client+`"}`, 1)
			g.stop()
			eventually(t, "the backend's connection to be closed", func() bool { return held.held() == 0 })
			if v := g.sum("ws_connections_opened_total") + g.sum("ws_client_connections_opened_total"); v != 0 {
				t.Errorf("%v connections were opened", v)
			}
		})
	}
}

// The log tells of a response that the backend does not finish, and the client's
// connection ends.
func TestBackendBreaksOff(t *testing.T) {
	const chunked = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsecret\r\n"
	for name, response := range map[string]string{
		"in its length":   "HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\nsecret",
		"in its chunks":   chunked,
		"with a chunk":    chunked + "zz\r\n",
		"with a trailer":  chunked + "0\r\nsecret\r\n\r\n",
		"before its body": "HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, _ := rawBackend(t, func(c net.Conn) {
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.WriteString(c, response)
			})
			g := startProxy(t, proxy.Config{Backend: "http://" + address})
			w := dialWire(t, g.address)
			w.send(t, []byte(raw(get)))
			if all := readAll(t, w); strings.HasSuffix(all, "\r\n0\r\n\r\n") {
				t.Errorf("the response is complete: %q", all)
			}
			g.stop()
			g.wantLog(t, "reason=incomplete_response status=201", "path=/ ")
			if text := g.log.String(); strings.Contains(text, "secret") {
				t.Errorf("the log has the backend's words: %s", text)
			}
		})
	}
}

// A client that leaves within a response is not the backend's failure.
func TestClientLeavesResponse(t *testing.T) {
	left := make(chan struct{})
	b := startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(left)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	g := startProxy(t, proxy.Config{Backend: b.URL})
	w := dialWire(t, g.address)
	w.send(t, []byte(raw(get)))
	w.response(t)
	w.Close()
	<-left
	g.stop()
	if text := g.log.String(); strings.Contains(text, "WARN") {
		t.Errorf("the log is %s", text)
	}
}

func TestBackendUnreachable(t *testing.T) {
	free := listenLocal(t)
	free.Close()
	for _, tt := range []struct {
		name, backend string
		reason        string
	}{
		{"down", "http://" + free.Addr().String(), "connect"},
		{"no such name", "http://backend.invalid:80", "name"},
		{"no such socket", "unix:" + t.TempDir() + "/none", "connect"},
		{"no TLS", "https://" + startBackend(t, http.NotFoundHandler()).Listener.Addr().String(), "tls"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := startProxy(t, proxy.Config{Backend: tt.backend})
			for _, head := range []string{handshake("/"), "GET / HTTP/1.1\r\nHost: test\r\n\r\n"} {
				w := dialWire(t, g.address)
				w.send(t, []byte(head))
				if resp := w.response(t); resp.StatusCode != http.StatusBadGateway {
					t.Errorf("status %s, want 502", resp.Status)
				}
			}
			g.wantLog(t, "reason="+tt.reason)
			if n := strings.Count(g.log.String(), "reason="); n != 1 {
				t.Errorf("%d lines for one reason, want 1", n)
			}
			if err := g.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
				t.Errorf("ready: %v", err)
			}
			g.Wait(t, `ws_handshake_duration_seconds_count{http_response_status_code="502"}`, 1)
		})
	}
}

// startPickyBackend starts a backend that requires a client certificate. With TLS 1.3, the proxy learns
// this only after its handshake.
func startPickyBackend(t *testing.T, version uint16) (url string) {
	t.Helper()
	b := httptest.NewUnstartedServer(http.NotFoundHandler())
	b.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: version, MaxVersion: version}
	b.Config.ErrorLog = discardLog
	b.StartTLS()
	t.Cleanup(b.Close)
	return b.URL
}

func TestBackendWantsCertificate(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		g := startProxy(t, proxy.Config{Backend: startPickyBackend(t, version), BackendTLS: proxy.TLSFiles{Insecure: true}})
		if resp := request(t, "GET", "http://"+g.address+"/", nil); resp.StatusCode != http.StatusBadGateway {
			t.Errorf("%s: status %s, want 502", tls.VersionName(version), resp.Status)
		}
		g.wantLog(t, "reason=tls")
	}
}

// The proxy refuses a 101 to a plain request, and closes the backend's connection.
func TestBackendSwitchesUnasked(t *testing.T) {
	address, held := rawBackend(t, answer(switching+"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
	g := startProxy(t, proxy.Config{Backend: "http://" + address})
	if resp := request(t, "GET", "http://"+g.address+"/", nil); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("status %s, want 502", resp.Status)
	}
	eventually(t, "the backend's connection to be closed", func() bool { return held.held() == 0 })
}

// If the client leaves before the response, the request to the backend is cancelled.
func TestClientLeavesHandshake(t *testing.T) {
	asked := make(chan struct{})
	address, held := rawBackend(t, func(c net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(c))
		close(asked)
		_, _ = io.Copy(io.Discard, c)
	})
	g := startProxy(t, proxy.Config{Backend: "http://" + address})
	w := dialWire(t, g.address)
	w.send(t, []byte(handshake("/")))
	<-asked
	w.Close()
	eventually(t, "the backend's connection to be closed", func() bool { return held.held() == 0 })
	g.Wait(t, `ws_handshake_duration_seconds_count{http_response_status_code="400"}`, 1)
	g.stop()
	if text := g.log.String(); strings.Contains(text, "reason=") {
		t.Errorf("a client that left is the backend's failure:\n%s", text)
	}
}
