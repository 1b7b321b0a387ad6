package otelws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/otelws"
)

// listening makes a server accept through ws.Listener.
func listening(ws *otelws.Instrumentation) func(*httptest.Server) {
	return func(s *httptest.Server) { s.Listener = ws.Listener(s.Listener) }
}

// serveRaw serves connections without net/http until the test ends.
func serveRaw(t testing.TB, wrap func(net.Listener) net.Listener, serve func(net.Conn)) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	l = wrap(l)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				return
			}
			all.Go(func() {
				defer func() { _ = c.Close() }()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return l.Addr()
}

// gobwasRaw is an echo server, written as users of gobwas/ws write it.
func gobwasRaw(c net.Conn) {
	if _, err := gobwas.Upgrade(c); err != nil {
		return
	}
	for {
		b, op, err := wsutil.ReadClientData(c)
		if err != nil || wsutil.WriteServerMessage(c, op, b) != nil {
			return
		}
	}
}

// A server without net/http gives the same metrics as one with a Handler.
func TestListenerRaw(t *testing.T) {
	for name, pieces := range map[string]bool{"whole": false, "byte by byte": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t)
			w := connectWireTo(t, serveRaw(t, ws.Listener, gobwasRaw), false)
			for _, b := range split(handshakeRequest(), pieces) {
				w.send(b)
			}
			if resp := w.response(); resp.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("the handshake was answered with status %s", resp.Status)
			}
			exchange(w)
			w.rest()
			expect(t, m, exchanged)
		})
	}
}

func split(b []byte, bytewise bool) [][]byte {
	if !bytewise {
		return [][]byte{b}
	}
	var all [][]byte
	for i := range b {
		all = append(all, b[i:i+1])
	}
	return all
}

// A connection counts once with a Listener, a Handler, or both, under every library.
func TestListenerUnderNetHTTP(t *testing.T) {
	for _, l := range libraries {
		for _, watch := range []struct {
			name    string
			handler func(a, b *otelws.Instrumentation, next http.Handler) http.Handler
		}{
			{"alone", func(_, _ *otelws.Instrumentation, next http.Handler) http.Handler { return next }},
			{"a Handler inside", func(a, _ *otelws.Instrumentation, next http.Handler) http.Handler { return a.Handler(next) }},
			{"a Handler of the same provider inside", func(_, b *otelws.Instrumentation, next http.Handler) http.Handler {
				return b.Handler(next)
			}},
		} {
			t.Run(l.name+", "+watch.name, func(t *testing.T) {
				t.Parallel()
				a, m := newInstrumentation(t)
				b, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()))
				if err != nil {
					t.Fatal(err)
				}
				twice := func(s *httptest.Server) { s.Listener = b.Listener(s.Listener) }
				s := startServer(t, nil, watch.handler(a, b, l.serve(t)), listening(a), twice)
				w := openWire(t, s)
				exchange(w)
				w.rest()
				_ = w.Close()
				s.wait(t)
				expect(t, m, exchanged)
			})
		}
	}
}

// With a Handler inside a Listener, the metrics carry the attributes of the Handler.
func TestHandlerInsideListenerKnowsMore(t *testing.T) {
	for _, l := range libraries[:2] {
		t.Run(l.name, func(t *testing.T) {
			ws, m := newInstrumentation(t, otelws.WithEnum("tier", nil, "pro"), otelws.WithRoutes("/"))
			mux := http.NewServeMux()
			echo := l.serve(t)
			mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
				if err := otelws.SetAttribute(r.Context(), "tier", "pro"); err != nil {
					t.Error(err)
				}
				echo.ServeHTTP(w, r)
			})
			s := startServer(t, ws, mux, listening(ws))
			for n := range 2 {
				w := openWire(t, s)
				w.send(masked(fin|opClose, closePayload(1000, "")))
				w.rest()
				_ = w.Close()
				s.wait(t)
				m.Wait(t, `ws_connections_closed_total{code="1000",http_route="/",tier="pro"}`, float64(n+1))
				m.Wait(t, `ws_handshake_duration_seconds_count{http_response_status_code="101",http_route="/",tier="pro"}`, float64(n+1))
				if other, _ := m.Value(`ws_connections_opened_total{http_route="other",tier="other"}`); other != 0 {
					t.Errorf("%v connections were counted without the Handler's attributes", other)
				}
			}
		})
	}
}

