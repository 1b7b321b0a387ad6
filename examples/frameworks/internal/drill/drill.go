// Package drill tests the examples: a client talks to a server until the server shuts down, and the
// metrics must agree with what they sent.
package drill

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// Heartbeat is a heartbeat for tests. It pings often, and no delay ends a connection.
var Heartbeat = otelws.WithHeartbeat(otelws.Every(5*time.Millisecond), otelws.Misses(1<<30))

// Server makes a client talk to an echo server. serve must serve on the given listener until its
// context is done, and then close all connections with a close frame. Server returns the recorded
// metrics.
func Server(t *testing.T, path string, serve func(context.Context, net.Listener, *otelws.Instrumentation) error, opts ...otelws.Option) *otelwstest.Metrics {
	t.Helper()
	m := otelwstest.NewMetrics(t)
	ws, err := otelws.New(append(opts, otelws.WithMeterProvider(m.MeterProvider()), Heartbeat)...)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, shutDown := context.WithCancel(t.Context())
	defer shutDown()
	served := make(chan error, 1)
	go func() { served <- serve(ctx, l, ws) }()

	c, _, err := websocket.DefaultDialer.Dial("ws://"+l.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for _, message := range []string{"hello", string(make([]byte, 300))} {
		if err := c.WriteMessage(websocket.BinaryMessage, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.ReadMessage(); err != nil || string(got) != message {
			t.Fatalf("read %.20q, %v", got, err)
		}
	}
	left := make(chan error, 1)
	go func() {
		_, _, err := c.ReadMessage() // answers pings
		left <- err
	}()
	Await(t, m, "ws_heartbeat_rtt_seconds_count", 2)

	shutDown()
	if err := <-left; !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the client read %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("the server returned %v", err)
	}
	for sample, want := range map[string]float64{
		"ws_message_bytes_sum":                         305,
		"ws_message_sent_bytes_sum":                    305,
		`ws_message_bytes_bucket{le="64"}`:             1,
		`ws_message_bytes_count`:                       2,
		`ws_drain_connections_total{outcome="closed"}`: 1,
		`ws_drain_connections_total{outcome="cut"}`:    0,
	} {
		m.Wait(t, sample, want)
	}
	return m
}

// Await waits until the sample is at least n.
func Await(t *testing.T, m *otelwstest.Metrics, sample string, n float64) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if got, _ := m.Value(sample); got >= n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s is not %v:\n%s", sample, n, m.Changed())
		}
	}
}

// Closed waits until one connection has ended with 1001, and none is open.
func Closed(t *testing.T, m *otelwstest.Metrics, prefix, labels string) {
	t.Helper()
	more, braces := "", ""
	if labels != "" {
		more, braces = ","+labels, "{"+labels+"}"
	}
	m.Wait(t, prefix+`_connections_closed_total{code="1001"`+more+`}`, 1)
	m.Wait(t, prefix+"_connections_opened_total"+braces, 1)
	m.Wait(t, prefix+"_connections_active"+braces, 0)
}
