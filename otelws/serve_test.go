package otelws_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
)

// readLimit is the echo servers' limit for a message.
const readLimit = 100_000

// testServer is an HTTP server that waits for all its handlers at the end, even if they
// have hijacked their connection.
type testServer struct {
	*httptest.Server
	handlers atomic.Int64 // handlers that are running
}

// startServer serves h behind ws.Handler, or h alone if ws is nil. Each setup may
// change the server before it starts.
func startServer(t testing.TB, ws *otelws.Instrumentation, h http.Handler, setup ...func(*httptest.Server)) *testServer {
	t.Helper()
	if ws != nil {
		h = ws.Handler(h)
	}
	s := &testServer{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.handlers.Add(1)
		defer s.handlers.Add(-1)
		h.ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, f := range setup {
		f(s.Server)
	}
	if s.TLS == nil {
		s.Start()
	} else {
		s.StartTLS()
	}
	t.Cleanup(func() {
		s.wait(t)
		s.Close()
	})
	return s
}

// wait returns when all handlers have returned.
func (s *testServer) wait(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(waitLimit); s.handlers.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a handler does not return")
		}
	}
}

// ws returns the URL for a WebSocket client.
func (s *testServer) ws() string { return "ws" + strings.TrimPrefix(s.URL, "http") }

// coderEcho is a handler, written as users of coder/websocket write it.
func coderEcho(opts *websocket.AcceptOptions) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, opts)
		if err != nil {
			return
		}
		echoMessages(r.Context(), c)
	}
}

func echoMessages(ctx context.Context, c *websocket.Conn) {
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(readLimit)
	for {
		typ, b, err := c.Read(ctx)
		if err != nil {
			return
		}
		if err := c.Write(ctx, typ, b); err != nil {
			return
		}
	}
}

// slowly makes the server read one byte at a time.
func slowly(s *httptest.Server) { s.Listener = slowListener{s.Listener} }

type slowListener struct{ net.Listener }

func (l slowListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return slowConn{c}, nil
}

type slowConn struct{ net.Conn }

func (c slowConn) Read(p []byte) (int, error) { return c.Conn.Read(p[:min(len(p), 1)]) }

// withWriter is a middleware that wraps the ResponseWriter.
func withWriter(wrap func(http.ResponseWriter) http.ResponseWriter, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(wrap(w), r) })
}
