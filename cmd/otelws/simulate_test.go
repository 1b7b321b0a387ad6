package main

import (
	"slices"
	"testing"
	"time"
)

func TestClientsMoveAllSeries(t *testing.T) {
	r := startDemo(t, demo{clients: 10, heartbeat: 2 * time.Second, pace: 60 * time.Millisecond})
	missing := []string{
		`ws_connections_active{http_route="/echo"}`,
		`ws_connections_active{http_route="/room"}`,
		`ws_connections_opened_total{http_route="/echo"}`,
		`ws_connections_opened_total{http_route="/room"}`,
		`ws_connections_closed_total{code="1000",http_route="/echo"}`,
		`ws_connections_closed_total{code="1000",http_route="/room"}`,
		`ws_connections_closed_total{code="1001",http_route="/echo"}`,
		`ws_connections_closed_total{code="1002",http_route="/echo"}`,
		`ws_connections_closed_total{code="1005",http_route="/echo"}`,
		`ws_connections_closed_total{code="1006",http_route="/room"}`,
		`ws_connections_closed_total{code="1009",http_route="/echo"}`,
		`ws_connections_closed_total{code="1013",http_route="/room"}`,
		`ws_connections_closed_total{code="4000",http_route="/echo"}`,
		`ws_connections_closed_total{code="4xxx",http_route="/echo"}`,
		`ws_connection_duration_seconds_count{code="1000",initiator="peer"}`,
		`ws_connection_duration_seconds_count{code="1009",initiator="local"}`,
		`ws_connection_duration_seconds_count{code="1006",initiator="peer"}`,
		`ws_connection_duration_seconds_count{code="1006",initiator="timeout"}`,
		`ws_handshake_duration_seconds_count{http_response_status_code="101",http_route="/echo"}`,
		`ws_handshake_duration_seconds_count{http_response_status_code="403",http_route="/echo"}`,
		`ws_message_bytes_bucket{le="64"}`,
		"ws_message_bytes_sum",
		"ws_message_sent_bytes_sum",
		`ws_messages_total{kind="chat",network_io_direction="receive"}`,
		`ws_messages_total{kind="typing",network_io_direction="transmit"}`,
		`ws_messages_total{kind="other",network_io_direction="receive"}`,
		`ws_messages_total{kind="none",network_io_direction="receive"}`,
		"ws_heartbeat_rtt_seconds_sum",
		"ws_heartbeat_missed_total",
		"ws_write_time_seconds_total",
		`ws_io_bytes_total{network_io_direction="receive"}`,
		`ws_io_bytes_total{network_io_direction="transmit"}`,
		`ws_protocol_errors_total{error_type="reserved_opcode"}`,
	}
	for _, direction := range []string{"receive", "transmit"} {
		for _, opcode := range []string{"text", "binary", "continuation", "close", "ping", "pong"} {
			missing = append(missing, `ws_frames_total{network_io_direction="`+direction+`",opcode="`+opcode+`"}`)
		}
	}
	deadline := time.Now().Add(waitLimit)
	for len(missing) > 0 && time.Now().Before(deadline) {
		s := r.scrape(t)
		missing = slices.DeleteFunc(missing, func(name string) bool { return s[name] > 0 })
		time.Sleep(10 * time.Millisecond)
	}
	for _, name := range missing {
		t.Errorf("%s does not move", name)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}
