package otelws

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
)

func (w *responseWriter) hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := hijackerOf(w.inner).Hijack()
	if err != nil {
		// The library answers by an error; a 101 before it led nowhere.
		w.status, w.committed, w.failed = 0, false, true
		return nc, brw, err
	}
	w.hijacked = true
	w.forget()

	if ofEngine(nc) {
		tellOfEngine()
		w.handshake.end(0)
		return nc, brw, nil
	}
	status := w.answered()
	if status != 0 && !switchedToWebSocket(status, w.Header()) {
		w.handshake.end(status)
		return nc, brw, nil
	}
	w.handshake.withoutBody()
	c, tap := newNetConn(w.handshake, nc)
	w.handshake.conn = c
	c.early(brw)
	if status == http.StatusSwitchingProtocols {
		w.handshake.answered(w.Header())
		c.prepare()
		c.open()
	}
	rebind(brw, tap)
	return tap, brw, nil
}

// early takes note of what the server read before the response. It is the
// first part of the inbound traffic.
func (c *conn) early(brw *bufio.ReadWriter) {
	if brw == nil || brw.Reader == nil {
		return
	}
	if n := brw.Reader.Buffered(); n > 0 {
		b, _ := brw.Reader.Peek(n)
		c.handshake.hold(b) // it is no more than a buffer of the server's
	}
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
