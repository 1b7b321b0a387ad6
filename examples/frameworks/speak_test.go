package frameworks

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
	xnet "golang.org/x/net/websocket"

	"github.com/otelws/otelws-go/otelws"
	"github.com/otelws/otelws-go/otelws/otelwstest"
)

// The tap inserts pings between the frames of servers that write all the time.

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 % 251)
	}
	return b
}

var large, small = pattern(1 << 20), pattern(300)

// seen holds what the servers of a test received.
type seen struct {
	messages, pongs atomic.Int64
	wrong           atomic.Pointer[string]
	rest            time.Duration // pause of a server after a large message
}

func (s *seen) got(b []byte) {
	s.messages.Add(1)
	// x/net delivers a message that the end of the connection has cut off.
	if !strings.HasPrefix(string(small), string(b)) {
		wrong := fmt.Sprintf("a server read %d bytes that were not sent", len(b))
		s.wrong.CompareAndSwap(nil, &wrong)
	}
}

// stream writes until writing fails.
func (s *seen) stream(write func([]byte) error) {
	for i := 0; ; i++ {
		b := small
		if i%200 == 0 {
			b = large
			time.Sleep(s.rest)
		}
		if write(b) != nil {
			return
		}
	}
}

// streams are the libraries. Each serves a connection by writing all the time and
// reading all messages.
var streams = map[string]func(*seen) http.Handler{
	"coder": func(s *seen) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := coder.Accept(w, r, &coder.AcceptOptions{OnPongReceived: func(context.Context, []byte) { s.pongs.Add(1) }})
			if err != nil {
				return
			}
			defer func() { _ = c.CloseNow() }()
			ctx := context.Background()
			go s.stream(func(b []byte) error { return c.Write(ctx, coder.MessageBinary, b) })
			for {
				_, b, err := c.Read(ctx)
				if err != nil {
					return
				}
				s.got(b)
			}
		})
	},
	"gorilla": func(s *seen) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := new(gorilla.Upgrader).Upgrade(w, r, nil)
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
			c.SetPongHandler(func(string) error { s.pongs.Add(1); return nil })
			go s.stream(func(b []byte) error {
				_ = c.SetWriteDeadline(time.Now().Add(time.Minute)) // as users of the library do
				return c.WriteMessage(gorilla.BinaryMessage, b)
			})
			for {
				_, b, err := c.ReadMessage()
				if err != nil {
					return
				}
				s.got(b)
			}
		})
	},
	"gobwas": func(s *seen) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, _, _, err := gobwas.UpgradeHTTP(r, w)
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
			go s.stream(func(b []byte) error { return wsutil.WriteServerBinary(c, b) })
			for {
				h, err := gobwas.ReadHeader(c)
				if err != nil {
					return
				}
				b := make([]byte, h.Length)
				if _, err := io.ReadFull(c, b); err != nil {
					return
				}
				gobwas.Cipher(b, h.Mask, 0)
				switch h.OpCode {
				case gobwas.OpPong:
					s.pongs.Add(1)
				case gobwas.OpPing: // from the tap on the other side of a proxy
				case gobwas.OpClose:
					return
				default:
					s.got(b)
				}
			}
		})
	},
	"gws": func(s *seen) http.Handler {
		u := gws.NewUpgrader(streamHandler{seen: s}, &gws.ServerOption{})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, err := u.Upgrade(w, r); err == nil {
				go s.stream(func(b []byte) error { return c.WriteMessage(gws.OpcodeBinary, b) })
				c.ReadLoop()
			}
		})
	},
	"x-net": func(s *seen) http.Handler {
		return xnet.Server{Handler: func(c *xnet.Conn) {
			go s.stream(func(b []byte) error { return xnet.Message.Send(c, b) })
			for {
				var b []byte
				if err := xnet.Message.Receive(c, &b); err != nil {
					return
				}
				s.got(b)
			}
		}}
	},
}

type streamHandler struct {
	gws.BuiltinEventHandler
	seen *seen
}

func (h streamHandler) OnPong(*gws.Conn, []byte) { h.seen.pongs.Add(1) }

