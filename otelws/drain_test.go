package otelws_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

func TestDrain(t *testing.T) {
	ws, m := newInstrumentation(t)
	if err := ws.Drain(context.Background()); err != nil {
		t.Errorf("Drain without connections returned %v", err)
	}
	var clients []*websocket.Conn
	for range 5 {
		server, client := connect(t, ws)
		server.CloseRead(context.Background())
		clients = append(clients, client)
	}
	codes := make(chan websocket.StatusCode)
	for _, c := range clients {
		go func() {
			_, _, err := c.Read(context.Background())
			codes <- websocket.CloseStatus(err)
		}()
	}
	drained := make(chan error)
	go func() { drained <- ws.Drain(context.Background()) }()
	for scraping := true; scraping; { // collects during the whole drain
		select {
		case err := <-drained:
			if err != nil {
				t.Error(err)
			}
			scraping = false
		default:
			active, _ := m.Value("ws_connections_active")
			if active < 0 || active > 5 {
				t.Errorf("the gauge is %v during the drain, want 0 to 5", active)
			}
		}
	}
	for range clients {
		if code := <-codes; code != websocket.StatusGoingAway {
			t.Errorf("a client got code %d", code)
		}
	}
	m.Wait(t, `ws_connections_closed_total{code="1001"}`, 5)
	m.Wait(t, "ws_connections_active", 0)
	m.Wait(t, `ws_connection_duration_seconds_count{code="1001",initiator="local"}`, 5)
}

// Drain cuts off a client that has not answered when the context ends.
func TestDrainCutsOff(t *testing.T) {
	ws, m := newInstrumentation(t)
	server, _ := connect(t, ws)
	server.CloseRead(context.Background())
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		atLeast(t, m, `ws_frames_total{network_io_direction="transmit",opcode="close"}`, 1)
		cancel()
	}()
	err := ws.Drain(ctx)
	if err == nil || !strings.Contains(err.Error(), "1 of 1 connections did not close in time") {
		t.Errorf("Drain returned %v", err)
	}
	m.Wait(t, "ws_connections_active", 0)
	m.Wait(t, `ws_connections_closed_total{code="1001"}`, 1) // 1001, because Drain had sent its close frame
	again := otelws.OnDrainProgress(func(p otelws.DrainProgress) {
		t.Errorf("a second drain reports the outcome of the first: %+v", p)
	})
	if err := ws.Drain(t.Context(), again); err != nil {
		t.Error(err)
	}
}

// A connection that opens after the drain has begun is closed as well.
func TestDrainIsFinal(t *testing.T) {
	ws, m := newInstrumentation(t)
	if err := ws.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, client := connect(t, ws)
	if _, _, err := client.Read(context.Background()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the client got %v", err)
	}
	m.Wait(t, `ws_connections_closed_total{code="1001"}`, 1)
}

// openSlowly returns an Instrumentation with a connection whose handshake lasts until the caller closes
// proceed.
func openSlowly(t *testing.T) (ws *otelws.Instrumentation, m *otelwstest.Metrics, proceed chan struct{}) {
	accepting, proceed := make(chan struct{}), make(chan struct{})
	ws, m = newInstrumentation(t, otelws.WithEnum("tier", func(r *http.Request) string {
		if r.URL.RawQuery == "slow" {
			close(accepting)
			<-proceed
		}
		return "free"
	}, "free"))
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		<-c.CloseRead(r.Context()).Done()
	}))
	client, _, err := websocket.Dial(context.Background(), url+"?slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.CloseNow() })
	client.CloseRead(context.Background())
	<-accepting
	return ws, m, proceed
}

