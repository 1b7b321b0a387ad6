package probe

import (
	"crypto/rand"
	"io"
	"net/http"
	"sync"
	"time"
)

// wire is the transport of a connection. It measures the silences between bytes.
type wire struct {
	io.ReadWriteCloser
	writing sync.Mutex // pong and the library write at the same time; a small frame is one Write

	mu       sync.Mutex
	last     time.Time     // time of the last bytes, in either direction
	lastIn   time.Time     // time of the last bytes received
	unproved time.Duration // the longest silence that this side ended, if nothing was received since
	outlived time.Duration // the longest silence after which bytes were received
	before   time.Duration // the silence before the last bytes received
	previous time.Duration // outlived before the last bytes received
	reads    int
	err      error     // of the first failed Read or Write
	at       time.Time // time of err
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

// failed records the first error. The caller must hold w.mu.
func (w *wire) failed(err error) {
	if w.err == nil && err != nil {
		w.err, w.at = err, time.Now()
	}
}

// silence returns the time since the last byte.
func (w *wire) silence() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.last)
}

// pong sends an unsolicited pong. The server does not answer it (RFC 6455 section
// 5.5.3).
func (w *wire) pong() error {
	frame := []byte{0x8a, 0x80, 0, 0, 0, 0}
	_, _ = rand.Read(frame[2:])
	_, err := w.Write(frame)
	return err
}

// tapped is a RoundTripper that keeps the wire of the connection that it opens.
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