func (h streamHandler) OnMessage(_ *gws.Conn, m *gws.Message) {
	h.seen.got(m.Bytes())
	_ = m.Close()
}

// roads are the ways in which a client reaches a server. Each puts a handler into a
// server whose connections ws watches.
var roads = map[string]func(testing.TB, *otelws.Instrumentation, http.Handler) *httptest.Server{
	"direct": func(t testing.TB, ws *otelws.Instrumentation, h http.Handler) *httptest.Server {
		return httptest.NewServer(ws.Handler(h))
	},
	"TLS": func(t testing.TB, ws *otelws.Instrumentation, h http.Handler) *httptest.Server {
		return httptest.NewTLSServer(ws.Handler(h))
	},
	"ReverseProxy": func(t testing.TB, ws *otelws.Instrumentation, h http.Handler) *httptest.Server {
		backend := httptest.NewServer(h)
		t.Cleanup(backend.Close)
		u, _ := url.Parse(backend.URL)
		p := httputil.NewSingleHostReverseProxy(u)
		base := &http.Transport{}
		t.Cleanup(base.CloseIdleConnections)
		p.Transport = ws.Transport(base)
		return httptest.NewServer(ws.Handler(p))
	},
}

// strict is a client that reads frame by frame, and rejects invalid frames.
type strict struct {
	net.Conn
	br       *bufio.Reader
	mu       sync.Mutex // of writes
	closed   bool       // a close frame has been sent
	pongs    chan []byte
	pings    int
	messages int
}

