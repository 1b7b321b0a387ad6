package otelws

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"time"
)

// handle is the tap as the application has it. The conn does not refer to it, so
// that the garbage collector can tell that nobody has it any more: not before a
// Read or a Write has returned.
type handle struct {
	conn    *conn
	request *http.Request // for the Summary; it may lead here, so it is not the conn's
	cleanup runtime.Cleanup
}

func newHandle(h *handshake, rwc io.ReadWriteCloser) *handle {
	t := &handle{conn: &conn{rwc: rwc, handshake: h, side: h.side}, request: h.kept()}
	t.cleanup = runtime.AddCleanup(t, (*conn).dropped, t.conn)
	return t
}

func (t *handle) Read(p []byte) (int, error) {
	n, err := t.conn.Read(p)
	runtime.KeepAlive(t)
	return n, err
}

func (t *handle) Write(p []byte) (int, error) {
	n, err := t.conn.Write(p)
	runtime.KeepAlive(t)
	return n, err
}

func (t *handle) Close() error {
	t.cleanup.Stop()
	err := t.conn.Close()
	runtime.KeepAlive(t)
	return err
}

func (t *handle) tapped() *conn { return t.conn }

// dropped ends the connection where the application has let go of it without
// Close: the garbage collector closes a socket that nobody has, and the peer
// sees its end. It is not closed here, since somebody may have what NetConn gave.
func (c *conn) dropped() {
	switch c.state.Load() {
	case pending, live:
		// The application's functions may take their time, which is not the runtime's.
		go func() {
			c.abandon(0)
			c.tell(c.end(InitiatorLocal, nil))
		}()
	}
}

// netConn is a handle whose transport is a net.Conn.
type netConn struct{ *handle }

// NetConn returns the connection beneath the tap. What is read, written or
// closed there is not seen.
func (c netConn) NetConn() net.Conn { return c.conn.rwc.(net.Conn) }

func (c netConn) LocalAddr() net.Addr                { return c.NetConn().LocalAddr() }
func (c netConn) RemoteAddr() net.Addr               { return c.NetConn().RemoteAddr() }
func (c netConn) SetDeadline(t time.Time) error      { return c.NetConn().SetDeadline(t) }
func (c netConn) SetReadDeadline(t time.Time) error  { return c.NetConn().SetReadDeadline(t) }
func (c netConn) SetWriteDeadline(t time.Time) error { return c.NetConn().SetWriteDeadline(t) }

// closeWriter is what ReverseProxy closes one direction of a tunnel by.
type closeWriter interface{ CloseWrite() error }

type (
	netConnCloseWriter struct{ netConn }
	handleCloseWriter  struct{ *handle }
)

func (c netConnCloseWriter) CloseWrite() error { return c.conn.rwc.(closeWriter).CloseWrite() }
func (t handleCloseWriter) CloseWrite() error  { return t.conn.rwc.(closeWriter).CloseWrite() }

// newNetConn returns a conn, and it as the net.Conn that goes to the application.
func newNetConn(h *handshake, nc net.Conn) (*conn, net.Conn) {
	tap := netConn{newHandle(h, nc)}
	if _, ok := nc.(closeWriter); ok {
		return tap.conn, netConnCloseWriter{tap}
	}
	return tap.conn, tap
}

// newBody returns a conn, and it as the body of a 101 response. That of
// [http.Transport] is no net.Conn; another's may be, and a library takes its
// addresses from it.
func newBody(h *handshake, rwc io.ReadWriteCloser) (*conn, io.ReadWriteCloser) {
	if nc, ok := rwc.(net.Conn); ok {
		return newNetConn(h, nc)
	}
	tap := newHandle(h, rwc)
	if _, ok := rwc.(closeWriter); ok {
		return tap.conn, handleCloseWriter{tap}
	}
	return tap.conn, tap
}
