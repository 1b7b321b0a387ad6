package otelws_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	xnet "golang.org/x/net/websocket"

	"github.com/otelws/otelws-go/otelws"
)

// messageConn is a client's connection, of any library.
type messageConn interface {
	send(op byte, payload string) error
	receive() (string, error)
	io.Closer
}

type gorillaClient struct{ *gorilla.Conn }

func (c gorillaClient) send(op byte, payload string) error {
	return c.WriteMessage(int(op), []byte(payload))
}
func (c gorillaClient) receive() (string, error) {
	_, b, err := c.ReadMessage()
	return string(b), err
}

type gobwasClient struct {
	net.Conn
	io.Reader // may hold frames that came with the response
}

func (c gobwasClient) Read(p []byte) (int, error) { return c.Reader.Read(p) }
func (c gobwasClient) send(op byte, payload string) error {
	return wsutil.WriteClientMessage(c, gobwas.OpCode(op), []byte(payload))
}
func (c gobwasClient) receive() (string, error) {
	b, _, err := wsutil.ReadServerData(c)
	return string(b), err
}

func dialGobwas(t *testing.T, d gobwas.Dialer, url string) (messageConn, error) {
	c, br, _, err := d.Dial(t.Context(), url)
	if err != nil {
		return nil, err
	}
	if br == nil {
		return gobwasClient{c, c}, nil
	}
	return gobwasClient{c, br}, nil
}

func dialGorilla(t *testing.T, d *gorilla.Dialer, url string) (messageConn, error) {
	c, _, err := d.DialContext(t.Context(), url, nil)
	if err != nil {
		return nil, err
	}
	return gorillaClient{c}, nil
}

// insecure trusts every server.
var insecure = &tls.Config{InsecureSkipVerify: true}

// dialers are the ways in which users dial without net/http.
var dialers = []struct {
	name    string
	withTLS bool
	dial    func(t *testing.T, ws *otelws.Instrumentation, url string) (messageConn, error)
}{
	{"gorilla, NetDialContext", false, func(t *testing.T, ws *otelws.Instrumentation, url string) (messageConn, error) {
		return dialGorilla(t, &gorilla.Dialer{NetDialContext: ws.DialContext(nil)}, url)
	}},
	{"gorilla, NetDial", false, func(t *testing.T, ws *otelws.Instrumentation, url string) (messageConn, error) {
		return dialGorilla(t, &gorilla.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
			c, err := net.Dial(network, addr)
			return ws.Conn(c), err
		}}, url)
	}},
	{"gorilla, NetDialTLSContext", true, func(t *testing.T, ws *otelws.Instrumentation, url string) (messageConn, error) {
		return dialGorilla(t, &gorilla.Dialer{
			NetDialTLSContext: ws.DialContext((&tls.Dialer{Config: insecure}).DialContext)}, url)
	}},
	{"gorilla, through a proxy", false, func(t *testing.T, ws *otelws.Instrumentation, target string) (messageConn, error) {
		proxy := startServer(t, nil, connectProxy(t))
		u, err := url.Parse(proxy.URL)
		if err != nil {
			return nil, err
		}
		return dialGorilla(t, &gorilla.Dialer{Proxy: http.ProxyURL(u), NetDialContext: ws.DialContext(nil)}, target)
	}},
	{"gobwas, NetDial", false, func(t *testing.T, ws *otelws.Instrumentation, url string) (messageConn, error) {
		return dialGobwas(t, gobwas.Dialer{NetDial: ws.DialContext(nil)}, url)
	}},
	{"gobwas, WrapConn", false, func(t *testing.T, ws *otelws.Instrumentation, url string) (messageConn, error) {
		return dialGobwas(t, gobwas.Dialer{WrapConn: ws.Conn}, url)
	}},
	{"gobwas, WrapConn with TLS", true, func(t *testing.T, ws *otelws.Instrumentation, url string) (messageConn, error) {
		return dialGobwas(t, gobwas.Dialer{WrapConn: ws.Conn, TLSConfig: insecure}, url)
	}},
	{"a Conn over a Conn", false, func(t *testing.T, ws *otelws.Instrumentation, url string) (messageConn, error) {
		return dialGobwas(t, gobwas.Dialer{WrapConn: ws.Conn, NetDial: ws.DialContext(nil)}, url)
	}},
}

