package otelws

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"reflect"

	"go.opentelemetry.io/otel/metric"
)

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
// open: a handler says defer c.CloseNow().
//
// The [net.Conn] that Hijack returns passes bytes on as they are, and gives the
// connection beneath it by a method NetConn, as [crypto/tls.Conn] does.
//
// A Handler inside a Handler watches once.
func (i *Instrumentation) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !watchable(r) || watcherOf(i, w) != nil {
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

// watchable says whether r asks for a WebSocket that will be hijacked.
func watchable(r *http.Request) bool {
	return r.ProtoMajor == 1 && asksForWebSocket(r.Header)
}

func (i *Instrumentation) watch(w http.ResponseWriter, r *http.Request) (*responseWriter, *http.Request) {
	h, r := newHandshake(i, i.server, r)
	return &responseWriter{ResponseWriter: w, handshake: h}, r
}

// responseWriter learns the status of a handshake, and puts the tap under the
// library that hijacks it.
type responseWriter struct {
	http.ResponseWriter
	handshake *handshake
	status    int
	failed    bool // Hijack returned an error
	hijacked  bool
}

func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 && !isInterim(status) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap serves [http.ResponseController].
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *responseWriter) watcher() *responseWriter { return w }

// finish records a handshake that came to no connection.
func (w *responseWriter) finish(panicked bool) {
	if w.hijacked {
		return
	}
	status := w.status
	switch {
	case status != 0:
	case panicked, w.failed:
		status = http.StatusInternalServerError
	default:
		status = http.StatusOK
	}
	w.handshake.settle(status)
}

func (w *responseWriter) hijack(hj http.Hijacker) (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := hj.Hijack()
	if err != nil {
		// The library answers by an error; a 101 before it led nowhere.
		w.status, w.failed = 0, true
		return nc, brw, err
	}
	w.hijacked = true
	if c := tapUnder(nc, w.handshake.in); c != nil {
		w.handshake.drop()
		w.handshake.conn = c
		return nc, brw, nil
	}

	if w.status != 0 && !switchedToWebSocket(w.status, w.Header()) {
		w.handshake.settle(w.status)
		return nc, brw, nil
	}
	c := newConn(w.handshake, nc)
	w.handshake.conn = c
	c.early(brw)
	if w.status == http.StatusSwitchingProtocols {
		w.handshake.answered(w.Header())
		c.prepare()
		c.open()
	}
	tap := netConnOf(c, nc)
	rebind(brw, tap)
	return tap, brw, nil
}

// rebind puts the tap under what the server has buffered. Early bytes stay
// buffered: a library may refuse them by Buffered.
func rebind(brw *bufio.ReadWriter, tap net.Conn) {
	if brw == nil {
		return
	}
	if brw.Reader != nil {
		n := brw.Reader.Buffered()
		early, _ := brw.Reader.Peek(n)
		if n == 0 {
			brw.Reader.Reset(tap)
		} else {
			brw.Reader.Reset(io.MultiReader(bytes.NewReader(bytes.Clone(early)), tap))
			_, _ = brw.Reader.Peek(n)
		}
	}
	if brw.Writer != nil {
		_ = brw.Writer.Flush()
		brw.Writer.Reset(tap)
	}
}

// withOptional returns w with those of the optional interfaces that the inner
// writer has. A Hijacker counts where unwrapping finds it, as
// [http.ResponseController] does: else a library would unwrap past the tap.
func (w *responseWriter) withOptional() http.ResponseWriter {
	hj := hijackerOf(w.ResponseWriter)
	fl, _ := w.ResponseWriter.(http.Flusher)
	switch {
	case hj != nil && fl != nil:
		return struct {
			*responseWriter
			hijacker
			flusher
		}{w, hijacker{w, hj}, flusher{w, fl}}
	case hj != nil:
		return struct {
			*responseWriter
			hijacker
		}{w, hijacker{w, hj}}
	case fl != nil:
		return struct {
			*responseWriter
			flusher
		}{w, flusher{w, fl}}
	}
	return w
}

type hijacker struct {
	w     *responseWriter
	inner http.Hijacker
}

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.w.hijack(h.inner) }

type flusher struct {
	w     *responseWriter
	inner http.Flusher
}

func (f flusher) Flush() {
	if f.w.status == 0 {
		f.w.status = http.StatusOK
	}
	f.inner.Flush()
}

type unwrapper interface{ Unwrap() http.ResponseWriter }

func hijackerOf(w http.ResponseWriter) http.Hijacker {
	for {
		if hj, ok := w.(http.Hijacker); ok {
			return hj
		}
		u, ok := w.(unwrapper)
		if !ok {
			return nil
		}
		w = u.Unwrap()
	}
}

// watcherOf returns the writer under w that already watches for the provider
// of i. The context is not asked: ReverseProxy hands that of the inbound
// request on to its Transport, whose connection is another one.
func watcherOf(i *Instrumentation, w http.ResponseWriter) *responseWriter {
	for {
		if t, ok := w.(interface{ watcher() *responseWriter }); ok {
			rw := t.watcher()
			if sameProvider(rw.handshake.in.config.provider, i.config.provider) {
				return rw
			}
		}
		u, ok := w.(unwrapper)
		if !ok {
			return nil
		}
		w = u.Unwrap()
	}
}

// tapUnder returns the tap of the same provider that nc, from a writer which
// cannot be unwrapped, is or has beneath it.
func tapUnder(nc net.Conn, i *Instrumentation) *conn {
	for nc != nil {
		if t, ok := nc.(interface{ tap() *conn }); ok {
			if c := t.tap(); sameProvider(c.handshake.in.config.provider, i.config.provider) {
				return c
			}
		}
		u, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		nc = u.NetConn()
	}
	return nil
}

func sameProvider(a, b metric.MeterProvider) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}
