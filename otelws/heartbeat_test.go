package otelws_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

const (
	rtt       = "ws_heartbeat_rtt_seconds_count"
	clientRTT = "ws_client_heartbeat_rtt_seconds_count"
	missed    = "ws_heartbeat_missed_total"
	pings     = `ws_frames_total{network_io_direction="transmit",opcode="ping"}`
	timeouts  = `ws_connection_duration_seconds_count{code="1006",initiator="timeout"}`
)

// Heartbeats for tests: one for peers that do not answer, and one for those that
// do, which a busy machine must not take for dead. What depends on times is in
// heartbeat_time_test.go.
var (
	fast    = []otelws.HeartbeatOption{otelws.Every(10 * time.Millisecond)}
	patient = []otelws.HeartbeatOption{otelws.Every(250 * time.Millisecond), otelws.Misses(1 << 20)}
	steady  = []otelws.HeartbeatOption{otelws.Every(100 * time.Millisecond)}
)

// connect returns the two ends of a connection over TCP. The server's is
// watched, and the client's is not.
func connect(t *testing.T, ws *otelws.Instrumentation) (server, client *websocket.Conn) {
	t.Helper()
	return connectTo(t, ws, func(h http.Handler) http.Handler { return h })
}

// connectTo is connect to a server with something around its handler.
func connectTo(t *testing.T, ws *otelws.Instrumentation, around func(http.Handler) http.Handler) (server, client *websocket.Conn) {
	t.Helper()
	accepted := make(chan *websocket.Conn, 1)
	url := serve(t, around(ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
		}
		requests.Store(c, context.WithoutCancel(r.Context()))
		accepted <- c
	}))))
	client, _, err := websocket.Dial(context.Background(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	server = <-accepted
	t.Cleanup(func() {
		client.CloseNow()
		server.CloseNow()
	})
	return server, client
}

// requests are the contexts of the requests that the connections of connect were.
var requests sync.Map // of *websocket.Conn to context.Context

// beat starts a heartbeat, for as long as ctx, on a connection of connect.
func beat(ctx context.Context, ws *otelws.Instrumentation, c *websocket.Conn, opts ...otelws.HeartbeatOption) error {
	request, _ := requests.Load(c)
	return ws.Heartbeat(joined(request.(context.Context), ctx), opts...)
}

// atLeast waits until a sample has grown to n.
func atLeast(t *testing.T, m *otelwstest.Metrics, sample string, n float64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		v, _ := m.Value(sample)
		if v >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is %v, and did not come to %v", sample, v, n)
		}
	}
}

// Whatever opened the connection, it is found beneath it.
func TestHeartbeatFindsItsConnection(t *testing.T) {
	ws, m := newInstrumentation(t)
	url := serve(t, ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		if err := ws.Heartbeat(r.Context(), patient...); err != nil {
			t.Error(err)
		}
		<-c.CloseRead(r.Context()).Done()
	})))
	ctx := context.Background()
	c, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: ws.Transport(nil)}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.CloseRead(ctx)
	if err := ws.Heartbeat(resp.Request.Context(), patient...); err != nil {
		t.Error(err)
	}
	atLeast(t, m, rtt, 2)
	atLeast(t, m, clientRTT, 2)
	c.Close(websocket.StatusNormalClosure, "")
	m.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
}

func TestWithHeartbeat(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithHeartbeat(patient...))
	server, client := otelwstest.Pair(t, ws, nil, nil)
	server.CloseRead(context.Background())
	client.CloseRead(context.Background())
	atLeast(t, m, rtt, 2)
	atLeast(t, m, clientRTT, 2)
}

// Each side has a heartbeat of its own, or none.
func TestWithHeartbeatOfOneSide(t *testing.T) {
	accepted := otelws.WithHeartbeat(append(patient, otelws.AcceptedOnly())...)
	dialed := otelws.WithHeartbeat(append(patient, otelws.DialedOnly())...)
	for _, tt := range []struct {
		name          string
		options       []otelws.Option
		with, without []string
	}{
		{"accepted", []otelws.Option{accepted}, []string{rtt}, []string{clientRTT}},
		{"dialed", []otelws.Option{dialed}, []string{clientRTT}, []string{rtt}},
		{"one each", []otelws.Option{accepted, dialed}, []string{rtt, clientRTT}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ws, m := newInstrumentation(t, tt.options...)
			server, client := otelwstest.Pair(t, ws, nil, nil)
			server.CloseRead(context.Background())
			client.CloseRead(context.Background())
			for _, sample := range tt.with {
				atLeast(t, m, sample, 2)
			}
			for _, sample := range tt.without {
				if n, _ := m.Value(sample); n != 0 {
					t.Errorf("%s is %v", sample, n)
				}
			}
		})
	}
}

func TestHeartbeatErrors(t *testing.T) {
	ws, _ := newInstrumentation(t)
	server, _ := connect(t, ws)
	ctx := context.Background()
	check := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not contain %q", err, want)
		}
	}
	check(ws.Heartbeat(ctx), "the context belongs to no watched connection: put Handler around the handler")
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	check(ws.HeartbeatOn(ctx, near), "the connection is not watched")
	check(beat(ctx, ws, server, otelws.Every(0)), "invalid heartbeat interval 0s: use a positive duration")
	check(beat(ctx, ws, server, nil), "heartbeat option is nil")
	check(beat(ctx, ws, server, otelws.DialedOnly()), "its options exclude accepted connections")
	if err := beat(ctx, ws, server); err != nil {
		t.Error(err)
	}
	check(beat(ctx, ws, server), "the connection already has a heartbeat")
	server.CloseNow()
	check(beat(ctx, ws, server), "the connection is not open")
}

