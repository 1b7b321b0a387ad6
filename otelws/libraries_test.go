package otelws_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"testing"

	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
)

// library is an echo server, written as users of the library write it.
type library struct {
	name  string
	serve func(t *testing.T) http.Handler
}

var libraries = []library{
	{"coder", func(*testing.T) http.Handler { return coderEcho(nil) }},
	{"gorilla", func(*testing.T) http.Handler { return gorillaEcho(&gorilla.Upgrader{}) }},
	{"gobwas, the buffered reader", func(*testing.T) http.Handler { return gobwasEcho(true) }},
	{"gobwas, the connection", func(*testing.T) http.Handler { return gobwasEcho(false) }},
	{"ReverseProxy", func(t *testing.T) http.Handler { return proxyTo(t, startServer(t, nil, coderEcho(nil)), nil) }},
}

func gorillaEcho(u *gorilla.Upgrader) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		for {
			typ, b, err := c.ReadMessage()
			if err != nil {
				return
			}
			if err := c.WriteMessage(typ, b); err != nil {
				return
			}
		}
	}
}

func gobwasEcho(buffered bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var u gobwas.HTTPUpgrader
		c, brw, _, err := u.Upgrade(r, w)
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		rw := struct {
			io.Reader
			io.Writer
		}{c, c}
		if buffered {
			rw.Reader = brw
		}
		for {
			b, op, err := wsutil.ReadClientData(rw)
			if err != nil {
				return
			}
			if err := wsutil.WriteServerMessage(rw, op, b); err != nil {
				return
			}
		}
	}
}

// proxyTo returns a reverse proxy to the backend. A nil transport means a new one.
func proxyTo(t testing.TB, backend *testServer, transport http.RoundTripper) http.Handler {
	u, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := httputil.NewSingleHostReverseProxy(u)
	p.ErrorLog = log.New(io.Discard, "", 0)
	p.Transport = transport
	if transport == nil {
		p.Transport = newTransport(t)
	}
	return p
}

// newTransport returns a Transport that no other test shares.
func newTransport(t testing.TB) *http.Transport {
	transport := &http.Transport{Proxy: nil, DialContext: (&net.Dialer{}).DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// exchange sends a fixed conversation and checks the echo, for every library.
func exchange(w *wire) {
	w.send(masked(fin|opText, "hello"))
	w.answer(fin|opText, "hello")
	w.send(masked(fin|opBinary, make([]byte, 300)))
	w.answer(fin|opBinary, string(make([]byte, 300)))
	exchangeRest(w)
}

func exchangeRest(w *wire) {
	w.send(frames(masked(opText, "he"), masked(opContinuation, "ll"), masked(fin|opContinuation, "o")))
	w.answer(fin|opText, "hello")
	w.send(masked(fin|opPing, "are you there"))
	w.answer(fin|opPong, "are you there")
	w.send(frames(masked(opBinary, "a"), masked(fin|opPing, ""), masked(fin|opContinuation, "b")))
	w.answer(fin|opPong, "")
	w.answer(fin|opBinary, "ab")
	w.send(masked(fin|opClose, closePayload(1000, "")))
	w.answer(fin|opClose, string(closePayload(1000, "")))
}

// exchanged holds the metrics of exchange.
const exchanged = `
	ws_connection_duration_seconds_count{code="1000",initiator="peer"} 1
	ws_connection_duration_seconds_sum{code="1000",initiator="peer"} ~
	ws_connection_idle_seconds_count{code="other",initiator="peer"} 1
	ws_connection_idle_seconds_sum{code="other",initiator="peer"} ~
	ws_connections_closed_total{code="1000"} 1
	ws_connections_opened_total 1
	ws_frames_total{network_io_direction="receive",opcode="binary"} 2
	ws_frames_total{network_io_direction="receive",opcode="close"} 1
	ws_frames_total{network_io_direction="receive",opcode="continuation"} 3
	ws_frames_total{network_io_direction="receive",opcode="ping"} 2
	ws_frames_total{network_io_direction="receive",opcode="text"} 2
	ws_frames_total{network_io_direction="transmit",opcode="binary"} 2
	ws_frames_total{network_io_direction="transmit",opcode="close"} 1
	ws_frames_total{network_io_direction="transmit",opcode="pong"} 2
	ws_frames_total{network_io_direction="transmit",opcode="text"} 2
	ws_handshake_duration_seconds_count{http_response_status_code="101"} 1
	ws_handshake_duration_seconds_sum{http_response_status_code="101"} ~
	ws_io_bytes_total{network_io_direction="receive"} 389
	ws_io_bytes_total{network_io_direction="transmit"} 343
	ws_message_bytes_bucket{le="1024"} 4
	ws_message_bytes_bucket{le="16384"} 4
	ws_message_bytes_bucket{le="256"} 3
	ws_message_bytes_bucket{le="262144"} 4
	ws_message_bytes_bucket{le="4096"} 4
	ws_message_bytes_bucket{le="64"} 3
	ws_message_bytes_bucket{le="65536"} 4
	ws_message_bytes_count 4
	ws_message_bytes_sum 312
	ws_message_sent_bytes_bucket{le="1024"} 4
	ws_message_sent_bytes_bucket{le="16384"} 4
	ws_message_sent_bytes_bucket{le="256"} 3
	ws_message_sent_bytes_bucket{le="262144"} 4
	ws_message_sent_bytes_bucket{le="4096"} 4
	ws_message_sent_bytes_bucket{le="64"} 3
	ws_message_sent_bytes_bucket{le="65536"} 4
	ws_message_sent_bytes_count 4
	ws_message_sent_bytes_sum 312
	ws_write_time_seconds_total ~`

func TestLibraries(t *testing.T) {
	for _, l := range libraries {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t)
			s := startServer(t, ws, l.serve(t))
			w := openWire(t, s)
			exchange(w)
			if b := w.rest(); len(b) > 0 {
				t.Errorf("after the close frame, the client received %q", b)
			}
			_ = w.Close()
			s.wait(t)
			expect(t, m, exchanged)
		})
	}
}

