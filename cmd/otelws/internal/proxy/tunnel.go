package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// After one direction of a tunnel has ended, the other may stay silent this long. A
// backend may still be working on its answer, but a client has no reason to go on
// after its backend has ended.
const (
	clientEnded  = 30 * time.Second
	backendEnded = 5 * time.Second
)

// The sizes of buffers. An idle connection, or one with short messages, keeps a small
// buffer for each direction.
const (
	smallBuffer = 2 << 10
	largeBuffer = 64 << 10
)

// buffers hands out the large buffers, up to a total number of bytes.
type buffers struct {
	pool sync.Pool
	left atomic.Int64
}

// large returns a large buffer, or nil if the total is used up.
func (b *buffers) large() []byte {
	if b.left.Add(-largeBuffer) < 0 {
		b.left.Add(largeBuffer)
		return nil
	}
	if buf, ok := b.pool.Get().(*[largeBuffer]byte); ok {
		return buf[:]
	}
	return make([]byte, largeBuffer)
}

// Get and Put implement httputil.BufferPool.
func (b *buffers) Get() []byte {
	if buf := b.large(); buf != nil {
		return buf
	}
	return make([]byte, smallBuffer)
}

func (b *buffers) Put(buf []byte) {
	if len(buf) == largeBuffer {
		b.pool.Put((*[largeBuffer]byte)(buf))
		b.left.Add(largeBuffer)
	}
}

type linger struct{ client, backend, body time.Duration }

// exchange is the ResponseWriter of a request. Its Hijack returns a tunnel to
// ReverseProxy.
type exchange struct {
	http.ResponseWriter
	request  *http.Request
	proxy    *Proxy
	client   *clientConn
	body     *clientBody // nil if the request has none
	cancel   context.CancelFunc
	hijacked bool
	tunnel   *tunnel
}

