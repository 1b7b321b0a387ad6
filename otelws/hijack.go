package otelws

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"reflect"

	"github.com/otelws/otelws-go/otelws/internal/upgrade"
)

func (w *responseWriter) hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, buffered, err := hijackerOf(w.inner).Hijack()
	if err != nil {
		// The library will answer with an error. A 101 before it is not a response.
		w.status, w.committed, w.failed = 0, false, true
		return nc, buffered, err
	}
	w.hijacked = true
	c := w.connection
	switch {
	case w.isTapped(nc): // and c is over
		return w.tapped, w.rebind(buffered, w.tapped), nil
	case nc == nil, w.tapped != nil, c.isOver(): // there is nothing to watch, or another connection, or the handler has returned
		c.Refused(0)
		return nc, buffered, nil
	}
	if ofEngine(nc) {
		tellOfEngine()
		c.Refused(0)
		return nc, buffered, nil
	}
	status := w.sentStatus()
	header := upgrade.Canonical(w.Header())
	if status != 0 && !upgrade.Switches(status, header) {
		c.Refused(status)
		return nc, buffered, nil
	}

	c.withoutBody()
	w.tapped = c.WatchConn(nc, true, c, c.kept())
	buffered = w.rebind(buffered, w.tapped)
	if status == http.StatusSwitchingProtocols {
		c.Open(header)
	}
	return w.tapped, buffered, nil
}

// isTapped reports whether nc is the transport of the tap already. Some middleware lets several
// callers hijack, and gives all of them the same connection.
func (w *responseWriter) isTapped(nc net.Conn) bool {
	t, ok := w.tapped.(interface{ NetConn() net.Conn })
	return ok && reflect.ValueOf(nc).Comparable() && t.NetConn() == nc
}

// rebind puts the tap below the buffers of the server. Bytes that the server read before the
// response are the first part of the peer's data. They stay in the buffer, because a library may
// check Buffered and refuse early data.
//
// While another goroutine reads the request's body through the same Reader, this Reader stays as it
// is, because its buffer belongs to the body. An unread body is left to the library, as in net/http.
func (w *responseWriter) rebind(buffered *bufio.ReadWriter, tapped net.Conn) *bufio.ReadWriter {
	if buffered == nil {
		return nil
	}
	r, free := buffered.Reader, true
	if w.body != nil {
		if free = w.body.lockBuffer(); free {
			defer w.body.mu.Unlock()
		}
	}
	switch {
	case r == nil:
	case !free:
		r = bufio.NewReader(tapped)
	case r.Buffered() == 0:
		r.Reset(tapped)
	default:
		early, _ := r.Peek(r.Buffered())
		early = bytes.Clone(early)
		w.connection.Hold(early)
		r.Reset(io.MultiReader(bytes.NewReader(early), tapped))
		_, _ = r.Peek(len(early))
	}
	if buffered.Writer != nil {
		_ = buffered.Writer.Flush()
		buffered.Writer.Reset(tapped)
	}
	buffered.Reader = r
	return buffered
}
