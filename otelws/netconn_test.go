package otelws_test

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// The tap gives the connection that the server gave it, and closes one
// direction where that one can.
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
				t.Fatal("there is no tap")
			}
			if got := tap.(interface{ NetConn() net.Conn }).NetConn(); got != inner {
				t.Errorf("NetConn returns %T %p, want %T %p", got, got, inner, inner)
			}
			if tap.RemoteAddr() != inner.RemoteAddr() {
				t.Errorf("the remote address is %v, want %v", tap.RemoteAddr(), inner.RemoteAddr())
			}
			if _, ok := tap.(interface{ CloseWrite() error }); ok != c.closeWrite {
				t.Errorf("the tap has CloseWrite: %v, want %v", ok, c.closeWrite)
			}
		})
	}
}