// WriteHeader changes the headers this late because ReverseProxy clears them after a 1xx
// response.
func (x *exchange) WriteHeader(status int) {
	h := x.Header()
	switch {
	case status >= http.StatusOK:
		if endsConnection(x.request) || x.request.ProtoMajor == 1 && x.body.unread() {
			// With the body unread, net/http would first read the rest of it, which the
			// backend may still want.
			h.Set("Connection", "close")
		}
		if status == http.StatusNoContent {
			h.Del("Content-Length") // RFC 9110 section 8.6; clients of HTTP/2 would reset the stream
		}
		if _, ok := h["Content-Type"]; !ok {
			h["Content-Type"] = nil // keeps net/http from guessing one
		}
	case !x.request.ProtoAtLeast(1, 1):
		return // HTTP/1.0 knows no 1xx (RFC 9110 section 15.2)
	default:
		dropHopByHop(h) // clients of HTTP/2 would reset the stream
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := http.NewResponseController(x.ResponseWriter).Hijack()
	if err != nil {
		return nc, brw, err
	}
	x.hijacked = true
	x.tunnel = newTunnel(x.proxy, nc, brw.Reader, x.cancel)
	return x.tunnel, brw, nil
}

// end removes the connection of a tunnel. net/http does not report the end of a
// hijacked connection.
func (x *exchange) end() {
	if x.tunnel != nil && x.client != nil {
		x.client.listener.leave(innermost(x.tunnel.Conn))
	}
}

// tunnel is the client's connection after the switch of protocols.
//
// ReverseProxy copies with io.Copy, which calls WriteTo and ReadFrom. These methods
// forward the bytes that the client sent before the response, use less memory than
// io.Copy, and deliver the last bytes of one side after the other side has closed its
// connection.
type tunnel struct {
	net.Conn
	early  *bufio.Reader
	cancel context.CancelFunc
	proxy  *Proxy

	moved    atomic.Int64 // bytes copied, both directions
	mu       sync.Mutex
	timer    *time.Timer   // nil while no limit applies
	patience time.Duration // how long the tunnel may be silent
	why      cut
	seen     int64 // moved at the last check
	quiet    int   // checks since moved last changed
	ended    bool
}

func newTunnel(p *Proxy, c net.Conn, early *bufio.Reader, cancel context.CancelFunc) *tunnel {
	t := &tunnel{Conn: c, early: early, cancel: cancel, proxy: p}
	p.active.add(t)
	if idle := p.settings.Load().limits.Idle; idle > 0 {
		t.wait(idle, cutIdle)
	}
	return t
}

// WriteTo copies from the client to the backend.
func (t *tunnel) WriteTo(backend io.Writer) (int64, error) {
	if early, _ := t.early.Peek(t.early.Buffered()); len(early) > 0 {
		if _, err := backend.Write(early); err != nil {
			return 0, err
		}
	}
	n, failed, err := t.copy(backend, t.Conn)
	if t.drained(err) {
		// The drain has closed the client's connection, but the backend may still
		// have data to read.
		err = nil
	}
	if !failed {
		t.wait(t.proxy.linger.client, cutClientEnded)
	} else {
		t.wait(t.proxy.linger.backend, cutBackendEnded)
		// Closing a connection with unread bytes resets it, and the reset can
		// overtake the backend's last bytes.
		_, err = io.Copy(io.Discard, onlyReader{t.Conn})
	}
	return n, err
}

// ReadFrom copies from the backend to the client.
func (t *tunnel) ReadFrom(backend io.Reader) (int64, error) {
	n, failed, err := t.copy(t.Conn, backend)
	t.wait(t.proxy.linger.backend, cutBackendEnded)
	if failed && t.drained(err) {
		// Discard the rest, since a reset would overtake the client's close frame, as
		// in WriteTo.
		_, _ = io.Copy(io.Discard, onlyReader{backend})
	}
	if failed {
		err = nil
	}
	return n, err
}

// drained reports whether err means that a drain has closed the client's connection.
func (t *tunnel) drained(err error) bool {
	return t.proxy.draining.Load() && errors.Is(err, net.ErrClosed)
}

// onlyReader hides the WriteTo method of a reader.
type onlyReader struct{ io.Reader }

// copy copies until src ends or dst fails. failed reports whether dst failed.
func (t *tunnel) copy(dst io.Writer, src io.Reader) (n int64, failed bool, err error) {
	small := make([]byte, smallBuffer)
	buf := small
	defer func() {
		t.proxy.buffers.Put(buf)
	}()
	for {
		nr, rerr := src.Read(buf)
		if nr > 0 {
			nw, err := dst.Write(buf[:nr])
			n += int64(nw)
			t.moved.Add(int64(nw))
			if err != nil {
				return n, true, err
			}
		}
		if rerr == io.EOF {
			return n, false, nil
		}
		if rerr != nil {
			return n, false, rerr
		}
		switch full := nr == len(buf); {
		case len(buf) == smallBuffer && full:
			if large := t.proxy.buffers.large(); large != nil {
				buf = large
			}
		case len(buf) == largeBuffer && nr < smallBuffer:
			t.proxy.buffers.Put(buf)
			buf = small
		}
	}
}

// patienceParts is the number of checks for activity within the allowed silence.
const patienceParts = 4

// wait arranges that the tunnel ends after a silence of d. A shorter limit that
// already applies stays.
func (t *tunnel) wait(d time.Duration, why cut) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended || t.timer != nil && t.patience <= d {
		return
	}
	t.patience, t.why = d, why
	t.seen, t.quiet = t.moved.Load(), 0
	if t.timer != nil {
		t.timer.Stop()
	}
	var own *time.Timer
	own = time.AfterFunc(d/patienceParts, func() {
		if t.expired(&own) {
			t.proxy.metrics.cut[why].Add(1)
			t.cut()
		}
	})
	t.timer = own
}

// expired handles a tick of the timer own. It returns true if the silence has lasted
// too long. It ignores a timer that another one has replaced.
func (t *tunnel) expired(own **time.Timer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended || t.timer != *own {
		return false
	}
	if moved := t.moved.Load(); moved != t.seen {
		t.seen, t.quiet = moved, 0
	} else if t.quiet++; t.quiet >= patienceParts {
		return true
	}
	t.timer.Reset(t.patience / patienceParts)
	return false
}

// cut ends the tunnel at once.
func (t *tunnel) cut() {
	_ = t.Close()
	t.cancel()
}

// Close closes the client's side.
func (t *tunnel) Close() error {
	t.mu.Lock()
	t.ended = true
	if t.timer != nil {
		t.timer.Stop()
	}
	t.mu.Unlock()
	t.proxy.active.remove(t)
	return t.Conn.Close()
}

type closeWriter interface{ CloseWrite() error }

// CloseWrite tells the client that the backend has ended. It returns no error of the
// connection, because that would end the other direction too.
func (t *tunnel) CloseWrite() error { return closeWrite(t.Conn) }

func closeWrite(c any) error {
	cw, ok := c.(closeWriter)
	if !ok {
		return net.ErrClosed
	}
	_ = cw.CloseWrite()
	return nil
}

// backendConn is the backend's connection after the switch of protocols.
type backendConn struct {
	io.ReadWriteCloser
	left func()
}

func (c *backendConn) CloseWrite() error { return closeWrite(c.ReadWriteCloser) }

func (c *backendConn) Close() error {
	defer c.left()
	return c.ReadWriteCloser.Close()
}
