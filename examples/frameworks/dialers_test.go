package frameworks

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	fasthttp "github.com/fasthttp/websocket"
	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
	xnet "golang.org/x/net/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// dialed is a client's connection in any library. close sends a close frame with the
// code, and returns when the server has answered. hangUp closes the connection
// without a close frame.
type dialed interface {
	send(op gobwas.OpCode, payload []byte) error
	receive() ([]byte, error)
	close(code uint16) error
	hangUp()
}

// insecure accepts every certificate.
var insecure = &tls.Config{InsecureSkipVerify: true}

// dialTLS dials as users do with a library that does not support TLS itself.
var dialTLS = (&tls.Dialer{Config: insecure}).DialContext

// dialers are clients that do not dial through net/http, and coder/websocket on a
// connection from DialContext.
var dialers = []struct {
	name    string
	withTLS bool
	dial    func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error)
}{
	{"gorilla/NetDialContext", false, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		return dialGorilla(ctx, gorilla.Dialer{NetDialContext: ws.DialContext(nil)}, url)
	}},
	{"gorilla/NetDialTLSContext", true, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		return dialGorilla(ctx, gorilla.Dialer{NetDialTLSContext: ws.DialContext(dialTLS)}, url)
	}},
	{"gorilla/pooled buffers and vectored writes", false, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		return dialGorilla(ctx, gorilla.Dialer{NetDialContext: ws.DialContext(nil), WriteBufferSize: 256, ReadBufferSize: 256}, url)
	}},
	{"fasthttp/NetDialContext", false, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		return dialFasthttp(ctx, fasthttp.Dialer{NetDialContext: ws.DialContext(nil)}, url)
	}},
	{"fasthttp/NetDialTLSContext", true, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		return dialFasthttp(ctx, fasthttp.Dialer{NetDialTLSContext: ws.DialContext(dialTLS)}, url)
	}},
	{"gobwas/NetDial", false, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		return dialGobwas(ctx, gobwas.Dialer{NetDial: ws.DialContext(nil)}, url)
	}},
	{"gobwas/WrapConn", false, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		return dialGobwas(ctx, gobwas.Dialer{WrapConn: ws.Conn}, url)
	}},
	{"gobwas/WrapConn with TLS", true, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		return dialGobwas(ctx, gobwas.Dialer{WrapConn: ws.Conn, TLSConfig: insecure}, url)
	}},
	{"gws/NewClientFromConn", false, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		nc, err := new(net.Dialer).DialContext(ctx, "tcp", hostOf(url))
		if err != nil {
			return nil, err
		}
		return newGwsClient(url, ws.Conn(nc))
	}},
	{"gws/NewClientFromConn with TLS", true, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		nc, err := ws.DialContext(dialTLS)(ctx, "tcp", hostOf(url))
		if err != nil {
			return nil, err
		}
		return newGwsClient(url, nc)
	}},
	{"gws/NewDialer", false, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		c := &gwsClient{received: make(chan []byte), over: make(chan error, 1)}
		conn, _, err := gws.NewClient(c, &gws.ClientOption{Addr: url, NewDialer: func() (gws.Dialer, error) {
			return dialerFunc(func(network, address string) (net.Conn, error) { return ws.DialContext(nil)(ctx, network, address) }), nil
		}})
		return c.begin(conn, err)
	}},
	{"x-net/NewClient", false, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		nc, err := ws.DialContext(nil)(ctx, "tcp", hostOf(url))
		if err != nil {
			return nil, err
		}
		return newXnetClient(url, nc)
	}},
	{"x-net/NewClient with TLS", true, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		nc, err := dialTLS(ctx, "tcp", hostOf(url))
		if err != nil {
			return nil, err
		}
		return newXnetClient(url, ws.Conn(nc))
	}},
	{"coder/http.Transport", false, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		return dialCoder(ctx, &http.Transport{DialContext: ws.DialContext(nil), DisableKeepAlives: true}, url)
	}},
	{"coder/http.Transport with TLS", true, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		return dialCoder(ctx, &http.Transport{DialTLSContext: ws.DialContext(dialTLS), DisableKeepAlives: true}, url)
	}},
	{"coder/a Transport over a Conn", true, func(ctx context.Context, ws *otelws.Instrumentation, url string) (dialed, error) {
		return dialCoder(ctx, ws.Transport(&http.Transport{DialTLSContext: ws.DialContext(dialTLS)}), url)
	}},
}

func hostOf(of string) string {
	u, err := url.Parse(of)
	if err != nil {
		panic(err)
	}
	return u.Host
}

type dialerFunc func(network, address string) (net.Conn, error)

func (f dialerFunc) Dial(network, address string) (net.Conn, error) { return f(network, address) }

type gorillaClient struct{ *gorilla.Conn }

func dialGorilla(ctx context.Context, d gorilla.Dialer, url string) (dialed, error) {
	c, _, err := d.DialContext(ctx, url, nil)
	return gorillaClient{c}, err
}

func (c gorillaClient) send(op gobwas.OpCode, payload []byte) error {
	return c.WriteMessage(int(op), payload)
}