// Drain does not report success while a connection still opens.
func TestDrainEndsDuringAccept(t *testing.T) {
	ws, m, proceed := openSlowly(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ws.Drain(ctx); err == nil || !strings.Contains(err.Error(), "a connection was opening") {
		t.Errorf("Drain returned %v", err)
	}
	close(proceed)
	m.Wait(t, `ws_connections_closed_total{code="1001",tier="free"}`, 1)
}

// Drain also closes a connection whose handshake is still under way when it begins.
func TestDrainWaitsForAccept(t *testing.T) {
	ws, m, proceed := openSlowly(t)
	known, peer := connect(t, ws)
	known.CloseRead(context.Background())
	drained := make(chan error)
	go func() { drained <- ws.Drain(context.Background()) }()
	select {
	case <-drained:
		t.Error("Drain returned before the handshake was over")
	case <-time.After(10 * time.Millisecond):
	}
	// The pending handshake does not delay the goodbye to others.
	if _, _, err := peer.Read(context.Background()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the client of the open connection got %v", err)
	}
	close(proceed)
	if err := <-drained; err != nil {
		t.Error(err)
	}
	m.Wait(t, `ws_connections_closed_total{code="1001",tier="free"}`, 2)
}

// A connection that its library closes during a drain, before its turn, gets the close
// frame of the drain, and counts as drained.
func TestDrainCountsThoseThatLeaveEarly(t *testing.T) {
	ws, m := newInstrumentation(t)
	_, first := connect(t, ws)
	server, second := connect(t, ws)
	drained := make(chan error, 1)
	go func() { drained <- ws.Drain(t.Context(), otelws.DrainSpread(time.Hour)) }() // the first connection is closed at once
	for _, c := range []*websocket.Conn{first, second} {
		if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Errorf("a client got %v", err)
		}
		go server.CloseNow()
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	m.Wait(t, `ws_drain_connections_total{outcome="closed"}`, 2)
}

// lateClose is a transport whose Close reports that it has begun, and then waits.
type lateClose struct {
	net.Conn
	begun, proceed chan struct{}
}

func (c lateClose) Close() error {
	close(c.begun)
	<-c.proceed
	return c.Conn.Close()
}

type lateCloser struct {
	http.ResponseWriter
	begun, proceed chan struct{}
}

func (w lateCloser) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w lateCloser) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	return lateClose{nc, w.begun, w.proceed}, brw, err
}

// Drain waits until a Close that the application has begun has returned.
func TestDrainWaitsForClosing(t *testing.T) {
	ws, m := newInstrumentation(t)
	begun, proceed := make(chan struct{}), make(chan struct{})
	server, client := connectTo(t, ws, func(h http.Handler) http.Handler {
		return ws.Handler(withWriter(func(w http.ResponseWriter) http.ResponseWriter { return lateCloser{w, begun, proceed} }, h))
	})
	client.CloseRead(context.Background()) // answers the close frame
	go server.CloseNow()
	<-begun
	drainsAfter(t, ws, proceed)
	if v, _ := m.Value("ws_connections_active"); v != 0 {
		t.Errorf("%v connections are open after Drain", v)
	}
}

// Drain waits until WithOnClose's function has returned.
func TestDrainWaitsForOnClose(t *testing.T) {
	telling, proceed := make(chan struct{}), make(chan struct{})
	ws, _ := newInstrumentation(t, otelws.WithOnClose(func(context.Context, otelws.Summary) {
		close(telling)
		<-proceed
	}))
	server, _ := connect(t, ws)
	go server.CloseNow()
	<-telling
	drainsAfter(t, ws, proceed)
}

// drainsAfter checks that Drain does not return before proceed is closed.
func drainsAfter(t *testing.T, ws *otelws.Instrumentation, proceed chan struct{}) {
	t.Helper()
	drained := make(chan error, 1)
	go func() { drained <- ws.Drain(context.Background()) }()
	var err error
	select {
	case err = <-drained:
		t.Error("Drain returned too early")
		close(proceed)
	case <-time.After(20 * time.Millisecond):
		close(proceed)
		err = <-drained
	}
	if err != nil {
		t.Error(err)
	}
}

