package otelws_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// A request that opens no WebSocket over HTTP/1.1 reaches the handler with its own
// writer and request.
func TestHandlerPassesOthers(t *testing.T) {
	for _, c := range []struct {
		name   string
		method string
		proto  int
		header map[string]string
	}{
		{"GET", http.MethodGet, 1, nil},
		{"POST", http.MethodPost, 1, nil},
		{"another upgrade", http.MethodGet, 1, map[string]string{"Connection": "Upgrade", "Upgrade": "h2c"}},
		{"Upgrade alone", http.MethodGet, 1, map[string]string{"Upgrade": "websocket"}},
		{"Connection alone", http.MethodGet, 1, map[string]string{"Connection": "Upgrade"}},
		{"HTTP/2", http.MethodGet, 2, nil},
		{"HTTP/2 with the headers of HTTP/1.1", http.MethodGet, 2,
			map[string]string{"Connection": "Upgrade", "Upgrade": "websocket"}},
		{"RFC 8441", http.MethodConnect, 2, map[string]string{":protocol": "websocket", "Sec-WebSocket-Version": "13"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ws, m := newInstrumentation(t)
			r := httptest.NewRequest(c.method, "/", nil)
			r.ProtoMajor, r.ProtoMinor = c.proto, 1
			for k, v := range c.header {
				r.Header[k] = []string{v}
			}
			rec := httptest.NewRecorder()
			called := false
			ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, got *http.Request) {
				called = true
				if w != http.ResponseWriter(rec) || got != r {
					t.Errorf("the handler got the writer %T and the request %p, want %T and %p", w, got, rec, r)
				}
			})).ServeHTTP(rec, r)
			if !called {
				t.Error("the handler was not called")
			}
			expect(t, m, "")
		})
	}
}

// The same applies to a request over HTTP/2.
func TestHandlerPassesHTTP2(t *testing.T) {
	ws, m := newInstrumentation(t)
	var came http.ResponseWriter
	h := ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if w != came || r.ProtoMajor != 2 {
			t.Errorf("the handler got the writer %T over %s, want %T over HTTP/2", w, r.Proto, came)
		}
	}))
	s := startServer(t, nil, withWriter(func(w http.ResponseWriter) http.ResponseWriter {
		came = w
		return w
	}, h), func(s *httptest.Server) {
		s.EnableHTTP2 = true
		s.TLS = new(tls.Config)
	})
	resp, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	s.Client().CloseIdleConnections()
	expect(t, m, "")
}

// A failed handshake is recorded with its status, and never as a connection.
func TestFailedHandshakes(t *testing.T) {
	status := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		change  [2]string // old and new text in the request
		status  string
		dropped bool // the server closes the connection without a response
	}{
		{name: "wrong version", handler: coderEcho(nil), change: [2]string{"Version: 13", "Version: 8"}, status: "400"},
		{name: "no key", handler: coderEcho(nil), change: [2]string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"}, status: "400"},
		{name: "POST", handler: coderEcho(nil), change: [2]string{"GET", "POST"}, status: "400"},
		{name: "HTTP/1.0", handler: coderEcho(nil), change: [2]string{"HTTP/1.1", "HTTP/1.0"}, status: "426"},
		{name: "forbidden origin", handler: coderEcho(nil), change: [2]string{"\r\nHost", "\r\nOrigin: http://evil.example\r\nHost"}, status: "403"},
		{name: "401", handler: status(401), status: "401"},
		{name: "204", handler: status(204), status: "200"},
		{name: "418", handler: status(418), status: "400"},
		{name: "silent", handler: func(http.ResponseWriter, *http.Request) {}, status: "200"},
		{name: "a page", handler: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }, status: "200"},
		{name: "a flush", handler: func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, status: "200"},
		{name: "twice", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			w.WriteHeader(500)
		}, status: "404"},
		{name: "early hints first", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(404)
		}, status: "404"},
		{name: "panic", handler: func(http.ResponseWriter, *http.Request) { panic("no") }, status: "500", dropped: true},
		{name: "abort", handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, status: "500", dropped: true},
		{name: "panic after a page", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
			panic("no")
		}, status: "200"},
		{name: "panic after 403", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(403)
			panic("no")
		}, status: "403", dropped: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			request := []byte(strings.Replace(string(handshakeRequest("Content-Length: 0")), c.change[0], c.change[1], 1))
			bare := startServer(t, nil, c.handler)
			w := connectWire(t, bare)
			w.send(request)
			want := w.reply()
			if (want == "") != c.dropped {
				t.Fatalf("without the tap the server answers %q", want)
			}

			ws, m := newInstrumentation(t)
			s := startServer(t, ws, c.handler)
			w = connectWire(t, s)
			w.send(request)
			if got := w.reply(); got != want {
				t.Errorf("the server answers %q, without the tap %q", got, want)
			}
			s.wait(t)
			expect(t, m, handshakes(c.status))
			for _, sample := range []string{
				"ws_connections_active", "ws_connections_opened_total",
				`ws_connections_closed_total{code="1000"}`, `ws_connections_closed_total{code="1006"}`,
			} {
				m.Wait(t, sample, 0)
			}
		})
	}
}

