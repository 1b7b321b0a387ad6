package proxy_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

// The proxy refuses a WebSocket over HTTP/2, and HTTP/1.1 upgrade headers in an
// HTTP/2 request.
func TestHTTP2(t *testing.T) {
	b := startGullible(t)
	g := startProxy(t, proxy.Config{Backend: b.URL, ServerTLS: newCertificate(t, t.TempDir(), "front.example")})
	for name, fields := range map[string][]string{
		"RFC 8441":                           {":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/", ":authority", "test", "sec-websocket-version", "13"},
		"CONNECT":                            {":method", "CONNECT", ":authority", "inner.example:22"},
		"an upgrade":                         {":method", "GET", ":scheme", "https", ":path", "/", ":authority", "test", "connection", "upgrade", "upgrade", "websocket"},
		"a coding":                           {":method", "POST", ":scheme", "https", ":path", "/", ":authority", "test", "transfer-encoding", "chunked"},
		"a line in a name":                   {":method", "GET", ":scheme", "https", ":path", "/", ":authority", "test", "x\r\nevil", "y"},
		"a line in a path":                   {":method", "GET", ":scheme", "https", ":path", "/ HTTP/1.1\r\nEvil: x", ":authority", "test"},
		"a line in a query":                  {":method", "GET", ":scheme", "https", ":path", "/?x HTTP/1.1", ":authority", "test"},
		"a line in a method":                 {":method", "GET / HTTP/1.1", ":scheme", "https", ":path", "/", ":authority", "test"},
		"a method that is no token":          {":method", "G@T", ":scheme", "https", ":path", "/", ":authority", "test"},
		"a host with a space":                {":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a b"},
		"a host with a path":                 {":method", "GET", ":scheme", "https", ":path", "/", ":authority", "test/x"},
		"a header with a space for the host": {":method", "GET", ":scheme", "https", ":path", "/", "host", "a b"},
		"no host":                            {":method", "GET", ":scheme", "https", ":path", "/"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := tls.Dial("tcp", g.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			check(t, err)
			defer c.Close()
			if got := http2Answer(t, c, fields, ""); got[0] != '4' && got[:3] != "RST" {
				t.Errorf("the answer is %s", got)
			}
		})
	}
	g.Wait(t, `otelws_proxy_refused_total{reason="method"}`, 3)
	g.Wait(t, `otelws_proxy_refused_total{reason="target"}`, 5)
	if text := g.log.String(); strings.Contains(text, "backend") {
		t.Errorf("the log blames the backend: %s", text)
	}
	if seen := b.requests(); len(seen) > 0 {
		t.Errorf("the backend sees %s %s %v", seen[0].Method, seen[0].RequestURI, seen[0].Header)
	}
}

// A refusal ends the stream of a request with a body, and no other stream of the connection.
func TestHTTP2RefusedBody(t *testing.T) {
	b := startGullible(t)
	g := startProxy(t, proxy.Config{Backend: b.URL + "/base", ServerTLS: newCertificate(t, t.TempDir(), "front.example")})
	c, err := tls.Dial("tcp", g.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	check(t, err)
	defer c.Close()
	fields := []string{":method", "POST", ":scheme", "https", ":path", "/../secret", ":authority", "test"}
	if got := http2Answer(t, c, fields, "hello"); got != "400" {
		t.Errorf("the answer is %s, want 400 alone", got)
	}
}

// A 204 must not have the Content-Length that some backends send.
func TestHTTP2NoContent(t *testing.T) {
	address, _ := rawBackend(t, answer("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"))
	front := newCertificate(t, t.TempDir(), "front.example")
	g := startProxy(t, proxy.Config{Backend: "http://" + address, ServerTLS: front})
	resp, err := clientFor(t, front, true).Get("https://" + g.address + "/")
	check(t, err)
	defer resp.Body.Close()
	if length := resp.Header["Content-Length"]; resp.StatusCode != http.StatusNoContent || resp.ProtoMajor != 2 || length != nil {
		t.Errorf("%s %s with Content-Length %q", resp.Proto, resp.Status, length)
	}
}

// http2Answer sends a request. It returns the status, or the error that refused the
// request. If the server also ends the connection, it says so.
func http2Answer(t *testing.T, c io.ReadWriter, fields []string, body string) (answer string) {
	t.Helper()
	_, err := io.WriteString(c, http2.ClientPreface)
	check(t, err)
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	check(t, f.WriteSettings())
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		check(t, e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	check(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: body == "", EndHeaders: true}))
	if body != "" {
		check(t, f.WriteData(1, true, []byte(body)))
	}
	for {
		fr, err := f.ReadFrame()
		check(t, err)
		switch fr := fr.(type) {
		case *http2.MetaHeadersFrame:
			answer = fr.PseudoValue("status") + answer
			check(t, f.WritePing(false, [8]byte{}))
		case *http2.PingFrame:
			return answer
		case *http2.RSTStreamFrame:
			if answer == "" { // otherwise, it only stops the body
				return fmt.Sprint("RST ", fr.ErrCode)
			}
		case *http2.GoAwayFrame:
			answer += fmt.Sprint(" GOAWAY ", fr.ErrCode)
			if fr.ErrCode != http2.ErrCodeNo {
				return "RST of all" + answer
			}
		case *http2.SettingsFrame:
			_ = fr.ForeachSetting(func(s http2.Setting) error {
				if s.ID == http2.SettingEnableConnectProtocol && s.Val != 0 {
					t.Error("the proxy offers WebSockets over HTTP/2")
				}
				return nil
			})
		}
	}
}