// Some servers, such as the adaptor of fasthttp, do not tell a handler the local address. A Handler
// inside the Listener still counts instead of the Listener. A proxy in the same process passes the
// client's key on, and its connections still count as two.
func TestHandlerInsideListenerWithoutAddress(t *testing.T) {
	withoutAddress := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, nil)))
		})
	}
	for _, inside := range []bool{true, false} {
		ws, m := newInstrumentation(t)
		var setup []func(*httptest.Server)
		if inside {
			setup = append(setup, listening(ws))
		}
		backend := startServer(t, nil, withoutAddress(ws.Handler(coderEcho(nil))), setup...)
		front := startServer(t, nil, withoutAddress(proxyTo(t, backend, nil)), listening(ws))
		w := openWire(t, front)
		exchange(w)
		w.rest()
		_ = w.Close()
		front.wait(t)
		m.Wait(t, `ws_connections_closed_total{code="1000"}`, 2)
		m.Wait(t, "ws_connections_opened_total", 2)
		m.Wait(t, `ws_handshake_duration_seconds_count{http_response_status_code="101"}`, 2)
	}
}

// requestSteps are requests that precede a handshake on one connection, and the
// statuses of their responses.
type requestSteps struct {
	name   string
	sent   []string
	status []int
}

var post = "POST /body HTTP/1.1\r\nHost: test\r\nContent-Length: " + fmt.Sprint(len(handshakeRequest())) + "\r\n"

var stepsBeforeHandshake = []requestSteps{
	{"nothing", nil, nil},
	{"a request", []string{"GET /plain HTTP/1.1\r\nHost: test\r\nUpgrade-Insecure-Requests: 1\r\n\r\n"}, []int{200}},
	{"a body that is a handshake", []string{post + "\r\n" + string(handshakeRequest())}, []int{200}},
	{"a body after its head", []string{post + "\r\n", string(handshakeRequest())}, []int{0, 200}},
	{"a body after 100 Continue", []string{post + "Expect: 100-continue\r\n\r\n", string(handshakeRequest())}, []int{100, 200}},
	{"chunks", []string{fmt.Sprintf("POST /body HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
		len(handshakeRequest()), handshakeRequest())}, []int{200}},
	{"an empty line", []string{"GET /plain HTTP/1.1\r\nHost: test\r\n\r\n", "\r\n"}, []int{200, 0}},
	{"another upgrade", []string{"GET /plain HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"}, []int{200}},
}

// plainAnd answers ordinary requests itself, and passes handshakes to next.
func plainAnd(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/":
			b, err := io.ReadAll(r.Body)
			fmt.Fprintln(w, len(b), err)
		case r.Header.Get("X-Refuse") != "":
			http.Error(w, "no", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// answered checks the status of the next response.
func (w *wire) answered(status int) {
	w.t.Helper()
	resp := w.response()
	if resp.StatusCode != status {
		w.t.Fatalf("status %s, want %d", resp.Status, status)
	}
	if status != http.StatusSwitchingProtocols && status >= 200 {
		_, _ = io.Copy(io.Discard, resp.Body)
	}
}

// Ordinary requests before a handshake are not counted, whatever their bodies contain.
func TestListenerAfterRequests(t *testing.T) {
	for _, c := range stepsBeforeHandshake {
		for _, bytewise := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, ", bytewise ", bytewise), func(t *testing.T) {
				t.Parallel()
				ws, m := newInstrumentation(t)
				s := startServer(t, nil, plainAnd(gorillaEcho(&gorilla.Upgrader{})), listening(ws))
				w := connectWire(t, s)
				for i, sent := range c.sent {
					if strings.TrimSpace(sent) == "" {
						continue // net/http refuses an empty line before a request
					}
					for _, b := range split([]byte(sent), bytewise) {
						w.send(b)
					}
					if c.status[i] != 0 {
						w.answered(c.status[i])
					}
				}
				for _, b := range split(handshakeRequest(), bytewise) {
					w.send(b)
				}
				w.answered(101)
				exchange(w)
				w.rest()
				s.wait(t)
				expect(t, m, exchanged)
			})
		}
	}
}

