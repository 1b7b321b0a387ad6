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

// How long a tunnel of which one direction has ended may go without a byte in
// the other: a backend may have an answer to a client that has said all, a
// client has nothing to say to a backend that has gone.
const (
	clientEnded  = 30 * time.Second
	backendEnded = 5 * time.Second
)

// The sizes of buffers. A connection that is idle, or has short messages, keeps
// a small one for each direction.
const (
	smallBuffer = 2 << 10
	largeBuffer = 64 << 10
)

// buffers are the large ones, of which there are so many bytes in all.
type buffers struct {
	pool sync.Pool
	left atomic.Int64
}

// large returns nil where there is none left.
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

// Get and Put serve ReverseProxy.
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

type linger struct{ client, backend time.Duration }

// exchange is the response to a request. Its Hijack gives ReverseProxy a tunnel.
type exchange struct {
	http.ResponseWriter
	proxy    *Proxy
	visitor  *visitor
	body     *clientBody // nil where the request has none
	cancel   context.CancelFunc
	closes   bool // the connection, after the response
	hijacked bool
	tunnel   *tunnel
}

// WriteHeader sets the header as late as this: ReverseProxy clears all of them
// after a response of 1xx.
func (x *exchange) WriteHeader(status int) {
	if x.closes && status >= http.StatusOK {
		x.Header().Set("Connection", "close")
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

// end takes note that the tunnel has ended, of which net/http does not tell.
func (x *exchange) end() {
	if x.tunnel != nil && x.visitor != nil {
		x.visitor.door.leave(innermost(x.tunnel.Conn))
	}
}

// tunnel is the client's connection after the switch of protocols.
//
// ReverseProxy copies by io.Copy, which leaves it to WriteTo and ReadFrom:
// these pass on what the client sent ahead of the response, use less memory,
// and let one side's last words arrive when the other has hung up.
type tunnel struct {
	net.Conn
	early  *bufio.Reader
	cancel context.CancelFunc
	proxy  *Proxy

	moved    atomic.Int64 // bytes
	mu       sync.Mutex
	timer    *time.Timer   // nil while there is no patience
	patience time.Duration // without a byte
	why      cut
	seen     int64 // of moved
	quiet    int   // how many parts of the patience have gone by since
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
		// The client has had its close frame, and the backend may have words left.
		err = nil
	}
	if !failed {
		t.wait(t.proxy.linger.client, cutClientEnded)
	} else {
		t.wait(t.proxy.linger.backend, cutBackendEnded)
		// Closing with unread bytes would be a reset, which can overtake what
		// the backend sent last.
		_, err = io.Copy(io.Discard, onlyReader{t.Conn})
	}
	return n, err
}

// ReadFrom copies from the backend to the client.
func (t *tunnel) ReadFrom(backend io.Reader) (int64, error) {
	n, failed, err := t.copy(t.Conn, backend)
	t.wait(t.proxy.linger.backend, cutBackendEnded)
	if failed && t.drained(err) {
		// A reset would overtake the client's close frame, as in WriteTo.
		_, _ = io.Copy(io.Discard, onlyReader{backend})
	}
	if failed {
		err = nil
	}
	return n, err
}

// drained says whether err of the client's connection comes of a drain that has said
// goodbye there.
func (t *tunnel) drained(err error) bool {
	return t.proxy.draining.Load() && errors.Is(err, net.ErrClosed)
}

// onlyReader hides a WriteTo.
type onlyReader struct{ io.Reader }

// copy copies until src ends or dst fails, and says whether it was dst.
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

// patienceParts is how often it is asked, while there is patience, whether
// anything has moved.
const patienceParts = 4

// wait ends the tunnel once nothing has moved for d.
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

// expired is for the timer own, which another may have taken the place of.
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

// cut ends the tunnel, whatever it is doing.
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

// CloseWrite tells the client that the backend has ended. Its error would end
// the other direction too, which ends by itself.
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
