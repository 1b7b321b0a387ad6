package tap

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/otelws/otelws-go/otelws/internal/clock"
)

// handshake is the state of a Conn whose response has not passed. The response
// goes out, or for a connection that was dialed it comes in. What goes the other
// way meanwhile follows the request.
type handshake struct {
	request http.Header // where the response comes in, of the request that it answers

	mu       sync.Mutex
	phase    phase
	unsent   int           // bytes of the request that are still to be written
	early    *bytes.Buffer // what has followed the request
	earlyAt  clock.Instant
	head     *bytes.Buffer // of a response that passes through the Conn, so far
	whole    bool          // the end of that response has passed, or is being written
	unread   bool          // more has been written since that, or less than there was
	peerLeft bool
}

// incoming says whether the response comes in.
func (h *handshake) incoming() bool { return h.request != nil }

// phase is how far a handshake has got. It only goes on.
type phase uint8

const (
	answering phase = iota // the response has not passed
	opening                // it has, and the Recorder is told
	over                   // the Conn has a session, or is foreign
)

// The bounds of what is kept during a handshake. A peer, or a handler, that goes
// beyond is no WebSocket's.
const (
	maxEarly = 64 << 10
	maxHead  = 64 << 10
)

// await has the response come in: it answers a request with the given header, of
// which the next unsent bytes that are written are the end.
func (c *Conn) await(request http.Header, unsent int) {
	h := c.handshake.Load()
	h.request, h.unsent = request, unsent
}

// Hold keeps b, which the server read before it gave up the transport: the first
// part of what the peer has sent.
func (c *Conn) Hold(b []byte) {
	defer c.contain()
	if len(b) > 0 {
		c.receivedEarly(b)
	}
}

// receivedEarly takes note of b, which has come from the peer before there was a
// session: a part of the response, or what is to be kept until the connection
// opens. It returns the session where b belongs to one.
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

// keepEarly keeps b, which has followed the request, and says whether the handshake
// was over before.
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

// advance brings the handshake to the phase to, and returns the phase before.
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

// abandon ends a handshake that comes to no connection: the Conn is foreign.
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
		status = 0 // it answers another request, or none: no connection begins
	}
	if before == answering { // else open tells
		c.recorder.Refused(status)
	}
}

// Discard ends a handshake that somebody else watches, and tells nobody.
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

// readEnded takes note of a Read that has failed for good before there was a
// response. A peer that has sent all it will may still get one.
func (h *handshake) readEnded(err error) (goesOn bool) {
	if h.incoming() || !errors.Is(err, io.EOF) {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.peerLeft = true
	return h.phase == answering
}

// Open begins the session: a response with the given header has gone out.
func (c *Conn) Open(response http.Header) {
	defer c.contain()
	c.open(response, write{})
}

// open begins the session. w is the rest of the Write, or else of the Read, that
// had the end of the response. What has passed so far is read now.
func (c *Conn) open(response http.Header, w write) {
	h := c.handshake.Load()
	if h == nil || h.advance(opening) != answering {
		return
	}
	o := c.recorder.Opening(response)
	if !c.begin(h, o, response, w) { // closed while the response went out
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
	s.prepare(o, extensionsOf(response))
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
	// A ping beside the response was sent when its Write began.
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

// write is a Write: what was to be written, when, and what came of it.
type write struct {
	p     []byte
	begun clock.Instant
	n     int
	err   error
}

// writeEarly is Write while the response has not come in: the end of the request,
// and whatever the library does not keep back until it is answered.
func (c *Conn) writeEarly(h *handshake, p []byte) (n int, err error) {
	s, begun := &c.opened, clock.Now()
	s.writing.Begin(begun) // the session may begin meanwhile
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

// cutShort takes note that less was written than was kept.
func (h *handshake) cutShort(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unread = true
	if h.phase == over {
		s.outbound.stop()
	}
}

// writeResponse is Write while the response has not gone out: gorilla/websocket,
// gobwas/ws and httputil.ReverseProxy hijack first and write the response
// themselves.
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

// readResponse reads p, which is about to be written or has been read, as part of
// the response's head. Where a head ends in p
// that switches to WebSocket, it returns its header and the place in p after it.
// Any other response is a handshake that failed.
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
		h.head = new(bytes.Buffer)
	}
	before := h.head.Len()
	h.head.Write(p[:min(len(p), maxHead-before)])
	for begin, head := 0, h.head.Bytes(); ; {
		end := bytes.Index(head[begin:], []byte("\r\n\r\n"))
		if end < 0 {
			return nil, 0, 0, len(head) == maxHead
		}
		end += begin + len("\r\n\r\n")
		r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head[begin:end])), nil)
		switch {
		case err != nil:
			return nil, 0, 0, true
		case IsInterim(r.StatusCode):
			begin = end
		case !SwitchesToWebSocket(r.StatusCode, r.Header), h.incoming() && !AcceptsKey(h.request, r.Header):
			return nil, 0, r.StatusCode, true
		default:
			h.whole = true
			return r.Header, end - before, 0, false
		}
	}
}

// IsInterim says whether another response follows one with status (RFC 9110
// section 15.2).
func IsInterim(status int) bool {
	return status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
}

// SwitchesToWebSocket says whether a response agrees to the WebSocket.
func SwitchesToWebSocket(status int, header http.Header) bool {
	return status == http.StatusSwitchingProtocols && HasToken(header, "Upgrade", "websocket")
}

// AcceptsKey says whether a response proves that it understood the request (RFC
// 6455 section 4.2.2). A client ends the connection otherwise.
func AcceptsKey(request, response http.Header) bool {
	sum := sha1.Sum([]byte(request.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return response.Get("Sec-WebSocket-Accept") == base64.StdEncoding.EncodeToString(sum[:])
}

// HasToken says whether a header that is a comma-separated list has token, in any
// case.
func HasToken(h http.Header, name, token string) bool {
	for t := range tokens(h, name) {
		if strings.EqualFold(t, token) {
			return true
		}
	}
	return false
}

// tokens yields the elements of a header that is a comma-separated list.
func tokens(h http.Header, name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, line := range h.Values(name) {
			for t := range strings.SplitSeq(line, ",") {
				if t = strings.TrimSpace(t); t != "" && !yield(t) {
					return
				}
			}
		}
	}
}
