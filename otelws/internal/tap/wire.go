package tap

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Door is where Wires come from: a listener or a dialer. Its methods are called by
// the goroutines that read and write, with no lock held that a net.Conn's methods
// would need.
type Door interface {
	// Asked is called with each request that may ask for a WebSocket, as it stands on
	// the wire. It returns the tap of what may come of it and its Recorder, nil where
	// the request is not to be watched. keep is kept alive for as long as the
	// application has the connection.
	Asked(nc net.Conn, r *http.Request) (c *Conn, recorder Recorder, keep any)
	// Unreadable is called once for a Wire that carries another protocol.
	Unreadable(Protocol)
	// Fault is called once for a Wire where it or Asked panicked with v. Nothing of it
	// is read from then on.
	Fault(v any)
}

// Wire is a net.Conn that is watched from its first byte. It carries requests of
// HTTP/1.1, and their responses; where one of them is a handshake, it is the
// connection that comes of it.
//
// It looks for a request only where one may begin: at first, and after a response.
// Bodies are not read, so that what stands in one is no request. A request that is
// sent before the one before it was answered is not found.
//
// It has no ReadFrom and no SyscallConn: what passes there would not be seen.
type Wire struct {
	transport net.Conn
	door      Door
	accepted  bool // requests come from the peer
	state     atomic.Uint32
	tap       atomic.Pointer[netConn] // of a handshake under way, or of what came of it

	mu        sync.Mutex
	head      *requestHead // of which a part has passed, nil between heads
	begun     bool         // something has passed
	skip      bool         // the next handshake
	writeTill time.Time    // the deadline of writes, where there is no tap
}

// The states of a Wire without a tap.
const (
	requests  = iota // a request may begin
	responses        // a response may begin
	tunnel           // so it may, and 2xx makes a tunnel of this (RFC 9110 section 9.3.6)
	unread           // nothing more is read
)

// NewWire returns transport, a connection that was accepted or else dialed, as
// the application is to have it. It has CloseWrite where that has, and is for
// net/http and fasthttp what a TLS connection is where it is one.
func NewWire(transport net.Conn, accepted bool, door Door) net.Conn {
	w := &Wire{transport: transport, door: door, accepted: accepted}
	switch transport.(type) {
	case tlsConn:
		return tlsWire{closeWriterWire{w}}
	case closeWriter:
		return closeWriterWire{w}
	}
	return w
}

// Read reads from the transport, and takes note of what came.
func (w *Wire) Read(p []byte) (int, error) {
	if h := w.current(); h != nil {
		n, err := h.Read(p)
		if !h.conn.watching() && 0 < n && n <= len(p) { // it waited for the next request
			w.letGo(h)
			w.passed(w.accepted, p[:n])
		}
		return n, err
	}
	n, err := w.transport.Read(p)
	if h := w.current(); h != nil { // the request has gone out meanwhile
		return h.conn.readBefore(p, n, err)
	}
	if 0 < n && n <= len(p) {
		w.passed(w.accepted, p[:n])
	}
	return n, err
}

// Write takes note of p, and writes it to the transport.
func (w *Wire) Write(p []byte) (int, error) {
	h := w.current()
	if h == nil {
		w.passed(!w.accepted, p)
		if h = w.tap.Load(); h == nil {
			return w.transport.Write(p)
		}
	}
	return h.Write(p)
}

// Close closes the transport, and ends the connection that came of a handshake.
func (w *Wire) Close() error {
	if h := w.tap.Load(); h != nil {
		return h.Close()
	}
	return w.transport.Close()
}

// NetConn returns the connection beneath.
func (w *Wire) NetConn() net.Conn { return w.transport }

// LocalAddr is that of the connection beneath.
func (w *Wire) LocalAddr() net.Addr { return w.transport.LocalAddr() }

// RemoteAddr is that of the connection beneath.
func (w *Wire) RemoteAddr() net.Addr { return w.transport.RemoteAddr() }

// SetDeadline is that of the connection beneath, as are the other two. While the
// tap writes a frame of its own, it has a write deadline of its own.
func (w *Wire) SetDeadline(t time.Time) error { return w.setDeadline(t, true, net.Conn.SetDeadline) }

// SetReadDeadline is as SetDeadline says.
func (w *Wire) SetReadDeadline(t time.Time) error {
	return w.setDeadline(t, false, net.Conn.SetReadDeadline)
}

// SetWriteDeadline is as SetDeadline says.
func (w *Wire) SetWriteDeadline(t time.Time) error {
	return w.setDeadline(t, true, net.Conn.SetWriteDeadline)
}

func (w *Wire) setDeadline(t time.Time, ofWrites bool, set func(net.Conn, time.Time) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h := w.tap.Load(); h != nil {
		return set(h, t)
	}
	if ofWrites {
		w.writeTill = t
	}
	return set(w.transport, t)
}

// closeWriterWire is a Wire whose transport has CloseWrite.
type closeWriterWire struct{ *Wire }

func (w closeWriterWire) CloseWrite() error {
	if h := w.tap.Load(); h != nil {
		return h.conn.closeWrite()
	}
	return w.transport.(closeWriter).CloseWrite()
}

// tlsConn is what makes a connection one of TLS for net/http and fasthttp.
type tlsConn interface {
	closeWriter
	Handshake() error
	HandshakeContext(context.Context) error
	ConnectionState() tls.ConnectionState
}

// tlsWire is a Wire whose transport is a TLS connection.
type tlsWire struct{ closeWriterWire }