// echoed has a client exchange messages. exchangedByClient is their metrics.
func echoed(t *testing.T, c messageConn) {
	t.Helper()
	for _, m := range []struct {
		op      byte
		payload string
	}{{opText, "hello"}, {opBinary, strings.Repeat("x", 300)}} {
		if err := c.send(m.op, m.payload); err != nil {
			t.Fatal(err)
		}
		if got, err := c.receive(); err != nil || got != m.payload {
			t.Fatalf("received %.20q, %v instead of the echo", got, err)
		}
	}
	if err := c.send(opPing, "there?"); err != nil {
		t.Fatal(err)
	}
	if err := c.send(opClose, string(closePayload(1000, ""))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.receive(); err == nil {
		t.Error("a message came after the close frame")
	}
	_ = c.Close()
}

const echoedSizes = `
	ws_client_message_bytes_bucket{le="1024"} 2
	ws_client_message_bytes_bucket{le="16384"} 2
	ws_client_message_bytes_bucket{le="256"} 1
	ws_client_message_bytes_bucket{le="262144"} 2
	ws_client_message_bytes_bucket{le="4096"} 2
	ws_client_message_bytes_bucket{le="64"} 1
	ws_client_message_bytes_bucket{le="65536"} 2
	ws_client_message_bytes_count 2
	ws_client_message_bytes_sum 305`

const exchangedByClient = `
	ws_client_connection_duration_seconds_count{code="1000",initiator="local"} 1
	ws_client_connection_duration_seconds_sum{code="1000",initiator="local"} ~
	ws_client_connection_idle_seconds_count{code="other",initiator="local"} 1
	ws_client_connection_idle_seconds_sum{code="other",initiator="local"} ~
	ws_client_connections_closed_total{code="1000"} 1
	ws_client_connections_opened_total 1
	ws_client_frames_total{network_io_direction="receive",opcode="binary"} 1
	ws_client_frames_total{network_io_direction="receive",opcode="close"} 1
	ws_client_frames_total{network_io_direction="receive",opcode="pong"} 1
	ws_client_frames_total{network_io_direction="receive",opcode="text"} 1
	ws_client_frames_total{network_io_direction="transmit",opcode="binary"} 1
	ws_client_frames_total{network_io_direction="transmit",opcode="close"} 1
	ws_client_frames_total{network_io_direction="transmit",opcode="ping"} 1
	ws_client_frames_total{network_io_direction="transmit",opcode="text"} 1
	ws_client_handshake_duration_seconds_count{http_response_status_code="101"} 1
	ws_client_handshake_duration_seconds_sum{http_response_status_code="101"} ~
	ws_client_heartbeat_rtt_seconds_count 1
	ws_client_heartbeat_rtt_seconds_sum ~
	ws_client_io_bytes_total{network_io_direction="receive"} 323
	ws_client_write_time_seconds_total ~` + echoedSizes

// A connection that a library dials itself gets the same metrics as one through a
// Transport.
func TestDialers(t *testing.T) {
	for _, d := range dialers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t)
			s := echoServer(t, d.withTLS)
			c, err := d.dial(t, ws, s.ws())
			if err != nil {
				t.Fatal(err)
			}
			echoed(t, c)
			s.wait(t)
			sent := 339
			if !strings.HasPrefix(d.name, "gorilla") {
				sent += 8 // gobwas/ws sends a second close frame
			}
			expect(t, m, exchangedByClient+fmt.Sprintf(`
				ws_client_io_bytes_total{network_io_direction="transmit"} %d`, sent)+strings.ReplaceAll(echoedSizes, "message_bytes", "message_sent_bytes"))
		})
	}
}

// echoServer refuses requests for any path but the root.
func echoServer(t *testing.T, withTLS bool) *testServer {
	echo := gorillaEcho(&gorilla.Upgrader{})
	return startServer(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" && r.URL.Path != "" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		echo(w, r)
	}), func(s *httptest.Server) {
		if withTLS {
			s.TLS = new(tls.Config)
		}
	})
}

// A refused handshake and a failed dial are recorded with their status.
func TestDialersRefused(t *testing.T) {
	for _, d := range dialers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t)
			s := echoServer(t, d.withTLS)
			if _, err := d.dial(t, ws, s.ws()+"/no"); err == nil {
				t.Fatal("the client took a refused handshake")
			}
			expect(t, m, clientHandshakes("403"))
		})
	}
}

