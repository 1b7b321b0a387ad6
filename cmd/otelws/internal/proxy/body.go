package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// bodyUnread is how long a client may go on sending a body after the response. If the proxy
// closed the connection at once, the kernel would reset it, and the client might lose the
// response.
const bodyUnread = 5 * time.Second

// backendWatch is the time between two looks at the backend's connection.
const backendWatch = 250 * time.Millisecond

// errBackendLeft ends a body whose backend has closed the connection.
var errBackendLeft = errors.New("the backend closed the connection before the end of the request")

// clientBody is the body of a client's request. It remembers the error of a Read, so
// that the proxy does not blame the backend for a broken request.
//
// While a Read of the body is in progress, net/http does not report that the backend has
// failed, and the Read may never return. So the body itself watches the backend's connection
// and the context, and ends with them.
type clientBody struct {
	io.ReadCloser
	control *http.ResponseController
	failure atomic.Pointer[error]
	ended   atomic.Bool // everything has been read
	reading sync.Mutex

	mu      sync.Mutex
	cause   error // of giveUp
	left    bool  // the handler has returned
	watcher *time.Timer
}

func (b *clientBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if err := b.given(); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended.Store(true)
	} else if err != nil {
		if cause := b.given(); cause != nil {
			return n, cause
		}
		b.failure.CompareAndSwap(nil, &err)
	}
	return n, err
}

// unread reports whether a part of the body has not been read. b may be nil.
func (b *clientBody) unread() bool { return b != nil && !b.ended.Load() }

// given returns the cause of giveUp, or nil. b may be nil.
func (b *clientBody) given() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cause
}

// giveUp ends a Read in progress, and all later ones, with cause.
func (b *clientBody) giveUp(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left || b.cause != nil || !b.unread() {
		return
	}
	b.cause = cause
	_ = b.control.SetReadDeadline(time.Now())
}

// sendTo watches the connection that the body goes to. b may be nil.
func (b *clientBody) sendTo(backend net.Conn) {
	if b == nil {
		waitForAnswer(backend, 0)
		return
	}
	waitForAnswer(backend, bodyUnread)
	raw, ok := innermost(backend).(syscall.Conn)
	if !ok {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watcher != nil {
		b.watcher.Stop() // it watches an earlier attempt
	}
	var own *time.Timer
	own = time.AfterFunc(backendWatch, func() {
		if c, err := raw.SyscallConn(); err != nil || c.Control(func(uintptr) {}) != nil {
			b.giveUp(errBackendLeft)
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.left && b.watcher == own && b.unread() {
			own.Reset(backendWatch)
		}
	})
	b.watcher = own
}

// leave ends the body when the handler returns. If a part is unread, net/http closes the
// connection. Before, it reads that part, for d at most.
func (b *clientBody) leave(r *http.Request, d time.Duration) {
	b.giveUp(http.ErrBodyReadAfterClose) // net/http clears the deadline if it finds a Read in progress
	b.mu.Lock()
	b.left = true
	if b.watcher != nil {
		b.watcher.Stop()
	}
	b.mu.Unlock()
	if r.ProtoMajor != 1 || !b.unread() {
		return
	}
	b.reading.Lock()
	defer b.reading.Unlock()
	_ = b.control.SetReadDeadline(time.Now().Add(d))
}

// failed returns the first error of Read, or nil. b may be nil.
func (b *clientBody) failed() error {
	if b == nil {
		return nil
	}
	if err := b.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// classifyBody is for the error of a client's body.
func classifyBody(err error) failure {
	var network net.Error
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) {
		return failure{"client_closed", statusClientClosed}
	}
	return failure{"client_body", http.StatusBadRequest}
}
