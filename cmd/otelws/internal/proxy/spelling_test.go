package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

// However the client spells a handshake, the backend receives the usual form or
// nothing.
func TestSpelling(t *testing.T) {
	const ws = "{switch}\r\n{key}\r\n{13}"
	target := func(s string) string { return raw("GET "+s+" HTTP/1.1\r\nHost: test", ws) }
	many := func(n int) string { return strings.TrimSuffix(strings.Repeat("X: y\r\n", n), "\r\n") }
	for _, tt := range []struct {
		name, send string
		status     int
		seen       string // target and host, with 200 and 101
	}{
		{"no spaces", raw(get, "Connection:Upgrade", "Upgrade:websocket", "Sec-WebSocket-Key:"+wireKey, "Sec-WebSocket-Version:13"), 101, "/ test"},
		{"tabs", raw(get, "Connection:\tUpgrade\t", "Upgrade:\twebsocket \t", "{key}", "Sec-WebSocket-Version: \t13 "), 101, "/ test"},
		{"line feeds", strings.ReplaceAll(raw(get, ws), "\r\n", "\n"), 101, "/ test"},
		{"a folded line", raw(get, "Connection: keep-alive,\r\n\tUpgrade", "Upgrade:\r\n websocket", "{key}", "{13}"), 101, "/ test"},
		{"twice", raw(get, "Connection: Upgrade", "Connection: Upgrade", "Upgrade: websocket", "Upgrade: websocket", "{key}", "{13}"), 101, "/ test"},
		{"twice in a line", raw(get, "Connection: Upgrade, upgrade", "Upgrade: websocket, WebSocket", "{key}", "{13}"), 101, "/ test"},
		{"empty elements", raw(get, "Connection: ,,Upgrade,,", "Upgrade: ,websocket,", "{key}", "{13}"), 101, "/ test"},
		{"to be closed", raw(get, "Connection: close, Upgrade", "Upgrade: websocket", "{key}", "{13}"), 101, "/ test"},
		{"with what does not matter", raw(get, ws, "Expect: 100-continue", "TE: trailers", "Trailer: X", "Content-Length: 0", "Content-Length: 0"), 101, "/ test"},
		{"headers for this hop", raw(get, "Connection: Upgrade, Host, Cookie, X-Forwarded-For, X-Forwarded-Proto", "Upgrade: websocket", "{key}", "{13}", "Cookie: a=b"), 101, "/ test"},
		{"nine thousand headers", raw(get, ws, many(9000)), 101, "/ test"},
		{"HTTP/1.2", raw("GET / HTTP/1.2\r\nHost: test", ws), 101, "/ test"},
		{"quoted", raw(get, "Connection: Upgrade", `Upgrade: "websocket"`, "{key}", "{13}"), 200, "/ test"},
		{"a parameter", raw(get, "Connection: Upgrade", `Upgrade: websocket;q=1`, "{key}", "{13}"), 200, "/ test"},
		{"for proxies of long ago", raw(get, "Proxy-Connection: Upgrade", "Upgrade: websocket", "{key}", "{13}"), 200, "/ test"},

		{"versions in a list", raw(get, "{switch}", "{key}", "Sec-WebSocket-Version: 13, 8"), 426, ""},
		{"version 013", raw(get, "{switch}", "{key}", "Sec-WebSocket-Version: 013"), 426, ""},
		{"a draft of long ago", raw(get, "{switch}", "Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5", "Sec-WebSocket-Key2: 12998 5 Y3 1  .P00") + "^n:ds[4U", 426, ""},
		{"keys in a list", raw(get, "{switch}", "Sec-WebSocket-Key: "+wireKey+", "+wireKey, "{13}"), 400, ""},
		{"underscores", raw(get, "{switch}", "Sec_WebSocket_Key: "+wireKey, "{13}"), 400, ""},
		{"extensions for this hop", raw(get, "Connection: Upgrade, Sec-WebSocket-Extensions", "Upgrade: websocket", "{key}", "{13}"), 400, ""},
		{"another expectation", raw(get, ws, "Expect: 200-ok"), 417, ""},
		{"a coding that is none", raw(get, ws, "Transfer-Encoding: identity"), 501, ""},
		{"a method in small letters", raw("get / HTTP/1.1\r\nHost: test", ws), 405, ""},
		{"no method", raw("G@T / HTTP/1.1\r\nHost: test", ws), 400, ""},
		{"a carriage return in a value", raw(get, ws, "X: a\rb"), 400, ""},
		{"two carriage returns", raw(get, ws, "X: a\r\r"), 400, ""},
		{"no colon", raw(get, ws, "nonsense"), 400, ""},
		{"no name", raw(get, ws, ": x"), 400, ""},
		{"twenty thousand headers", raw(get, ws, many(20000)), 431, ""},
		{"HTTP/1.10", raw("GET / HTTP/1.10\r\nHost: test", ws), 400, ""},
		{"http/1.1", raw("GET / http/1.1\r\nHost: test", ws), 400, ""},
		{"PROXY protocol", "PROXY TCP4 203.0.113.9 127.0.0.1 5000 80\r\n" + raw(get, ws), 400, ""},
		{"PROXY protocol 2", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x1f\x90\x00\x50" + raw(get, ws), 400, ""},

		{"an absolute target", target("http://other.example/x"), 101, "/x other.example"},
		{"with a user", target("http://me:secret@other.example/x"), 101, "/x other.example"},
		{"of a WebSocket", target("wss://other.example/x"), 101, "/x other.example"},
		{"without a host", target("http:///x"), 400, ""},
		{"of a file", target("file:///etc/passwd"), 400, ""},
		{"of another scheme", target("gopher://test/x"), 400, ""},
		{"an authority", target("other.example:80"), 400, ""},
		{"two slashes", target("//other.example/x"), 101, "//other.example/x test"},
		{"bytes above 127", target("/\xff"), 101, "/%FF test"},
		{"lines in escapes", target("/%0d%0aX-Evil:%201"), 101, "/%0d%0aX-Evil:%201 test"},
		{"a space", target("/a b"), 400, ""},
		{"no escape", target("/%zz"), 400, ""},
		{"dots", target("/../x"), 101, "/../x test"}, // the backend decides, since all its paths are public
		{"a long path", target("/" + strings.Repeat("x", 100<<10)), 431, ""},

		{"a host with a space", raw("GET / HTTP/1.1\r\nHost: a b", ws), 400, ""},
		{"a host with a path", raw("GET / HTTP/1.1\r\nHost: test/x", ws), 400, ""},
		{"a host with a user", raw("GET / HTTP/1.1\r\nHost: me@test", ws), 400, ""},
		{"an empty host", raw("GET / HTTP/1.1\r\nHost:", ws), 400, ""},
		{"an empty host without a WebSocket", raw("GET / HTTP/1.1\r\nHost: "), 400, ""},
		{"no host", raw("GET / HTTP/1.1", ws), 400, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := startGullible(t)
			g := startProxy(t, proxy.Config{Backend: b.URL})
			w := dialWire(t, g.address)
			w.send(t, []byte(tt.send))
			if resp := w.response(t); resp.StatusCode != tt.status {
				t.Errorf("status %s, want %d", resp.Status, tt.status)
			}
			var seen string
			for _, r := range b.requests() {
				seen += r.RequestURI + " " + r.Host
				h := r.Header
				if usual := strings.Join(h["Connection"], "+") + " " + strings.Join(h["Upgrade"], "+"); tt.status == 101 && usual != "Upgrade websocket" ||
					h.Get("X-Forwarded-For") != "127.0.0.1" || h.Get("X-Forwarded-Proto") != "http" || h.Get("X-Forwarded-Host") != r.Host {
					t.Errorf("the backend sees %v", h)
				}
			}
			if seen != tt.seen {
				t.Errorf("the backend sees %q, want %q", seen, tt.seen)
			}
			if text := g.log.String(); strings.Contains(text, "the backend sent no valid response") {
				t.Errorf("the backend has the blame:\n%s", text)
			}
		})
	}
}