func TestDialContextFails(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithEnum("host", func(r *http.Request) string { return r.URL.Host }, "nowhere:80"))
	failed := errors.New("failed to dial")
	dial := ws.DialContext(func(context.Context, string, string) (net.Conn, error) { return nil, failed })
	for _, address := range []string{"nowhere:80", "/run/socket", "\x00%%"} {
		if c, err := dial(t.Context(), "tcp", address); err != failed || c != nil {
			t.Errorf("a failed dial returned %v, %v", c, err)
		}
	}
	for host, n := range map[string]float64{"nowhere:80": 1, "other": 2} {
		m.Wait(t, `ws_client_handshake_duration_seconds_count{host="`+host+`",http_response_status_code="0"}`, n)
	}
	if c := ws.Conn(nil); c != nil {
		t.Errorf("Conn(nil) returned %v", c)
	}
}

// The handshake of a DialContext begins with the dial. Its span belongs to the trace of
// the context.
func TestDialContextKnowsTheDial(t *testing.T) {
	tr := newTraced(t, sdktrace.AlwaysSample())
	s := echoServer(t, false)
	const slow = 50 * time.Millisecond
	dial := tr.DialContext(func(ctx context.Context, network, address string) (net.Conn, error) {
		time.Sleep(slow)
		return new(net.Dialer).DialContext(ctx, network, address)
	})
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	ctx := trace.ContextWithSpanContext(t.Context(), parent)
	c, _, err := (&gorilla.Dialer{NetDialContext: dial}).DialContext(ctx, s.ws(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	s.wait(t)
	for _, span := range tr.wait(t, 2) {
		if span.SpanContext.TraceID() != parent.TraceID() {
			t.Errorf("the span %s is in the trace %v", span.Name, span.SpanContext.TraceID())
		}
		if isClient(span) && span.Parent.SpanID() != parent.SpanID() {
			t.Errorf("the span of the handshake has the parent %v", span.Parent.SpanID())
		}
	}
	if took, _ := tr.metrics.Value(`ws_client_handshake_duration_seconds_sum{http_response_status_code="101"}`); took < slow.Seconds() {
		t.Errorf("the handshake took %v s, less than the dial with %v", took, slow)
	}
}

// A response to another key accepts no connection.
func TestConnChecksTheKey(t *testing.T) {
	ws, m := newInstrumentation(t)
	s := startServer(t, nil, hijackFirst(t, func(c net.Conn, _ *bufio.ReadWriter) {
		_, _ = io.WriteString(c, switchingHead)
	}))
	if _, err := dialGorilla(t, &gorilla.Dialer{NetDialContext: ws.DialContext(nil)}, s.ws()); err == nil {
		t.Fatal("gorilla/websocket takes the answer to another request")
	}
	expect(t, m, clientHandshakes("0"))
}

// Response and request may come in pieces, frames may come in the segment of the
// response, and a client may send frames before the response.
func TestConnInPieces(t *testing.T) {
	for _, bytewise := range []bool{false, true} {
		ws, m := newInstrumentation(t)
		here, there := net.Pipe()
		c := ws.Conn(here)
		answer := frames([]byte("HTTP/1.1 103 Early Hints\r\n\r\n"+switchingHead),
			unmasked(fin|opText, "hello"), unmasked(fin|opPong, "early"), unmasked(fin|opClose, closePayload(1000, "")))
		go func() {
			defer there.Close()
			br := bufio.NewReader(there)
			if _, err := http.ReadRequest(br); err != nil {
				t.Error(err)
			}
			early := make([]byte, len(masked(fin|opPing, "early")))
			if _, err := io.ReadFull(br, early); err != nil {
				t.Error(err)
			}
			for _, b := range split(answer, bytewise) {
				if _, err := there.Write(b); err != nil {
					t.Error(err)
				}
			}
			_, _ = io.Copy(io.Discard, br)
		}()
		for _, b := range split(frames(handshakeRequest(), masked(fin|opPing, "early")), bytewise) {
			if n, err := c.Write(b); n != len(b) || err != nil {
				t.Fatalf("wrote %d bytes: %v", n, err)
			}
		}
		got := make([]byte, len(answer))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, answer) {
			t.Fatalf("the client read %q, %v", got, err)
		}
		_, _ = c.Write(masked(fin|opClose, closePayload(1000, "")))
		_ = c.Close()
		for sample, want := range map[string]float64{
			`ws_client_connections_closed_total{code="1000"}`:                       1,
			`ws_client_frames_total{network_io_direction="transmit",opcode="ping"}`: 1,
			`ws_client_io_bytes_total{network_io_direction="transmit"}`:             11 + 8,
			`ws_client_io_bytes_total{network_io_direction="receive"}`:              7 + 7 + 4,
			"ws_client_message_bytes_sum":                                           5,
			"ws_client_heartbeat_rtt_seconds_count":                                 1,
		} {
			m.Wait(t, sample, want)
		}
	}
}

// A server may hang up before it answers.
func TestConnWithoutResponse(t *testing.T) {
	ws, m := newInstrumentation(t)
	s := startServer(t, nil, hijackFirst(t, func(net.Conn, *bufio.ReadWriter) {}))
	if _, err := dialGobwas(t, gobwas.Dialer{WrapConn: ws.Conn}, s.ws()); err == nil {
		t.Error("there was a response")
	}
	expect(t, m, clientHandshakes("0"))
}

// Beneath TLS, a Conn reports that it cannot see the traffic.
func TestConnBeneathTLS(t *testing.T) {
	says := reported(t)
	ws, m := newInstrumentation(t)
	s := echoServer(t, true)
	for range 2 {
		c, err := dialGorilla(t, &gorilla.Dialer{NetDialContext: ws.DialContext(nil), TLSClientConfig: insecure}, s.ws())
		if err != nil {
			t.Fatal(err)
		}
		echoed(t, c)
	}
	expect(t, m, "")
	expectReports(t, says, "DialContext carries TLS")
}

// A Transport over connections of a DialContext counts once, and so does a dial that
// fails beneath it.
func TestTransportOverDialContext(t *testing.T) {
	for _, withTLS := range []bool{false, true} {
		says := reported(t)
		ws, m := newInstrumentation(t)
		s := startServer(t, nil, coderEcho(nil), func(s *httptest.Server) {
			if withTLS {
				s.TLS = new(tls.Config)
			}
		})
		transport := &http.Transport{DialContext: ws.DialContext(nil), TLSClientConfig: insecure}
		t.Cleanup(transport.CloseIdleConnections)
		c, _, err := websocket.Dial(t.Context(), s.ws(), dialOptions(ws.Transport(transport)))
		if err != nil {
			t.Fatal(err)
		}
		converse(t, c)
		s.wait(t)
		expect(t, m, conversed)

		refused := &http.Transport{DialContext: ws.DialContext(func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no")
		})}
		if _, _, err := websocket.Dial(t.Context(), s.ws(), dialOptions(ws.Transport(refused))); err == nil {
			t.Error("the dial did not fail")
		}
		expect(t, m, conversed+clientHandshakes("0"))
		expectReports(t, says)
	}
}

