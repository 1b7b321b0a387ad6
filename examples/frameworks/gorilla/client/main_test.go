package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/examples/frameworks/internal/drill"
	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// The client reconnects when the server goes away, and sends a close frame at the
// end.
func TestRun(t *testing.T) {
	m := otelwstest.NewMetrics(t)
	ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()), drill.Heartbeat)
	if err != nil {
		t.Fatal(err)
	}
	visits := make(chan error, 2)
	first := true
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			visits <- err
			return
		}
		defer func() { _ = c.Close() }()
		_, message, _ := c.ReadMessage()
		_ = c.WriteMessage(websocket.TextMessage, message)
		if first {
			first = false
			_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseServiceRestart, ""), time.Now().Add(time.Second))
		}
		_, _, err = c.ReadMessage()
		visits <- err
	}))
	defer srv.Close()

	got := make(chan string, 2)
	c := newClient(ws, "ws"+strings.TrimPrefix(srv.URL, "http"), func(message []byte) { got <- string(message) })
	c.pause = time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.run(ctx) }()
	for range 2 {
		if message := <-got; message != "hello" {
			t.Errorf("got %q", message)
		}
	}
	if err := <-visits; !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
		t.Errorf("the first connection ended by %v", err)
	}
	drill.Await(t, m, "ws_client_heartbeat_rtt_seconds_count", 2)
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := <-visits; !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the server read %v", err)
	}
	for sample, want := range map[string]float64{
		`ws_client_connections_closed_total{code="1012"}`: 1,
		`ws_client_connections_closed_total{code="1001"}`: 1,
		"ws_client_connections_active":                    0,
		"ws_client_message_bytes_sum":                     10,
		"ws_client_message_sent_bytes_sum":                10,
	} {
		m.Wait(t, sample, want)
	}
}
