package probe

import (
	"crypto/rand"
	"io"
	"net/http"
	"sync"
	"time"
)

// wire is the bytes of a connection as they pass, and the silence between them.
type wire struct {
	io.ReadWriteCloser
	writing sync.Mutex // a small frame is one Write

	mu       sync.Mutex
	last     time.Time     // bytes have passed, in either direction
	lastIn   time.Time     // bytes have come in
	unproved time.Duration // the longest silence that only this side has broken
	outlived time.Duration // the longest silence after which bytes came in
	before   time.Duration // the silence before the last bytes that came in
	previous time.Duration // outlived without them
	reads    int
	err      error // of the first Read or Write that failed
	at       time.Time
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.ReadWriteCloser.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); n > 0 {
		w.before, w.previous = now.Sub(w.last), w.outlived
		w.outlived = max(w.outlived, w.before, w.unproved)
		w.unproved = 0
		w.last, w.lastIn = now, now
		w.reads++
	}
	w.failed(err)
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	n, err := w.ReadWriteCloser.Write(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); n > 0 {
		w.unproved = max(w.unproved, now.Sub(w.last))
		w.last = now
	}
	w.failed(err)
	return n, err
}

// failed is called with the lock held.
func (w *wire) failed(err error) {
	if w.err == nil && err != nil {
		w.err, w.at = err, time.Now()
	}
}

// silence is how long nothing has passed.
func (w *wire) silence() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.last)
}

// pong sends a pong that nobody has asked for. Nobody answers it (RFC 6455, section
// 5.5.3).
func (w *wire) pong() error {
	frame := []byte{0x8a, 0x80, 0, 0, 0, 0}
	_, _ = rand.Read(frame[2:])
	_, err := w.Write(frame)
	return err
}

// tapped is a transport that keeps the wire of the connection it opens.
type tapped struct {
	base http.RoundTripper
	wire *wire
}

func (t *tapped) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return resp, err
	}
	if body, ok := resp.Body.(io.ReadWriteCloser); ok {
		t.wire = &wire{ReadWriteCloser: body, last: time.Now()}
		resp.Body = t.wire
	}
	return resp, nil
}
