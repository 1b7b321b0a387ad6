package otelws

import (
	"net/http"

	"github.com/otelws/otelws-go/otelws/internal/upgrade"
)

// Handler returns a handler that watches the WebSocket connections that next accepts. It works with
// any WebSocket library that hijacks the connection. Wrap a single handler with it, or a whole mux.
//
// If a request asks for a WebSocket, its handshake is recorded with the status of the response.
// Every other request goes to next unchanged. So does a request over HTTP/2 (RFC 8441), whose
// WebSocket is not watched.
//
// A connection begins when the 101 response has been written. It ends once, at the first of these
// events:
//
//   - The transport is closed.
//   - A Read of the transport fails for good, by an EOF or a reset. An exceeded deadline does not end
//     the connection. Neither does a Write that fails, because the peer's close frame may be unread.
//
// A connection that nobody reads or closes stays open, with its file descriptor, and therefore
// counts as open. Neither net/http nor coder/websocket closes the transport when a read fails. So
// every handler should call defer c.CloseNow(), or the like in another library.
//
// If nothing refers to a connection any more, the garbage collector closes it, and it counts as
// ended by this side. This never happens with coder/websocket: its leaked connections stay open.
//
// The [net.Conn] that Hijack returns has a method NetConn, like [crypto/tls.Conn]. Use it if your code
// needs a *[net.TCPConn], for example to set TCP options. otelws does not see what you do on the
// connection that NetConn returns. If you keep only that connection, otelws
// treats it as abandoned, and the garbage collector closes it.
//
// A Handler inside another Handler of the same MeterProvider does nothing.
func (i *Instrumentation) Handler(next http.Handler) http.Handler { return &handler{i, next} }

type handler struct {
	in   *Instrumentation
	next http.Handler
}

// ServeHTTP stays on the stack of every connection. The garbage collector scans each such frame, so
// there is only this one, and it is small.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !asks(r) || h.in.watching(r) != nil || !h.in.admits() {
		h.next.ServeHTTP(w, r)
		return
	}
	rw, r := h.in.watch(w, r)
	defer rw.finish()
	h.next.ServeHTTP(rw.withOptional(), r)
	rw.returned = true
}

// asks reports whether r asks for a WebSocket over HTTP/1.
func asks(r *http.Request) bool { return r.ProtoMajor == 1 && upgrade.IsAskedFor(r.Header) }

func (i *Instrumentation) watch(w http.ResponseWriter, r *http.Request) (*fullWriter, *http.Request) {
	i.takeOver(r)
	rw := &fullWriter{responseWriter{inner: w, connection: new(connection)}}
	r = rw.connection.begin(i.server, r)
	if hasBody(r) {
		rw.body = &requestBody{ReadCloser: r.Body}
		r.Body = rw.body
	}
	return rw, r
}

// watching returns the connection of r that a Handler or Accept of the same provider already
// watches, or nil.
func (i *Instrumentation) watching(r *http.Request) *connection {
	for c := underWay(r); c != nil; c = c.outer {
		if sameProvider(c.side.in, i) && !c.isOver() {
			return c
		}
	}
	return nil
}
