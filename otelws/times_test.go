package otelws_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// These tests depend on times. They run on the clock of synctest and on a transport in
// memory, so that a busy machine makes no difference.

// inTime serves a connection with handler, and runs test on its client.
func inTime(t *testing.T, handler func(ws *otelws.Instrumentation, r *http.Request, c *websocket.Conn), test func(t *testing.T, m *otelwstest.Metrics, client *wire)) {
	t.Helper()
	accept := func(ws *otelws.Instrumentation, _ *otelwstest.Metrics, w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		handler(ws, r, c)
	}
	serveInTime(t, accept, func(t *testing.T, _ *otelws.Instrumentation, m *otelwstest.Metrics, client *wire) { test(t, m, client) })
}

// serveInTime is inTime for a handler of the request.
func serveInTime(t *testing.T,
	handler func(ws *otelws.Instrumentation, m *otelwstest.Metrics, w http.ResponseWriter, r *http.Request),
	test func(t *testing.T, ws *otelws.Instrumentation, m *otelwstest.Metrics, client *wire),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ws, m := newInstrumentation(t)
		near, far := net.Pipe()
		served := make(chan struct{})
		go func() {
			defer close(served)
			ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				handler(ws, m, w, r)
			})).ServeHTTP(pipeWriter{httptest.NewRecorder(), near}, upgrade())
		}()
		test(t, ws, m, &wire{Conn: far, t: t, br: bufio.NewReader(far)})
		_ = far.Close()
		<-served
	})
}

// beating is a handler that starts a heartbeat and reads.
func beating(t *testing.T, opts ...otelws.HeartbeatOption) func(*otelws.Instrumentation, *http.Request, *websocket.Conn) {
	return func(ws *otelws.Instrumentation, r *http.Request, c *websocket.Conn) {
		if err := ws.Heartbeat(r.Context(), opts...); err != nil {
			t.Error(err)
		}
		readAll(r.Context(), c)
	}
}

func expectOpen(t *testing.T, m *otelwstest.Metrics, want float64) {
	t.Helper()
	if v, _ := m.Value("ws_connections_active"); v != want {
		t.Errorf("%v connections are open, want %v", v, want)
	}
}

// A slow peer sends every pong late. A forgetful peer answers every other ping. Another
// one does both. The heartbeat ends none of them.
func TestHeartbeatSparesPoorPeers(t *testing.T) {
	for _, peer := range []struct {
		name    string
		timeout time.Duration
		misses  int
		answers func(ping int) (of int, ok bool)
		late    time.Duration
	}{
		{"late", 5 * time.Second, 2, func(ping int) (int, bool) { return ping, true }, 8 * time.Second},
		{"forgetful", 10 * time.Second, 2, func(ping int) (int, bool) { return ping, ping%2 == 1 }, 0},
		{"both", 10 * time.Second, 3, func(ping int) (int, bool) { return ping - 1, ping%2 == 1 }, 0},
	} {
		t.Run(peer.name, func(t *testing.T) {
			handler := beating(t, otelws.Every(30*time.Second), otelws.PongTimeout(peer.timeout), otelws.Misses(peer.misses))
			inTime(t, handler, func(t *testing.T, m *otelwstest.Metrics, client *wire) {
				var payloads [][]byte
				for n := 0.0; int(n) <= 2*peer.misses; n, _ = m.Value(missed) { // twice as many as end a dead peer
					_, payload := client.next()
					payloads = append(payloads, payload)
					time.Sleep(peer.late)
					if of, ok := peer.answers(len(payloads) - 1); ok {
						client.send(masked(fin|opPong, payloads[of]))
					}
				}
				expectOpen(t, m, 1)
			})
		})
	}
}

