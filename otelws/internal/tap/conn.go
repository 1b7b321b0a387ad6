// Package tap watches the transport of a WebSocket connection: it passes bytes on
// unchanged and at once, reads the frames that go by, and gives the facts to a
// [Recorder].
//
// A Conn is in one of three states:
//
//   - Its handshake is under way: the response has not passed. What goes against
//     it meanwhile is kept, for the session to read.
//   - It has a session: it is, or was, a WebSocket.
//   - It has neither: it is foreign, and bytes pass unread.
//
// The tap never alters, delays or fails what passes. A fault of its own, or of
// the Recorder, costs the counts of that one connection and no more.
package tap

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/otelws/otelws-go/otelws/internal/count"
	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// Recorder takes the facts of one connection. Its methods are called by the
// goroutines that read, write and close, some of them with locks of the Conn
// held: they must not use the Conn.
type Recorder interface {
	// Opening is called with the header of the response that opens the connection.
	// It returns where to count. It may take its time: no lock is held.
	Opening(response http.Header) Opening
	// Opened is called when that response has gone out, before any other fact but
	// Opening.
	Opened()
	// Begun is called after that, with no lock held: the Conn may be used.
	Begun()
	// Refused is called instead where the handshake comes to no connection. status
	// is that of the response, 0 where there was none.
	Refused(status int)

	// Message is called for each message, where Opening.Messages asks for it. kind is
	// its place among Opening.Kinds, 0 without these.
	Message(d count.Direction, size int64, kind int)
	// RoundTrip is called for each ping that was answered.
	RoundTrip(d time.Duration)
	// ProtocolError is called for each violation of RFC 6455.
	ProtocolError(frame.Error)
	// Leaving is called when the library closes a connection. Where ok is true, the
	// tap says goodbye first, with code and reason.
	Leaving() (code websocket.StatusCode, reason string, ok bool)
	// Ended is called once for a connection that has opened, with no lock held.
	Ended(End)

	// Fault is called once where the tap or the Recorder panicked with v. The
	// frames of the connection are not read from then on.
	Fault(v any)
}

// Opening is what a connection is given when it opens.
type Opening struct {
	Shard    *count.Shard
	Messages bool // whether Recorder.Message is called
	Decode   bool // whether the sizes of compressed messages are decoded
	// Kinds reads the kinds of messages, which KindShard counts. Both are nil where
	// they are not asked for.
	Kinds     *Kinds
	KindShard *count.KindShard
	Payload   func([]byte) []byte // returns the part of a message with the kind, unless nil
	PeerLeft  bool                // whether the peer had left before the response went out
	// Closing, where it is not nil, is called each time that this side is about to
	// close the transport, which can still be asked then.
	Closing func()
}

// Conn is the tap of one connection. It is safe for the same concurrent use as
// its transport.
type Conn struct {
	transport io.ReadWriteCloser
	session   atomic.Pointer[session] // nil until the connection is open
	opened    session                 // what session points to

	handshake atomic.Pointer[handshake] // nil once the handshake is over
	recorder  Recorder
	lower     net.Conn    // beneath a transport that is none, where it is known
	closed    atomic.Bool // Close has closed the transport
	faulted   atomic.Bool
	refused   atomic.Int32 // the status, once the handshake has come to no connection
	accepted  bool         // the peer is a client
}

// init makes c the tap of transport, in a handshake.
func (c *Conn) init(transport io.ReadWriteCloser, accepted bool, r Recorder) {
	c.transport, c.accepted, c.recorder = transport, accepted, r
	c.opened.conn = c
	c.handshake.Store(new(handshake))
}

// readBefore takes note of a Read of the transport that began before c was its
// tap, and returns its result.
func (c *Conn) readBefore(p []byte, n int, err error) (int, error) {
	if !isCount(n, p) {
		return n, err
	}
	c.readBegins()
	keep, messages := c.received(p[:n])
	c.readDone(messages, err)
	return keep, err
}

// readBegins takes note of a Read of the transport, which readDone ends.
func (c *Conn) readBegins() { c.opened.inbound.passed.begin() }

// isCount says whether n may be what a Read into p returns. Of a transport that
// breaks the contract of io.Reader, the result is passed on as it is.
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

// readDone is called when the result of a Read has been taken note of, but for some
// messages, which it counts.
func (c *Conn) readDone(messages uint64, err error) {
	c.opened.inbound.passed.end(messages)
	if err != nil || c.closed.Load() {
		c.readEnded(err)
	}
}

// received takes note of b, which has come from the peer. It returns how much of it
// is to be passed on, and how many messages readDone is to count.
func (c *Conn) received(b []byte) (keep int, messages uint64) {
	s := c.session.Load()
	if s != nil {
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

// Write writes p to the transport. It takes note of a ping or a close frame
// before, since the answer can be read before Write returns, and of all else
// after.
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
	if s := c.session.Load(); s != nil { // opened meanwhile
		return s.write(p)
	}
	return c.transport.Write(p)
}

// Close closes the transport, and then ends the connection. A Read in progress
// may still have a close frame of the peer's: then the connection ends when that
// Read has been taken note of. After [Conn.Goodbye], the peer's answer is awaited
// first, in the background.
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

// CutOff is Cut on a goroutine of the tap's own, where a transport that panics must
// not end the process.
func (c *Conn) CutOff() {
	defer c.contain()
	_ = c.Cut()
}

func (c *Conn) closing() {
	defer c.contain()
	c.abandon(0)
	if s := c.session.Load(); s != nil {
		s.closing()
	}
}

// closeLimit is how long a Read may stay in progress after Close before the
// connection ends without it. That of a net.Conn returns at once.
const closeLimit = time.Second

func (c *Conn) closedTransport() {
	defer c.contain()
	s := c.session.Load()
	c.closed.Store(true)
	switch {
	case s == nil:
	case c.reading():
		s.endLater(closeLimit)
	default:
		s.end(nil)
	}
}

// reading says whether a Read is in progress.
func (c *Conn) reading() bool { return c.opened.inbound.passed.reading() }

// readEnded takes note of a Read that has returned an error, or that was the
// last one after Close.
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
	case c.closed.Load() && !c.reading():
		s.end(nil)
	case err != nil:
		s.readFailed(err)
	}
}

// dropped ends a connection that the application has let go of without Close:
// the garbage collector closes a socket that nobody has. It is not closed here,
// since somebody may have what NetConn gave.
func (c *Conn) dropped() {
	defer c.contain()
	c.abandon(0)
	if s := c.session.Load(); s != nil {
		s.end(nil)
	}
}

// socket returns the net.Conn that the transport is, or stands on where the
// transport does not show it, and nil where none is known.
func (c *Conn) socket() net.Conn {
	if nc, ok := c.transport.(net.Conn); ok {
		return nc
	}
	return c.lower
}

// watching says whether c is not foreign.
func (c *Conn) watching() bool {
	// The session begins before the handshake is over.
	return c.session.Load() != nil || c.handshake.Load() != nil || c.session.Load() != nil
}

// contain is deferred by whatever may panic: instrumentation must not break what
// it watches.
func (c *Conn) contain() {
	if v := recover(); v != nil {
		c.fault(v)
	}
}

// fault stops the reading of frames, for good.
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
