package tap

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"sync"

	"github.com/otelws/otelws-go/otelws/internal/clock"
	"github.com/otelws/otelws-go/otelws/internal/frame"
)

// handshake is the state of a Conn whose response has not gone out.
type handshake struct {
	mu     sync.Mutex
	phase  phase
	early  *bytes.Buffer // what has come from the peer
	head   *bytes.Buffer // of a response that the library writes itself, so far
	whole  bool          // a Write has the end of that response
	unread bool          // another Write has come since
}

// phase is how far a handshake has got. It only goes on.
type phase uint8

const (
	answering phase = iota // the response has not gone out
	opening                // it has, and the Recorder is told
	over                   // the Conn has a session, or is foreign
)

// The bounds of what is kept during a handshake. A peer, or a handler, that goes
// beyond is no WebSocket's.
const (
	maxEarly = 64 << 10
	maxHead  = 64 << 10
)

// Hold keeps b, which the server read before it gave up the transport: the first
// part of what the peer has sent.
func (c *Conn) Hold(b []byte) {
	defer c.contain()
	if len(b) > 0 {
		c.receivedEarly(b)
	}
}

// receivedEarly keeps b, which has come from the peer, until the connection
// opens. It returns the session where that has happened meanwhile.
func (c *Conn) receivedEarly(b []byte) *session {
	h := c.handshake.Load()
	if h == nil {
		return c.session.Load()
	}
	isOver, fits := h.keep(b)
	if !fits {
		c.abandon(0)
	}
	if isOver {
		return c.session.Load()
	}
	return nil
}

func (h *handshake) keep(b []byte) (isOver, fits bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase == over {
		return true, true
	}
	if h.early == nil {
		h.early = new(bytes.Buffer)
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
	c.handshake.Store(nil)
	if before == answering { // else open tells
		c.recorder.Refused(status)
	}
}

// Open begins the session: a response with the given header has gone out.
func (c *Conn) Open(response http.Header) {
	defer c.contain()
	c.open(response, write{})
}

// open begins the session. w is the rest of the Write that had the end of the
// response. What the peer has sent so far is read now.
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
	s.prepare(o, rsvOf(response))
	in, out := &s.inbound, &s.outbound
	in.mu.Lock()
	defer in.mu.Unlock()
	out.mu.Lock()
	defer out.mu.Unlock()
	c.recorder.Opened()
	c.session.Store(s)
	c.handshake.Store(nil)

	// A ping beside the response was sent when its Write began.
	var ahead events
	s.readAhead(w.p, w.begun, &ahead)
	s.wrote(w.p, w.n, &ahead)
	if h.unread {
		out.parser.Stop()
	}
	out.update()
	if h.early != nil {
		s.readInbound(h.early.Bytes())
	}
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

// readResponse reads p as part of the response's head. Where a head ends in p
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
		case !SwitchesToWebSocket(r.StatusCode, r.Header):
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

// rsvOf returns the RSV bits that the extensions of a response may set.
func rsvOf(response http.Header) (rsv byte) {
	for extension := range tokens(response, "Sec-WebSocket-Extensions") {
		name, _, _ := strings.Cut(extension, ";")
		if strings.TrimSpace(name) == "permessage-deflate" {
			rsv |= frame.RSV1
		} else {
			rsv |= frame.RSV1 | frame.RSV2 | frame.RSV3
		}
	}
	return rsv
}
