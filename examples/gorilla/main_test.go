package main

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

func TestEcho(t *testing.T) {
	c, m := dial(t, echo{pingEvery: time.Hour, pongWait: 2 * time.Hour})
	if err := c.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, message, err := c.ReadMessage(); err != nil || string(message) != "hello" {
		t.Fatalf("ReadMessage: %q, %v", message, err)
	}
	m.Wait(t, "ws_connections_active", 1)
	normal := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := c.WriteMessage(websocket.CloseMessage, normal); err != nil {
		t.Fatal(err)
	}
	for sample, want := range map[string]float64{
		"ws_connections_active":                                              0,
		"ws_connections_opened_total":                                        1,
		`ws_connections_closed_total{code="1000"}`:                           1,
		`ws_message_bytes_bucket{le="64"}`:                                   1,
		"ws_message_bytes_sum":                                               5,
		"ws_message_sent_bytes_sum":                                          5,
		`ws_connection_duration_seconds_count{code="1000",initiator="peer"}`: 1,
	} {
		m.Wait(t, sample, want)
	}
}

// The round trip of a ping is recorded although otelws did not send it.
func TestHeartbeat(t *testing.T) {
	c, m := dial(t, echo{pingEvery: 5 * time.Millisecond, pongWait: time.Minute})
	answered := make(chan error, 1)
	answer := c.PingHandler()
	c.SetPingHandler(func(payload string) error {
		err := answer(payload)
		c.SetPingHandler(func(string) error { return nil })
		answered <- err
		return err
	})
	go c.ReadMessage() // answers pings, until the test closes c
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	m.Wait(t, "ws_heartbeat_rtt_seconds_count", 1)
}

// A client that reads nothing answers no ping.
func TestSilentClient(t *testing.T) {
	_, m := dial(t, echo{pingEvery: time.Hour, pongWait: 5 * time.Millisecond})
	m.Wait(t, `ws_connection_duration_seconds_count{code="1006",initiator="timeout"}`, 1)
	m.Wait(t, "ws_connections_active", 0)
}

// A client that reads nothing blocks the handler in a write.
func TestStuckClient(t *testing.T) {
	c, m := dial(t, echo{pingEvery: 5 * time.Millisecond, pongWait: 50 * time.Millisecond})
	message := make([]byte, 1<<20)
	for c.WriteMessage(websocket.BinaryMessage, message) == nil {
	}
	m.Wait(t, `ws_connections_closed_total{code="1006"}`, 1)
	m.Wait(t, "ws_connections_active", 0)
}

func dial(t *testing.T, e echo) (*websocket.Conn, *otelwstest.Metrics) {
	t.Helper()
	m := otelwstest.NewMetrics(t)
	ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(ws.Handler(e))
	t.Cleanup(srv.Close)
	c, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+srv.URL[len("http"):], nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, m
}
