package otelws_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/otelws/otelws-go/otelws"
)

// dialOptions returns the options of a client that dials through rt.
func dialOptions(rt http.RoundTripper) *websocket.DialOptions {
	return &websocket.DialOptions{HTTPClient: &http.Client{Transport: rt}}
}

// converse exchanges two messages and a ping, and closes the connection.
func converse(t *testing.T, c *websocket.Conn) {
	t.Helper()
	ctx := t.Context()
	for _, message := range []string{"hello", strings.Repeat("x", 300)} {
		if err := c.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != message {
			t.Fatalf("the echo is %.40q, %v", got, err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Fatal(err)
	}
}

// conversed holds the metrics of converse on the client's side.
const conversed = `
	ws_client_connection_duration_seconds_count{code="1000",initiator="local"} 1
	ws_client_connection_duration_seconds_sum{code="1000",initiator="local"} ~
	ws_client_connection_idle_seconds_count{code="other",initiator="local"} 1
	ws_client_connection_idle_seconds_sum{code="other",initiator="local"} ~
	ws_client_connections_closed_total{code="1000"} 1
	ws_client_connections_opened_total 1
	ws_client_frames_total{network_io_direction="receive",opcode="close"} 1
	ws_client_frames_total{network_io_direction="receive",opcode="text"} 2
	ws_client_frames_total{network_io_direction="transmit",opcode="close"} 1
	ws_client_frames_total{network_io_direction="transmit",opcode="text"} 2
	ws_client_handshake_duration_seconds_count{http_response_status_code="101"} 1
	ws_client_handshake_duration_seconds_sum{http_response_status_code="101"} ~
	ws_client_io_bytes_total{network_io_direction="receive"} 318
	ws_client_io_bytes_total{network_io_direction="transmit"} 330
	ws_client_message_bytes_bucket{le="1024"} 2
	ws_client_message_bytes_bucket{le="16384"} 2
	ws_client_message_bytes_bucket{le="256"} 1
	ws_client_message_bytes_bucket{le="262144"} 2
	ws_client_message_bytes_bucket{le="4096"} 2
	ws_client_message_bytes_bucket{le="64"} 1
	ws_client_message_bytes_bucket{le="65536"} 2
	ws_client_message_bytes_count 2
	ws_client_message_bytes_sum 305
	ws_client_message_sent_bytes_bucket{le="1024"} 2
	ws_client_message_sent_bytes_bucket{le="16384"} 2
	ws_client_message_sent_bytes_bucket{le="256"} 1
	ws_client_message_sent_bytes_bucket{le="262144"} 2
	ws_client_message_sent_bytes_bucket{le="4096"} 2
	ws_client_message_sent_bytes_bucket{le="64"} 1
	ws_client_message_sent_bytes_bucket{le="65536"} 2
	ws_client_message_sent_bytes_count 2
	ws_client_message_sent_bytes_sum 305
	ws_client_write_time_seconds_total ~`

// clientHandshakes returns the text of handshakes, for the client's side.
func clientHandshakes(statuses ...string) string {
	return strings.ReplaceAll(handshakes(statuses...), "ws_", "ws_client_")
}

// A connection is watched once, however many Transports its request passes.
func TestTransport(t *testing.T) {
	type in = *otelws.Instrumentation
	for _, c := range []struct {
		name string
		dial func(ctx context.Context, a, b in, base http.RoundTripper, url string) (*websocket.Conn, *http.Response, error)
	}{
		{"a Transport", func(ctx context.Context, a, _ in, base http.RoundTripper, url string) (*websocket.Conn, *http.Response, error) {
			return websocket.Dial(ctx, url, dialOptions(a.Transport(base)))
		}},
		{"a Transport in a Transport", func(ctx context.Context, a, _ in, base http.RoundTripper, url string) (*websocket.Conn, *http.Response, error) {
			return websocket.Dial(ctx, url, dialOptions(a.Transport(a.Transport(base))))
		}},
		{"Transports of one provider", func(ctx context.Context, a, b in, base http.RoundTripper, url string) (*websocket.Conn, *http.Response, error) {
			return websocket.Dial(ctx, url, dialOptions(a.Transport(b.Transport(base))))
		}},
		{"Dial", func(ctx context.Context, a, _ in, base http.RoundTripper, url string) (*websocket.Conn, *http.Response, error) {
			return a.Dial(ctx, url, dialOptions(base))
		}},
		{"Dial without options", func(ctx context.Context, a, _ in, _ http.RoundTripper, url string) (*websocket.Conn, *http.Response, error) {
			return a.Dial(ctx, url, nil)
		}},
		{"Dial through a Transport", func(ctx context.Context, a, b in, base http.RoundTripper, url string) (*websocket.Conn, *http.Response, error) {
			return a.Dial(ctx, url, dialOptions(b.Transport(base)))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, m := newInstrumentation(t)
			b, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
			if err != nil {
				t.Fatal(err)
			}
			s := startServer(t, nil, coderEcho(nil))
			conn, _, err := c.dial(t.Context(), a, b, newTransport(t), s.ws())
			if err != nil {
				t.Fatal(err)
			}
			converse(t, conn)
			s.wait(t)
			expect(t, m, conversed)
		})
	}
}

// A failed dial is recorded as a handshake with its status, and never as a connection.
// The status is 0 if no valid response came. The client gets the same error as without
// the tap.
func TestTransportRefused(t *testing.T) {
	answer := func(response string) http.Handler {
		return hijackFirst(t, func(c net.Conn, _ *bufio.ReadWriter) { _, _ = io.WriteString(c, response) })
	}
	status := func(status int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", status) })
	}
	for _, c := range []struct {
		name    string
		handler http.Handler // nil: nobody listens on the port
		want    string
	}{
		{"refused TCP", nil, "0"},
		{"no response", answer(""), "0"},
		{"no HTTP", answer("SSH-2.0-OpenSSH_9.9\r\n"), "0"},
		{"404", status(404), "404"},
		{"418", status(418), "400"},
		{"503", status(503), "503"},
		{"200", status(200), "200"},
		{"wrong accept", answer(switchingHead), "0"},
		{"no accept", answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), "0"},
		{"another protocol", answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"), "0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t)
			s := startServer(t, nil, c.handler)
			if c.handler == nil {
				s.Close()
			}
			_, _, want := websocket.Dial(t.Context(), s.ws(), dialOptions(newTransport(t)))
			_, resp, err := websocket.Dial(t.Context(), s.ws(), dialOptions(ws.Transport(newTransport(t))))
			if err == nil || want == nil || unsalted(err) != unsalted(want) {
				t.Errorf("Dial returned %v, without the tap %v", err, want)
			}
			if resp != nil && resp.Body != nil {
				_ = resp.Body.Close()
			}
			expect(t, m, clientHandshakes(c.want))
		})
	}
}

