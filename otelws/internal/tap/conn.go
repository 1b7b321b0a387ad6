// Package tap watches the transport of a WebSocket connection. It passes bytes on unchanged and
// without delay, reads the frames, and tells a [Recorder] about them.
//
// A Conn is in one of three states:
//
//   - Its handshake is in progress: the response has not passed. Bytes in the opposite direction are
//     kept for the session.
//   - It has a session: it is, or was, a WebSocket.
//   - It has neither: it is foreign, and bytes pass unread.
//
// The tap never alters, delays or fails the traffic. If it panics, or the Recorder does, only the
// counts of that one connection are lost.
package tap

import (
	"io"
	"net"
	"sync/atomic"
)

// Conn is the tap of one connection. It allows the same concurrent use as its transport.
type Conn struct {
	transport io.ReadWriteCloser
	session   atomic.Pointer[session] // nil until the connection is open
	opened    session                 // session points to this

	handshake atomic.Pointer[handshake] // nil once the handshake is over
	recorder  Recorder
	lower     net.Conn    // beneath a transport that is not a net.Conn; nil if it is not known
	closed    atomic.Bool // Close has closed the transport
	faulted   atomic.Bool
	refused   atomic.Int32 // the status, if the handshake opened no connection
	accepted  bool         // the peer is a client
}

// init makes c the tap of transport, whose handshake is in progress.
func (c *Conn) init(transport io.ReadWriteCloser, accepted bool, r Recorder) {
	c.transport, c.accepted, c.recorder = transport, accepted, r
	c.opened.conn = c
	c.handshake.Store(new(handshake))
}

// readBefore records a Read of the transport that began before c became its tap, and returns its
// result.
func (c *Conn) readBefore(p []byte, n int, err error) (int, error) {
	if !isCount(n, p) {
		return n, err
	}
	c.readBegins()
	keep, messages := c.received(p[:n])
	c.readDone(messages, err)
	return keep, err
}

// readBegins records the start of a Read of the transport. readDone records its end.
func (c *Conn) readBegins() { c.opened.inbound.passed.begin() }

// isCount reports whether n is a valid result of a Read into p. If a transport violates the
// contract of io.Reader, its result passes unchanged.
func isCount(n int, p []byte) bool { return uint(n) <= uint(len(p)) }

// readBroken ends a Read for which isCount is false, and returns its error.
func (c *Conn) readBroken(err error) error {
	if isFinal(err) {
		c.readDone(0, err)
	} else {
		c.readDone(0, nil) // its error may mean anything
	}
	return err
}

// readDone is called when the result of a Read has been recorded, except for the messages, which it
// counts.
func (c *Conn) readDone(messages uint64, err error) {
	c.opened.inbound.passed.end(messages)
	if err != nil || c.closed.Load() {
		c.readEnded(err)
	}
}

// received records b, which came from the peer. It returns how much of b to pass on, and how many
// messages readDone must count.
func (c *Conn) received(b []byte) (keep int, messages uint64) {
	s := c.session.Load()
	if s != nil && len(b) > 0 {
		if sp := s.speaker.Load(); sp != nil && sp.swallows() {
			r := sp.lock()
			defer sp.unlock(r)
			return s.swallow(sp, r, b, 0), 0
		}
	}
	return len(b), c.note(s, b)
}

func (c *Conn) note(s *session, b []byte) (messages uint64) {
	defer c.contain()
	if s == nil && len(b) > 0 {
		s = c.receivedEarly(b)
	}
	if s != nil {
		return s.received(b)
	}
	return 0
}

// Write writes p to the transport. It records pings and close frames before the write, because the
// answer can arrive before Write returns. It records everything else after the write.
func (c *Conn) Write(p []byte) (int, error) {
	if s := c.session.Load(); s != nil {
		return s.write(p)
	}
	if h := c.handshake.Load(); h != nil {
		if h.incoming() {
			return c.writeEarly(h, p)
		}
		return c.writeResponse(h, p)
	}
	if s := c.session.Load(); s != nil { // it has opened in the meantime
		return s.write(p)
	}
	return c.transport.Write(p)
}

// Close closes the transport, and then ends the connection. A Read in progress may still return a
// close frame of the peer. In this case, the connection ends after that Read. Over TLS, it ends after
// the last of the Reads that follow at once. After [Conn.Goodbye], Close first waits for the peer's
// answer, in the background.
func (c *Conn) Close() error {
	if c.linger() {
		return nil
	}
	return c.Cut()
}

// Cut closes the transport at once.
func (c *Conn) Cut() error {
	c.closing()
	defer c.closedTransport()
	return c.transport.Close()
}

// CutOff is like Cut, for goroutines of the tap. There, a transport that panics must not end the
// process.
func (c *Conn) CutOff() {
	defer c.contain()
	_ = c.Cut()
}

// GiveUp ends the connection of a peer that does not answer.
func (c *Conn) GiveUp() {
	if s := c.session.Load(); s != nil {
		s.verdict.mu.Lock()
		s.verdict.gaveUp = true
		s.verdict.mu.Unlock()
	}
	c.CutOff()
}

func (c *Conn) closing() {
	defer c.contain()
	c.abandon(0)
	if s := c.session.Load(); s != nil {
		s.closing()
	}
}

func (c *Conn) closedTransport() {
	defer c.contain()
	c.closed.Store(true)
	if s := c.session.Load(); s != nil {
		s.closed()
	}
}

// Reading reports whether a Read is in progress.
func (c *Conn) Reading() bool { return c.opened.inbound.passed.reading() }

// readEnded records a Read that returned an error, or that was the last one after Close.
func (c *Conn) readEnded(err error) {
	defer c.contain()
	if err != nil {
		c.opened.failed.Add(1)
	}
	if h := c.handshake.Load(); h != nil && err != nil && !isTimeout(err) && !h.readEnded(err) {
		c.abandon(0)
	}
	s := c.session.Load()
	switch {
	case s == nil:
	case c.closed.Load() && !c.Reading():
		s.closed()
	case err != nil:
		s.readFailed(err)
	}
}

// dropped ends a connection that the application lost without Close. The garbage collector closes
// an unreachable socket. dropped does not close it, because somebody may still use the result of
// NetConn.
func (c *Conn) dropped() {
	defer c.contain()
	c.abandon(0)
	if s := c.session.Load(); s != nil {
		s.end(nil)
	}
}

// socket returns the transport if it is a net.Conn. Otherwise it returns the net.Conn beneath, or
// nil if that is not known.
func (c *Conn) socket() net.Conn {
	if nc, ok := c.transport.(net.Conn); ok {
		return nc
	}
	return c.lower
}

// watching reports whether c is not foreign.
func (c *Conn) watching() bool {
	// The session begins before the handshake is over.
	return c.session.Load() != nil || c.handshake.Load() != nil || c.session.Load() != nil
}

// contain is deferred by code that may panic, because instrumentation must not break the
// connection.
func (c *Conn) contain() {
	if v := recover(); v != nil {
		c.fault(v)
	}
}

// fault stops the reading of frames for ever.
func (c *Conn) fault(v any) {
	if c.faulted.Swap(true) {
		return
	}
	defer func() { _ = recover() }() // the Recorder's
	if h := c.handshake.Swap(nil); h != nil {
		h.advance(over)
	}
	c.opened.stop()
	c.recorder.Fault(v)
}
