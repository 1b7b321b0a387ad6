package tap

import (
	"bytes"
	"io"
	"net/http"
	"sync"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/upgrade"
)

// handshake is the state of a Conn whose response has not passed. An accepted connection writes the
// response, and a dialed connection reads it. Bytes in the opposite direction belong to the time
// after the request.
type handshake struct {
	request http.Header // the header of the request, if this side reads the response

	mu       sync.Mutex
	phase    phase
	unsent   int           // number of bytes of the request that are not yet written
	early    *bytes.Buffer // the bytes after the request
	earlyAt  clock.Instant
	head     *upgrade.ResponseHead // the part of the response's head that has passed
	whole    bool                  // the end of the head has passed, or is being written
	unread   bool                  // more has been written since that, or less than there was
	peerLeft bool
}

// incoming reports whether this side reads the response.
func (h *handshake) incoming() bool { return h.request != nil }

// phase is the progress of a handshake. It only increases.
type phase uint8

const (
	answering phase = iota // the response has not passed
	opening                // the response has passed, and the Recorder is called
	over                   // the Conn has a session, or is foreign
)

// The limits of the data that is kept during a handshake. A peer or a handler that exceeds them
// does not speak WebSocket.
const (
	maxEarly = 64 << 10
	maxHead  = upgrade.MaxHead
)

// await prepares c to read the response. request is the header of its request. The next unsent
// bytes that are written are the end of that request.
func (c *Conn) await(request http.Header, unsent int) {
	h := c.handshake.Load()
	h.request, h.unsent = request, unsent
}

// Hold keeps b, the first bytes of the peer. The server had read them before it handed over the
// transport.
func (c *Conn) Hold(b []byte) {
	defer c.contain()
	if len(b) > 0 {
		c.receivedEarly(b)
	}
}

// receivedEarly records b, which the peer sent before there was a session. It is a part of the
// response, or data to keep until the connection opens. If b belongs to a session, receivedEarly
// returns the session.
func (c *Conn) receivedEarly(b []byte) *session {
	h := c.handshake.Load()
	switch {
	case h == nil:
		return c.session.Load()
	case h.incoming():
		if response, end := c.readResponse(h, b); response != nil {
			c.open(response, write{p: b[end:]})
		}
		return nil
	case c.keepEarly(h, b):
		return c.session.Load()
	}
	return nil
}

// keepEarly keeps b, which followed the request. It reports whether the handshake was already over.
func (c *Conn) keepEarly(h *handshake, b []byte) (isOver bool) {
	isOver, fits := h.keep(b)
	if !fits {
		c.abandon(0)
	}
	return isOver
}

func (h *handshake) keep(b []byte) (isOver, fits bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase == over {
		return true, true
	}
	n := min(h.unsent, len(b))
	h.unsent -= n
	if b = b[n:]; len(b) == 0 {
		return false, true
	}
	if h.early == nil {
		h.early, h.earlyAt = new(bytes.Buffer), clock.Now()
	}
	if h.early.Len()+len(b) > maxEarly {
		return false, false
	}
	h.early.Write(b)
	return false, true
}

// advance sets the phase to the given one, unless it is later already, and returns the previous
// phase.
func (h *handshake) advance(to phase) (before phase) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before = h.phase
	h.phase = max(before, to)
	if h.phase == over {
		h.early, h.head = nil, nil
	}
	return before
}

// abandon ends a handshake that opens no connection. The Conn becomes foreign.
func (c *Conn) abandon(status int) {
	h := c.handshake.Load()
	if h == nil {
		return
	}
	before := h.advance(over)
	if before == over {
		return
	}
	c.refused.Store(int32(status))
	c.handshake.Store(nil)
	if h.incoming() && status == http.StatusSwitchingProtocols {
		status = 0 // it does not answer this request, so no connection begins
	}
	if before == answering { // otherwise open calls Refused
		c.recorder.Refused(status)
	}
}

// Discard ends a handshake that something else watches. It calls no method of the Recorder.
func (c *Conn) Discard() {
	if h := c.handshake.Load(); h != nil && h.discard() {
		c.handshake.Store(nil)
	}
}

func (h *handshake) discard() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase != answering {
		return false
	}
	h.phase, h.early, h.head = over, nil, nil
	return true
}