// dialStrict opens a WebSocket. limit is the maximum duration of the conversation.
func dialStrict(t *testing.T, s *httptest.Server, limit time.Duration) *strict {
	t.Helper()
	address := s.Listener.Addr().String()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(limit))
	if s.TLS != nil {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	fmt.Fprintf(nc, "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	br := bufio.NewReaderSize(nc, 64<<10)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	return &strict{Conn: nc, br: br, pongs: make(chan []byte, 1<<16)}
}

func (c *strict) send(op gobwas.OpCode, payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = op == gobwas.OpClose
	f := gobwas.MaskFrame(gobwas.NewFrame(op, true, append([]byte(nil), payload...)))
	b, err := gobwas.CompileFrame(f)
	if err == nil {
		_, err = c.Write(b)
	}
	return err
}

// flood sends messages all the time, and the pongs for run. If the client stopped
// reading to send pongs, client and server could block each other.
func (c *strict) flood() {
	for {
		var err error
		select {
		case payload := <-c.pongs:
			err = c.send(gobwas.OpPong, payload)
		default:
			err = c.send(gobwas.OpBinary, small)
		}
		if err != nil {
			return
		}
	}
}

// run reads until a close frame, answers it, and reads until the end. It returns the
// close code.
func (c *strict) run(after func(pings int)) (code int, err error) {
	var message []byte
	for {
		h, err := gobwas.ReadHeader(c.br)
		if err != nil {
			return 0, fmt.Errorf("after %d messages: %w", c.messages, err)
		}
		if h.Masked || h.Rsv != 0 || h.Length > 1<<20 || h.OpCode.IsReserved() {
			return 0, fmt.Errorf("torn after %d messages and %d pings: %+v", c.messages, c.pings, h)
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(c.br, payload); err != nil {
			return 0, err
		}
		switch h.OpCode {
		case gobwas.OpPing:
			c.pings++
			c.pongs <- payload
			after(c.pings)
		case gobwas.OpClose:
			code := int(binary.BigEndian.Uint16(payload))
			if err := c.send(gobwas.OpClose, payload[:2]); err != nil {
				return code, err
			}
			if rest, err := io.ReadAll(c.br); len(rest) > 0 {
				return code, fmt.Errorf("%d bytes follow the close frame: %v", len(rest), err)
			}
			return code, nil
		case gobwas.OpText, gobwas.OpBinary, gobwas.OpContinuation:
			message = append(message, payload...)
			if !h.Fin {
				continue
			}
			if string(message) != string(small) && string(message) != string(large) {
				return 0, fmt.Errorf("message %d, of %d bytes, is not what was sent", c.messages, len(message))
			}
			c.messages, message = c.messages+1, message[:0]
		}
	}
}

// pings is the total number of pings in TestPingsAmidMessages, for all libraries and
// roads.
var pings = flag.Int("pings", 300, "pings of TestPingsAmidMessages")

// The tap inserts pings between complete frames of every library, and consumes the
// pongs. A drain then ends every connection cleanly, and nothing follows its close
// frame.
func TestPingsAmidMessages(t *testing.T) {
	each := *pings/(len(streams)*len(roads)) + 1
	for library, handler := range streams {
		for road, serve := range roads {
			t.Run(library+"/"+road, func(t *testing.T) {
				t.Parallel()
				m := otelwstest.NewMetrics(t)
				ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()),
					otelws.WithHeartbeat(otelws.Every(time.Millisecond), otelws.Misses(1<<16)))
				if err != nil {
					t.Fatal(err)
				}
				s := new(seen)
				if road == "TLS" { // below TLS, a ping is sent only if the socket has room for it
					s.rest = time.Millisecond
				}
				server := serve(t, ws, handler(s))
				defer server.Close()
				c := dialStrict(t, server, waitLimit+time.Duration(each)*time.Second)
				go c.flood()
				drained := make(chan error, 1)
				var drain sync.Once
				code, err := c.run(func(n int) {
					if n < each {
						return
					}
					drain.Do(func() {
						go func() {
							ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
							defer cancel()
							drained <- ws.Drain(ctx)
						}()
					})
				})
				if err != nil || code != 1001 {
					t.Fatalf("code %d after %d pings and %d messages: %v", code, c.pings, c.messages, err)
				}
				_ = c.Close()
				if err := <-drained; err != nil {
					t.Error(err)
				}
				if wrong := s.wrong.Load(); wrong != nil {
					t.Error(*wrong)
				}
				if n := s.pongs.Load(); n > 0 {
					t.Errorf("the server saw %d pongs", n)
				}
				if s.messages.Load() == 0 || c.messages == 0 {
					t.Errorf("%d messages received by the server, %d by the client", s.messages.Load(), c.messages)
				}
				m.Wait(t, `ws_connections_closed_total{code="1001"}`, 1)
				m.Wait(t, "ws_connections_active", 0)
				m.Wait(t, `ws_drain_connections_total{outcome="closed"}`, 1)
				t.Logf("%d pings amid %d messages sent and %d received", c.pings, c.messages, s.messages.Load())
				if rtts, _ := m.Value("ws_heartbeat_rtt_seconds_count"); rtts == 0 {
					t.Errorf("no round trip of %d pings", c.pings)
				}
			})
		}
	}
}

// With each library, the heartbeat ends a peer that vanished, and does not end a slow
// peer.
func TestHeartbeatUnderEachLibrary(t *testing.T) {
	for library, handler := range streams {
		t.Run(library, func(t *testing.T) {
			m := otelwstest.NewMetrics(t)
			ws, err := otelws.New(otelws.WithMeterProvider(m.MeterProvider()), otelws.WithHeartbeat(otelws.Every(200*time.Millisecond)))
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(ws.Handler(handler(new(seen))))
			defer server.Close()
			silent, slow := dialStrict(t, server, time.Minute), dialStrict(t, server, time.Minute)
			_ = silent
			done := make(chan error, 1)
			go func() { // never idle for an interval, and never finished
				b := make([]byte, 64<<10)
				for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
					if _, err := io.ReadFull(slow, b); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
			m.Wait(t, `ws_connection_duration_seconds_count{code="1006",initiator="timeout"}`, 1)
			if err := <-done; err != nil {
				t.Errorf("the slow client was cut: %v", err)
			}
			if v, _ := m.Value("ws_connections_active"); v != 1 {
				t.Errorf("%v connections are open, want the slow client's", v)
			}
			_ = slow.Close()
			m.Wait(t, "ws_connections_active", 0)
			for line := range strings.Lines(m.Text()) {
				if strings.Contains(line, `error_type="internal"`) && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
					t.Error(line)
				}
			}
		})
	}
}
