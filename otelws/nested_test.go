package otelws_test

import (
	"net/http"
	"testing"
)

// Some clients always send the same Sec-WebSocket-Key. With a Handler inside a Listener, each of their
// connections still counts once, also if their handshakes are in progress at the same time.
func TestHandlerInsideListenerSameKey(t *testing.T) {
	ws, m := newInstrumentation(t)
	h := ws.Handler(coderEcho(nil))
	arrived, proceed := make(chan struct{}), make(chan struct{})
	s := startServer(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Slow") != "" {
			close(arrived)
			<-proceed
		}
		h.ServeHTTP(w, r)
	}), listening(ws))
	slow := connectWire(t, s)
	slow.send(handshakeRequest("X-Slow: yes"))
	<-arrived
	quick := openWire(t, s)
	close(proceed)
	slow.answered(http.StatusSwitchingProtocols)
	for _, w := range []*wire{slow, quick} {
		exchange(w)
		w.rest()
		_ = w.Close()
	}
	s.wait(t)
	m.Wait(t, `ws_connections_closed_total{code="1000"}`, 2)
	m.Wait(t, "ws_connections_opened_total", 2)
	m.Wait(t, `ws_handshake_duration_seconds_count{http_response_status_code="101"}`, 2)
}

// A middleware may put the client's address into RemoteAddr. A Handler inside the Listener still counts
// instead of the Listener.
func TestHandlerInsideListenerRealIP(t *testing.T) {
	ws, m := newInstrumentation(t)
	h := ws.Handler(coderEcho(nil))
	s := startServer(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = "192.0.2.1"
		h.ServeHTTP(w, r)
	}), listening(ws))
	w := openWire(t, s)
	exchange(w)
	w.rest()
	_ = w.Close()
	s.wait(t)
	m.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
	m.Wait(t, "ws_connections_opened_total", 1)
}