// The heartbeat ends a dead peer when the timeout of the last allowed ping has passed.
func TestHeartbeatEndsDeadPeerInTime(t *testing.T) {
	inTime(t, beating(t, otelws.Every(30*time.Second), otelws.PongTimeout(10*time.Second), otelws.Misses(3)),
		func(t *testing.T, m *otelwstest.Metrics, client *wire) {
			client.next()
			begun := time.Now()
			client.next()
			client.next()
			expectOpen(t, m, 1)
			client.rest()
			// Two intervals between pings, each 10% longer or shorter, and the timer's
			// ticks.
			least, most := 2*27*time.Second+10*time.Second, 2*33*time.Second+12*time.Second
			if took := time.Since(begun); took < least || took > most {
				t.Errorf("the heartbeat ended the peer after %v, want between %v and %v", took, least, most)
			}
			synctest.Wait()
			expectOpen(t, m, 0)
			m.Wait(t, missed, 3)
			m.Wait(t, timeouts, 1)
		})
}

// A ping that is unanswered when the heartbeat's context ends does not end the
// connection.
func TestHeartbeatOfEndedContext(t *testing.T) {
	var cancel context.CancelFunc
	handler := func(ws *otelws.Instrumentation, r *http.Request, c *websocket.Conn) {
		var ctx context.Context
		ctx, cancel = context.WithCancel(r.Context())
		if err := ws.Heartbeat(ctx, otelws.Every(30*time.Second), otelws.Misses(1)); err != nil {
			t.Error(err)
		}
		readAll(r.Context(), c)
	}
	inTime(t, handler, func(t *testing.T, m *otelwstest.Metrics, client *wire) {
		client.next()
		cancel()
		time.Sleep(time.Minute) // longer than the heartbeat would wait
		expectOpen(t, m, 1)
	})
}

// A client in the middle of a frame cannot send a pong, and must not count as dead.
func TestHeartbeatSparesUploader(t *testing.T) {
	inTime(t, beating(t, otelws.Every(30*time.Second), otelws.PongTimeout(10*time.Second)), func(t *testing.T, m *otelwstest.Metrics, client *wire) {
		go io.Copy(io.Discard, client.br) // takes the pings
		const size, rate = 100_000, 1000  // bytes, and bytes a second
		client.send(frameHeader(fin|opBinary, formOf(size), size, maskKey))
		for range size / rate {
			client.send(make([]byte, rate))
			time.Sleep(time.Second)
		}
		m.Wait(t, "ws_message_bytes_count", 1)
		expectOpen(t, m, 1)
	})
}

// A ping that this side could not send does not count as missed: during an unfinished frame of the
// application, or after bytes that are no frames. Without the kernel's figures, nothing else tells
// the two cases apart.
func TestHeartbeatSparesUnaskedPeer(t *testing.T) {
	for name, begun := range map[string]string{"half a frame": "\x81\x05hel", "no frames": "\xf3"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ws, m := newInstrumentation(t, otelws.WithHeartbeat(otelws.Every(30*time.Second), otelws.Misses(2)))
				near, far := net.Pipe()
				served := make(chan struct{})
				go func() {
					defer close(served)
					ws.Handler(hijackFirst(t, func(c net.Conn, _ *bufio.ReadWriter) {
						_, _ = io.WriteString(c, switchingHead+begun)
						time.Sleep(time.Hour)
						expectOpen(t, m, 1)
						_, _ = io.WriteString(c, "lo")
						_, _ = io.Copy(io.Discard, c)
					})).ServeHTTP(pipeWriter{httptest.NewRecorder(), near}, upgrade())
				}()
				go io.Copy(io.Discard, far) // the peer answers nothing
				time.Sleep(2 * time.Hour)
				if name == "half a frame" { // the frame has ended, so the pings went out
					expectOpen(t, m, 0)
					m.Wait(t, missed, 2)
				} else {
					expectOpen(t, m, 1)
				}
				_ = far.Close()
				<-served
			})
		})
	}
}

