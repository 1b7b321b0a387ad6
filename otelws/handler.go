package otelws

import "net/http"

// Handler returns a handler that watches the WebSocket connections which next
// accepts, with whatever library hijacks the request. It is placed around a
// single handler or around a whole mux.
//
// A request that asks for no WebSocket, or that came over HTTP/2 (RFC 8441),
// reaches next untouched. A request that does is recorded by its status; it
// becomes a connection when the 101 response has gone out, and ends once, at
// the first of
//
//   - the transport's Close,
//   - an error from its Read or Write that ends it: EOF, a reset, a broken
//     pipe, but not a passed deadline.
//
// net/http does not close a hijacked connection, and coder/websocket does not
// close its transport when a read fails. A connection that the application
// neither reads nor closes is held, descriptor and all, and is counted as
// open: a handler says defer c.CloseNow(). One that nothing refers to any more
// ends as by this side, when the garbage collector, which then closes its
// descriptor, finds it; those of coder/websocket it never finds.
//
// The [net.Conn] that Hijack returns passes bytes on as they are, and gives the
// connection beneath it by a method NetConn, as [crypto/tls.Conn] does. What is
// read, written or closed there is not seen, and whoever has that alone has let go.
//
// A Handler inside a Handler watches once.
func (i *Instrumentation) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !i.watches(r) || i.watching(r) != nil {
			next.ServeHTTP(w, r)
			return
		}
		rw, r := i.watch(w, r)
		returned := false
		defer func() { rw.finish(!returned) }()
		next.ServeHTTP(rw.withOptional(), r)
		returned = true
	})
}

// watches says whether r asks for a WebSocket that will be hijacked, and i is not closed.
func (i *Instrumentation) watches(r *http.Request) bool {
	return r.ProtoMajor == 1 && asksForWebSocket(r.Header) && !i.closed.Load()
}

func (i *Instrumentation) watch(w http.ResponseWriter, r *http.Request) (*responseWriter, *http.Request) {
	i.takeOver(r)
	rw := &responseWriter{inner: w, connection: new(connection)}
	return rw, rw.connection.begin(i.server, r)
}

// watching returns the connection of r that another Handler or Accept of the same
// provider watches, nil where there is none.
func (i *Instrumentation) watching(r *http.Request) *connection {
	for c := underWay(r); c != nil; c = c.outer {
		if sameProvider(c.side.in, i) && !c.isOver() {
			return c
		}
	}
	return nil
}

func sameProvider(a, b *Instrumentation) bool { return a.identity() == b.identity() }
