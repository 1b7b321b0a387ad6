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

// fast and steady soon end a peer that does not answer. patient never ends a peer,
// however busy the machine is. Tests that depend on times are in
// times_test.go.
var (
	fast    = []otelws.HeartbeatOption{otelws.Every(10 * time.Millisecond)}
	patient = []otelws.HeartbeatOption{otelws.Every(250 * time.Millisecond), otelws.Misses(1 << 20)}
	steady  = []otelws.HeartbeatOption{otelws.Every(100 * time.Millisecond)}
)

// connect returns the two ends of a connection over TCP. Only the server's end is
// watched.
func connect(t *testing.T, ws *otelws.Instrumentation) (server, client *websocket.Conn) {
	t.Helper()
	return connectTo(t, ws, func(h http.Handler) http.Handler { return h })
}

// connectTo is connect with a middleware around the server's handler.
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

// requests holds the request's context of each connection that connect opened.
var requests sync.Map // of *websocket.Conn to context.Context

// beat starts a heartbeat on a connection of connect. It lasts as long as ctx.
func beat(ctx context.Context, ws *otelws.Instrumentation, c *websocket.Conn, opts ...otelws.HeartbeatOption) error {
	request, _ := requests.Load(c)
	return ws.Heartbeat(joined(request.(context.Context), ctx), opts...)
}

// atLeast waits until a sample has reached n.
func atLeast(t *testing.T, m *otelwstest.Metrics, sample string, n float64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		v, _ := m.Value(sample)
		if v >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is %v, and has not reached %v", sample, v, n)
		}
	}
}

// Heartbeat finds the connection, whether a Handler, Accept or Dial opened it.
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

// WithHeartbeat can apply to one side alone, or to each side with its own options.
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
					t.Errorf("%s is %v, want 0", sample, n)
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
	check(beat(ctx, ws, server, otelws.Every(0)), "invalid heartbeat interval 0s: use at least 1ms")
	check(beat(ctx, ws, server, nil), "heartbeat option is nil")
	check(beat(ctx, ws, server, otelws.DialedOnly()), "its options exclude accepted connections")
	if err := beat(ctx, ws, server); err != nil {
		t.Error(err)
	}
	check(beat(ctx, ws, server), "the connection already has a heartbeat")
	server.CloseNow()
	check(beat(ctx, ws, server), "the connection is not open")
}

// Heartbeat finds the tap by the request's context, although the application has
// wrapped the transport.
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

// With two providers, each Instrumentation finds its own tap.
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
	// The connection takes a new heartbeat once the first has stopped.
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

// The heartbeat ends a peer that reads pings and does not answer.
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

// pipeWriter hijacks one end of a net.Pipe, where a write blocks until somebody reads.
type pipeWriter struct {
	http.ResponseWriter
	conn net.Conn
}

func (w pipeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn)), nil
}

// upgrade returns a request that opens a WebSocket.
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

// The heartbeat ends a peer that reads nothing, so that the ping itself is stuck.
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

// The heartbeat ends a connection whose application is stuck in a write, so that no
// ping can go out.
func TestHeartbeatEndsBlockedWriter(t *testing.T) {
	ws, m := newInstrumentation(t)
	server, _ := connect(t, ws)
	written := make(chan error, 1)
	go func() { written <- server.Write(context.Background(), websocket.MessageBinary, make([]byte, 64<<20)) }()
	atLeast(t, m, "ws_write_time_seconds_total", 0.005) // the time of a blocked write counts before it returns
	if err := beat(context.Background(), ws, server, fast...); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err == nil {
		t.Error("the blocked write did not fail")
	}
	m.Wait(t, timeouts, 1)
	m.Wait(t, missed, 2)
}

// An application that stops reading for a while does not make its peer look dead.
func TestHeartbeatSparesSlowReader(t *testing.T) {
	ws, m := newInstrumentation(t)
	server, client := connect(t, ws)
	client.CloseRead(context.Background())
	if err := beat(context.Background(), ws, server, append(patient, otelws.Misses(1))...); err != nil {
		t.Fatal(err)
	}
	atLeast(t, m, pings, 3)
	if v, _ := m.Value(missed); v != 0 {
		t.Errorf("%v pings were counted as missed, want none", v)
	}
	server.CloseRead(context.Background())
	atLeast(t, m, rtt, 1)
	if v, _ := m.Value("ws_connections_active"); v != 1 {
		t.Errorf("%v connections are open, want 1", v)
	}
}

// A peer whose data fills the kernel's buffer cannot send its pong before this side reads.
func TestHeartbeatSparesBlockedUploader(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithHeartbeat(append(steady, otelws.Misses(5))...))
	release := make(chan struct{})
	s := startServer(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		<-release
	}))
	large := masked(fin|opBinary, make([]byte, 4<<20))
	client := openWire(t, s)
	var uploader sync.WaitGroup
	uploader.Go(func() { _, _ = client.Write(large) })
	atLeast(t, m, pings, 10)
	if v, _ := m.Value("ws_connections_active"); v != 1 {
		t.Errorf("%v connections are open, want 1", v)
	}
	close(release)
	s.wait(t)
	uploader.Wait()
}