// A client that violates the protocol, which the server tolerates, is not dead: the tap sees no pongs
// any more. It sends no more pings either, because their pongs would reach the server.
func TestHeartbeatSparesViolator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws, m := newInstrumentation(t, otelws.WithHeartbeat(otelws.Every(30*time.Second), otelws.Misses(1)))
		near, far := net.Pipe()
		got := make(chan int64)
		go ws.Handler(hijackFirst(t, func(c net.Conn, _ *bufio.ReadWriter) {
			_, _ = io.WriteString(c, switchingHead)
			n, _ := io.Copy(io.Discard, c)
			got <- n
		})).ServeHTTP(pipeWriter{httptest.NewRecorder(), near}, upgrade())
		client := &wire{Conn: far, t: t, br: bufio.NewReader(far)}
		client.response()
		_, ping := client.next()
		violation := masked(fin|rsv1|opText, "")
		client.send(violation)
		pong := masked(fin|opPong, ping) // nobody knows that it is one
		client.send(pong)
		go io.Copy(io.Discard, client.br)
		time.Sleep(time.Hour)
		expectOpen(t, m, 1)
		if n, _ := m.Value(pings); n != 1 {
			t.Errorf("%v pings sent, want 1", n)
		}
		_ = far.Close()
		if n := <-got; n != int64(len(violation)+len(pong)) {
			t.Errorf("the server got %d bytes", n)
		}
	})
}

// Drain leaves a proxy time to pass the answer of a client on. A proxy that has done so reads again.
func TestDrainWaitsForProxy(t *testing.T) {
	proxy := func(_ *otelws.Instrumentation, m *otelwstest.Metrics, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
		nc, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		b := make([]byte, 100)
		if _, err := nc.Read(b); err != nil {
			t.Errorf("the proxy did not get the answer: %v", err)
		}
		time.Sleep(700 * time.Millisecond) // it passes the answer on
		expectOpen(t, m, 1)
		if n, err := nc.Read(b); err == nil {
			t.Errorf("the proxy got %d bytes after the answer", n)
		}
	}
	serveInTime(t, proxy, func(t *testing.T, ws *otelws.Instrumentation, _ *otelwstest.Metrics, client *wire) {
		synctest.Wait()
		begun := time.Now()
		drained := make(chan error)
		go func() { drained <- ws.Drain(context.Background()) }()
		if first, _ := client.next(); first != fin|opClose {
			t.Errorf("the client got a frame that begins with %#x", first)
		}
		client.send(masked(fin|opClose, closePayload(1001, "")))
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if d := time.Since(begun); d > 900*time.Millisecond {
			t.Errorf("the drain took %v: it waits after the proxy has read on", d)
		}
	})
}

// sendingLarge is a handler that starts a heartbeat, sends a message of n bytes, and reads. A Write that
// began before the heartbeat would not be in parts.
func sendingLarge(t *testing.T, n int) func(*otelws.Instrumentation, *http.Request, *websocket.Conn) {
	return func(ws *otelws.Instrumentation, r *http.Request, c *websocket.Conn) {
		if err := ws.Heartbeat(r.Context(), otelws.Every(30*time.Second), otelws.PongTimeout(10*time.Second), otelws.Misses(2)); err != nil {
			t.Error(err)
		}
		go func() { _ = c.Write(r.Context(), websocket.MessageBinary, make([]byte, n)) }()
		readAll(r.Context(), c)
	}
}

// A peer that reads a large message slowly lives, although the ping waits behind that
// message and the transport does not tell what the peer has accepted.
func TestHeartbeatSparesSlowReaderInMemory(t *testing.T) {
	const part, parts = 64 << 10, 40
	inTime(t, sendingLarge(t, part*parts), func(t *testing.T, m *otelwstest.Metrics, client *wire) {
		b := make([]byte, part)
		for n := range parts {
			client.full(b)
			time.Sleep(5 * time.Second)
			if v, _ := m.Value(missed); v > 0 {
				t.Fatalf("after %d parts, %v pings count as missed", n, v)
			}
		}
		expectOpen(t, m, 1)
	})
}

// A peer that reads in gulps lives, although it rests in the timeouts of several pings.
func TestHeartbeatSparesPeerThatRests(t *testing.T) {
	const part, parts = 64 << 10, 40
	inTime(t, sendingLarge(t, part*parts), func(t *testing.T, m *otelwstest.Metrics, client *wire) {
		b := make([]byte, part)
		for range parts {
			client.full(b)
			time.Sleep(25 * time.Second) // less than between two pings
		}
		if v, _ := m.Value(missed); v < 3 {
			t.Errorf("%v pings count as missed: the peer has hardly rested", v)
		}
		expectOpen(t, m, 1)
	})
}