func (c gorillaClient) receive() ([]byte, error) {
	_, b, err := c.ReadMessage()
	return b, err
}

func (c gorillaClient) close(code uint16) error {
	c.SetCloseHandler(func(int, string) error { return nil })
	err := c.WriteMessage(gorilla.CloseMessage, gorilla.FormatCloseMessage(int(code), ""))
	_, _, _ = c.ReadMessage()
	_ = c.Close()
	return err
}

func (c gorillaClient) hangUp() { _ = c.Close() }

type fasthttpClient struct{ *fasthttp.Conn }

func dialFasthttp(ctx context.Context, d fasthttp.Dialer, url string) (dialed, error) {
	c, _, err := d.DialContext(ctx, url, nil)
	return fasthttpClient{c}, err
}

func (c fasthttpClient) send(op gobwas.OpCode, payload []byte) error {
	return c.WriteMessage(int(op), payload)
}

func (c fasthttpClient) receive() ([]byte, error) {
	_, b, err := c.ReadMessage()
	return b, err
}

func (c fasthttpClient) close(code uint16) error {
	c.SetCloseHandler(func(int, string) error { return nil })
	err := c.WriteMessage(fasthttp.CloseMessage, fasthttp.FormatCloseMessage(int(code), ""))
	_, _, _ = c.ReadMessage()
	_ = c.Close()
	return err
}

func (c fasthttpClient) hangUp() { _ = c.Close() }

type gobwasClient struct {
	net.Conn
	from io.Reader // may hold frames that arrived with the response
}

func dialGobwas(ctx context.Context, d gobwas.Dialer, url string) (dialed, error) {
	c, br, _, err := d.Dial(ctx, url)
	if err != nil {
		return nil, err
	}
	if br == nil {
		return gobwasClient{c, c}, nil
	}
	return gobwasClient{c, br}, nil
}

func (c gobwasClient) Read(p []byte) (int, error) { return c.from.Read(p) }

func (c gobwasClient) send(op gobwas.OpCode, payload []byte) error {
	return wsutil.WriteClientMessage(c, op, payload)
}

func (c gobwasClient) receive() ([]byte, error) {
	b, _, err := wsutil.ReadServerData(c)
	return b, err
}

func (c gobwasClient) close(code uint16) error {
	err := wsutil.WriteClientMessage(c, gobwas.OpClose, gobwas.NewCloseFrameBody(gobwas.StatusCode(code), ""))
	_, _ = readFrame(c) // wsutil would answer this close frame
	_ = c.Close()
	return err
}

func (c gobwasClient) hangUp() { _ = c.Close() }

type gwsClient struct {
	gws.BuiltinEventHandler
	*gws.Conn
	received chan []byte
	over     chan error
}

func newGwsClient(url string, nc net.Conn) (dialed, error) {
	c := &gwsClient{received: make(chan []byte), over: make(chan error, 1)}
	conn, _, err := gws.NewClientFromConn(c, &gws.ClientOption{Addr: url}, nc)
	return c.begin(conn, err)
}

func (c *gwsClient) begin(conn *gws.Conn, err error) (dialed, error) {
	if err != nil {
		return nil, err
	}
	c.Conn = conn
	go conn.ReadLoop()
	return c, nil
}

func (c *gwsClient) OnMessage(_ *gws.Conn, m *gws.Message) {
	c.received <- append([]byte(nil), m.Bytes()...)
	_ = m.Close()
}

func (c *gwsClient) OnClose(_ *gws.Conn, err error) { c.over <- err }

func (c *gwsClient) send(op gobwas.OpCode, payload []byte) error {
	if op == gobwas.OpPing {
		return c.WritePing(payload)
	}
	return c.WriteMessage(gws.Opcode(op), payload)
}

func (c *gwsClient) receive() ([]byte, error) {
	select {
	case b := <-c.received:
		return b, nil
	case err := <-c.over:
		return nil, err
	}
}

func (c *gwsClient) close(code uint16) error {
	err := c.WriteClose(code, nil)
	<-c.over
	return err
}

func (c *gwsClient) hangUp() { _ = c.NetConn().Close() }

type xnetClient struct{ *xnet.Conn }

func newXnetClient(url string, nc net.Conn) (dialed, error) {
	config, err := xnet.NewConfig(url, "http://localhost")
	if err != nil {
		return nil, err
	}
	c, err := xnet.NewClient(config, nc)
	return xnetClient{c}, err
}

func (c xnetClient) send(op gobwas.OpCode, payload []byte) error {
	return xnet.Codec{Marshal: func(any) ([]byte, byte, error) { return payload, byte(op), nil }}.Send(c.Conn, nil)
}

func (c xnetClient) receive() (b []byte, err error) {
	err = xnet.Message.Receive(c.Conn, &b)
	return b, err
}

func (c xnetClient) close(code uint16) error {
	err := c.WriteClose(int(code))
	_, _ = c.receive()
	_ = c.Conn.Close()
	return err
}

func (c xnetClient) hangUp() { _ = c.Conn.Close() }

