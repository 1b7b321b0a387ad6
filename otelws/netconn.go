package otelws

import (
	"io"
	"net"
	"runtime"
)

// netConn is the tap as the application has it, where the transport is a
// net.Conn. The conn does not refer to it, so that the garbage collector can
// tell that nobody has it any more: not before a Read or a Write has returned.
type netConn struct {
	net.Conn
	conn *conn
}

func (c *netConn) Read(p []byte) (int, error) {
	n, err := c.conn.Read(p)
	runtime.KeepAlive(c)
	return n, err
}

func (c *netConn) Write(p []byte) (int, error) {
	n, err := c.conn.Write(p)
	runtime.KeepAlive(c)
	return n, err
}

func (c *netConn) Close() error { return c.conn.Close() }

// NetConn returns the connection beneath the tap. What is read, written or
// closed there is not seen.
func (c *netConn) NetConn() net.Conn { return c.Conn }

func (c *netConn) tapped() *conn { return c.conn }

// body is the tap as the body of a response, where the transport is no net.Conn.
type body struct{ conn *conn }

func (b *body) Read(p []byte) (int, error) {
	n, err := b.conn.Read(p)
	runtime.KeepAlive(b)
	return n, err
}

func (b *body) Write(p []byte) (int, error) {
	n, err := b.conn.Write(p)
	runtime.KeepAlive(b)
	return n, err
}

func (b *body) Close() error { return b.conn.Close() }

func (b *body) tapped() *conn { return b.conn }

// closeWriter is what ReverseProxy closes one direction of a tunnel by.
type closeWriter interface{ CloseWrite() error }

type (
	netConnCloseWriter struct{ *netConn }
	bodyCloseWriter    struct{ *body }
)

func (c netConnCloseWriter) CloseWrite() error { return c.Conn.(closeWriter).CloseWrite() }
func (b bodyCloseWriter) CloseWrite() error    { return b.conn.rwc.(closeWriter).CloseWrite() }

// newNetConn returns a conn, and it as the net.Conn that goes to the application.
func newNetConn(h *handshake, nc net.Conn) (*conn, net.Conn) {
	c := &conn{rwc: nc, handshake: h, side: h.side}
	tap := &netConn{nc, c}
	runtime.AddCleanup(tap, (*conn).dropped, c)
	if _, ok := nc.(closeWriter); ok {
		return c, netConnCloseWriter{tap}
	}
	return c, tap
}

// newBody returns a conn, and it as the body of a 101 response. That of
// [http.Transport] is no net.Conn; another's may be, and a library takes its
// addresses from it.
func newBody(h *handshake, rwc io.ReadWriteCloser) (*conn, io.ReadWriteCloser) {
	if nc, ok := rwc.(net.Conn); ok {
		return newNetConn(h, nc)
	}
	c := &conn{rwc: rwc, handshake: h, side: h.side}
	tap := &body{c}
	runtime.AddCleanup(tap, (*conn).dropped, c)
	if _, ok := rwc.(closeWriter); ok {
		return c, bodyCloseWriter{tap}
	}
	return c, tap
}

// dropped ends the connection where the application has let go of it without
// Close: the garbage collector closes a socket that nobody has, and the peer
// sees its end. It is not closed here, since somebody may have what NetConn gave.
func (c *conn) dropped() {
	c.abandon(0)
	c.summarize(c.end(InitiatorLocal, nil))
}