// A backend URL with a path exposes the paths below it only.
func TestBackendPathIsNotLeft(t *testing.T) {
	b := startGullible(t)
	g := startProxy(t, proxy.Config{Backend: b.URL + "/app"})
	for _, path := range []string{"/../admin", "/..", "/x/../../admin", "/%2e%2e/admin", "/.%2E/admin", "/x%2f..%2f..%2fadmin", `/..\admin`, "/..%5cadmin", "/..;/admin", "/..;x=y/admin", "/./x", "/."} {
		w := dialWire(t, g.address)
		w.send(t, []byte(raw("GET "+path+" HTTP/1.1\r\nHost: test")))
		if resp := w.response(t); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %s", path, resp.Status)
		}
		w.Close()
	}
	if seen := b.requests(); len(seen) > 0 {
		t.Errorf("the backend sees %s", seen[0].RequestURI)
	}
	for path, want := range map[string]string{"/x..y/.well-known/...": "/app/x..y/.well-known/...", "/?a=/../b": "/app/?a=/../b", "/": "/app/"} {
		readAll(t, request(t, "GET", "http://"+g.address+path, nil).Body)
		seen := b.requests()
		if got := seen[len(seen)-1].RequestURI; got != want {
			t.Errorf("%s: the backend sees %s, want %s", path, got, want)
		}
	}
}

// A head that arrives one byte at a time has the same time limit.
func TestSlowHead(t *testing.T) {
	b := startGullible(t)
	g := startProxy(t, proxy.Config{Backend: b.URL, Limits: proxy.Limits{HandshakeTime: 100 * time.Millisecond}})
	w := dialWire(t, g.address)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				if _, err := io.WriteString(w, "G"); err != nil {
					return
				}
			}
		}
	}()
	resp := w.response(t)
	close(stop)
	<-done
	if resp.StatusCode != http.StatusRequestTimeout || len(b.requests()) > 0 {
		t.Errorf("status %s", resp.Status)
	}
	g.Wait(t, `otelws_proxy_refused_total{reason="late"}`, 1)
}
