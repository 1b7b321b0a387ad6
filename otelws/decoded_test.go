package otelws_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// expectValues waits until the samples have the values of want, and else fails the
// test.
func expectValues(t *testing.T, m *otelwstest.Metrics, want map[string]int) {
	t.Helper()
	for sample, v := range want {
		m.Wait(t, sample, float64(v))
	}
}

const (
	wireReceived    = `ws_compression_wire_bytes_total{network_io_direction="receive"}`
	wireSent        = `ws_compression_wire_bytes_total{network_io_direction="transmit"}`
	decodedReceived = `ws_compression_decoded_bytes_total{network_io_direction="receive"}`
	decodedSent     = `ws_compression_decoded_bytes_total{network_io_direction="transmit"}`
)

// Both ends of a connection record the sizes of messages as their applications see
// them, however the library compresses and fragments.
func TestDecodedBothEnds(t *testing.T) {
	for _, mode := range []websocket.CompressionMode{
		websocket.CompressionContextTakeover, websocket.CompressionNoContextTakeover, websocket.CompressionDisabled,
	} {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t, otelws.WithDecodedSizes())
			ctx := t.Context()
			s := startServer(t, ws, coderEcho(&websocket.AcceptOptions{CompressionMode: mode}))
			c, _, err := ws.Dial(ctx, s.ws(), &websocket.DialOptions{
				HTTPClient:      &http.Client{Transport: newTransport(t)},
				CompressionMode: mode,
			})
			if err != nil {
				t.Fatal(err)
			}
			c.SetReadLimit(readLimit)
			random := rand.NewChaCha8([32]byte{})
			size := 0
			for _, n := range []int{0, 1, 100, 600, 5_000, readLimit / 2, 300} {
				message := bytes.Repeat([]byte("to be or not to be "), n/19+1)[:n]
				_, _ = random.Read(message[n/2:])
				size += n
				// coder/websocket makes frames of each piece.
				w, err := c.Writer(ctx, websocket.MessageBinary)
				if err != nil {
					t.Fatal(err)
				}
				for _, piece := range [][]byte{message[:n/3], message[n/3:]} {
					if _, err := w.Write(piece); err != nil {
						t.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				_, got, err := c.Read(ctx)
				if err != nil || !bytes.Equal(got, message) {
					t.Fatalf("message of %d came back as one of %d, %v", n, len(got), err)
				}
			}
			if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Fatal(err)
			}
			s.wait(t)
			for _, name := range []string{"ws_message", "ws_message_sent", "ws_client_message", "ws_client_message_sent"} {
				m.Wait(t, name+"_bytes_sum", float64(size))
				m.Wait(t, name+"_bytes_count", 7)
			}
			value := func(sample string) float64 {
				v, ok := m.Value(sample)
				if !ok {
					t.Errorf("the scrape has no sample %s", sample)
				}
				return v
			}
			for _, end := range []string{"ws_", "ws_client_"} {
				for _, direction := range []string{"receive", "transmit"} {
					labels := `_bytes_total{network_io_direction="` + direction + `"}`
					wire, decoded := value(end+"compression_wire"+labels), value(end+"compression_decoded"+labels)
					if mode == websocket.CompressionDisabled {
						if wire != 0 || decoded != 0 {
							t.Errorf("%s %s: counted %v bytes on the wire and %v decoded, though compression is off", end, direction, wire, decoded)
						}
						continue
					}
					// coder/websocket does not compress messages below its threshold.
					if wire < float64(size)/2 || wire > decoded*.7 || decoded > float64(size) || decoded < float64(size)-2000 {
						t.Errorf("%s %s: %v bytes on the wire decode to %v, for messages of %d", end, direction, wire, decoded, size)
					}
				}
			}
			for _, pair := range [][2]string{
				{wireReceived, `ws_client_compression_wire_bytes_total{network_io_direction="transmit"}`},
				{wireSent, `ws_client_compression_wire_bytes_total{network_io_direction="receive"}`},
				{decodedReceived, `ws_client_compression_decoded_bytes_total{network_io_direction="transmit"}`},
				{decodedSent, `ws_client_compression_decoded_bytes_total{network_io_direction="receive"}`},
			} {
				if a, b := value(pair[0]), value(pair[1]); a != b {
					t.Errorf("the two ends differ: %s is %v, %s is %v", pair[0], a, pair[1], b)
				}
			}
		})
	}
}

const permessageDeflate = "permessage-deflate"

