package otelws_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
)

// hijackProbe is a ResponseWriter that calls hijacked for each Hijack.
type hijackProbe struct {
	http.ResponseWriter
	hijacked func(net.Conn, *bufio.ReadWriter)
}

func (p hijackProbe) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, brw, err := http.NewResponseController(p.ResponseWriter).Hijack()
	if err == nil {
		p.hijacked(c, brw)
	}
	return c, brw, err
}

func (p hijackProbe) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// buffered stores in n how many bytes the hijacked reader has buffered.
func buffered(n *atomic.Int64, next http.Handler) http.Handler {
	return withWriter(func(w http.ResponseWriter) http.ResponseWriter {
		return hijackProbe{w, func(_ net.Conn, brw *bufio.ReadWriter) { n.Store(int64(brw.Reader.Buffered())) }}
	}, next)
}

// earlyLibraries accept frames that the client sent before it had the response.
var earlyLibraries = []struct {
	name string
	echo http.Handler
}{
	{"coder", coderEcho(nil)},
	{"gobwas", gobwasEcho(true)},
}

// Request and first frames come in one segment. So the server has the frames in its
// buffer when the library hijacks.
func TestEarlyFrames(t *testing.T) {
	for _, l := range earlyLibraries {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			var outside, inside atomic.Int64
			ws, m := newInstrumentation(t)
			s := startServer(t, nil, buffered(&outside, ws.Handler(buffered(&inside, l.echo))))
			w := connectWire(t, s)

			// Only a part of the second frame comes in that segment.
			binary := masked(fin|opBinary, make([]byte, 300))
			early := frames(masked(fin|opText, "hello"), binary[:100])
			w.send(append(handshakeRequest(), early...))
			w.response()
			w.answer(fin|opText, "hello")
			if n := outside.Load(); n != int64(len(early)) {
				t.Fatalf("%d bytes were buffered, want the %d that came with the request", n, len(early))
			}
			if inside.Load() != outside.Load() {
				t.Errorf("the library sees %d buffered bytes, without the tap %d", inside.Load(), outside.Load())
			}

			w.send(binary[100:])
			w.answer(fin|opBinary, string(make([]byte, 300)))
			exchangeRest(w)
			w.rest()
			s.wait(t)
			expect(t, m, exchanged)
		})
	}
}

// The first message is longer than the server's buffer, so only a part of it is
// buffered.
func TestEarlyLongMessage(t *testing.T) {
	for _, l := range earlyLibraries {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			var outside atomic.Int64
			ws, m := newInstrumentation(t)
			s := startServer(t, nil, buffered(&outside, ws.Handler(l.echo)))
			w := connectWire(t, s)
			message := make([]byte, 10_000)
			w.send(append(handshakeRequest(), masked(fin|opBinary, message)...))
			w.response()
			w.answer(fin|opBinary, string(message))
			w.send(masked(fin|opClose, closePayload(1000, "")))
			w.rest()
			s.wait(t)
			if n := outside.Load(); n == 0 || n >= 10_000 {
				t.Fatalf("%d bytes were buffered, want a part of the message", n)
			}
			m.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
			m.Wait(t, "ws_message_bytes_sum", 10_000)
			m.Wait(t, "ws_message_sent_bytes_sum", 10_000)
			m.Wait(t, `ws_io_bytes_total{network_io_direction="receive"}`, 10_008+8)
		})
	}
}

// countingListener counts the bytes read from its connections.
type countingListener struct {
	net.Listener
	read *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{c, l.read}, nil
}

type countingConn struct {
	net.Conn
	read *atomic.Int64
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// While a handler runs, net/http reads one byte ahead. It may be the first byte of the
// first frame.
func TestEarlyByte(t *testing.T) {
	for _, l := range earlyLibraries {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			var read, outside, inside atomic.Int64
			entered := make(chan struct{})
			ws, m := newInstrumentation(t)
			h := ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				before := read.Load()
				close(entered)
				for end := time.Now().Add(waitLimit); read.Load() == before && time.Now().Before(end); {
					time.Sleep(time.Millisecond)
				}
				buffered(&inside, l.echo).ServeHTTP(w, r)
			}))
			s := startServer(t, nil, buffered(&outside, h), func(s *httptest.Server) {
				s.Listener = countingListener{s.Listener, &read}
			})
			w := connectWire(t, s)
			w.send(handshakeRequest())
			<-entered
			w.send(masked(fin|opText, "hello"))
			w.response()
			w.answer(fin|opText, "hello")
			if outside.Load() != 1 || inside.Load() != 1 {
				t.Errorf("%d bytes were buffered, and the library sees %d; want 1 and 1", outside.Load(), inside.Load())
			}
			w.send(masked(fin|opClose, closePayload(1000, "")))
			w.rest()
			s.wait(t)
			m.Wait(t, `ws_connections_closed_total{code="1000"}`, 1)
			m.Wait(t, "ws_message_bytes_count", 1)
			m.Wait(t, `ws_io_bytes_total{network_io_direction="receive"}`, 11+8)
		})
	}
}