// unsalted returns the text of err without the key of the handshake, which is random.
func unsalted(err error) string {
	before, after, _ := strings.Cut(err.Error(), `key "`)
	_, after, _ = strings.Cut(after, `"`)
	return before + after
}

// A redirect ends one handshake and leads to the next.
func TestTransportRedirect(t *testing.T) {
	ws, m := newInstrumentation(t)
	s := startServer(t, nil, coderEcho(nil))
	from := startServer(t, nil, http.RedirectHandler(s.URL, http.StatusFound))
	c, _, err := websocket.Dial(t.Context(), from.ws(), dialOptions(ws.Transport(newTransport(t))))
	if err != nil {
		t.Fatal(err)
	}
	converse(t, c)
	expect(t, m, conversed+clientHandshakes("300"))
}

// A request that is not for a WebSocket reaches the base unchanged.
func TestTransportPassesOthers(t *testing.T) {
	ws, m := newInstrumentation(t)
	r := httptest.NewRequest(http.MethodGet, "http://test/", nil)
	resp := &http.Response{Body: http.NoBody}
	got, err := ws.Transport(roundTripperFunc(func(got *http.Request) (*http.Response, error) {
		if got != r {
			t.Error("the base got another request")
		}
		return resp, nil
	})).RoundTrip(r)
	if got != resp || err != nil {
		t.Errorf("RoundTrip returned %v, %v", got, err)
	}
	_ = got.Body.Close()
	expect(t, m, "")
}

