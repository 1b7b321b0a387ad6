package otelws_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gobwas "github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"

	"github.com/otelws/otelws-go/otelws"
)

// Heartbeat and Drain work on dialed connections.
func TestConnSpeaks(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithHeartbeat(otelws.Every(time.Millisecond), otelws.Misses(1<<30)))
	s := echoServer(t, false)
	c, _, err := (&gorilla.Dialer{NetDialContext: ws.DialContext(nil), HandshakeTimeout: waitLimit}).DialContext(t.Context(), s.ws(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ws.HeartbeatOn(t.Context(), c.NetConn()); err == nil {
		t.Error("a second Heartbeat on the connection returned no error")
	}
	other, _ := newInstrumentation(t)
	if err := other.HeartbeatOn(t.Context(), c.NetConn()); err == nil || !strings.Contains(err.Error(), "is not watched") {
		t.Errorf("HeartbeatOn of another Instrumentation returned %v", err)
	}
	read := make(chan error, 1)
	go func() {
		_, _, err := c.ReadMessage()
		read <- err
		_ = c.Close()
	}()
	atLeast(t, m, "ws_client_heartbeat_rtt_seconds_count", 3)
	if err := ws.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-read; err == nil {
		t.Error("the client read a message, where it should get the close frame")
	}
	m.Wait(t, `ws_client_connections_closed_total{code="1001"}`, 1)
	s.wait(t)
}

// writeDeadlines is a connection that remembers its last write deadline.
type writeDeadlines struct {
	net.Conn
	set  atomic.Int64 // number of calls
	last atomic.Pointer[time.Time]
}

func (c *writeDeadlines) SetWriteDeadline(t time.Time) error {
	c.last.Store(&t)
	c.set.Add(1)
	return c.Conn.SetWriteDeadline(t)
}

// A write deadline that the application set before the handshake still holds after the
// tap has sent a ping.
func TestDeadlineFromBeforeTheHandshake(t *testing.T) {
	ws, m := newInstrumentation(t, otelws.WithHeartbeat(otelws.Every(time.Millisecond), otelws.Misses(1<<30)))
	var conn *writeDeadlines
	far := time.Now().Add(24 * time.Hour)
	addr := serveRaw(t, func(l net.Listener) net.Listener {
		return ws.Listener(acceptAs{l, func(c net.Conn) net.Conn {
			conn = &writeDeadlines{Conn: c}
			return conn
		}})
	}, func(c net.Conn) {
		_ = c.SetWriteDeadline(far)
		if _, err := gobwas.Upgrade(c); err != nil {
			t.Error(err)
		}
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{c})
	})
	c, _, err := gorilla.DefaultDialer.Dial("ws://"+addr.String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _, _ = c.ReadMessage() }()
	atLeast(t, m, "ws_heartbeat_rtt_seconds_count", 2)
	_ = c.Close()
	m.Wait(t, "ws_connections_active", 0)
	if n, last := conn.set.Load(), *conn.last.Load(); n < 3 || !last.Equal(far) {
		t.Errorf("after %d write deadlines the last is %v, want %v", n, last, far)
	}
}

// acceptAs is a Listener that wraps each connection.
type acceptAs struct {
	net.Listener
	change func(net.Conn) net.Conn
}

func (l acceptAs) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.change(c), nil
}

// Through a proxy's tunnel, too, a dialed connection reports that it carries TLS.
func TestDialedTLSBehindProxy(t *testing.T) {
	says := reported(t)
	ws, _ := newInstrumentation(t)
	proxy := startServer(t, nil, connectProxy(t))
	backend := serveRaw(t, func(l net.Listener) net.Listener { return l }, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	nc, err := ws.DialContext(nil)(t.Context(), "tcp", proxy.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Conn: nc, t: t, br: bufio.NewReader(nc)}
	w.send(fmt.Appendf(nil, "CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n", backend))
	w.head()
	w.send([]byte("\x16\x03\x01\x02\x00\x01\x00"))
	_ = w.Close()
	proxy.wait(t)
	expectReports(t, says, "Conn or DialContext carries TLS")
}