// recorder is a server that passes to said each client's messages and close code.
func recorder(said chan<- string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			_, b, err := c.Read(r.Context())
			if err != nil {
				said <- websocket.CloseStatus(err).String()
				return
			}
			said <- string(b)
		}
	})
}

// Drain closes the connections that a gateway has dialed after those that it has
// accepted. So a client's last message and its answer still reach the upstream.
func TestDrainTellsAcceptedFirst(t *testing.T) {
	ws, m := newInstrumentation(t)
	said := make(chan string, 4)
	gateway := proxyTo(t, startServer(t, nil, recorder(said)), ws.Transport(nil))
	w := openWire(t, startServer(t, ws, gateway))
	drained := make(chan error, 1)
	go func() { drained <- ws.Drain(context.Background(), otelws.DrainSpread(time.Hour)) }() // the first connection is closed at once
	w.answer(fin|opClose, string(closePayload(1001, "going away")))
	w.send(masked(fin|opText, "last words"))
	w.send(masked(fin|opClose, closePayload(1000, "")))
	for _, want := range []string{"last words", websocket.StatusNormalClosure.String()} {
		if got := <-said; got != want {
			t.Errorf("the upstream hears %s, want %s", got, want)
		}
	}
	w.shut()
	if err := <-drained; err != nil {
		t.Error(err)
	}
	m.Wait(t, "ws_connections_active", 0)
	m.Wait(t, `ws_client_connections_closed_total{code="1000"}`, 1)
	m.Wait(t, `ws_client_drain_connections_total{outcome="closed"}`, 0)
}

// If the client does not answer, Drain closes the dialed connection all the same.
func TestDrainTellsDialedInTheEnd(t *testing.T) {
	ws, m := newInstrumentation(t)
	said := make(chan string, 4)
	gateway := proxyTo(t, startServer(t, nil, recorder(said)), ws.Transport(nil))
	w := openWire(t, startServer(t, ws, gateway))
	ctx, cancel := context.WithCancel(context.Background())
	drained := make(chan error, 1)
	go func() { drained <- ws.Drain(ctx) }()
	w.answer(fin|opClose, string(closePayload(1001, "going away")))
	if got, want := <-said, websocket.StatusGoingAway.String(); got != want {
		t.Errorf("the upstream hears %s, want %s", got, want)
	}
	m.Wait(t, `ws_client_connections_closed_total{code="1001"}`, 1)
	cancel()
	if err := <-drained; err == nil {
		t.Error("Drain returned no error although it cut a connection")
	}
	m.Wait(t, `ws_client_drain_connections_total{outcome="closed"}`, 1)
	m.Wait(t, `ws_drain_connections_total{outcome="cut"}`, 1)
}

// If a process has accepted no connection, Drain spreads the dialed ones over its time.
func TestDrainOfDialed(t *testing.T) {
	ws, m := newInstrumentation(t)
	said := make(chan string, 4)
	upstream := startServer(t, nil, recorder(said))
	for range 2 {
		c, _, err := websocket.Dial(context.Background(), upstream.URL, &websocket.DialOptions{HTTPClient: &http.Client{Transport: ws.Transport(nil)}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		c.CloseRead(context.Background())
	}
	ctx, cancel := context.WithCancel(context.Background())
	drained := make(chan error, 1)
	go func() { drained <- ws.Drain(ctx, otelws.DrainSpread(time.Hour)) }()
	if got, want := <-said, websocket.StatusGoingAway.String(); got != want {
		t.Errorf("the upstream hears %s, want %s", got, want)
	}
	m.Wait(t, "ws_client_connections_active", 1) // the turn of this connection is still to come
	cancel()
	if err := <-drained; err == nil || !strings.Contains(err.Error(), "1 of 2 connections") {
		t.Errorf("Drain returned %v", err)
	}
	m.Wait(t, "ws_client_connections_active", 0)
}