// Without a Transport, the Conn counts the connections that net/http dials.
func TestDialContextUnderNetHTTP(t *testing.T) {
	ws, m := newInstrumentation(t)
	s := startServer(t, nil, coderEcho(nil))
	transport := &http.Transport{DialContext: ws.DialContext(nil)}
	t.Cleanup(transport.CloseIdleConnections)
	c, _, err := websocket.Dial(t.Context(), s.ws(), dialOptions(transport))
	if err != nil {
		t.Fatal(err)
	}
	converse(t, c)
	s.wait(t)
	expect(t, m, conversed)
}

// x/net/websocket takes over the connection itself.
func TestConnOfXNet(t *testing.T) {
	ws, m := newInstrumentation(t)
	s := echoServer(t, false)
	nc, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	config, err := xnet.NewConfig(s.ws(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := xnet.NewClient(config, ws.Conn(nc))
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if err := errors.Join(xnet.Message.Send(c, "hello"), xnet.Message.Receive(c, &got), c.WriteClose(1000)); err != nil || got != "hello" {
		t.Fatalf("received %q, %v", got, err)
	}
	_ = c.Close()
	m.Wait(t, `ws_client_connections_closed_total{code="1000"}`, 1)
	m.Wait(t, "ws_client_message_bytes_sum", 5)
	m.Wait(t, "ws_client_message_sent_bytes_sum", 5)
}
