package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

func TestClient(t *testing.T) {
	m := otelwstest.NewMetrics(t)
	ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()),
		otelws.WithHeartbeat(otelws.Every(250*time.Millisecond), otelws.Misses(1000)))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			typ, message, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), typ, message) != nil {
				return
			}
		}
	}))
	defer srv.Close()

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lines, out := io.Pipe()
	defer lines.Close()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, ws, srv.URL, 20*time.Millisecond, out)
		out.CloseWithError(err) // unblocks the reader if run fails
		done <- err
	}()
	buf := make([]byte, 64)
	n, err := lines.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := time.Parse(time.TimeOnly+"\n", string(buf[:n])); err != nil {
		t.Error(err)
	}
	go io.Copy(io.Discard, lines)
	m.Wait(t, "ws_client_connections_active", 1)
	atLeastOnce(t, m, "ws_client_message_sent_bytes_count")
	atLeastOnce(t, m, "ws_client_message_bytes_count")
	atLeastOnce(t, m, "ws_client_heartbeat_rtt_seconds_count")

	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for sample, want := range map[string]float64{
		"ws_client_connections_active":                                                0,
		"ws_client_connections_opened_total":                                          1,
		`ws_client_connections_closed_total{code="1000"}`:                             1,
		`ws_client_connection_duration_seconds_count{code="1000",initiator="local"}`:  1,
		`ws_client_handshake_duration_seconds_count{http_response_status_code="101"}`: 1,
	} {
		m.Wait(t, sample, want)
	}
}

func atLeastOnce(t *testing.T, m *otelwstest.Metrics, sample string) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if v, _ := m.Value(sample); v >= 1 {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%s is below 1:\n%s", sample, m.Changed())
		}
	}
}