// An interim response does not answer the handshake.
func TestEarlyHints(t *testing.T) {
	ws, m := newInstrumentation(t)
	s := startServer(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		coderEcho(nil)(w, r)
	}))
	w := connectWire(t, s)
	w.send(handshakeRequest())
	if resp := w.response(); resp.StatusCode != http.StatusEarlyHints {
		t.Fatalf("status %s", resp.Status)
	}
	if resp := w.response(); resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %s", resp.Status)
	}
	exchange(w)
	w.rest()
	s.wait(t)
	expect(t, m, exchanged)
}

// A panic of the handler reaches the server unchanged.
func TestHandlerPanic(t *testing.T) {
	ws, _ := newInstrumentation(t)
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("the Handler panicked with %v, want %v", got, http.ErrAbortHandler)
		}
	}()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	ws.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	})).ServeHTTP(httptest.NewRecorder(), r)
}

// plainWriter has only the methods of a ResponseWriter.
type plainWriter struct{ http.ResponseWriter }

// unwrapped has Unwrap besides.
type unwrapped struct{ plainWriter }

func (w unwrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// failingWriter fails to hijack.
type failingWriter struct{ plainWriter }

func (failingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("not now")
}

func plain(w http.ResponseWriter) http.ResponseWriter  { return plainWriter{w} }
func unwrap(w http.ResponseWriter) http.ResponseWriter { return unwrapped{plainWriter{w}} }
func refuse(w http.ResponseWriter) http.ResponseWriter { return failingWriter{plainWriter{w}} }

// If the server cannot be hijacked, each library gives the same answer as without the
// tap.
func TestHijackRefused(t *testing.T) {
	statuses := map[string][2]string{ // of a writer without Hijack, and of a writer whose Hijack fails
		"coder":                       {"501", "500"},
		"gorilla":                     {"500", "500"},
		"gobwas, the buffered reader": {"500", "500"},
		"gobwas, the connection":      {"500", "500"},
		// ReverseProxy leaves its backend open if the writer has no Hijack.
		"ReverseProxy": {"", "502"},
	}
	for _, l := range libraries {
		for i, wrap := range []func(http.ResponseWriter) http.ResponseWriter{plain, refuse} {
			status := statuses[l.name][i]
			if status == "" {
				continue
			}
			t.Run(l.name, func(t *testing.T) {
				t.Parallel()
				ws, m := newInstrumentation(t)
				h := l.serve(t)
				var answers []string
				for _, h := range []http.Handler{h, ws.Handler(h)} {
					s := startServer(t, nil, withWriter(wrap, h))
					w := connectWire(t, s)
					w.send(handshakeRequest())
					answers = append(answers, w.reply())
					_ = w.Close()
					s.wait(t)
				}
				if answers[0] != answers[1] {
					t.Errorf("the server answers %q, without the tap %q", answers[1], answers[0])
				}
				expect(t, m, handshakes(status))
			})
		}
	}
}

// A connection is watched once, whatever stands between the server, the Handlers and
// the library.
func TestWatchedOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		wrap func(a, b *otelws.Instrumentation) http.Handler
	}{
		{"a middleware outside", func(a, _ *otelws.Instrumentation) http.Handler {
			return withWriter(unwrap, a.Handler(coderEcho(nil)))
		}},
		{"a middleware inside", func(a, _ *otelws.Instrumentation) http.Handler {
			return a.Handler(withWriter(unwrap, coderEcho(nil)))
		}},
		{"middlewares outside, inside and between", func(a, _ *otelws.Instrumentation) http.Handler {
			return withWriter(unwrap, a.Handler(withWriter(unwrap, a.Handler(withWriter(unwrap, coderEcho(nil))))))
		}},
		{"a Handler in a Handler", func(a, _ *otelws.Instrumentation) http.Handler {
			return a.Handler(a.Handler(coderEcho(nil)))
		}},
		{"Handlers of one provider", func(a, b *otelws.Instrumentation) http.Handler {
			return a.Handler(b.Handler(a.Handler(coderEcho(nil))))
		}},
		{"Accept", func(a, _ *otelws.Instrumentation) http.Handler { return acceptEcho(a) }},
		{"Accept behind a middleware", func(a, _ *otelws.Instrumentation) http.Handler {
			return withWriter(unwrap, acceptEcho(a))
		}},
		{"Accept in a Handler", func(a, b *otelws.Instrumentation) http.Handler { return a.Handler(acceptEcho(b)) }},
		{"Accept behind a middleware in a Handler", func(a, _ *otelws.Instrumentation) http.Handler {
			return a.Handler(withWriter(unwrap, acceptEcho(a)))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, m := newInstrumentation(t)
			b, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
			if err != nil {
				t.Fatal(err)
			}
			s := startServer(t, nil, c.wrap(a, b))
			w := openWire(t, s)
			exchange(w)
			w.rest()
			s.wait(t)
			expect(t, m, exchanged)
		})
	}
}

