package otelws

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/upgrade"
	"github.com/otelws/otelws-go/otelws/internal/writer"
)

// responseWriter records the status of a handshake, and puts the tap below the library that hijacks
// the connection.
type responseWriter struct {
	inner      http.ResponseWriter
	connection *connection
	body       *requestBody // nil if the request has none
	status     int
	committed  bool // the inner writer has probably sent the status
	failed     bool // Hijack returned an error
	hijacked   bool
	returned   bool     // the handler has returned, and has not panicked
	tapped     net.Conn // the watched connection that Hijack returned, or nil
}

func (w *responseWriter) Header() http.Header { return w.inner.Header() }

func (w *responseWriter) WriteHeader(status int) {
	if !w.committed && !upgrade.IsInterim(status) {
		_, later := w.inner.(writer.HeaderNow)
		w.status, w.committed = status, !later
	}
	w.inner.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	w.commit()
	return w.inner.Write(p)
}

// Unwrap implements the method that [http.ResponseController] calls.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.inner }

// commit notes that the inner writer sends the header now, if it has not before.
func (w *responseWriter) commit() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.committed = true
}

// sentStatus returns the status of the response that was written before Hijack, or 0 if none was. A
// call of WriteHeader is not enough: the writers of gin and of compressing middleware delay the
// header until there is a body, and Hijack drops it.
func (w *responseWriter) sentStatus() int {
	if status, ok := writer.Sent(w.inner); ok {
		return status
	}
	if w.committed {
		return w.status
	}
	return 0
}

// finish records a handshake that did not become a connection. It is deferred by the caller of the
// handler.
func (w *responseWriter) finish() {
	if w.hijacked {
		return
	}
	status := w.status
	switch {
	case status != 0:
	case !w.returned, w.failed:
		status = http.StatusInternalServerError
	default:
		status = http.StatusOK
	}
	w.connection.Refused(status)
}

// withOptional returns w with the optional methods of the inner writer, and no others.
func (w *fullWriter) withOptional() http.ResponseWriter { return writer.Narrow(w, w.inner) }

type hijackWriter struct{ *responseWriter }

func (w hijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

// fullWriter is a responseWriter with all optional methods. A method is called only if the inner
// writer has it.
type fullWriter struct{ responseWriter }

// Unwrap returns the writer without optional methods, but with Hijack if unwrapping would find it.
// Otherwise a library that unwraps, like [http.ResponseController], would bypass the tap.
func (w *fullWriter) Unwrap() http.ResponseWriter {
	if hijackerOf(w.inner) != nil {
		return hijackWriter{&w.responseWriter}
	}
	return &w.responseWriter
}

func (w *fullWriter) Flush() {
	w.commit()
	w.inner.(http.Flusher).Flush()
}

func (w *fullWriter) FlushError() error {
	w.commit()
	return w.inner.(interface{ FlushError() error }).FlushError()
}

func (w *fullWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

func (w *fullWriter) CloseNotify() <-chan bool {
	return w.inner.(interface{ CloseNotify() <-chan bool }).CloseNotify()
}

func (w *fullWriter) ReadFrom(r io.Reader) (int64, error) {
	w.commit()
	return w.inner.(io.ReaderFrom).ReadFrom(r)
}

func (w *fullWriter) WriteString(s string) (int, error) {
	w.commit()
	return w.inner.(io.StringWriter).WriteString(s)
}

func (w *fullWriter) Push(target string, opts *http.PushOptions) error {
	return w.inner.(http.Pusher).Push(target, opts)
}

func (w *fullWriter) WriteHeaderNow() {
	w.commit()
	w.inner.(writer.HeaderNow).WriteHeaderNow()
}

func (w *fullWriter) SetReadDeadline(deadline time.Time) error {
	return w.controller().SetReadDeadline(deadline)
}

func (w *fullWriter) SetWriteDeadline(deadline time.Time) error {
	return w.controller().SetWriteDeadline(deadline)
}

func (w *fullWriter) EnableFullDuplex() error { return w.controller().EnableFullDuplex() }

func (w *fullWriter) controller() *http.ResponseController {
	return http.NewResponseController(w.inner)
}

type unwrapper interface{ Unwrap() http.ResponseWriter }

func hijackerOf(w http.ResponseWriter) http.Hijacker {
	for range writer.MaxDepth {
		if hj, ok := w.(http.Hijacker); ok {
			return hj
		}
		u, ok := w.(unwrapper)
		if !ok {
			return nil
		}
		w = u.Unwrap()
	}
	return nil
}