// Requests, bodies and refusals in random pieces do not change the metrics.
func TestListenerSeeds(t *testing.T) {
	handlers := []http.Handler{coderEcho(nil), gorillaEcho(&gorilla.Upgrader{}), gobwasEcho(true)}
	for seed := range uint64(150) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		ws, m := newInstrumentation(t)
		s := startServer(t, nil, plainAnd(handlers[seed%3]), listening(ws))
		w := connectWire(t, s)
		refused := 0
		for range rnd.IntN(6) {
			steps := stepsBeforeHandshake[rnd.IntN(len(stepsBeforeHandshake))]
			if rnd.IntN(4) == 0 {
				refused++
				steps = requestSteps{sent: []string{string(handshakeRequest("X-Refuse: yes"))}, status: []int{403}}
			}
			for i, sent := range steps.sent {
				if strings.TrimSpace(sent) == "" {
					continue
				}
				w.inPieces(rnd, []byte(sent))
				if steps.status[i] != 0 {
					w.answered(steps.status[i])
				}
			}
		}
		w.inPieces(rnd, handshakeRequest())
		w.answered(101)
		exchange(w)
		w.rest()
		_ = w.Close()
		s.wait(t)
		want := exchanged
		if refused > 0 {
			want += fmt.Sprintf(`
				ws_handshake_duration_seconds_count{http_response_status_code="403"} %d
				ws_handshake_duration_seconds_sum{http_response_status_code="403"} ~`, refused)
		}
		expect(t, m, want)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func (w *wire) inPieces(rnd *rand.Rand, b []byte) {
	w.t.Helper()
	for len(b) > 0 {
		n := 1 + rnd.IntN(min(len(b), 60))
		w.send(b[:n])
		b = b[n:]
	}
}

// After a refused handshake, the next one on the same connection counts.
func TestListenerRefuses(t *testing.T) {
	for _, l := range libraries {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t)
			s := startServer(t, nil, plainAnd(l.serve(t)), listening(ws))
			w := connectWire(t, s)
			for range 2 {
				w.send(handshakeRequest("X-Refuse: yes"))
				w.answered(403)
			}
			w.send(handshakeRequest())
			w.answered(101)
			exchange(w)
			w.rest()
			_ = w.Close()
			s.wait(t)
			expect(t, m, exchanged+strings.ReplaceAll(handshakes("403"), "} 1", "} 2"))
		})
	}
}

// Frames that come with the request count for the connection.
func TestListenerEarlyFrames(t *testing.T) {
	for _, l := range earlyLibraries {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			ws, m := newInstrumentation(t)
			s := startServer(t, nil, l.echo, listening(ws))
			w := connectWire(t, s)
			w.send(frames(handshakeRequest(), masked(fin|opText, "hello")))
			w.answered(101)
			w.answer(fin|opText, "hello")
			w.send(masked(fin|opBinary, make([]byte, 300)))
			w.answer(fin|opBinary, string(make([]byte, 300)))
			exchangeRest(w)
			w.rest()
			s.wait(t)
			expect(t, m, exchanged)
		})
	}
}

// If the server hangs up without a close frame, it ended the connection, although
// net/http has ended its own Read by a deadline.
func TestListenerServerHangsUp(t *testing.T) {
	for _, l := range libraries[:2] {
		ws, m := newInstrumentation(t)
		s := startServer(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(r.Context())
			cancel()
			l.serve(t).ServeHTTP(w, r.WithContext(ctx))
		}), listening(ws))
		if l.name == "gorilla" { // gorilla/websocket ignores the context
			s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := (&gorilla.Upgrader{}).Upgrade(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.Close()
			})
		}
		w := connectWire(t, s)
		w.send(handshakeRequest())
		w.answered(101)
		w.rest()
		s.wait(t)
		m.Wait(t, `ws_connection_duration_seconds_count{code="1006",initiator="local"}`, 1)
	}
}

// A client that closes its sending direction before the response counts as the side
// that ended the connection.
func TestListenerClientLeavesEarly(t *testing.T) {
	for _, l := range libraries[:2] {
		t.Run(l.name, func(t *testing.T) {
			ws, m := newInstrumentation(t)
			left := make(chan struct{})
			s := startServer(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				<-left
				<-r.Context().Done()
				l.serve(t).ServeHTTP(w, r)
			}), listening(ws))
			w := connectWire(t, s)
			w.send(handshakeRequest())
			w.shut()
			close(left)
			w.answered(101)
			w.rest()
			s.wait(t)
			expect(t, m, strings.ReplaceAll(opened, "local", "peer"))
		})
	}
}

// gobwasUpgrader calls f before it sends the response.
func gobwasUpgrader(f func()) gobwas.Upgrader {
	return gobwas.Upgrader{OnBeforeUpgrade: func() (gobwas.HandshakeHeader, error) {
		f()
		return nil, nil
	}}
}