// A transport of the application's own, between the library and the tap, hides
// the tap from nobody who has the request's context.
func TestHeartbeatBeneathAnotherTransport(t *testing.T) {
	ws, m := newInstrumentation(t)
	own := func(w http.ResponseWriter) http.ResponseWriter { return ownTransport{w} }
	url := serve(t, ws.Handler(withWriter(own, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		if err := ws.Heartbeat(r.Context(), patient...); err != nil {
			t.Error(err)
		}
		readAll(r.Context(), c)
	}))))
	c, _, err := websocket.Dial(context.Background(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.CloseRead(t.Context())
	atLeast(t, m, rtt, 1)
}

// Each of two Instrumentations with providers of their own finds its own tap.
func TestHeartbeatOfTwoProviders(t *testing.T) {
	a, am := newInstrumentation(t)
	b, bm := newInstrumentation(t)
	url := serve(t, a.Handler(b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		if err := a.Heartbeat(r.Context(), patient...); err != nil {
			t.Error(err)
		}
		if err := b.Heartbeat(r.Context(), patient...); err != nil {
			t.Error(err)
		}
		readAll(r.Context(), c)
	}))))
	c, _, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.CloseRead(t.Context())
	atLeast(t, am, rtt, 1)
	atLeast(t, bm, rtt, 1)
}

type ownTransport struct{ http.ResponseWriter }

func (w ownTransport) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := w.ResponseWriter.(http.Hijacker).Hijack()
	return struct{ net.Conn }{nc}, brw, err
}

func TestHeartbeatEndsWithContext(t *testing.T) {
	ws, m := newInstrumentation(t)
	server, client := connect(t, ws)
	server.CloseRead(context.Background())
	client.CloseRead(context.Background())
	ctx, cancel := context.WithCancel(context.Background())
	if err := beat(ctx, ws, server, patient...); err != nil {
		t.Fatal(err)
	}
	atLeast(t, m, rtt, 1)
	cancel()
	// It takes another one once the first has stopped.
	for deadline := time.Now().Add(10 * time.Second); beat(context.Background(), ws, server, patient...) != nil; {
		if time.Now().After(deadline) {
			t.Fatal("the heartbeat did not stop")
		}
	}
	n, _ := m.Value(rtt)
	atLeast(t, m, rtt, n+2)
	if v, _ := m.Value("ws_connections_active"); v != 1 {
		t.Errorf("%v connections are open, want 1", v)
	}
}

// A peer that takes pings and answers none is ended.
func TestHeartbeatEndsDeadPeer(t *testing.T) {
	ws, m := newInstrumentation(t)
	server, _ := connect(t, ws)
	reading := server.CloseRead(context.Background())
	if err := beat(context.Background(), ws, server, append(fast, otelws.Misses(3))...); err != nil {
		t.Fatal(err)
	}
	<-reading.Done()
	m.Wait(t, timeouts, 1)
	m.Wait(t, `ws_connections_closed_total{code="1006"}`, 1)
	m.Wait(t, missed, 3)
	m.Wait(t, "ws_connections_active", 0)
}

// pipeWriter hijacks one end of a net.Pipe, on which a write waits for a reader.
type pipeWriter struct {
	http.ResponseWriter
	conn net.Conn
}

func (w pipeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn)), nil
}

// upgrade is a request that opens a WebSocket.
func upgrade() *http.Request {
	r := request("/")
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	return r
}

// A peer that takes nothing, so that no ping can be written, is ended.
func TestHeartbeatEndsBlockedPeer(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithHeartbeat(steady...))
	near, far := net.Pipe()
	defer far.Close()
	server, err := ws.Accept(pipeWriter{httptest.NewRecorder(), near}, upgrade(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.CloseNow()
	m.Wait(t, timeouts, 1)
	m.Wait(t, missed, 2)
}

// While the application's own write is blocked, no ping can be written either.
func TestHeartbeatEndsBlockedWriter(t *testing.T) {
	ws, m := newInstrumentation(t)
	server, _ := connect(t, ws)
	written := make(chan error, 1)
	go func() { written <- server.Write(context.Background(), websocket.MessageBinary, make([]byte, 64<<20)) }()
	atLeast(t, m, "ws_write_time_seconds_total", 0.005) // it shows while it is blocked
	if err := beat(context.Background(), ws, server, fast...); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err == nil {
		t.Error("the blocked write did not fail")
	}
	m.Wait(t, timeouts, 1)
	m.Wait(t, missed, 2)
}

// An application that does not read for a while does not look like a dead peer.
func TestHeartbeatSparesSlowReader(t *testing.T) {
	ws, m := newInstrumentation(t)
	server, client := connect(t, ws)
	client.CloseRead(context.Background())
	if err := beat(context.Background(), ws, server, append(patient, otelws.Misses(1))...); err != nil {
		t.Fatal(err)
	}
	atLeast(t, m, pings, 3)
	if v, _ := m.Value(missed); v != 0 {
		t.Errorf("%v pings missed", v)
	}
	server.CloseRead(context.Background())
	atLeast(t, m, rtt, 1)
	if v, _ := m.Value("ws_connections_active"); v != 1 {
		t.Errorf("%v connections are open, want 1", v)
	}
}
