package proxy_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	gorilla "github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/cmd/otelws/internal/proxy"
)

// conformanceCase is the behaviour of a client. The server's answers up to the end
// must be the same with and without the proxy. A name begins with the group of the
// Autobahn test suite that the case belongs to.
type conformanceCase struct {
	name   string
	chunks [][]byte // written one by one
	pieces int      // if not 0, the size of each write
	lines  []string // of the handshake
	stop   bool     // the client sends no close frame, so the server must end the connection
}

func say(name string, chunks ...[]byte) conformanceCase {
	return conformanceCase{name: name, chunks: chunks}
}

// then adds a normal close frame.
func then(c conformanceCase) conformanceCase {
	c.chunks = append(c.chunks, frame(fin|opClose, closing(1000, "")))
	return c
}

func (c conformanceCase) cut(pieces int) conformanceCase {
	c.pieces = pieces
	c.name += fmt.Sprintf(" in pieces of %d", pieces)
	return c
}

// violates returns a case in which the server must end the connection.
func violates(name string, chunks ...[]byte) conformanceCase {
	c := say(name, chunks...)
	c.stop = true
	return c
}

const greek = "κόσμε"

func conformanceCases() []conformanceCase {
	var cases []conformanceCase
	add := func(cs ...conformanceCase) { cases = append(cases, cs...) }
	random := rand.NewChaCha8([32]byte{})
	noise := func(n int) []byte {
		b := make([]byte, n)
		_, _ = random.Read(b)
		return b
	}

	for group, op := range map[string]byte{"1.1": opText, "1.2": opBinary} {
		for i, n := range []int{0, 125, 126, 127, 128, 65535, 65536} {
			add(then(say(fmt.Sprintf("%s.%d %d bytes", group, i+1, n), frame(fin|op, strings.Repeat("*", n)))))
		}
		add(then(say(group+".8 65536 bytes", frame(fin|op, strings.Repeat("*", 65536)))).cut(997))
	}

	add(
		then(say("2.1 empty ping", frame(fin|opPing, ""))),
		then(say("2.2 ping", frame(fin|opPing, "hello"))),
		then(say("2.3 binary ping", frame(fin|opPing, "\x00\xff\xfe\xfd"))),
		then(say("2.4 ping of 125", frame(fin|opPing, noise(125)))),
		violates("2.5 ping of 126", frame(fin|opPing, noise(126))),
		then(say("2.6 ping of 125", frame(fin|opPing, noise(125)))).cut(1),
		then(say("2.7 unsolicited pong", frame(fin|opPong, ""))),
		then(say("2.8 unsolicited pong with payload", frame(fin|opPong, "hello"))),
		then(say("2.9 unsolicited pong and ping", frame(fin|opPong, "x"), frame(fin|opPing, "y"))),
		then(say("2.10 ten pings", bytes.Repeat(frame(fin|opPing, "payload"), 10))),
		then(say("2.11 ten pings", bytes.Repeat(frame(fin|opPing, "payload"), 10))).cut(1),
	)

	for i, bits := range []byte{rsv1, rsv2, rsv1 | rsv2, rsv3, rsv1 | rsv3, rsv2 | rsv3, rsv1 | rsv2 | rsv3} {
		first := frame(fin|opText, "hello")
		add(
			violates(fmt.Sprintf("3.%d reserved bits %#x", i+1, bits), first, frame(fin|bits|opText, "hello")),
			violates(fmt.Sprintf("3.%d reserved bits %#x on a ping", i+1, bits), first, frame(fin|bits|opPing, "hello")),
		)
	}

	for i, op := range []byte{3, 4, 5, 6, 7} {
		add(violates(fmt.Sprintf("4.1.%d opcode %d", i+1, op), frame(fin|opText, "hello"), frame(fin|op, "x")))
	}
	for i, op := range []byte{11, 12, 13, 14, 15} {
		add(violates(fmt.Sprintf("4.2.%d opcode %d", i+1, op), frame(fin|opText, "hello"), frame(fin|op, "x")))
	}

	add(
		violates("5.1 ping in fragments", frame(opPing, "a"), frame(fin|opContinuation, "b")),
		violates("5.2 pong in fragments", frame(opPong, "a"), frame(fin|opContinuation, "b")),
		then(say("5.3 text in two fragments", frame(opText, "a"), frame(fin|opContinuation, "b"))),
		then(say("5.5 text in two fragments", frame(opText, "a"), frame(fin|opContinuation, "b"))).cut(1),
		then(say("5.6 ping between fragments", frame(opText, "a"), frame(fin|opPing, "p"), frame(fin|opContinuation, "b"))),
		then(say("5.8 ping between fragments", frame(opText, "a"), frame(fin|opPing, "p"), frame(fin|opContinuation, "b"))).cut(1),
		violates("5.9 continuation of nothing", frame(fin|opContinuation, "a"), frame(fin|opText, "b")),
		violates("5.12 continuation of nothing, not final", frame(opContinuation, "a"), frame(fin|opText, "b")),
		violates("5.15 continuation after the end", frame(opText, "a"), frame(fin|opContinuation, "b"), frame(opContinuation, "c")),
		violates("5.18 text in text", frame(opText, "a"), frame(fin|opText, "b")),
		then(say("5.19 fragments with pings", frame(opText, "1"), frame(opContinuation, "2"), frame(fin|opPing, "p"),
			frame(opContinuation, "3"), frame(opContinuation, "4"), frame(fin|opPing, "q"), frame(fin|opContinuation, "5"))),
	)

	add(
		then(say("6.1.1 empty text", frame(fin|opText, ""))),
		then(say("6.1.2 empty fragments", frame(opText, ""), frame(opContinuation, ""), frame(fin|opContinuation, ""))),
		then(say("6.2.1 utf-8", frame(fin|opText, "Hello-µ@ßöäüàá-UTF-8!!"))),
		then(say("6.2.2 utf-8 in fragments", frame(opText, "Hello-µ@ßöä"), frame(fin|opContinuation, "üàá-UTF-8!!"))),
		then(say("6.2.4 "+greek, frame(fin|opText, greek))).cut(1),
	)
	for i, text := range []string{
		"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", // a surrogate
		"\xf8\x88\x80\x80\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xf4\x90\x80\x80", "\xff", "\xce",
	} {
		// Not every server checks this. The proxy must not hide that either.
		add(then(say(fmt.Sprintf("6.3.%d invalid utf-8 %q", i+1, text), frame(fin|opText, text))))
	}

	add(
		then(say("7.1.1 text and close", frame(fin|opText, "hello"))),
		say("7.1.2 two closes", frame(fin|opClose, closing(1000, "")), frame(fin|opClose, closing(1000, ""))),
		say("7.1.3 ping after close", frame(fin|opClose, closing(1000, "")), frame(fin|opPing, "")),
		say("7.1.4 text after close", frame(fin|opClose, closing(1000, "")), frame(fin|opText, "late")),
		say("7.1.5 close between fragments", frame(opText, "a"), frame(fin|opClose, closing(1000, "")), frame(fin|opContinuation, "b")),
		then(say("7.1.6 256 KiB and close", frame(fin|opText, strings.Repeat("*", 256<<10)))),
		say("7.3.1 empty close", frame(fin|opClose, "")),
		violates("7.3.2 close of one byte", frame(fin|opClose, "\x03")),
		say("7.3.3 close with a code", frame(fin|opClose, closing(1000, ""))),
		say("7.3.4 close with a reason", frame(fin|opClose, closing(1000, "bye"))),
		say("7.3.5 close with the longest reason", frame(fin|opClose, closing(1000, strings.Repeat("*", 123)))),
		violates("7.3.6 close with too long a reason", frame(fin|opClose, closing(1000, strings.Repeat("*", 124)))),
		say("7.5.1 close with invalid utf-8", frame(fin|opClose, closing(1000, "\xce\xba\xed\xa0\x80"))),
	)
	for i, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999} {
		add(say(fmt.Sprintf("7.7.%d close %d", i+1, code), frame(fin|opClose, closing(code, ""))))
	}
	for i, code := range []int{0, 999, 1004, 1005, 1006, 1014, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		add(violates(fmt.Sprintf("7.9.%d close %d", i+1, code), frame(fin|opClose, closing(code, ""))))
	}

	for i, n := range []int{64 << 10, 256 << 10, 1 << 20, 4 << 20} {
		add(then(say(fmt.Sprintf("9.2.%d binary of %d KiB", i+1, n>>10), frame(fin|opBinary, noise(n)))))
	}
	message := noise(1 << 20)
	for i, n := range []int{1 << 10, 64 << 10, 512 << 10} {
		chunks := [][]byte{frame(opBinary, "")}
		for part := range slices.Chunk(message, n) {
			chunks = append(chunks, frame(opContinuation, part))
		}
		add(then(say(fmt.Sprintf("9.4.%d binary of 1 MiB in frames of %d", i+1, n), append(chunks, frame(fin|opContinuation, ""))...)))
	}
	add(
		then(say("9.6.1 binary of 64 KiB", frame(fin|opBinary, noise(64<<10)))).cut(64),
		violates("9.9 above the server's limit", frame(fin|opBinary, make([]byte, conformanceLimit+1))),
		then(say("9.7.1 a thousand short messages", bytes.Repeat(frame(fin|opText, "short"), 1000))),
	)

	cases = append(cases, compressedCases()...)
	add(
		violates("10.1 unmasked", appendFrame(fin|opText, nil, []byte("hello"))),
		violates("10.2 no websocket", []byte("GET / HTTP/1.1\r\nHost: test\r\n\r\n")),
		say("10.3 the client leaves", frame(fin|opText, "hello")),
		say("10.4 the client leaves within a frame", frame(fin|opText, "hello")[:7]),
	)
	return cases
}

