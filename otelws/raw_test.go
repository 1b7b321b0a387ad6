package otelws_test

import (
	"bytes"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	gorilla "github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/otelws"
)

// rawCase holds the bytes that a client sends between the handshake and the end of its
// direction.
type rawCase struct {
	name string
	sent []byte

	// extension is true if the client offers permessage-deflate.
	extension bool

	// whole is true if the server reads on after the end of the connection. How far
	// depends on the network, so the bytes are not split.
	whole bool
}

// reserved are frames with bits or opcodes that RFC 6455 section 5.2 reserves.
var reserved = []rawCase{
	{name: "opcode 0x3", sent: masked(fin|0x3, "")},
	{name: "opcode 0x7", sent: masked(fin|0x7, "")},
	{name: "opcode 0xb", sent: masked(fin|0xb, "")},
	{name: "opcode 0xf", sent: masked(fin|0xf, "")},
	{name: "RSV1", sent: masked(fin|rsv1|opText, "")},
	{name: "RSV2", sent: masked(fin|rsv2|opText, "")},
	{name: "RSV3", sent: masked(fin|rsv3|opText, "")},
	{name: "RSV1 on a ping", sent: masked(fin|rsv1|opPing, "")},
	{name: "RSV1 after a message", sent: frames(masked(fin|opText, "hello"), masked(fin|rsv1|opText, ""))},
	{name: "deflate, RSV1 on a continuation", extension: true,
		sent: frames(masked(opText, "hel"), masked(fin|rsv1|opContinuation, ""))},
	{name: "deflate, RSV1 on a ping", extension: true, sent: masked(fin|rsv1|opPing, "")},
	{name: "deflate, RSV2", extension: true, sent: masked(fin|rsv2|opText, "")},
	{name: "deflate, not used", extension: true, sent: masked(fin|opText, "hello")},
}

var lengths = []rawCase{
	{name: "7 bits, 0", sent: masked(fin|opText, "")},
	{name: "7 bits, 125", sent: masked(fin|opBinary, make([]byte, 125))},
	{name: "16 bits, 126", sent: masked(fin|opBinary, make([]byte, 126))},
	{name: "16 bits, 65535", sent: masked(fin|opBinary, make([]byte, math.MaxUint16))},
	{name: "64 bits, 65536", sent: masked(fin|opBinary, make([]byte, math.MaxUint16+1))},
	{name: "16 bits, 5", sent: maskedAs(fin|opText, length16, maskKey, "hello")},
	{name: "64 bits, 5", sent: maskedAs(fin|opText, length64, maskKey, "hello")},
	{name: "2^63-1", sent: frames(frameHeader(fin|opBinary, length64, math.MaxInt64, maskKey), []byte("hello"))},
	{name: "2^63-1 in fragments", sent: frames(
		masked(opBinary, "hello"), frameHeader(fin|opContinuation, length64, math.MaxInt64, maskKey), []byte("hello"))},
	{name: "2^63", whole: true, sent: frameHeader(fin|opBinary, length64, 1<<63, maskKey)},
	{name: "2^64-1", whole: true, sent: frameHeader(fin|opBinary, length64, math.MaxUint64, maskKey)},
	{name: "above the read limit", sent: frames(
		frameHeader(fin|opBinary, length64, 10*readLimit, maskKey), make([]byte, readLimit+1))},
}

var messages = []rawCase{
	{name: "nothing"},
	{name: "half a header", sent: masked(fin|opText, "hello")[:3]},
	{name: "half a payload", sent: masked(fin|opText, "hello")[:8]},
	{name: "text and binary", sent: frames(masked(fin|opText, "hello"), masked(fin|opBinary, "\x00\x01\x02"))},
	{name: "text that is no UTF-8", sent: masked(fin|opText, "\xff\xfe\xc0")},
	{name: "a key of zeros", sent: maskedAs(fin|opText, length7, make([]byte, 4), "hello")},
	{name: "fragments", sent: frames(masked(opText, "he"), masked(opContinuation, "ll"), masked(fin|opContinuation, "o"))},
	{name: "empty fragments", sent: frames(masked(opText, ""), masked(opContinuation, ""), masked(fin|opContinuation, ""))},
	{name: "half of a last fragment", sent: frames(masked(opText, "he"), masked(fin|opContinuation, "llo")[:7])},
	{name: "control frames between fragments", sent: frames(
		masked(opText, "he"), masked(fin|opPing, "1"), masked(opContinuation, "ll"),
		masked(fin|opPong, "unasked"), masked(fin|opPing, ""), masked(fin|opContinuation, "o"))},
	{name: "a close between fragments", sent: frames(masked(opText, "he"), masked(fin|opClose, closePayload(1000, "")))},
	{name: "a ping of 125 bytes", sent: masked(fin|opPing, make([]byte, 125))},
	{name: "frames after a close", whole: true, sent: frames(
		masked(fin|opClose, closePayload(1001, "")), masked(fin|opText, "hello"), masked(fin|opClose, closePayload(1000, "")))},
}

var violations = []rawCase{
	{name: "unmasked", sent: unmasked(fin|opText, "")},
	{name: "unmasked after a message", sent: frames(masked(fin|opText, "hello"), unmasked(fin|opText, ""))},
	{name: "a ping of 126 bytes", sent: frameHeader(fin|opPing, length16, 126, maskKey)},
	{name: "a close of 126 bytes", sent: frameHeader(fin|opClose, length16, 126, maskKey)},
	{name: "a ping of 2^63-1 bytes", sent: frameHeader(fin|opPing, length64, math.MaxInt64, maskKey)},
	{name: "a ping in fragments", sent: masked(opPing, "")},
	{name: "a close in fragments", sent: masked(opClose, "")},
	{name: "a continuation of nothing", sent: masked(fin|opContinuation, "")},
	{name: "a continuation of a whole message", sent: frames(masked(fin|opText, "hello"), masked(opContinuation, ""))},
	{name: "a message inside a message", sent: frames(masked(opText, "he"), masked(fin|opBinary, ""))},
	{name: "a tunnel", whole: true, sent: []byte("SSH-2.0-OpenSSH_9.9\r\n")},
	{name: "an HTTP request", whole: true, sent: []byte("GET / HTTP/1.1\r\nHost: test\r\n\r\n")},
}