// readEnded records that a Read failed for good before there was a response. A peer that has
// finished sending may still get a response.
func (h *handshake) readEnded(err error) (goesOn bool) {
	if h.incoming() || !is(err, io.EOF) {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.peerLeft = true
	return h.phase == answering
}

// Open begins the session. A response with the given header has been written.
func (c *Conn) Open(response http.Header) {
	defer c.contain()
	c.open(response, write{})
}

// open begins the session. w is the rest of the Write, or of the Read, that contained the end of
// the response. The bytes that were kept are read now.
func (c *Conn) open(response http.Header, w write) {
	h := c.handshake.Load()
	if h == nil || h.advance(opening) != answering {
		return
	}
	o := c.recorder.Opening(response)
	if !c.begin(h, o, response, w) { // it was closed while the response was written
		c.recorder.Refused(0)
		return
	}
	c.recorder.Begun()
}

// begin publishes the session, unless the handshake is over.
func (c *Conn) begin(h *handshake, o Opening, response http.Header, w write) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase == over {
		return false
	}
	h.phase = over
	s := &c.opened
	o.PeerLeft = o.PeerLeft || h.peerLeft
	s.prepare(o, upgrade.ExtensionsOf(response))
	in, out := &s.inbound, &s.outbound
	in.mu.Lock()
	defer in.mu.Unlock()
	out.mu.Lock()
	defer out.mu.Unlock()
	c.recorder.Opened()
	c.session.Store(s)
	c.handshake.Store(nil)

	var received []byte
	if h.early != nil {
		received = h.early.Bytes()
	}
	if h.incoming() {
		received, w = w.p, write{p: received, n: len(received), begun: h.earlyAt}
	}
	// If a ping was sent together with the response, it was sent when that Write began.
	var ahead events
	s.readAhead(w.p, w.begun, &ahead)
	s.wrote(w.p, w.n, &ahead)
	if h.unread {
		out.parser.Stop()
	}
	out.update()
	s.readInbound(received)
	in.update()
	h.early, h.head = nil, nil
	if w.err != nil {
		s.writeFailed(w.err)
	}
	return true
}

// write describes a Write: its bytes, its time and its result.
type write struct {
	p     []byte
	begun clock.Instant
	n     int
	err   error
}

// writeEarly is Write while the response has not arrived. It writes the end of the request, and
// whatever the library sends without waiting for the answer.
func (c *Conn) writeEarly(h *handshake, p []byte) (n int, err error) {
	s, begun := &c.opened, clock.Now()
	s.writing.Begin(begun) // the session may begin in the meantime
	defer s.endWrite(begun)
	if c.keepEarly(h, p) {
		return c.Write(p)
	}
	n, err = c.transport.Write(p)
	if n != len(p) {
		h.cutShort(s)
	}
	if err != nil && !isTimeout(err) {
		c.abandon(0)
	}
	return n, err
}

// cutShort records that fewer bytes were written than were kept.
func (h *handshake) cutShort(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unread = true
	if h.phase == over {
		s.outbound.stop()
	}
}

// writeResponse is Write while the response has not been written. gorilla/websocket, gobwas/ws and
// httputil.ReverseProxy hijack first, and then write the response themselves.
func (c *Conn) writeResponse(h *handshake, p []byte) (int, error) {
	response, end := c.readResponse(h, p)
	begun := clock.Now()
	n, err := c.transport.Write(p)
	c.wroteResponse(response, end, write{p, begun, n, err})
	return n, err
}

func (c *Conn) wroteResponse(response http.Header, end int, w write) {
	defer c.contain()
	if response != nil && w.n >= end && w.n <= len(w.p) {
		w.p, w.n = w.p[end:], w.n-end
		c.open(response, w)
		return
	}
	if w.err != nil && !isTimeout(w.err) {
		c.abandon(0)
	}
}

// readResponse reads p, which will be written or has been read, as a part of the response's head.
// If p completes a head that switches to WebSocket, it returns the header, and the index in p after
// the head. Any other response means that the handshake failed.
func (c *Conn) readResponse(h *handshake, p []byte) (response http.Header, end int) {
	defer c.contain()
	response, end, status, failed := h.read(p)
	if failed {
		c.abandon(status)
	}
	return response, end
}

func (h *handshake) read(p []byte) (response http.Header, end, status int, failed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase != answering || h.whole {
		h.unread = true
		return nil, 0, 0, false
	}
	if h.head == nil {
		h.head = new(upgrade.ResponseHead)
	}
	r, end, ok := h.head.Read(p)
	switch {
	case !ok:
		return nil, 0, 0, true
	case r == nil:
		return nil, 0, 0, false
	case !upgrade.Switches(r.StatusCode, r.Header), h.incoming() && !upgrade.AcceptsKey(h.request, r.Header):
		return nil, 0, r.StatusCode, true
	}
	h.whole = true
	return r.Header, end, 0, false
}
