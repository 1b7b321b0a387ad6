package otelws_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/otelws"
)

// NetConn returns the server's connection. The tap has CloseWrite if that connection
// has it.
func TestNetConn(t *testing.T) {
	for _, c := range []struct {
		name       string
		setup      func(*httptest.Server)
		closeWrite bool
	}{
		{"TCP", func(*httptest.Server) {}, true},
		{"TLS", func(s *httptest.Server) { s.TLS = new(tls.Config) }, true},
		{"without CloseWrite", func(s *httptest.Server) {
			s.Listener = countingListener{s.Listener, new(atomic.Int64)}
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ws, _ := newInstrumentation(t)
			var inner, tap net.Conn
			probe := func(c *net.Conn) func(http.ResponseWriter) http.ResponseWriter {
				return func(w http.ResponseWriter) http.ResponseWriter {
					return hijackProbe{w, func(nc net.Conn, _ *bufio.ReadWriter) { *c = nc }}
				}
			}
			h := withWriter(probe(&inner), ws.Handler(withWriter(probe(&tap), coderEcho(nil))))
			s := startServer(t, nil, h, c.setup)
			w := openWire(t, s)
			exchange(w)
			w.rest()
			s.wait(t)

			if tap == inner {
				t.Fatal("the handler got no tap")
			}
			if got := tap.(interface{ NetConn() net.Conn }).NetConn(); got != inner {
				t.Errorf("NetConn returns %T %p, want %T %p", got, got, inner, inner)
			}
			if tap.RemoteAddr() != inner.RemoteAddr() {
				t.Errorf("the remote address is %v, want %v", tap.RemoteAddr(), inner.RemoteAddr())
			}
			if _, ok := tap.(interface{ CloseWrite() error }); ok != c.closeWrite {
				t.Errorf("whether the tap has CloseWrite: %v, want %v", ok, c.closeWrite)
			}
		})
	}
}

// unready is a connection that embeds a nil *tls.Conn, as before its first Read. So NetConn and
// ConnectionState panic.
type unready struct {
	*tls.Conn // nil
	c         net.Conn
}

func (c unready) Read(p []byte) (int, error)         { return c.c.Read(p) }
func (c unready) Write(p []byte) (int, error)        { return c.c.Write(p) }
func (c unready) Close() error                       { return c.c.Close() }
func (c unready) SetDeadline(t time.Time) error      { return c.c.SetDeadline(t) }
func (c unready) SetReadDeadline(t time.Time) error  { return c.c.SetReadDeadline(t) }
func (c unready) SetWriteDeadline(t time.Time) error { return c.c.SetWriteDeadline(t) }
func (c unready) LocalAddr() net.Addr                { return nil }
func (c unready) RemoteAddr() net.Addr               { return nil }

// A connection is watched even if it has no address, and its NetConn and ConnectionState panic. That
// holds for accepted and for dialed connections.
func TestUnreadyConn(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithEnum("tier", nil, "a"), otelws.WithHeartbeat(patient...))
	wrap := func(c net.Conn) net.Conn { return unready{c: c} }
	w := connectWireTo(t, serveRaw(t, func(l net.Listener) net.Listener { return ws.Listener(acceptAs{l, wrap}) }, func(c net.Conn) {
		if err := otelws.SetAttributeOn(c, "tier", "a"); err == nil {
			t.Error("an attribute was set before a request")
		}
		gobwasRaw(c)
	}), false)
	w.send(handshakeRequest())
	w.response()
	w.send(masked(fin|opClose, closePayload(1000, "")))
	w.rest()
	m.Wait(t, `ws_connections_closed_total{code="1000",tier="other"}`, 1)

	s := startServer(t, nil, coderEcho(nil))
	d := gorilla.Dialer{NetDialContext: ws.DialContext(func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return unready{c: c}, err
	})}
	c, _, err := d.Dial(s.ws(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	m.Wait(t, `ws_client_connections_closed_total{code="1006",tier="other"}`, 1)
	if n := m.Changed(); strings.Contains(n, "protocol_errors") {
		t.Errorf("protocol errors were counted:\n%s", n)
	}
}