var closes = []rawCase{
	{name: "no code", sent: masked(fin|opClose, "")},
	{name: "one byte", sent: masked(fin|opClose, "\x03")},
	{name: "0", sent: masked(fin|opClose, closePayload(0, ""))},
	{name: "999", sent: masked(fin|opClose, closePayload(999, ""))},
	{name: "1000", sent: masked(fin|opClose, closePayload(1000, ""))},
	{name: "1000 with a reason", sent: masked(fin|opClose, closePayload(1000, "bye"))},
	{name: "1000 with a reason of 123 bytes", sent: masked(fin|opClose, closePayload(1000, strings.Repeat("x", 123)))},
	{name: "1000 with a reason that is no UTF-8", sent: masked(fin|opClose, closePayload(1000, "\xff\xfe"))},
	{name: "1004", sent: masked(fin|opClose, closePayload(1004, ""))},
	{name: "1005", sent: masked(fin|opClose, closePayload(1005, ""))},
	{name: "1006", sent: masked(fin|opClose, closePayload(1006, ""))},
	{name: "1014", sent: masked(fin|opClose, closePayload(1014, ""))},
	{name: "1015", sent: masked(fin|opClose, closePayload(1015, ""))},
	{name: "2999", sent: masked(fin|opClose, closePayload(2999, ""))},
	{name: "3000", sent: masked(fin|opClose, closePayload(3000, ""))},
	{name: "3777", sent: masked(fin|opClose, closePayload(3777, ""))},
	{name: "4001, declared", sent: masked(fin|opClose, closePayload(4001, ""))},
	{name: "4999", sent: masked(fin|opClose, closePayload(4999, ""))},
	{name: "5000", sent: masked(fin|opClose, closePayload(5000, ""))},
	{name: "65535", sent: masked(fin|opClose, closePayload(65535, ""))},
}

func TestRawMessages(t *testing.T)   { testRaw(t, "raw_messages.txt", messages) }
func TestRawLengths(t *testing.T)    { testRaw(t, "raw_lengths.txt", lengths) }
func TestRawReserved(t *testing.T)   { testRaw(t, "raw_reserved.txt", reserved) }
func TestRawViolations(t *testing.T) { testRaw(t, "raw_violations.txt", violations) }
func TestRawCloses(t *testing.T)     { testRaw(t, "raw_closes.txt", closes) }

// testRaw checks that an echo server gives the same answers with the tap and without
// it. The metrics must be those of the golden file, however the bytes are split.
func testRaw(t *testing.T, file string, cases []rawCase) {
	g := openCases(t, file)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := c.run(t, nil, false)
			for _, split := range []bool{false, true} {
				if split && c.whole {
					continue
				}
				ws, m := newInstrumentation(t, otelws.WithCloseCodes(4001))
				got := c.run(t, ws, split)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("the server's answers differ (-without the tap +with it, split %v):\n%s", split, diff)
				}
				g.expect(t, m, c.name)
			}
		})
	}
}

// run returns all bytes that the server sends. If split is true, each byte is sent and
// read by itself.
func (c *rawCase) run(t *testing.T, ws *otelws.Instrumentation, split bool) string {
	var opts websocket.AcceptOptions
	var lines []string
	if c.extension {
		opts.CompressionMode = websocket.CompressionContextTakeover
		lines = append(lines, "Sec-WebSocket-Extensions: permessage-deflate")
	}
	var setup []func(*httptest.Server)
	if split {
		setup = append(setup, slowly)
	}
	s := startServer(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		coderEcho(&opts)(w, r)
	}), setup...)
	w := connectWire(t, s)
	w.send(handshakeRequest(lines...))

	// A write may fail, if the server has hung up before it reads all bytes.
	head := w.head()
	if split {
		for b := range bytes.SplitSeq(c.sent, nil) {
			_, _ = w.Write(b)
		}
	} else {
		_, _ = w.Write(c.sent)
	}
	w.shut()
	rest := w.rest()
	s.wait(t)
	return head + string(rest)
}

// A server may hang up at the second byte of a frame, before the header is complete.
// The tap must already know these violations by then.
func TestRawHangUp(t *testing.T) {
	for _, c := range []struct {
		name  string
		frame []byte
		want  string
	}{
		{"RSV1", masked(fin|rsv1|opText, "hello"), "reserved_bits"},
		{"opcode 0x3", masked(fin|0x3, "hello"), "reserved_opcode"},
		{"a ping in fragments", masked(opPing, "hello"), "control_frame"},
		{"a continuation of nothing", masked(fin|opContinuation, "hello"), "fragmentation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t)
			s := startServer(t, ws, gorillaEcho(&gorilla.Upgrader{}), slowly)
			w := openWire(t, s)
			w.send(c.frame)
			w.rest()
			s.wait(t)
			m.Wait(t, `ws_connections_closed_total{code="1002"}`, 1)
			if got, _ := m.Value(`ws_protocol_errors_total{error_type="` + c.want + `"}`); got != 1 {
				t.Errorf("%v protocol errors of type %s, want 1", got, c.want)
			}
		})
	}
}
