package proxy

import (
	"bufio"
	"context"
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
	largeBuffer = 32 << 10
)

type bufferPool struct{ sync.Pool }

func (p *bufferPool) Get() []byte  { return p.Pool.Get().(*[largeBuffer]byte)[:] }
func (p *bufferPool) Put(b []byte) { p.Pool.Put((*[largeBuffer]byte)(b)) }

var largeBuffers = &bufferPool{sync.Pool{New: func() any { return new([largeBuffer]byte) }}}

type linger struct{ client, backend time.Duration }

// upgradable is the response to a request for another protocol. Its Hijack
// gives ReverseProxy a tunnel.
type upgradable struct {
	http.ResponseWriter
	proxy    *Proxy
	cancel   context.CancelFunc
	hijacked bool
}

func (u *upgradable) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func (u *upgradable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nc, brw, err
	}
	u.hijacked = true
	t := &tunnel{Conn: nc, early: brw.Reader, cancel: u.cancel, linger: u.proxy.linger, active: &u.proxy.active}
	t.active.add(t)
	return t, brw, nil
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
	linger linger
	active *active

	moved atomic.Int64 // bytes
	mu    sync.Mutex
	timer *time.Timer // nil until one direction has ended
	ended bool
}

// WriteTo copies from the client to the backend.
func (t *tunnel) WriteTo(backend io.Writer) (int64, error) {
	if early, _ := t.early.Peek(t.early.Buffered()); len(early) > 0 {
		if _, err := backend.Write(early); err != nil {
			return 0, err
		}
	}
	n, failed, err := t.copy(backend, t.Conn)
	if !failed {
		t.wait(t.linger.client)
	} else {
		t.wait(t.linger.backend)
		// Closing with unread bytes would be a reset, which can overtake what
		// the backend sent last.
		_, err = io.Copy(io.Discard, onlyReader{t.Conn})
	}
	return n, err
}

// ReadFrom copies from the backend to the client.
func (t *tunnel) ReadFrom(backend io.Reader) (int64, error) {
	n, failed, err := t.copy(t.Conn, backend)
	t.wait(t.linger.backend)
	if failed {
		err = nil
	}
	return n, err
}

// onlyReader hides a WriteTo.
type onlyReader struct{ io.Reader }

// copy copies until src ends or dst fails, and says whether it was dst.
func (t *tunnel) copy(dst io.Writer, src io.Reader) (n int64, failed bool, err error) {
	small := make([]byte, smallBuffer)
	buf := small
	defer func() {
		if len(buf) == largeBuffer {
			largeBuffers.Put(buf)
		}
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
			buf = largeBuffers.Get()
		case len(buf) == largeBuffer && nr < smallBuffer:
			largeBuffers.Put(buf)
			buf = small
		}
	}
}

// wait ends the tunnel once nothing has moved for d.
func (t *tunnel) wait(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended || t.timer != nil {
		return
	}
	before := t.moved.Load()
	t.timer = time.AfterFunc(d, func() {
		if t.goesOn(&before, d) {
			return
		}
		t.cut()
	})
}

func (t *tunnel) goesOn(before *int64, d time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if moved := t.moved.Load(); moved != *before && !t.ended {
		*before = moved
		t.timer.Reset(d)
		return true
	}
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
	t.active.remove(t)
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
