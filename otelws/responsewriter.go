package otelws

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/otelws/otelws-go/otelws/internal/tap"
	"github.com/otelws/otelws-go/otelws/internal/writer"
)

// responseWriter learns the status of a handshake, and puts the tap under the
// library that hijacks it.
type responseWriter struct {
	inner      http.ResponseWriter
	connection *connection
	status     int
	committed  bool // the inner writer has sent the status, as far as is known
	failed     bool // Hijack returned an error
	hijacked   bool
}

func (w *responseWriter) Header() http.Header { return w.inner.Header() }

func (w *responseWriter) WriteHeader(status int) {
	if !w.committed && !tap.IsInterim(status) {
		_, later := w.inner.(writer.HeaderNow)
		w.status, w.committed = status, !later
	}
	w.inner.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	w.commit()
	return w.inner.Write(p)
}

// Unwrap serves [http.ResponseController].
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.inner }

// commit takes note that the inner writer sends the header, if it has not.
func (w *responseWriter) commit() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.committed = true
}

// answered returns the status of the response that is on the wire after Hijack,
// and 0 where there is none. What WriteHeader was told need not be: gin's writer
// and those that compress hold it back until there is a body, and hijack without.
func (w *responseWriter) answered() int {
	if status, ok := writer.Sent(w.inner); ok {
		return status
	}
	if w.committed {
		return w.status
	}
	return 0
}

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

// withOptional returns w as the handler has it, with the optional methods that
// the inner writer has.
//
// What Unwrap returns has Hijack where unwrapping finds it, since a library that
// does as [http.ResponseController] does would else unwrap past the tap.
func (w *responseWriter) withOptional() http.ResponseWriter {
	var beneath http.ResponseWriter = w
	if hijackerOf(w.inner) != nil {
		beneath = hijackWriter{w}
	}
	return writer.Narrow(fullWriter{w, beneath}, w.inner)
}

type hijackWriter struct{ *responseWriter }

func (w hijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

// fullWriter is w with all the optional methods. Each is called only where the
// inner writer has it.
type fullWriter struct {
	*responseWriter
	beneath http.ResponseWriter
}

func (w fullWriter) Unwrap() http.ResponseWriter { return w.beneath }

func (w fullWriter) Flush() {
	w.commit()
	w.inner.(http.Flusher).Flush()
}

func (w fullWriter) FlushError() error {
	w.commit()
	return w.inner.(interface{ FlushError() error }).FlushError()
}

func (w fullWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

func (w fullWriter) CloseNotify() <-chan bool {
	return w.inner.(interface{ CloseNotify() <-chan bool }).CloseNotify()
}

func (w fullWriter) ReadFrom(r io.Reader) (int64, error) {
	w.commit()
	return w.inner.(io.ReaderFrom).ReadFrom(r)
}

func (w fullWriter) WriteString(s string) (int, error) {
	w.commit()
	return w.inner.(io.StringWriter).WriteString(s)
}

func (w fullWriter) Push(target string, opts *http.PushOptions) error {
	return w.inner.(http.Pusher).Push(target, opts)
}

func (w fullWriter) WriteHeaderNow() {
	w.commit()
	w.inner.(writer.HeaderNow).WriteHeaderNow()
}

func (w fullWriter) SetReadDeadline(deadline time.Time) error {
	return w.controller().SetReadDeadline(deadline)
}

func (w fullWriter) SetWriteDeadline(deadline time.Time) error {
	return w.controller().SetWriteDeadline(deadline)
}

func (w fullWriter) EnableFullDuplex() error { return w.controller().EnableFullDuplex() }

func (w fullWriter) controller() *http.ResponseController {
	return http.NewResponseController(w.inner)
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
