package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestDemoEcho(t *testing.T) {
	r := startDemo(t, demo{})
	before := r.scrape(t)
	for _, name := range []string{
		`ws_connections_active{http_route="/echo"}`,
		`ws_connections_opened_total{http_route="/room"}`,
		`ws_frames_total{network_io_direction="receive",opcode="text"}`,
		`ws_io_bytes_total{network_io_direction="transmit"}`,
		"ws_write_time_seconds_total",
		"ws_heartbeat_missed_total",
	} {
		if v, ok := before[name]; !ok || v != 0 {
			t.Errorf("before any client %s is %v (%v), want 0", name, v, ok)
		}
	}

	c := r.dial(t, "/echo")
	// The text is longer than the buffer of the copy and than one of its frames.
	long := strings.Repeat("long ", 100_000/5)
	for _, m := range []struct {
		typ  websocket.MessageType
		text string
	}{
		{websocket.MessageText, "hello"},
		{websocket.MessageBinary, "\x00\xff"},
		{websocket.MessageText, ""},
		{websocket.MessageText, long},
	} {
		check(t, c.Write(testContext(t), m.typ, []byte(m.text)))
		typ, got, err := c.Read(testContext(t))
		check(t, err)
		if typ != m.typ || string(got) != m.text {
			t.Errorf("echo of %d bytes: %v, %d bytes", len(m.text), typ, len(got))
		}
	}
	r.waitForValue(t, `ws_connections_active{http_route="/echo"}`, 1)
	check(t, c.Close(websocket.StatusNormalClosure, ""))
	r.waitForValue(t, `ws_connections_closed_total{code="1000",http_route="/echo"}`, 1)

	after := r.scrape(t)
	for name, want := range map[string]float64{
		`ws_connections_active{http_route="/echo"}`: 0,
		`ws_connections_active{http_route="/room"}`: 0,
		"ws_message_bytes_count":                    4,
		"ws_message_bytes_sum":                      float64(len("hello") + 2 + len(long)),
		"ws_message_sent_bytes_count":               4,
		"ws_message_sent_bytes_sum":                 float64(len("hello") + 2 + len(long)),
	} {
		if after[name] != want {
			t.Errorf("%s is %v, want %v", name, after[name], want)
		}
	}
}

func TestDemoEchoLimit(t *testing.T) {
	r := startDemo(t, demo{})
	c := r.dial(t, "/echo")
	read := make(chan error, 1)
	go func() {
		_, _, err := c.Read(testContext(t))
		read <- err
	}()
	// The server may close the connection before all bytes are sent.
	_ = c.Write(testContext(t), websocket.MessageBinary, make([]byte, echoLimit+1))
	if err := <-read; err == nil {
		t.Error("a message above the limit was echoed")
	}
	r.waitForValue(t, `ws_connections_closed_total{code="1009",http_route="/echo"}`, 1)
}

func TestDemoHeartbeat(t *testing.T) {
	r := startDemo(t, demo{heartbeat: 500 * time.Millisecond})
	c := r.dial(t, "/room")
	c.CloseRead(testContext(t))
	r.waitFor(t, "a round trip", func(s samples) bool { return s["ws_heartbeat_rtt_seconds_count"] > 0 })
}

func TestDemoFailedHandshakes(t *testing.T) {
	r := startDemo(t, demo{})
	elsewhere := &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://elsewhere.example"}}}
	if _, _, err := websocket.Dial(testContext(t), r.url+"/echo", elsewhere); err == nil {
		t.Error("a page of another origin got a connection")
	}
	if _, _, err := websocket.Dial(testContext(t), r.url+"/nowhere", nil); err == nil {
		t.Error("a path that does not exist gave a connection")
	}
	r.waitForValue(t, `ws_handshake_duration_seconds_count{http_response_status_code="403",http_route="/echo"}`, 1)
	r.waitForValue(t, `ws_handshake_duration_seconds_count{http_response_status_code="404",http_route="other"}`, 1)
	http.DefaultClient.CloseIdleConnections()
}

func TestDemoWebConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.yml")
	check(t, os.WriteFile(path, []byte("http_server_config:\n  headers:\n    X-Frame-Options: deny\n"), 0o600))
	r := startDemo(t, demo{webConfig: path})
	// The web configuration decides about the scheme.
	resp := get(t, "http://"+r.metrics)
	if resp.status != http.StatusOK || resp.header.Get("X-Frame-Options") != "deny" {
		t.Errorf("status %d, X-Frame-Options %q", resp.status, resp.header.Get("X-Frame-Options"))
	}
}
