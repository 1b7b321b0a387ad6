package tap

import (
	"io"
	"net"
	"runtime"
	"time"
)

// held is a Conn as the application has it. The Conn does not refer to it. So the garbage collector
// can find that the application has lost it, but not before all Reads and Writes have returned.
type held struct {
	conn    *Conn
	keep    any // stays reachable as long as the application has the connection
	cleanup runtime.Cleanup
}

// Watch makes c the tap of transport, an accepted or a dialed connection whose handshake is in
// progress. It returns the transport for the application, which is a [net.Conn] if transport is
// one. keep stays reachable as long as the application has the result. c does not refer to keep.
func (c *Conn) Watch(transport io.ReadWriteCloser, accepted bool, r Recorder, keep any) io.ReadWriteCloser {
	if nc, ok := transport.(net.Conn); ok {
		return c.WatchConn(nc, accepted, r, keep)
	}
	h := new(heldCloseWriter)
	h.hold(c, transport, accepted, r, keep)
	if _, ok := transport.(closeWriter); ok {
		return h
	}
	return &h.held
}

// Lower sets the net.Conn beneath a transport that does not show it. Call it before Open. The tap
// uses it for deadlines and for the kernel's state.
func (c *Conn) Lower(nc net.Conn) { c.lower = nc }

// WatchConn is like Watch, for a net.Conn.
func (c *Conn) WatchConn(nc net.Conn, accepted bool, r Recorder, keep any) net.Conn {
	h := new(netConnCloseWriter)
	h.hold(c, nc, accepted, r, keep)
	if _, ok := nc.(closeWriter); ok {
		return h
	}
	return &h.netConn
}

// hold makes c the tap of transport, with h as its held.
func (h *held) hold(c *Conn, transport io.ReadWriteCloser, accepted bool, r Recorder, keep any) {
	c.init(transport, accepted, r)
	h.conn, h.keep = c, keep
	h.cleanup = runtime.AddCleanup(h, func(c *Conn) {
		if c.watching() {
			go c.dropped() // the Recorder may be slow, and must not block the runtime
		}
	}, c)
}

// Read reads from the transport, and then records the bytes. It calls the transport itself, and the
// types that embed held call it by a jump: idle connections wait in this function, and the garbage
// collector scans each of their frames.
func (h *held) Read(p []byte) (int, error) {
	c := h.conn
	for {
		if s := c.session.Load(); s != nil {
			if sp := s.speaker.Load(); sp != nil {
				if sp.lingers() {
					return 0, errGoingAway
				}
				if len(p) > 0 && sp.swallows() {
					n, err := s.readSwallowing(sp, p)
					runtime.KeepAlive(h)
					return n, c.errorOf(err)
				}
			}
		}
		c.readBegins()
		n, err := c.transport.Read(p)
		runtime.KeepAlive(h)
		if !isCount(n, p) {
			return n, c.readBroken(err)
		}
		keep, messages := c.received(p[:n])
		c.readDone(messages, err)
		if keep > 0 || n == 0 || err != nil {
			return keep, c.errorOf(err)
		}
	}
}

func (h *held) Write(p []byte) (int, error) {
	n, err := h.conn.Write(p)
	runtime.KeepAlive(h)
	return n, err
}

func (h *held) Close() error {
	h.cleanup.Stop()
	err := h.conn.Close()
	runtime.KeepAlive(h)
	return err
}

// netConn is a held whose transport is a net.Conn.
type netConn struct{ held }

// NetConn returns the connection beneath the tap. The tap does not see Read, Write and Close calls
// on it.
func (c *netConn) NetConn() net.Conn { return c.conn.transport.(net.Conn) }

func (c *netConn) LocalAddr() net.Addr  { return c.NetConn().LocalAddr() }
func (c *netConn) RemoteAddr() net.Addr { return c.NetConn().RemoteAddr() }

// The deadlines belong to the application. While the tap writes its own frame, that frame has its
// own write deadline.

func (c *netConn) SetDeadline(t time.Time) error {
	if c.conn.lingers() {
		return errGoingAway
	}
	c.conn.opened.interrupted(t)
	return c.conn.opened.deadline.set(t, c.NetConn().SetDeadline, c.NetConn().SetReadDeadline)
}

func (c *netConn) SetReadDeadline(t time.Time) error {
	if c.conn.lingers() {
		return errGoingAway
	}
	c.conn.opened.interrupted(t)
	return c.NetConn().SetReadDeadline(t)
}

func (c *netConn) SetWriteDeadline(t time.Time) error {
	return c.conn.opened.deadline.set(t, c.NetConn().SetWriteDeadline, func(time.Time) error { return nil })
}

// closeWriter has the method with which ReverseProxy closes one direction of a tunnel.
type closeWriter interface{ CloseWrite() error }

type (
	netConnCloseWriter struct{ netConn }
	heldCloseWriter    struct{ held }
)

func (c *netConnCloseWriter) CloseWrite() error { return c.conn.closeWrite() }
func (h *heldCloseWriter) CloseWrite() error    { return h.conn.closeWrite() }

func (c *Conn) closeWrite() error {
	c.opened.flags.set(halfClosed)
	return c.transport.(closeWriter).CloseWrite()
}
