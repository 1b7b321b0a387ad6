package otelws_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelws/otelws-go/exporter"
	"github.com/otelws/otelws-go/otelws"
)

// memoryConn is a connection without a socket. Each Read returns one masked binary
// message of 64 bytes, and each Write succeeds at once.
type memoryConn struct {
	closed atomic.Bool
	addr   net.Addr
}

var maskedMessage = append([]byte{0x82, 0x80 | 64, 1, 2, 3, 4}, make([]byte, 64)...)

// unmaskedMessage is a binary message of 64 bytes, as a server sends it.
var unmaskedMessage = append([]byte{0x82, 64}, make([]byte, 64)...)

func (c *memoryConn) Read(p []byte) (int, error) {
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	return copy(p, maskedMessage), nil
}

func (c *memoryConn) Write(p []byte) (int, error) {
	if c.closed.Load() {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func (c *memoryConn) Close() error {
	c.closed.Store(true)
	return nil
}

func (c *memoryConn) LocalAddr() net.Addr              { return c.addr }
func (c *memoryConn) RemoteAddr() net.Addr             { return c.addr }
func (c *memoryConn) SetDeadline(time.Time) error      { return nil }
func (c *memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }

// memoryWriter is a ResponseWriter whose Hijack returns conn.
type memoryWriter struct {
	http.ResponseWriter
	conn net.Conn
}

func (w memoryWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.conn, nil, nil }

var memoryRequest = func() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	return r
}()

// openInMemory returns n connections that ws watches, as Hijack gives them to a
// library.
func openInMemory(tb testing.TB, ws *otelws.Instrumentation, n int) []net.Conn {
	tb.Helper()
	var opened []net.Conn
	h := ws.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); err != nil {
			tb.Fatal(err)
		}
		opened = append(opened, c)
	}))
	for i := range n {
		addr := &net.TCPAddr{IP: net.IPv4(10, byte(i>>16), byte(i>>8), byte(i)), Port: 40000}
		h.ServeHTTP(memoryWriter{httptest.NewRecorder(), &memoryConn{addr: addr}}, memoryRequest)
	}
	return opened
}

// BenchmarkTap measures one message through the tap, without a socket, in each
// direction.
func BenchmarkTap(b *testing.B) {
	exp, err := exporter.New()
	if err != nil {
		b.Fatal(err)
	}
	ws, err := otelws.New(otelws.WithMeterProvider(exp.MeterProvider()))
	if err != nil {
		b.Fatal(err)
	}
	c := openInMemory(b, ws, 1)[0]
	buf := make([]byte, 4096)
	b.Run("Receive", func(b *testing.B) {
		b.ReportAllocs()
		before := cpuTime(b)
		for b.Loop() {
			if _, err := c.Read(buf); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
	})
	b.Run("Send", func(b *testing.B) {
		b.ReportAllocs()
		before := cpuTime(b)
		for b.Loop() {
			if _, err := c.Write(unmaskedMessage); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
	})
}