// gorilla/websocket refuses early bytes, both with the tap and without it.
func TestEarlyFramesRefused(t *testing.T) {
	refuse := func(errs chan<- error) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var u gorilla.Upgrader
			_, err := u.Upgrade(w, r, nil)
			errs <- err
		})
	}
	ws, m := newInstrumentation(t)
	errs := make(chan error, 2)
	for _, h := range []http.Handler{refuse(errs), ws.Handler(refuse(errs))} {
		s := startServer(t, nil, h)
		w := connectWire(t, s)
		w.send(append(handshakeRequest(), masked(fin|opText, "hello")...))
		if b := w.rest(); len(b) > 0 {
			t.Errorf("the server answers %q", b)
		}
	}
	const want = "websocket: client sent data before handshake is complete"
	for range 2 {
		if err := <-errs; err == nil || err.Error() != want {
			t.Errorf("Upgrade returned %v, want %s", err, want)
		}
	}
	expect(t, m, handshakes("0"))
}

// After Hijack, the application can read an unread body, and the bytes after it, as with net/http.
func TestEarlyBody(t *testing.T) {
	const body, length = "hello", "Content-Length: 5"
	frame := masked(fin|opText, "early")
	sent := body + string(frame)
	for _, watched := range []bool{false, true} {
		ws, _ := newInstrumentation(t)
		h := hijackFirst(t, func(nc net.Conn, brw *bufio.ReadWriter) {
			if n := brw.Reader.Buffered(); n != len(sent) {
				t.Errorf("watched %v: %d bytes are buffered, want %d", watched, n, len(sent))
			}
			_, _ = io.WriteString(nc, switchingHead)
			if b, err := io.ReadAll(brw); string(b) != sent+"later" || err != nil {
				t.Errorf("watched %v: read %q, %v; want %q and more", watched, b, err, sent)
			}
		})
		if watched {
			h = ws.Handler(h)
		}
		s := startServer(t, nil, h)
		w := connectWire(t, s)
		w.send(append(handshakeRequest(length), sent...))
		w.response()
		w.send([]byte("later"))
		w.shut()
		w.rest()
		s.wait(t)
	}
}

// Hijack leaves the buffer of a body alone while another goroutine reads the body, as ReverseProxy
// needs it. net/http interrupts a Read that Hijack finds in progress.
func TestBodyInUse(t *testing.T) {
	for name, early := range map[string]bool{
		"the Read begins after Hijack": false,
		"the Read may be in progress":  true,
	} {
		t.Run(name, func(t *testing.T) {
			ws, m := newInstrumentation(t)
			s := startServer(t, ws, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				first, hijacked, read := make([]byte, 1), make(chan struct{}), make(chan struct{})
				if _, err := io.ReadFull(r.Body, first); err != nil {
					t.Error(err)
				}
				go func() {
					defer close(read)
					if !early {
						<-hijacked
					}
					rest, err := io.ReadAll(r.Body)
					interrupted := early && errors.Is(err, os.ErrDeadlineExceeded)
					if string(rest) != "ello" && !(interrupted && strings.HasPrefix("ello", string(rest))) {
						t.Errorf("the rest of the body is %q, %v; want ello", rest, err)
					}
				}()
				nc, _, err := http.NewResponseController(w).Hijack()
				close(hijacked)
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = nc.Close() }()
				_, _ = io.WriteString(nc, switchingHead)
				<-read
			}))
			w := connectWire(t, s)
			w.send(append(handshakeRequest("Content-Length: 5"), "hel"...))
			w.response()
			w.send([]byte("lo"))
			w.rest()
			s.wait(t)
			m.Wait(t, "ws_connections_active", 0)
		})
	}
}