// bareServer is a server without a library. It agrees to extensions even if the client
// did not offer them, sends writes, and accepts whatever the client sends.
func bareServer(extensions string, writes ...[]byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		head := strings.TrimSuffix(switchingHead, "\r\n") + "Sec-WebSocket-Extensions: " + extensions + "\r\n\r\n"
		for _, b := range append([][]byte{[]byte(head)}, writes...) {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
		_, _ = io.Copy(io.Discard, c)
	}
}

// The server reads messages of a client without a library, in whole reads and byte by
// byte.
func TestDecodedReceived(t *testing.T) {
	message := strings.Repeat("to be or not to be ", 100)
	compressed := deflate(t, message)
	n := len(compressed)
	for _, tt := range []struct {
		name  string
		sent  []byte
		count int // number of messages
		sizes int // sum of their sizes
		wire  int // bytes of the compressed messages on the wire
		size  int // their bytes when decoded
	}{
		{"one frame", masked(fin|rsv1|opText, compressed), 1, len(message), n, len(message)},
		{"two in one read", frames(masked(fin|rsv1|opText, compressed), masked(fin|rsv1|opText, compressed)),
			2, 2 * len(message), 2 * n, 2 * len(message)},
		{"fragments with a ping between", frames(masked(rsv1|opText, compressed[:7]), masked(fin|opPing, "ping"),
			masked(opContinuation, ""), masked(opContinuation, compressed[7:10]), masked(fin|opContinuation, compressed[10:])),
			1, len(message), n, len(message)},
		{"not compressed", masked(fin|opText, message), 1, len(message), 0, 0},
		{"not compressed, but the same bytes", frames(masked(opBinary, compressed[:7]), masked(fin|opContinuation, compressed[7:])),
			1, n, 0, 0},
		{"by turns", frames(masked(fin|opText, "hello"), masked(fin|rsv1|opText, compressed), masked(fin|opText, "hello")),
			3, len(message) + 10, n, len(message)},
		{"not compressed in fragments, after one that is", frames(masked(fin|rsv1|opText, compressed),
			masked(opText, "hel"), masked(fin|opContinuation, "lo")), 2, len(message) + 5, n, len(message)},
		{"an empty message", masked(fin|rsv1|opText, "\x00"), 1, 0, 1, 0},
		{"invalid", masked(fin|rsv1|opText, "\xff\xff\xff"), 1, 3, 0, 0},
		{"cut off", masked(fin|rsv1|opText, compressed[:n-3]), 1, n - 3, 0, 0},
		{"valid, then invalid", frames(masked(fin|rsv1|opText, compressed), masked(fin|rsv1|opText, "\xff\xff\xff")),
			2, len(message) + 3, n, len(message)},
		{"not ended", frames(masked(fin|opText, "hello"), masked(rsv1|opText, compressed)), 1, 5, 0, 0},
	} {
		for mode, setup := range map[string][]func(*httptest.Server){"": nil, "split": {slowly}, "with kinds": nil} {
			t.Run(fmt.Sprintf("%s, %s", tt.name, mode), func(t *testing.T) {
				t.Parallel()
				opts := []otelws.Option{otelws.WithDecodedSizes()}
				if mode == "with kinds" {
					opts = append(opts, byType)
				}
				ws, m := newInstrumentation(t, opts...)
				s := startServer(t, ws, bareServer(permessageDeflate), setup...)
				w := openWire(t, s)
				w.send(tt.sent)
				w.shut()
				s.wait(t)
				expectValues(t, m, map[string]int{
					"ws_message_bytes_count": tt.count,
					"ws_message_bytes_sum":   tt.sizes,
					wireReceived:             tt.wire,
					decodedReceived:          tt.size,
					wireSent:                 0,
					decodedSent:              0,
				})
			})
		}
	}
}

// The server writes several frames in one Write, and one frame in several.
func TestDecodedSent(t *testing.T) {
	message := strings.Repeat("to be or not to be ", 100)
	other := strings.Repeat("that is the question ", 50)
	a, b := deflate(t, message), deflate(t, other)
	all := frames(unmasked(fin|rsv1|opText, a), unmasked(fin|opText, "hello"), unmasked(rsv1|opText, b[:9]), unmasked(fin|opPing, ""),
		unmasked(fin|opContinuation, b[9:]), unmasked(fin|rsv1|opText, "\xff\xff\xff"), unmasked(fin|rsv1|opText, a))
	for _, step := range []int{1, 2, 7, len(a) + 2, len(a) + 2 + 7 + 4, 150, len(all)} {
		t.Run(fmt.Sprintf("%d bytes a write", step), func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t, otelws.WithDecodedSizes())
			var writes [][]byte
			for rest := all; len(rest) > 0; {
				n := min(step, len(rest))
				writes, rest = append(writes, rest[:n]), rest[n:]
			}
			s := startServer(t, ws, bareServer(permessageDeflate, writes...))
			w := openWire(t, s)
			w.shut()
			w.rest()
			s.wait(t)
			expectValues(t, m, map[string]int{
				"ws_message_sent_bytes_count": 5,
				"ws_message_sent_bytes_sum":   2*len(message) + len(other) + 5 + 3,
				wireSent:                      2*len(a) + len(b),
				decodedSent:                   2*len(message) + len(other),
				wireReceived:                  0,
				decodedReceived:               0,
			})
		})
	}
}

