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

	"github.com/otelws/otelws-go/otelws/internal/upgrade"
)

// Door is the source of Wires: a listener or a dialer. The goroutines that read and write call its
// methods. They hold no lock that the methods of a net.Conn need.
type Door interface {
	// Asked is called with each request that may ask for a WebSocket, with the bytes as they were
	// sent. It returns the tap for the connection and its Recorder, or nil if the request is not
	// watched. keep stays reachable as long as the application has the connection.
	Asked(nc net.Conn, r *http.Request) (c *Conn, recorder Recorder, keep any)
	// Unreadable is called once for a Wire that carries another protocol.
	Unreadable(upgrade.Protocol)
	// Fault is called once for a Wire if the Wire or Asked panicked with v. Afterwards the Wire is
	// not read any more.
	Fault(v any)
}

// Wire is a net.Conn that is watched from its first byte. It carries HTTP/1.1 requests and their
// responses. If one of them is a handshake, the Wire becomes its connection.
//
// It looks for a request only at the beginning and after a response. It does not look into bodies,
// so a request inside a body is not found. A request that is sent before the previous one was
// answered is not found either.
//
// It has no ReadFrom and no SyscallConn, because the bytes would bypass it.
type Wire struct {
	transport net.Conn
	door      Door
	accepted  bool // requests come from the peer
	state     atomic.Uint32
	tap       atomic.Pointer[netConn] // of the handshake in progress, or of its connection

	mu        sync.Mutex
	head      *upgrade.RequestHead // a part of it has passed; nil between heads
	begun     bool                 // a byte has passed
	skip      bool                 // ignore the next handshake
	writeTill time.Time            // the write deadline, if there is no tap
}

// The states of a Wire without a tap.
const (
	requests  = iota // a request may begin
	responses        // a response may begin
	tunnel           // the same, and a 2xx response makes this a tunnel (RFC 9110 section 9.3.6)
	unread           // no further byte is read
)

// NewWire returns a Wire for transport, which was accepted or dialed. The Wire has CloseWrite if
// transport has it. For net/http and fasthttp, it is a TLS connection if transport is.
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

// Read reads from the transport, and records the bytes.
func (w *Wire) Read(p []byte) (int, error) {
	if h := w.current(); h != nil {
		n, err := h.Read(p)
		if !h.conn.watching() && 0 < n && n <= len(p) { // the Read waited for the next request
			w.letGo(h)
			w.passed(w.accepted, p[:n])
		}
		return n, err
	}
	n, err := w.transport.Read(p)
	if h := w.current(); h != nil { // the request has been written in the meantime
		return h.conn.readBefore(p, n, err)
	}
	if 0 < n && n <= len(p) {
		w.passed(w.accepted, p[:n])
	}
	return n, err
}

// Write records p, and writes it to the transport.
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

// Close closes the transport, and ends the WebSocket connection, if there is one.
func (w *Wire) Close() error {
	if h := w.tap.Load(); h != nil {
		return h.Close()
	}
	return w.transport.Close()
}

// NetConn returns the underlying connection.
func (w *Wire) NetConn() net.Conn { return w.transport }

// LocalAddr returns the address of the underlying connection.
func (w *Wire) LocalAddr() net.Addr { return w.transport.LocalAddr() }

// RemoteAddr returns the address of the underlying connection.
func (w *Wire) RemoteAddr() net.Addr { return w.transport.RemoteAddr() }

// SetDeadline sets the deadlines of the underlying connection. While the tap writes its own frame,
// that frame has its own write deadline. The same holds for the other two methods.
func (w *Wire) SetDeadline(t time.Time) error { return w.setDeadline(t, true, net.Conn.SetDeadline) }

// SetReadDeadline is described at SetDeadline.
func (w *Wire) SetReadDeadline(t time.Time) error {
	return w.setDeadline(t, false, net.Conn.SetReadDeadline)
}

