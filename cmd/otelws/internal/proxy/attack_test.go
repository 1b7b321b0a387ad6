package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

// gullible is a backend that switches to every protocol. It records the requests.
type gullible struct {
	*backend
	mu   sync.Mutex
	seen []*http.Request
}

func startGullible(t *testing.T) *gullible {
	t.Helper()
	g := new(gullible)
	g.backend = startBackend(t, g)
	return g
}

func (g *gullible) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.seen = append(g.seen, r)
	g.mu.Unlock()
	protocol := r.Header.Get("Upgrade")
	if protocol == "" {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "plain")
		return
	}
	c, brw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = fmt.Fprintf(brw, "%sConnection: Upgrade\r\nUpgrade: %s\r\n%s\r\n", switching, protocol, accept)
	_ = brw.Flush()
	_, _ = io.Copy(c, brw)
}

// requests returns the requests so far.
func (g *gullible) requests() []*http.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.seen)
}

// wantEcho reads the bytes that the backend echoed unchanged, including the mask.
func (w *wire) wantEcho(t testing.TB, b []byte) {
	t.Helper()
	w.send(t, b)
	got := make([]byte, len(b))
	if _, err := io.ReadFull(w.br, got); err != nil || string(got) != string(b) {
		t.Errorf("echo %q, %v; want %q", got, err, b)
	}
}

// raw returns a request of the given lines. Short forms stand for the parts of a
// valid handshake.
func raw(lines ...string) string {
	text := strings.Join(lines, "\r\n") + "\r\n\r\n"
	return strings.NewReplacer(
		"{switch}", "Connection: Upgrade\r\nUpgrade: websocket",
		"{key}", "Sec-WebSocket-Key: "+wireKey,
		"{13}", "Sec-WebSocket-Version: 13",
	).Replace(text)
}

const get = "GET / HTTP/1.1\r\nHost: test"

