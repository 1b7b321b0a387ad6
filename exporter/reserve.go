package exporter

import (
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// reserved is the number of descriptors to keep back. Two concurrent scrapes are usual, and
	// each collection also opens files.
	reserved = 16
	// forAnswers is the part of them that collections may not use. After a collection closes its
	// file, others may take the descriptor first. A scrape without process_open_fds is better than
	// no scrape.
	forAnswers = 8
	// starvedWait is the interval between checks for free descriptors.
	starvedWait = 100 * time.Millisecond
	// lastRead is the time within which a Read returns after its connection was closed.
	lastRead = time.Millisecond
)

// reserve keeps some descriptors open without using them. When an attack or a leak at other
// listeners has taken all descriptors of the process, the reserve lets the exporter still answer a
// scrape, which then shows the problem.
type reserve struct {
	mu     sync.Mutex
	users  int // open listeners
	spares []*os.File
}

// listen returns a listener that still accepts when no descriptor is left.
func (r *reserve) listen(l net.Listener) net.Listener {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users++
	r.fill()
	return &reservedListener{Listener: l, reserve: r}
}

// handle frees a descriptor for each request, because collectors open files.
func (r *reserve) handle(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.free(forAnswers)
		defer r.restore()
		h.ServeHTTP(w, req)
	})
}

// free closes one spare descriptor, if there are more than least. It reports whether it did.
func (r *reserve) free(least int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.spares) <= least {
		return false
	}
	last := len(r.spares) - 1
	_ = r.spares[last].Close()
	r.spares = r.spares[:last]
	return true
}

// restore fills the reserve again, as far as possible.
func (r *reserve) restore() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fill()
}

// fill must be called with r.mu held.
func (r *reserve) fill() {
	for r.users > 0 && len(r.spares) < reserved {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return // no descriptor is free now
		}
		r.spares = append(r.spares, f)
	}
}

// leave removes one listener. The last one frees the whole reserve.
func (r *reserve) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users--; r.users > 0 {
		return
	}
	for _, f := range r.spares {
		_ = f.Close()
	}
	r.spares = nil
}

type reservedListener struct {
	net.Listener
	reserve *reserve
	closed  sync.Once
}

func (l *reservedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err == nil {
			return &reservedConn{Conn: c, reserve: l.reserve}, nil
		}
		if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
			return nil, err
		}
		// Accept fails with this error even if no client is waiting. A descriptor that is freed for
		// no client would soon be taken by others.
		wanted, waitErr := isWanted(l.Listener, starvedWait)
		if waitErr != nil || wanted && !l.reserve.free(0) {
			return nil, err
		}
	}
}

func (l *reservedListener) Close() error {
	err := l.Listener.Close()
	l.closed.Do(l.reserve.leave)
	return err
}

type reservedConn struct {
	net.Conn
	reserve *reserve
}

func (c *reservedConn) Close() error {
	err := c.Conn.Close()
	c.reserve.restore()
	// The kernel frees the descriptor when the last Read has returned.
	time.AfterFunc(lastRead, c.reserve.restore)
	return err
}