// compressedCases are for a server that accepts permessage-deflate.
func compressedCases() (cases []conformanceCase) {
	offers := []string{
		"permessage-deflate",
		"permessage-deflate; client_no_context_takeover; server_no_context_takeover",
		"permessage-deflate; client_max_window_bits",
		"permessage-deflate; server_max_window_bits=9, permessage-deflate",
		"permessage-bzip2, permessage-deflate",
	}
	for i, offer := range offers {
		for j, n := range []int{0, 64, 1024, 8192, 128 << 10} {
			text := strings.Repeat("to be or not to be ", n/19+1)[:n]
			c := then(say(fmt.Sprintf("12.%d.%d deflate of %d bytes", i+1, j+1, n), frame(fin|rsv1|opText, deflate(text))))
			c.lines = []string{"Sec-WebSocket-Extensions: " + offer}
			cases = append(cases, c)
		}
	}
	half := deflate("hello, hello")
	more := []conformanceCase{
		then(say("12.6.1 compressed fragments", frame(rsv1|opText, half[:3]), frame(fin|opContinuation, half[3:]))),
		then(say("12.6.2 not compressed", frame(fin|opText, "plain"))),
		say("12.6.3 RSV1 on a continuation", frame(rsv1|opText, half[:3]), frame(fin|rsv1|opContinuation, half[3:])),
		violates("12.6.4 nonsense", frame(fin|rsv1|opText, "\xff\xff\xff\xff")),
		say("13.1 RSV1 on a ping", frame(fin|rsv1|opPing, "x")),
	}
	for _, c := range more {
		c.lines = []string{"Sec-WebSocket-Extensions: " + offers[1]}
		cases = append(cases, c)
	}
	return cases
}