// Under another extension a payload need not be DEFLATE.
func TestDecodedOtherExtension(t *testing.T) {
	compressed := deflate(t, strings.Repeat("to be or not to be ", 100))
	for _, extensions := range []string{"x-other", "permessage-deflate, x-other"} {
		ws, m := newInstrumentation(t, otelws.WithDecodedSizes())
		s := startServer(t, ws, bareServer(extensions, unmasked(fin|rsv1|opText, compressed)))
		w := openWire(t, s)
		w.send(masked(fin|rsv1|opText, compressed))
		w.shut()
		w.rest()
		s.wait(t)
		expectValues(t, m, map[string]int{
			"ws_message_bytes_sum":      len(compressed),
			"ws_message_sent_bytes_sum": len(compressed),
			wireReceived:                0,
			decodedReceived:             0,
			wireSent:                    0,
			decodedSent:                 0,
		})
	}
}

// Without the option there are no counters, and sizes are the sizes on the wire
// (TestDeflate).
func TestDecodedOff(t *testing.T) {
	_, m := newInstrumentation(t)
	if v, ok := m.Value(wireReceived); ok {
		t.Errorf("without the option, %s is %v", wireReceived, v)
	}
}

// The golden file has names, types, units and descriptions of the option's metrics, for
// both sides.
func TestDecodedScrape(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithDecodedSizes())
	everything(t, ws, m)
	var b strings.Builder
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	var added strings.Builder
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, "compression") {
			added.WriteString(line)
		}
	}
	golden(t, "scrape_decoded.txt", added.String())
}

// FuzzDecoded sends messages of any data, compressed at any level, in two fragments and
// in Writes of any size.
func FuzzDecoded(f *testing.F) {
	f.Add([]byte("to be or not to be"), 1, uint(5), uint(3), uint(9))
	f.Add([]byte{}, 6, uint(0), uint(0), uint(1))
	f.Add(bytes.Repeat([]byte("that is the question "), 300), flate.HuffmanOnly, uint(1), uint(4000), uint(50))
	f.Fuzz(func(t *testing.T, data []byte, level int, cut, flush, step uint) {
		if len(data) > 1<<14 {
			t.Skip()
		}
		var b bytes.Buffer
		z, err := flate.NewWriter(&b, max(level%10, flate.HuffmanOnly))
		if err != nil {
			t.Fatal(err)
		}
		at := int(flush % uint(len(data)+1))
		for _, p := range [][]byte{data[:at], data[at:]} {
			_, _ = z.Write(p)
			_ = z.Flush()
		}
		payload := bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
		i := int(cut % uint(len(payload)+1))
		stream := frames(unmasked(rsv1|opBinary, payload[:i]), unmasked(fin|opContinuation, payload[i:]),
			unmasked(fin|rsv1|opBinary, payload), unmasked(fin|opBinary, data))
		n := int(step%uint(len(stream))) + 1
		n = max(n, len(stream)/100) // at most 100 Writes, so that long data stays quick
		var writes [][]byte
		for rest := stream; len(rest) > 0; {
			k := min(n, len(rest))
			writes, rest = append(writes, rest[:k]), rest[k:]
		}

		ws, m := newInstrumentation(t, otelws.WithDecodedSizes())
		s := startServer(t, ws, bareServer(permessageDeflate, writes...))
		w := openWire(t, s)
		w.shut()
		w.rest()
		s.wait(t)
		for sample, want := range map[string]int{
			"ws_message_sent_bytes_count": 3,
			"ws_message_sent_bytes_sum":   3 * len(data),
			wireSent:                      2 * len(payload),
			decodedSent:                   2 * len(data),
		} {
			if got, _ := m.Value(sample); got != float64(want) {
				t.Errorf("%s is %v, want %d", sample, got, want)
			}
		}
	})
}
