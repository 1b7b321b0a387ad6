package proxy_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

// A connection may go on after OPTIONS * as after any other request.
func TestOptionsOfServer(t *testing.T) {
	b := startGullible(t)
	const limit = 100 * time.Millisecond
	g := startProxy(t, proxy.Config{Backend: b.URL, Limits: proxy.Limits{HandshakeTime: limit}})
	w := dialWire(t, g.address)
	begun := time.Now()
	w.send(t, []byte("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n"))
	if resp := w.response(t); resp.StatusCode != http.StatusOK || resp.ContentLength != 0 || resp.Close {
		t.Errorf("%s, %d bytes, closes %v", resp.Status, resp.ContentLength, resp.Close)
	}
	eventually(t, "the time for a handshake to pass", func() bool { return time.Since(begun) > 2*limit })
	w.send(t, []byte(raw(get)))
	if resp := w.response(t); resp.StatusCode != http.StatusOK {
		t.Errorf("the next request gets %s", resp.Status)
	}
	if n := len(b.requests()); n != 1 {
		t.Errorf("the backend sees %d requests, want 1", n)
	}
}

// A client gets what the backend sent, in a version that the client knows.
func TestResponseForClient(t *testing.T) {
	for _, tt := range []struct{ name, send, response, want string }{
		{"no type", raw(get), "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 6\r\n\r\n<html>",
			"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nDate: x\r\n\r\n<html>"},
		{"1xx", raw(get), "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\nDate: x\r\n\r\n",
			"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\nDate: x\r\n\r\n"},
		{"1xx with headers for this hop", raw(get), "HTTP/1.1 103 Early Hints\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nX-Hop: x\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\nDate: x\r\n\r\n",
			"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\nDate: x\r\n\r\n"},
		{"1xx to HTTP/1.0", raw("GET / HTTP/1.0" + "\r\nHost: test"), "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\nDate: x\r\n\r\n",
			"HTTP/1.0 204 No Content\r\nConnection: close\r\nDate: x\r\n\r\n"},
		{"101 in HTTP/1.0", handshake("/"), "HTTP/1.0 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + accept + "\r\n",
			switching + "Connection: Upgrade\r\nSec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nUpgrade: websocket\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, _ := rawBackend(t, answer(tt.response))
			g := startProxy(t, proxy.Config{Backend: "http://" + address})
			w := dialWire(t, g.address)
			w.send(t, []byte(tt.send))
			got := make([]byte, len(tt.want))
			if n, err := io.ReadFull(w.br, got); string(got) != tt.want {
				t.Errorf("got %q, %v\nwant %q", got[:n], err, tt.want)
			}
		})
	}
}