// coderClient reads all the time, because pongs are only seen while reading.
type coderClient struct {
	*coder.Conn
	received chan []byte
	over     chan error
}

func dialCoder(ctx context.Context, rt http.RoundTripper, url string) (dialed, error) {
	if t, ok := rt.(*http.Transport); ok {
		t.TLSClientConfig = insecure
	}
	conn, _, err := coder.Dial(ctx, url, &coder.DialOptions{HTTPClient: &http.Client{Transport: rt}})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(maxMessage)
	c := coderClient{conn, make(chan []byte, 3), make(chan error, 1)}
	go func() {
		for {
			_, b, err := conn.Read(context.Background())
			if err != nil {
				c.over <- err
				close(c.received)
				return
			}
			c.received <- b
		}
	}()
	return c, nil
}

func (c coderClient) send(op gobwas.OpCode, payload []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	if op == gobwas.OpPing {
		return c.Ping(ctx) // the library chooses the payload
	}
	return c.Write(ctx, coder.MessageType(op), payload)
}

func (c coderClient) receive() ([]byte, error) {
	if b, ok := <-c.received; ok { // deliver the messages from before the end first
		return b, nil
	}
	err := <-c.over
	c.over <- err
	return nil, err
}

func (c coderClient) close(code uint16) error { return c.Close(coder.StatusCode(code), "") }

func (c coderClient) hangUp() { _ = c.CloseNow() }

// The connections of a client with its own dialer are counted exactly as its server
// sees them.
func TestDialers(t *testing.T) {
	for _, d := range dialers {
		for _, end := range []string{"the client closes", "the server closes", "the server vanishes"} {
			t.Run(d.name+"/"+end, func(t *testing.T) {
				t.Parallel()
				m := otelwstest.NewMetrics(t)
				ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()), otelws.WithCloseCodes(4001, 4002))
				if err != nil {
					t.Fatal(err)
				}
				s := listenStrictly(t, d.withTLS, end)
				c, err := d.dial(t.Context(), ws, s.url)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if err := c.send(gobwas.OpPing, []byte("there?")); err != nil {
					t.Fatal(err)
				}
				received := 0
				for _, message := range []struct {
					op gobwas.OpCode
					b  []byte
				}{{gobwas.OpText, []byte("hello")}, {gobwas.OpBinary, small}, {gobwas.OpBinary, large[:70_000]}} {
					if err := c.send(message.op, message.b); err != nil {
						t.Fatal(err)
					}
					got, err := c.receive()
					if err != nil || string(got) != string(message.b) {
						t.Fatalf("received %d bytes, %v; sent %d", len(got), err, len(message.b))
					}
					received += len(got)
				}
				took := time.Since(began)
				code := "4001"
				if end == "the client closes" {
					if err := c.close(4001); err != nil {
						t.Error(err)
					}
				} else {
					if code = "4002"; end == "the server vanishes" {
						code = "1006"
					}
					if _, err := c.receive(); err == nil {
						t.Error("received one more message")
					}
					c.hangUp()
				}
				saw := <-s.saw
				if saw.err != nil {
					t.Fatal(saw.err)
				}
				m.Wait(t, `ws_client_connections_closed_total{code="`+code+`"}`, 1)
				if strings.HasPrefix(d.name, "gws") && end == "the client closes" {
					// It closes without waiting for the answer of 4 bytes, which it
					// may or may not have read.
					if v, _ := m.Value(`ws_client_io_bytes_total{network_io_direction="receive"}`); v != float64(saw.sent) {
						saw.sent -= 4
					}
				}
				if end == "the client closes" { // otherwise a close frame of the client may still be in flight
					m.Wait(t, `ws_client_io_bytes_total{network_io_direction="transmit"}`, float64(saw.received))
				}
				for sample, want := range map[string]int{
					"ws_client_connections_opened_total":                                    1,
					"ws_client_connections_active":                                          0,
					"ws_client_message_bytes_count":                                         3,
					"ws_client_message_bytes_sum":                                           received,
					"ws_client_message_sent_bytes_count":                                    saw.messages,
					"ws_client_message_sent_bytes_sum":                                      received,
					`ws_client_message_sent_bytes_bucket{le="64"}`:                          1,
					`ws_client_message_sent_bytes_bucket{le="1024"}`:                        2,
					`ws_client_io_bytes_total{network_io_direction="receive"}`:              saw.sent,
					`ws_client_frames_total{network_io_direction="transmit",opcode="ping"}`: 1,
					`ws_client_frames_total{network_io_direction="receive",opcode="pong"}`:  1,
					"ws_client_heartbeat_rtt_seconds_count":                                 1,
				} {
					if got, _ := m.Value(sample); got != float64(want) {
						t.Errorf("%s is %v, want %d", sample, got, want)
					}
				}
				if rtt, _ := m.Value("ws_client_heartbeat_rtt_seconds_sum"); rtt < saw.held.Seconds() || rtt > took.Seconds() {
					t.Errorf("the round trip took %v s: the server held the ping for %v, and the client took %v", rtt, saw.held, took)
				}
			})
		}
	}
}
