package otelws_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
	"go.opentelemetry.io/otel"

	"github.com/otelws/otelws-go/otelws"
)

// reported collects the errors that OpenTelemetry's error handler gets. The handler is
// global, so the test must not be parallel.
func reported(t *testing.T) func() []string {
	var mu sync.Mutex
	var all []string
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, err.Error())
	}))
	t.Cleanup(func() { otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Print(err) })) })
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// expectReports waits until there is one report for each of want, in any order.
func expectReports(t *testing.T, got func() []string, want ...string) {
	t.Helper()
	holds := func() bool {
		all := got()
		return len(all) == len(want) && !slices.ContainsFunc(want, func(w string) bool {
			return !slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, w) })
		})
	}
	for end := time.Now().Add(waitLimit); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the reported errors are %q, want one each of %q", got(), want)
		}
	}
}

// testTLS returns a server's TLS configuration, with a self-signed certificate.
var testTLS = sync.OnceValue(func() *tls.Config {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}}
})

// serveHTTP serves h on the listener that wrap returns. A nil serve means
// http.Server.Serve.
func serveHTTP(t *testing.T, h http.Handler, wrap func(net.Listener) net.Listener, serve func(*http.Server, net.Listener) error) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	if serve == nil {
		serve = (*http.Server).Serve
	}
	s := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan error, 1)
	go func() { done <- serve(s, wrap(l)) }()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return l.Addr()
}

// showProtocol answers with the protocol that the server sees.
func showProtocol(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s, TLS %v", r.Proto, r.TLS != nil && r.TLS.HandshakeComplete)
}

func getTLS(t *testing.T, addr net.Addr) string {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: waitLimit}).Get("https://" + addr.String() + "/plain")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Around a TLS listener, a Listener watches the decrypted traffic. Beneath one, it
// reports once that it cannot see the traffic, and passes it unchanged.
func TestListenerAndTLS(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/plain", showProtocol)
	mux.Handle("/", gorillaEcho(&gorilla.Upgrader{}))
	for _, c := range []struct {
		name  string
		wrap  func(*otelws.Instrumentation) func(net.Listener) net.Listener
		serve func(*http.Server, net.Listener) error
		plain string
		want  string
		says  []string
	}{
		{"above", func(ws *otelws.Instrumentation) func(net.Listener) net.Listener {
			return func(l net.Listener) net.Listener {
				config := testTLS().Clone()
				config.NextProtos = nil
				return ws.Listener(tls.NewListener(l, config))
			}
		}, nil, "HTTP/1.1, TLS true", exchanged, nil},
		{"beneath", func(ws *otelws.Instrumentation) func(net.Listener) net.Listener { return ws.Listener },
			func(s *http.Server, l net.Listener) error {
				s.TLSConfig = testTLS().Clone()
				return s.ServeTLS(l, "", "")
			}, "HTTP/2.0, TLS true", "", []string{"Listener carries TLS"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			says := reported(t)
			ws, m := newInstrumentation(t)
			addr := serveHTTP(t, mux, c.wrap(ws), c.serve)
			if got := getTLS(t, addr); got != c.plain {
				t.Errorf("the handler sees %s, want %s", got, c.plain)
			}
			for range 2 {
				_ = getTLS(t, addr)
			}
			w := connectWireTo(t, addr, true)
			w.send(handshakeRequest())
			w.answered(101)
			exchange(w)
			w.rest()
			expect(t, m, c.want)
			expectReports(t, says, c.says...)
		})
	}
}

// A server sees that a watched connection is TLS. So it can bound the time of the TLS
// handshake, as it does without the Listener.
func TestListenerShowsTLS(t *testing.T) {
	ws, _ := newInstrumentation(t)
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	watched := ws.Listener(tls.NewListener(l, testTLS()))
	go func() {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			_, _ = c.Read(make([]byte, 1))
			_ = c.Close()
		}
	}()
	c, err := watched.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	shown, ok := c.(interface {
		ConnectionState() tls.ConnectionState
		Handshake() error
		CloseWrite() error
	})
	if !ok || !shown.ConnectionState().HandshakeComplete || shown.Handshake() != nil || shown.CloseWrite() != nil {
		t.Errorf("%T does not act as a TLS connection", c)
	}
}

// readThrough reads a line before the HTTP request, as a listener for the PROXY
// protocol does.
type readThrough struct{ net.Listener }

