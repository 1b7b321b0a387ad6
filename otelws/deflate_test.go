package otelws_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/otelws"
)

// deflate compresses a message by RFC 7692 section 7.2.1.
func deflate(t *testing.T, message string) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(message)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
}

// If permessage-deflate was negotiated, RSV1 is no error, and sizes are the sizes on
// the wire. The test covers a library that answers through the ResponseWriter, and one
// that writes the response itself.
func TestDeflate(t *testing.T) {
	message := strings.Repeat("to be or not to be ", 100)
	compressed := deflate(t, message)
	coder := coderEcho(&websocket.AcceptOptions{CompressionMode: websocket.CompressionNoContextTakeover})
	for _, l := range []struct {
		name  string
		serve func(*testing.T, *otelws.Instrumentation) http.Handler
	}{
		{"coder", func(*testing.T, *otelws.Instrumentation) http.Handler { return coder }},
		{"gorilla", func(*testing.T, *otelws.Instrumentation) http.Handler {
			return gorillaEcho(&gorilla.Upgrader{EnableCompression: true})
		}},
		{"ReverseProxy", func(t *testing.T, ws *otelws.Instrumentation) http.Handler {
			return proxyTo(t, startServer(t, nil, coder), ws.Transport(newTransport(t)))
		}},
	} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t)
			s := startServer(t, ws, l.serve(t, ws))
			w := openWire(t, s,
				"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover")
			w.send(frames(masked(rsv1|opText, compressed[:10]), masked(fin|opContinuation, compressed[10:])))

			var sent, bytes, continuations int
			for {
				first, payload := w.next()
				sent += len(payload)
				bytes += len(unmasked(first, payload))
				if first&0xf == opContinuation {
					continuations++
				} else if first&rsv1 == 0 {
					t.Fatalf("the server does not compress: the first byte of its frame is %#x", first)
				}
				if first&fin != 0 {
					break
				}
			}
			w.send(masked(fin|opClose, closePayload(1000, "")))
			w.answer(fin|opClose, string(closePayload(1000, "")))
			_ = w.Close()
			s.wait(t)

			for sample, want := range map[string]int{
				`ws_connections_closed_total{code="1000"}`:                                 1,
				`ws_message_bytes_count`:                                                   1,
				`ws_message_bytes_sum`:                                                     len(compressed),
				`ws_message_sent_bytes_count`:                                              1,
				`ws_message_sent_bytes_sum`:                                                sent,
				`ws_frames_total{network_io_direction="receive",opcode="text"}`:            1,
				`ws_frames_total{network_io_direction="receive",opcode="continuation"}`:    1,
				`ws_frames_total{network_io_direction="transmit",opcode="text"}`:           1,
				`ws_frames_total{network_io_direction="transmit",opcode="continuation"}`:   continuations,
				`ws_io_bytes_total{network_io_direction="receive"}`:                        len(compressed) + 2*6 + 8,
				`ws_io_bytes_total{network_io_direction="transmit"}`:                       bytes + 4,
				`ws_protocol_errors_total{error_type="reserved_bits"}`:                     0,
				`ws_handshake_duration_seconds_count{http_response_status_code="101"}`:     1,
				`ws_connection_duration_seconds_count{code="1000",initiator="peer"}`:       1,
				fmt.Sprintf(`ws_message_bytes_bucket{le="%d"}`, bucketOf(len(compressed))): 1,
			} {
				m.Wait(t, sample, float64(want))
			}
			if errors := protocolErrors(m.Changed()); errors != "" {
				t.Errorf("protocol errors were counted:\n%s", errors)
			}
		})
	}
}

// bucketOf returns the upper bound of the bucket of a message of size bytes.
func bucketOf(size int) int {
	for bound := 64; ; bound *= 4 {
		if size <= bound {
			return bound
		}
	}
}

// protocolErrors returns the samples of protocol errors in a scrape.
func protocolErrors(scrape string) (lines string) {
	for line := range strings.Lines(scrape) {
		if strings.Contains(line, "protocol_errors") {
			lines += line
		}
	}
	return lines
}

// Both ends of a compressed connection, under one Instrumentation, agree: one end
// receives the bytes that the other sends.
func TestDeflateBothEnds(t *testing.T) {
	for _, mode := range []websocket.CompressionMode{
		websocket.CompressionContextTakeover, websocket.CompressionNoContextTakeover,
	} {
		ws, m := newInstrumentation(t)
		s := startServer(t, ws, coderEcho(&websocket.AcceptOptions{CompressionMode: mode}))
		ctx := t.Context()
		c, _, err := ws.Dial(ctx, s.ws(), &websocket.DialOptions{
			HTTPClient:      &http.Client{Transport: newTransport(t)},
			CompressionMode: mode,
		})
		if err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(readLimit)
		const n = 5
		size := 0
		for i := range n {
			message := strings.Repeat(fmt.Sprintf("message %d, ", i), 500*i+1)
			size += len(message)
			if err := c.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
				t.Fatal(err)
			}
			_, got, err := c.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != message {
				t.Fatalf("message %d came back as %.40q...", i, got)
			}
		}
		if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Fatal(err)
		}
		s.wait(t)

		value := func(sample string) int {
			v, _ := m.Value(sample)
			return int(v)
		}
		for a, b := range map[string]string{
			"ws_message_bytes_count":                             "ws_client_message_sent_bytes_count",
			"ws_message_bytes_sum":                               "ws_client_message_sent_bytes_sum",
			"ws_message_sent_bytes_count":                        "ws_client_message_bytes_count",
			"ws_message_sent_bytes_sum":                          "ws_client_message_bytes_sum",
			`ws_io_bytes_total{network_io_direction="receive"}`:  `ws_client_io_bytes_total{network_io_direction="transmit"}`,
			`ws_io_bytes_total{network_io_direction="transmit"}`: `ws_client_io_bytes_total{network_io_direction="receive"}`,
		} {
			if value(a) != value(b) {
				t.Errorf("the two ends differ: %s is %d, %s is %d", a, value(a), b, value(b))
			}
		}
		if got := value("ws_message_bytes_count"); got != n {
			t.Errorf("%d messages were counted, want %d", got, n)
		}
		if got := value("ws_message_bytes_sum"); got == 0 || got > size/10 {
			t.Errorf("messages take %d bytes on the wire, and %d decoded", got, size)
		}
		if errors := protocolErrors(m.Changed()); errors != "" {
			t.Errorf("protocol errors were counted:\n%s", errors)
		}
	}
}