// A client that vanishes gives the same metrics with every library.
func TestLibrariesVanish(t *testing.T) {
	for _, l := range libraries {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t)
			s := startServer(t, ws, l.serve(t))
			w := openWire(t, s)
			m.Wait(t, "ws_connections_active", 1)
			_ = w.Close()
			s.wait(t)
			expect(t, m, `
				ws_connection_duration_seconds_count{code="1006",initiator="peer"} 1
				ws_connection_duration_seconds_sum{code="1006",initiator="peer"} ~
				ws_connection_idle_seconds_count{code="1006",initiator="peer"} 1
				ws_connection_idle_seconds_sum{code="1006",initiator="peer"} ~
				ws_connections_closed_total{code="1006"} 1
				ws_connections_opened_total 1
				ws_handshake_duration_seconds_count{http_response_status_code="101"} 1
				ws_handshake_duration_seconds_sum{http_response_status_code="101"} ~`)
		})
	}
}

// A refused handshake gives the same metrics, whether the library hijacks before it
// answers or answers through the ResponseWriter.
func TestLibrariesRefuse(t *testing.T) {
	statuses := map[string]string{
		"coder": "400", "gorilla": "400", "gobwas, the buffered reader": "426", "gobwas, the connection": "426",
		"ReverseProxy": "400",
	}
	for _, l := range libraries {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t)
			s := startServer(t, ws, l.serve(t))
			w := connectWire(t, s)
			w.send([]byte("GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
				"Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
			_ = w.response().Body.Close()
			_ = w.Close()
			s.wait(t)
			expect(t, m, handshakes(statuses[l.name]))
		})
	}
}

// handshakes returns the metrics of one handshake for each status, and of no
// connection.
func handshakes(statuses ...string) (text string) {
	for _, s := range statuses {
		text += `
			ws_handshake_duration_seconds_count{http_response_status_code="` + s + `"} 1
			ws_handshake_duration_seconds_sum{http_response_status_code="` + s + `"} ~`
	}
	return text
}
