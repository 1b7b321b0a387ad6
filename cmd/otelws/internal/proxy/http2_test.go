package proxy_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
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
		"RFC 8441":         {":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/", ":authority", "test", "sec-websocket-version", "13"},
		"CONNECT":          {":method", "CONNECT", ":authority", "inner.example:22"},
		"an upgrade":       {":method", "GET", ":scheme", "https", ":path", "/", ":authority", "test", "connection", "upgrade", "upgrade", "websocket"},
		"a coding":         {":method", "POST", ":scheme", "https", ":path", "/", ":authority", "test", "transfer-encoding", "chunked"},
		"a line in a name": {":method", "GET", ":scheme", "https", ":path", "/", ":authority", "test", "x\r\nevil", "y"},
		"a line in a path": {":method", "GET", ":scheme", "https", ":path", "/ HTTP/1.1\r\nEvil: x", ":authority", "test"},
		"no host":          {":method", "GET", ":scheme", "https", ":path", "/"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := tls.Dial("tcp", g.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			check(t, err)
			defer c.Close()
			if got := http2Answer(t, c, fields); got[0] != '4' && got[:3] != "RST" {
				t.Errorf("the answer is %s", got)
			}
		})
	}
	if seen := b.requests(); len(seen) > 0 {
		t.Errorf("the backend sees %s %s %v", seen[0].Method, seen[0].RequestURI, seen[0].Header)
	}
}

// http2Answer sends a request. It returns the status, or the error that refused the
// request.
func http2Answer(t *testing.T, c io.ReadWriter, fields []string) string {
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
	check(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}))
	for {
		fr, err := f.ReadFrame()
		check(t, err)
		switch fr := fr.(type) {
		case *http2.MetaHeadersFrame:
			return fr.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return fmt.Sprint("RST ", fr.ErrCode)
		case *http2.GoAwayFrame:
			return fmt.Sprint("RST of all ", fr.ErrCode)
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
