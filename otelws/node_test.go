package otelws_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
)

// nodeModules names the environment variable with a node_modules directory that holds
// the package ws.
const nodeModules = "OTELWS_NODE_MODULES"

// nodeClient is a script that sends a message, and ends the connection after the echo.
const nodeClient = `
	const WebSocket = require('ws');
	const [url, message] = process.argv.slice(1);
	const ws = new WebSocket(url);
	ws.on('open', () => ws.send(message));
	ws.on('message', (data) => {
		if (data.toString() !== message) throw new Error('got ' + data);
		%s;
	});
	ws.on('close', (code) => console.log(code));
`

// runNode returns the close code that Node's client sees. It skips the test if no
// node_modules directory is given.
func runNode(t *testing.T, url, message, end string) (code string) {
	t.Helper()
	cmd := nodeCommand(t, fmt.Sprintf(nodeClient, end), url, message)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// Node's ws ends connections in each of its ways.
func TestNode(t *testing.T) {
	for _, c := range []struct {
		name     string
		end      string
		declared []websocket.StatusCode

		code   string // the recorded code
		seen   string // the code that the client sees
		frames bool   // whether close frames are sent
		bytes  int    // payload of the close frame
	}{
		{name: "cleanly", end: "ws.close(1000)", code: "1000", seen: "1000", frames: true, bytes: 2},
		{name: "with a reason", end: "ws.close(1000, 'bye')", code: "1000", seen: "1000", frames: true, bytes: 5},
		{name: "private code", end: "ws.close(4001, 'bye')", code: "4xxx", seen: "4001", frames: true, bytes: 5},
		{name: "declared code", end: "ws.close(4001, 'bye')", declared: []websocket.StatusCode{4001},
			code: "4001", seen: "4001", frames: true, bytes: 5},
		{name: "no code", end: "ws.close()", code: "1005", seen: "1005", frames: true},
		{name: "terminate", end: "ws.terminate()", code: "1006", seen: "1006"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t, otelws.WithCloseCodes(c.declared...))
			s := startServer(t, ws, coderEcho(nil))
			if got := runNode(t, s.ws(), "hello", c.end); got != c.seen {
				t.Errorf("Node's client sees code %s, want %s", got, c.seen)
			}
			s.wait(t)

			received, sent, closes, idle := 11, 7, "", "1006"
			if c.frames {
				idle = "other"
				received, sent = received+6+c.bytes, sent+2+c.bytes
				closes = `
					ws_frames_total{network_io_direction="receive",opcode="close"} 1
					ws_frames_total{network_io_direction="transmit",opcode="close"} 1`
			}
			expect(t, m, fmt.Sprintf(`
				ws_connection_duration_seconds_count{code="%[1]s",initiator="peer"} 1
				ws_connection_duration_seconds_sum{code="%[1]s",initiator="peer"} ~
				ws_connection_idle_seconds_count{code="%[4]s",initiator="peer"} 1
				ws_connection_idle_seconds_sum{code="%[4]s",initiator="peer"} ~
				ws_connections_closed_total{code="%[1]s"} 1
				ws_connections_opened_total 1`+
				closes+`
				ws_frames_total{network_io_direction="receive",opcode="text"} 1
				ws_frames_total{network_io_direction="transmit",opcode="text"} 1
				ws_handshake_duration_seconds_count{http_response_status_code="101"} 1
				ws_handshake_duration_seconds_sum{http_response_status_code="101"} ~
				ws_io_bytes_total{network_io_direction="receive"} %[2]d
				ws_io_bytes_total{network_io_direction="transmit"} %[3]d
				ws_message_bytes_bucket{le="1024"} 1
				ws_message_bytes_bucket{le="16384"} 1
				ws_message_bytes_bucket{le="256"} 1
				ws_message_bytes_bucket{le="262144"} 1
				ws_message_bytes_bucket{le="4096"} 1
				ws_message_bytes_bucket{le="64"} 1
				ws_message_bytes_bucket{le="65536"} 1
				ws_message_bytes_count 1
				ws_message_bytes_sum 5
				ws_message_sent_bytes_bucket{le="1024"} 1
				ws_message_sent_bytes_bucket{le="16384"} 1
				ws_message_sent_bytes_bucket{le="256"} 1
				ws_message_sent_bytes_bucket{le="262144"} 1
				ws_message_sent_bytes_bucket{le="4096"} 1
				ws_message_sent_bytes_bucket{le="64"} 1
				ws_message_sent_bytes_bucket{le="65536"} 1
				ws_message_sent_bytes_count 1
				ws_message_sent_bytes_sum 5
				ws_write_time_seconds_total ~`, c.code, received, sent, idle))
		})
	}
}

// For compressed messages, the decoded sizes are those that Node's application sees.
func TestNodeDecoded(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithDecodedSizes())
	s := startServer(t, ws, coderEcho(&websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover}))
	message := strings.Repeat("to be or not to be ", 1000)
	if got := runNode(t, s.ws(), message, "ws.close(1000)"); got != "1000" {
		t.Errorf("Node's client sees code %s, want 1000", got)
	}
	s.wait(t)
	for _, sample := range []string{"ws_message_bytes_sum", "ws_message_sent_bytes_sum", decodedReceived, decodedSent} {
		m.Wait(t, sample, float64(len(message)))
	}
	for _, sample := range []string{wireReceived, wireSent} {
		if got, _ := m.Value(sample); got == 0 || got > float64(len(message)/10) {
			t.Errorf("%s is %v for a message of %d bytes", sample, got, len(message))
		}
	}
}

// Node compresses with an implementation other than Go's.
func TestNodeDeflate(t *testing.T) {
	ws, m := newInstrumentation(t)
	s := startServer(t, ws, coderEcho(&websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover}))
	message := strings.Repeat("to be or not to be ", 1000)
	if got := runNode(t, s.ws(), message, "ws.close(1000)"); got != "1000" {
		t.Errorf("Node's client sees code %s, want 1000", got)
	}
	s.wait(t)
	m.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
	m.Wait(t, "ws_message_bytes_count", 1)
	m.Wait(t, "ws_message_sent_bytes_count", 1)
	if got, _ := m.Value("ws_message_bytes_sum"); got == 0 || got > float64(len(message)/10) {
		t.Errorf("messages take %v bytes on the wire, and %d decoded", got, len(message))
	}
	if errors := protocolErrors(m.Changed()); errors != "" {
		t.Errorf("protocol errors were counted:\n%s", errors)
	}
}