func (w tlsWire) tls() tlsConn     { return w.transport.(tlsConn) }
func (w tlsWire) Handshake() error { return w.tls().Handshake() }
func (w tlsWire) HandshakeContext(ctx context.Context) error {
	return w.tls().HandshakeContext(ctx)
}

// handshakeLimit is how long a TLS handshake may take that net/http does not know
// to be one.
const handshakeLimit = 10 * time.Second

// ConnectionState is what net/http gives its handlers. It asks before anything has
// been read.
func (w tlsWire) ConnectionState() tls.ConnectionState {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeLimit)
	defer cancel()
	_ = w.tls().HandshakeContext(ctx) // what follows fails as this
	return w.tls().ConnectionState()
}

// current returns the tap, nil where there is none or its handshake has come to no
// connection.
func (w *Wire) current() *netConn {
	h := w.tap.Load()
	for h != nil && !h.conn.watching() {
		w.letGo(h)
		h = w.tap.Load()
	}
	return h
}

// letGo lets go of the tap of a handshake that has come to no connection.
func (w *Wire) letGo(h *netConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.tap.CompareAndSwap(h, nil) {
		return
	}
	h.cleanup.Stop()
	w.writeTill = h.conn.opened.deadline.get()
	switch status := h.conn.refused.Load(); status {
	case 0: // there was no response, or somebody else watches
	case http.StatusSwitchingProtocols:
		w.state.Store(unread)
	default:
		w.state.Store(requests)
	}
}

// Skip has the Wires that nc stands on not look at the next handshake, where the
// Door is one that somebody else watches for.
func Skip(nc net.Conn, watched func(Door) bool) {
	for c := range layers(nc) {
		if w := wireOf(c); w != nil && watched(w.door) {
			w.mu.Lock()
			w.skip = true
			w.mu.Unlock()
		}
	}
}

// Under says whether nc stands on a Wire with a Door for which is returns true.
func Under(nc net.Conn, is func(Door) bool) bool {
	for c := range layers(nc) {
		if w := wireOf(c); w != nil && is(w.door) {
			return true
		}
	}
	return false
}

func wireOf(nc net.Conn) *Wire {
	switch w := nc.(type) {
	case *Wire:
		return w
	case closeWriterWire:
		return w.Wire
	case tlsWire:
		return w.Wire
	}
	return nil
}

// passed takes note of b, of a request or else of a response, while there is no
// tap.
func (w *Wire) passed(request bool, b []byte) {
	state := w.state.Load()
	if state == unread || len(b) == 0 {
		return
	}
	defer w.contain()
	switch {
	case !request:
		w.responded(state, b)
	case state == requests:
		if head, rest := w.nextHead(b); head != nil {
			w.ask(head, rest, len(b)-len(rest))
		}
	}
}

func (w *Wire) contain() {
	if v := recover(); v != nil {
		w.state.Store(unread)
		defer func() { _ = recover() }() // the Door's
		w.door.Fault(v)
	}
}

func (w *Wire) responded(state uint32, b []byte) {
	switch status := status(b); {
	case status == http.StatusSwitchingProtocols, status/100 == 2 && state == tunnel:
		w.state.Store(unread)
	case state == requests, IsInterim(status):
	default:
		w.state.Store(requests)
	}
}

// nextHead returns the head of a request that may ask for a WebSocket and what
// follows it, where b completes one.
func (w *Wire) nextHead(b []byte) (head, rest []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var whole requestHead // as nearly all are
	h := w.head
	if h != nil {
		b = append(h.kept, b...)
	} else {
		if w.otherProtocol(b) {
			return nil, nil
		}
		b, h = bytes.TrimLeft(b, "\r\n"), &whole // RFC 9112 section 2.2
	}
	if !begins(b, get) {
		w.head = nil
		w.state.Store(responses)
		if w.accepted && bytes.HasPrefix(b, connect) {
			w.state.Store(tunnel)
		}
		return nil, nil
	}
	end := h.find(b)
	switch {
	case end > 0:
	case len(b) >= maxHead:
		end, h.upgrade = len(b), false
	case h == &whole:
		w.head = &requestHead{kept: bytes.Clone(b), line: whole.line, upgrade: whole.upgrade}
		return nil, nil
	default:
		h.kept = b
		return nil, nil
	}
	w.head = nil
	w.state.Store(responses)
	if !h.upgrade {
		return nil, nil
	}
	if w.skip {
		w.skip = false
		return nil, nil
	}
	return b[:end], b[end:]
}

// otherProtocol says whether b, which may begin a request, begins another protocol.
// What a client tunnels through a server is no business of its.
func (w *Wire) otherProtocol(b []byte) bool {
	first := !w.begun
	w.begun = true
	if w.accepted && !first {
		return false
	}
	p, ok := protocolOf(b)
	if ok {
		w.state.Store(unread)
		w.door.Unreadable(p)
	}
	return ok
}

// ask begins the handshake that head is the request of. The last written bytes of
// it belong to a Write that is about to be made.
func (w *Wire) ask(head, rest []byte, written int) {
	r := parseRequest(head)
	if r == nil {
		return
	}
	c, recorder, keep := w.door.Asked(w.transport, r)
	if c == nil {
		return
	}
	h := new(netConn)
	h.hold(c, w.transport, w.accepted, recorder, keep)
	if w.accepted {
		c.Hold(rest)
	} else {
		c.await(r.Header, written)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c.opened.deadline.last = w.writeTill
	w.tap.Store(h)
}