func acceptEcho(ws *otelws.Instrumentation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		echoMessages(r.Context(), c)
	})
}

// hiding is a middleware's writer without Unwrap, as older middlewares have it.
type hiding struct{ http.ResponseWriter }

func (h hiding) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.ResponseWriter.(http.Hijacker).Hijack()
}

// The request's context tells that a connection is already watched, even if a
// middleware hides the writer or the transport.
func TestWatchedOnceHidden(t *testing.T) {
	handler := func(ws *otelws.Instrumentation) http.Handler { return ws.Handler(gobwasEcho(true)) }
	spans := otelws.WithTracerProvider(sdktrace.NewTracerProvider())
	hidden := func(w http.ResponseWriter) http.ResponseWriter { return hiding{w} }
	transportToo := func(w http.ResponseWriter) http.ResponseWriter { return ownTransport{w} }
	for name, c := range map[string]struct {
		between func(http.ResponseWriter) http.ResponseWriter
		next    func(*otelws.Instrumentation) http.Handler
		opts    []otelws.Option
	}{
		"Accept":                     {hidden, acceptEcho, nil},
		"Handler":                    {hidden, handler, nil},
		"Accept, with spans":         {hidden, acceptEcho, []otelws.Option{spans}},
		"Handler, with spans":        {hidden, handler, []otelws.Option{spans}},
		"Accept, another transport":  {transportToo, acceptEcho, nil},
		"Handler, another transport": {transportToo, handler, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t, c.opts...)
			s := startServer(t, ws, withWriter(c.between, c.next(ws)))
			w := openWire(t, s)
			exchange(w)
			w.rest()
			s.wait(t)
			expect(t, m, exchanged)
		})
	}
}

// Handlers with two providers record the connection in both.
func TestHandlersOfTwoProviders(t *testing.T) {
	a, am := newInstrumentation(t)
	b, bm := newInstrumentation(t)
	s := startServer(t, a, b.Handler(coderEcho(nil)))
	w := openWire(t, s)
	exchange(w)
	w.rest()
	s.wait(t)
	for _, m := range []*otelwstest.Metrics{am, bm} {
		expect(t, m, exchanged)
	}
}

// Accept outside a Handler records a failed handshake.
func TestAcceptFails(t *testing.T) {
	ws, m := newInstrumentation(t)
	errs := make(chan error, 1)
	s := startServer(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := ws.Accept(w, r, &websocket.AcceptOptions{})
		errs <- err
	}))
	w := connectWire(t, s)
	w.send(handshakeRequest("Origin: http://evil.example"))
	if resp := w.response(); resp.StatusCode != http.StatusForbidden {
		t.Errorf("the server answers with status %s", resp.Status)
	}
	if err := <-errs; err == nil || !strings.Contains(err.Error(), "evil.example") {
		t.Errorf("Accept returned %v", err)
	}
	expect(t, m, handshakes("403"))
}

// http.ResponseController works through the tap's writer.
func TestResponseController(t *testing.T) {
	ws, _ := newInstrumentation(t)
	s := startServer(t, ws, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		rc := http.NewResponseController(w)
		if err := errors.Join(rc.SetReadDeadline(time.Now().Add(waitLimit)), rc.SetWriteDeadline(time.Now().Add(waitLimit)),
			rc.EnableFullDuplex(), rc.Flush()); err != nil {
			t.Error(err)
		}
	}))
	w := connectWire(t, s)
	w.send(handshakeRequest())
	w.response()
}

// A refused handshake is counted once, even behind a writer without Unwrap.
func TestRefusedOnceHidden(t *testing.T) {
	ws, m := newInstrumentation(t)
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	s := startServer(t, ws, withWriter(func(w http.ResponseWriter) http.ResponseWriter { return hiding{w} }, ws.Handler(refuse)))
	w := connectWire(t, s)
	w.send(handshakeRequest())
	w.response()
	s.wait(t)
	expect(t, m, handshakes("403"))
}

// If the handler returns while others use the connection, nothing keeps its request in
// memory.
func TestRequestLetGo(t *testing.T) {
	ws, m := newInstrumentation(t)
	const n = 10
	var kept sync.Map
	var freed atomic.Int32
	url := serve(t, ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runtime.AddCleanup(r, func(struct{}) { freed.Add(1) }, struct{}{})
		c, _, _, err := gobwas.UpgradeHTTP(r, w)
		if err != nil {
			t.Error(err)
			return
		}
		kept.Store(c, true)
	})))
	for range n {
		c, _, err := websocket.Dial(t.Context(), url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
	}
	m.Wait(t, "ws_connections_active", n)
	for end := time.Now().Add(waitLimit); freed.Load() < n; runtime.GC() {
		if time.Now().After(end) {
			t.Fatalf("only %d of %d requests were garbage collected", freed.Load(), n)
		}
	}
	for c := range kept.Range {
		c.(net.Conn).Close()
	}
}
