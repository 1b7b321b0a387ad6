package dial_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/dial"
)

// answering starts a server that reads a request and sends an answer.
func answering(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, answer)
			c.Close()
		}
	}()
	return l.Addr().String()
}

// A failed handshake has a kind, and a cause if the kind does not tell it.
func TestFailures(t *testing.T) {
	proxied := dial.Transport(nil, nil)
	proxied.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "127.0.0.1:1"})
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	upgraded := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	for name, tt := range map[string]struct {
		transport http.RoundTripper
		address   string
		want      string
	}{
		"refused":        {nil, "ws://127.0.0.1:1", "dial: refused (3)"},
		"not found":      {nil, "ws://" + answering(t, "HTTP/1.1 404 Not Found\r\n\r\n"), "handshake: answered 404 Not Found (3)"},
		"unknown status": {nil, "ws://" + answering(t, "HTTP/1.1 599 X\r\n\r\n"), "handshake: no valid answer (3): expected handshake response status code 101 but got 599"},
		"no WebSocket":   {nil, "ws://" + answering(t, "HTTP/1.1 101 X\r\n\r\n"), `handshake: no valid answer (3): WebSocket protocol violation: Connection header "" does not contain Upgrade`},
		"accept":         {nil, "ws://" + answering(t, upgraded+"Sec-WebSocket-Accept: AA==\r\n\r\n"), `handshake: no valid answer (3): WebSocket protocol violation: invalid Sec-WebSocket-Accept "AA=="`},
		"no HTTP":        {nil, "ws://" + answering(t, "SSH-2.0\x1b[2J\r\n"), `handshake: no valid answer (3): net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0\x1b[2J"`},
		"port":           {nil, "ws://127.0.0.1:99999", "dial: other (3): dial tcp: address 99999: invalid port"},
		"certificate":    {nil, "wss" + strings.TrimPrefix(secure.URL, "https"), "dial: TLS (3): tls: failed to verify certificate: x509: "},
		"alert":          {nil, "wss://" + answering(t, "\x15\x03\x03\x00\x02\x02\x46"), "dial: TLS (3): remote error: tls: protocol version not supported"},
		"proxy":          {proxied, "ws://127.0.0.1:2", "proxy: refused (3)"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.transport == nil {
				tt.transport = dial.Transport(nil, nil)
			}
			_, resp, err := websocket.Dial(t.Context(), tt.address, dial.Options(tt.transport, nil, nil))
			if err == nil {
				t.Fatal("there is no error")
			}
			var all dial.Failures
			all.Add(dial.Handshake(resp, err), 1, err)
			all.Add(dial.Handshake(resp, err), 2, err)
			if got := all.String(); !strings.HasPrefix(got, tt.want) || strings.HasSuffix(tt.want, ")") && got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A Host among the headers is sent, as curl does.
func TestHost(t *testing.T) {
	var host string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { host = r.Host }))
	defer s.Close()
	header := http.Header{"Host": {"chat.example.com"}}
	if _, _, err := websocket.Dial(t.Context(), s.URL, dial.Options(dial.Transport(nil, nil), header, nil)); err == nil {
		t.Error("there is no error")
	}
	if host != "chat.example.com" {
		t.Errorf("the server got the host %q", host)
	}
}
