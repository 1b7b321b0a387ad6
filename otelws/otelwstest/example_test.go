package otelwstest_test

import (
	"context"
	"fmt"
	"log"
	"slices"
	"testing"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// T stands for the *testing.T of a test. Its method end runs the cleanups.
type T struct {
	testing.TB
	cleanups []func()
}

func (*T) Helper()                        {}
func (*T) Fatal(args ...any)              { log.Fatal(args...) }
func (*T) Fatalf(format string, a ...any) { log.Fatalf(format, a...) }
func (*T) Errorf(format string, a ...any) { log.Fatalf(format, a...) }
func (t *T) Cleanup(f func())             { t.cleanups = append(t.cleanups, f) }

func (t *T) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}

// A test opens a connection in memory, and checks the recorded metrics.
func Example() {
	t := new(T)
	defer t.end()
	m := otelwstest.NewMetrics(t)
	ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	server, client := otelwstest.Pair(t, ws, nil, nil)
	ctx := server.CloseRead(context.Background())
	_ = client.Close(websocket.StatusGoingAway, "")
	<-ctx.Done()

	m.Wait(t, `ws_connections_closed_total{code="1001"}`, 1) // fails the test if the close is not recorded
	closed, ok := m.Value(`ws_connections_closed_total{code="1001"}`)
	fmt.Println(closed, ok)
	// Output: 1 true
}

// WaitDiff checks all recorded metrics, so unexpected ones show as well. A tilde stands
// for a time, which differs from run to run.
func ExampleMetrics_WaitDiff() {
	t := new(T)
	defer t.end()
	m := otelwstest.NewMetrics(t)
	ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
	if err != nil {
		t.Fatal(err)
	}
	_, client := otelwstest.Pair(t, ws, nil, nil)
	_ = client.Write(context.Background(), websocket.MessageText, []byte("hello"))

	m.WaitDiff(t, `
		ws_client_connections_active 1
		ws_client_connections_opened_total 1
		ws_client_frames_total{network_io_direction="transmit",opcode="text"} 1
		ws_client_handshake_duration_seconds_count{http_response_status_code="101"} 1
		ws_client_handshake_duration_seconds_sum{http_response_status_code="101"} ~
		ws_client_io_bytes_total{network_io_direction="transmit"} 11
		ws_client_message_sent_bytes_bucket{le="64"} 1
		ws_client_message_sent_bytes_bucket{le="256"} 1
		ws_client_message_sent_bytes_bucket{le="1024"} 1
		ws_client_message_sent_bytes_bucket{le="4096"} 1
		ws_client_message_sent_bytes_bucket{le="16384"} 1
		ws_client_message_sent_bytes_bucket{le="65536"} 1
		ws_client_message_sent_bytes_bucket{le="262144"} 1
		ws_client_message_sent_bytes_count 1
		ws_client_message_sent_bytes_sum 5
		ws_client_write_time_seconds_total ~
		ws_connections_active 1
		ws_connections_opened_total 1
		ws_handshake_duration_seconds_count{http_response_status_code="101"} 1
		ws_handshake_duration_seconds_sum{http_response_status_code="101"} ~
	`)
	fmt.Println("nothing has reached the server's handler, which does not read")
	// Output: nothing has reached the server's handler, which does not read
}
