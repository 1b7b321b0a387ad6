package otelws_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// A handler that lets go of its connection without closing it leaves that to the
// garbage collector, which closes the socket: the connection ends with it.
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

// Of a connection that has ended nothing is kept, for as long as its heartbeat's
// context may last.
func TestEndedConnectionIsCollected(t *testing.T) {
	ws, m := newInstrumentation(t)
	forever, cancel := context.WithCancel(context.Background())
	defer cancel()
	freed := make(chan struct{})
	s := startServer(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		runtime.AddCleanup(c, func(freed chan struct{}) { close(freed) }, freed)
		if err := ws.Heartbeat(forever, c, otelws.Every(time.Hour)); err != nil {
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

func waitForStatus(t *testing.T, m *otelwstest.Metrics, status string) {
	t.Helper()
	m.Wait(t, `ws_handshake_duration_seconds_count{http_response_status_code="`+status+`"}`, 1)
}

// dialAndDrop returns a channel that is closed when the client sees the end of
// its connection to a handler that lets go of it.
func dialAndDrop(t *testing.T, ws *otelws.Instrumentation, handler http.HandlerFunc) <-chan struct{} {
	t.Helper()
	s := startServer(t, ws, handler)
	nc, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if _, err := nc.Write(handshakeRequest()); err != nil {
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
			t.Fatal("nothing was collected")
		}
	}
}