// SetWriteDeadline is described at SetDeadline.
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

// tlsConn has the methods by which net/http and fasthttp recognize a TLS connection.
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

// handshakeLimit is the time limit of a TLS handshake. net/http does not know that there is one.
const handshakeLimit = 10 * time.Second

// ConnectionState returns the state for the handlers of net/http. net/http calls it before the
// first Read.
func (w tlsWire) ConnectionState() tls.ConnectionState {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeLimit)
	defer cancel()
	_ = w.tls().HandshakeContext(ctx) // the next call fails in the same way
	return w.tls().ConnectionState()
}

// current returns the tap, or nil if there is none or if its handshake opened no connection.
func (w *Wire) current() *netConn {
	h := w.tap.Load()
	for h != nil && !h.conn.watching() {
		w.letGo(h)
		h = w.tap.Load()
	}
	return h
}

// letGo removes the tap of a handshake that opened no connection.
func (w *Wire) letGo(h *netConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.tap.CompareAndSwap(h, nil) {
		return
	}
	h.cleanup.Stop()
	w.writeTill = h.conn.opened.deadline.get()
	switch status := h.conn.refused.Load(); status {
	case 0: // there was no response, or something else watches
	case http.StatusSwitchingProtocols:
		w.state.Store(unread)
	default:
		w.state.Store(requests)
	}
}

// passed records b, a part of a request or of a response, while there is no tap.
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
	switch status := upgrade.Status(b); {
	case status == http.StatusSwitchingProtocols, status/100 == 2 && state == tunnel:
		w.state.Store(unread)
	case state == requests, upgrade.IsInterim(status):
	default:
		w.state.Store(requests)
	}
}

// nextHead returns the head of a request that may ask for a WebSocket, and the bytes after it, if b
// completes such a head.
func (w *Wire) nextHead(b []byte) (head, rest []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var whole upgrade.RequestHead // nearly all heads come in one piece
	h := w.head
	if h != nil {
		b = append(h.Kept, b...)
	} else {
		if w.otherProtocol(b) {
			return nil, nil
		}
		for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') { // RFC 9112 section 2.2
			b = b[1:]
		}
		h = &whole
	}
	if !begins(b, get) {
		w.head = nil
		w.state.Store(responses)
		if w.accepted && bytes.HasPrefix(b, connect) {
			w.state.Store(tunnel)
		}
		return nil, nil
	}
	end := h.Find(b)
	switch {
	case end > 0:
	case len(b) >= maxHead:
		end, h.Upgrade = len(b), false
	case h == &whole:
		w.head = new(whole)
		w.head.Kept = bytes.Clone(b)
		return nil, nil
	default:
		h.Kept = b
		return nil, nil
	}
	w.head = nil
	w.state.Store(responses)
	if !h.Upgrade {
		return nil, nil
	}
	if w.skip {
		w.skip = false
		return nil, nil
	}
	return b[:end], b[end:]
}

// otherProtocol reports whether b, which may be the beginning of a request, begins another
// protocol. It ignores the bytes that a client tunnels through a server.
func (w *Wire) otherProtocol(b []byte) bool {
	first := !w.begun
	w.begun = true
	if w.accepted && !first {
		return false
	}
	p, ok := upgrade.ProtocolOf(b)
	if ok {
		w.state.Store(unread)
		w.door.Unreadable(p)
	}
	return ok
}

// ask begins the handshake of the request in head. written is the number of its last bytes that
// belong to a Write which has not been made yet.
func (w *Wire) ask(head, rest []byte, written int) {
	r := upgrade.ParseRequest(head)
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

// The beginnings of heads that a Wire looks at.
var (
	get     = []byte("GET ")
	connect = []byte("CONNECT ")
)

// begins reports whether b may be the beginning of data that begins with prefix.
func begins(b, prefix []byte) bool {
	n := min(len(b), len(prefix))
	return bytes.Equal(b[:n], prefix[:n])
}
