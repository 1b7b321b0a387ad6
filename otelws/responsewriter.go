package otelws

import (
	"bufio"
	"net"
	"net/http"

	"github.com/otelws/otelws-go/otelws/internal/tap"
)

// responseWriter learns the status of a handshake, and puts the tap under the
// library that hijacks it.
type responseWriter struct {
	http.ResponseWriter
	connection *connection
	status     int
	failed     bool // Hijack returned an error
	hijacked   bool
}

func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 && !tap.IsInterim(status) {
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
	w.connection.Refused(status)
}

// withOptional returns w with those of the optional interfaces that the inner
// writer has. A Hijacker counts where unwrapping finds it, as
// [http.ResponseController] does: else a library would unwrap past the tap.
func (w *responseWriter) withOptional() http.ResponseWriter {
	_, flushes := w.ResponseWriter.(http.Flusher)
	switch hijacks := hijackerOf(w.ResponseWriter) != nil; {
	case hijacks && flushes:
		return hijackFlushWriter{w}
	case hijacks:
		return hijackWriter{w}
	case flushes:
		return flushWriter{w}
	}
	return w
}

type (
	hijackWriter      struct{ *responseWriter }
	flushWriter       struct{ *responseWriter }
	hijackFlushWriter struct{ *responseWriter }
)

func (w hijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error)      { return w.hijack() }
func (w hijackFlushWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }
func (w flushWriter) Flush()                                             { _ = w.flush() }
func (w flushWriter) FlushError() error                                  { return w.flush() }
func (w hijackFlushWriter) Flush()                                       { _ = w.flush() }
func (w hijackFlushWriter) FlushError() error                            { return w.flush() }

func (w *responseWriter) flush() error {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
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
