package drill

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// Client tests a client. run must connect to an echo server and begin with the
// message "hello". When its context is done, it must send a close frame.
func Client(t *testing.T, run func(ctx context.Context, ws *otelws.Instrumentation, url string, got func([]byte)) error) {
	t.Helper()
	m := otelwstest.NewMetrics(t)
	ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()), Heartbeat)
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan error, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			left <- err
			return
		}
		defer func() { _ = c.Close() }()
		for {
			typ, message, err := c.ReadMessage()
			if err == nil {
				err = c.WriteMessage(typ, message)
			}
			if err != nil {
				left <- err
				return
			}
		}
	}))
	defer srv.Close()

	got := make(chan string, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	over := make(chan error, 1)
	go func() {
		over <- run(ctx, ws, "ws"+strings.TrimPrefix(srv.URL, "http"), func(message []byte) { got <- string(message) })
	}()
	select {
	case message := <-got:
		if message != "hello" {
			t.Errorf("got %q", message)
		}
	case err := <-over:
		t.Fatalf("the client returned %v", err)
	}
	Await(t, m, "ws_client_heartbeat_rtt_seconds_count", 2)
	stop()
	if err := <-over; err != nil {
		t.Errorf("the client returned %v", err)
	}
	if err := <-left; !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the server read %v", err)
	}
	Closed(t, m, "ws_client", "")
	for sample, want := range map[string]float64{
		"ws_client_message_bytes_sum":                         5,
		"ws_client_message_sent_bytes_sum":                    5,
		`ws_client_drain_connections_total{outcome="closed"}`: 1,
		`ws_client_drain_connections_total{outcome="cut"}`:    0,
	} {
		m.Wait(t, sample, want)
	}
}