func deflate(text string) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestSpeed)
	_, _ = io.WriteString(w, text)
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
}

const conformanceLimit = 5 << 20

// The second server is lenient: it accepts frames that a strict server refuses.
var conformanceServers = []struct {
	name  string
	serve http.HandlerFunc
}{
	{"coder", coderEcho},
	{"gorilla", gorillaEcho},
}

func coderEcho(w http.ResponseWriter, r *http.Request) {
	w.Header()["Date"] = nil
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		CompressionMode:    websocket.CompressionNoContextTakeover,
		Subprotocols:       []string{"chat.v1", "chat.v2"},
		InsecureSkipVerify: true,
	})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(conformanceLimit)
	for {
		typ, b, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), typ, b); err != nil {
			return
		}
	}
}

func gorillaEcho(w http.ResponseWriter, r *http.Request) {
	u := gorilla.Upgrader{EnableCompression: true, CheckOrigin: func(*http.Request) bool { return true }}
	c, err := u.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	c.SetReadLimit(conformanceLimit)
	for {
		typ, b, err := c.ReadMessage()
		if err != nil {
			return
		}
		if err := c.WriteMessage(typ, b); err != nil {
			return
		}
	}
}

// outcome returns the head of the response and all bytes that follow.
func (c *conformanceCase) outcome(t *testing.T, address string) string {
	t.Helper()
	w := dialWire(t, address)
	w.send(t, []byte(handshake("/", c.lines...)))
	resp := w.response(t)
	head := resp.Status
	for _, name := range []string{"Connection", "Upgrade", "Sec-Websocket-Accept", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol"} {
		head += fmt.Sprintf("\n%s: %q", name, resp.Header[name])
	}

	heard := make(chan string, 1)
	go func() { heard <- w.transcript() }()
	// A strict server closes the connection early. Then the remaining writes may
	// fail.
	for _, chunk := range c.chunks {
		size := c.pieces
		if size == 0 {
			size = len(chunk)
		}
		for piece := range slices.Chunk(chunk, size) {
			_, _ = w.Write(piece)
		}
	}
	if !c.stop {
		_ = w.Conn.(closeWriter).CloseWrite()
	}
	return head + "\n" + <-heard
}

type closeWriter interface{ CloseWrite() error }

// A client receives the same bytes with the proxy and without it.
func TestConformance(t *testing.T) {
	for _, server := range conformanceServers {
		t.Run(server.name, func(t *testing.T) {
			b := startBackend(t, server.serve)
			g := startProxy(t, proxy.Config{Backend: b.URL, DrainTimeout: time.Second})
			direct := b.Listener.Addr().String()
			t.Run("cases", func(t *testing.T) {
				for _, c := range conformanceCases() {
					t.Run(c.name, func(t *testing.T) {
						t.Parallel()
						want := c.outcome(t, direct)
						if diff := cmp.Diff(want, c.outcome(t, g.address)); diff != "" {
							t.Errorf("without the proxy -, with it +:\n%s", diff)
						}
					})
				}
			})
			g.idle(t)
		})
	}
}