// The backend receives valid WebSocket handshakes only, and no other protocol is
// tunnelled.
func TestSwitching(t *testing.T) {
	for _, tt := range []struct {
		name   string
		send   string
		status int
		seen   string // the Upgrade that the backend sees; "-" if the request does not reach it
	}{
		{"a handshake", raw(get, "{switch}", "{key}", "{13}"), 101, "websocket"},
		{"in other cases", raw(get, "CONNECTION: keep-alive, UPGRADE", "uPgRaDe: WebSocket", "{key}", "{13}"), 101, "websocket"},
		{"among others", raw(get, "Connection: Upgrade", "Upgrade: websocket, foo", "{key}", "{13}"), 101, "websocket"},
		{"after others", raw(get, "Connection: Upgrade", "Upgrade: foo/2, websocket", "{key}", "{13}"), 101, "websocket"},
		{"in lines", raw(get, "Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket", "{key}", "{13}"), 101, "websocket"},
		{"lines of Connection", raw(get, "Connection: keep-alive", "Connection: upgrade", "Upgrade: websocket", "{key}", "{13}"), 101, "websocket"},
		{"an empty body", raw(get, "{switch}", "{key}", "{13}", "Content-Length: 0"), 101, "websocket"},

		{"h2c", raw(get, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), 200, ""},
		{"h2c unannounced", raw(get, "Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), 200, ""},
		{"TLS", raw(get, "Connection: Upgrade", "Upgrade: TLS/1.2"), 200, ""},
		{"a shell", raw(get, "Connection: Upgrade", "Upgrade: tcp"), 200, ""},
		{"almost", raw(get, "Connection: Upgrade", "Upgrade: websocket/13", "{key}", "{13}"), 200, ""},
		{"almost too", raw(get, "Connection: Upgrade", "Upgrade: xwebsocket", "{key}", "{13}"), 200, ""},
		{"h2c with a body", raw("POST / HTTP/1.1\r\nHost: test", "Connection: Upgrade", "Upgrade: h2c", "Content-Length: 2") + "ok", 200, ""},
		{"not for this hop", raw(get, "Upgrade: websocket", "{key}", "{13}"), 200, ""},
		{"a flag of others", raw(get, "Connection: Upgrade"), 200, ""},

		{"no key", raw(get, "{switch}", "{13}"), 400, "-"},
		{"a short key", raw(get, "{switch}", "Sec-WebSocket-Key: YWJj", "{13}"), 400, "-"},
		{"no base64", raw(get, "{switch}", "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==", "{13}"), 400, "-"},
		{"two keys", raw(get, "{switch}", "{key}", "{key}", "{13}"), 400, "-"},
		{"no version", raw(get, "{switch}", "{key}"), 426, "-"},
		{"an old version", raw(get, "{switch}", "{key}", "Sec-WebSocket-Version: 8"), 426, "-"},
		{"two versions", raw(get, "{switch}", "{key}", "{13}", "Sec-WebSocket-Version: 8"), 426, "-"},
		{"the key for this hop", raw(get, "Connection: Upgrade, Sec-WebSocket-Key", "Upgrade: websocket", "{key}", "{13}"), 400, "-"},
		{"a body", raw(get, "{switch}", "{key}", "{13}", "Content-Length: 5") + "hello", 400, "-"},
		{"a body in chunks", raw(get, "{switch}", "{key}", "{13}", "Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n", 400, "-"},
		{"a body that is announced", raw(get, "{switch}", "{key}", "{13}", "Content-Length: 5", "Expect: 100-continue"), 400, "-"},
		{"POST", raw("POST / HTTP/1.1\r\nHost: test", "{switch}", "{key}", "{13}"), 405, "-"},
		{"HTTP/1.0", raw("GET / HTTP/1.0\r\nHost: test", "{switch}", "{key}", "{13}"), 426, "-"},
		{"CONNECT", raw("CONNECT inner.example:22 HTTP/1.1\r\nHost: inner.example:22"), 405, "-"},
		{"CONNECT for a WebSocket", raw("CONNECT test:80 HTTP/1.1\r\nHost: test:80", "{switch}", "{key}", "{13}"), 405, "-"},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "-"},
		{"almost HTTP/2", raw("PRI * HTTP/1.1\r\nHost: test"), 505, "-"},
		{"HTTP/3.0", raw("GET / HTTP/3.0\r\nHost: test"), 505, "-"},
		{"HTTP/0.9", "GET /\r\n\r\n", 400, "-"},
		{"no target", raw("GET * HTTP/1.1\r\nHost: test"), 400, "-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := startGullible(t)
			g := startProxy(t, proxy.Config{Backend: b.URL})
			w := dialWire(t, g.address)
			w.send(t, []byte(tt.send))
			resp := w.response(t)
			if resp.StatusCode != tt.status {
				t.Errorf("status %s, want %d", resp.Status, tt.status)
			}
			if resp.StatusCode == 426 && (resp.Header.Get("Sec-WebSocket-Version") != "13" || resp.Header.Get("Upgrade") != "websocket") {
				t.Errorf("426 offers %v", resp.Header)
			}
			seen := b.requests()
			if tt.seen == "-" {
				if len(seen) > 0 {
					t.Errorf("the backend sees %s %s", seen[0].Method, seen[0].RequestURI)
				}
			} else if len(seen) != 1 {
				t.Errorf("the backend sees %d requests", len(seen))
			} else if h := seen[0].Header; h.Get("Upgrade") != tt.seen || h.Get("HTTP2-Settings") != "" || tt.seen == "" && h.Get("Connection") != "" {
				t.Errorf("the backend sees %v", h)
			}
			if tt.status == 101 {
				w.wantEcho(t, frame(fin|opText, "hello"))
			}
		})
	}
}

// A protocol that the configuration allows is tunnelled, and does not appear in the
// metrics of WebSockets.
func TestBlindTunnel(t *testing.T) {
	b := startGullible(t)
	g := startProxy(t, proxy.Config{Backend: b.URL, Upgrades: []string{"tunnel/1"}})
	w := dialWire(t, g.address)
	w.send(t, []byte(raw("POST /x HTTP/1.1\r\nHost: test", "Connection: upgrade", "Upgrade: other, Tunnel/1")))
	if resp := w.response(t); resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "Tunnel/1" {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	w.wantEcho(t, []byte("anything at all"))
	w.Close()
	g.stop()
	if v := g.sum("ws_connections_opened_total") + g.sum("ws_protocol_errors_total") + g.sum("ws_handshake_duration_seconds_count"); v != 0 {
		t.Errorf("%v in the metrics of WebSockets", v)
	}
}

// A request whose end is ambiguous (request smuggling): the bytes that an attacker
// hides behind a request never become a request of their own.
func TestSmuggling(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: test"
	const hidden = "GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"
	inChunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
	for _, tt := range []struct {
		name   string
		send   string
		status int
	}{
		{"length and chunks", raw(post, "Content-Length: 6", "Transfer-Encoding: chunked") + "0\r\n\r\n" + hidden, 200},
		{"chunks and a short length", raw(post, "Transfer-Encoding: chunked", "Content-Length: 4") + inChunk, 200},
		{"chunks in HTTP/1.0", raw("POST / HTTP/1.0\r\nHost: test", "Connection: keep-alive", "Transfer-Encoding: chunked") + hidden, 200},
		{"length and chunks, and a response before the response", raw(post, "Content-Length: 6", "Transfer-Encoding: chunked", "Expect: 100-continue") + "0\r\n\r\n" + hidden, 200},
		{"two lengths", raw(post, "Content-Length: 0", fmt.Sprintf("Content-Length: %d", len(hidden))) + hidden, 400},
		{"lengths in a list", raw(post, "Content-Length: 0, 0") + hidden, 400},
		{"a length with a sign", raw(post, "Content-Length: +0") + hidden, 400},
		{"a length in hex", raw(post, "Content-Length: 0x0") + hidden, 400},
		{"a length that is empty", raw(post, "Content-Length:") + hidden, 400},
		{"a length above all numbers", raw(post, "Content-Length: 18446744073709551616") + hidden, 400},
		{"another coding", raw(post, "Transfer-Encoding: xchunked") + hidden, 501},
		{"a list of codings", raw(post, "Transfer-Encoding: identity, chunked") + inChunk, 501},
		{"codings in lines", raw(post, "Transfer-Encoding: chunked", "Transfer-Encoding: identity") + inChunk, 501},
		{"a coding behind a tab of another kind", raw(post, "Transfer-Encoding: \x0bchunked") + inChunk, 400},
		{"a space before the colon", raw(post, "Transfer-Encoding : chunked") + inChunk, 400},
		{"a space before the first header", raw("POST / HTTP/1.1", " Host: test") + hidden, 400},
		{"a name with a NUL", raw(post, "X\x00: y") + hidden, 400},
		{"a value with a NUL", raw(post, "X: \x00") + hidden, 400},
		{"two hosts", raw(post, "Host: other") + hidden, 400},
		{"no host", raw("GET / HTTP/1.1") + hidden, 400},
		{"a chunk without an end", raw(post, "Transfer-Encoding: chunked") + "2\r\nokGET /smuggled HTTP/1.1\r\n\r\n", 400},
		{"a chunk size of letters", raw(post, "Transfer-Encoding: chunked") + "zz\r\n" + hidden, 400},
		{"a chunk size that is negative", raw(post, "Transfer-Encoding: chunked") + "-1\r\n" + hidden, 400},
		{"a chunk size above all numbers", raw(post, "Transfer-Encoding: chunked") + "10000000000000000\r\n" + hidden, 400},
		{"an extension with a line feed", raw(post, "Transfer-Encoding: chunked") + "2;\nxx\r\nok\r\n0\r\n\r\n" + hidden, 400},
		{"a GET with a body", raw(get, fmt.Sprintf("Content-Length: %d", len(hidden))) + hidden, 200},
		{"a coding in a folded line", raw(post, "Transfer-Encoding:\r\n chunked") + inChunk, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := startGullible(t)
			g := startProxy(t, proxy.Config{Backend: b.URL})
			w := dialWire(t, g.address)
			w.send(t, []byte(tt.send))
			resp := w.response(t)
			for resp.StatusCode == http.StatusContinue {
				resp = w.response(t)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = w.Conn.(closeWriter).CloseWrite()
			if resp.StatusCode != tt.status {
				t.Errorf("status %s, want %d", resp.Status, tt.status)
			}
			if rest, _ := io.ReadAll(w.br); len(rest) > 0 {
				t.Errorf("there is another response: %.80q", rest)
			}
			for _, r := range b.requests() {
				if r.URL.Path == "/smuggled" {
					t.Error("the backend sees the hidden request")
				}
			}
			if text := g.log.String(); strings.Contains(text, "the backend sent no valid response") {
				t.Errorf("the backend has the blame:\n%s", text)
			}
		})
	}
}

// The hop-by-hop headers of a 101 do not reach the client.
func TestSwitchHopByHop(t *testing.T) {
	address, _ := rawBackend(t, answer(switching+"Connection: keep-alive, Upgrade, X-Hop\r\nUpgrade: WebSocket\r\n"+accept+
		"Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nProxy-Connection: keep-alive\r\nProxy-Whatever: x\r\nX-Hop: 1\r\n"+
		"Transfer-Encoding: chunked\r\nTrailer: X\r\nX-End: 1\r\nSet-Cookie: a=b\r\nSec-WebSocket-Protocol: chat\r\n\r\n"))
	g := startProxy(t, proxy.Config{Backend: "http://" + address})
	w := dialWire(t, g.address)
	w.send(t, []byte(handshake("/", "Sec-WebSocket-Protocol: chat")))
	h := w.response(t).Header
	want := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "X-End": {"1"}, "Set-Cookie": {"a=b"},
		"Sec-Websocket-Accept": {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, "Sec-Websocket-Protocol": {"chat"}}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("head -want +got:\n%s", diff)
	}
}

// A client error gets a 4xx answer, and the log does not blame the backend.
func TestClientsFault(t *testing.T) {
	b := startBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	g := startProxy(t, proxy.Config{Backend: b.URL, DrainTimeout: waitLimit})
	w := dialWire(t, g.address)
	w.send(t, []byte(raw("POST / HTTP/1.1\r\nHost: test", "Transfer-Encoding: chunked")+"5\r\nhello\r\nzz\r\n"))
	if resp := w.response(t); resp.StatusCode != 400 || !resp.Close {
		t.Errorf("status %s, closes %v", resp.Status, resp.Close)
	}
	g.Wait(t, `otelws_proxy_refused_total{reason="body"}`, 1)

	for range 20 { // some clients leave while the body is being sent
		w := dialWire(t, g.address)
		w.send(t, []byte(raw("POST / HTTP/1.1\r\nHost: test", "Content-Length: 100")+"hello"))
		w.Close()
	}
	g.stop()
	if text := g.log.String(); strings.Contains(text, "reason=") {
		t.Errorf("the backend has the blame:\n%s", text)
	}
}