func (l readThrough) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &afterLine{Conn: c, br: bufio.NewReader(c)}, nil
}

type afterLine struct {
	net.Conn
	once sync.Once
	br   *bufio.Reader
}

func (c *afterLine) Read(p []byte) (int, error) {
	c.once.Do(func() { _, _ = c.br.ReadString('\n') })
	return c.br.Read(p)
}

func TestListenerAndProxyProtocol(t *testing.T) {
	for _, c := range []struct {
		name string
		wrap func(*otelws.Instrumentation) func(net.Listener) net.Listener
		want string
		says []string
	}{
		{"above", func(ws *otelws.Instrumentation) func(net.Listener) net.Listener {
			return func(l net.Listener) net.Listener { return ws.Listener(readThrough{l}) }
		}, exchanged, nil},
		{"beneath", func(ws *otelws.Instrumentation) func(net.Listener) net.Listener {
			return func(l net.Listener) net.Listener { return readThrough{ws.Listener(l)} }
		}, "", []string{"Listener begins with the PROXY protocol"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			says := reported(t)
			ws, m := newInstrumentation(t)
			addr := serveRaw(t, c.wrap(ws), gobwasRaw)
			w := connectWireTo(t, addr, false)
			w.send(append([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"), handshakeRequest()...))
			w.answered(101)
			exchange(w)
			w.rest()
			expect(t, m, c.want)
			expectReports(t, says, c.says...)
		})
	}
}

// HTTP/2 without TLS passes unwatched. The listener's other connections are counted.
func TestListenerAndHTTP2(t *testing.T) {
	says := reported(t)
	ws, m := newInstrumentation(t)
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := startServer(t, nil, plainAnd(gorillaEcho(&gorilla.Upgrader{})), listening(ws), func(s *httptest.Server) {
		s.Config.Protocols = &protocols
	})
	var alone http.Protocols
	alone.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &alone}
	defer transport.CloseIdleConnections()
	for range 3 {
		resp, err := (&http.Client{Transport: transport}).Post(s.URL+"/body", "text/plain", strings.NewReader(string(handshakeRequest())))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
			t.Errorf("the response is %s %s, want HTTP/2.0 200", resp.Proto, resp.Status)
		}
	}
	w := openWire(t, s)
	exchange(w)
	w.rest()
	s.wait(t)
	expect(t, m, exchanged)
	expectReports(t, says, "Listener carries HTTP/2")
}

// A WebSocket that a client tunnels through a proxy on the Listener is not counted.
func TestListenerTunnels(t *testing.T) {
	backend := startServer(t, nil, gorillaEcho(&gorilla.Upgrader{}))
	ws, m := newInstrumentation(t)
	s := startServer(t, nil, connectProxy(t), listening(ws))
	w := connectWire(t, s)
	w.send(fmt.Appendf(nil, "CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n", backend.Listener.Addr()))
	w.head()
	w.send(handshakeRequest())
	w.answered(101)
	exchange(w)
	w.rest()
	_ = w.Close()
	s.wait(t)
	expect(t, m, "")
}

// connectProxy is a proxy for HTTP's CONNECT.
func connectProxy(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "no", http.StatusMethodNotAllowed)
			return
		}
		to, err := net.Dial("tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer to.Close()
		from, brw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer from.Close()
		_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
		back := make(chan struct{})
		go func() {
			defer close(back)
			_, _ = io.Copy(from, to)
			_ = from.Close()
		}()
		_, _ = io.Copy(to, brw)
		_ = to.Close()
		<-back
	})
}

// A handshake that is sent before the response to an earlier request is not seen. It
// must not count as a failed handshake.
func TestListenerMissesPipelined(t *testing.T) {
	for _, together := range []bool{true, false} {
		ws, m := newInstrumentation(t)
		s := startServer(t, nil, plainAnd(gobwasEcho(true)), listening(ws))
		w := connectWire(t, s)
		first := []byte("GET /plain HTTP/1.1\r\nHost: test\r\n\r\n")
		if together {
			w.send(append(first, handshakeRequest()...))
		} else {
			w.send(first)
			w.send(handshakeRequest())
		}
		w.answered(200)
		w.answered(101)
		exchange(w)
		w.rest()
		s.wait(t)
		if together {
			expect(t, m, "")
		} else if n, _ := m.Value(`ws_handshake_duration_seconds_count{http_response_status_code="200"}`); n != 0 {
			t.Error("the response to the earlier request counts as that of the handshake")
		}
	}
}