type roundTripperFunc func(*http.Request) (*http.Response, error)

func (f roundTripperFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// http.Client.CloseIdleConnections reaches the base.
func TestTransportCloseIdle(t *testing.T) {
	ws, _ := newInstrumentation(t)
	base := &idleCloser{}
	(&http.Client{Transport: ws.Transport(base)}).CloseIdleConnections()
	if !base.closed {
		t.Error("CloseIdleConnections did not reach the base")
	}
}

// Without a base, it reaches the idle connections of http.DefaultTransport.
func TestTransportCloseIdleByDefault(t *testing.T) {
	ws, _ := newInstrumentation(t)
	closed := make(chan struct{}, 1)
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	s.Start()
	defer s.Close()
	c := &http.Client{Transport: ws.Transport(nil)}
	resp, err := c.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	c.CloseIdleConnections()
	select {
	case <-closed:
	case <-time.After(waitLimit):
		t.Error("the idle connection was not closed")
	}
}

type idleCloser struct {
	http.RoundTripper
	closed bool
}

func (c *idleCloser) CloseIdleConnections() { c.closed = true }

// Heartbeat finds the connection although the Transport's base replaces the request.
func TestTransportHeartbeat(t *testing.T) {
	ws, m := newInstrumentation(t)
	s := startServer(t, nil, coderEcho(nil))
	ctx := t.Context()
	transport := newTransport(t)
	base := roundTripperFunc(func(r *http.Request) (*http.Response, error) {
		return transport.RoundTrip(r.Clone(ctx))
	})
	c, resp, err := websocket.Dial(ctx, s.ws(), dialOptions(ws.Transport(base)))
	if err != nil {
		t.Fatal(err)
	}
	c.CloseRead(ctx)
	if err := ws.Heartbeat(resp.Request.Context(), patient...); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(waitLimit); ; time.Sleep(time.Millisecond) {
		if n, _ := m.Value("ws_client_heartbeat_rtt_seconds_count"); n > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the heartbeat has sent no ping")
		}
	}
	_ = c.CloseNow()
	m.Wait(t, `ws_client_connections_closed_total{code="1006"}`, 1)
}

// The context of one dialed connection can serve to dial another.
func TestTransportContext(t *testing.T) {
	ws, m := newInstrumentation(t)
	s := startServer(t, nil, coderEcho(nil))
	opts := dialOptions(ws.Transport(newTransport(t)))
	first, resp, err := websocket.Dial(t.Context(), s.ws(), opts)
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := websocket.Dial(resp.Request.Context(), s.ws(), opts)
	if err != nil {
		t.Fatal(err)
	}
	m.Wait(t, "ws_client_connections_active", 2)
	converse(t, first)
	converse(t, second)
	m.Wait(t, `ws_client_connections_closed_total{code="1000"}`, 2)
}

// A gateway has one accepted and one dialed connection, whether it dials with the
// context of the request or proxies the request.
func TestGateway(t *testing.T) {
	gateways := map[string]func(*testing.T, *otelws.Instrumentation, *testServer) http.Handler{
		"ReverseProxy": func(t *testing.T, ws *otelws.Instrumentation, backend *testServer) http.Handler {
			return proxyTo(t, backend, ws.Transport(nil))
		},
		"Dial": func(t *testing.T, ws *otelws.Instrumentation, backend *testServer) http.Handler {
			transport := newTransport(t)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				back, _, err := ws.Dial(r.Context(), backend.ws(), dialOptions(transport))
				if err != nil {
					t.Error(err)
					return
				}
				front, err := websocket.Accept(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				relay(r.Context(), front, back)
			})
		},
	}
	for name, gateway := range gateways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t)
			s := startServer(t, ws, gateway(t, ws, startServer(t, nil, coderEcho(nil))))
			w := openWire(t, s)
			w.send(masked(fin|opText, "hello"))
			w.answer(fin|opText, "hello")
			w.send(masked(fin|opClose, closePayload(1000, "")))
			w.answer(fin|opClose, string(closePayload(1000, "")))
			w.rest()
			_ = w.Close()
			s.wait(t)
			for _, prefix := range []string{"ws_", "ws_client_"} {
				m.Wait(t, prefix+"connections_opened_total", 1)
				m.Wait(t, prefix+"connections_active", 0)
				m.Wait(t, prefix+`connections_closed_total{code="1000"}`, 1)
				m.Wait(t, prefix+`handshake_duration_seconds_count{http_response_status_code="101"}`, 1)
				m.Wait(t, prefix+"message_bytes_count", 1)
				m.Wait(t, prefix+"message_sent_bytes_count", 1)
			}
			m.Wait(t, `ws_connection_duration_seconds_count{code="1000",initiator="peer"}`, 1)
			m.Wait(t, `ws_client_connection_duration_seconds_count{code="1000",initiator="local"}`, 1)
		})
	}
}

