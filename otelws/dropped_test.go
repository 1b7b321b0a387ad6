package otelws_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// If a handler drops its connection without closing it, the garbage collector closes
// the socket, and the connection ends.
func TestDropped(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"gorilla": func(w http.ResponseWriter, r *http.Request) {
			u := gorilla.Upgrader{}
			if _, err := u.Upgrade(w, r, nil); err != nil {
				t.Error(err)
			}
		},
		"gobwas": func(w http.ResponseWriter, r *http.Request) {
			if _, _, _, err := gobwas.UpgradeHTTP(r, w); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ws, m := newInstrumentation(t)
			gone := dialAndDrop(t, ws, handler)
			m.Wait(t, "ws_connections_opened_total", 1)
			collectUntil(t, gone)
			m.Wait(t, `ws_connections_closed_total{code="1006"}`, 1)
			m.Wait(t, "ws_connections_active", 0)
			m.Wait(t, `ws_connection_duration_seconds_count{code="1006",initiator="local"}`, 1)
		})
	}
	t.Run("before the response", func(t *testing.T) {
		ws, m := newInstrumentation(t)
		gone := dialAndDrop(t, ws, func(w http.ResponseWriter, _ *http.Request) {
			if _, _, err := w.(http.Hijacker).Hijack(); err != nil {
				t.Error(err)
			}
		})
		collectUntil(t, gone)
		waitForStatus(t, m, "0")
	})
}

// joined returns a context with the values of one context and the end of the other.
func joined(values, until context.Context) context.Context {
	ctx, cancel := context.WithCancel(context.WithoutCancel(values))
	context.AfterFunc(until, cancel)
	return ctx
}

// Nothing of an ended connection stays in memory, even if its heartbeat's context lives
// on.
func TestEndedConnectionIsCollected(t *testing.T) {
	ws, m := newInstrumentation(t)
	forever, cancel := context.WithCancel(context.Background())
	defer cancel()
	freed := make(chan struct{})
	s := startServer(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		runtime.AddCleanup(c, func(freed chan struct{}) { close(freed) }, freed)
		if err := ws.Heartbeat(joined(r.Context(), forever), otelws.Every(time.Hour)); err != nil {
			t.Error(err)
		}
		_, _, _ = c.Read(r.Context())
	}))
	c, _, err := websocket.Dial(t.Context(), s.ws(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	m.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
	collectUntil(t, freed)
}

// A reference from the request back to the connection does not keep it alive. Such
// references are a body that net/http reads through the connection, and a session in
// the context that holds it.
func TestDroppedAlthoughTheRequestLeadsToIt(t *testing.T) {
	upgradeAndDrop := func(w http.ResponseWriter, r *http.Request) { _, _, _, _ = gobwas.UpgradeHTTP(r, w) }
	t.Run("a body, refused", func(t *testing.T) {
		ws, m := newInstrumentation(t)
		gone := dialAndDrop(t, ws, func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}, "Content-Length: 5")
		collectUntil(t, gone)
		if v, _ := m.Value("ws_connections_opened_total"); v != 0 {
			t.Errorf("%v connections opened, want none", v)
		}
	})
	t.Run("a body", func(t *testing.T) {
		option, ended := onClose()
		ws, _ := newInstrumentation(t, option)
		collectUntil(t, dialAndDrop(t, ws, upgradeAndDrop, "Content-Length: 5"))
		<-ended
	})
	t.Run("a session", func(t *testing.T) {
		type key struct{}
		option, ended := onClose()
		ws, _ := newInstrumentation(t, option)
		inner := ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, _, _, err := gobwas.UpgradeHTTP(r, w)
			if err != nil {
				t.Error(err)
			}
			*r.Context().Value(key{}).(*net.Conn) = c
		}))
		collectUntil(t, dialAndDrop(t, nil, func(w http.ResponseWriter, r *http.Request) {
			inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, new(net.Conn))))
		}))
		if e := <-ended; e.Code != websocket.StatusAbnormalClosure || e.Request.URL.Path != "/" {
			t.Errorf("the summary is %+v", e.Summary)
		}
	})
}

// The garbage collector also closes a client's connection whose response was dropped.
func TestDroppedBody(t *testing.T) {
	ws, m := newInstrumentation(t)
	gone := make(chan struct{})
	s := startServer(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		gorillaEcho(&gorilla.Upgrader{})(w, r)
	}))
	r := upgrade()
	r.URL.Scheme, r.URL.Host = "http", s.Listener.Addr().String()
	r.RequestURI = ""
	if _, err := ws.Transport(newTransport(t)).RoundTrip(r); err != nil {
		t.Fatal(err)
	}
	collectUntil(t, gone)
	m.Wait(t, `ws_client_connections_closed_total{code="1006"}`, 1)
}

// A Read or a Write keeps its connection alive until it returns, even as its last use.
func TestInUse(t *testing.T) {
	for name, use := range map[string]func(net.Conn){
		"read":  func(c net.Conn) { _, _ = c.Read(make([]byte, 10)) },
		"write": func(c net.Conn) { _, _ = c.Write(unmasked(fin|opBinary, make([]byte, 1<<20))) },
	} {
		t.Run(name, func(t *testing.T) {
			ws, m := newInstrumentation(t)
			near, far := net.Pipe()
			using := make(chan struct{})
			ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, _, _, err := gobwas.UpgradeHTTP(r, w)
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					defer close(using)
					use(c)
				}()
			})).ServeHTTP(pipeWriter{httptest.NewRecorder(), inBackground(near, far)}, upgrade())
			for range 20 {
				runtime.GC()
				time.Sleep(time.Millisecond)
			}
			if v, _ := m.Value("ws_connections_active"); v != 1 {
				t.Errorf("%v connections are open, want 1", v)
			}
			far.Close()
			near.Close()
			<-using
		})
	}
}

// inBackground returns near. It reads the first write to near, the response, from far.
func inBackground(near, far net.Conn) net.Conn {
	go func() { _, _ = io.ReadFull(far, make([]byte, 1)) }()
	return &firstWrite{Conn: near}
}

type firstWrite struct {
	net.Conn
	written bool
}

func (c *firstWrite) Write(p []byte) (int, error) {
	if !c.written {
		c.written = true
		_, err := c.Conn.Write(p[:1])
		return len(p), err
	}
	return c.Conn.Write(p)
}

func waitForStatus(t *testing.T, m *otelwstest.Metrics, status string) {
	t.Helper()
	m.Wait(t, `ws_handshake_duration_seconds_count{http_response_status_code="`+status+`"}`, 1)
}

// dialAndDrop opens a connection to a handler that drops it. The channel is closed when
// the client sees the end of the connection.
func dialAndDrop(t *testing.T, ws *otelws.Instrumentation, handler http.HandlerFunc, lines ...string) <-chan struct{} {
	t.Helper()
	s := startServer(t, ws, handler)
	nc, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if _, err := nc.Write(handshakeRequest(lines...)); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, nc)
	}()
	return gone
}

// collectUntil collects garbage until done is closed.
func collectUntil(t *testing.T, done <-chan struct{}) {
	t.Helper()
	for end := time.Now().Add(waitLimit); ; {
		runtime.GC()
		select {
		case <-done:
			return
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatal("the garbage collector did not collect in time")
		}
	}
}