// Bytes that are not HTTP pass through a Listener unchanged.
func TestListenerOfOtherProtocols(t *testing.T) {
	for name, sent := range map[string]string{
		"SSH":            "SSH-2.0-OpenSSH_9.9\r\n",
		"nothing of GET": "GETTING THERE\r\n\r\n",
		"half a GET":     "GE",
		"a long line":    "GET " + strings.Repeat("x", 200_000),
		"no header":      "GET / HTTP/1.1\r\nUpgrade: websocket\r\nnonsense\r\n\r\n",
		"a bad version":  "GET / HTTP/9\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			ws, m := newInstrumentation(t)
			addr := serveRaw(t, ws.Listener, func(c net.Conn) {
				_, _ = io.Copy(c, struct{ io.Reader }{c})
			})
			w := connectWireTo(t, addr, false)
			go func() {
				_, _ = io.WriteString(w, sent)
				w.shut()
			}()
			if got := string(w.rest()); got != sent {
				t.Errorf("%d bytes came back, beginning with %q, want %d bytes", len(got), got[:min(len(got), 40)], len(sent))
			}
			expect(t, m, "")
		})
	}
}

// above is a connection on top of another, as crypto/tls and the libraries have.
type above struct{ net.Conn }

func (c above) NetConn() net.Conn { return c.Conn }

// SetAttributeOn sets an attribute after the request has been read.
func TestSetAttributeOn(t *testing.T) {
	ws, m := newInstrumentation(t,
		otelws.WithEnum("tier", nil, "pro"),
		otelws.WithEnum("path", func(r *http.Request) string { return r.URL.Path }, "/a"))
	addr := serveRaw(t, ws.Listener, func(c net.Conn) {
		if err := otelws.SetAttributeOn(c, "tier", "pro"); err == nil {
			t.Error("SetAttributeOn succeeded before the request")
		}
		_, err := gobwasUpgrader(func() {
			if err := otelws.SetAttributeOn(above{above{c}}, "tier", "pro"); err != nil {
				t.Error(err)
			}
			if err := otelws.SetAttributeOn(c, "plan", "pro"); err == nil || !strings.Contains(err.Error(), "declare it") {
				t.Error("SetAttributeOn succeeded for an undeclared attribute")
			}
		}).Upgrade(c)
		if err != nil {
			t.Error(err)
		}
		if err := otelws.SetAttributeOn(c, "tier", "pro"); err == nil {
			t.Error("SetAttributeOn succeeded after the response")
		}
	})
	w := connectWireTo(t, addr, false)
	w.send([]byte(strings.Replace(string(handshakeRequest()), "GET / ", "GET /a ", 1)))
	w.answered(101)
	w.rest()
	m.Wait(t, `ws_connections_closed_total{code="1006",path="/a",tier="pro"}`, 1)
	if err := otelws.SetAttributeOn(w, "tier", "pro"); err == nil || !strings.Contains(err.Error(), "is not watched") {
		t.Error("SetAttributeOn succeeded on an unwatched connection")
	}
}

// Heartbeat and Drain work on the connections of a Listener.
func TestListenerSpeaks(t *testing.T) {
	ws, m := newInstrumentation(t)
	beating := make(chan error, 1)
	addr := serveRaw(t, ws.Listener, func(c net.Conn) {
		if _, err := gobwasUpgrader(func() {}).Upgrade(c); err != nil {
			t.Error(err)
			return
		}
		beating <- ws.HeartbeatOn(context.Background(), c, otelws.Every(time.Millisecond), otelws.Misses(1<<30))
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{c})
	})
	c, _, err := gorilla.DefaultDialer.Dial("ws://"+addr.String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := <-beating; err != nil {
		t.Fatal(err)
	}
	left := make(chan error, 1)
	go func() {
		_, _, err := c.ReadMessage() // reads, and so answers pings
		left <- err
	}()
	atLeast(t, m, "ws_heartbeat_rtt_seconds_count", 3)
	if err := ws.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-left; !gorilla.IsCloseError(err, gorilla.CloseGoingAway) {
		t.Errorf("the client read %v", err)
	}
	m.Wait(t, `ws_connections_closed_total{code="1001"}`, 1)
}