// relay passes on one message each way, and then the close from front to back.
func relay(ctx context.Context, front, back *websocket.Conn) {
	defer func() { _ = front.CloseNow() }()
	defer func() { _ = back.CloseNow() }()
	for _, hop := range [][2]*websocket.Conn{{front, back}, {back, front}} {
		typ, b, err := hop[0].Read(ctx)
		if err != nil {
			return
		}
		if err := hop[1].Write(ctx, typ, b); err != nil {
			return
		}
	}
	_, _, err := front.Read(ctx)
	_ = back.Close(websocket.CloseStatus(err), "")
}

// Dial does not change the options and the client that it gets.
func TestDialLeavesOptions(t *testing.T) {
	ws, m := newInstrumentation(t)
	s := startServer(t, nil, coderEcho(nil))
	transport := newTransport(t)
	hc := &http.Client{Transport: transport, Timeout: waitLimit}
	opts := &websocket.DialOptions{HTTPClient: hc, HTTPHeader: http.Header{"X-Test": {"1"}}, Subprotocols: []string{"a"}}
	client, before := *hc, *opts
	before.HTTPHeader = opts.HTTPHeader.Clone()
	c, _, err := ws.Dial(t.Context(), s.ws(), opts)
	if err != nil {
		t.Fatal(err)
	}
	converse(t, c)
	expect(t, m, conversed)
	if hc.Transport != client.Transport || hc.Timeout != client.Timeout || hc.CheckRedirect != nil || hc.Jar != nil {
		t.Errorf("Dial changed the client to %+v from %+v", hc, client)
	}
	if opts.HTTPClient != hc {
		t.Error("Dial changed the client in the options")
	}
	if diff := cmp.Diff(before.HTTPHeader, opts.HTTPHeader); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before.Subprotocols, opts.Subprotocols); diff != "" {
		t.Error(diff)
	}
}

// A masked or invalid frame from the server counts as one protocol error. The
// connection is still counted as usual.
func TestTransportViolations(t *testing.T) {
	for _, c := range []struct {
		name  string
		frame []byte
		want  string
	}{
		{"masked", masked(fin|opText, "hello"), "masking"},
		{"reserved", unmasked(fin|0x3, ""), "reserved_opcode"},
		{"close code", unmasked(fin|opClose, closePayload(1005, "")), "close_code"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t)
			s := startServer(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var nc net.Conn
				accepted, err := websocket.Accept(hijackProbe{w, func(c net.Conn, _ *bufio.ReadWriter) { nc = c }}, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = accepted.CloseNow() }()
				_, _ = nc.Write(c.frame)
				_, _ = io.Copy(io.Discard, nc)
			}))
			conn, _, err := websocket.Dial(t.Context(), s.ws(), dialOptions(ws.Transport(newTransport(t))))
			if err != nil {
				t.Fatal(err)
			}
			_, _, _ = conn.Read(t.Context())
			_ = conn.CloseNow()
			s.wait(t)
			m.Wait(t, `ws_client_protocol_errors_total{error_type="`+c.want+`"}`, 1)
			m.Wait(t, "ws_client_connections_active", 0)
			m.Wait(t, "ws_client_connections_opened_total", 1)
		})
	}
}
